"""Values of scenarios: durations, shares and distributions, as text and as numbers.

Durations are nanoseconds inside, text such as `250ms`, `30s` or `1h30m` outside.
"""

import math
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from siploadgen.errors import UsageError
from siploadgen.model.errors import ModelError
from siploadgen.units import parse_duration

UNITS_NS = {
    "ns": 1,
    "us": 1_000,
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
    "d": 86_400_000_000_000,
}
LONGEST_NS = 10 * 365 * UNITS_NS["d"]  # far above any test, far below the end of int64
_CALL = re.compile(r"([a-z]+)\((.*)\)")
T1_TIMES_MAX = 100_000
SHAPE_MIN, SHAPE_MAX = 0.01, 1_000_000
SAMPLES_MAX = 1_000_000
SHARE_UNIT = 1_000_000_000  # a share of 1 in the units of OP_MUL and OP_CHANCE


def parse_duration_ns(text: str) -> int:
    """Read a duration as nanoseconds.

    >>> parse_duration_ns("1h30m"), parse_duration_ns("250ms"), parse_duration_ns("0")
    (5400000000000, 250000000, 0)
    """
    try:
        total = parse_duration(text)
    except UsageError:
        raise ModelError(f"{text!r} is not a duration",
                         mend="write it as 250ms, 30s or 1h30m") from None
    if total > LONGEST_NS:
        raise ModelError(f"{text!r} is longer than ten years", mend="write a shorter duration")
    return total


def format_duration(ns: float) -> str:
    """Write a duration as people do.

    >>> format_duration(1_500_000_000), format_duration(5_400_000_000_000), format_duration(0)
    ('1.5s', '1h30m', '0s')
    """
    if ns >= UNITS_NS["m"] and ns % UNITS_NS["s"] == 0:
        left, text = int(ns), ""
        for unit in ("h", "m", "s"):
            count, left = divmod(left, UNITS_NS[unit])
            text += f"{count}{unit}" if count else ""
        return text
    for unit in ("s", "ms", "us"):
        if ns >= UNITS_NS[unit]:
            return f"{ns / UNITS_NS[unit]:.6g}{unit}"
    return f"{ns:.6g}ns" if ns else "0s"


def parse_share(text: str) -> float:
    """Read a share between 0 and 1.

    >>> parse_share("3%"), parse_share("0.25")
    (0.03, 0.25)
    """
    wanted = text.strip()
    try:
        share = float(wanted[:-1]) / 100 if wanted.endswith("%") else float(wanted)
    except ValueError:
        share = math.nan
    if not 0 <= share <= 1:
        raise ModelError(f"{text!r} is not a share", mend="write it as 3% or 0.03, at most 100%")
    return share


@dataclass(frozen=True, slots=True)
class Fixed:
    """Always the same number."""

    value: int


@dataclass(frozen=True, slots=True)
class Uniform:
    """Any value between two bounds, all as likely."""

    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Normal:
    """Normal deviates; the engine counts values below 0 as 0."""

    mean: float
    deviation: float


@dataclass(frozen=True, slots=True)
class Lognormal:
    """Lognormal deviates with this mean; `sigma` is the deviation of the normal underneath."""

    mean: float
    sigma: float

    @property
    def mu(self) -> float:
        """Mean of the normal underneath, such that the mean of the deviates is `mean`."""
        return math.log(self.mean) - self.sigma**2 / 2


@dataclass(frozen=True, slots=True)
class Exponential:
    """Exponential deviates."""

    mean: float


@dataclass(frozen=True, slots=True)
class Weibull:
    """Weibull deviates: `scale` times a deviate of scale 1; shape 1 is exponential."""

    scale: float
    shape: float


@dataclass(frozen=True, slots=True)
class Pareto:
    """Pareto deviates (type I): never below `least`; the mean is infinite up to shape 1."""

    least: float
    shape: float


@dataclass(frozen=True, slots=True)
class Gamma:
    """Gamma deviates; their mean is scale times shape."""

    scale: float
    shape: float


@dataclass(frozen=True, slots=True)
class Samples:
    """One of these numbers, each as likely."""

    values: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class VariableRef:
    """The value that a variable of the instance has at that moment."""

    name: str


