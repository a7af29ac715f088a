"""SIP messages as Python objects: `parse` for tools, tests and answering scripts.

The parser is the engine's own (siploadgen.core.sip.parse). What the engine only steps over is
checked too, so that a message that `parse` returns is well-formed by RFC 3261 25.1.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from siploadgen.core.sip import parse as _core
from siploadgen.core.sip import tokens as _tokens
from siploadgen.core.sip.parse import ParseFault, ParseStatus

_RULES = {
    ParseFault.FAULT_EMPTY: "the datagram is empty",
    ParseFault.FAULT_START_LINE: "neither a request line nor a status line (RFC 3261 7.1, 7.2)",
    ParseFault.FAULT_VERSION: "the version is not SIP/2.0 (RFC 3261 21.5.6)",
    ParseFault.FAULT_STATUS: "the status code is not one of 100 to 699 (RFC 3261 7.2)",
    ParseFault.FAULT_LINE_END: "a line ends in LF without CR (RFC 3261 7)",
    ParseFault.FAULT_NO_END: "no empty line ends the headers (RFC 3261 7)",
    ParseFault.FAULT_TOO_LARGE: "the start line and headers are longer than 65536 octets",
    ParseFault.FAULT_HEADER_NAME: "a header line has no name and colon (RFC 3261 7.3.1)",
    ParseFault.FAULT_DUPLICATE: "a header that may stand once stands twice (RFC 3261 7.3.1)",
    ParseFault.FAULT_MISSING_VIA: "there is no Via (RFC 3261 8.1.1)",
    ParseFault.FAULT_MISSING_FROM: "there is no From (RFC 3261 8.1.1)",
    ParseFault.FAULT_MISSING_TO: "there is no To (RFC 3261 8.1.1)",
    ParseFault.FAULT_MISSING_CALL_ID: "there is no Call-ID (RFC 3261 8.1.1)",
    ParseFault.FAULT_MISSING_CSEQ: "there is no CSeq (RFC 3261 8.1.1)",
    ParseFault.FAULT_VIA: "malformed Via (RFC 3261 20.42)",
    ParseFault.FAULT_FROM: "malformed From (RFC 3261 20.20)",
    ParseFault.FAULT_TO: "malformed To (RFC 3261 20.39)",
    ParseFault.FAULT_CALL_ID: "malformed Call-ID (RFC 3261 20.8)",
    ParseFault.FAULT_CSEQ: "CSeq is not a 32-bit number and a method (RFC 3261 20.16)",
    ParseFault.FAULT_CSEQ_METHOD: "CSeq has another method than the request (RFC 3261 8.1.1.5)",
    ParseFault.FAULT_CONTACT: "malformed Contact (RFC 3261 20.10)",
    ParseFault.FAULT_CONTENT_LENGTH: "Content-Length is not a number of 31 bits (RFC 3261 20.14)",
    ParseFault.FAULT_NO_CONTENT_LENGTH: "no Content-Length on a stream (RFC 3261 18.3)",
    ParseFault.FAULT_BODY_SHORT: "the body is shorter than Content-Length (RFC 3261 18.3)",
    ParseFault.FAULT_URI: "malformed Request-URI (RFC 3261 19.1.1)",
    ParseFault.FAULT_ADDRESS: "malformed address (RFC 3261 20.10)",
    ParseFault.FAULT_NUMBER: "a header is not a number or out of its range (RFC 3261 25.1)",
    ParseFault.FAULT_DATE: "malformed Date, or not in GMT (RFC 3261 20.17)",
    ParseFault.FAULT_TOKEN: "a header does not consist of tokens (RFC 3261 25.1)",
    ParseFault.FAULT_CHARACTER: "a control character where none may be (RFC 3261 25.1)",
}

_FOLD = re.compile(rb"[ \t]*\r\n[ \t]+")
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)


class ParseError(ValueError):
    """Octets that are no acceptable SIP message.

    `offset` is the octet where the rule is broken, `rule` says which one (with its RFC section),
    `fault` is its number, and `status` the SIP status that refuses such a request (0: drop it).
    """

    def __init__(self, offset: int, rule: str, fault: ParseFault, status: int) -> None:
        super().__init__(f"octet {offset}: {rule}")
        self.offset = offset
        self.rule = rule
        self.fault = fault
        self.status = status


def _decode(octets: bytes) -> str:
    """Text of a part of a message; octets that are not UTF-8 survive a round trip."""
    return octets.decode("utf-8", "surrogateescape")


def _encode(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _unquote(text: str) -> str:
    """`text` without its quotes and escapes, or as it is when it has no quotes."""
    if len(text) >= 2 and text[0] == text[-1] == '"':
        return _ESCAPE.sub(r"\1", text[1:-1])
    return text


def _parameters(text: bytes) -> dict[str, str | None]:
    """Parameters by lower-case name, values as written; the first of a name counts."""
    found: dict[str, str | None] = {}
    for name, value in _core.parameters(text):
        found.setdefault(_decode(name).lower(), None if value is None else _decode(value))
    return found


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and text.isascii() and text.isdigit() else None


@dataclass(frozen=True, slots=True)
class Uri:
    """A URI in parts (RFC 3261 19.1, RFC 3966). `str(uri)` is the text as received.

    Nothing is unescaped. Of a tel URI `user` is the number, of one with any other scheme all that
    is behind the colon. `scheme` and `host`, which compare without case, are in lower case; an IPv6
    host keeps its brackets. `port` is None when there is none.
    """

    text: str
    scheme: str
    user: str
    password: str | None
    host: str
    port: int | None
    parameters: Mapping[str, str | None]
    headers: str

    def __str__(self) -> str:
        """Text as received."""
        return self.text

    @classmethod
    def parse(cls, text: str) -> Uri:
        """Return the parts of `text`. Raises ValueError when it is not a URI."""
        octets = _encode(text)
        parts = _core.uri(octets)
        if parts is None:
            msg = f"not a URI: {text!r}"
            raise ValueError(msg)
        return cls(
            text=text, scheme=_decode(parts["scheme"]).lower(), user=_decode(parts["user"]),
            password=_decode(parts["password"]) or None, host=_decode(parts["host"]).lower(),
            port=parts["port"] or None, parameters=_parameters(parts["parameters"]),
            headers=_decode(parts["headers"]))


@dataclass(frozen=True, slots=True)
class Address:
    """A name-addr or addr-spec with its header parameters (RFC 3261 20.10).

    `display` is without quotes and escapes; parameter values are as written, quotes included.
    """

    display: str
    uri: Uri
    parameters: Mapping[str, str | None]

    @property
    def tag(self) -> str | None:
        """Tag of a From or To; None when it has none (RFC 2543 peers)."""
        return self.parameters.get("tag")

    @property
    def expires(self) -> int | None:
        """Seconds of a Contact's expires parameter; 3600 for a malformed one (RFC 3261 20.10)."""
        text = self.parameters.get("expires")
        number = _number(text)
        return 3600 if number is None and text is not None else number


