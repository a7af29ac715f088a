"""A look into a capture that is still being written."""

from __future__ import annotations

from contextlib import suppress

from tests.interop.peers import Capture, PeerError, tshark, wait_for


def wait_until_seen(taken: Capture, what: str, *, times: int = 1, seconds: float = 30) -> None:
    """Wait until so many frames fit the display filter.

    A frame that is written just now makes tshark complain of its end: it is there next time.
    """
    def there() -> bool:
        with suppress(PeerError):
            return len(tshark(taken.file, taken.ports, "-Y", what).splitlines()) >= times
        return False
    wait_for(there, seconds, f"{times} of {what}")
