"""Due times from a file: when calls started once, to be played again with their data."""

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from siploadgen.errors import ScenarioError, UsageError
from siploadgen.load.rows import Cells, Rows, read_cells, rows_from_columns
from siploadgen.units import NANOS, format_duration, parse_duration

TIME, CALL = "at", "call"
_TIME_NAMES = (TIME, "time", "t", "due", "start", "timestamp")
_SECONDS = re.compile(r"\d+(\.\d*)?([eE][+-]?\d+)?|\.\d+")
# A time later than this is a date, in seconds since 1970, or a mistake.
_FAR_NS = 366 * 86_400 * NANOS


@dataclass(frozen=True, slots=True)
class Trace:
    """Times of a file in ns, sorted, with what else stands in its lines."""

    times_ns: NDArray[np.int64] = field(repr=False)
    rows: Rows  # the other columns, a row for each call; no columns if there are none
    models: tuple[str, ...]  # names in the column `call`, each once; none without that column
    model: NDArray[np.uint16] = field(repr=False)  # for each call an index of `models`
    places: NDArray[np.uint32] = field(repr=False)  # line of the first use of each model
    path: str = ""

    def model_of(self, numbers: NDArray[np.uint64], known: Sequence[str]) -> NDArray[np.uint16]:
        """Index in `known` of the model of each call.

        Raises ScenarioError with file:line for a name that is not known.
        """
        places = [self._find(index, known) for index in range(len(self.models))]
        if not len(numbers):
            return np.empty(0, np.uint16)
        table = np.array(places, np.uint16)
        return table[self.model[numbers.astype(np.int64)]]

    def _find(self, index: int, known: Sequence[str]) -> int:
        name = self.models[index]
        if name in known:
            return list(known).index(name)
        close = difflib.get_close_matches(name, known, n=1)
        mend = f'did you mean "{close[0]}"?' if close else f"known: {', '.join(known)}"
        raise ScenarioError(f'{self.path}:{self.places[index]}: no call model "{name}"; {mend}')


def read_trace(
    file: str | Path, speed: float = 1.0, origin: Literal["zero", "first"] = "zero"
) -> Trace:
    """Read a CSV file of due times, in order.

    Times are seconds (`0.25`) or durations (`250ms`), in the column `at` or else the first one. A
    first line whose first cell is no time names the columns; without it further columns are
    `field1`, `field2` ... With `origin="first"` times are counted from the first one.
    Raises ScenarioError with file:line.
    """
    cells = read_cells(file, _names)
    column = next((cells.names.index(name) for name in _TIME_NAMES if name in cells.names), 0)
    times = _times(cells, column)
    _check_times(cells, times, origin)
    if origin == "first":
        times -= times[0]
    if speed != 1.0:
        times = np.rint(times / speed).astype(np.int64)
    rest = [i for i, name in enumerate(cells.names) if i != column and name != CALL]
    rows = rows_from_columns([cells.names[i] for i in rest],
                             [[row[i] for row in cells.rows] for i in rest])
    if not rest:
        rows = Rows(len(times), (), [], [])
    models, model, places = _models(cells)
    return Trace(times, rows, models, model, places, str(file))


def _names(first: Sequence[str]) -> Sequence[str] | None:
    """Names of the columns, or None if the first line is a call already."""
    if not _is_time(first[0]):
        return None
    return [TIME, *(f"field{i}" for i in range(1, len(first)))]


def _is_time(text: str) -> bool:
    return bool(_SECONDS.fullmatch(text)) or bool(re.match(r"\d", text))


def _times(cells: Cells, column: int) -> NDArray[np.int64]:
    texts = [row[column] for row in cells.rows]
    try:  # the quick way, when all of them are plain seconds
        if all(_SECONDS.fullmatch(text) for text in texts):
            return np.rint(np.array(texts, np.float64) * NANOS).astype(np.int64)
    except (ValueError, OverflowError):
        pass
    result = np.empty(len(texts), np.int64)
    for index, text in enumerate(texts):
        place = f"{cells.path}:{cells.lines[index]}"
        try:
            nanos = (round(float(text) * NANOS) if _SECONDS.fullmatch(text)
                     else parse_duration(text, "time"))
        except UsageError:
            raise ScenarioError(f'{place}: "{text}" is no time; write seconds such as 12.5, or '
                                "12s500ms") from None
        result[index] = min(nanos, 2**62)
    return result


def _check_times(cells: Cells, times: NDArray[np.int64], origin: str) -> None:
    down = np.flatnonzero(np.diff(times) < 0)
    if len(down):
        index = int(down[0]) + 1
        raise ScenarioError(
            f"{cells.path}:{cells.lines[index]}: {times[index] / NANOS:g} s is before the line "
            f"above ({times[index - 1] / NANOS:g} s); sort the file by its times")
    length = int(times[-1]) - (int(times[0]) if origin == "first" else 0)
    if length > _FAR_NS:
        mend = ("times are those of the run; count them from the first one by origin: first"
                if origin == "zero" else "no run is longer than a year")
        raise ScenarioError(f"{cells.path}:{cells.lines[-1]}: due after "
                            f"{format_duration(length)}; {mend}")


def _models(cells: Cells) -> tuple[tuple[str, ...], NDArray[np.uint16], NDArray[np.uint32]]:
    if CALL not in cells.names:
        return (), np.zeros(0, np.uint16), np.zeros(0, np.uint32)
    column = cells.names.index(CALL)
    index: dict[str, int] = {}
    lines: list[int] = []
    model = np.empty(len(cells.rows), np.uint16)
    for at, row in enumerate(cells.rows):
        name = row[column]
        if name not in index:
            if not name:
                raise ScenarioError(f"{cells.path}:{cells.lines[at]}: no call model; name one")
            if len(index) == 65_535:
                raise ScenarioError(f"{cells.path}:{cells.lines[at]}: more than 65,535 names of "
                                    "call models")
            index[name] = len(index)
            lines.append(cells.lines[at])
        model[at] = index[name]
    return tuple(index), model, np.array(lines, np.uint32)
