"""From the words of the load options to the shape of the load and its users."""

import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from siploadgen import units
from siploadgen.errors import UsageError

if TYPE_CHECKING:
    from siploadgen.load.arrivals import RateShape
    from siploadgen.load.rows import Rows

DEFAULT_RATE = "10/s"
DEFAULT_DURATION = "10s"
MOST_GENERATED_USERS = 100_000


def load_shape(
    rate: str | None, duration: str | None, calls: str | None, ramps: Sequence[str] | None
) -> tuple["RateShape", int | None]:
    """Return the rate shape and the number of calls that the load options ask for.

    Without --duration the run ends with its ramps, or with its --calls, or after 10 s. With
    --duration that is the length of the whole run, ramps included.
    """
    from siploadgen.load.arrivals import RateShape, Stage, constant, parse_ramp, ramping

    per_s = units.parse_rate(rate or DEFAULT_RATE, "--rate")
    count = None if calls is None else units.parse_count(calls, "--calls")
    if count == 0:
        raise UsageError("--calls: at least 1")
    length_ns = None if duration is None else units.parse_duration(duration, "--duration")
    if length_ns == 0:
        raise UsageError("--duration: must be longer than 0")
    if ramps:
        stages = ramping(per_s, [parse_ramp(text) for text in ramps], length_ns)
        if length_ns is None and count is not None and stages[-1].target > 0:
            stages += (Stage(stages[-1].target, stages[-1].target, None),)
        return RateShape(stages), count
    if per_s == 0:
        raise UsageError("--rate: must be above 0")
    if length_ns is None and count is None:
        length_ns = units.parse_duration(DEFAULT_DURATION)
    return RateShape(constant(per_s, length_ns)), count


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
