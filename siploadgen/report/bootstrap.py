"""How sure a figure of a run is: block bootstrap over intervals, Student's t over runs.

Neighbouring seconds of a run resemble each other, so single seconds must not be drawn as if they
were independent: blocks of neighbouring ones are. Everything is a pure function of its arguments;
random numbers come from the seed.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

ROUNDS = 500  # resamples: the standard error is then known to 3 %
MOST_BLOCKS = 64
LEAST_BLOCKS = 5
_FINE = 4096  # points of an integral


@dataclass(frozen=True, slots=True)
class Sample:
    """A figure of one run: on the scale that is compared, with its standard error."""

    value: float  # as people read it: seconds, a share, a number a second
    at: float  # on the scale of comparison: the logarithm, or the value itself
    error: float  # standard error of `at` within the run; infinite when it cannot be told
    freedom: float  # degrees of freedom of that error
    few: str = ""  # why it cannot be told


@dataclass(frozen=True, slots=True)
class Difference:
    """New minus base, on the scale of comparison, with its confidence interval."""

    at: float
    low: float
    high: float
    between_runs: bool  # the spread of runs was measured, not assumed


def student(probability: float, freedom: float) -> float:
    """Quantile of Student's t, for probabilities from 0.5 on.

    >>> round(student(0.975, 4), 3), round(student(0.975, 1e9), 2)
    (2.776, 1.96)
    """
    freedom = min(max(freedom, 1.0), 10_000.0)
    # t = sqrt(n) tan(angle) makes the density proportional to cos(angle)^(n - 1).
    far = math.pi / 2 if freedom < 50 else math.atan(12 / math.sqrt(freedom))
    # Points are closest at the end, where the tangent grows without bound.
    angle = far * (1 - np.linspace(1, 0, _FINE + 1) ** 3)
    density = np.cos(angle) ** (freedom - 1)
    area = np.concatenate([[0.0], np.cumsum((density[1:] + density[:-1]) * np.diff(angle))])
    wanted = (2 * probability - 1) * area[-1]
    return math.sqrt(freedom) * math.tan(float(np.interp(wanted, area, angle)))


def memory(series: Floats) -> float:
    """Integrated autocorrelation time in steps: 1 for independent values.

    Sums up autocorrelations as long as those of neighbouring lags add up to more than 0 (Geyer's
    initial positive sequence).
    """
    count = len(series)
    deviation = series - series.mean()
    variance = float(deviation @ deviation)
    if count < 4 or variance <= 0:
        return 1.0
    size = 1 << (2 * count - 1).bit_length()
    spectrum = np.abs(np.fft.rfft(deviation, size)) ** 2
    correlation = np.fft.irfft(spectrum, size)[:count] / variance
    time = 1.0
    for lag in range(1, count // 2, 2):
        pair = float(correlation[lag] + correlation[lag + 1])
        if pair <= 0:
            break
        time += 2 * pair
    return time


def block_count(series: Floats) -> int:
    """Choose the number of blocks of a run: each much longer than what an interval remembers.

    At least the cube root of the number of intervals, and twice their autocorrelation time.
    """
    count = len(series)
    length: int = max(math.ceil(count ** (1 / 3)), math.ceil(2 * memory(series)))
    return int(min(max(count // length, LEAST_BLOCKS), MOST_BLOCKS, count))


def block_of(intervals: int, blocks: int) -> NDArray[np.int64]:
    """Block of each interval: neighbours together, sizes equal within one.

    >>> block_of(7, 3).tolist()
    [0, 0, 0, 1, 1, 2, 2]
    """
    return np.arange(intervals, dtype=np.int64) * blocks // intervals


def add_up(cells: NDArray[np.int64], values: NDArray[Any], count: int) -> Floats:
    """Sum of the values of each cell, of so many cells."""
    return np.bincount(cells, values, count).astype(np.float64)


def resample(
    blocks: Floats, statistic: Callable[[Floats], Floats], seed: int, rounds: int = ROUNDS
) -> float:
    """Bootstrap standard error of a statistic of a sum over blocks.

    `blocks` has a row for each block; `statistic` makes of an array of sums, one in each row, one
    number each.
    """
    count = len(blocks)
    random = np.random.default_rng(seed)
    weights = random.multinomial(count, np.full(count, 1 / count), rounds).astype(np.float64)
    drawn = statistic(weights @ blocks)
    drawn = drawn[np.isfinite(drawn)]
    if len(drawn) < rounds // 2 or count < 2:
        return math.inf
    return float(drawn.std(ddof=1)) * math.sqrt(count / (count - 1))


def enough_runs(base: int, new: int) -> bool:
    """Whether so many runs on each side show by how much runs differ: three degrees of freedom."""
    return base + new - 2 >= 3


def compare_samples(
    base: list[Sample], new: list[Sample], confidence: float, drift: float
) -> Difference:
    """Take base from new, with the interval that holds the true difference with this confidence.

    With `enough_runs` their own spread says how much runs
    differ from each other; it is taken to be the same on both sides, and never smaller than what
    happens within them. With fewer, `drift` (a standard deviation, on the scale of comparison) is
    added to what is known from within the runs, or the spread that was seen, if that is larger.
    """
    sides = (base, new)
    at = _mean(new) - _mean(base)
    known_errors = [one.error for side in sides for one in side if math.isfinite(one.error)]
    within = sum(error**2 for error in known_errors) / max(len(known_errors), 1)
    freedom = len(base) + len(new) - 2
    squares = sum((one.at - _mean(side)) ** 2 for side in sides for one in side)
    spread = squares / freedom if freedom else 0.0
    share = 1 / len(base) + 1 / len(new)
    measured = enough_runs(len(base), len(new))
    if measured:
        variance = max(spread, within) * share
        known = float(freedom)
    else:
        parts = [(one.error**2 / len(side) ** 2, one.freedom) for side in sides for one in side]
        own = sum(part for part, _ in parts)
        extra = max(spread - within, drift**2) * share
        variance = own + extra
        # Welch and Satterthwaite; what is assumed counts as known.
        doubt = sum(part**2 / free for part, free in parts)
        known = variance**2 / doubt if doubt else math.inf
    reach = student((1 + confidence) / 2, known) * math.sqrt(variance) if variance else 0.0
    return Difference(at, at - reach, at + reach, measured)


def _mean(side: list[Sample]) -> float:
    return sum(one.at for one in side) / len(side)