@dataclass(frozen=True, slots=True)
class Via:
    """One via-parm (RFC 3261 20.42). `rport` is the port written there, None for the bare flag."""

    transport: str
    host: str
    port: int | None
    branch: str | None
    received: str | None
    rport: int | None
    parameters: Mapping[str, str | None]


@dataclass(frozen=True, slots=True)
class CSeq:
    """The number and the method of CSeq (RFC 3261 20.16)."""

    number: int
    method: str


@dataclass(frozen=True, slots=True)
class Item:
    """A header value of the form `value;name=value`, such as Event or Session-Expires."""

    value: str
    parameters: Mapping[str, str | None]


@dataclass(frozen=True, slots=True)
class Challenge:
    """A WWW-Authenticate or Proxy-Authenticate (RFC 3261 20.44, RFC 7616); strings unquoted."""

    scheme: str
    realm: str
    nonce: str
    opaque: str
    algorithm: str
    qop: tuple[str, ...]
    stale: bool
    proxy: bool


@dataclass(frozen=True, slots=True)
class Credentials:
    """An Authorization or Proxy-Authorization (RFC 3261 20.7); strings unquoted, nc as a number."""

    scheme: str
    username: str
    realm: str
    nonce: str
    uri: str
    response: str
    algorithm: str
    cnonce: str
    opaque: str
    qop: str
    nc: int | None
    proxy: bool


