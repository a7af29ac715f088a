"""Datagrams longer than a packet of their path, in a process with a network of its own.

Prints what happened as JSON; ends with 77 when this host lets nobody have such a network.
"""

import ctypes
import fcntl
import json
import socket
import struct
import sys

from tests.loopback.test_udp import Talk

CLONE_NEWUSER, CLONE_NEWNET = 0x10000000, 0x40000000
SIOCSIFFLAGS, SIOCSIFMTU = 0x8914, 0x8922
IFF_UP = 1
MTU = 1500


def own_network() -> bool:
    """A network with nothing but a loopback device whose packets are as short as Ethernet's."""
    unshare = ctypes.CDLL(None).unshare
    if unshare(CLONE_NEWNET) != 0 and unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0:
        return False
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as handle:
        fcntl.ioctl(handle, SIOCSIFMTU, struct.pack("16si", b"lo", MTU))
        fcntl.ioctl(handle, SIOCSIFFLAGS, struct.pack("16sh", b"lo", IFF_UP))
    return True


def main() -> int:
    if not own_network():
        return 77
    talk = Talk()
    talk.hear()
    talk.a.door.tick()
    chief = talk.a.door.chief() == talk.b.address
    sent = [b"%02d" % number + b"m" * length for number, length in
            enumerate((100, 3000, 100, 5000, 1472, 1473, 100))]
    for data in sent:
        talk.a.door.post(data, talk.b.address, order=1)
    talk.a.door.flush()
    got = talk.b.collect(len(sent))
    print(json.dumps({
        "chief": chief,
        "whole": sorted(data.decode() for data, *_ in got) == sorted(
            data.decode() for data in sent),
        "from": sorted({source.decode() for _, source, *_ in got}),
        "address": talk.a.address.decode(),
        "error": repr(talk.a.door.error()),
        "stats": talk.a.door.stats(),
    }))
    return 0


if __name__ == "__main__":
    sys.exit(main())
