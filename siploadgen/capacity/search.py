"""What every search for a rate has in common: trials, their answers, and what is found.

A search is pure: it is asked for the next trial, told how that ended, and asked again. It neither
plays nor waits, so that it can be held against any model of a target.
"""

from dataclasses import dataclass
from typing import Literal, Protocol

Answer = Literal["met", "missed", "limited"]
# found: the rate lies between two that were tried; most: the highest rate allowed was met; none:
# the lowest was missed; limited: the generator came to its end before the target did;
# unfinished: somebody stopped the search.
State = Literal["found", "most", "none", "limited", "unfinished"]


@dataclass(frozen=True, slots=True)
class Trial:
    """What to play: starts a second, for seconds; or exactly `attempts` of them."""

    rate: float
    duration_s: float
    attempts: int | None = None


@dataclass(frozen=True, slots=True)
class Told:
    """How a trial ended.

    `limited` says that the generator, not the target, made the numbers: nothing is known of the
    target then. `good_per_s` are the calls a second that ended well, None when nobody knows.
    """

    answer: Answer
    good_per_s: float | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """What a search knows: the highest rate met, the lowest missed, and the generator's limit."""

    state: State
    rate: float | None = None
    missed: float | None = None
    limit: float | None = None
    conditional_per_s: float | None = None  # what ended well at `rate` in the trial that decides

    @property
    def answered(self) -> bool:
        """True when the target, not the generator or its user, bounds the rate."""
        return self.state in ("found", "none")


class Search(Protocol):
    """A way to find the rate."""

    def ask(self) -> Trial | None:
        """Return the next trial; None when the search is over."""

    def tell(self, told: Told) -> None:
        """Take in how the trial asked for last has ended."""

    def finding(self) -> Finding:
        """Return what is known so far."""

    def describe(self) -> dict[str, object]:
        """Return the method and its parameters, as the report prints them."""


def run_search(search: Search, play: "Play") -> Finding:
    """Carry a search out with a target that can be asked: `play` is a function of the trial.

    >>> from siploadgen.capacity.step import StepSearch
    >>> carries = lambda trial: Told("met" if trial.rate <= 250 else "missed")
    >>> run_search(StepSearch(start=100, step=100, most=1000, duration_s=1), carries).rate
    200
    """
    while (trial := search.ask()) is not None:
        search.tell(play(trial))
    return search.finding()


class Play(Protocol):
    """Whatever plays a trial."""

    def __call__(self, trial: Trial, /) -> Told:
        """Play it."""
