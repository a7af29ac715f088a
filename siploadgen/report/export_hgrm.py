"""`--out hgrm=FOLDER`: a percentile distribution (.hgrm) of each latency, for plotters.

Values are in milliseconds, of the measured phases.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from siploadgen.errors import UsageError
from siploadgen.figures import Array, Figures
from siploadgen.report import histogram
from siploadgen.report.exports import Base
from siploadgen.report.metrics import Names

TICKS = 5  # lines for each halving of the distance to 100 %


class Distributions(Base):
    """Adds latencies up, and writes a file for each at the end."""

    def __init__(self, where: str, names: Names) -> None:
        """Make the folder. Raises UsageError."""
        self.place = where
        self._folder = Path(where)
        self._names = names
        self._held: dict[str, Array] = {}
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(f"--out hgrm={where}: {error.strerror}") from None

    def interval(self, row: Mapping[str, Any], figures: Figures) -> None:  # noqa: ARG002
        """Add an interval."""
        figures = self._names.part(figures)
        for name in self._names.latencies():
            counts = self._names.counts(figures, name)
            if counts.any():
                before = self._held.get(name)
                self._held[name] = counts.copy() if before is None else before + counts

    def finish(self, result: Mapping[str, Any]) -> None:  # noqa: ARG002
        """Write the files."""
        for name, counts in self._held.items():
            with (self._folder / f"{name}.hgrm").open("wb") as file:
                histogram.to_hdrh(counts).output_percentile_distribution(file, 1000.0, TICKS)
