"""`--out statsd=HOST:PORT` and `--out influx=FILE|udp:HOST:PORT`: lines for each interval."""

import contextlib
import socket
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TextIO

from siploadgen.errors import UsageError
from siploadgen.figures import Array, Figures
from siploadgen.report import histogram
from siploadgen.report.exports import Base, Book, Point, address
from siploadgen.report.metrics import Names

DATAGRAM_MAX = 1400
_PERCENTILES = (50.0, 90.0, 99.0, 99.9)
_FIELDS = ("p50", "p90", "p99", "p99_9")


def delays(counts: Array) -> dict[str, float]:
    """Percentiles, maximum and mean of a histogram in microseconds."""
    values = histogram.percentiles(counts, _PERCENTILES)
    return {**dict(zip(_FIELDS, map(float, values), strict=True)),
            "max": float(histogram.maximum(counts)), "mean": histogram.mean(counts)}


class _Datagrams:
    """Lines to somebody who listens on UDP; nobody there is no fault of the run."""

    def __init__(self, host: str, port: int, what: str) -> None:
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
        except OSError as error:
            raise UsageError(f"--out {what}: {error.strerror}") from None
        self._to: Any = found[4]
        self._socket = socket.socket(found[0], socket.SOCK_DGRAM)
        self._socket.setblocking(False)

    def write(self, lines: Iterator[str]) -> None:
        """Send lines, as many in a datagram as fit."""
        held = b""
        for line in lines:
            data = line.encode()
            if held and len(held) + 1 + len(data) > DATAGRAM_MAX:
                self._send(held)
                held = b""
            held = held + b"\n" + data if held else data
        if held:
            self._send(held)

    def _send(self, data: bytes) -> None:
        with contextlib.suppress(OSError):  # lost, as on the way
            self._socket.sendto(data, self._to)

    def close(self) -> None:
        self._socket.close()


class Statsd(Base):
    """Counters by what came, gauges for the rest; delays as gauges in milliseconds."""

    def __init__(self, where: str, names: Names) -> None:
        """Look the host up. Raises UsageError."""
        host, port = address(where, "statsd", 8125)
        self.place = f"statsd {host}:{port}"
        self._names = names
        self._to = _Datagrams(host, port, f"statsd={where}")

    def interval(self, row: Mapping[str, Any], figures: Figures) -> None:
        """Send an interval."""
        book = Book(self._names)
        book.add(row, figures)
        self._to.write(line for point in book.points() for line in self._lines(point))

    @staticmethod
    def _lines(point: Point) -> Iterator[str]:
        name = ".".join(("siploadgen", point.name.removesuffix("_seconds"),
                         *(value.replace(" ", "_") for value in point.labels.values())))
        if point.counts is not None:
            yield f"{name}.count:{point.value:.0f}|c"
            for what, us in delays(point.counts).items():
                yield f"{name}.{what}:{us / 1000:.6g}|g"
        elif point.kind == "counter":
            if point.value:
                yield f"{name}:{point.value:.0f}|c"
        else:
            yield f"{name}:{point.value:.6g}|g"

    def close(self) -> None:
        """Close the socket."""
        self._to.close()


def _escaped(text: str) -> str:
    """Text of a tag in the line protocol."""
    for letter in "\\, =":
        text = text.replace(letter, "\\" + letter)
    return text


def influx_line(point: Point, stamp_ns: int) -> str:
    r"""One line of InfluxDB's line protocol; times in seconds.

    >>> influx_line(Point("calls_failed", "counter", 3, {"class": "no answer"}), 1700000000)
    'siploadgen_calls_failed,class=no\\ answer value=3i 1700000000'
    """
    tags = "".join(f",{name}={_escaped(value)}" for name, value in point.labels.items())
    if point.counts is not None:
        fields = ",".join((f"count={point.value:.0f}i", *(
            f"{name}={us / 1e6:.9g}" for name, us in delays(point.counts).items())))
    elif point.kind == "counter":
        fields = f"value={point.value:.0f}i"
    else:
        fields = f"value={float(point.value)!r}"
    return f"siploadgen_{point.name}{tags} {fields} {stamp_ns}"


class Influx(Base):
    """Lines of what happened in each interval, with the time of its end."""

    def __init__(self, where: str, names: Names) -> None:
        """Open the file, or look the host up. Raises UsageError."""
        self._names = names
        self._file: TextIO | None = None
        self._to: _Datagrams | None = None
        if where.startswith("udp:"):
            host, port = address(where.removeprefix("udp:"), "influx", 8089)
            self.place = f"influx {host}:{port}"
            self._to = _Datagrams(host, port, f"influx={where}")
            return
        self.place = where
        try:
            Path(where).parent.mkdir(parents=True, exist_ok=True)
            self._file = Path(where).open("w", encoding="utf-8")  # noqa: SIM115
        except OSError as error:
            raise UsageError(f"--out influx={where}: {error.strerror}") from None

    def interval(self, row: Mapping[str, Any], figures: Figures) -> None:
        """Write an interval."""
        book = Book(self._names)
        book.add(row, figures)
        now = time.time_ns()
        lines = (influx_line(point, now) for point in book.points())
        if self._to is not None:
            self._to.write(lines)
        elif self._file is not None:
            self._file.writelines(line + "\n" for line in lines)
            self._file.flush()

    def close(self) -> None:
        """Close what is open."""
        if self._to is not None:
            self._to.close()
        if self._file is not None:
            self._file.close()
            self._file = None
