"""Where the servers of a SIP URI are: RFC 3263 with the weights of RFC 2782.

Everything happens before the run, or beside it in a thread of its own; dnspython, which reads and
writes the messages, is imported with the first name that has to be asked for.
"""

import contextlib
import ipaddress
import random
import socket
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from siploadgen import units
from siploadgen.errors import TargetError, UsageError

if TYPE_CHECKING:
    import dns.resolver

MOST_SERVERS = 16  # as many as an engine's table holds
QUESTION_S = 5.0  # how long one question may take, repeats included
LEAST_TTL_S = 1.0
DNS_PORT = 53
# Parts of a weight, so that the addresses of one SRV record can share it. A weight of 0 is a single
# part: beside others it has next to no chance, as RFC 2782 wants.
PARTS = 55_440
MOST_SHARE = 0xFFFF * PARTS  # 32 bits

_PORTS = {"udp": 5060, "tcp": 5060, "tls": 5061, "ws": 80, "wss": 443}
_SERVICES = {  # RFC 3263 4.1 and RFC 7118
    "SIP+D2U": "udp", "SIP+D2T": "tcp", "SIPS+D2T": "tls", "SIP+D2W": "ws", "SIPS+D2W": "wss"}
_SRV = {"udp": "_sip._udp", "tcp": "_sip._tcp", "tls": "_sips._tcp"}
_SECURE = {"tcp": "tls", "tls": "tls", "ws": "wss", "wss": "wss"}
_FAMILIES = {4: "A", 6: "AAAA"}
_MOST_CNAMES = 8


@dataclass(frozen=True, slots=True)
class Server:
    """A place that requests may go to; the lowest priority first, within one by weight."""

    transport: str
    address: str  # numeric
    port: int
    priority: int = 0
    weight: int = 0
    share: int = 1  # its part of the calls of its priority

    @property
    def place(self) -> tuple[str, str, int]:
        """What tells it from other servers: transport, address, port."""
        return self.transport, self.address, self.port


@dataclass(frozen=True, slots=True)
class Location:
    """The servers of a URI, in an order of RFC 2782, and how long that holds (None: for ever)."""

    servers: tuple[Server, ...]
    ttl_s: float | None = None
    left_out: tuple[str, ...] = ()  # addresses of the other family, which no engine can call

    @property
    def family(self) -> int:
        """4 or 6: the same for all of them."""
        return _version(self.servers[0].address)


def parse_dns(text: str) -> tuple[str, int]:
    """Read `--dns SERVER[:PORT]`, numeric. Raises UsageError.

    >>> parse_dns("192.0.2.53")
    ('192.0.2.53', 53)
    """
    host, port = units.split_host_port(text.strip(), "--dns", DNS_PORT)
    if not is_numeric(host):
        raise UsageError(f'--dns "{text}": write the numeric address of a name server, such as '
                         "192.0.2.53 or [2001:db8::53]:5353")
    if port == 0:
        raise UsageError(f'--dns "{text}": port 0 cannot be asked')
    return host, port


