"""A stream as a receiver sees it: a buffer that grows, messages taken off its front."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

from siploadgen.core.sip.parse import Parsed, ParseStatus


def pieces(data: bytes, cuts: Iterable[int]) -> list[bytes]:
    places = [0, *sorted(cuts), len(data)]
    return [data[a:b] for a, b in pairwise(places)]


def receive(parts: Iterable[bytes]) -> list[tuple[str, bytes]]:
    """What a receiver got: ("ok" | "bad", octets of the message), then ("close" | "wait", b"").

    Keepalives are taken off silently: how many there are depends on where the stream is cut.
    """
    got: list[tuple[str, bytes]] = []
    buffer = b""
    for part in parts:
        buffer += part
        while buffer:
            parsed = Parsed(buffer, True)
            fields = parsed.fields()
            length = fields["length"]
            if parsed.outcome == ParseStatus.PARSE_PARTIAL:
                break
            assert length <= len(buffer)
            if parsed.outcome == ParseStatus.PARSE_BAD:
                got.append(("bad", str(fields["error"]).encode()))
                if length == 0:
                    return [*got, ("close", b"")]
            elif parsed.outcome == ParseStatus.PARSE_OK:
                got.append(("ok", buffer[fields["start"]:length]))
            assert length > 0, "no progress"
            buffer = buffer[length:]
    return [*got, ("wait", b"")]
