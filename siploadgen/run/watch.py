"""An engine of single calls, watched: what happens in it, step by step.

The core keeps no trace of steps; that would cost every call of a load. What it counts for each
instruction and where its instances wait before and after a datagram or a timer say which way each
has gone, when the calls are few. So a watch drives an engine by its sans-IO door and asks it after
everything that happens.
"""

import heapq
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from siploadgen.compile import listing
from siploadgen.core.program import Compare, Op, OperandKind, Outcome, PseudoVariable
from siploadgen.units import format_duration

SENT, RECEIVED, _, TIMEOUT, UNEXPECTED = range(5)  # columns of Engine.steps
NEVER = 2**63 - 1
DISAGREES = 1000  # steps that a way may be longer if it agrees with the variables
BRANCHES = frozenset((Op.OP_JUMP_IF, Op.OP_CHANCE, Op.OP_CREDENTIAL, Op.OP_CHALLENGE_CHECK,
                      Op.OP_HAS, Op.OP_SAME))
_COMPARED = {Compare.CMP_EQ: lambda a, b: a == b, Compare.CMP_NE: lambda a, b: a != b,
             Compare.CMP_LT: lambda a, b: a < b, Compare.CMP_LE: lambda a, b: a <= b,
             Compare.CMP_GT: lambda a, b: a > b, Compare.CMP_GE: lambda a, b: a >= b}

Address = tuple[str, int]


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


