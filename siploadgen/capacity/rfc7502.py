"""The search of RFC 7502 4.10: to the letter, but for the generator's limit and a highest rate."""

from fractions import Fraction
from math import floor

from siploadgen.capacity.search import Finding, State, Told, Trial
from siploadgen.errors import UsageError

ATTEMPTS, RATE, INCREASE = 50_000, 100, "0.10"  # N, r and w as the RFC has them
LEAST = Fraction(1, 10)  # neither w nor d ever falls below
CONFIRMATIONS = 10


class Rfc7502Search:
    """Raise the rate r by w while all N attempts succeed, lower it by d when one fails.

    `increase` is a text or a fraction, 0 < w <= 1: r is a whole number, and floor() of a rounded
    product would be one too low at times. Raises UsageError for rates that w cannot raise.
    """

    def __init__(
        self, *, attempts: int = ATTEMPTS, rate: int = RATE, increase: str | Fraction = INCREASE,
        most: float | None = None,
    ) -> None:
        self._w = Fraction(increase)
        if attempts < 1 or rate < 1:
            raise UsageError("--attempts and --start: whole numbers, at least 1")
        if not 0 < self._w <= 1:
            raise UsageError(f"--increase {float(self._w):g}: above 0 and at most 1")
        if floor(rate + self._w * rate) == rate:
            raise UsageError(
                f"--start {rate}: floor({rate} + {float(self._w):g} * {rate}) is {rate} again, so "
                f"the rate would never rise (RFC 7502 4.10); begin at {floor(1 / self._w) + 1} "
                "or above")
        if most is not None and rate > most:
            raise UsageError(f"--start {rate}: above --max ({most:g}/s)")
        self._d = max(LEAST, self._w / 2)
        self._given = {"method": "rfc7502", "N": attempts, "r": rate, "w": float(self._w),
                       "d": float(self._d), "confirmations": CONFIRMATIONS, "most_per_s": most}
        self._attempts, self._r, self._most = attempts, rate, most
        self._old_r = 0
        self._count = 0
        self._good: float | None = None
        self._missed: set[int] = set()
        self._limit: float | None = None
        self._state: State = "unfinished"

    def ask(self) -> Trial | None:
        """Return the next N attempts."""
        if self._state != "unfinished":
            return None
        return Trial(self._r, self._attempts / self._r, self._attempts)

    def tell(self, told: Told) -> None:
        """Change r, and d and w after a failure."""
        if told.answer == "limited":
            self._limit, self._state = float(self._r), "limited"
        elif told.answer == "met":
            self._rise(told)
        else:
            self._missed.add(self._r)
            self._r = floor(self._r - self._d * self._r)
            self._d = max(LEAST, self._d / 2)
            self._w = max(LEAST, self._w / 2)
            if self._r < 1:
                self._state = "none" if not self._old_r else "found"

    def _rise(self, told: Told) -> None:
        if self._r > self._old_r:
            self._old_r, self._good = self._r, told.good_per_s
            if self._r == self._most:
                self._state = "most"
        else:
            self._count += 1
            if self._count >= CONFIRMATIONS:
                self._state = "found"
        self._r = floor(self._r + self._w * self._r)
        if self._most is not None:
            self._r = min(self._r, floor(self._most))

    def finding(self) -> Finding:
        """Return the benchmark: the highest r at which all attempts succeeded."""
        above = min((rate for rate in self._missed if rate > self._old_r), default=None)
        return Finding(self._state, float(self._old_r) if self._old_r else None,
                       None if above is None else float(above), self._limit, self._good)

    def describe(self) -> dict[str, object]:
        """Return N, r, w and d as they were at the start."""
        return dict(self._given)
