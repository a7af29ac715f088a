"""Durations, counts, rates, shares and SIP addresses, as people write them.

Every parser raises `UsageError` with the text, the place and the mend.
"""

import ipaddress
import re
import socket
from dataclasses import dataclass

from siploadgen.errors import TargetError, UsageError

NANOS = 1_000_000_000
SIP_PORT = 5060
# What a run wants of net.core.rmem_max and wmem_max, in octets.
SOCKET_BUFFER = 8 * 1024 * 1024

_DURATION_NS = {
    "ns": 1, "us": 1_000, "µs": 1_000, "ms": 1_000_000,
    "s": NANOS, "m": 60 * NANOS, "h": 3600 * NANOS, "d": 86_400 * NANOS,
}
_SCALE = {"": 1, "k": 1_000, "K": 1_000, "M": 1_000_000, "G": 1_000_000_000}
_PER_S = {"s": 1, "m": 60, "h": 3600}

_NUMBER = r"(\d+(?:\.\d*)?|\.\d+)"
_DURATION_PART = re.compile(_NUMBER + r"(ns|us|µs|ms|s|m|h|d)")
_COUNT = re.compile(_NUMBER + r"([kKMG]?)")
_RATE = re.compile(_NUMBER + r"([kKMG]?)(?:/(?:1)?(s|m|h))?")
_SHARE = re.compile(_NUMBER + r"%")
_SIP_URI = re.compile(r"(sips?):(.*)", re.IGNORECASE | re.DOTALL)
_LOCAL_NETWORKS = tuple(ipaddress.ip_network(text) for text in (
    "127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16",
    "::1/128", "fc00::/7", "fe80::/10"))
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9.])?")


def parse_duration(text: str, what: str = "duration") -> int:
    """Nanoseconds of `250ms`, `30s`, `1h30m` or `0`; any other bare number is refused.

    >>> parse_duration("1m30s")
    90000000000
    """
    text = text.strip()
    if text and not text.strip("0"):
        return 0
    total, end = 0, 0
    while end < len(text) and (part := _DURATION_PART.match(text, end)):
        total += round(float(part[1]) * _DURATION_NS[part[2]])
        end = part.end()
    if not text or end < len(text):
        bare = re.fullmatch(_NUMBER, text)
        mend = f"a unit is missing: {text}s or {text}ms" if bare else "write 250ms, 30s or 1h30m"
        raise UsageError(f'{what} "{text}": {mend}')
    if total > 2**62:
        raise UsageError(f'{what} "{text}": longer than 146 years')
    return total


def parse_count(text: str, what: str = "count") -> int:
    """Read a whole number such as `10k` or `1M`.

    >>> parse_count("1.5k")
    1500
    """
    text = text.strip()
    match = _COUNT.fullmatch(text)
    if match is None:
        raise UsageError(f'{what} "{text}": write a whole number such as 500, 10k or 1M')
    value = float(match[1]) * _SCALE[match[2]]
    if value != int(value) or value > 2**53:
        raise UsageError(f'{what} "{text}": not a whole number')
    return int(value)


def parse_rate(text: str, what: str = "rate") -> float:
    """Events per second of `500/s`, `120/m`, `1.8M/h` or `2k` (a bare number is per second).

    >>> parse_rate("1.8M/h")
    500.0
    """
    text = text.strip()
    match = _RATE.fullmatch(text)
    if match is None:
        raise UsageError(f'{what} "{text}": write 500/s, 120/m, 1.8M/h or 2k')
    return float(match[1]) * _SCALE[match[2]] / _PER_S[match[3] or "s"]


def parse_share(text: str, what: str = "share") -> float:
    """Read a share from 0 to 1, written `3%`; `0` and `1` need no sign.

    >>> parse_share("3%")
    0.03
    """
    text = text.strip()
    if text in ("0", "1"):
        return float(text)
    match = _SHARE.fullmatch(text)
    if match is None:
        raise UsageError(f'{what} "{text}": write a percentage such as 3% or 0.5%')
    value = float(match[1]) / 100
    if value > 1:
        raise UsageError(f'{what} "{text}": more than 100%')
    return value


def format_duration(nanos: int | float) -> str:
    """Write a time in nanoseconds.

    >>> format_duration(1_500_000)
    '1.5 ms'
    """
    value = float(nanos)
    if abs(value) < 1_000:
        return f"{value:.0f} ns"
    if abs(value) < 999_500:
        return f"{value / 1e3:.3g} us"
    if abs(value) < 999_500_000:
        return f"{value / 1e6:.3g} ms"
    if abs(value) < 120 * NANOS:
        return f"{value / 1e9:.4g} s"
    minutes, seconds = divmod(round(value / 1e9), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes:02}m{seconds:02}s" if hours else f"{minutes}m{seconds:02}s"


def format_rate(per_s: float) -> str:
    """Write a rate with its unit: `2,000/s`, `1.5/s`."""
    return f"{per_s:,.0f}/s" if per_s >= 1000 else f"{per_s:.4g}/s"


