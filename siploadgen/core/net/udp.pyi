"""Batched datagram input and output: recvmmsg, sendmmsg, UDP GSO and GRO."""

def monotonic() -> int:
    """Return the core's clock (ns)."""

def address(text: bytes, default_port: int = 5060) -> bytes | None:
    """Read a numeric address and write it again as `host:port`; None when it is none.

    >>> address(b"[::1]"), address(b"example.org")
    (b'[::1]:5060', None)
    """

class UdpDoor:
    """Sockets and an outbox, driven by hand; for tests.

    Addresses are `host:port` as bytes, times nanoseconds on the monotonic clock. Adopted sockets
    are closed with it.
    """

    def __init__(self, gso: bool = True, gro: bool = True, group_max: int = 32) -> None: ...
    def adopt(self, fd: int) -> int:
        """Take over a bound socket; returns its number. ValueError: no UDP, too many; OSError."""
    def post(self, data: bytes, peer: bytes, socket: int = 0, order: int | None = None) -> None:
        """Put a message into the outbox; flushes first when there is no room. ValueError."""
    def flush(self) -> None:
        """Send everything that was posted."""
    def receive(self, socket: int = 0) -> list[tuple[bytes, bytes, int, int]]:
        """Return one batch of each of its lines: (data, source, time received, socket)."""
    def error(self, socket: int = 0) -> tuple[int, bytes, bytes] | None:
        """Return the next ICMP error: (errno, where to, the datagram's first octets)."""
    def tick(self) -> None:
        """Read the clocks and the drop counters, choose chief peers."""
    def chief(self, socket: int = 0) -> bytes | None:
        """Return the peer that has a connected socket of its own, None while there is none."""
    def buffers(self, socket: int = 0) -> tuple[int, int]:
        """Return the sizes of (receive buffer, send buffer) as the kernel reports them."""
    def stats(self) -> dict[str, int]:
        """Return UdpStats by name."""
    def set_realtime_offset(self, offset: int) -> None:
        """Pretend that the clocks lay so far apart, until the next tick."""
    @property
    def realtime_offset(self) -> int: ...
    @property
    def gso(self) -> bool: ...
    @property
    def gso_size(self) -> int: ...
    @property
    def gro(self) -> bool: ...
    @property
    def timestamps(self) -> bool: ...
