"""Who watches a run."""

from typing import Any, Protocol

from siploadgen.figures import Sample


class Observer(Protocol):
    """What the runner tells whoever watches."""

    @property
    def live(self) -> bool:
        """True when every tick is wanted; a sample costs a copy of the engines' arrays."""

    def tick(self, sample: Sample) -> None:
        """Look at a sample, several times a second."""

    def interval(self, sample: Sample) -> bool:
        """Keep a sample: one a second, and one at the end. True: the run is to stop."""

    def failures(self, failures: list[dict[str, Any]]) -> None:
        """Keep failures that the engines traced."""


class Silent:
    """An observer that looks away."""

    live = False

    def tick(self, sample: Sample) -> None:
        """Ignore it."""

    def interval(self, sample: Sample) -> bool:  # noqa: ARG002
        """Ignore it."""
        return False

    def failures(self, failures: list[dict[str, Any]]) -> None:
        """Ignore them."""
