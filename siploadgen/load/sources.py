"""Tables of data from files and from Python: CSV and SIPp's files, NDJSON, SQLite, rows, arrays.

All of them become `Rows`: columns of text with lower-case names. A column that is called otherwise
(`username`, `caller`, `secret` ...) can be used as `user` or `password` too, if there is none of
that name. What cannot be read raises ScenarioError with file:line (and column, table or row) and
the mend. A control character in a cell is refused, since it would break the message that the cell
goes into.
"""

import difflib
import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from siploadgen.errors import ScenarioError
from siploadgen.load.rows import (
    CONTROL,
    MAX_ROWS,
    SYNONYMS,
    Rows,
    choose_columns,
    read_cells,
    rows_from_columns,
    synonym,
)

_SQLITE = (".db", ".sqlite", ".sqlite3")
_NDJSON = (".ndjson", ".jsonl")
LOCK_WAIT_S = 5.0  # how long another program may hold a SQLite file
_SQLITE_MENDS = {  # words in what SQLite says, and the mend
    "not a database": "it is encrypted, or of another kind; name a SQLite file",
    "locked": "close the program that writes it, or name a copy",
    "malformed": "repair it with sqlite3's .recover, or name a copy",
    "readonly": "write a SELECT", "syntax error": "write a SELECT",
}
_PICKS: dict[str, Literal["sequential", "random", "unique"]] = {
    "sequential": "sequential", "random": "random", "user": "unique"}


@dataclass(frozen=True, slots=True)
class Table:
    """Rows, and how the source itself says that they are picked: SIPp's first line."""

    rows: Rows
    pick: Literal["sequential", "random", "unique"] = "sequential"
    origin: str = field(default="", compare=False)  # where it is from, for messages


def read_table(
    source: object, fields: Sequence[str] | None = None, *, header: bool = True,
    table: str | None = None, query: str | None = None,
) -> Table:
    """Read a table from whatever it is.

    A path is read by its suffix: `.ndjson` and `.jsonl`, `.db`, `.sqlite` and `.sqlite3`, anything
    else as CSV. Iterables of mappings or tuples, mappings of arrays and structured arrays are taken
    as they are. `fields` chooses columns, or names them where the source has no names.
    Raises ScenarioError with the place.

    >>> read_table([{"user": "alice", "password": "x"}]).rows.names
    ('user', 'password')
    """
    if isinstance(source, (str, Path)):
        suffix = Path(source).suffix.lower()
        if suffix in _SQLITE or table is not None or query is not None:
            return Table(sqlite_rows(source, table, query, fields), origin=str(source))
        if suffix in _NDJSON:
            return Table(ndjson_rows(source, fields), origin=str(source))
        return csv_table(source, fields, header=header)
    if isinstance(source, Mapping):
        return Table(array_rows(source, fields), origin="arrays")
    if isinstance(source, np.ndarray) and source.dtype.names:
        return Table(array_rows(source, fields), origin="arrays")
    if isinstance(source, Iterable):
        return Table(iterable_rows(source, fields), origin="rows")
    raise ScenarioError(f"data: {type(source).__name__} is no table; give a path, rows or arrays")


def csv_table(
    path: str | Path, fields: Sequence[str] | None = None, *, header: bool = True
) -> Table:
    """Read a CSV file, or one of SIPp's (`SEQUENTIAL`, `RANDOM`, `USER`, each with `PRINTF=`).

    The first line names the columns, of which `fields` chooses some. Without a `header`, and in a
    file of SIPp's, `fields` names the columns; if not given they are `field0`, `field1` ..., for
    SIPp `user`, `password`, `field2` ... Separators and comments are those of `read_csv`.
    """
    cells = read_cells(path, None if header else lambda first: [f"field{i}" for i in range(
        len(first))])
    names, chosen = list(cells.names), fields
    if fields is not None and (cells.sipp or not header):
        if len(fields) != len(names):
            raise ScenarioError(f"{path}:{cells.lines[0]}: {len(names)} columns, and "
                                f"{len(fields)} fields to name them; name each")
        names, chosen = list(fields), None
    columns = [[row[i] for row in cells.rows] for i in range(len(names))]
    # Control characters have been looked for: the places of the rows are not needed.
    rows = _packed(cells.place, names, columns, chosen, None)
    return Table(rows, _PICKS[cells.order], str(path))


