"""An engine of single calls, watched: what happens in it, step by step.

The core keeps no trace of steps; that would cost every call of a load. What it counts for each
instruction and where its instances wait before and after a datagram or a timer say which way each
has gone, when the calls are few. So a watch drives an engine by its sans-IO door and asks it after
everything that happens.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from siploadgen.compile import listing
from siploadgen.core.program import Op, Outcome
from siploadgen.run.ways import (
    BRANCHES,
    RECEIVED,
    TIMEOUT,
    UNEXPECTED,
    WAITS,
    Address,
    Turn,
    Way,
    Ways,
)
from siploadgen.units import format_duration

NEVER = 2**63 - 1

@dataclass(frozen=True, slots=True)
class Happening:
    """Something that happened in an engine, at `at_ns` of its clock.

    `kind`: received, sent, started, step, wait, timeout, unexpected or ended. `call` numbers the
    instances of an engine from 1 in the order of their beginning; 0: none of them. `pc` is the line
    of the listing, -1: none. Of a message `data` and `peer` are known; `again` marks a repeat.
    """

    at_ns: int
    kind: str
    text: str
    call: int = 0
    pc: int = -1
    data: bytes = b""
    peer: Address = ("", 0)
    again: bool = False


_HEADER = re.compile(rb"\r\n(?:(call-id|i)|(from|f)|(to|t)|(cseq))[ \t]*:[ \t]*([^\r\n]*)",
                     re.IGNORECASE)
_TAG = re.compile(rb";[ \t]*tag=([^;,\s]+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Envelope:
    """What tells the messages of a call apart; empty where a datagram says nothing."""

    method: str = ""
    status: int = 0
    call_id: str = ""
    from_tag: str = ""
    to_tag: str = ""
    user: str = ""  # of the Request-URI

    @property
    def name(self) -> str:
        """`INVITE`, `200 INVITE`, or `keep-alive` for what is no message."""
        if not self.method:
            return "keep-alive"
        return f"{self.status} {self.method}" if self.status else self.method


def envelope(data: bytes) -> Envelope:
    r"""Read what tells messages apart, from any datagram.

    >>> envelope(b"SIP/2.0 200 OK\r\nCSeq: 1 BYE\r\n\r\n").name
    '200 BYE'
    """
    head = data.split(b"\r\n\r\n", 1)[0]
    first = head.split(b"\r\n", 1)[0].split(b" ")
    if len(first) < 3:
        return Envelope()
    found: dict[str, str] = {}
    method, status, user = first[0].decode("ascii", "replace"), 0, ""
    for match in _HEADER.finditer(head):
        text = match[5]
        if match[1]:
            found["call_id"] = text.decode("utf-8", "replace")
        elif match[4]:
            if first[0] == b"SIP/2.0":
                method = text.split()[-1].decode("ascii", "replace") if text.split() else "?"
        elif tag := _TAG.search(text):
            found["from_tag" if match[2] else "to_tag"] = tag[1].decode("utf-8", "replace")
    if first[0] == b"SIP/2.0":
        status = int(first[1]) if first[1].isdigit() else 0
    else:
        user = first[1].partition(b":")[2].rpartition(b"@")[0].decode("utf-8", "replace")
    return Envelope(method, status, user=user, **found)


class Watch:
    """Drives an engine and tells what happened. `engine` has the door of core.engine.Engine."""

    def __init__(self, engine: Any, program: Any) -> None:
        self.engine = engine
        self.program = program
        self.calls: dict[tuple[int, int], int] = {}  # key of an instance -> its number
        self.legs: dict[str, tuple[int, int]] = {}  # token on the wire -> (number, leg)
        self._ways = Ways(program)
        self._code = self._ways.code
        self._live: dict[tuple[int, int], dict[str, Any]] = {}
        self._steps = engine.steps.copy()
        self._ended = self._outcomes()
        self._seen: set[tuple[str, bytes]] = set()

    def _outcomes(self) -> Any:
        return np.stack([self.engine.outcomes, self.engine.answered_outcomes])

    def feed(self, data: bytes, source: Address, now: int) -> list[Happening]:
        """Give the engine a datagram."""
        self.engine.feed(data, source, now)
        about = envelope(data)
        call, leg = self._owner(about)
        told = [Happening(now, "received", _named(about, leg), call, -1, data, source,
                          self._again("received", data))]
        return self._told(now, about, told)

    def advance(self, now: int) -> list[Happening]:
        """Let the engine do what is due."""
        self.engine.advance(now)
        return self._told(now, Envelope(), [])

    def transport_error(self, data: bytes, now: int) -> list[Happening]:
        """Tell the engine of an ICMP error that quotes `data`."""
        self.engine.transport_error(data, now)
        about = envelope(data)
        return self._told(now, Envelope(), [Happening(
            now, "unexpected", f"{about.name} could not be delivered (ICMP)",
            self._owner(about)[0])])

    def next_event(self) -> int:
        """When `advance` has something to do; 2**63 - 1: never."""
        return int(self.engine.next_event())

    # --- what has happened ---

    def _owner(self, about: Envelope) -> tuple[int, int]:
        """Return the call and the leg that a message belongs to; (0, 0) when it is none's."""
        for tag in (about.from_tag, about.to_tag, about.call_id.partition("@")[0]):
            if tag in self.legs:
                return self.legs[tag]
        return 0, 0

    def _again(self, way: str, data: bytes) -> bool:
        known = (way, data) in self._seen
        self._seen.add((way, data))
        return known

    def _told(self, now: int, about: Envelope, told: list[Happening]) -> list[Happening]:
        live = {one["key"]: one for one in self.engine.instances()}
        steps = self.engine.steps - self._steps
        ended = self._outcomes() - self._ended
        self._steps = self._steps + steps
        self._ended = self._ended + ended
        turn = Turn(now, about.status, steps, ended, self.engine.outbox())
        fresh = [key for key in live if key not in self._live]
        for key in fresh:
            self._note(key, live[key])
        for key in self._live:
            if key in live:
                self._note(key, live[key])
        for key, before in self._live.items():
            told += self._moved(turn, self.calls[key], before, live.get(key))
        for key in fresh:
            told += self._begun(turn, self.calls[key], [live[key]["entry"]], live[key])
        told += self._come_and_gone(turn, about)
        told += self._rest(turn)
        self._live = live
        return told

    def _note(self, key: tuple[int, int], state: dict[str, Any]) -> None:
        number = self.calls.setdefault(key, len(self.calls) + 1)
        for leg, token in state["legs"].items():
            self.legs[token] = (number, leg)

    def _begun(self, turn: Turn, call: int, entries: Sequence[int],
               after: dict[str, Any] | None) -> list[Happening]:
        """Tell of an instance that has begun; `after` is None if it has ended as well."""
        ways = []
        for entry in entries:
            row = self.program.entries[entry]
            if after is not None or turn.ended[int(row["role"])].any():
                way = self._ways.find(turn, int(row["pc"]), {}, after, int(row["role"]))
                if way is not None:
                    ways.append((-way.sends, way.cost, entry, way))
        if not ways:
            return []
        entry, way = min(ways, key=lambda one: one[:3])[2:]
        role = int(self.program.entries[entry]["role"])
        name = self.program.scenarios[entry]
        return [Happening(turn.now, "started", name, call, int(self.program.entries[entry]["pc"])),
                *self._walked(turn, call, way, {}, after, role)]

    def _come_and_gone(self, turn: Turn, about: Envelope) -> list[Happening]:
        """Tell of instances that began and ended meanwhile, so that nobody saw them."""
        told: list[Happening] = []
        for role in (0, 1):
            entries = [n for n, row in enumerate(self.program.entries) if row["role"] == role]
            if role and about.method:
                answers = {int(row["entry"]) for row in self.program.answers
                           if listing.method_name(int(row["method"])) == about.method}
                entries = [n for n in entries if n in answers] or entries
            while turn.ended[role].sum() > 0:
                number = len(self.calls) + 1
                self.calls[(-number, 0)] = number
                found = self._begun(turn, number, entries, None)
                if not found:
                    break
                told += found
        return told

    def _rest(self, turn: Turn) -> Iterator[Happening]:
        """Yield what the engine did by itself: repeats, ACKs for failures, plain answers."""
        for number, (data, peer) in enumerate(turn.outbox):
            if number not in turn.used:
                yield self._message(turn.now, data, peer, -1)

    def _message(self, now: int, data: bytes, peer: Address, pc: int, call: int = 0) -> Happening:
        about = envelope(data)
        owner, leg = self._owner(about)
        return Happening(now, "sent", _named(about, leg), call or owner, pc, data, peer,
                         self._again("sent", data))

    def _moved(self, turn: Turn, call: int, before: dict[str, Any],
               after: dict[str, Any] | None) -> list[Happening]:
        """Tell what an instance did that was there before."""
        role = 1 if before["role"] == "answerer" else 0
        wait = before["pc"]
        told = []
        start = None
        if wait is not None:
            case = self._ways.case(turn, wait)
            op, _, _, target, _ = self._code[wait]
            if case is not None:
                turn.steps[case, RECEIVED] -= 1
                name = listing.matcher_name(self.program, self._code[case][2])
                told.append(Happening(turn.now, "step", f"case {name}", call, case))
                start = self._code[case][3]
                if start == wait:
                    return told
            elif turn.steps[wait, TIMEOUT] > 0 and op == Op.OP_AWAIT:
                turn.steps[wait, TIMEOUT] -= 1
                told.append(Happening(turn.now, "timeout", "the time to wait is over", call, wait))
                start = target
            elif turn.steps[wait, UNEXPECTED] > 0 and after is None:
                turn.steps[wait, UNEXPECTED] -= 1
                told.append(Happening(turn.now, "unexpected", "no case fits this message", call,
                                      wait))
            elif op == Op.OP_HOOK and (after is None or after["pc"] != wait):
                start = wait
            elif op == Op.OP_PAUSE and (after is None or after["pc"] != wait
                                        or after["deadline"] != before["deadline"]):
                start = target
        if start is not None:
            way = self._ways.find(turn, start, before, after, role)
            if way is not None:
                return told + self._walked(turn, call, way, before, after, role)
        if after is None:
            told.append(self._end(turn, call, role, None))
        return told

    def _end(self, turn: Turn, call: int, role: int, pc: int | None) -> Happening:
        """Tell how an instance ended: by its program, or by the engine."""
        number = self._code[pc][2] if pc is not None else -1
        if number < 0 or turn.ended[role, number] <= 0:
            found = np.flatnonzero(turn.ended[role] > 0)
            number = int(found[0]) if len(found) else int(Outcome.OUTCOME_ABORTED)
        turn.ended[role, number] -= 1
        good = self.program.outcome_ok(number)
        name = self.program.outcome_name(number)
        text = name if number == Outcome.OUTCOME_SUCCEEDED else (
            f"{name} ({'ok' if good else 'failed'})")
        return Happening(turn.now, "ended", text, call, -1 if pc is None else pc)

    def _walked(self, turn: Turn, call: int, way: Way, before: dict[str, Any],
                after: dict[str, Any] | None, role: int) -> list[Happening]:
        """Tell the steps of a way, what they sent, and where it ends."""
        told = []
        clocks = dict(before.get("clocks", {}))
        ended = False
        for place, pc in enumerate(way.steps):
            op, _, a, _, _ = self._code[pc]
            text = listing.step_name(self.program, pc)
            if place == len(way.steps) - 1 and op in WAITS:
                continue
            if op in BRANCHES:
                text += ": yes" if way.taken[place] == (op in (Op.OP_JUMP_IF, Op.OP_CHANCE)) \
                    else ": no"
            elif op == Op.OP_CLOCK_START:
                clocks[a] = turn.now
            elif op == Op.OP_CLOCK_STOP:
                begun = clocks.pop(a, None)
                text += " (it was not going)" if begun is None else (
                    f": {format_duration(max(turn.now - begun, 0))}")
            if op == Op.OP_END:
                told.append(self._end(turn, call, role, pc))
                ended = True
            elif op not in (Op.OP_AWAIT, Op.OP_PAUSE, Op.OP_JUMP):
                if op == Op.OP_CASE:
                    text = "case " + listing.matcher_name(self.program, a)
                told.append(Happening(turn.now, "step", text, call, pc))
            if op in (Op.OP_SEND, Op.OP_DATAGRAM, Op.OP_BINDING):
                told += self._written(turn, pc, call)
        if after is None and not ended:
            told.append(self._end(turn, call, role, None))
        if after is not None and after["pc"] is not None:
            told.append(Happening(turn.now, "wait", self._waits(turn, after), call, after["pc"]))
        return told

    def _waits(self, turn: Turn, after: dict[str, Any]) -> str:
        left = after["deadline"] - turn.now
        if self._code[after["pc"]][0] == Op.OP_HOOK:
            return f"asks {listing.step_name(self.program, after['pc'])}"
        if self._code[after["pc"]][0] == Op.OP_PAUSE:
            return f"pause {format_duration(max(left, 0))}"
        count = self._code[after["pc"]][2]
        names = dict.fromkeys(listing.matcher_name(self.program, self._code[pc][2])
                 for pc in range(after["pc"] + 1, after["pc"] + 1 + count))
        limit = "" if after["deadline"] == NEVER else f", at most {format_duration(max(left, 0))}"
        return f"waits for {', '.join(names)}{limit}"

    def _written(self, turn: Turn, pc: int, call: int) -> Iterator[Happening]:
        """Yield the datagram that a SEND wrote, after what the engine wrote before by itself."""
        op, _, template, _, _ = self._code[pc]
        name = (listing.template_name(self.program, template) if op == Op.OP_SEND
                else "keep-alive")
        status, slash, method = name.partition("/")
        wanted = f"{status} {method}" if slash else name
        found = next((n for n, (data, _) in enumerate(turn.outbox)
                      if n not in turn.used and envelope(data).name == wanted), None)
        if found is None:
            return
        for number in range(found + 1):
            if number not in turn.used:
                turn.used.add(number)
                mine = number == found
                yield self._message(turn.now, *turn.outbox[number], pc if mine else -1,
                                    call if mine else 0)


def _named(about: Envelope, leg: int) -> str:
    return f"{about.name} (leg {leg})" if leg else about.name