def is_numeric(host: str) -> bool:
    """Tell an IP address from a name."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def weighted(rows: Sequence[Server], rng: random.Random) -> list[Server]:
    """Put servers of one priority in an order of RFC 2782: drawn by weight, one after the other."""
    left, result = list(rows), []
    while left:
        chosen = rng.choices(left, [one.share for one in left])[0]
        left.remove(chosen)
        result.append(chosen)
    return result


@dataclass(frozen=True, slots=True)
class _Group:
    """One SRV record, or what stands for it, and the addresses of its name."""

    priority: int
    weight: int
    port: int
    addresses: Sequence[str]


@dataclass(slots=True)
class _Found:
    """What one search has learnt on the way."""

    ttl_s: float | None = None
    refused: bool = False  # a name server failed
    other_family: bool = False  # there are addresses, but not of the family wanted
    addresses: dict[str, list[str]] = field(default_factory=dict)

    def holds(self, ttl_s: float) -> None:
        """Note the time to live of a record that was used."""
        self.ttl_s = ttl_s if self.ttl_s is None else min(self.ttl_s, ttl_s)


class Resolver:
    """Asks the system's name servers, or the one given, after a look into the hosts file.

    A name that the hosts file has is not asked for elsewhere. What the name servers do not know
    is looked up as the system does it (search domains, mDNS), unless a server was given.
    """

    def __init__(
        self,
        server: tuple[str, int] | None = None,
        *,
        hosts: Path = Path("/etc/hosts"),
        seed: int = 1,
        question_s: float = QUESTION_S,
    ) -> None:
        self._server = server
        self._hosts_file = hosts
        self._rng = random.Random(seed)
        self._question_s = question_s
        self._dns: dns.resolver.Resolver | None = None

    def locate(
        self, target: units.Target, supported: Sequence[str] = ("udp",), family: int = 0
    ) -> Location:
        """Find the servers for a URI, over one of the supported transports (the first preferred).

        `family` is 4, 6 or 0 for that of the best server, IPv4 before IPv6. Raises TargetError,
        and UsageError for a transport that is not supported.
        """
        transport = target.transport
        if target.scheme == "sips":
            transport = transport and _SECURE.get(transport, transport)
            supported = [one for one in supported if one in ("tls", "wss")]
        if not supported or (target.transport and transport not in supported):
            raise UsageError(f"target {target.uri}: {transport or target.scheme} is not supported "
                             "in this version; use transport=udp")
        host = target.maddr or target.host      # RFC 3263 4: TARGET
        usual = "tls" if target.scheme == "sips" else "udp"
        usual = usual if usual in supported else supported[0]
        if is_numeric(host):
            if family and family != _version(host):
                raise _no_family(host, family)
            transport = transport or usual
            return Location((Server(transport, host, target.port or _PORTS[transport]),))
        found, hosts = _Found(), self._hosts()
        if target.port == 0 and _plain(host) not in hosts:
            transport, services = self._services(host, transport, supported, found)
            for name, domain in services:
                records = self._ask(domain, "SRV", found)
                if records:
                    return self._by_srv(host, name, records, family, hosts, found)
        transport = transport or usual
        addresses = self._addresses(host, family, hosts, found)
        if not addresses:
            raise self._nowhere(host, family, found)
        port = target.port or _PORTS[transport]
        return self._location(transport, [_Group(0, 0, port, addresses)], family, found)

    # --- the steps of RFC 3263 4.1 and 4.2 ---

    def _services(
        self, host: str, transport: str, supported: Sequence[str], found: _Found
    ) -> tuple[str, list[tuple[str, str]]]:
        """Transport that is settled, and each transport with the domain of its SRV records."""
        if transport:
            domains = [(transport, f"{_SRV[transport]}.{host}")] if transport in _SRV else []
            return transport, domains
        offered: list[str] = []
        records = sorted(self._ask(host, "NAPTR", found),
                         key=lambda record: (record.order, record.preference))
        for record in records:
            name = _SERVICES.get(record.service.decode("ascii", "replace").upper(), "")
            if not name or record.flags.lower() != b"s":
                continue
            if name in supported:
                # The first that we can is the only one (RFC 3403 4.1, RFC 3263 4.1).
                return name, [(name, record.replacement.to_text(omit_final_dot=True))]
            offered.append(name)
        if offered:
            raise TargetError(
                f"target {host}: its NAPTR records offer SIP over {', '.join(offered)} only, not "
                f"over {', '.join(supported)}; give a port, or ;transport={supported[0]}")
        return "", [(name, f"{_SRV[name]}.{host}") for name in supported if name in _SRV]

    def _by_srv(
        self, host: str, transport: str, records: Iterable[Any], family: int,
        hosts: Mapping[str, list[str]], found: _Found,
    ) -> Location:
        groups = []
        for record in records:
            name = record.target.to_text(omit_final_dot=True)
            if name not in (".", ""):           # RFC 2782: decidedly not available
                addresses = self._addresses(name, family, hosts, found)
                groups.append(_Group(record.priority, record.weight, record.port, addresses))
        if not any(group.addresses for group in groups):
            raise self._nowhere(host, family, found, "no SRV record of it leads to an address")
        return self._location(transport, groups, family, found)

    def _location(
        self, transport: str, groups: Sequence[_Group], family: int, found: _Found
    ) -> Location:
        """Keep one family, share the weights out, and put everything in order."""
        if not family:
            best = min(group.priority for group in groups if group.addresses)
            family = min(_version(address) for group in groups if group.priority == best
                         for address in group.addresses)
        servers: dict[tuple[str, str, int], Server] = {}
        for group in sorted(groups, key=lambda group: group.priority):
            mine = [address for address in group.addresses if _version(address) == family]
            for address in mine:
                share = max(1, group.weight * PARTS // len(mine))
                one = Server(transport, address, group.port, group.priority, group.weight, share)
                known = servers.get(one.place)
                if known is None:
                    servers[one.place] = one
                elif known.priority == one.priority:    # two names of one server
                    servers[one.place] = replace(
                        known, weight=known.weight + one.weight,
                        share=min(known.share + one.share, MOST_SHARE))
        ordered: list[Server] = []
        for priority in sorted({one.priority for one in servers.values()}):
            # The order in which a server gives its records is no order.
            ordered += weighted(sorted((one for one in servers.values()
                                        if one.priority == priority),
                                       key=lambda one: one.place), self._rng)
        others = {address for group in groups for address in group.addresses
                  if _version(address) != family}
        return Location(tuple(ordered[:MOST_SERVERS]), found.ttl_s, tuple(sorted(others)))

    # --- questions ---

    def _hosts(self) -> dict[str, list[str]]:
        """Addresses by name: the hosts file, and `localhost` in any case (RFC 6761 6.3)."""
        names: dict[str, list[str]] = {}
        with contextlib.suppress(OSError):
            for line in self._hosts_file.read_text(encoding="utf-8", errors="replace").splitlines():
                address, *known = line.partition("#")[0].split() or [""]
                if is_numeric(address):
                    for name in known:
                        addresses = names.setdefault(_plain(name), [])
                        if address not in addresses:
                            addresses.append(address)
        names.setdefault("localhost", ["127.0.0.1", "::1"])
        return names

    def _addresses(
        self, name: str, family: int, hosts: Mapping[str, list[str]], found: _Found
    ) -> list[str]:
        """Addresses of a name, of one family or of both, IPv4 first."""
        plain = _plain(name)
        known = found.addresses.get(plain)
        if known is None:
            if is_numeric(name):
                known = [name]
            elif plain in hosts:
                known = sorted(hosts[plain], key=_version)
            else:
                kinds = [_FAMILIES[family]] if family else list(_FAMILIES.values())
                known = [one.address for kind in kinds for one in self._ask(name, kind, found)]
                if family and not known:        # for the words of the error
                    known = [one.address for one in self._ask(name, _FAMILIES[10 - family], found)]
                known = known or self._ask_system(name)
            found.addresses[plain] = known
        wanted = [address for address in known if family in (0, _version(address))]
        found.other_family |= len(wanted) < len(known)
        return wanted

    def _ask_system(self, name: str) -> list[str]:
        """Ask as any program does: what name servers do not know, mDNS or a search domain may."""
        if self._server is not None or _is_invalid(name):
            return []
        try:
            entries = socket.getaddrinfo(name, None, type=socket.SOCK_DGRAM)
        except (OSError, UnicodeError):
            return []
        return sorted({str(entry[4][0]) for entry in entries}, key=lambda one: (_version(one), one))

    def _ask(self, name: str, kind: str, found: _Found) -> list[Any]:
        """Ask for records of a name, by way of CNAMEs; none also when the server refuses."""
        if _is_invalid(name):
            return []
        import dns.exception
        import dns.name
        import dns.resolver

        try:
            asked = dns.name.from_text(name)
        except (dns.exception.DNSException, UnicodeError):
            raise TargetError(f"target {name}: not a host name; correct it") from None
        resolver = self._name_servers()
        if resolver is None:
            return []
        for _ in range(_MOST_CNAMES):
            try:
                answer = resolver.resolve(asked, kind, raise_on_no_answer=False,
                                          lifetime=self._question_s)
            except dns.resolver.NXDOMAIN:
                return []
            except (dns.resolver.NoNameservers, dns.resolver.YXDOMAIN):
                found.refused = True
                return []
            except dns.exception.Timeout:
                raise TargetError(
                    f"target {name}: no answer from the name server {self._asked()} within "
                    f"{self._question_s:g} s; choose another by --dns SERVER, or give a numeric "
                    "address") from None
            except dns.exception.DNSException:  # aliases in a circle, and other nonsense
                found.refused = True
                return []
            if answer.rrset is not None:
                found.holds(answer.chaining_result.minimum_ttl)
                return list(answer.rrset)
            if answer.canonical_name == asked:
                return []
            asked = answer.canonical_name       # the server knows the alias only
        return []

    def _name_servers(self) -> "dns.resolver.Resolver | None":
        import dns.resolver

        if self._dns is None:
            try:
                self._dns = dns.resolver.Resolver(configure=self._server is None)
            except dns.resolver.NoResolverConfiguration:
                return None
            self._dns.use_edns(0)
            if self._server is not None:
                self._dns.nameservers = [self._server[0]]
                self._dns.port = self._server[1]
        return self._dns

    def _asked(self) -> str:
        if self._server is not None:
            return units.host_port(self._server)
        return ", ".join(str(one) for one in self._dns.nameservers) if self._dns else "none"

    def _nowhere(self, host: str, family: int, found: _Found, why: str = "") -> TargetError:
        if family and found.other_family:
            return _no_family(host, family)
        if found.refused:
            return TargetError(
                f"target {host}: the name cannot be resolved (the name server {self._asked()} "
                "failed or refused); choose another by --dns SERVER, or give a numeric address")
        return TargetError(f"target {host}: the name cannot be resolved "
                           f"({why or 'no such name, or no address'}); give a numeric address or "
                           "correct the name")


def _plain(name: str) -> str:
    return name.lower().rstrip(".")


def _version(address: str) -> int:
    return 6 if ":" in address else 4


def _is_invalid(name: str) -> bool:
    """Names that are never there: nobody is asked (RFC 6761 6.4)."""
    return _plain(name).endswith(".invalid")


def _no_family(host: str, family: int) -> TargetError:
    return TargetError(f"target {host}: no IPv{family} address, which --local asks for; give a "
                       f"--local address of IPv{10 - family}, or another target")