def ndjson_rows(path: str | Path, fields: Sequence[str] | None = None) -> Rows:
    """Read a file with a JSON object on each line; their keys are the columns, the same on each.

    Values are texts, numbers, true, false or null (an empty text). Empty lines are skipped.
    """
    names: list[str] = []
    columns: list[list[str]] = []
    lines: list[int] = []
    for number, line in enumerate(_text(path).split("\n"), 1):
        if not line.strip():
            continue
        place = f"{path}:{number}"
        try:
            item = json.loads(line, object_pairs_hook=_pairs)
        except json.JSONDecodeError as error:
            raise ScenarioError(f"{place}:{error.colno}: not JSON: {error.msg}") from None
        except _TwiceError as error:
            raise ScenarioError(f'{place}: the key "{error}" stands there twice') from None
        if not isinstance(item, dict):
            raise ScenarioError(f"{place}: not an object; write one such as "
                                '{"user": "alice", "password": "secret"}')
        if not names:
            names = list(item)
            columns = [[] for _ in names]
        _same_keys(place, names, item)
        for name, column in zip(names, columns, strict=True):
            column.append(_cell(item[name], place, name))
        lines.append(number)
    if not lines:
        raise ScenarioError(f"{path}:1: empty; write a JSON object on each line")
    return _packed(f"{path}:{lines[0]}", names, columns, fields,
                   [f"{path}:{line}" for line in lines])


class _TwiceError(Exception):
    """A key that stands twice in one object."""


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) < len(pairs):
        names = [name for name, _ in pairs]
        raise _TwiceError(next(name for name in names if names.count(name) > 1))
    return result


def _same_keys(place: str, names: Sequence[str], item: Mapping[str, object]) -> None:
    missing = [name for name in names if name not in item]
    more = [name for name in item if name not in names]
    if more:
        close = difflib.get_close_matches(more[0], missing or names, n=1)
        mend = f'did you mean "{close[0]}"?' if close else "every row has the same columns"
        raise ScenarioError(f'{place}: "{more[0]}" is not a column of the first row; {mend}')
    if missing:
        raise ScenarioError(f'{place}: no "{missing[0]}", which the first row has; add it, null if '
                            "it has no value")


def sqlite_rows(
    path: str | Path, table: str | None = None, query: str | None = None,
    fields: Sequence[str] | None = None,
) -> Rows:
    """Read a table of a SQLite file, or what a query gives. The file is opened for reading only.

    A file with a single table needs neither `table` nor `query`.
    """
    import sqlite3

    if table is not None and query is not None:
        raise ScenarioError(f"{path}: give a table or a query, not both")
    if not Path(path).is_file():
        raise ScenarioError(f"{path}: no such file; name one beside the file that names it")
    try:
        with closing(sqlite3.connect(Path(path).absolute().as_uri() + "?mode=ro",
                                     uri=True, timeout=LOCK_WAIT_S)) as base:
            tables = [str(name) for (name,) in base.execute(
                "SELECT name FROM sqlite_master WHERE type IN ('table', 'view') "
                "AND name NOT LIKE 'sqlite!_%' ESCAPE '!' ORDER BY name")]
            if query is None:
                table = _table(path, table, tables)
                quoted = table.replace('"', '""')
                query, place = f'SELECT * FROM "{quoted}"', f'{path}: table "{table}"'
            else:
                place = f"{path}: query"
            try:
                cursor = base.execute(query)
            except (sqlite3.Error, sqlite3.Warning) as error:
                mend = _nearest(base, tables, str(error)) or _sqlite_mend(error)
                raise ScenarioError(f"{place}: {error}{mend}") from None
            if cursor.description is None:
                raise ScenarioError(f"{place}: gives no rows; write a SELECT")
            names = [column[0] for column in cursor.description]
            columns: list[list[str]] = [[] for _ in names]
            number = 0
            for number, row in enumerate(cursor, 1):
                for name, column, value in zip(names, columns, row, strict=True):
                    column.append(_cell(value, f"{place}: row {number}", name))
    except sqlite3.Error as error:
        raise ScenarioError(f"{path}: {error}{_sqlite_mend(error)}") from None
    if number == 0:
        raise ScenarioError(f"{place}: no rows; give at least one")
    return _packed(place, names, columns, fields,
                   [f"{place}: row {i}" for i in range(1, number + 1)])