@dataclass(frozen=True, slots=True)
class Elapsed:
    """Nanoseconds since the instance was due."""


@dataclass(frozen=True, slots=True)
class ColumnRef:
    """The decimal number in a column of the instance's row."""

    name: str


@dataclass(frozen=True, slots=True)
class TimesT1:
    """So many times the timer T1 of the engine (RFC 3261 17.1.1.1)."""

    times: int


Distribution: TypeAlias = (
    Fixed | Uniform | Normal | Lognormal | Exponential | Weibull | Pareto | Gamma | Samples)
Value: TypeAlias = Distribution | VariableRef | Elapsed | ColumnRef | TimesT1
ZERO = Fixed(0)


def mean_of(value: Value) -> float:
    """Mean of a distribution, in its own unit; infinite where it has none, 0 for what a call knows.

    >>> mean_of(uniform("1s", "3s")), mean_of(Gamma(2, 3))
    (2000000000.0, 6)
    """
    match value:
        case Fixed(number):
            return number
        case Uniform(low, high):
            return (low + high) / 2
        case Normal(mean, _) | Lognormal(mean, _) | Exponential(mean):
            return mean
        case Weibull(scale, shape):
            return scale * math.gamma(1 + 1 / shape)
        case Pareto(least, shape):
            return least * shape / (shape - 1) if shape > 1 else math.inf
        case Gamma(scale, shape):
            return scale * shape
        case Samples(values):
            return sum(values) / len(values)
        case _:
            return 0


def _number(value: str | float, unit: Callable[[str], float] = parse_duration_ns) -> float:
    return unit(value) if isinstance(value, str) else value


def fixed(value: str | int) -> Fixed:
    """Make a distribution of one duration alone: a text (`2s`), or ns. Raises ValueError.

    >>> fixed("2s")
    Fixed(value=2000000000)
    """
    return Fixed(int(_number(value)))


def uniform(low: str | float, high: str | float) -> Uniform:
    """Make a distribution of durations (texts, or ns) between two, all as likely.

    Raises ValueError.

    >>> uniform("1s", "3s")
    Uniform(low=1000000000, high=3000000000)
    """
    bounds = Uniform(_number(low), _number(high))
    if bounds.low > bounds.high:
        raise ModelError(f"uniform({low}, {high}): the bounds are the wrong way round",
                         mend="write the lower bound first")
    return bounds


def normal(mean: str | float, deviation: str | float) -> Normal:
    """Make a normal distribution of durations (texts, or ns); below 0 counts as 0.

    Raises ValueError.

    >>> normal("2s", "100ms")
    Normal(mean=2000000000, deviation=100000000)
    """
    return Normal(_number(mean), _number(deviation))


def lognormal(mean: str | float, sigma: float) -> Lognormal:
    """Make a lognormal distribution of this mean; sigma is that of the normal underneath.

    The mean is a duration: a text (`200ms`), or ns. Raises ValueError.

    >>> round(lognormal("200ms", 0.4).mu, 4)
    19.0338
    """
    value = Lognormal(_number(mean), float(sigma))
    if value.mean <= 0 or value.sigma < 0:
        raise ModelError(f"lognormal({mean}, {sigma}): the mean must be above 0, sigma not below",
                         mend="write it as lognormal(200ms,0.4)")
    return value


def exponential(mean: str | float) -> Exponential:
    """Make an exponential distribution of durations (texts, or ns). Raises ValueError.

    >>> exponential("2s")
    Exponential(mean=2000000000)
    """
    return Exponential(_number(mean))


def _shaped(name: str, kind: type, size: str | float, shape: float) -> Any:
    value = _number(size), float(shape)
    if value[0] <= 0 or not SHAPE_MIN <= value[1] <= SHAPE_MAX:
        raise ModelError(f"{name}({size}, {shape}): the first number must be above 0, the shape "
                         f"from {SHAPE_MIN} to {SHAPE_MAX:,}",
                         mend=f"write it as {_FORMS[name][1]}")
    return kind(*value)


