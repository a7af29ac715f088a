"""Rows of user data, one for each call: from a CSV file or made up, as flat columns of bytes."""

import csv
import difflib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from siploadgen.errors import ScenarioError

# Other words for a column, in the order in which they are looked for.
_SYNONYMS = {
    "user": ("username", "user_name", "caller", "number"),
    "password": ("pass", "secret"),
}
_OPEN_QUOTE = 'a quote that is not closed on its line; write a quote in a cell as ""'
MAX_ROWS = 2**32 - 1
CONTROL = re.compile(r"[\x00-\x1f\x7f]")  # what a cell must not hold
_SIPP_ORDERS: dict[str, Literal["sequential", "random", "user"]] = {
    "SEQUENTIAL": "sequential", "RANDOM": "random", "USER": "user"}
_PRINTF = re.compile(r"%(?:%|-?[0-9]{0,3}(?:\.[0-9]{1,3})?d)")


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

    def prefixed(self, name: str) -> "Rows":
        """Return the same table under names that begin with `name.`, as templates write them.

        >>> generated_users(["user"], 1).prefixed("callee").names
        ('callee.user',)
        """
        return Rows(self.count, tuple(f"{name}.{column}" for column in self.names), self.blobs,
                    self.offsets)

    def is_table_of(self, other: "Rows") -> bool:
        """Whether the rows are those of the other table, under whatever names."""
        return self.count == other.count and any(
            mine is theirs and len(mine) > 1 for mine in self.blobs for theirs in other.blobs)


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


def joined(tables: Sequence[Rows]) -> tuple[Rows, tuple[int, ...]]:
    """Put tables below each other; where each begins. A column that one does not have is empty.

    >>> one, other = rows_from_columns(["a"], [["1"]]), rows_from_columns(["b"], [["2", "3"]])
    >>> rows, starts = joined([one, other])
    >>> rows.names, rows.count, starts, rows.cell(1, 0), rows.cell(1, 2)
    (('a', 'b'), 3, (0, 1), b'', b'3')
    """
    if len(tables) == 1:
        return tables[0], (0,)
    names = tuple(dict.fromkeys(name for rows in tables for name in rows.names))
    starts = tuple(int(one) for one in np.cumsum([0, *(rows.count for rows in tables)])[:-1])
    blobs, offsets = [], []
    for name in names:
        pieces, ends, at = [], [np.zeros(1, np.uint64)], 0
        for rows in tables:
            if name in rows.names:
                column = rows.names.index(name)
                pieces.append(rows.blobs[column])
                ends.append(rows.offsets[column][1:].astype(np.uint64) + np.uint64(at))
                at += len(rows.blobs[column])
            else:
                ends.append(np.full(rows.count, at, np.uint64))
        if at >= 2**32:
            raise ScenarioError(f'column "{name}": more than 4 GB of text')
        blobs.append(b"".join(pieces))
        offsets.append(np.concatenate(ends).astype(np.uint32))
    return Rows(sum(rows.count for rows in tables), names, blobs, offsets), starts


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
    return tuple(standard_name(name) for name in read_cells(path).names)


def standard_name(name: str) -> str:
    """Lower-case name of a column, synonyms replaced.

    >>> standard_name("Username")
    'user'
    """
    standard = {word: known for known, words in _SYNONYMS.items() for word in words}
    return standard.get(name.lower(), name.lower())


SYNONYMS = tuple(_SYNONYMS)


def synonym(known: str, names: Sequence[str]) -> int | None:
    """Index of the column that `user` or `password` stands for, if none has that name itself."""
    if known in names:
        return None
    return next((names.index(word) for word in _SYNONYMS[known] if word in names), None)


