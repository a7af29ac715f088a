"""Which row of a table of data each call gets: a function of (seed, workload, number) alone.

| pick | row of call number n, of `count` rows |
|---|---|
| `sequential` | n modulo count |
| `shuffle` | as sequential, each pass over the table in another order |
| `unique` | as sequential; the engine lets no two calls have one row at the same time |
| `random` | any, all alike |
| `zipf(s)` | row r (from 0) with a weight of 1 / (r + 1) ** s: few rows have most calls |

The first three go through the table in passes; `exhaust` says whether a second pass follows
(`wrap`) or the data bounds the number of calls (`stop`). Callers and callees are paired by `pair`.
"""

import math
import re
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from siploadgen.errors import UsageError
from siploadgen.load.draw import below, permuted, stream_key, uniform
from siploadgen.load.rows import Rows

Numbers: TypeAlias = NDArray[np.uint64]
RowNumbers: TypeAlias = NDArray[np.uint32]
Exhaust = Literal["wrap", "stop"]

PICKS = ("sequential", "random", "unique", "shuffle", "zipf")
_ZIPF = re.compile(r"zipf\(\s*(\d+(?:\.\d*)?|\.\d+)\s*\)")
_MAX_ZIPF_ROWS = 10_000_000  # the table of a zipf feed has 8 octets for each row


@dataclass(frozen=True, slots=True)
class Pick:
    """How rows are picked; `exponent` is that of `zipf`.

    >>> parse_pick("zipf(1.1)")
    Pick(kind='zipf', exponent=1.1)
    """

    kind: Literal["sequential", "random", "unique", "shuffle", "zipf"] = "sequential"
    exponent: float = 0.0

    @property
    def in_passes(self) -> bool:
        """Whether every row has its turn in a pass over the table."""
        return self.kind in ("sequential", "unique", "shuffle")

    def __str__(self) -> str:
        return f"zipf({self.exponent:g})" if self.kind == "zipf" else self.kind


def parse_pick(text: str) -> Pick:
    """Read `sequential`, `random`, `unique`, `shuffle` or `zipf(s)`."""
    word = text.strip().lower()
    match = _ZIPF.fullmatch(word)
    if match is not None:
        exponent = float(match[1])
        if not 0 < exponent <= 20:
            raise UsageError(f'pick "{text}": the exponent of zipf is above 0 and at most 20, such '
                             "as zipf(1)")
        return Pick("zipf", exponent)
    if word == "sequential":
        return Pick("sequential")
    if word == "random":
        return Pick("random")
    if word == "unique":
        return Pick("unique")
    if word == "shuffle":
        return Pick("shuffle")
    raise UsageError(f'pick "{text}": choose sequential, random, unique, shuffle or zipf(s)')


