"""Histograms as int64 arrays: percentiles, moments, and the bridge to the HdrHistogram formats.

An array holds `STRIDE` counters as the engine writes them: `LENGTH` buckets of microseconds and one
counter more for values above `HIGHEST_US`. Histograms add and subtract as arrays do. Results are
those of the hdrhistogram package for the same values; where values overflowed, which that package
cannot count, every function says what it does with them.
"""

import ctypes
import math
import re
import struct
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from operator import mul
from os import PathLike
from types import TracebackType
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray

from siploadgen.core.hist import (
    DIGITS,
    HIGHEST_US,
    LENGTH,
    LOWEST_US,
    OVERFLOW,
    STRIDE,
    SUB_BUCKETS,
    index,
)

if TYPE_CHECKING:
    from hdrh.histogram import HdrHistogram

Counts = NDArray[np.int64]

_TAG = re.compile(r"(rfc6076\.\w+|[A-Z]+\.[2-6]xx|[^.]*)(?:\.(.*))?", re.DOTALL)
_COOKIE = 0x1C849303  # HdrHistogram V2, without its octet of the word size
_HEAD = struct.Struct(">iiiiqqd")  # cookie, length, offset, digits, lowest, highest, ratio


def _bucket_bounds() -> tuple[Counts, Counts, Counts]:
    """Lowest, highest and middle value (microseconds) of each bucket, as hdrh has them."""
    half = SUB_BUCKETS // 2
    number = np.arange(LENGTH, dtype=np.int64)
    shift = np.maximum(number // half - 1, 0)
    lowest = (number - shift * half) << shift
    size = np.int64(1) << shift
    bounds = (lowest, lowest + size - 1, lowest + (size >> 1))
    for array in bounds:
        array.flags.writeable = False
    return bounds


LOWEST_AT_US, HIGHEST_AT_US, MEDIAN_AT_US = _bucket_bounds()
"""Values equivalent to those counted at each index, in microseconds; read-only, `LENGTH` each."""

ABOVE_US = int(HIGHEST_AT_US[index(HIGHEST_US)]) + 1
"""What `percentiles` and `maximum` answer for a value that overflowed: more than any other."""


def empty() -> Counts:
    """Return a histogram without values."""
    return np.zeros(STRIDE, np.int64)


def merge(histograms: Iterable[Counts]) -> Counts:
    """Add histograms up, overflow included; none make an empty one.

    Raises ValueError for an array that is not a histogram.
    """
    total = empty()
    for counts in histograms:
        total += _checked(counts)
    return total


def count(counts: Counts) -> int:
    """Return how many values were recorded, those that overflowed included."""
    return int(_checked(counts).sum())


def overflow(counts: Counts) -> int:
    """Return how many values were above `HIGHEST_US`."""
    return int(_checked(counts)[OVERFLOW])


def percentiles(counts: Counts, wanted: Sequence[float]) -> Counts:
    """Values in microseconds below or at which the wanted percentages of all values lie.

    Equal to hdrh's `get_value_at_percentile` (the highest value of the bucket; the lowest for
    percentage 0; 0 when nothing was recorded). Values that overflowed take part: a percentile
    that falls among them is `ABOVE_US`.

    Raises ValueError for a percentage outside 0 .. 100.

    >>> counts = empty()
    >>> counts[[100, 200]] = 98, 2
    >>> percentiles(counts, [50, 98, 99.9]).tolist()
    [100, 100, 200]
    """
    for percent in wanted:
        if not 0 <= percent <= 100:
            raise ValueError(f"percentile {percent}: not from 0 to 100")
    running = np.cumsum(_checked(counts))
    total = int(running[-1])
    if total == 0:
        return np.zeros(len(wanted), np.int64)
    ranks = [max(int(percent * total / 100 + 0.5), 1) for percent in wanted]
    places = np.searchsorted(running, ranks)
    values = np.where(places < LENGTH, HIGHEST_AT_US[np.minimum(places, LENGTH - 1)], ABOVE_US)
    first = np.where(places < LENGTH, LOWEST_AT_US[np.minimum(places, LENGTH - 1)], ABOVE_US)
    return np.where(np.equal(wanted, 0), first, values)


def minimum(counts: Counts) -> int:
    """Lowest value of the lowest bucket in use, in microseconds; 0 when nothing was recorded."""
    used = np.flatnonzero(_checked(counts))
    if used.size == 0:
        return 0
    return ABOVE_US if used[0] == OVERFLOW else int(LOWEST_AT_US[used[0]])


def maximum(counts: Counts) -> int:
    """Highest value of the highest bucket in use, in microseconds; 0 when nothing was recorded.

    `ABOVE_US` when a value overflowed.
    """
    used = np.flatnonzero(_checked(counts))
    if used.size == 0:
        return 0
    return ABOVE_US if used[-1] == OVERFLOW else int(HIGHEST_AT_US[used[-1]])


def mean(counts: Counts) -> float:
    """Mean in microseconds, each value taken as the middle of its bucket; 0 for no values.

    Values that overflowed have no known size and are left out: see `overflow`.
    """
    used = np.flatnonzero(_checked(counts)[:LENGTH])
    held = counts[used].tolist()
    # Python's integers: a sum over long values passes 2**63
    return sum(map(mul, held, MEDIAN_AT_US[used].tolist())) / sum(held) if held else 0.0


def stddev(counts: Counts) -> float:
    """Return the standard deviation in microseconds, values as in `mean`; 0 for no values."""
    held = _checked(counts)[:LENGTH]
    used = np.flatnonzero(held)
    if used.size == 0:
        return 0.0
    deviation = MEDIAN_AT_US[used] - mean(counts)
    return math.sqrt(float(np.dot(deviation * deviation, held[used])) / int(held.sum()))


def to_hdrh(counts: Counts) -> "HdrHistogram":
    """Return the same histogram as an object of the hdrhistogram package, without the overflow."""
    from hdrh.histogram import HdrHistogram

    held = np.ascontiguousarray(_checked(counts)[:LENGTH])
    histogram = HdrHistogram(LOWEST_US, HIGHEST_US, DIGITS)
    used = np.flatnonzero(held)
    if used.size:
        ctypes.memmove(histogram.counts, held.ctypes.data, held.nbytes)
        histogram.set_internal_tacking_values(int(used[0]), int(used[-1]), int(held.sum()))
    return histogram


def encode(counts: Counts) -> bytes:
    """Return the V2 compressed form in base64 that HdrHistogram tools read.

    It has no place for the overflow, which has to travel beside it: see `overflow`.
    """
    encoded: bytes = to_hdrh(counts).encode()
    return encoded


def decode(encoded: bytes) -> Counts:
    """Return the counts of an encoded histogram of our layout; its overflow is 0.

    Raises ValueError for another range or precision, or for octets that are no histogram.
    """
    import zlib

    from hdrh.codec import HdrCookieException, HdrLengthException
    from hdrh.histogram import HdrHistogram

    try:
        histogram = HdrHistogram.decode(encoded)
    except (HdrCookieException, HdrLengthException, ValueError, zlib.error) as error:
        raise ValueError(f"not an encoded histogram: {error}") from error
    layout = (
        histogram.lowest_trackable_value,
        histogram.highest_trackable_value,
        histogram.significant_figures,
    )
    if layout != (LOWEST_US, HIGHEST_US, DIGITS):
        raise ValueError(f"histogram of {layout}: not of {(LOWEST_US, HIGHEST_US, DIGITS)}")
    counts = empty()
    counts[:LENGTH] = np.frombuffer(histogram.counts, np.uint64)
    return counts


def decode_all(encoded: Sequence[bytes | str]) -> tuple[Counts, Counts, Counts]:
    """Decode many histograms at once: number of the histogram, index and count of each bucket.

    What `decode` returns for each of them, without empty buckets, and much faster. Raises
    ValueError as `decode` does.
    """
    import binascii
    import zlib

    payloads: list[bytes] = []
    for text in encoded:
        try:
            outer = binascii.a2b_base64(text)
            inner = zlib.decompress(outer[8:])
        except (ValueError, zlib.error) as error:
            raise ValueError(f"not an encoded histogram: {error}") from error
        if len(inner) < _HEAD.size:
            raise ValueError("not an encoded histogram: too short")
        cookie, length, _, digits, lowest, highest, _ = _HEAD.unpack_from(inner)
        if cookie & ~0xF0 != _COOKIE or length != len(inner) - _HEAD.size:
            raise ValueError("not an encoded histogram: no cookie of version 2")
        if (lowest, highest, digits) != (LOWEST_US, HIGHEST_US, DIGITS):
            raise ValueError(f"histogram of {(lowest, highest, digits)}: not of "
                             f"{(LOWEST_US, HIGHEST_US, DIGITS)}")
        payloads.append(inner[_HEAD.size:])
    # Counts stand as ZigZag LEB128 numbers; one below 0 is so many empty buckets.
    data = np.frombuffer(b"".join(payloads), np.uint8)
    ends = np.flatnonzero(data < 0x80)
    edges = np.cumsum([len(payload) for payload in payloads], dtype=np.int64)
    past = np.searchsorted(ends, edges)  # numbers up to the end of each histogram
    starts = np.concatenate([[0], ends[:-1] + 1]) if ends.size else ends
    sizes = (ends - starts + 1).astype(np.uint8)
    longest = int(sizes.max(initial=0))
    if longest > 8 or (data.size and data[-1] >= 0x80):
        raise ValueError("not an encoded histogram: counts that end nowhere")
    raw = (data[starts] & 0x7F).astype(np.int64)
    for octet in range(1, longest):
        longer = np.flatnonzero(sizes > octet)
        raw[longer] |= (data[starts[longer] + octet].astype(np.int64) & 0x7F) << (7 * octet)
    values = (raw >> 1) ^ -(raw & 1)
    after = np.concatenate([[0], np.cumsum(np.where(values < 0, -values, 1))])
    held = np.flatnonzero(values > 0)
    first = np.concatenate([[0], past[:-1]])
    which = np.repeat(np.arange(len(payloads)), past - first)[held]
    places = after[held] - after[first][which]
    if held.size and places.max() >= LENGTH:
        raise ValueError("not an encoded histogram: more buckets than there are")
    return which, places, values[held]


def split_tag(tag: str) -> tuple[str, str]:
    """Return metric and phase of a tag in a histogram log; no phase: the whole run.

    >>> split_tag("srd.busy hour"), split_tag("rfc6076.srd.ramp"), split_tag("INVITE.2xx")
    (('srd', 'busy hour'), ('rfc6076.srd', 'ramp'), ('INVITE.2xx', ''))
    """
    found = _TAG.fullmatch(tag)
    return (tag, "") if found is None else (found[1], found[2] or "")


class HlogWriter:
    """A histogram log, format 1.3, as HdrHistogram's log readers and viewers take it.

    `start_time` is in seconds since the epoch; interval stamps in the file count from there. Values
    are microseconds; Interval_Max is in milliseconds, which viewers expect. An interval's overflow,
    which the format does not know, is told by a comment line before it.
    """

    def __init__(self, path: str | PathLike[str], start_time: float) -> None:
        """Create the file and write its head. Raises OSError when that fails."""
        self._file = open(path, "w", encoding="ascii", buffering=1)  # noqa: SIM115
        moment = datetime.fromtimestamp(start_time, UTC).isoformat(timespec="milliseconds")
        self._file.write(
            "#[Histogram log format version 1.3]\n"
            f"#[StartTime: {start_time:.3f} (seconds since epoch), {moment}]\n"
            f"#[BaseTime: {start_time:.3f} (seconds since epoch)]\n"
            "#[Values in microseconds, Interval_Max in milliseconds]\n"
            '"StartTimestamp","Interval_Length","Interval_Max","Interval_Compressed_Histogram"\n'
        )

    def write(self, tag: str, counts: Counts, start_s: float, length_s: float) -> None:
        """Add one metric's histogram of one interval that began `start_s` after `start_time`.

        Raises ValueError for a tag that is empty or holds commas, white space or other than
        printable ASCII, and for a negative stamp.
        """
        if not tag or not tag.isascii() or not tag.isprintable() or set(tag) & {",", " "}:
            raise ValueError(f"tag {tag!r}: not a word of printable ASCII without commas")
        if not (0 <= start_s < math.inf and 0 <= length_s < math.inf):
            raise ValueError(f"interval {start_s} + {length_s} s: before the start of the log")
        histogram = to_hdrh(counts)
        lost = overflow(counts)
        if lost:
            self._file.write(f"#[Overflow: Tag={tag} {start_s:.6f} {lost} above {HIGHEST_US}]\n")
        self._file.write(
            f"Tag={tag},{start_s:.6f},{length_s:.6f},{histogram.get_max_value() / 1000:.3f},"
            f"{histogram.encode().decode('ascii')}\n"
        )

    def close(self) -> None:
        """Close the file; nothing more can be written."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _checked(counts: Counts) -> Counts:
    if counts.shape != (STRIDE,) or counts.dtype != np.int64:
        raise ValueError(f"array {counts.dtype}{counts.shape}: not {STRIDE} int64 counters")
    if counts.min() < 0:
        raise ValueError("negative counters: a later state was subtracted from an earlier one")
    return counts
