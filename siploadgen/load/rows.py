"""Rows of user data, one for each call: from a CSV file or made up, as flat columns of bytes."""

import csv
import difflib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from siploadgen.errors import ScenarioError

# Other words for a column, in the order in which they are looked for.
_SYNONYMS = {
    "user": ("username", "user_name", "caller", "number"),
    "password": ("pass", "secret"),
}


@dataclass(frozen=True, slots=True)
class Rows:
    """Columns of text: cell r of column c is `blobs[c][offsets[c][r] : offsets[c][r + 1]]`."""

    count: int
    names: tuple[str, ...]
    blobs: list[bytes] = field(repr=False)  # may hold passwords
    offsets: list[NDArray[np.uint32]] = field(repr=False)

    def cell(self, column: int, row: int) -> bytes:
        """Text of one cell."""
        first, end = self.offsets[column][row : row + 2]
        return self.blobs[column][first:end]


def rows_from_columns(names: Sequence[str], columns: Sequence[Sequence[str]]) -> Rows:
    """Pack columns of equal length."""
    blobs, offsets = [], []
    for name, column in zip(names, columns, strict=True):
        cells = [text.encode() for text in column]
        ends = np.cumsum([0, *(len(cell) for cell in cells)], dtype=np.uint64)
        if int(ends[-1]) >= 2**32:
            raise ScenarioError(f'column "{name}": more than 4 GB of text')
        blobs.append(b"".join(cells))
        offsets.append(ends.astype(np.uint32))
    return Rows(len(columns[0]) if columns else 0, tuple(names), blobs, offsets)


def generated_users(columns: Sequence[str], count: int, password: str = "secret") -> Rows:
    """Make up users `user000001`, `user000002` ... who all have the same password.

    Columns that end in `password` hold it, others their own name and the number of the row.
    """
    width = max(6, len(str(count)))
    numbers = [f"{row:0{width}}" for row in range(1, count + 1)]
    return rows_from_columns(columns, [
        [password] * count if name.endswith("password")
        else [name.replace(".", "_") + number for number in numbers] for name in columns])


def column_names(path: str | Path) -> tuple[str, ...]:
    """Names of the columns of a CSV file, synonyms replaced; `user`, `password` for SIPp's files.

    Raises ScenarioError as `read_csv` does.
    """
    header, _ = _read(Path(path))
    standard = {word: name for name, words in _SYNONYMS.items() for word in words}
    return tuple(standard.get(name.lower(), name.lower()) for name in header.names)


def read_csv(path: str | Path, wanted: Sequence[str], seed: int = 1) -> Rows:
    """Rows of a CSV file, in the columns that a program wants.

    The first line names the columns, or it is one of SIPp's (`SEQUENTIAL`, `RANDOM`): then the
    columns are `user`, `password`, `field2` ... and `RANDOM` shuffles the rows by the seed.
    Columns are separated by commas, semicolons or tabs, whichever that line has most of. Empty
    lines and those that begin with `#` are skipped. Further columns are ignored.
    Raises ScenarioError with file:line.
    """
    header, cells = _read(Path(path))
    chosen = _choose(header.place, header.names, wanted)
    if header.shuffled:
        order = np.random.default_rng(seed).permutation(len(cells))
        cells = [cells[i] for i in order]
    return rows_from_columns(wanted, [[row[index] for row in cells] for index in chosen])


@dataclass(frozen=True, slots=True)
class _Header:
    place: str  # file:line
    names: tuple[str, ...]
    shuffled: bool


def _read(path: Path) -> tuple[_Header, list[list[str]]]:
    """Read a file: what its first line says, and its cells."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ScenarioError(f"{path}: {error.strerror or error}") from None
    except UnicodeDecodeError as error:
        line = path.read_bytes()[: error.start].count(b"\n") + 1
        raise ScenarioError(f"{path}:{line}: not UTF-8; convert the file") from None
    lines = [(number, line) for number, line in enumerate(text.split("\n"), 1)
             if line.strip() and not line.startswith("#")]
    if not lines:
        raise ScenarioError(f"{path}:1: empty; the first line names the columns")
    first_number, first = lines.pop(0)
    place = f"{path}:{first_number}"
    word = first.split(",", maxsplit=1)[0].strip().upper()
    sipp = word in ("SEQUENTIAL", "RANDOM")
    if first.rstrip("\r,; ") == "USER":
        raise ScenarioError(f"{place}: USER needs a fixed number of calls held up "
                            "at once, which this version does not have; use SEQUENTIAL or RANDOM")
    if not lines:
        raise ScenarioError(f"{place}: no rows below the first line")
    separator = _separator(lines[0][1] if sipp else first)
    cells = _split(path, lines, separator)
    if sipp:
        width = len(cells[0])
        names = ("user", "password", *(f"field{i}" for i in range(2, width)))[:width]
    else:
        names = tuple(name.strip() for name in _split(path, [(first_number, first)],
                                                      separator)[0])
    for (number, _), row in zip(lines, cells, strict=True):
        if len(row) != len(names):
            raise ScenarioError(f"{path}:{number}: {len(row)} columns where {len(names)} are "
                                "needed")
    return _Header(place, names, word == "RANDOM"), cells


def _separator(line: str) -> str:
    """Return the separator of a line: whichever of `,` `;` and tab it holds most of."""
    return max(",;\t", key=line.count)


def _split(path: Path, lines: Sequence[tuple[int, str]], separator: str) -> list[list[str]]:
    """Cells of each line; control characters would break the messages that the cells go into."""
    result = []
    for number, line in lines:
        try:
            row = next(csv.reader([line.rstrip("\r")], delimiter=separator, strict=True))
        except csv.Error as error:
            raise ScenarioError(f"{path}:{number}: {error}") from None
        for cell in row:
            if any(ord(character) < 32 or ord(character) == 127 for character in cell):
                raise ScenarioError(f"{path}:{number}: a control character in a cell")
        result.append([cell.strip() for cell in row])
    return result


def _choose(place: str, header: Sequence[str], wanted: Sequence[str]) -> list[int]:
    """Return the position of each wanted column in the header."""
    known = {name.lower(): index for index, name in reversed(list(enumerate(header)))}
    if len(known) < len(header):
        twice = next(name for name in header if [h.lower() for h in header].count(name.lower()) > 1)
        raise ScenarioError(f'{place}: two columns are named "{twice}"')
    chosen = []
    for name in wanted:
        candidates = (name.lower(), *_SYNONYMS.get(name.lower(), ()))
        index = next((known[c] for c in candidates if c in known), None)
        if index is None:
            close = difflib.get_close_matches(name.lower(), known, n=1)
            mend = f'did you mean it to be "{close[0]}"?' if close else "add it"
            raise ScenarioError(f'{place}: no column "{name}", which the model needs; {mend} '
                                f"(columns: {', '.join(header)})")
        chosen.append(index)
    return chosen