def read_csv(path: str | Path, wanted: Sequence[str], seed: int = 1) -> Rows:
    """Rows of a CSV file, in the columns that a program wants.

    The first line names the columns, or it is one of SIPp's (`SEQUENTIAL`, `RANDOM`): then
    the columns are `user`, `password`, `field2` ... and `RANDOM` shuffles the rows by the seed.
    Columns are separated by commas, semicolons or tabs, whichever that line has most of. Empty
    lines and those that begin with `#` are skipped. Further columns are ignored.
    Raises ScenarioError with file:line.
    """
    table = read_cells(path)
    if table.order == "user":
        raise ScenarioError(f"{table.place}: USER gives a line to each of a fixed number of calls "
                            "held up at once; use SEQUENTIAL or RANDOM here")
    chosen = choose_columns(table.place, table.names, wanted)
    cells = table.rows
    if table.order == "random":
        order = np.random.default_rng(seed).permutation(len(cells))
        cells = [cells[i] for i in order]
    return rows_from_columns(wanted, [[row[index] for row in cells] for index in chosen])


@dataclass(frozen=True, slots=True)
class Cells:
    """A CSV file as it stands: names of columns, cells, and the line of each row."""

    path: str
    place: str  # file:line of what names the columns
    names: tuple[str, ...]
    rows: list[list[str]] = field(repr=False)  # may hold passwords
    lines: list[int] = field(repr=False)
    order: Literal["sequential", "random", "user"] = "sequential"  # what SIPp's first line says
    sipp: bool = False  # whether it is a file of SIPp's, whose columns have no names


# How the first line names the columns: its cells -> names if it does not, but is a row already.
Header: TypeAlias = Callable[[Sequence[str]], Sequence[str] | None]


def read_cells(path: str | Path, header: Header | None = None) -> Cells:
    """Read a CSV file, or one of SIPp's with `PRINTF` too.

    `header` looks at the cells of the first line, where that is not SIPp's.
    Raises ScenarioError with file:line.
    """
    lines = _lines(Path(path))
    first_number, first = lines[0]
    place = f"{path}:{first_number}"
    if _is_sipp(first):
        if len(lines) == 1:
            raise ScenarioError(f"{place}: no rows below the first line")
        return _sipp(Path(path), place, first, lines[1:])
    separator = _separator(first)
    top = _split(path, lines[:1], separator)[0]
    names = header(top) if header else None
    if names is None:
        names = top
        lines = lines[1:]
        if not lines:
            raise ScenarioError(f"{place}: no rows below the first line")
    rows = _split(path, lines, separator, len(names))
    return Cells(str(path), place, tuple(names), rows, [number for number, _ in lines])


def _is_sipp(first: str) -> bool:
    """Tell a first line of SIPp's. `USER` alone may not be followed by names of columns."""
    words = [word.strip() for word in re.split("[,;]", first)]
    if words[0] == "USER":
        return all(not word or word.startswith("PRINTF") for word in words[1:])
    return words[0].upper() in ("SEQUENTIAL", "RANDOM")


def _lines(path: Path) -> list[tuple[int, str]]:
    """Read number and text of each line that says something."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ScenarioError(f"{path}: {error.strerror or error}") from None
    except UnicodeDecodeError as error:
        line = path.read_bytes()[: error.start].count(b"\n") + 1
        raise ScenarioError(f"{path}:{line}: not UTF-8; convert the file") from None
    lines = [(number, line.rstrip("\r")) for number, line in enumerate(text.split("\n"), 1)
             if line.strip() and not line.startswith("#")]
    if not lines:
        raise ScenarioError(f"{path}:1: empty; the first line names the columns")
    return lines


def _sipp(path: Path, place: str, first: str, lines: list[tuple[int, str]]) -> Cells:
    """Read what follows a first line of SIPp's."""
    words = [word.strip() for word in re.split("[,;]", first)]
    printf = {"PRINTF": 0, "PRINTFOFFSET": 0, "PRINTFMULTIPLE": 1}
    for word in words[1:]:
        name, equals, value = word.partition("=")
        if name.strip().upper() not in printf:
            if word.upper().startswith("PRINTF") or equals:
                raise ScenarioError(f'{place}: "{word}" is not known; SIPp has PRINTF=LINES, '
                                    "PRINTFOFFSET=NUMBER and PRINTFMULTIPLE=NUMBER")
            continue
        if not value.strip().isdigit():
            raise ScenarioError(f'{place}: "{word}": a whole number must follow, as in '
                                f"{name.upper()}=1000")
        printf[name.strip().upper()] = int(value)
        if name.strip().upper() == "PRINTF" and not 1 <= int(value) <= MAX_ROWS:
            raise ScenarioError(f'{place}: "{word}": from 1 to {MAX_ROWS:,} lines')
    rows = _split(path, lines, _separator(lines[0][1]))
    width = len(rows[0])
    _check_width(path, lines, rows, width)
    numbers = [number for number, _ in lines]
    if any(word.partition("=")[0].strip().upper() == "PRINTF" for word in words[1:]):
        rows, numbers = _printed(path, rows, numbers, printf)
    names = ("user", "password", *(f"field{i}" for i in range(2, width)))[:width]
    return Cells(str(path), place, names, rows, numbers, _SIPP_ORDERS[words[0].upper()], True)


