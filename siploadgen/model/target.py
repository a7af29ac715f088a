"""The SIP URI that calls go to, as far as templates need it."""

import re
from dataclasses import dataclass

from siploadgen.model.errors import ModelError

_URI = re.compile(
    r"(?:(?P<scheme>sips?):)?(?:(?P<user>[^@\s<>]+)@)?"
    r"(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::(?P<port>\d{1,5}))?"
    r"(?P<parameters>(?:;[^;\s<>?]+)*)")
TRANSPORTS = ("udp", "tcp", "tls")


@dataclass(frozen=True, slots=True)
class Target:
    """Parts of a SIP URI; `parameters` begins with its semicolon."""

    scheme: str
    user: str
    host: str
    port: int  # 0: none given
    parameters: str

    @property
    def host_port(self) -> str:
        """Host, with the port when the URI names one."""
        return f"{self.host}:{self.port}" if self.port else self.host

    @property
    def transport(self) -> str:
        """Token of the Via header: UDP, TCP or TLS."""
        for parameter in self.parameters.lower().split(";"):
            if parameter.startswith("transport="):
                return parameter.removeprefix("transport=").upper()
        return "TLS" if self.scheme == "sips" else "UDP"

    def uri(self, user: str = "") -> str:
        """Write the whole URI, with `user` when it names none itself."""
        name = self.user or user
        return f"{self.scheme}:{name + '@' if name else ''}{self.host_port}{self.parameters}"

    def address(self, user: str = "") -> str:
        """Write the URI for From and To, which have no port or transport (RFC 3261 19.1.1)."""
        name = self.user or user
        return f"{self.scheme}:{name + '@' if name else ''}{self.host}"


def parse_target(text: str) -> Target:
    """Take a SIP URI apart.

    >>> parse_target("sip:10.0.0.5:5060;transport=tcp").uri("service")
    'sip:service@10.0.0.5:5060;transport=tcp'
    """
    match = _URI.fullmatch(text.strip())
    port = int(match["port"] or 0) if match else 0
    if match is None or port > 65535:
        raise ModelError(f"{text!r} is not a SIP URI", mend="write it as sip:host:port")
    target = Target(match["scheme"] or "sip", match["user"] or "", match["host"], port,
                    match["parameters"])
    if target.transport.lower() not in TRANSPORTS:
        raise ModelError(f"{text!r}: unknown transport {target.transport.lower()}",
                         mend=f"choose one of {', '.join(TRANSPORTS)}")
    return target


# what a URI in From and To does not have (RFC 3261 19.1.1, table 1)
_NOT_IN_PARTIES = ("method", "maddr", "ttl", "transport", "lr")


def address_of(uri: str) -> str:
    """Strip off a SIP URI (fields allowed) what From and To do not have; others stay as they are.

    >>> address_of("sip:{callee.user}@10.0.0.5:5060;transport=tcp;user=phone")
    'sip:{callee.user}@10.0.0.5;user=phone'
    >>> address_of("tel:7042;phone-context=example.com")
    'tel:7042;phone-context=example.com'
    >>> address_of("{moved}")
    '{moved}'
    """
    if re.fullmatch(r"\{[^{}]+\}", uri):
        return uri
    head, at, rest = uri.rpartition("@")
    if not at:
        head, _, rest = uri.partition(":")
        at = ":"
        if head.lower() not in ("sip", "sips"):
            return uri
    host, *parameters = rest.partition("?")[0].split(";")
    kept = [one for one in parameters if one.partition("=")[0].lower() not in _NOT_IN_PARTIES]
    return ";".join([head + at + re.sub(r":(?:\d+|\{target\.port\})$", "", host), *kept])