class Headers(Mapping[str, str]):
    """Header values by name, in any case and also by compact name.

    `headers["via"]` is the first value, `headers.all("via")` are all of them; iteration gives each
    name once, in the order of the message, long and as the RFC prints it when it is known.
    """

    __slots__ = ("_pairs", "_values")

    def __init__(self, pairs: list[tuple[str, str]]) -> None:
        self._pairs = tuple(pairs)
        self._values: dict[str, list[str]] = {}
        for name, value in pairs:
            self._values.setdefault(name.lower(), []).append(value)

    @staticmethod
    def _key(name: str) -> str:
        known = _tokens.header_text(_tokens.header_number(_encode(name)))
        return (_decode(known) or name).lower()

    def __getitem__(self, name: str) -> str:
        """Return the first value of that name; KeyError when there is none."""
        return self._values[self._key(name)][0]

    def __iter__(self) -> Iterator[str]:
        """Each name once, in the order of the message."""
        return iter({name.lower(): name for name, _ in reversed(self._pairs)}[key]
                    for key in self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return f"Headers({list(self._pairs)!r})"

    def all(self, name: str) -> tuple[str, ...]:
        """Return all values of that name, in order; folds are one space each."""
        return tuple(self._values.get(self._key(name), ()))

    @property
    def pairs(self) -> tuple[tuple[str, str], ...]:
        """(name, value) of each header in order."""
        return self._pairs


@dataclass(frozen=True, slots=True)
class Message:
    """A SIP message. Of a request `status` is 0 and `reason` empty; of a response `uri` is None.

    `complete` is False when there were more headers than are kept (256). Typed properties raise
    ValueError only for headers that `parse` does not check.
    """

    is_request: bool
    method: str
    uri: Uri | None
    status: int
    reason: str
    headers: Headers
    cseq: CSeq
    body: bytes
    complete: bool

    def _octets(self, name: str) -> list[bytes]:
        return [_encode(value) for value in self.headers.all(name)]

    def addresses(self, name: str) -> tuple[Address, ...]:
        """Return the addresses of all headers of that name; `*` (RFC 3261 10.2.2) is left out."""
        found = []
        for value in self._octets(name):
            for display, uri, parameters in _core.addresses(value) or ():
                if uri != b"*":
                    found.append(Address(_unquote(_decode(display)), Uri.parse(_decode(uri)),
                                         _parameters(parameters)))
        return tuple(found)

    def options(self, name: str) -> tuple[str, ...]:
        """Return the elements of all comma separated headers of that name."""
        return tuple(_decode(item) for value in self._octets(name) for item in _core.items(value))

    def item(self, name: str) -> Item | None:
        """Return value and parameters of the first header of that name."""
        value = self.headers.get(name)
        if value is None:
            return None
        head, _, tail = _encode(value).partition(b";")
        return Item(_decode(head).strip(), _parameters(tail))

    def number(self, name: str) -> int | None:
        """Return the number that the first header of that name begins with."""
        item = self.item(name)
        return _number(item.value.split(" ")[0]) if item is not None else None

    @property
    def via(self) -> tuple[Via, ...]:
        """All via-parms, the topmost first."""
        return tuple(
            Via(transport=_decode(one["transport"]), host=_decode(one["host"]),
                port=one["port"] or None, branch=_decode(one["branch"]) or None,
                received=_decode(one["received"]) or None, rport=one["rport"],
                parameters=_parameters(one["parameters"]))
            for value in self._octets("Via") for one in _core.vias(value) or ())

    @property
    def from_(self) -> Address:
        """The From address."""
        return self.addresses("From")[0]

    @property
    def to(self) -> Address:
        """The To address."""
        return self.addresses("To")[0]

    @property
    def call_id(self) -> str:
        """The Call-ID, compared octet by octet (RFC 3261 20.8)."""
        return self.headers["Call-ID"]

    @property
    def contact(self) -> tuple[Address, ...]:
        """All Contact addresses; see `contact_is_star` for `Contact: *`."""
        return self.addresses("Contact")

    @property
    def contact_is_star(self) -> bool:
        """True when a Contact is `*`: remove all bindings (RFC 3261 10.2.2)."""
        return "*" in self.headers.all("Contact")

    @property
    def route(self) -> tuple[Address, ...]:
        """The route set of a request."""
        return self.addresses("Route")

    @property
    def record_route(self) -> tuple[Address, ...]:
        """The proxies that stay on the path."""
        return self.addresses("Record-Route")

    @property
    def path(self) -> tuple[Address, ...]:
        """The proxies between registrar and user agent (RFC 3327)."""
        return self.addresses("Path")

    @property
    def service_route(self) -> tuple[Address, ...]:
        """The route that a registrar gives to its users (RFC 3608)."""
        return self.addresses("Service-Route")

    @property
    def max_forwards(self) -> int | None:
        """Hops left; None when there is no Max-Forwards."""
        return self.number("Max-Forwards")

    @property
    def content_length(self) -> int | None:
        """Octets of body as announced; None when there is no Content-Length."""
        return self.number("Content-Length")

    @property
    def expires(self) -> int | None:
        """Seconds of the Expires header; None when there is none or it is a date."""
        return self.number("Expires")

    @property
    def require(self) -> tuple[str, ...]:
        """Option tags that the answerer must know (RFC 3261 8.2.2.3)."""
        return self.options("Require")

    @property
    def supported(self) -> tuple[str, ...]:
        """Option tags that the sender knows."""
        return self.options("Supported")

    @property
    def challenges(self) -> tuple[Challenge, ...]:
        """The challenges of a 401 or 407 in order; malformed ones are left out."""
        found = []
        for name in ("WWW-Authenticate", "Proxy-Authenticate"):
            for value in self._octets(name):
                parts = _core.challenge(value)
                if parts is None:
                    continue
                text = {key: _unescape(parts[key]) for key in
                        ("scheme", "realm", "nonce", "opaque", "algorithm", "qop")}
                qop = tuple(word.strip() for word in text.pop("qop").split(",") if word.strip())
                found.append(Challenge(**text, qop=qop, stale=parts["stale"],
                                       proxy=name[0] == "P"))
        return tuple(found)

    @property
    def credentials(self) -> tuple[Credentials, ...]:
        """The credentials of a request in order; malformed ones are left out."""
        found = []
        for name in ("Authorization", "Proxy-Authorization"):
            for value in self._octets(name):
                parts = _core.credentials(value)
                if parts is None:
                    continue
                text = {key: _unescape(part) for key, part in parts.items()}
                nc = text.pop("nc")
                count = int(nc, 16) if re.fullmatch("[0-9a-fA-F]{1,8}", nc) else None
                found.append(Credentials(**text, nc=count, proxy=name[0] == "P"))
        return tuple(found)


def _unescape(octets: bytes) -> str:
    return _ESCAPE.sub(r"\1", _decode(octets))


def parse(data: bytes) -> Message:
    r"""Parse one datagram.

    Raises ParseError when `data` is not a well-formed SIP message, a keepalive included.

    >>> message = parse(
    ...     b"OPTIONS sip:bob@example.com SIP/2.0\r\n"
    ...     b"Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\r\n"
    ...     b"From: <sip:alice@example.com>;tag=1\r\nTo: <sip:bob@example.com>\r\n"
    ...     b"Call-ID: 1\r\nCSeq: 1 OPTIONS\r\nl: 0\r\n\r\n")
    >>> message.via[0].branch, message.cseq.method, message.headers["content-length"]
    ('z9hG4bK1', 'OPTIONS', '0')
    """
    parsed = _core.Parsed(data)
    if parsed.outcome == ParseStatus.PARSE_KEEPALIVE:
        raise ParseError(0, "a keepalive, not a message (RFC 5626 4.4)", ParseFault.FAULT_NONE, 0)
    status = parsed.validate()
    fields = parsed.fields()
    if fields["error"]:
        fault = ParseFault(fields["error"])
        raise ParseError(fields["error_at"], _RULES[fault], fault, status)
    pairs = [
        (_decode(_tokens.header_text(number) or name), _decode(_FOLD.sub(b" ", value)))
        for number, name, value in parsed.headers()
    ]
    request = fields["is_request"]
    cseq = CSeq(fields["cseq"], _decode(fields["cseq_method_text"]))
    return Message(
        is_request=request,
        method=_decode(fields["method_text"]) if request else cseq.method,
        uri=Uri.parse(_decode(fields["uri"])) if request else None,
        status=fields["status"], reason=_decode(fields["reason"]), headers=Headers(pairs),
        cseq=cseq, body=fields["body"], complete=not fields["too_many_headers"])
