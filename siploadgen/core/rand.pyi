"""Random numbers: xoshiro256** seeded by splitmix64."""

from typing import Self, final

@final
class Random:
    """One seeded generator, for tests. `seed` is 64 bits."""

    def __new__(cls, seed: int) -> Self: ...
    def next(self) -> int:
        """64 random bits."""
    def unit(self) -> float:
        """Uniform in [0, 1)."""
    def below(self, n: int) -> int:
        """Uniform in 0 .. n - 1; ValueError for n = 0."""
    def normal(self) -> float:
        """Draw from the normal distribution of mean 0 and deviation 1."""
    def draws(self, kind: str, shape: float, count: int) -> list[float]:
        """Deviates as a call draws them: unit, normal, exponential, gamma, weibull or pareto.

        Scale 1; `shape` is that of the last three. KeyError: another kind.
        """
    def exponential(self) -> float:
        """Draw from the exponential distribution of mean 1."""
