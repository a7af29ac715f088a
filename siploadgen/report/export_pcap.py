"""`--out pcap=FILE`: the datagrams of failed calls, for Wireshark and what else reads captures.

A classic pcap with nanoseconds. Engines see datagrams and no frames, so IP and UDP headers are made
here: addresses, ports, lengths and checksums are right, the rest is what a host would write.
"""

import ipaddress
import struct
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from siploadgen.errors import UsageError
from siploadgen.figures import Datagram
from siploadgen.report.exports import Base
from siploadgen.report.metrics import Names
from siploadgen.report.writers import clean_octets
from siploadgen.units import NANOS

MAGIC_NS = 0xA1B23C4D
LINKTYPE_RAW = 101  # a packet begins with its IP header
SNAPLEN = 262_144
HOPS = 64
UDP = 17
_HEAD = struct.Struct("<IHHiIII")
_RECORD = struct.Struct("<IIII")


class FailedCalls(Base):
    """Writes what failures bring with them, each delivery in the order of time."""

    def __init__(self, where: str, names: Names) -> None:  # noqa: ARG002
        """Begin the file. Raises UsageError."""
        self.place = where
        try:
            self._file = open(where, "wb")  # noqa: SIM115
        except OSError as error:
            raise UsageError(f"--out pcap={where}: {error.strerror}") from None
        self._file.write(_HEAD.pack(MAGIC_NS, 2, 4, 0, 0, SNAPLEN, LINKTYPE_RAW))
        self._file.flush()

    def failures(self, failures: Sequence[Mapping[str, Any]]) -> None:
        """Append their datagrams."""
        for one in sorted(_distinct(failures), key=lambda one: one.epoch_ns):
            packet = packet_of(one)
            seconds, ns = divmod(one.epoch_ns, NANOS)
            self._file.write(_RECORD.pack(seconds, ns, len(packet), len(packet)) + packet)
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _distinct(failures: Sequence[Mapping[str, Any]]) -> Iterator[Datagram]:
    """Yield each datagram once, though several failures may have it."""
    seen: set[int] = set()
    for failure in failures:
        for one in failure.get("datagrams", ()):
            if id(one) not in seen:
                seen.add(id(one))
                yield one


def packet_of(one: Datagram) -> bytes:
    """Write a datagram as an IP packet, without credentials."""
    source, target = (one.local, one.peer) if one.sent else (one.peer, one.local)
    addresses = _packed(source[0]), _packed(target[0])
    if len(addresses[0]) != len(addresses[1]):  # a socket of both families, bound to [::]
        addresses = _mapped(addresses[0]), _mapped(addresses[1])
    data = clean_octets(one.octets)
    length = 8 + len(data)
    udp = struct.pack(">HHHH", source[1], target[1], length, 0)
    both = b"".join(addresses)
    if len(addresses[0]) == 4:
        pseudo = both + struct.pack(">BBH", 0, UDP, length)
        head = struct.pack(">BBHHHBBH", 0x45, 0, 20 + length, 0, 0x4000, HOPS, UDP, 0) + both
        head = head[:10] + struct.pack(">H", checksum(head)) + head[12:]
    else:
        pseudo = both + struct.pack(">IHBB", length, 0, 0, UDP)
        head = struct.pack(">IHBB", 6 << 28, length, UDP, HOPS) + both
    # RFC 768: a sum of zero is sent as all ones, as zero says that there is none
    udp = udp[:6] + struct.pack(">H", checksum(pseudo + udp + data) or 0xFFFF)
    return head + udp + data


def checksum(octets: bytes) -> int:
    """Internet checksum (RFC 1071).

    >>> hex(checksum(bytes.fromhex("0001f203f4f5f6f7")))
    '0x220d'
    """
    even = octets + b"\0" * (len(octets) % 2)
    total: int = sum(struct.unpack(f">{len(even) // 2}H", even))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def _packed(host: str) -> bytes:
    return ipaddress.ip_address(host.partition("%")[0]).packed


def _mapped(address: bytes) -> bytes:
    return address if len(address) == 16 else b"\0" * 10 + b"\xff\xff" + address
