"""Intervals of a run as a table: a line for each, a column for each number."""

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any


def table(rows: Callable[[], Iterable[Mapping[str, Any]]]) -> str:
    """Return rows as intervals.ndjson has them as CSV; `rows` is called twice.

    Columns are the keys, joined by dots. What an interval has nothing of is empty, but for classes
    of failed calls, of which it has 0.

    >>> table(lambda: [{"t_s": 0.0, "calls": {"due": 2, "failed": {}}},
    ...                {"t_s": 1.0, "calls": {"due": 3, "failed": {"busy": 1}}}]).split()
    ['t_s,calls.due,calls.failed.busy', '0.0,2,0', '1.0,3,1']
    """
    columns: dict[str, None] = {}
    for row in rows():
        columns |= dict.fromkeys(name for name, _ in _flat(row))
    text = io.StringIO()
    out = csv.writer(text, lineterminator="\n")
    out.writerow(columns)
    for row in rows():
        found = dict(_flat(row))
        out.writerow([found.get(name, 0 if name.startswith("calls.failed.") else None)
                      for name in columns])
    return text.getvalue()


def _flat(row: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in row.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{before}{name}.")
        elif isinstance(value, list):  # broken rules
            yield f"{before}{name}", " ".join(str(one["name"]) for one in value)
        else:
            yield f"{before}{name}", value
