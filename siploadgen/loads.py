"""Functions that make executors and tables of data, for `siploadgen.Run`."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from siploadgen.config import schema
from siploadgen.errors import UsageError
from siploadgen.load.executors import Executor, ParameterError
from siploadgen.load.rows import generated_users as made_up
from siploadgen.load.sources import Table, csv_table, ndjson_rows, read_table, sqlite_rows

# --- executors, as scenario files have them ---


def _executor(name: str, **parameters: Any) -> Executor:
    given = {key: value for key, value in parameters.items() if value is not None}
    try:
        return schema.EXECUTORS[name].model_validate({"executor": name, **given}).make()
    except ValidationError as error:
        raise UsageError("; ".join(
            f"{'.'.join(str(part) for part in one['loc'])}: "
            f"{str(one['msg']).removeprefix('Value error, ')}" for one in error.errors())) from None
    except ParameterError as error:
        raise UsageError(str(error)) from None


def constant_arrival_rate(
    rate: str | float, duration: str | None = None, *, calls: int | None = None,
    arrival: str = "uniform", max_calls: int | None = None, warmup: str = "0",
) -> Executor:
    """Start calls at one rate (`2k/s`, `1.8M/h`), for a duration (`60s`) or so many calls.

    `arrival` is `uniform`, `poisson` or `batch(n)`; `max_calls` bounds the open calls: those that
    find no room are counted, never delayed. `warmup` is load before the load. Raises UsageError.

    >>> constant_arrival_rate("100/s", "10s").total
    1000.0
    """
    return _executor("constant-arrival-rate", rate=rate, duration=duration, calls=calls,
                     arrival=arrival, max_calls=max_calls, warmup=warmup)


def ramping_arrival_rate(
    stages: Iterable[Sequence[Any]], *, start: str | float = "0/s", arrival: str = "uniform",
    max_calls: int | None = None, warmup: str = "0",
) -> Executor:
    """Start calls at a rate that goes through stages: (target, duration[, phase[, shape]]).

    A target is a rate (`50/s`) that is reached within the duration (`10s`); `shape` is `linear`,
    `step` or `exp`. Raises UsageError with the stage.

    >>> [one.name for one in ramping_arrival_rate([("10/s", "1s", "ramp"), ("10/s", "5s")]).phases]
    ['ramp', 'stage-2']
    """
    keys = ("target", "duration", "phase", "shape")
    rows = [dict(zip(keys, stage, strict=False)) for stage in stages]
    return _executor("ramping-arrival-rate", start_rate=start, stages=rows, arrival=arrival,
                     max_calls=max_calls, warmup=warmup)


def stairs(
    start: str | float, step: str | float, levels: int, level_duration: str, *,
    ramp_between: str = "0", arrival: str = "uniform", max_calls: int | None = None,
    warmup: str = "0",
) -> Executor:
    """Start calls at levels of rising rate, each a phase (`level-1` ...).

    `start` and `step` are rates (`10/s`), times are durations (`30s`). Raises UsageError.

    >>> stairs("10/s", "10/s", levels=3, level_duration="2s").total
    120.0
    """
    return _executor("stairs", start=start, step=step, levels=levels,
                     level_duration=level_duration, ramp_between=ramp_between, arrival=arrival,
                     max_calls=max_calls, warmup=warmup)


def day_curve(
    mean: str | float = "0/s", amplitude: str | float = "0/s", *, period: str = "24h",
    table: Iterable[tuple[str, str | float]] = (), duration: str | None = None,
    arrival: str = "poisson", max_calls: int | None = None,
) -> Executor:
    """Start calls at a rate that follows a sine, or a table of (time, rate).

    Rates are `2k/s` or `1.8M/h`, `period`, `duration` and times durations (`24h`). The sine begins
    at its mean. Raises UsageError.

    >>> day_curve(table=[("0s", "0/s"), ("1h", "20/s"), ("2h", "0/s")], period="2h").total
    72000.0
    """
    rows = [{"at": at, "rate": rate} for at, rate in table]
    return _executor("day-curve", mean=mean, amplitude=amplitude, period=period, table=rows,
                     duration=duration, arrival=arrival, max_calls=max_calls)


def replay(file: str | Path, speed: float = 1.0, *, max_calls: int | None = None) -> Executor:
    """Start calls at the times of a file (seconds, or durations such as `1s500ms`).

    `speed` 2 plays it twice as fast. Raises ScenarioError with file:line, UsageError.
    """
    return _executor("replay", file=str(file), speed=speed, max_calls=max_calls)


def constant_calls(calls: int | str, duration: str, *, warmup: str = "0") -> Executor:
    """Hold so many calls open for a duration (`60s`): as one ends the next starts.

    Raises UsageError.

    >>> constant_calls(5, "2s").peak_calls
    5
    """
    return _executor("constant-calls", calls=calls, duration=duration, warmup=warmup)


def ramping_calls(
    stages: Iterable[Sequence[Any]], *, start: int = 0, warmup: str = "0"
) -> Executor:
    """Hold calls open, in stages: (target, duration[, phase[, shape]]).

    A target is a number of calls that is reached within the duration (`30s`). Raises UsageError
    with the stage.

    >>> ramping_calls([(10, "1s"), (0, "1s")]).peak_calls
    10
    """
    keys = ("target", "duration", "phase", "shape")
    rows = [dict(zip(keys, stage, strict=False)) for stage in stages]
    return _executor("ramping-calls", start_calls=start, stages=rows, warmup=warmup)


def per_user(
    users: int, *, think: str = "0", duration: str | None = None, iterations: int | None = None,
    spread: str = "0", warmup: str = "0",
) -> Executor:
    """Let so many users each make one call after the other, with a time to think between them.

    For a duration (`60s`), or so many `iterations` of each user. `think` is a duration or a
    distribution (`exponential(2s)`); they begin within `spread`. Raises UsageError.

    >>> per_user(5, iterations=4, think="1s").total
    20.0
    """
    return _executor("per-user", users_count=users, think=think, duration=duration,
                     iterations=iterations, spread=spread, warmup=warmup)


def shared_calls(
    calls: int | str, *, concurrency: int | None = None, rate: str | float | None = None,
    duration: str | None = None,
) -> Executor:
    """Make exactly so many calls: `concurrency` at a time, or at a rate (`50/s`).

    `duration` (`60s`) bounds the time that they may take. Raises UsageError.

    >>> shared_calls(20, concurrency=2).total
    20.0
    """
    return _executor("shared-calls", calls=calls, concurrency=concurrency, rate=rate,
                     duration=duration)


# --- data ---


@dataclass(frozen=True, slots=True)
class Users:
    """A table of data and how calls pick its rows: what the functions `..._users` make."""

    table: Table
    pick: str | None = None
    exhaust: str = "wrap"

    @property
    def names(self) -> tuple[str, ...]:
        """Columns."""
        return self.table.rows.names

    @property
    def count(self) -> int:
        """Rows."""
        return self.table.rows.count


def csv_users(path: str | Path, *, fields: Sequence[str] | None = None, pick: str | None = None,
              exhaust: str = "wrap") -> Users:
    """Read users from a CSV file, or one of SIPp's.

    `pick` is `sequential`, `shuffle`, `unique`, `random` or `zipf(s)`; `exhaust` says whether rows
    come again after the last one (`wrap`) or calls end with them (`stop`). Raises ScenarioError
    with file:line; what `pick` and `exhaust` may not be is said by `Run.add`.
    """
    return Users(csv_table(path, fields), pick, exhaust)


def ndjson_users(path: str | Path, *, fields: Sequence[str] | None = None,
                 pick: str | None = None, exhaust: str = "wrap") -> Users:
    """Read users from a file with a JSON object on each line.

    Raises ScenarioError with file:line:column.
    """
    return Users(Table(ndjson_rows(path, fields)), pick, exhaust)


def sqlite_users(path: str | Path, *, table: str | None = None, query: str | None = None,
                 fields: Sequence[str] | None = None, pick: str | None = None,
                 exhaust: str = "wrap") -> Users:
    """Read users from a table of a SQLite file, or a query. Raises ScenarioError."""
    return Users(Table(sqlite_rows(path, table, query, fields)), pick, exhaust)


def users(source: object, *, fields: Sequence[str] | None = None, pick: str | None = None,
          exhaust: str = "wrap") -> Users:
    """Take users from mappings, tuples, or arrays of numpy. Raises ScenarioError with the row.

    >>> users([{"user": "anna"}, {"user": "bert"}]).count
    2
    """
    return Users(read_table(source, fields), pick, exhaust)


def generated_users(count: int, *, columns: Sequence[str] = ("user", "password"),
                    password: str = "secret", pick: str | None = None) -> Users:
    """Make up users `user000001` ... who all have one password.

    >>> generated_users(3).names
    ('user', 'password')
    """
    return Users(Table(made_up(columns, count, password)), pick)