def _sqlite_mend(error: Exception) -> str:
    return next((f" ({mend})" for words, mend in _SQLITE_MENDS.items() if words in str(error)), "")


def _table(path: str | Path, table: str | None, tables: Sequence[str]) -> str:
    if table is None:
        if len(tables) == 1:
            return tables[0]
        mend = (f"choose one: {', '.join(tables)}" if tables else
                "it has none; name a file that has one")
        raise ScenarioError(f"{path}: which table? {mend}")
    if table not in tables:
        close = difflib.get_close_matches(table, tables, n=1)
        mend = f'did you mean "{close[0]}"?' if close else f"tables: {', '.join(tables) or 'none'}"
        raise ScenarioError(f'{path}: no table "{table}"; {mend}')
    return table


def _nearest(base: Any, tables: Sequence[str], message: str) -> str:
    """Name that comes nearest to one that a query got wrong."""
    kind, colon, wrong = message.partition(": ")
    if not colon or not kind.startswith("no such"):
        return ""
    known = list(tables)
    if kind.endswith("column"):
        known = []
        for name in tables:
            quoted = name.replace('"', '""')
            known += [str(row[1]) for row in base.execute(f'PRAGMA table_info("{quoted}")')]
    close = difflib.get_close_matches(wrong.rpartition(".")[2], known, n=1)
    return f' (did you mean "{close[0]}"?)' if close else ""


def iterable_rows(items: Iterable[object], fields: Sequence[str] | None = None) -> Rows:
    """Rows of mappings (the keys are the columns), or of tuples, whose columns `fields` names."""
    names: list[str] = []
    columns: list[list[str]] = []
    mappings = False
    places = []
    for number, item in enumerate(items, 1):
        place = f"row {number}"
        places.append(place)
        if number == 1:
            mappings = isinstance(item, Mapping)
            names = [str(key) for key in item] if isinstance(item, Mapping) else list(fields or ())
            if not names:
                raise ScenarioError("row 1: columns without names; give fields, or rows that are "
                                    "mappings")
            columns = [[] for _ in names]
        if isinstance(item, Mapping) and mappings:
            _same_keys(place, names, item)
            values = [item[name] for name in names]
        elif isinstance(item, Sequence) and not isinstance(item, (str, bytes)) and not mappings:
            values = list(item)
            if len(values) != len(names):
                raise ScenarioError(f"{place}: {len(values)} columns where {len(names)} are needed "
                                    f"({', '.join(names)})")
        elif not mappings and len(names) == 1:
            values = [item]
        else:
            raise ScenarioError(f"{place}: {type(item).__name__} is no "
                                f"{'mapping' if mappings else 'tuple'} as the first row is")
        for name, column, value in zip(names, columns, values, strict=True):
            column.append(_cell(value, place, name))
    if not places:
        raise ScenarioError("data: no rows; give at least one")
    return _packed("rows", names, columns, fields if mappings else None, places)