def weibull(scale: str | float, shape: float) -> Weibull:
    """Make a Weibull distribution of durations; its mean is scale times gamma(1 + 1/shape).

    The scale is a text (`2s`), or ns. Raises ValueError.

    >>> weibull("2s", 1.5)
    Weibull(scale=2000000000, shape=1.5)
    """
    return _shaped("weibull", Weibull, scale, shape)  # type: ignore[no-any-return]


def pareto(least: str | float, shape: float) -> Pareto:
    """Make a Pareto distribution of durations; its mean is least times shape / (shape - 1).

    The least one is a text (`1s`), or ns. Raises ValueError.

    >>> pareto("1s", 2.5)
    Pareto(least=1000000000, shape=2.5)
    """
    return _shaped("pareto", Pareto, least, shape)  # type: ignore[no-any-return]


def gamma(scale: str | float, shape: float) -> Gamma:
    """Make a gamma distribution of durations; its mean is scale times shape.

    The scale is a text (`500ms`), or ns. Raises ValueError.

    >>> gamma("500ms", 2)
    Gamma(scale=500000000, shape=2.0)
    """
    return _shaped("gamma", Gamma, scale, shape)  # type: ignore[no-any-return]


def samples(source: str | Path | Iterable[str | float],
            unit: Callable[[str], float] = parse_duration_ns) -> Samples:
    """Make a distribution of samples: a file with one duration a line, or the durations.

    Empty lines and those that begin with `#` are skipped. Raises ValueError with file:line.

    >>> samples(["1s", "3s"])
    Samples(values=(1000000000, 3000000000))
    """
    if not isinstance(source, str | Path):
        found = [int(_number(one, unit)) for one in source]
        if not found or len(found) > SAMPLES_MAX or min(found) < 0:
            raise ModelError(f"{len(found)} samples", mend=f"give 1 to {SAMPLES_MAX:,}, none below "
                             "0")
        return Samples(tuple(found))
    path = Path(source)
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise ModelError(f"{source}: {why}", mend="name a file of durations, one a line") from None
    found = []
    for number, line in enumerate(lines, 1):
        text = line.strip()
        if text and not text.startswith("#"):
            try:
                found.append(int(unit(text)))
            except ModelError as error:
                raise ModelError(error.message, place=f"{source}:{number}",
                                 mend=error.mend) from None
    if not 0 < len(found) <= SAMPLES_MAX:
        raise ModelError(f"{len(found)} samples", place=str(source),
                         mend=f"give 1 to {SAMPLES_MAX:,} of them, one a line")
    return Samples(tuple(found))


def parse_limit(text: str) -> Fixed | TimesT1:
    """Read how long a wait may last: a duration, or a multiple of T1 such as `64*T1`.

    >>> parse_limit("32s"), parse_limit("64*T1")
    (Fixed(value=32000000000), TimesT1(times=64))
    """
    times, star, timer = text.partition("*")
    if not star:
        return Fixed(parse_duration_ns(text))
    if timer.strip() != "T1" or not times.strip().isdecimal() or int(times) > T1_TIMES_MAX:
        raise ModelError(f"{text!r} is no multiple of T1",
                         mend=f"write it as 64*T1, at most {T1_TIMES_MAX}*T1")
    return TimesT1(int(times))


# name -> parameters: "u" is a quantity in the unit of the setting, "f" a plain number
_FORMS: dict[str, tuple[str, str]] = {
    "fixed": ("u", "fixed(2s)"),
    "uniform": ("uu", "uniform(1s,3s)"),
    "normal": ("uu", "normal(2s,100ms)"),
    "lognormal": ("uf", "lognormal(200ms,0.4)"),
    "exponential": ("u", "exponential(2s)"),
    "weibull": ("uf", "weibull(2s,1.5)"),
    "pareto": ("uf", "pareto(1s,2.5)"),
    "gamma": ("uf", "gamma(500ms,2)"),
    "samples": ("t", "samples(holds.txt)"),
}


