"""From the words of the load options to the shape of the load and its users."""

import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from siploadgen import units
from siploadgen.errors import UsageError

if TYPE_CHECKING:
    from siploadgen.load.executors import ConstantArrivalRate, RampingArrivalRate
    from siploadgen.load.rows import Rows

DEFAULT_RATE = "10/s"
DEFAULT_DURATION = "10s"
MOST_GENERATED_USERS = 100_000


def load_executor(
    rate: str | None, duration: str | None, calls: str | None, ramps: Sequence[str] | None,
    *, arrival: str = "uniform", max_calls: str | None = None, warmup: str | None = None,
) -> "ConstantArrivalRate | RampingArrivalRate":
    """Return the executor that the load options ask for.

    Without --duration the run ends with its ramps, or with its --calls, or after 10 s. With
    --duration that is the length of the load, ramps included; a warm-up comes before it.
    """
    from siploadgen.load.arrivals import parse_arrival, parse_ramp
    from siploadgen.load.executors import (
        MAIN,
        ConstantArrivalRate,
        ParameterError,
        RampingArrivalRate,
        RateStage,
    )

    per_s = units.parse_rate(rate or DEFAULT_RATE, "--rate")
    count = None if calls is None else units.parse_count(calls, "--calls")
    if count == 0:
        raise UsageError("--calls: at least 1")
    length_ns = None if duration is None else units.parse_duration(duration, "--duration")
    if length_ns == 0:
        raise UsageError("--duration: must be longer than 0")
    process = parse_arrival(arrival)
    bound = None if max_calls is None else units.parse_count(max_calls, "--max-calls")
    warm_ns = units.parse_duration(warmup, "--warmup") if warmup else 0
    try:
        if not ramps:
            if per_s == 0:
                raise UsageError("--rate: must be above 0")
            if length_ns is None and count is None:
                length_ns = units.parse_duration(DEFAULT_DURATION)
            return ConstantArrivalRate(per_s, length_ns, process, bound, count, warm_ns)
        read = [parse_ramp(text) for text in ramps]
        stages = [RateStage(target, length, shape, MAIN) for target, length, shape in read]
        left = None if length_ns is None else length_ns - sum(one[1] for one in read)
        if left is not None and left < 0:
            raise UsageError("duration: shorter than the ramps together; leave it out or "
                             "lengthen it")
        if left or (left is None and count is not None and read[-1][0] > 0):
            stages.append(RateStage(read[-1][0], left, "step", MAIN))
        return RampingArrivalRate(per_s, stages, process, bound, count, warm_ns)
    except ParameterError as error:
        option = error.parameter.partition(".")[0].replace("_", "-").replace("stages", "ramp")
        raise UsageError(f"--{option}: {error.message}") from None


def load_rows(
    users: str | None, columns: Sequence[str], count: float, settings: Mapping[str, str], seed: int
) -> "Rows | None":
    """Return the users of a run: from a file, or made up where the model needs some."""
    from siploadgen.load.rows import generated_users, read_csv

    if not columns:
        return None
    if users is not None and not is_count(users):
        return read_csv(users, columns, seed)
    wanted = units.parse_count(users, "--users") if users else int(
        min(max(count, 1), MOST_GENERATED_USERS))
    if wanted < 1:
        raise UsageError("--users: at least 1")
    return generated_users(columns, wanted, settings.get("password", "secret"))


def is_count(text: str) -> bool:
    """Tell a number of users from the name of a file."""
    with contextlib.suppress(UsageError):
        units.parse_count(text)
        return not Path(text).exists()
    return False