def array_rows(
    arrays: Mapping[str, Any] | np.ndarray[Any, Any], fields: Sequence[str] | None = None
) -> Rows:
    """Rows of arrays of equal length by the name of their column, or of a structured array.

    >>> array_rows({"user": np.array(["a", "b"]), "line": np.array([1, 2])}).cell(1, 1)
    b'2'
    """
    if isinstance(arrays, np.ndarray):
        parts = {name: arrays[name] for name in arrays.dtype.names or ()}
    else:
        parts = {str(name): np.asarray(array) for name, array in arrays.items()}
    columns: list[list[str]] = []
    for name, array in parts.items():
        if array.ndim != 1:
            raise ScenarioError(f'column "{name}": an array of {array.ndim} dimensions; one is '
                                "needed")
        if columns and len(array) != len(columns[0]):
            raise ScenarioError(f'column "{name}": {len(array)} rows where "{next(iter(parts))}" '
                                f"has {len(columns[0])}")
        columns.append([_cell(value, f"row {number}", name)
                        for number, value in enumerate(array.tolist(), 1)])
    if not columns or not columns[0]:
        raise ScenarioError("data: no rows; give at least one")
    return _packed("arrays", list(parts), columns, fields,
                   [f"row {i}" for i in range(1, len(columns[0]) + 1)])


def _text(path: str | Path) -> str:
    try:
        return Path(path).read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ScenarioError(f"{path}: {error.strerror or error}") from None
    except UnicodeDecodeError as error:
        line = Path(path).read_bytes()[: error.start].count(b"\n") + 1
        raise ScenarioError(f"{path}:{line}: not UTF-8; convert the file") from None


def _cell(value: object, place: str, name: str) -> str:
    """Text of a value as it goes into messages."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, (bool, np.bool_)):
        return "true" if value else "false"
    if isinstance(value, (int, float, np.number)):
        return str(value)
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            raise ScenarioError(f'{place}: column "{name}" is not UTF-8; convert it') from None
    raise ScenarioError(f'{place}: column "{name}" is a {type(value).__name__}; a text or a number '
                        "is needed")


def _check_text(column: Sequence[str], places: Sequence[str], name: str) -> None:
    """Refuse halves of characters, which JSON can spell and UTF-8 cannot."""
    for cell, place in zip(column, places, strict=True):
        try:
            cell.encode()
        except UnicodeEncodeError:
            raise ScenarioError(f'{place}: column "{name}" has half a character (a surrogate); '
                                "write both halves, or none") from None


def _packed(
    place: str, names: Sequence[str], columns: list[list[str]], fields: Sequence[str] | None,
    places: Sequence[str] | None,
) -> Rows:
    """Check and pack columns; `places` are those of the rows, None if cells are checked."""
    lower = [name.strip().lower() for name in names]
    for index, name in enumerate(lower, 1):
        if not name:
            raise ScenarioError(f"{place}: column {index} has no name; give it one")
        if any(mark in name for mark in "{}") or CONTROL.search(name):
            raise ScenarioError(f'{place}: a column cannot be named "{name}"; use letters, digits '
                                "and _")
    if len(columns[0]) > MAX_ROWS:
        raise ScenarioError(f"{place}: more than {MAX_ROWS:,} rows")
    chosen = choose_columns(place, lower, fields if fields is not None else lower, "")
    kept = [lower[i] for i in chosen] if fields is None else [name.lower() for name in fields]
    for index, name in zip(chosen, kept, strict=True):
        if places is not None and CONTROL.search("".join(columns[index])):
            row = next(r for r, cell in enumerate(columns[index]) if CONTROL.search(cell))
            raise ScenarioError(f'{places[row]}: a control character in column "{name}"; '
                                "take it out")
        if places is not None and not "".join(columns[index]).isprintable():
            _check_text(columns[index], places, name)
    rows = rows_from_columns(kept, [columns[i] for i in chosen])
    # Another name for the same octets costs nothing.
    more = [(known, found) for known in SYNONYMS
            if (found := synonym(known, kept)) is not None]
    return Rows(rows.count, (*kept, *(known for known, _ in more)),
                [*rows.blobs, *(rows.blobs[i] for _, i in more)],
                [*rows.offsets, *(rows.offsets[i] for _, i in more)])
