"""The Universal Scalability Law, fitted to load levels, with its uncertainty.

    X(N) = lambda N / (1 + sigma (N - 1) + kappa N (N - 1))

X is throughput, N how many calls the target has at work at once: by Little's law throughput times
the mean latency of the service. One call alone waits for nobody: below N = 1 X is lambda N. Sigma
is the share of the work that has to wait its turn, kappa what it costs that all must agree with
each other; with kappa above 0 throughput has a maximum.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

LEAST = 4  # levels: one more than there are parameters
BUSY = 2.0  # calls at work at the highest level: with fewer nothing waits for anything
_DRAWS = 500
_POOR = 0.9  # a fit explains less than that of the variance
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Fit:
    """A fit. Each range holds 95 % of 500 fits to data that err as these do.

    `peak_at` and `peak_per_s` are None when no maximum is to be seen; `band` has a row each for the
    lower and the upper bound of the curve at `grid`.
    """

    rate_per_s: float  # lambda: throughput of one call at a time
    sigma: float
    kappa: float
    r2: float
    rate_range: tuple[float, float]
    sigma_range: tuple[float, float]
    kappa_range: tuple[float, float]
    peak_at: float | None
    peak_per_s: float | None
    peak_range: tuple[float, float] | None
    grid: Floats
    curve: Floats
    band: Floats

    @property
    def poor(self) -> bool:
        """True when the law does not describe these levels."""
        return self.r2 < _POOR


def throughput(parameters: Floats, load: Floats) -> Floats:
    """Return X(N) for (1, sigma, kappa) / lambda and each N.

    >>> throughput(np.array([0.01, 0.0, 0.0]), np.array([2.0])).tolist()
    [200.0]
    """
    one, sigma, kappa = parameters
    others = np.maximum(load - 1, 0)
    below = one + sigma * others + kappa * load * others
    return np.where(below > 0, load / np.where(below > 0, below, 1.0), np.inf)


def _solve(load: Floats, rates: Floats) -> Floats:
    """Fit N / X, linear in (1, sigma, kappa) / lambda, none of them below 0, to each row of rates.

    Errors are relative ones. Of three columns every subset is tried: the best without a negative is
    the least squares solution under that condition.
    """
    others = np.maximum(load - 1, 0)
    basis = np.stack((np.ones_like(load), others, load * others), axis=1)
    columns = basis * (rates / load)[:, :, None]
    best = np.zeros((len(rates), 3))
    least = np.full(len(rates), np.inf)
    for chosen in ([0], [0, 1], [0, 2], [0, 1, 2]):
        part = columns[:, :, chosen]
        size = np.linalg.norm(part, axis=1, keepdims=True)
        size[size == 0] = 1
        found = np.zeros_like(best)
        found[:, chosen] = (np.linalg.pinv(part / size).sum(axis=2)) / size[:, 0]
        error = ((np.einsum("rlc,rc->rl", columns, found) - 1) ** 2).sum(axis=1)
        better = (found >= 0).all(axis=1) & (found[:, 0] > 0) & (error < least)
        best[better], least[better] = found[better], error[better]
    return best


def fit(load: Floats, rate: Floats, seed: int = 1) -> Fit | None:
    """Fit the law to levels: how many calls were at work at once, and throughput per second.

    None when there are fewer than `LEAST` different levels, when they are within 20 % of each
    other, or when even the highest had fewer than `BUSY` calls at work.

    >>> load = np.array([1.0, 2.0, 4.0, 8.0, 16.0])
    >>> found = fit(load, 1000 * load / (1 + 0.05 * (load - 1) + 0.001 * load * (load - 1)))
    >>> found is not None and (round(found.sigma, 3), round(found.kappa, 4))
    (0.05, 0.001)
    """
    usable = (load > 0) & (rate > 0)
    load, rate = load[usable], rate[usable]
    if len(np.unique(load)) < LEAST or load.max() < max(
            1.2 * load.min(), BUSY):
        return None
    best = _solve(load, rate[None])[0]
    smooth = throughput(best, load)
    spread = float(((rate - rate.mean()) ** 2).sum())
    r2 = 1 - float(((rate - smooth) ** 2).sum()) / spread if spread else 0.0
    errors = (rate - smooth) / smooth * np.sqrt(len(load) / max(len(load) - 3, 1))
    draw = np.random.default_rng(seed)
    again = smooth * (1 + draw.choice(errors, (_DRAWS, len(errors))))
    drawn = _solve(load, np.maximum(again, 1e-3 * smooth))
    top = 2 * float(load.max())
    peak_at, peak = _peak(best)
    peaks = [_peak(one) for one in drawn]
    seen = [value for at, value in peaks if at is not None and value is not None]
    if peak_at is not None and len(seen) < 0.975 * len(peaks):
        peak_at = peak = None  # too many of the fits have none
    if peak_at is not None:
        top = max(top, 1.2 * min(peak_at, 4 * float(load.max())))
    grid = np.linspace(min(float(load.min()), 1.0) / 2, top, 80)
    curves = np.array([throughput(one, grid) for one in drawn])
    return Fit(
        float(1 / best[0]), float(best[1] / best[0]), float(best[2] / best[0]), r2,
        _range(1 / drawn[:, 0]), _range(drawn[:, 1] / drawn[:, 0]),
        _range(drawn[:, 2] / drawn[:, 0]), peak_at, peak,
        _range(np.array(seen)) if peak_at is not None else None,
        grid, throughput(best, grid), np.percentile(curves, [2.5, 97.5], axis=0))


def _peak(parameters: Floats) -> tuple[float | None, float | None]:
    """Return where the throughput is highest, and how high."""
    one, sigma, kappa = parameters
    if kappa <= 1e-12 * one or sigma >= one:
        return None, None
    at = float(np.sqrt((one - sigma) / kappa))
    return at, float(throughput(parameters, np.array([at]))[0])


def _range(values: Floats) -> tuple[float, float]:
    low, high = np.percentile(values, [2.5, 97.5])
    return float(low), float(high)
