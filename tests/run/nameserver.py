"""A name server on 127.0.0.1 that knows a few names and nothing else; no other is ever asked."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterable
from dataclasses import dataclass, field

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset


@dataclass
class NameServer:
    """Answers over UDP from `zone`: text lines such as `example.test. 60 A 192.0.2.1`.

    What it does not know is NXDOMAIN, or without records of that kind an empty answer.
    """

    zone: Iterable[str] = ()
    silent: bool = False
    rcode: dns.rcode.Rcode = dns.rcode.NOERROR
    lone_aliases: bool = False  # a CNAME is given without what it leads to
    asked: list[tuple[str, str]] = field(default_factory=list)

    def __enter__(self) -> NameServer:
        self.tell(self.zone)
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.settimeout(0.05)
        self.address: tuple[str, int] = self._socket.getsockname()[:2]
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        self._socket.close()

    def tell(self, zone: Iterable[str]) -> None:
        """Know these records from now on."""
        records: dict[tuple[str, str], list[tuple[int, str]]] = {}
        for line in zone:
            name, ttl, kind, data = line.split(None, 3)
            records.setdefault((name.lower(), kind), []).append((int(ttl), data))
        self._records = records

    def count(self, kind: str) -> int:
        return sum(one == kind for _, one in self.asked)

    def _serve(self) -> None:
        while not self._over.is_set():
            try:
                wire, source = self._socket.recvfrom(4096)
            except TimeoutError:
                continue
            answer = self._answer(dns.message.from_wire(wire))
            if answer is not None:
                self._socket.sendto(answer.to_wire(max_size=4096), source)

    def _answer(self, query: dns.message.Message) -> dns.message.Message | None:
        name = query.question[0].name.to_text().lower()
        kind = dns.rdatatype.to_text(query.question[0].rdtype)
        self.asked.append((name.rstrip("."), kind))
        if self.silent:
            return None
        answer = dns.message.make_response(query)
        answer.flags |= dns.flags.RA
        answer.set_rcode(self.rcode)
        if self.rcode != dns.rcode.NOERROR:
            return answer
        records = self._records
        for _ in range(8):
            if (name, "CNAME") not in records:
                break
            self._add(answer, name, "CNAME")
            name = records[name, "CNAME"][0][1]
            if self.lone_aliases:
                return answer
        if (name, kind) in records:
            self._add(answer, name, kind)
        elif not any(known == name or known.endswith("." + name) for known, _ in records):
            answer.set_rcode(dns.rcode.NXDOMAIN)
        return answer

    def _add(self, answer: dns.message.Message, name: str, kind: str) -> None:
        rows = self._records[name, kind]
        answer.answer.append(dns.rrset.from_text_list(
            name, min(ttl for ttl, _ in rows), "IN", kind, [data for _, data in rows]))
