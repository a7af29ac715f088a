"""The recorder: the `c` of a call model, whose methods note down the steps of a scenario."""

import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, fields, replace
from types import TracebackType
from typing import Any, NoReturn, TypeAlias, TypeVar

from siploadgen.model import hooks, messages
from siploadgen.model import scenario as tree
from siploadgen.model.challenges import challenge_kinds
from siploadgen.model.errors import ModelError, nearest
from siploadgen.model.patterns import group_count
from siploadgen.model.scenario import NOWHERE, Place, Scenario
from siploadgen.model.settings import Share, read_session, read_uri
from siploadgen.model.target import Target, address_of
from siploadgen.model.values import (
    ZERO,
    ColumnRef,
    Elapsed,
    Fixed,
    TimesT1,
    Value,
    VariableRef,
    parse_distribution,
    parse_duration_ns,
    parse_limit,
    parse_share,
)

Words: TypeAlias = str | Iterable[str]
What: TypeAlias = int | str | range
# values of None take the header out that the message would have
Headers: TypeAlias = Mapping[str, str | None] | Iterable[tuple[str, str | None]]
Read = TypeVar("Read")
DEFAULT_FROM = "sip:caller@{local_host}"
DEFAULT_USER = "service"  # of a target that names none
DIALOG_METHODS = ("INVITE", "SUBSCRIBE", "REFER")  # RFC 3261 12.1, 6665 4.1.2, 3515 2.4
_HERE = {__file__}
_METHOD_CHARACTERS = frozenset(
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-.!%*_+`'~")


def words(value: Words) -> tuple[str, ...]:
    """Split names at blanks; a list of names stays what it is."""
    return tuple(value.split()) if isinstance(value, str) else tuple(value)


def _headers(value: Headers) -> tuple[tuple[str, str | None], ...]:
    return tuple(value.items() if isinstance(value, Mapping) else value)


# Where the step being recorded stands, when that is no line of Python.
_GIVEN: ContextVar[Place | None] = ContextVar("place", default=None)


@contextmanager
def placed_at(place: Place) -> Iterator[None]:
    """Record steps as those of this place: for front ends whose steps are no lines of Python."""
    before = _GIVEN.set(place)
    try:
        yield
    finally:
        _GIVEN.reset(before)


def _caller_place() -> Place:
    given = _GIVEN.get()
    if given is not None:
        return given
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename in _HERE:
        frame = frame.f_back
    return Place(os.path.basename(frame.f_code.co_filename), frame.f_lineno)


def parse_what(what: What, method: str) -> tree.Match:
    """Read what a wait waits for: a status, a range, a request's method, or an event.

    >>> parse_what("18x", "INVITE")
    OnResponse(low=180, high=189, method='INVITE')
    >>> parse_what("300-399", "INVITE"), parse_what("BYE", "")
    (OnResponse(low=300, high=399, method='INVITE'), OnRequest(method='BYE'))
    >>> parse_what("timeout", "")
    <OnEvent.TIMEOUT: 'timeout'>
    """
    if isinstance(what, range):
        low, high = what.start, what.stop - 1
    elif isinstance(what, int):
        low = high = what
    elif what in (event.value for event in tree.OnEvent):
        return tree.OnEvent(what)
    elif what[:1].isdigit():
        text = what.lower()
        first, dash, last = text.partition("-")
        try:
            low = int(first.replace("x", "0"))
            high = int(last if dash else text.replace("x", "9"))
        except ValueError:
            low = high = 0
    elif what and set(what) <= _METHOD_CHARACTERS:
        return tree.OnRequest(what)
    else:
        raise ModelError(f"{what!r} is neither a status nor a method",
                         mend='write 200, "18x", "300-399", "BYE", "timeout" or "cancel"')
    if not 100 <= low <= high <= 699:
        raise ModelError(f"{what!r} is not a range of statuses",
                         mend="statuses go from 100 to 699 (RFC 3261 7.2)")
    if not method:
        raise ModelError(f"{what!r}: no request was sent that a response could answer",
                         mend='send one first, or say which: method="INVITE"')
    return tree.OnResponse(low, high, method)


class Variable:
    """A number of the instance's own; compare it to get a condition."""

    __hash__ = None  # type: ignore[assignment]

    def __init__(self, subject: str | tree.Pseudo) -> None:
        self.subject = subject

    def _compare(self, how: tree.Compare, other: object) -> tree.Condition:
        if isinstance(other, Variable) and isinstance(other.subject, str):
            return tree.Condition(self.subject, how, VariableRef(other.subject))
        if isinstance(other, ColumnRef):
            return tree.Condition(self.subject, how, other)
        if not isinstance(other, int):
            raise ModelError(f"{self} can only be compared with a whole number or a variable",
                             place=str(_caller_place()), mend="write one of them on the right")
        return tree.Condition(self.subject, how, int(other))

    def __eq__(self, other: object) -> tree.Condition:  # type: ignore[override]
        return self._compare(tree.Compare.EQ, other)

    def __ne__(self, other: object) -> tree.Condition:  # type: ignore[override]
        return self._compare(tree.Compare.NE, other)

    def __lt__(self, other: object) -> tree.Condition:
        return self._compare(tree.Compare.LT, other)

    def __le__(self, other: object) -> tree.Condition:
        return self._compare(tree.Compare.LE, other)

    def __gt__(self, other: object) -> tree.Condition:
        return self._compare(tree.Compare.GT, other)

    def __ge__(self, other: object) -> tree.Condition:
        return self._compare(tree.Compare.GE, other)

    def __bool__(self) -> bool:
        raise ModelError(f"{self} has no value yet when the model is recorded",
                         place=str(_caller_place()), mend="ask it with c.if_(...) instead of if")

    def __str__(self) -> str:
        return self.subject if isinstance(self.subject, str) else self.subject.value


class Names:
    """`c.v`: the settings of the model, and the instance's variables, by name."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self._settings = settings

    def __getattr__(self, name: str) -> Any:
        """Find a setting's value when there is one of that name, else the variable."""
        return self._settings[name] if name in self._settings else Variable(name)


class Beyond:
    """`c.user` and `c.run`: variables that outlive a call, by name."""

    def __init__(self, scope: str) -> None:
        self._scope = scope

    def __getattr__(self, name: str) -> Variable:
        """Name the variable."""
        return Variable(f"{self._scope}.{name}")


@dataclass(slots=True)
class _Leg:
    """What the recorder knows about a leg so far."""

    number: int
    in_dialog: bool = False
    peer_opened: bool = False  # the peer's request made the dialog
    from_value: str = ""
    to_value: str = ""
    last_request: tree.Send | None = None
    invites: bool = False  # an INVITE of ours was sent
    last_received: str = ""
    authenticates: bool = False


@dataclass(slots=True)
class _CaseBuilder:
    matches: tuple[tree.Match, ...]
    steps: list[Any]
    then: tree.Then
    leg: int
    place: Place
    last: bool = False  # listed after all others


class _Block:
    """`with` block whose steps are recorded into a list of their own.

    What is recorded after a block that never comes back goes on from where the legs stood before
    it, which is `before` if that was earlier than its beginning.
    """

    def __init__(self, recorder: "Recorder", steps: list[Any],
                 before: Mapping[str, _Leg] | None = None) -> None:
        self._recorder = recorder
        self._steps = steps
        self._before = before

    def __enter__(self) -> None:
        if self._before is None:
            self._before = self._recorder._legs_now()
        self._recorder._stack.append(self._steps)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        if kind is None:
            self._recorder._settle()
            last = self._steps[-1] if self._steps else None
            if isinstance(last, tree.End) or (
                    isinstance(last, tree.Jump) and last.condition is None):
                self._recorder._legs_back(self._before or {})
        self._recorder._stack.pop()


class Wait:
    """What an instance waits for; every method adds a case and gives the wait back.

    Cases are tried in the order in which they were written, those of `otherwise` last. Provisional
    responses that no case names are passed over; a final response that no case names ends the call
    as rejected, a transaction that times out as timeout, a transport error as transport.
    """

    def __init__(self, recorder: "Recorder", leg: _Leg, method: str, place: Place) -> None:
        self._recorder = recorder
        self._leg = leg
        self._method = method
        self._place = place
        self._cases: list[_CaseBuilder] = []
        self._within: Fixed | TimesT1 = ZERO
        self._late: list[Any] = []
        self._mandatory = False
        self._pause: Value | None = None

    def _add(self, what: Iterable[What], steps: list[Any], then: tree.Then, *, method: str = "",
             last: bool = False, leg: _Leg | None = None) -> None:
        place = _caller_place()
        try:
            matches = tuple(parse_what(one, method or self._method) for one in what)
        except ModelError as error:
            raise ModelError(error.message, place=str(place), mend=error.mend) from None
        if not matches:
            raise ModelError("a case without anything to wait for", place=str(place),
                             mend="name a status or a method")
        self._recorder._takes |= dict.fromkeys(
            one.method for one in matches if isinstance(one, tree.OnRequest))
        number = (leg or self._leg).number
        self._cases.append(_CaseBuilder(matches, steps, then, number, place, last))

    def optional(self, *what: What, stop: Words = (), start: Words = (),
                 method: str = "") -> "Wait":
        """Take these when they come, as often as they come, and stay in the wait."""
        self._add(what, self._recorder._clocks(start, stop), tree.Then.STAY, method=method)
        return self

    def takes(self, *what: What, stop: Words = (), start: Words = ()) -> "Wait":
        """Go on with the step after the wait when one of these comes."""
        self._mandatory = True
        self._add(what, self._recorder._clocks(start, stop), tree.Then.GO_ON)
        self._received(what, _Block(self._recorder, []), self._leg)
        self._recorder._note_dialog(self._leg, self._cases[-1].matches)
        return self

    def auth(self, *statuses: int, user: str = "{user}", password: str = "{password}",
             attempts: int = 2, cache: bool = False, end: str = "auth_failed",
             ok: bool = False) -> "Wait":
        """Answer these challenges and send the request again (RFC 3261 22).

        `user` and `password` are texts with `{fields}`, by default the columns of those names; a
        password may be `ha1:` and HA1 in hex, or a SIM card's secret, `aka:k=...,opc=...` (or
        `op=`). Each realm is answered; later requests of the call carry the credentials too, and
        with `cache` those of the user's later calls.
        The call ends with `end` when no challenge can be answered, when a realm refuses the
        answer without calling it stale, or after `attempts` answers (at most 3) in a row.
        """
        place = _caller_place()
        request = self._leg.last_request
        if request is None:
            raise ModelError("no request was sent that could be challenged", place=str(place),
                             mend="send one before auth(...)")
        self._leg.authenticates = True
        self._recorder._keeps_nonces |= cache
        steps = [tree.Authenticate(user, password, attempts, end, ok, place=place),
                 replace(request, place=place)]
        self._add(statuses or (401, 407), steps, tree.Then.STAY, method=request.method)
        return self

    def ends(self, *what: What, end: str, ok: bool = False, method: str = "") -> "Wait":
        """End the call with this outcome when one of these comes."""
        self._add(what, [tree.End(end, ok, _caller_place())], tree.Then.GO_ON, method=method)
        return self

    def otherwise(self, *, end: str, ok: bool = False) -> "Wait":
        """End the call with this outcome at any other final response."""
        self._add(["200-699"], [tree.End(end, ok, _caller_place())], tree.Then.GO_ON, last=True)
        return self

    def late(self, *, end: str, ok: bool = False) -> "Wait":
        """End the call with this outcome when `within` runs out, instead of as timed out."""
        self._late.append(tree.End(end, ok, _caller_place()))
        return self

    def on(self, *what: What, then: str = "stay", method: str = "",
           leg: str | None = None) -> _Block:
        """`with wait.on(423): ...`: steps of its own, then `stay` in the wait or `go on`.

        A NOTIFY on a `leg` that was never used is that of another notifier, which a forked
        SUBSCRIBE of this instance has met (RFC 6665 4.1.2.4).
        """
        steps: list[Any] = []
        of = self._leg if leg is None else self._recorder._leg(leg)
        before = self._recorder._legs_now()
        self._add(what, steps, tree.Then(then), method=method, leg=of)
        self._mandatory = self._mandatory or then == tree.Then.GO_ON.value
        self._recorder._note_dialog(of, self._cases[-1].matches)
        return self._received(what, _Block(self._recorder, steps, before), of)

    def on_late(self) -> _Block:
        """`with wait.on_late(): ...`: steps for when `within` runs out."""
        return _Block(self._recorder, self._late)

    def _received(self, what: Iterable[What], block: _Block, of: _Leg | None = None) -> _Block:
        leg = of or self._leg
        for one in what:
            if (isinstance(one, str) and one != "ACK"
                    and isinstance(parse_what(one, "?"), tree.OnRequest)):
                leg.last_received = one
                if one in (*DIALOG_METHODS, "NOTIFY") and leg.last_request is None:
                    # a dialog that the peer opens with this instance, on a leg of its own
                    leg.peer_opened = leg.in_dialog = True
        return block


class Recorder:
    """Records one scenario; the `c` of a call model.

    Variables (`c.v.name`) are whole numbers of 64 bits and start at 0. The examples of each method
    run with a recorder of their own, whose target is sip:127.0.0.1:5060.
    """

    def __init__(self, name: str, *, role: tree.Role = tree.Role.CALLER, method: str = "",
                 target: Target | None = None, settings: Mapping[str, Any] | None = None,
                 columns: Iterable[str] = (), place: Place = NOWHERE, user: str = "",
                 transport: str = "UDP", compact: bool = False) -> None:
        self._compact = compact
        self.v = Names(settings or {})
        self.folder = ""  # where files that steps name are looked for
        self.user, self.run = Beyond("user"), Beyond("run")
        self.stopping = Variable(tree.Pseudo.STOPPING)
        self.status = Variable(tree.Pseudo.STATUS)
        self.retries = Variable(tree.Pseudo.RETRIES)
        self.elapsed = Elapsed()
        self.columns = tuple(columns)
        self.target = target
        self._name = name
        self._role = role
        self._method = method
        self._place = place
        self._user = user
        self._transport = target.transport if target else transport
        self._stack: list[list[Any]] = [[]]
        self._legs: dict[str, _Leg] = {}
        self._counters = 0
        self._keeps_nonces = False
        self._octets: dict[str, str] = {}  # bodies given as octets, by the field that names each
        self._packages: tuple[str, ...] = ()
        self._supported: dict[str, None] = {}
        self._takes: dict[str, None] = {}
        if role is tree.Role.ANSWERER:
            self._leg("").peer_opened = True
            self._leg("").last_received = method
            self._leg("").in_dialog = method in DIALOG_METHODS

    @property
    def depth(self) -> int:
        """How many blocks are open; a front end lowers it when a step inside was refused."""
        return len(self._stack)

    @depth.setter
    def depth(self, depth: int) -> None:
        """Close blocks."""
        del self._stack[depth:]

    # --- messages ---

    def invite(self, to: str = "", *, sdp: str = "", body: str | bytes = "",
               content_type: str = "", headers: Headers = (), start: Words = (), from_: str = "",
               leg: str = "", user: str = "", supported: Words = (), contact: str = "") -> None:
        """Send an INVITE to the target, or to `to`; in a dialog a re-INVITE.

        `sdp` names a session (`g711`, `g729`) or is the description itself; a `body` of bytes is
        sent as it is. `start` names the clocks to start. `from_` is the caller's URI, `supported`
        the option tags of extensions that the model plays (RFC 3261 20.37), `contact` the value of
        Contact when that is not our own URI.

        >>> c.invite(to="sip:bob@{target.host}", sdp="g711", start="srd setup")
        """
        self.send("INVITE", to, sdp=sdp, body=body, content_type=content_type, headers=headers,
                  start=start, from_=from_, leg=leg, user=user, supported=supported,
                  contact=contact)

    def ack(self, *, sdp: str = "", body: str | bytes = "", content_type: str = "",
            headers: Headers = (), leg: str = "") -> None:
        """Acknowledge a 2xx (other finals are acknowledged by the transaction, RFC 3261 17.1.1.3).

        >>> c.invite(sdp="g711")
        >>> wait = c.expect(200).optional(100, 180)
        >>> c.ack()
        """
        self._send("ACK", kind=tree.SendKind.ACK, sdp=sdp, body=body, content_type=content_type,
                   headers=headers, leg=leg)

    def cancel(self, *, leg: str = "") -> None:
        """Cancel the open INVITE; held back until a provisional response came (RFC 3261 9.1)."""
        place = _caller_place()
        if not self._leg(leg).invites:
            raise ModelError("there is no open INVITE to cancel", place=str(place),
                             mend="cancel after the INVITE")
        self._step(tree.Send(tree.SendKind.CANCEL, "CANCEL", leg=self._leg(leg).number,
                             place=place))

    def bye(self, *, headers: Headers = (), start: Words = (), leg: str = "") -> None:
        """Hang up.

        >>> c.invite()
        >>> wait = c.expect(200)
        >>> c.ack()
        >>> c.bye(start="sdd")
        >>> wait = c.expect(200, stop="sdd")
        """
        self.send("BYE", headers=headers, start=start, leg=leg)

    def prack(self, *, sdp: str = "", headers: Headers = (), start: Words = (),
              leg: str = "") -> None:
        """Acknowledge the reliable provisional response that came last (RFC 3262 4)."""
        self.send("PRACK", sdp=sdp, headers=(*_headers(headers), ("RAck", "{rack}")),
                  start=start, leg=leg, early=True)

    def register(self, *, expires: int | str | Variable | None = 3600, domain: str = "",
                 user: str = "{user}", headers: Headers = (), start: Words = (), leg: str = "",
                 contact: str = "{own}", from_: str = "", body: str | bytes = "",
                 content_type: str = "") -> None:
        """Register the Contact of this leg for `sip:user@domain` (RFC 3261 10.2).

        `expires` is in seconds, 0 takes the registration back, None leaves it to the registrar; it
        may be a variable. `contact` is what Contact says: `{own}` is our URI in brackets, an empty
        text leaves the header out, and the bindings are only asked for. `from_` is the URI of who
        registers for the user. All REGISTERs of one leg have the same Call-ID and rising CSeq
        numbers.

        >>> c.register(user="bob", contact="{own};q=0.7, <mailto:bob@example.com>;q=0.1")
        """
        where = domain or "{target.host}"
        value = f"<sip:{user}@{where}>"
        given = _headers(headers)
        if contact and contact != "{own}":
            own = messages.contact_line(self._transport).removeprefix("Contact: ")
            given += (("Contact", contact.replace("{own}", own)),)
        if expires is not None:
            lifetime = f"{{{expires}}}" if isinstance(expires, Variable) else str(expires)
            given += (("Expires", lifetime),)
        self._send("REGISTER", f"sip:{where}",
                   from_value=(f"<{from_}>" if from_ else value) + ";tag={local_tag}",
                   to_value=value, headers=given, start=start, leg=leg, body=body,
                   content_type=content_type, contact=contact == "{own}")

    def options(self, to: str = "", *, headers: Headers = (), start: Words = (),
                from_: str = "", leg: str = "") -> None:
        """Ask for capabilities (RFC 3261 11)."""
        self.send("OPTIONS", to, headers=headers, start=start, from_=from_, leg=leg)

    def send(self, method: str, to: str = "", *, sdp: str = "", body: str | bytes = "",
             content_type: str = "", headers: Headers = (), start: Words = (), from_: str = "",
             leg: str = "", user: str = "", early: bool = False, supported: Words = (),
             contact: str = "") -> None:
        """Send a request of any method, inside the leg's dialog once there is one.

        `user` is called at the target when it names nobody itself; `early` says that the dialog is
        one that a provisional response made.
        """
        state = self._leg(leg)
        state.in_dialog = state.in_dialog or early
        address = f"<{from_ or DEFAULT_FROM}>"
        given = _headers(headers)
        if contact:
            given += (("Contact", contact),)
        self._send(method, to, from_value=address + ";tag={local_tag}", sdp=sdp, body=body,
                   content_type=content_type, headers=given, start=start, leg=leg, user=user,
                   supported=supported, contact=False if contact else None)

    def raw(self, text: str, *, start: Words = (), leg: str = "") -> None:
        """Send a message that is written out, with `{fields}` where the engine has its say.

        The first line says whether it is a request or a response. A request needs the fields
        `{branch}`, `{call_id}`, `{cseq}` and `{local_tag}` to be a transaction of this call;
        inside a dialog `{request_uri}`, `{routes}` and `{remote_tag}` besides. Content-Length is
        added where a body has none.

        >>> c.raw('''OPTIONS sip:{target.host} SIP/2.0
        ... Via: SIP/2.0/UDP {local};rport;branch=z9hG4bK{branch}
        ... Max-Forwards: 70
        ... From: <sip:a@{local_host}>;tag={local_tag}
        ... To: <sip:{target.host}>
        ... Call-ID: {call_id}
        ... CSeq: {cseq} OPTIONS
        ... Content-Length: 0
        ... ''')
        """
        place = _caller_place()
        state = self._leg(leg)
        lines = text.strip("\r\n").replace("\r\n", "\n").split("\n")
        head, body = lines, ""
        if "" in lines:
            blank = lines.index("")
            head, body = lines[:blank], "\r\n".join(lines[blank + 1:])
        short = {letter: name for name, letter in messages.COMPACT.items()}
        names = {line.partition(":")[0].strip().lower() for line in head[1:]}
        names |= {short[name].lower() for name in names if name in short}
        missing = [name for name in ("Via", "From", "To", "Call-ID", "CSeq")
                   if name.lower() not in names]
        first = head[0].split()
        if missing and "{echo}" not in text:
            raise ModelError(f"a message without {missing[0]}", place=str(place),
                             mend="write all of Via, From, To, Call-ID and CSeq (RFC 3261 8.1.1)")
        if len(first) < 3:
            raise ModelError(f"{head[0]!r} is no first line of a message", place=str(place),
                             mend="write METHOD URI SIP/2.0, or SIP/2.0 STATUS REASON")
        if "content-length" not in names:
            head.append("Content-Length: {content_length}" if body else "Content-Length: 0")
        whole = "".join(f"{line}\r\n" for line in head).replace("{echo}\r\n", "{echo}").replace(
            "{routes}\r\n", "{routes}").replace("{authorization}\r\n", "{authorization}")
        whole += "\r\n" + body
        self.start(*words(start))
        if first[0] == "SIP/2.0":
            if not first[1].isdigit():
                raise ModelError(f"{first[1]!r} is not a status", place=str(place),
                                 mend="statuses go from 100 to 699 (RFC 3261 7.2)")
            self._step(tree.Send(tree.SendKind.RESPONSE, state.last_received, whole, int(first[1]),
                                 state.number, place=place))
            return
        method = first[0]
        if not set(method) <= _METHOD_CHARACTERS:
            raise ModelError(f"{method!r} is not a method", place=str(place),
                             mend="a method is one word, such as MESSAGE")
        kind = tree.SendKind.ACK if method == "ACK" else tree.SendKind.REQUEST
        request = tree.Send(kind, method, whole, 0, state.number, state.in_dialog, place=place)
        if kind is tree.SendKind.REQUEST:
            state.last_request = request
            state.invites = state.invites or method == "INVITE"
        self._step(request)

    def respond(self, status: int, reason: str = "", *, sdp: str = "", body: str | bytes = "",
                content_type: str = "", headers: Headers = (), method: str = "",
                leg: str = "", reliable: bool = False) -> None:
        """Answer the leg's request last received, or its open request of `method`.

        A 2xx to an INVITE is repeated until the ACK comes (RFC 3261 13.3.1.4), a `reliable`
        provisional response until its PRACK (RFC 3262 3).

        On a new leg of an answerer the response is another branch of a fork: it answers the
        INVITE of the first leg with a tag, a Contact and so a dialog of its own. The INVITE must
        still be open on the first leg, which answers it for good.
        """
        place = _caller_place()
        state = self._leg(leg)
        if self._role is tree.Role.ANSWERER and self._method == "INVITE" \
                and not state.last_received and state.last_request is None:
            if not 101 <= status <= 299:
                raise ModelError(f"a branch of a fork answers with {status}", place=str(place),
                                 mend="only 101 to 299 come back from each branch (RFC 3261 16.7)")
            state.peer_opened = state.in_dialog = True
            state.last_received = "INVITE"
        asked = method or ("INVITE" if reliable else state.last_received)
        if not asked:
            raise ModelError(f"there is no request to answer with {status}", place=str(place),
                             mend="expect one first")
        if not 100 <= status <= 699:
            raise ModelError(f"{status} is not a status", place=str(place),
                             mend="statuses go from 100 to 699 (RFC 3261 7.2)")
        given = _headers(headers)
        if reliable:
            if not 101 <= status <= 199 or asked != "INVITE":
                raise ModelError(f"{status}/{asked} cannot be reliable", place=str(place),
                                 mend="only 101 to 199 to an INVITE are (RFC 3262 3)")
            given = (("Require", "100rel"), ("RSeq", "{rseq}"), *given)
        text = messages.response_text(
            status, asked, reason=reason, transport=self._transport, headers=given,
            body=self._body(sdp, body, place),
            content_type=content_type or ("application/sdp" if sdp else "text/plain"))
        self._step(tree.Send(tree.SendKind.RESPONSE, asked, text, status, state.number,
                             reliable=reliable, place=place))

    # --- waiting ---

    def expect(self, *what: What, optional: What | Iterable[What] = (), stop: Words = (),
               within: str | int = "", method: str = "", leg: str = "") -> Wait:
        """Wait for one of these: statuses (200, "18x", "300-399"), methods or events.

        Statuses are those of responses to the leg's last request, or to `method`. With `optional`
        alone the expectation belongs to the next one: both make one wait. `stop` names the clocks
        to stop when it comes, `within` is the longest wait (a duration, or a multiple of
        the timer T1: `64*T1`).

        >>> c.invite(sdp="g711", start="srd")
        >>> wait = c.expect(optional=100).optional(180, 183, stop="srd")
        >>> c.expect(200, stop="srd", within="32s").ends(486, 603, end="busy") is wait
        True
        """
        place = _caller_place()
        state = self._leg(leg)
        request = state.last_request
        about = method or (request.method if request else "")
        items = self._stack[-1]
        wait = items[-1] if items and isinstance(items[-1], Wait) else None
        if wait is None or wait._mandatory or wait._pause is not None:
            wait = Wait(self, state, about, place)
            self._step(wait)
        wait._leg, wait._method = state, about
        if within:
            wait._within = (self._placed(parse_limit, within, place)
                            if isinstance(within, str) else Fixed(within))
        passed = (optional,) if isinstance(optional, int | str | range) else tuple(optional)
        if passed:
            wait.optional(*passed)
        return wait.takes(*what, stop=stop) if what else wait

    def pause(self, duration: str | int | Value | Variable, *, leg: str = "") -> Wait:
        """Wait for a time; what `.on(...)` names may come meanwhile.

        A pause of fixed length 0 is left out.

        >>> c.invite()
        >>> wait = c.expect(200)
        >>> c.ack()
        >>> with c.pause("30s").on("BYE"):
        ...     c.respond(200)
        ...     c.end("unexpected")
        """
        place = _caller_place()
        state = self._leg(leg)
        wait = Wait(self, state, state.last_request.method if state.last_request else "", place)
        wait._pause = self._value(duration, place)
        self._step(wait)
        return wait

    @staticmethod
    def instant(value: Value) -> bool:
        """Whether a pause of this length is none at all."""
        return value == Fixed(0)

    # --- clocks, variables, flow ---

    def start(self, *clocks: str) -> None:
        """Start clocks."""
        for clock in clocks:
            self._step(tree.ClockStart(clock, _caller_place()))

    def stop(self, *clocks: str) -> None:
        """Stop clocks and record their times; a clock that does not run records nothing."""
        for clock in clocks:
            self._step(tree.ClockStop(clock, _caller_place()))

    def set(self, name: str, value: str | int | Value | Variable) -> None:
        """Set a variable; a text is a time, in ns.

        >>> c.set("n", 0)
        """
        self._change(tree.Arithmetic.SET, name, value)

    def add(self, name: str, value: str | int | Value | Variable, *, into: str = "") -> None:
        """Add to a variable. Of one of `run.` or `user.` the variable `into` gets the sum.

        >>> c.add("n", 1)
        >>> c.add("run.calls", 1, into="number")
        """
        place = _caller_place()
        self._step(tree.Change(tree.Arithmetic.ADD, name, self._value(value, place), into, place))

    def sub(self, name: str, value: str | int | Value | Variable) -> None:
        """Subtract from a variable.

        >>> c.set("left", 10)
        >>> c.sub("left", 1)
        """
        self._change(tree.Arithmetic.SUB, name, value)

    def mul(self, name: str, factor: float | Share | Variable | ColumnRef) -> None:
        """Multiply a variable, which is cut to a whole number.

        >>> c.mul("n", 0.5)
        """
        place = _caller_place()
        if isinstance(factor, Variable | ColumnRef):
            value = factor if isinstance(factor, ColumnRef) else self._value(factor, place)
            self._step(tree.Change(tree.Arithmetic.TIMES, name, value, place=place))
            return
        by = factor.value if isinstance(factor, Share) else Fixed(round(factor * 1_000_000_000))
        self._step(tree.Change(tree.Arithmetic.MUL, name, by, place=place))

    def div(self, name: str, value: int | Value | Variable) -> None:
        """Divide a variable by a whole number, cut towards 0; by 0 it is 0.

        >>> c.set("n", 7)
        >>> c.div("n", 2)
        """
        self._change(tree.Arithmetic.DIV, name, value)

    def mod(self, name: str, value: int | Value | Variable) -> None:
        """Leave in a variable what is left when it is divided by a whole number; by 0 it is 0.

        >>> c.set("n", 7)
        >>> c.mod("n", 2)
        """
        self._change(tree.Arithmetic.MOD, name, value)

    def extract(self, name: str, what: str, *, reg_id: int = 0) -> None:
        """Read a number out of the message last matched; -1 when it is not there.

        `what` is status, expires (granted to our Contact), min_expires, retry_after,
        content_length, sipfrag (the status in the body of a NOTIFY for a REFER), the name of a
        header that begins with a number, or a header and its parameter. `reg_id` asks what was
        granted to that flow of several (RFC 5626).

        >>> c.extract("granted", "expires")
        >>> c.extract("interval", "Session-Expires")
        >>> c.extract("left", "Subscription-State;expires")
        """
        place = _caller_place()
        named = [one.value for one in tree.ExtractWhat
                 if one not in (tree.ExtractWhat.NUMBER, tree.ExtractWhat.PARAMETER)]
        header, _, parameter = what.partition(";")
        if what in named:
            self._step(tree.Extract(name, tree.ExtractWhat(what), reg_id=reg_id, place=place))
        elif not header[:1].isupper():
            raise ModelError(f"nothing is called {what}", place=str(place),
                             mend=nearest(what, named))
        else:
            kind = tree.ExtractWhat.PARAMETER if parameter else tree.ExtractWhat.NUMBER
            self._step(tree.Extract(name, kind, header, parameter, place=place))

    def capture(self, name: str, what: str, *, leg: str = "") -> None:
        """Take a text out of the message last matched into a text variable; empty: not there.

        `what` is the name of a header, `Header.uri` (URI of its first address), `Header.1` (the
        sip: URI with the highest q in all such headers, `Header.2` the next), `Header?Name` (a
        header in the first URI), `Header;name` (a parameter), `Header.*` (all such headers, comma
        separated), `own;name` (a parameter of our Contact in the answer to a REGISTER),
        request_uri, body, status_line (for a message/sipfrag, RFC 3420), or dialog: Call-ID and
        tags of a leg as Replaces wants them (RFC 3891 6.1). Texts use it as `{name}`.

        >>> c.capture("etag", "SIP-ETag")
        >>> c.capture("moved", "Contact.uri")
        """
        place = _caller_place()
        words = {"request_uri": tree.CaptureWhat.REQUEST_URI, "body": tree.CaptureWhat.BODY,
                 "status_line": tree.CaptureWhat.STATUS_LINE, "dialog": tree.CaptureWhat.DIALOG}
        found = re.fullmatch(
            r"([A-Z][A-Za-z-]*)(?:\.(uri|\*|[1-9][0-9]?)|\?([A-Za-z-]+)|;([A-Za-z.-]+))?", what)
        if what in words:
            step = tree.Capture(name, words[what], leg=self._leg(leg).number, place=place)
        elif what.startswith("own;"):
            step = tree.Capture(name, tree.CaptureWhat.OWN, "Contact", what[4:].lower(),
                                place=place)
        elif not found:
            raise ModelError(f"nothing is called {what}", place=str(place),
                             mend="write the name of a header, Header.uri, Header?Name, "
                                  f"Header;name, or {nearest(what, words)}")
        else:
            header, uri, inner, parameter = found.groups()
            rank = int(uri) if uri and uri.isdigit() else 0
            kind = (tree.CaptureWhat.RANKED if rank else tree.CaptureWhat.LIST if uri == "*"
                    else tree.CaptureWhat.URI if uri
                    else tree.CaptureWhat.URI_HEADER if inner
                    else tree.CaptureWhat.PARAMETER if parameter else tree.CaptureWhat.HEADER)
            item = inner or (parameter or "").lower()
            step = tree.Capture(name, kind, header, item, rank=rank, place=place)
        self._step(step)

    def find(self, pattern: str, where: str = "message", *, into: Words = (), numbers: Words = (),
             any_case: bool = False) -> None:
        """Take what a regular expression finds into variables.

        `pattern` is a POSIX extended regular expression of octets; `.` is any octet, a line end
        too. `where` is message (the whole of the last one), start_line, body, the name of a header,
        `Header.2` (the second of that name), or `{text}`, a text variable. `into` names a variable
        for each group in brackets, or one for all that is found. Those in `numbers` are numbers, -1
        when there is none; the others are texts, empty when nothing is found.

        >>> c.find(r"c=IN IP4 ([0-9.]+).*m=audio ([0-9]+)", "body", into="host port",
        ...        numbers="port")
        """
        place = _caller_place()
        self._step(tree.Find(self._finds(pattern, where, into, numbers, any_case, place), place))

    def if_found(self, pattern: str, where: str = "message", *, into: Words = (),
                 numbers: Words = (), any_case: bool = False) -> _Block:
        """Record a block for when a regular expression finds something; see `find`.

        >>> with c.if_found("^SIP/2.0 4[0-9][0-9] ", "start_line"):
        ...     c.end("refused")
        """
        found = self._finds(pattern, where, into, numbers, any_case, _caller_place())
        return self._block(tree.If, condition=found)

    def _finds(self, pattern: str, where: str, into: Words, numbers: Words, any_case: bool,
               place: Place) -> tree.Finds:
        names = words(into)
        odd = [one for one in words(numbers) if one not in names]
        if odd:
            raise ModelError(f"{odd[0]} is not among what the pattern fills", place=str(place),
                             mend=f"name it in into: {' '.join((*names, odd[0]))}")
        kinds = {one.value: one for one in tree.FindIn
                 if one not in (tree.FindIn.HEADER, tree.FindIn.TEXT)}
        text = re.fullmatch(r"\{([A-Za-z_][\w.]*)\}", where)
        header = re.fullmatch(r"([A-Z][A-Za-z0-9-]*)(?:\.([1-9][0-9]?))?", where)
        if not (text or header or where in kinds):
            raise ModelError(f"nothing is called {where}", place=str(place),
                             mend=f"write a header, {{text}}, or {nearest(where, kinds)}")
        first = 1 if self._placed(lambda one: group_count(one, any_case), pattern, place) else 0
        if not first and len(names) > 1:
            raise ModelError(f"{len(names)} names for a pattern without groups", place=str(place),
                             mend="put what is wanted in brackets")
        groups = tuple(tree.Group(name, number, name in words(numbers))
                       for number, name in enumerate(names, first))
        if text:
            return tree.Finds(pattern, tree.FindIn.TEXT, text[1], 1, any_case, groups)
        if header:
            return tree.Finds(pattern, tree.FindIn.HEADER, header[1], int(header[2] or 1), any_case,
                              groups)
        return tree.Finds(pattern, kinds[where], "", 1, any_case, groups)

    def hook(self, function: Callable[..., Any] | str, *, sets: Words = (), texts: Words = (),
             within: str = "5s", end: str = "hook_failed", ok: bool = False) -> None:
        """Ask a Python function, outside of the engine, and wait for its answer.

        It gets a `siploadgen.HookCall` with the call's variables and the last message, and returns
        the variables that it sets, by name: numbers among `sets`, texts among `texts`. One thread
        answers the hooks of all engines; nothing but the call waits for it, and `siploadgen check`
        says what that costs. When it raises, or takes longer than `within`, the call ends with the
        outcome `end`. Texts name functions as `file.py:name`.

        >>> c.hook(lambda call: {"price": 7}, sets="price")
        """
        place = _caller_place()
        name = self._placed(lambda one: hooks.named(one, self.folder), function, place)
        limit = self._placed(parse_limit, within, place)
        if not isinstance(limit, Fixed) or limit.value <= 0:
            raise ModelError(f"within {within} is no time", place=str(place), mend="write 5s")
        self._step(tree.Hook(name, words(sets), words(texts), limit, end, ok, place))

    def text(self, name: str, text: str, *, escaped: bool = False) -> None:
        """Make a text variable of a text with `{fields}`: columns, variables, other texts.

        `escaped` writes it as the value of a header in a URI (RFC 3261 19.1.1).

        >>> c.capture("etag", "SIP-ETag")
        >>> c.text("tag", "{etag}.1")
        """
        what = tree.CaptureWhat.ESCAPED if escaped else tree.CaptureWhat.TEXT
        self._step(tree.Capture(name, what, item=text, place=_caller_place()))

    def route(self, uri: str, *, leg: str = "") -> None:
        """Send the leg's requests to the numeric host of a URI instead of the run's target.

        >>> c.capture("moved", "Contact.uri")
        >>> c.route("{moved}")
        """
        self._step(tree.Route(uri, self._leg(leg).number, _caller_place()))

    def datagram(self, text: str, *, leg: str = "") -> None:
        r"""Send a text that is no message to where the leg's requests go; nothing answers it.

        >>> c.datagram("\r\n\r\n")
        """
        self._step(tree.Datagram(text, self._leg(leg).number, _caller_place()))

    def binding(self, *, again: bool = False, leg: str = "") -> None:
        """Send a STUN Binding request to where the leg's requests go (RFC 5626 4.4.2).

        `again` repeats the last one. A wait takes its answer as the event `binding`, or as
        `rebinding` when it is an error or tells of another address than the first did.

        >>> c.binding()
        >>> wait = c.expect("binding", within="1*T1")
        """
        self._step(tree.Binding(again, self._leg(leg).number, _caller_place()))

    def leave(self, *, leg: str = "") -> None:
        """Leave the leg's dialog without a word: its next request opens a new one.

        The request must be one that was written before the dialog was made: jump to it.

        >>> c.label("subscribe")
        >>> c.send("SUBSCRIBE", headers={"Event": "presence"})
        >>> with (wait := c.expect("2xx")).on("NOTIFY"):
        ...     c.respond(200)
        ...     c.leave()
        ...     c.jump("subscribe")
        """
        self._step(tree.Leave(self._leg(leg).number, _caller_place()))

    def knows(self, *packages: str) -> None:
        """Say which event packages this scenario knows; a program refuses others with 489.

        >>> c.knows("presence", "message-summary")
        """
        self._packages += packages

    def supports(self, *tags: str) -> None:
        """Say which option tags this scenario knows (RFC 3261 20.37), for Supported in its answers.

        Requests that require others are refused with 420. What its own requests support or require
        is known without it.

        >>> c.supports("100rel", "timer")
        """
        self._supported |= dict.fromkeys(tags)

    def if_(self, condition: tree.Condition) -> _Block:
        """`with c.if_(c.v.n >= 3): ...`."""
        return self._block(tree.If, condition=self._condition(condition))

    def if_header(self, name: str, item: str = "") -> _Block:
        """Record a block for when the message last matched has this header, or an item in its list.

        Items are compared without their parameters, in any case.

        >>> c.invite()
        >>> with c.expect(optional="18x").on("18x"):
        ...     with c.if_header("Require", "100rel"):
        ...         c.prack()
        >>> wait = c.expect(200)
        """
        return self._block(tree.If, condition=tree.HasHeader(name, item))

    def if_body(self, line: str = "") -> _Block:
        """Record a block for when the message last matched has a body, or one with such a line.

        The line has to begin with these octets.

        >>> c.invite()
        >>> wait = c.expect(200)
        >>> with c.if_body("m=audio"):
        ...     c.ack(sdp="g711")
        >>> with c.else_():
        ...     c.ack()
        """
        return self._block(tree.If, condition=tree.HasLine(line))

    def if_text(self, name: str, text: str) -> _Block:
        """Record a block for when a text variable is the same as a text with `{fields}`.

        >>> c.capture("etag", "SIP-ETag")
        >>> with c.if_text("etag", ""):
        ...     c.end("no_etag")
        """
        return self._block(tree.If, condition=tree.SameText(name, text))

    def else_(self) -> _Block:
        """Record the other branch of the `if_` just before."""
        items = self._stack[-1]
        if not items or not isinstance(items[-1], _BlockBuilder) or items[-1].kind is not tree.If:
            raise ModelError("else_ without an if_ before it", place=str(_caller_place()),
                             mend="write it directly after the block of if_")
        return _Block(self, items[-1].otherwise)

    def loop(self, condition: tree.Condition | int | None = None) -> _Block:
        """Repeat a block: so many times, while a condition holds, or for ever.

        >>> with c.loop(3):
        ...     c.count("rounds")
        """
        if isinstance(condition, int) and not isinstance(condition, bool):
            self._counters += 1
            name = f"round_{self._counters}"
            self.set(name, 0)
            block = self._block(tree.Loop, condition=Variable(name) < condition)
            self._stack[-1][-1].trailer = [
                tree.Change(tree.Arithmetic.ADD, name, Fixed(1), place=_caller_place())]
            return block
        return self._block(tree.Loop, condition=condition and self._condition(condition))

    def chance(self, share: str | float) -> _Block:
        """Do a block with this probability.

        >>> with c.chance("3%"):
        ...     c.end("unlucky")
        """
        return self._block(
            tree.Chance, share=parse_share(share) if isinstance(share, str) else float(share))

    def label(self, name: str) -> None:
        """Name this point."""
        self._step(tree.Label(name, _caller_place()))

    def jump(self, label: str, when: tree.Condition | None = None, *, anew: bool = False) -> None:
        """Go on at a label, or only when a condition holds.

        A wait that is entered again in one of its own cases goes on with the time that is left;
        `anew` gives it its whole time.
        """
        place = _caller_place()
        if when is not None and anew:
            raise ModelError("only a jump without a condition begins a wait anew",
                             place=str(place), mend="write it in a block of c.if_(...)")
        self._step(tree.Jump(label, when and self._condition(when), anew, place))

    def authenticate(self, user: str, password: str, otherwise: str, *, attempts: int = 2,
                     leg: str = "") -> None:
        """Answer the challenge last received in the requests of the leg from now on.

        Where that cannot be done it goes on at the label `otherwise`. `Wait.auth` does this and
        sends the request again; here the model sends it.
        """
        self._leg(leg).authenticates = True
        self._step(tree.Authenticate(user, password, attempts, label=otherwise,
                                     place=_caller_place()))

    def resend(self, *, leg: str = "") -> None:
        """Send the leg's last request again, as a new request (a new branch, CSeq + 1)."""
        request = self._leg(leg).last_request
        if request is None:
            raise ModelError("there is no request to send again", place=str(_caller_place()),
                             mend="send one first")
        self._step(replace(request, place=_caller_place()))

    def redirect(self, uri: str, *, leg: str = "") -> None:
        """Send the leg's last request again, to another URI: 3xx followed (RFC 3261 8.1.3.4).

        A new branch and CSeq + 1; Call-ID, From and To stay.

        >>> c.invite(sdp="g711")
        >>> with (wait := c.expect(200)).on("300-399"):
        ...     c.capture("moved", "Contact.uri")
        ...     c.redirect("{moved}")
        """
        request = self._leg(leg).last_request
        if request is None:
            raise ModelError("there is no request to send again", place=str(_caller_place()),
                             mend="send one first")
        rest = request.text.partition("\r\n")[2]
        again = replace(request, text=f"{request.method} {uri} SIP/2.0\r\n{rest}",
                        place=_caller_place())
        self._leg(leg).last_request = again
        self.route(uri, leg=leg)
        self._step(again)

    def challenge(self, password: str, *, realm: str, kind: str = "", proxy: bool = False,
                  life: str | int = "5m") -> _Block:
        """Answering side: a block for requests whose credentials are missing or wrong.

        `kind` is the challenge that must have been answered, `md5` or `sha-256-sess.auth-int`
        (empty: any); `proxy` asks for Proxy-Authorization. When only the nonce is older than
        `life`, the challenge of the block says `stale`.

        >>> with c.challenge("secret", realm="r", kind="md5"):
        ...     c.respond(401, method="INVITE",
        ...               headers={"WWW-Authenticate": 'Digest realm="r", {challenge.md5}'})
        ...     c.end("challenged", ok=True)
        """
        place = _caller_place()
        if kind and kind not in challenge_kinds():
            raise ModelError(f"there is no challenge {kind}", place=str(place),
                             mend=nearest(kind, challenge_kinds()))
        life_ns = self._placed(parse_duration_ns, life, place) if isinstance(life, str) else life
        return self._block(tree.ChallengeCheck, password=password, realm=realm, kind=kind,
                           proxy=proxy, life_ns=life_ns)

    def bind(self, name: str, *, bindings: int, min_expires: int = 0, max_expires: int = 2**32 - 1,
             default_expires: int = 3600, flow_timer: int = 0) -> None:
        """Answering side: do the REGISTER as a registrar does (RFC 3261 10.3); a status.

        200: a 2xx that follows at once lists the bindings. 400, 423, 439 (RFC 5626), 500 (an old
        CSeq), 503 (there are `bindings` already) and 513 refuse it, and nothing has changed. Times
        are in seconds; `flow_timer` of 0 asks for no keep-alive.

        >>> c.bind("verdict", bindings=1000)
        """
        settings = {"bindings": bindings, "min_expires": min_expires, "max_expires": max_expires,
                    "default_expires": default_expires, "flow_timer": flow_timer}
        place = _caller_place()
        for word, value in settings.items():
            if not 0 <= value < 2**32 or (word == "bindings" and not 0 < value < 2**24):
                raise ModelError(f"{word} of {value}", place=str(place),
                                 mend="bindings: 1 to 16777215; times: seconds in 32 bits")
        self._step(tree.Bind(name, tuple(settings.items()), place))

    def count(self, name: str, amount: int = 1) -> None:
        """Add to a counter of the model's own."""
        self._step(tree.Count(name, amount, _caller_place()))

    def end(self, outcome: str = "succeeded", *, ok: bool = False) -> None:
        """End the instance; an outcome of the model's own counts as a failure unless `ok`."""
        self._step(tree.End(outcome, ok, _caller_place()))

    # --- inside ---

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("_"):
            raise AttributeError(name)
        steps = [one for one in dir(type(self)) if not one.startswith("_")]
        raise ModelError(f"there is no step {name}", place=str(_caller_place()),
                         mend=nearest(name, steps))

    def _leg(self, name: str) -> _Leg:
        if name not in self._legs:
            self._legs[name] = _Leg(len(self._legs))
        return self._legs[name]

    def _legs_now(self) -> dict[str, _Leg]:
        return {name: replace(leg) for name, leg in self._legs.items()}

    def _legs_back(self, before: Mapping[str, _Leg]) -> None:
        """Put the legs back where they stood; that one answers challenges stays true."""
        for name, leg in self._legs.items():
            old = before.get(name, _Leg(leg.number))
            for member in fields(_Leg):
                if member.name != "authenticates":
                    setattr(leg, member.name, getattr(old, member.name))

    def _step(self, step: Any) -> None:
        self._settle()
        self._stack[-1].append(step)

    def _settle(self) -> None:
        """Refuse that a wait with optional cases alone is followed by anything but another."""
        items = self._stack[-1]
        if not items or not isinstance(items[-1], Wait):
            return
        wait = items[-1]
        if wait._pause is None and not wait._mandatory and all(
                case.then is tree.Then.STAY for case in wait._cases):
            raise ModelError("this expectation has only optional cases", place=str(wait._place),
                             mend="follow it by another, with what must come")

    def _block(self, kind: type, /, **members: Any) -> _Block:
        builder = _BlockBuilder(kind, members, _caller_place())
        self._step(builder)
        return _Block(self, builder.steps)

    def _clocks(self, start: Words, stop: Words) -> list[Any]:
        place = _caller_place()
        return [*(tree.ClockStop(clock, place) for clock in words(stop)),
                *(tree.ClockStart(clock, place) for clock in words(start))]

    def _value(self, value: str | int | Value | Variable, place: Place) -> Value:
        if isinstance(value, Variable):
            if not isinstance(value.subject, str):
                raise ModelError(f"{value} cannot be used as a value", place=str(place),
                                 mend="use a variable of the model's own")
            return VariableRef(value.subject)
        if isinstance(value, str):
            read = parse_limit if "*" in value else parse_distribution
            return self._placed(read, value, place)
        return Fixed(value) if isinstance(value, int) else value

    def _change(self, how: tree.Arithmetic, name: str,
                value: str | int | Value | Variable) -> None:
        place = _caller_place()
        self._step(tree.Change(how, name, self._value(value, place), place=place))

    def _condition(self, condition: object) -> tree.Condition:
        if not isinstance(condition, tree.Condition):
            raise ModelError(f"{condition!r} is not a condition", place=str(_caller_place()),
                             mend="compare a variable with a number: c.v.n >= 3")
        return condition

    def _body(self, sdp: str, body: str | bytes, place: Place) -> str:
        if not sdp:
            if isinstance(body, str):
                return body
            name = f"octets.{len(self._octets)}"
            self._octets[name] = body.decode(errors="surrogateescape")
            return f"{{{name}}}" if body else ""
        if body:
            raise ModelError("sdp and body are both given", place=str(place),
                             mend="leave one of them out")
        session = self._placed(read_session, sdp, place)
        return messages.SESSIONS.get(session, session)

    @staticmethod
    def _placed(read: Callable[[Any], Read], text: Any, place: Place) -> Read:
        """Read a text; an error is told with the place of the step."""
        try:
            return read(text)
        except ModelError as error:
            raise ModelError(error.message, place=str(place), mend=error.mend) from None

    def _note_dialog(self, leg: _Leg, matches: tuple[tree.Match, ...]) -> None:
        """After a 2xx to INVITE, SUBSCRIBE or REFER the leg has a dialog (RFC 3261 12.1)."""
        for match in matches:
            if (isinstance(match, tree.OnResponse) and match.method in DIALOG_METHODS
                    and match.low <= 299 and match.high >= 200):
                leg.in_dialog = True

    def _send(self, method: str, to: str = "", *, kind: tree.SendKind = tree.SendKind.REQUEST,
              from_value: str = "", to_value: str = "", sdp: str = "", body: str | bytes = "",
              content_type: str = "", headers: Headers = (), start: Words = (),
              leg: str = "", user: str = "", supported: Words = (),
              contact: bool | None = None) -> None:
        place = _caller_place()
        state = self._leg(leg)
        if not method or not set(method) <= _METHOD_CHARACTERS:
            raise ModelError(f"{method!r} is not a method", place=str(place),
                             mend="a method is one word, such as MESSAGE")
        if to:
            self._placed(read_uri, to, place)
        in_dialog = state.in_dialog
        if method in ("ACK", "BYE", "PRACK") and not in_dialog:
            raise ModelError(f"{method} outside of a dialog", place=str(place),
                             mend="expect a 2xx to an INVITE before it (RFC 3261 15)")
        if in_dialog:
            uri = "{request_uri}"
            if state.peer_opened:
                from_value, to_value = "{local_party}", "{remote_party}"
            else:
                from_value, to_value = state.from_value, state.to_value + "{remote_tag}"
        else:
            uri = to or self._target_uri(place, user)
            to_value = to_value or f"<{address_of(uri)}>"
            state.from_value, state.to_value = from_value, to_value
        text = messages.request_text(
            method, uri=uri, from_value=from_value, to_value=to_value,
            transport=self._transport, routes=in_dialog,
            authorization=kind is not tree.SendKind.CANCEL, supported=words(supported),
            headers=_headers(headers), contact=contact,
            body=self._body(sdp, body, place),
            content_type=content_type or ("application/sdp" if sdp else "text/plain"))
        self._supported |= dict.fromkeys(words(supported))
        self.start(*words(start))
        request = tree.Send(kind, method, text, 0, state.number, in_dialog, place=place)
        if kind is tree.SendKind.REQUEST:
            state.last_request = request
            state.invites = state.invites or method == "INVITE"
        self._step(request)

    def _target_uri(self, place: Place, user: str) -> str:
        if self.target is None:
            raise ModelError("there is no target to send to", place=str(place),
                             mend="name one with --target, or with to=")
        return self.target.uri(user or DEFAULT_USER)

    def _frozen(self, items: Iterable[Any]) -> tuple[tree.Step, ...]:
        steps: list[tree.Step] = []
        for item in items:
            if isinstance(item, Wait):
                steps += self._frozen_wait(item)
            elif isinstance(item, _BlockBuilder):
                members = dict(item.members)
                inner = self._frozen([*item.steps, *item.trailer])
                members["failed" if item.kind is tree.ChallengeCheck else "steps"] = inner
                if item.kind is tree.If:
                    members["otherwise"] = self._frozen(item.otherwise)
                steps.append(item.kind(**members, place=item.place))
            elif isinstance(item, tree.Send):
                steps.append(self._frozen_send(item))
            else:
                steps.append(item)
        return tuple(steps)

    def _frozen_send(self, send: tree.Send) -> tree.Send:
        """Say what the scenario as a whole takes and knows (RFC 3261 20.5, 20.37).

        The place for credentials goes when the leg never answers a challenge.
        """
        allow = [*messages.METHODS, *(one for one in messages.IN_DIALOG if one in self._takes)]
        text = send.text.replace("{allow}", ", ".join(allow)).replace(
            "Supported: {supported}", f"Supported: {', '.join(self._supported)}".rstrip())
        leg = next(leg for leg in self._legs.values() if leg.number == send.leg)
        if not leg.authenticates:
            text = text.replace("{authorization}", "")
        return replace(send, text=messages.compact(text) if self._compact else text)

    def _frozen_wait(self, wait: Wait) -> list[tree.Step]:
        ordered = sorted(wait._cases, key=lambda case: case.last)
        cases = tuple(tree.Case(case.matches, self._frozen(case.steps), case.then, case.leg,
                                case.place) for case in ordered)
        if wait._pause is None:
            return [tree.Await(cases, wait._within, self._frozen(wait._late), wait._place)]
        if self.instant(wait._pause):
            return []
        return [tree.Pause(wait._pause, cases, wait._place)]

    def scenario(self) -> Scenario:
        """Freeze what was recorded."""
        self._settle()
        constants: tuple[tuple[str, str], ...] = ()
        if self.target is not None:
            constants = (("target.uri", self.target.uri()), ("target.host", self.target.host),
                         ("target.port", str(self.target.port or 5060)),
                         ("target.user", self.target.user))
        constants += tuple(self._octets.items())
        return Scenario(self._name, self._role, self._frozen(self._stack[0]), self._method,
                        self._user, max(1, len(self._legs)), self.columns, constants,
                        supported=tuple(self._supported), packages=self._packages,
                        keeps_nonces=self._keeps_nonces, place=self._place)


@dataclass(slots=True)
class _BlockBuilder:
    kind: type
    members: dict[str, Any]
    place: Place
    steps: list[Any] = field(default_factory=list)
    otherwise: list[Any] = field(default_factory=list)
    trailer: list[Any] = field(default_factory=list)
