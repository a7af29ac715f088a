"""Multiple loss ratio search (the IETF's draft-ietf-bmwg-mlrsearch-15): short trials first.

A load is classed by all its trials together, and for each target in turn: those before the last
have shorter trials and wider bounds, and only lead to where the long trials begin. The goals of
the trial stand in the place of the draft's loss ratio: met is low loss, missed is high loss.

Why not the MLRsearch package of FD.io, which the tests hold these rules against: what it is told
of a trial is a loss ratio, so a trial that the generator spoilt ("limited", nothing is known of the
target, nothing may be played above) has no place in it; goals are about latencies as well; its
first trial is at the highest rate, which can kill a SIP server; it gives up when the lowest rate is
missed or time is over, without what it knows; and it calls the measurement, so that no other search
could be played the same way. Its one release of this algorithm, of 2023, calls itself alpha.
"""

import math
from dataclasses import dataclass

from siploadgen.capacity.search import Finding, State, Told, Trial
from siploadgen.errors import UsageError

PRECEDING = 2  # targets before the last one
EXPAND = 2.0  # how far the first target goes at once for want of a bound
PASSING = 2  # times that the generator may be the limit at a load below one where it was not
DIGITS = 4  # significant digits of a load


@dataclass(frozen=True, slots=True)
class Target:
    """A search goal, or one that precedes it. Times in seconds, width and exceed ratio as shares.

    A load is a lower bound when trials as long as `duration_s`, `sum_s` together, miss their goals
    for at most `exceed` of that time.
    """

    duration_s: float
    sum_s: float
    width: float
    exceed: float


@dataclass(frozen=True, slots=True)
class Measured:
    """One trial of a load."""

    duration_s: float
    met: bool
    good_per_s: float | None = None


def classify(trials: list[Measured], target: Target) -> bool | None:
    """Tell whether a load is a lower bound (True), an upper one (False), or undecided.

    The rule of the draft: short misses count as far as short hits do not balance them, and what is
    not measured yet could go either way.

    >>> best_of_three = Target(5, 15, 0.01, 1 / 3)
    >>> met, missed = Measured(5, True), Measured(5, False)
    >>> [classify(some, best_of_three) for some in ([met], [met, met], [missed, met, missed])]
    [None, True, False]
    """
    full_low = sum(one.duration_s for one in trials if _full(one, target) and one.met)
    full_high = sum(one.duration_s for one in trials if _full(one, target) and not one.met)
    short_low = sum(one.duration_s for one in trials if not _full(one, target) and one.met)
    short_high = sum(one.duration_s for one in trials if not _full(one, target) and not one.met)
    balancing = short_low * target.exceed / (1 - target.exceed)
    high = full_high + max(0.0, short_high - balancing)
    whole = max(high + full_low, target.sum_s)
    allowed = whole * target.exceed * (1 + 1e-9)
    optimistic, pessimistic = high <= allowed, whole - full_low <= allowed
    return optimistic if optimistic == pessimistic else None


def _full(one: Measured, target: Target) -> bool:
    return one.duration_s >= target.duration_s * (1 - 1e-9)


