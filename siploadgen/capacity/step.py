"""Plain steps: up by a fixed amount until a trial misses its goals."""

from siploadgen.capacity.search import Finding, State, Told, Trial
from siploadgen.errors import UsageError


class StepSearch:
    """Rates from `start` by `step` to `most`, each for `duration_s`; the first miss ends it."""

    def __init__(self, *, start: float, step: float, most: float, duration_s: float) -> None:
        if not 0 < start <= most:
            raise UsageError(f"--start: above 0 and at most --max ({most:g}/s)")
        if step <= 0:
            raise UsageError("--step: must be above 0")
        self._start, self._step, self._most, self._duration_s = start, step, most, duration_s
        self._tried = 0
        self._met: float | None = None
        self._good: float | None = None
        self._missed: float | None = None
        self._limit: float | None = None

    def _rate(self) -> float:
        return min(self._start + self._tried * self._step, self._most)

    def ask(self) -> Trial | None:
        """Return the next step."""
        if self._missed is not None or self._limit is not None or self._met == self._most:
            return None
        return Trial(self._rate(), self._duration_s)

    def tell(self, told: Told) -> None:
        """Go up, or end."""
        rate = self._rate()
        self._tried += 1
        match told.answer:
            case "met":
                self._met, self._good = rate, told.good_per_s
            case "missed":
                self._missed = rate
            case "limited":
                self._limit = rate

    def finding(self) -> Finding:
        """Return the last step that was met."""
        state: State = "unfinished"
        if self._limit is not None:
            state = "limited"
        elif self._missed is not None:
            state = "none" if self._met is None else "found"
        elif self._met == self._most:
            state = "most"
        return Finding(state, self._met, self._missed, self._limit, self._good)

    def describe(self) -> dict[str, object]:
        """Return the parameters."""
        return {"method": "step", "start_per_s": self._start, "step_per_s": self._step,
                "most_per_s": self._most, "trial_s": self._duration_s}