def _printed(
    path: Path, rows: list[list[str]], lines: list[int], printf: dict[str, int]
) -> tuple[list[list[str]], list[int]]:
    """Rows of SIPp's PRINTF: line n of the file, over and over, with a number for each `%d`."""
    for row, line in zip(rows, lines, strict=True):
        for cell in row:
            if "%" in _PRINTF.sub("", cell):
                raise ScenarioError(f"{path}:{line}: a % that begins no number; write it %%, or "
                                    "%d, %06d")
    result = []
    for number in range(printf["PRINTF"]):
        value = printf["PRINTFOFFSET"] + number * printf["PRINTFMULTIPLE"]
        result.append([_filled(cell, value) for cell in rows[number % len(rows)]])
    return result, [lines[number % len(lines)] for number in range(printf["PRINTF"])]


def _filled(cell: str, value: int) -> str:
    if "%" not in cell:
        return cell
    return _PRINTF.sub(lambda found: "%" if found[0] == "%%" else found[0] % value, cell)


def _separator(line: str) -> str:
    """Return the separator of a line: whichever of `,` `;` and tab it holds most of."""
    return max(",;\t", key=line.count)


def _split(
    path: str | Path, lines: Sequence[tuple[int, str]], separator: str, width: int | None = None
) -> list[list[str]]:
    """Cells of each line; control characters would break the messages that the cells go into."""
    reader = csv.reader([line for _, line in lines], delimiter=separator, strict=True)
    rows: list[list[str]] = []
    while len(rows) < len(lines):
        number = lines[len(rows)][0]
        try:
            row = next(reader)
        except csv.Error as error:
            open_quote = "unexpected end" in str(error)
            raise ScenarioError(f"{path}:{number}: {_OPEN_QUOTE if open_quote else error}"
                                ) from None
        if reader.line_num != len(rows) + 1:
            raise ScenarioError(f"{path}:{number}: {_OPEN_QUOTE}")
        if CONTROL.search("".join(row)):
            raise ScenarioError(f"{path}:{number}: a control character in a cell")
        rows.append([cell.strip() for cell in row])
    if width is not None:
        _check_width(path, lines, rows, width)
    return rows


def _check_width(
    path: str | Path, lines: Sequence[tuple[int, str]], rows: list[list[str]], width: int
) -> None:
    for (number, _), row in zip(lines, rows, strict=True):
        if len(row) != width:
            raise ScenarioError(f"{path}:{number}: {len(row)} columns where {width} are needed")


def choose_columns(
    place: str, header: Sequence[str], wanted: Sequence[str], why: str = ", which the model needs"
) -> list[int]:
    """Return the position of each wanted column in the header, synonyms allowed."""
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
            mend = f'did you mean {"it to be " if why else ""}"{close[0]}"?' if close else "add it"
            raise ScenarioError(f'{place}: no column "{name}"{why}; {mend} '
                                f"(columns: {', '.join(header)})")
        chosen.append(index)
    return chosen
