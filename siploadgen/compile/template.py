"""Message text with `{fields}` -> segments that the engine stamps.

Names in braces are, in this order: fields of the engine (`call_id`, `branch`, ...), what is known
when it is compiled (`target.host`), variables of the scenario, columns of the data. `{{` is a
brace. Text that is known now is folded and merged; an instance's message is a handful of copies.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from siploadgen.core.program import ChallengeFlag, Field
from siploadgen.model.challenges import challenge_kinds
from siploadgen.model.errors import ManyFaultsError, ModelError, nearest

FIELDS: Mapping[str, tuple[Field, int]] = {  # name -> field, arg
    "branch": (Field.FIELD_BRANCH, 0),
    "call_id": (Field.FIELD_CALL_ID, 0),
    "local_tag": (Field.FIELD_LOCAL_TAG, 0),
    "token": (Field.FIELD_TOKEN, 0),
    "cseq": (Field.FIELD_CSEQ, 0),
    "request_uri": (Field.FIELD_REQUEST_URI, 0),
    "routes": (Field.FIELD_ROUTES, 0),
    "remote_tag": (Field.FIELD_REMOTE_TAG, 0),
    "local_party": (Field.FIELD_LOCAL_PARTY, 0),
    "remote_party": (Field.FIELD_REMOTE_PARTY, 0),
    "local": (Field.FIELD_LOCAL, 0),
    "local_host": (Field.FIELD_LOCAL_HOST, 0),
    "authorization": (Field.FIELD_AUTHORIZATION, 0),
    "echo": (Field.FIELD_ECHO, 0),
    "content_length": (Field.FIELD_CONTENT_LENGTH, 0),
    **{f"challenge.{name}": (Field.FIELD_CHALLENGE, flags)  # challenge.md5, challenge.md5.auth-int
       for name, flags in challenge_kinds().items()},
    "challenge.next": (Field.FIELD_CHALLENGE, int(ChallengeFlag.CHALLENGE_NEXT)),
    "contacts": (Field.FIELD_CONTACTS, 0),
    "echo_parties": (Field.FIELD_ECHO_PARTIES, 0),
    "initial_uri": (Field.FIELD_INITIAL_URI, 0),
    "rseq": (Field.FIELD_RSEQ, 0),
    "rack": (Field.FIELD_RACK, 0),
    "sdp_address": (Field.FIELD_SDP_ADDRESS, 0),
    "uuid": (Field.FIELD_UUID, 0),
    "own_address": (Field.FIELD_OWN_ADDRESS, 0),
}
# Fields whose text has one length in every instance of an engine. The length of the body varies
# only when the body does, so it needs no entry of its own.
FIXED_WIDTH = frozenset({
    Field.FIELD_LITERAL, Field.FIELD_BRANCH, Field.FIELD_CALL_ID, Field.FIELD_LOCAL_TAG,
    Field.FIELD_TOKEN, Field.FIELD_CSEQ, Field.FIELD_LOCAL, Field.FIELD_LOCAL_HOST,
    Field.FIELD_CONTENT_LENGTH, Field.FIELD_SDP_ADDRESS, Field.FIELD_UUID, Field.FIELD_OWN_ADDRESS,
})
# Fields that a body may hold; all others belong into the head.
_BODY_FIELDS = frozenset({
    Field.FIELD_LITERAL, Field.FIELD_CALL_ID, Field.FIELD_LOCAL_TAG, Field.FIELD_TOKEN,
    Field.FIELD_LOCAL, Field.FIELD_LOCAL_HOST, Field.FIELD_COLUMN, Field.FIELD_VARIABLE,
    Field.FIELD_TEXT, Field.FIELD_SDP_ADDRESS, Field.FIELD_FILL,
})
_TOKENS = re.compile(r"\{\{|\}\}|\{([^{}\s]+)\}|[{}]")


@dataclass(frozen=True, slots=True)
class Part:
    """One segment: a field, or literal octets when `field` is FIELD_LITERAL."""

    field: Field
    arg: int = 0
    literal: bytes = b""


@dataclass(frozen=True, slots=True)
class Parts:
    """A compiled text: `body` is the number of parts before the body."""

    parts: tuple[Part, ...]
    body: int

    @property
    def fixed_length(self) -> bool:
        """Whether the text has the same length in every instance of an engine."""
        return all(part.field in FIXED_WIDTH for part in self.parts)


@dataclass(slots=True)
class Scope:
    """What the names in braces stand for.

    `variable`, `text` and `column` give the number of a name, or None when there is none of it.
    """

    constants: Mapping[str, str] = field(default_factory=dict)
    variable: Callable[[str], int | None] = lambda _name: None
    text: Callable[[str], int | None] = lambda _name: None
    column: Callable[[str], int | None] = lambda _name: None
    known: Callable[[], Iterable[str]] = tuple

    def part(self, name: str) -> Part:
        """Find the part that a name stands for."""
        if name in FIELDS:
            return Part(*FIELDS[name])
        if name in self.constants:
            return Part(Field.FIELD_LITERAL, 0, self.constants[name].encode(
                errors="surrogateescape"))  # octets of a file need not be UTF-8
        if name.startswith("fill."):
            number = self.variable(name.removeprefix("fill."))
            if number is not None:
                return Part(Field.FIELD_FILL, number)
        number = self.variable(name)
        if number is not None:
            return Part(Field.FIELD_VARIABLE, number)
        number = self.text(name)
        if number is not None:
            return Part(Field.FIELD_TEXT, number)
        number = self.column(name)
        if number is not None:
            return Part(Field.FIELD_COLUMN, number)
        raise ModelError(f"nothing is called {{{name}}}",
                         mend=nearest(name, [*(one for one in FIELDS if name.startswith("challenge")
                                               or not one.startswith("challenge.")),
                                             *self.constants, *self.known()]))


def _split(text: str, scope: Scope) -> list[Part]:
    parts: list[Part] = []
    faults: list[ModelError] = []
    end = 0
    for token in _TOKENS.finditer(text):
        parts.append(Part(Field.FIELD_LITERAL, 0, text[end:token.start()].encode()))
        end = token.end()
        try:
            parts.append(_token(token, scope))
        except ModelError as error:
            faults.append(error)
    if faults:
        raise faults[0] if len(faults) == 1 else ManyFaultsError(faults)
    parts.append(Part(Field.FIELD_LITERAL, 0, text[end:].encode()))
    return parts


def _token(token: re.Match[str], scope: Scope) -> Part:
    if token[1] is not None:
        return scope.part(token[1])
    if len(token[0]) == 2:
        return Part(Field.FIELD_LITERAL, 0, token[0][:1].encode())
    raise ModelError(f"a single {token[0]} in the text", mend=f"write {token[0] * 2} for a brace")


def _merge(parts: Iterable[Part]) -> list[Part]:
    merged: list[Part] = []
    for part in parts:
        if part.field is Field.FIELD_LITERAL:
            if not part.literal:
                continue
            if merged and merged[-1].field is Field.FIELD_LITERAL:
                merged[-1] = Part(Field.FIELD_LITERAL, 0, merged[-1].literal + part.literal)
                continue
        merged.append(part)
    return merged


def compile_text(text: str, scope: Scope) -> Parts:
    """Compile a text that is not a message.

    >>> compile_text("sip:{target.host}", Scope({"target.host": "h"})).parts[0].literal
    b'sip:h'
    """
    parts = _merge(_split(text, scope))
    return Parts(tuple(parts), len(parts))


def compile_message(text: str, scope: Scope) -> Parts:
    """Compile a message; a Content-Length whose body is known becomes a number."""
    head, blank, body_text = text.replace("\r\n", "\n").replace("\n", "\r\n").partition("\r\n\r\n")
    if not blank:
        raise ModelError("the message has no empty line after its headers",
                         mend="end the headers with an empty line (RFC 3261 7)")
    body = _merge(_split(body_text, scope))
    for part in body:
        if part.field not in _BODY_FIELDS:
            raise ModelError(f"{field_name(part)} cannot stand in a body",
                             mend="use it in a header")
    parts = _split(head + blank, scope)
    if all(part.field is Field.FIELD_LITERAL for part in body):
        length = str(sum(len(part.literal) for part in body)).encode()
        parts = [Part(Field.FIELD_LITERAL, 0, length)
                 if part.field is Field.FIELD_CONTENT_LENGTH else part for part in parts]
    merged = _merge(parts)
    return Parts((*merged, *body), len(merged))


def field_name(part: Part) -> str:
    """Write a field as texts do.

    >>> field_name(Part(Field.FIELD_BRANCH))
    '{branch}'
    """
    for name, (kind, arg) in FIELDS.items():
        if (kind, arg) == (part.field, part.arg):
            return f"{{{name}}}"
    return f"{{{part.field.name.removeprefix('FIELD_').lower()} {part.arg}}}"


# --- companions of an INVITE ---

_HEADER = re.compile(r"([A-Za-z0-9.!%*_+`'~-]+)[ \t]*:")
_COMPACT = {"v": "via", "f": "from", "t": "to", "i": "call-id"}


def _lines_named(text: str, *names: str) -> list[str]:
    """Header lines with these names, in the order of the text; `{routes}` counts as a Route."""
    found = []
    for line in text.replace("\r\n", "\n").partition("\n\n")[0].split("\n")[1:]:
        rest = line
        if rest.startswith("{routes}"):
            rest = rest.removeprefix("{routes}")
            if "route" in names:
                found.append("{routes}")
        match = _HEADER.match(rest)
        name = match[1].lower() if match else ""
        if _COMPACT.get(name, name) in names:
            found.append(rest)
    return found


def _request_uri(text: str) -> str:
    uri = text.partition(" ")[2].partition(" ")[0]
    # in a dialog the remote target may move with the response; these two keep the INVITE's
    return "{initial_uri}" if uri == "{request_uri}" else uri


def _joined(lines: Iterable[str]) -> str:
    return "".join(line if line == "{routes}" else f"{line}\r\n" for line in lines)


def ack_failure_text(invite: str) -> str:
    """ACK for a 3xx-6xx: branch, Request-URI and Route of the INVITE (RFC 3261 17.1.1.3)."""
    return (f"ACK {_request_uri(invite)} SIP/2.0\r\n"
            + _joined(_lines_named(invite, "via")[:1])
            + _joined(_lines_named(invite, "route"))
            + "Max-Forwards: 70\r\n{echo_parties}CSeq: {cseq} ACK\r\nContent-Length: 0\r\n\r\n")


def cancel_text(invite: str) -> str:
    """CANCEL: all but the method as in the INVITE, To without a new tag (RFC 3261 9.1)."""
    return (f"CANCEL {_request_uri(invite)} SIP/2.0\r\n"
            + _joined(_lines_named(invite, "via")[:1])
            + _joined(_lines_named(invite, "route"))
            + "Max-Forwards: 70\r\n"
            + _joined(_lines_named(invite, "from", "to", "call-id"))
            + "CSeq: {cseq} CANCEL\r\nContent-Length: 0\r\n\r\n")