@dataclass(frozen=True, slots=True)
class Target:
    """Where calls go: a parsed SIP URI, name not yet resolved."""

    scheme: str
    user: str
    host: str
    port: int  # 0: a name without a port, which SRV records give (RFC 3263 4.2)
    transport: str  # empty: none given
    maddr: str = ""

    @property
    def uri(self) -> str:
        """The URI in full: `sip:host:port`, with the transport when it is not UDP."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        user = f"{self.user}@" if self.user else ""
        port = f":{self.port}" if self.port else ""
        transport = "" if self.transport in ("", "udp") else f";transport={self.transport}"
        maddr = f";maddr={self.maddr}" if self.maddr else ""
        return f"{self.scheme}:{user}{host}{port}{transport}{maddr}"


def split_host_port(text: str, what: str, default_port: int) -> tuple[str, int]:
    """Host and port of `host`, `host:port`, `[v6]`, `[v6]:port` or a bare IPv6 address."""
    port = ""
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            raise UsageError(f'{what} "{text}": write an IPv6 address as [2001:db8::1]:5060')
        port, given = rest[1:], bool(rest)
    elif text.count(":") > 1:
        host, given = text, False
    else:
        host, colon, port = text.partition(":")
        given = bool(colon)
    if ":" in host:
        try:
            ipaddress.IPv6Address(host.split("%")[0])
        except ValueError:
            raise UsageError(f'{what} "{text}": {host} is not an IPv6 address') from None
    elif not _HOST.fullmatch(host):
        raise UsageError(f'{what} "{text}": no host; write host, host:port or sip:host:port')
    if not given:
        return host, default_port
    if not port.isascii() or not port.isdigit() or not 0 <= int(port) <= 65535:
        raise UsageError(f'{what} "{text}": the port must be a number from 0 to 65535')
    return host, int(port)


def parse_target(text: str) -> Target:
    """Read a target: `sip:host:port;transport=udp`, `sip:user@host`, or bare `host[:port]`.

    The default port of a numeric host is 5060 (RFC 3261 19.1.2); that of a name is looked for.
    Only UDP can be used so far; other transports and `sips:` are refused with the reason.
    """
    if text.strip().lower().startswith("tel:"):
        raise UsageError(f'target "{text}": a tel URI names no server; give the next hop by -t '
                         f'sip:HOST and the number by --set "to={text.strip()}"')
    match = _SIP_URI.fullmatch(text.strip())
    scheme, rest = (match[1].lower(), match[2]) if match else ("sip", text.strip())
    if match is None and re.match(r"[a-z][a-z0-9+.-]*://", rest, re.IGNORECASE):
        raise UsageError(f'target "{text}": not a SIP URI; write sip:host:port')
    address, _, parameters = rest.partition(";")
    user, at, host_port = address.rpartition("@")
    if at and not user:
        raise UsageError(f'target "{text}": nothing before the @')
    host, port = split_host_port(host_port, "target", -1)
    if port == 0:
        raise UsageError(f'target "{text}": port 0 cannot be called')
    if port < 0:
        port = SIP_PORT if ":" in host or re.fullmatch(r"[0-9.]+", host) else 0
    transport = maddr = ""
    for parameter in filter(None, parameters.split(";")):
        name, _, value = parameter.partition("=")
        if name.lower() == "maddr":
            maddr, _ = split_host_port(value, "maddr", 0)
            continue
        if name.lower() != "transport":
            raise UsageError(f'target "{text}": unknown parameter "{name}" (did you mean '
                             '"transport"?)')
        transport = value.lower()
    if scheme == "sips" or transport in ("tcp", "tls", "ws", "wss"):
        asked = "sips" if scheme == "sips" else transport
        raise UsageError(f'target "{text}": {asked} is not supported in this version; use '
                         'transport=udp')
    if transport not in ("", "udp"):
        raise UsageError(f'target "{text}": unknown transport "{transport}"; use udp')
    return Target(scheme, user, host, port, transport, maddr)


def parse_listen(text: str) -> tuple[str, int]:
    """Host and port of `udp:127.0.0.1:5070`, `127.0.0.1:5070`, `udp:5070` or `:5070`.

    Without a host it listens on 127.0.0.1; port 0 lets the system choose.
    """
    rest = text.strip()
    for prefix in ("tcp:", "tls:", "ws:", "wss:", "sips:"):
        if rest.lower().startswith(prefix):
            raise UsageError(f'--listen "{text}": {prefix[:-1]} is not supported in this '
                             'version; use udp:')
    if rest.lower().startswith(("udp:", "sip:")):
        rest = rest[4:]
    if re.fullmatch(r":?\d+", rest) and "." not in rest:
        rest = "127.0.0.1:" + rest.lstrip(":")
    return split_host_port(rest, "--listen", SIP_PORT)


def parse_local(text: str) -> tuple[str, int]:
    """Host and port of `--local ADDRESS[:PORT]`; without a port the system chooses (0)."""
    return split_host_port(text.strip(), "--local", 0)


def resolve(host: str, port: int, what: str = "target") -> tuple[str, int]:
    """Numeric address of a host, IPv4 before IPv6.

    Raises TargetError when the name cannot be resolved. For addresses of our own: those of
    targets are found by `siploadgen.run.resolve`.
    """
    try:
        return str(ipaddress.ip_address(host)), port
    except ValueError:
        pass
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)
    except OSError as error:
        raise TargetError(f"{what} {host}: the name cannot be resolved ({error.strerror}); "
                          "give a numeric address or correct the name") from None
    found.sort(key=lambda entry: entry[0] != socket.AF_INET)
    return str(found[0][4][0]), port


def is_local_network(address: str) -> bool:
    """Tell loopback, private (RFC 1918, RFC 4193) and link-local addresses from others."""
    ip = ipaddress.ip_address(address.split("%", maxsplit=1)[0])
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped is not None:
        ip = ip.ipv4_mapped
    return any(ip in network for network in _LOCAL_NETWORKS if network.version == ip.version)


def host_port(address: tuple[str, int]) -> str:
    """`127.0.0.1:5060` or `[::1]:5060`."""
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