@dataclass(slots=True)
class _Way:
    """Instructions that an instance has gone through, and what they sent."""

    steps: list[int] = field(default_factory=list)
    taken: dict[int, bool] = field(default_factory=dict)  # place in `steps` of a branch: jumped
    sends: int = 0
    cost: int = 0


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
        self._code = [tuple(int(item) for item in row) for row in program.code.tolist()]
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
        turn = _Turn(now, about.status, steps, ended, self.engine.outbox())
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

    def _begun(self, turn: "_Turn", call: int, entries: Sequence[int],
               after: dict[str, Any] | None) -> list[Happening]:
        """Tell of an instance that has begun; `after` is None if it has ended as well."""
        ways = []
        for entry in entries:
            row = self.program.entries[entry]
            if after is not None or turn.ended[int(row["role"])].any():
                way = self._way(turn, int(row["pc"]), {}, after, int(row["role"]))
                if way is not None:
                    ways.append((-way.sends, way.cost, entry, way))
        if not ways:
            return []
        entry, way = min(ways, key=lambda one: one[:3])[2:]
        role = int(self.program.entries[entry]["role"])
        name = self.program.scenarios[entry]
        return [Happening(turn.now, "started", name, call, int(self.program.entries[entry]["pc"])),
                *self._walked(turn, call, way, {}, after, role)]

    def _come_and_gone(self, turn: "_Turn", about: Envelope) -> list[Happening]:
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

    def _rest(self, turn: "_Turn") -> Iterator[Happening]:
        """Yield what the engine did by itself: repeats, ACKs for failures, plain answers."""
        for number, (data, peer) in enumerate(turn.outbox):
            if number not in turn.used:
                yield self._message(turn.now, data, peer, -1)

    def _message(self, now: int, data: bytes, peer: Address, pc: int, call: int = 0) -> Happening:
        about = envelope(data)
        owner, leg = self._owner(about)
        return Happening(now, "sent", _named(about, leg), call or owner, pc, data, peer,
                         self._again("sent", data))

    def _moved(self, turn: "_Turn", call: int, before: dict[str, Any],
               after: dict[str, Any] | None) -> list[Happening]:
        """Tell what an instance did that was there before."""
        role = 1 if before["role"] == "answerer" else 0
        wait = before["pc"]
        told = []
        start = None
        if wait is not None:
            case = self._case(turn, wait)
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
            elif op == Op.OP_PAUSE and (after is None or after["pc"] != wait
                                        or after["deadline"] != before["deadline"]):
                start = target
        if start is not None:
            way = self._way(turn, start, before, after, role)
            if way is not None:
                return told + self._walked(turn, call, way, before, after, role)
        if after is None:
            told.append(self._end(turn, call, role, None))
        return told

    def _case(self, turn: "_Turn", wait: int) -> int | None:
        count = self._code[wait][2]
        return next((pc for pc in range(wait + 1, wait + 1 + count)
                     if turn.steps[pc, RECEIVED] > 0), None)

    def _end(self, turn: "_Turn", call: int, role: int, pc: int | None) -> Happening:
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

    def _walked(self, turn: "_Turn", call: int, way: _Way, before: dict[str, Any],
                after: dict[str, Any] | None, role: int) -> list[Happening]:
        """Tell the steps of a way, what they sent, and where it ends."""
        told = []
        clocks = dict(before.get("clocks", {}))
        ended = False
        for place, pc in enumerate(way.steps):
            op, _, a, _, _ = self._code[pc]
            text = listing.step_name(self.program, pc)
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

    def _waits(self, turn: "_Turn", after: dict[str, Any]) -> str:
        left = after["deadline"] - turn.now
        if self._code[after["pc"]][0] == Op.OP_PAUSE:
            return f"pause {format_duration(max(left, 0))}"
        count = self._code[after["pc"]][2]
        names = dict.fromkeys(listing.matcher_name(self.program, self._code[pc][2])
                 for pc in range(after["pc"] + 1, after["pc"] + 1 + count))
        limit = "" if after["deadline"] == NEVER else f", at most {format_duration(max(left, 0))}"
        return f"waits for {', '.join(names)}{limit}"

    def _written(self, turn: "_Turn", pc: int, call: int) -> Iterator[Happening]:
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

    # --- the way from one wait to the next ---

    def _way(self, turn: "_Turn", start: int, before: dict[str, Any],
             after: dict[str, Any] | None, role: int) -> _Way | None:
        """Find the instructions between two waits: the way that sends what was sent.

        Of ways that send as much the one that agrees with the variables, then the shortest. None:
        there is none.
        """
        known = dict(enumerate(before.get("variables", ())))
        if not before and after is not None:
            known = dict.fromkeys(range(len(after["variables"])), 0)
        best: _Way | None = None
        queue: list[tuple[int, int, int, _Way, Counter[int], dict[int, int]]] = []
        ticket = 0
        heapq.heappush(queue, (0, ticket, start, _Way(), Counter(), known))
        seen: set[tuple[Any, ...]] = set()
        while queue:
            cost, _, pc, way, sent, values = heapq.heappop(queue)
            state = (pc, tuple(sorted(sent.items())))
            if state in seen:
                continue
            seen.add(state)
            op, _, a, b, _ = self._code[pc]
            way = _Way([*way.steps, pc], dict(way.taken), way.sends, cost)  # noqa: PLW2901
            if self._arrived(turn, pc, after, role):
                if best is None or way.sends > best.sends:
                    best = way
                if op in (Op.OP_END, Op.OP_AWAIT):
                    continue
            if op == Op.OP_SEND:
                if sent[pc] >= turn.steps[pc, SENT]:
                    # a response that was given already, a CANCEL that is none's instruction
                    cost += 10  # noqa: PLW2901
                else:
                    sent = sent + Counter([pc])  # noqa: PLW2901
                    way.sends += 1
            values = self._set(pc, values)  # noqa: PLW2901
            for following, extra, jumped in self._next(turn, pc, values):
                ticket += 1
                step = _Way(way.steps, {**way.taken, **(
                    {} if jumped is None else {len(way.steps) - 1: jumped})}, way.sends)
                heapq.heappush(queue, (cost + 1 + extra, ticket, following, step, sent, values))
        if best is not None:
            for pc in best.steps:
                if self._code[pc][0] == Op.OP_SEND and turn.steps[pc, SENT] > 0:
                    turn.steps[pc, SENT] -= 1
        return best

    def _arrived(self, turn: "_Turn", pc: int, after: dict[str, Any] | None, role: int) -> bool:
        op, _, a, _, _ = self._code[pc]
        if after is None:
            return op == Op.OP_END and bool(turn.ended[role, a] > 0)
        return bool(pc == after["pc"])

    def _set(self, pc: int, values: dict[int, int]) -> dict[int, int]:
        """Return what is known of the variables after an instruction."""
        op, _, a, _, c = self._code[pc]
        if op not in (Op.OP_SET, Op.OP_ADD, Op.OP_MUL, Op.OP_EXTRACT, Op.OP_BIND):
            return values
        after = {number: value for number, value in values.items() if number != a}
        if op in (Op.OP_SET, Op.OP_ADD):
            operand = self.program.operands[c]
            value = int(operand["value"])
            if operand["kind"] == OperandKind.OPERAND_CONST:
                if op == Op.OP_SET:
                    after[a] = value
                elif a in values:
                    after[a] = values[a] + value
        return after

    def _next(self, turn: "_Turn", pc: int, values: dict[int, int]
              ) -> Iterator[tuple[int, int, bool | None]]:
        """Yield where an instruction can lead: (pc, what speaks against it, whether it jumps)."""
        op, flags, a, b, c = self._code[pc]
        if op in BRANCHES:
            holds = None
            if op == Op.OP_JUMP_IF:
                value = values.get(a)
                if a == PseudoVariable.VAR_STATUS and turn.status:
                    value = turn.status
                elif a == PseudoVariable.VAR_STOPPING:
                    value = 0
                holds = None if value is None else _COMPARED[Compare(flags)](value, c)
            yield pc + 1, DISAGREES if holds is True else 0, False
            yield b, DISAGREES if holds is False else 0, True
        elif op == Op.OP_JUMP:
            yield b, 0, None
        elif op == Op.OP_PAUSE:
            yield b, 0, None  # of no length
        elif op == Op.OP_AWAIT:
            case = self._case(turn, pc)
            if case is not None:
                yield case, 0, None
        elif op == Op.OP_CASE:
            yield b, 0, None
        elif op != Op.OP_END:
            yield pc + 1, 0, None


@dataclass(slots=True)
class _Turn:
    """What an engine did at once; counts go down as they are explained."""

    now: int
    status: int  # of the message that came, 0: none
    steps: Any
    ended: Any  # [0: calls of the schedule, 1: those answered; Outcome]
    outbox: list[tuple[bytes, Address]]
    used: set[int] = field(default_factory=set)


def _named(about: Envelope, leg: int) -> str:
    return f"{about.name} (leg {leg})" if leg else about.name