class MlrSearch:
    """Search between two rates for the highest that meets its goals.

    Bounds end up at most `width` apart, relative to the lower. Nothing is played above a rate at
    which the generator was the limit: when the target has no upper bound below, there is no answer.
    """

    def __init__(
        self, *, most: float, least: float = 1.0, start: float | None = None, width: float = 0.01,
        initial_s: float = 1.0, final_s: float = 5.0, sum_s: float | None = None,
        exceed: float = 1 / 3,
    ) -> None:
        sum_s = 3 * final_s if sum_s is None else sum_s
        if not 0 < least < most:
            raise UsageError(f"--min {least:g}/s: above 0 and below --max ({most:g}/s)")
        if not 0.001 <= width <= 0.5:
            raise UsageError("--precision: from 0.1% to 50%")
        if not 0 < initial_s <= final_s <= sum_s:
            raise UsageError("--trial: the first trials are the shortest, and --trial-sum is at "
                             "least as long as the last")
        if not 0 <= exceed < 1:
            raise UsageError("--exceed: from 0 to below 100%")
        self._least, self._most = _rounded(least), _rounded(most)
        self._start = _rounded(min(max(start or most / 64, least), most))
        self._targets = []
        for left in range(PRECEDING, -1, -1):
            share = left / PRECEDING
            duration = final_s * (initial_s / final_s) ** share
            whole = sum_s * (initial_s / sum_s) ** share
            self._targets.append(Target(duration, whole, width * 2 ** left, exceed))
        self._loads: dict[float, list[Measured]] = {}
        self._cap: float | None = None  # lowest rate at which the generator was the limit
        self._spoilt: dict[float, int] = {}  # how often it was, by load
        self._stage = 0
        self._asked: Trial | None = None
        self._hint: float | None = None
        self._wide = 1.0  # how many widths the next step outward takes
        self._state: State = "unfinished"

    def _class(self, load: float) -> bool | None:
        return classify(self._loads[load], self._targets[self._stage])

    def _bounds(self) -> tuple[float | None, float | None]:
        """Return the relevant bounds: the lowest upper one, and the highest lower one below it."""
        upper = min((load for load in self._loads if self._class(load) is False), default=None)
        lower = max((load for load in self._loads if self._class(load) is True
                     and (upper is None or load < upper)), default=None)
        return lower, upper

    def ask(self) -> Trial | None:
        """Return the trial that tells most; None when both bounds are near enough."""
        while self._state == "unfinished":
            load = self._undecided()
            if load is None:
                load = self._candidate()
            if load is not None:
                self._asked = Trial(load, self._targets[self._stage].duration_s)
                return self._asked
            if self._state == "unfinished":
                self._deeper()
        return None

    def _undecided(self) -> float | None:
        """Return the load played last when one more trial is needed to class it."""
        if self._asked is None or self._asked.rate not in self._loads:
            return None
        load = self._asked.rate
        if self._cap is not None and load >= self._cap:
            return None
        return load if self._class(load) is None else None

    def _candidate(self) -> float | None:
        """Return the next load of this target; None when its bounds are near enough."""
        lower, upper = self._bounds()
        width = self._targets[self._stage].width
        top = min(bound for bound in (upper, self._cap, math.inf) if bound is not None)
        if lower is None and top == math.inf:
            return self._begin()
        if lower is None:
            if top <= self._least:
                self._state = "none" if upper is not None and upper <= top else "limited"
                return None
            return self._outward(top, down=True)
        if top == math.inf:
            return None if lower >= self._most else self._outward(lower, down=False)
        if top / lower <= 1 + width:
            return None
        return self._between(lower, top, width)

    def _begin(self) -> float:
        """Return the first load of a target: where the one before it ended, or the start."""
        if self._stage == 0:
            return self._start
        self._stage -= 1
        lower, upper = self._bounds()
        self._stage += 1
        return lower or upper or self._start

    def _outward(self, bound: float, down: bool) -> float:
        """Return a load further out, each time twice as far."""
        factor = EXPAND if self._stage == 0 else 1 + self._targets[self._stage].width * self._wide
        self._wide *= 2
        if down and self._hint is not None and self._least <= self._hint < bound / factor ** 0.25:
            load, self._hint = self._hint, None
            return _rounded(load)
        load = bound / factor if down else bound * factor
        return _rounded(min(max(load, self._least), self._most))

    def _between(self, lower: float, upper: float, width: float) -> float | None:
        """Return a load between two bounds: what the target managed above, else the middle."""
        load = math.sqrt(lower * upper)
        if self._stage == 0 and self._hint is not None:
            hint, self._hint = self._hint, None
            if lower * (1 + width / 2) < hint < upper / (1 + width / 2):
                load = hint
        elif self._stage > 0:  # nothing is gained by narrower bounds than asked for
            load = max(load, upper / (1 + width)) if upper / lower < (1 + width) ** 2 else load
        load = _rounded(load)
        return load if lower < load < upper else None

    def _deeper(self) -> None:
        """Go on to the next target, or end."""
        if self._stage < len(self._targets) - 1:
            self._stage += 1
            self._wide = 1.0
            return
        lower, upper = self._bounds()
        if lower is None:
            self._state = "none"
        elif upper is not None and (self._cap is None or upper <= self._cap):
            self._state = "found"
        else:
            self._state = "limited" if self._cap is not None else "most"

    def tell(self, told: Told) -> None:
        """Keep the trial with its load."""
        assert self._asked is not None
        rate = self._asked.rate
        if told.answer == "limited":
            self._spoilt[rate] = self._spoilt.get(rate, 0) + 1
            # Where it was not the limit at more, its host was busy with something else for a while.
            passing = any(load >= rate for load in self._loads)
            if not passing or self._spoilt[rate] > PASSING:
                self._cap = rate if self._cap is None else min(self._cap, rate)
            return
        met = told.answer == "met"
        self._loads.setdefault(rate, []).append(
            Measured(self._asked.duration_s, met, told.good_per_s))
        good = told.good_per_s
        self._hint = good if not met and good is not None and good < rate else None

    def finding(self) -> Finding:
        """Return the relevant bounds of the target reached."""
        lower, upper = self._bounds()
        good = None if lower is None else conditional(
            self._loads[lower], self._targets[self._stage])
        return Finding(self._state, lower, upper, self._cap, good)

    def describe(self) -> dict[str, object]:
        """Return the search goal."""
        last = self._targets[-1]
        return {"method": "mlr", "least_per_s": self._least, "most_per_s": self._most,
                "start_per_s": self._start, "width": last.width,
                "initial_trial_s": self._targets[0].duration_s, "final_trial_s": last.duration_s,
                "duration_sum_s": last.sum_s, "exceed_ratio": last.exceed}


def _rounded(load: float) -> float:
    return round(load, DIGITS - 1 - math.floor(math.log10(load)))


def conditional(trials: list[Measured], target: Target) -> float | None:
    """Return what ended well a second in the worst trial that the exceed ratio does not leave out.

    Time that is not measured yet counts as trials in which nothing went well: those are left out
    first. None without a long trial that knows what went well; 0 when too little is measured.

    >>> best_of_three = Target(5, 15, 0.01, 1 / 3)
    >>> conditional([Measured(5, True, 99.0), Measured(5, True, 97.0)], best_of_three)
    97.0
    """
    full = sorted((one.good_per_s, one.duration_s) for one in trials
                  if _full(one, target) and one.good_per_s is not None)
    if not full:
        return None
    measured = sum(seconds for _, seconds in full)
    whole = max(target.sum_s, measured)
    left = whole * target.exceed * (1 + 1e-9) - (whole - measured)
    for good, seconds in full if left >= 0 else ():
        left -= seconds
        if left < 0:
            return good
    return 0.0
