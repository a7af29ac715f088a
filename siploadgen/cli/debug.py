"""What `run --debug` prints while calls go on."""

import threading
from typing import TextIO

from siploadgen.run.watch import Happening
from siploadgen.units import NANOS, host_port

MARKS = {"sent": ">>>", "received": "<<<", "started": "***", "ended": "***"}


class Narrator:
    """Writes each happening of the engines as it comes: a line, and the text of a message."""

    def __init__(self, stream: TextIO, engines: int) -> None:
        self._stream = stream
        self._engines = engines
        self._lock = threading.Lock()
        self._zero: int | None = None

    def tell(self, engine: int, one: Happening) -> None:
        """Write one down."""
        with self._lock:
            if self._zero is None:
                self._zero = one.at_ns
            self._stream.write(told(one, self._zero, engine if self._engines > 1 else None))
            self._stream.flush()


def told(one: Happening, zero_ns: int, engine: int | None = None) -> str:
    r"""Write a happening: time since the first one, call, line of the listing, text.

    >>> told(Happening(2_000_000_000, "step", "send INVITE", 1, 7), 500_000_000)
    '   1.500000  call 1      7  send INVITE\n'
    """
    who = "" if engine is None else f"engine {engine} "
    call = f"{who}call {one.call}" if one.call else who.strip()
    line = "" if one.pc < 0 else str(one.pc)
    text = one.text
    if one.kind == "sent":
        text = f"sent {one.text} to {host_port(one.peer)}"
    elif one.kind == "received":
        text = f"received {one.text} from {host_port(one.peer)}"
    elif one.kind in ("started", "ended"):
        text = f"{one.kind}: {one.text}"
    if one.kind in ("sent", "received"):
        text += " (again)" if one.again else ""
    mark = MARKS.get(one.kind)
    head = f"{(one.at_ns - zero_ns) / NANOS:11.6f}  {call:<8}  {line:>4}  "
    lines = [head + (f"{mark} {text}" if mark else text)]
    if one.data and not one.again:
        body = one.data.decode("utf-8", "backslashreplace").replace("\r\n", "\n").rstrip()
        lines += [f"    | {row}".rstrip() for row in body.split("\n")]
    return "\n".join(lines) + "\n"
