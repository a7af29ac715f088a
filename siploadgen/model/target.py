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


def address_of(uri: str) -> str:
    """Strip port, parameters and headers off a URI (fields allowed), for From and To.

    >>> address_of("sip:{callee.user}@10.0.0.5:5060;transport=tcp")
    'sip:{callee.user}@10.0.0.5'
    >>> address_of("{moved}")
    '{moved}'
    """
    if re.fullmatch(r"\{[^{}]+\}", uri):
        return uri
    head, at, rest = uri.rpartition("@")
    if not at:
        head, _, rest = uri.partition(":")
        at = ":"
    rest = re.split(r"[;?]", rest, maxsplit=1)[0]
    return head + at + re.sub(r":(?:\d+|\{target\.port\})$", "", rest)