def parse_distribution(text: str,
                       unit: Callable[[str], float] = parse_duration_ns) -> Distribution:
    """Read a fixed value or a distribution, as `--set` and scenario files write it.

    >>> parse_distribution("uniform(1s,3s)")
    Uniform(low=1000000000, high=3000000000)
    >>> parse_distribution("30s")
    Fixed(value=30000000000)
    """
    wanted = text.strip()
    call = _CALL.fullmatch(wanted)
    if call is None:
        return Fixed(int(unit(wanted)))
    name, inner = call.groups()
    if name not in _FORMS:
        raise ModelError(f"{text!r}: there is no distribution {name}",
                         mend=f"known: {', '.join(sorted(_FORMS))}")
    kinds, example = _FORMS[name]
    parameters = [part.strip() for part in inner.split(",")]
    if len(parameters) != len(kinds):
        raise ModelError(f"{text!r}: {name} takes {len(kinds)} parameters",
                         mend=f"write it as {example}")
    try:
        if name == "samples":
            return samples(inner.strip(), unit)
        numbers = [unit(p) if kind == "u" else float(p)
                   for p, kind in zip(parameters, kinds, strict=True)]
    except ModelError as error:
        raise ModelError(f"{text!r}: {error.message}", place=error.place,
                         mend=error.mend) from None
    except ValueError:
        raise ModelError(f"{text!r} is not a distribution",
                         mend=f"write it as {example}") from None
    if name == "fixed":
        return Fixed(int(numbers[0]))
    if name == "uniform":
        return uniform(*numbers)
    if name == "normal":
        return Normal(*numbers)
    if name == "lognormal":
        return lognormal(*numbers)
    if name == "exponential":
        return Exponential(*numbers)
    if name == "weibull":
        return weibull(*numbers)
    return pareto(*numbers) if name == "pareto" else gamma(*numbers)


def parse_share_distribution(text: str) -> Distribution:
    """Read a distribution of shares, in units of 1e-9.

    >>> parse_share_distribution("uniform(50%,90%)")
    Uniform(low=500000000.0, high=900000000.0)
    """
    return parse_distribution(text, lambda part: parse_share(part) * SHARE_UNIT)


def describe_value(value: Value, unit: Callable[[float], str] = format_duration) -> str:
    """Write a value as scenario files do.

    >>> describe_value(uniform("1s", "3s"))
    'uniform(1s,3s)'
    """
    match value:
        case Fixed(number):
            return unit(number)
        case Uniform(low, high):
            return f"uniform({unit(low)},{unit(high)})"
        case Normal(mean, deviation):
            return f"normal({unit(mean)},{unit(deviation)})"
        case Lognormal(mean, sigma):
            return f"lognormal({unit(mean)},{sigma:g})"
        case Exponential(mean):
            return f"exponential({unit(mean)})"
        case Weibull(scale, shape):
            return f"weibull({unit(scale)},{shape:g})"
        case Pareto(least, shape):
            return f"pareto({unit(least)},{shape:g})"
        case Gamma(scale, shape):
            return f"gamma({unit(scale)},{shape:g})"
        case Samples(values):
            return f"samples({len(values)} from {unit(min(values))} to {unit(max(values))})"
        case VariableRef(name) | ColumnRef(name):
            return f"{{{name}}}"
        case Elapsed():
            return "elapsed"
        case TimesT1(times):
            return f"{times}*T1"


def scaled(value: Distribution, factor: float) -> Distribution:
    """Make the distribution of a multiple.

    >>> scaled(Uniform(0.5, 1.5), 2)
    Uniform(low=1.0, high=3.0)
    """
    match value:
        case Fixed(number):
            return Fixed(round(number * factor))
        case Uniform(low, high):
            return Uniform(low * factor, high * factor)
        case Normal(mean, deviation):
            return Normal(mean * factor, deviation * factor)
        case Lognormal(mean, sigma):
            return Lognormal(mean * factor, sigma)
        case Exponential(mean):
            return Exponential(mean * factor)
        case Weibull(scale, shape):
            return Weibull(scale * factor, shape)
        case Pareto(least, shape):
            return Pareto(least * factor, shape)
        case Gamma(scale, shape):
            return Gamma(scale * factor, shape)
        case Samples(values):
            return Samples(tuple(round(one * factor) for one in values))