@dataclass(frozen=True, slots=True)
class Feed:
    """A table of data and how calls get its rows.

    `name` is the prefix of its columns in templates: the users of a workload (feed 0), `callee`, or
    the name of a `data:` entry. `rows_for` gives the rows; `limit` says how many calls there are
    rows for; `exclusive` that the engine must not let two calls have one row at the same time.

    >>> from siploadgen.load.rows import generated_users
    >>> feed = Feed("", generated_users(["user"], 3))
    >>> feed.rows_for(1, 0, np.arange(5, dtype=np.uint64))
    array([0, 1, 2, 0, 1], dtype=uint32)
    """

    name: str
    rows: Rows = field(repr=False)
    pick: Pick = field(default_factory=Pick)
    exhaust: Exhaust = "wrap"
    # What `pair` and `for_workers` make of a feed:
    apart: "Feed | None" = None  # the rows of this feed are never those that the other one picks
    step: int = 1  # call n has position n * step + offset in the passes over the table
    offset: int = 0
    span: int = 0  # rows in a pass; 0: all
    stream: str = ""  # what its random numbers go by; empty: its name

    def __post_init__(self) -> None:
        """Refuse what has no meaning."""
        what = f'data "{self.name}"' if self.name else "users"
        if self.rows.count == 0:
            raise UsageError(f"{what}: no rows; add at least one")
        if self.exhaust not in ("wrap", "stop"):
            raise UsageError(f'{what}: exhaust "{self.exhaust}": choose wrap or stop')
        if self.exhaust == "stop" and not self.pick.in_passes:
            raise UsageError(f"{what}: {self.pick} never comes to an end of the rows; leave "
                             "exhaust out, or pick sequential, shuffle or unique")
        if self.pick.kind == "zipf" and self.rows.count > _MAX_ZIPF_ROWS:
            raise UsageError(f"{what}: zipf picks from at most {_MAX_ZIPF_ROWS:,} rows")
        if self.apart is not None and self.rows.count < 2:
            raise UsageError(f"{what}: one row cannot be caller and callee; add a second one")

    @property
    def count(self) -> int:
        """Rows that can be picked."""
        return self.span or self.rows.count

    @property
    def exclusive(self) -> bool:
        """Whether a row is for one call at a time."""
        return self.pick.kind == "unique"

    @property
    def limit(self) -> int | None:
        """Calls that there are rows for; None for any number."""
        if self.exhaust == "wrap":
            return None
        count = self.count if self.apart is None else self.count - 1
        return max(0, (count - self.offset + self.step - 1) // self.step)

    def rows_for(self, seed: int, workload: int, numbers: Numbers) -> RowNumbers:
        """Row of each call, by its number within the workload.

        Raises UsageError for a number beyond the limit: a run is bounded by it.
        """
        limit = self.limit
        if limit is not None and len(numbers) and int(numbers.max()) >= limit:
            raise UsageError(f"data: {limit:,} calls at most have rows of their own; exhaust is "
                             "stop")
        key = stream_key(seed, workload, "feed " + (self.stream or self.name))
        if self.apart is None:
            return self._rows(key, numbers, self.count, None).astype(np.uint32)
        other = self.apart.rows_for(seed, workload, numbers).astype(np.int64)
        return self._rows(key, numbers, self.count, other).astype(np.uint32)

    def for_workers(self, workers: int) -> "Feed":
        """Return the feed that `workers` engines share, calls dealt out round robin by number.

        A row that is exclusive must come to the same engine in every pass, since each engine looks
        after its own: a pass of `unique` rows is cut to a multiple of the workers (and of the rows
        that a pair takes). Others are as they are. Raises UsageError for fewer rows than workers.
        """
        if not self.exclusive or workers == 1 or self.exhaust == "stop":
            return self
        unit = workers * self.step
        span = self.count - self.count % unit
        if span == 0:
            raise UsageError(f"users: {self.count} rows are too few for {workers} workers; give "
                             f"at least {unit}, or fewer workers")
        return replace(self, span=span)

    def _rows(
        self, key: int, numbers: Numbers, count: int, other: NDArray[np.int64] | None
    ) -> NDArray[np.int64]:
        """Rows below `count`, where given none of them `other`."""
        kind = self.pick.kind
        if kind == "zipf":
            return _zipf_rows(uniform(key, numbers), count, self.pick.exponent, other)
        # Of the rows but one those above it move down by one: all are picked alike.
        left = count if other is None else count - 1
        if kind == "random":
            rows = below(key, numbers, left)
        else:
            position = numbers.astype(np.int64) * self.step + self.offset
            rows = position % left
            if kind == "shuffle":
                rows = permuted(key, rows, position // left, left)
        return rows if other is None else rows + (rows >= other)


def pair(callers: Feed, callees: Feed) -> tuple[Feed, Feed]:
    """Callers and callees of a workload, never the same row of one table.

    Two tables are left as they are. Of one table, if both pick in passes, a call takes two rows
    that follow each other (so both are exclusive if one is); otherwise the callee is picked from
    the rows that the caller is not.

    >>> from siploadgen.load.rows import generated_users
    >>> rows = generated_users(["user"], 4)
    >>> callers, callees = pair(Feed("", rows), Feed("callee", rows))
    >>> numbers = np.arange(3, dtype=np.uint64)
    >>> callers.rows_for(1, 0, numbers), callees.rows_for(1, 0, numbers)
    (array([0, 2, 0], dtype=uint32), array([1, 3, 1], dtype=uint32))
    """
    if callers.rows is not callees.rows and not callers.rows.is_table_of(callees.rows):
        return callers, callees
    if callers.rows.count < 2:
        raise UsageError("users: one row cannot be caller and callee; add a second one")
    if not (callers.pick.in_passes and callees.pick.in_passes):
        if callees.exclusive:
            raise UsageError(f"callee: unique rows of the table that callers pick from by "
                             f"{callers.pick} cannot be kept apart; pick callers by unique too")
        return callers, replace(callees, apart=callers)
    pick = next((feed.pick for feed in (callers, callees) if feed.exclusive), callers.pick)
    exhaust: Exhaust = "stop" if "stop" in (callers.exhaust, callees.exhaust) else "wrap"
    # Both go through the table in one order, which a shuffle makes by the callers' stream.
    span = callers.count - callers.count % 2
    first = replace(callers, pick=pick, exhaust=exhaust, step=2, offset=0, span=span,
                    stream=callers.stream or callers.name or "users")
    return first, replace(first, name=callees.name, rows=callees.rows, offset=1)


@lru_cache(maxsize=8)
def _zipf_edges(count: int, exponent: float) -> NDArray[np.float64]:
    """Cumulated shares of the rows."""
    weights = np.arange(1, count + 1, dtype=np.float64) ** -exponent
    edges = np.cumsum(weights)
    edges /= edges[-1]
    edges[-1] = 1.0
    edges.flags.writeable = False
    return edges


def zipf_shares(count: int, exponent: float) -> NDArray[np.float64]:
    """Share of the calls that each row gets, most first.

    >>> zipf_shares(3, 1.0).round(3)
    array([0.545, 0.273, 0.182])
    """
    return np.diff(_zipf_edges(count, exponent), prepend=0.0)


def _zipf_rows(
    drawn: NDArray[np.float64], count: int, exponent: float, other: NDArray[np.int64] | None
) -> NDArray[np.int64]:
    """Rows by the inverse of the cumulated shares; without the share of `other` if given."""
    edges = _zipf_edges(count, exponent)
    if other is None:
        return np.searchsorted(edges, drawn, side="right").astype(np.int64)
    below_other = np.where(other > 0, edges[other - 1], 0.0)
    share = edges[other] - below_other
    drawn = drawn * (1.0 - share)
    drawn = np.where(drawn >= below_other, drawn + share, drawn)
    rows = np.minimum(np.searchsorted(edges, drawn, side="right"), count - 1)
    # Rounding may leave a draw on the edge of the row that is left out.
    beside = np.where(other < count - 1, other + 1, other - 1)
    return np.where(rows == other, beside, rows).astype(np.int64)


def limit_of(feeds: "tuple[Feed, ...]") -> float:
    """Count the calls that all feeds of a workload have rows for; infinite if none ends."""
    return min((feed.limit for feed in feeds if feed.limit is not None), default=math.inf)
