"""One call played in virtual time against the answering side: what would be sent, and when.

Nothing here opens a socket or waits. The network between the two engines takes the same time for
every datagram and loses none, so the same programs make the same messages.
"""

import heapq
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from siploadgen.core.engine import Engine
from siploadgen.core.program import Op
from siploadgen.ladder import Ladder, Rung
from siploadgen.run.hooks import hook_arguments
from siploadgen.run.watch import NEVER, Happening, Watch, envelope
from siploadgen.run.ways import BRANCHES, Address
from siploadgen.units import NANOS, format_duration

TRAVEL_NS = NANOS // 1000  # that a datagram takes
ENOUGH = 400  # messages after which a call that goes on and on is told to hang up
TOO_MANY = 800  # ... and is left where it is
AFTER_NS = 40 * NANOS  # that the answering side is watched after the end of the call
ROOM: dict[str, Any] = {"max_instances": 1024, "max_transactions": 4096}
CALLER, ANSWERER = "caller", "answerer"


@dataclass(frozen=True, slots=True)
class Message:
    """A datagram of the play; `number` counts from 1, `repeats` names an earlier one."""

    number: int
    at_ns: int
    source: int  # lifeline
    target: int
    name: str
    data: bytes
    repeats: int = 0

    def as_json(self) -> dict[str, Any]:
        """Return it as what JSON has."""
        found = {"number": self.number, "at_s": round(self.at_ns / NANOS, 6), "name": self.name,
                 "text": self.data.decode("utf-8", "backslashreplace")}
        return {**found, "repeats": self.repeats} if self.repeats else found


@dataclass(frozen=True, slots=True)
class Play:
    """A call that was played: its ladder and its messages, how it ended, what was assumed."""

    name: str
    outcome: str
    ok: bool
    ladder: Ladder
    messages: tuple[Message, ...]
    assumed: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """Return it as what JSON has."""
        return {"name": self.name, "outcome": self.outcome, "ok": self.ok,
                "assumed": list(self.assumed), **self.ladder.as_json(),
                "messages": [one.as_json() for one in self.messages]}


@dataclass(slots=True)
class _Cast:
    """Who is who: the caller, and a lifeline for each dialog that somebody else has."""

    sides: dict[Address, str]
    watches: dict[str, Watch]
    names: list[str] = field(default_factory=lambda: [CALLER])
    calls: dict[tuple[str, int], int] = field(default_factory=dict)  # instance -> lifeline
    asking: dict[tuple[str, str], int] = field(default_factory=dict)  # who began a Call-ID
    asked: dict[tuple[str, str], int] = field(default_factory=dict)  # whom it was begun to

    def begins(self, side: str, call: int, cause: bytes | None) -> None:
        """Take up an instance, which a due time or a request began."""
        if cause is None:
            self.calls[side, call] = 0
        else:
            self.calls[side, call] = self._dialog(side, cause)

    def ends_of(self, side: str, one: Happening) -> tuple[int, int]:
        """Return the lifelines that a message goes from and to."""
        about = envelope(one.data)
        key = (side, about.call_id)
        source = self.calls.get((side, one.call))
        if source is None:
            source = self.asking.get(key, 0) if side == CALLER else self._dialog(side, one.data)
        if self.asked.get(key) != source:
            self.asking.setdefault(key, source)
        other = self.sides.get(one.peer, ANSWERER)
        tag = about.from_tag if about.status else about.to_tag
        call = self.watches[other].legs.get(tag, (0, 0))[0]
        target = self.calls.get((other, call))
        if target is None and other != side:
            target = self.asking.get((other, about.call_id))
        if target is None and about.user in self.watches[other].legs:  # sent to a Contact of it
            target = self.calls.get((other, self.watches[other].legs[about.user][0]))
            if target is not None:
                self.asked.setdefault((other, about.call_id), target)
        return source, self._dialog(other, one.data) if target is None else target

    def _dialog(self, side: str, data: bytes) -> int:
        """Return the lifeline of a Call-ID on the side asked; a new one for a new Call-ID."""
        about = envelope(data)
        key = (side, about.call_id)
        if key not in self.asked:
            name = about.user or ("target" if side == ANSWERER else "caller, called")
            alike = sum(known == name or known.startswith(f"{name} (") for known in self.names)
            self.asked[key] = len(self.names)
            self.names.append(f"{name} ({alike + 1})" if alike else name)
        return self.asked[key]


@dataclass(slots=True)
class _Stage:
    """Two engines, a clock, the datagrams under way, and what is written down."""

    cast: _Cast
    shown: int  # instructions of the answering side whose steps are of interest: those before it
    now: int = 0
    flying: list[tuple[int, int, Address, Address, bytes]] = field(default_factory=list)
    rungs: list[Rung] = field(default_factory=list)
    messages: list[Message] = field(default_factory=list)
    sent: dict[tuple[int, int, bytes], int] = field(default_factory=dict)
    alone: dict[str, str] = field(default_factory=dict)  # what no answering side took
    ended: list[Happening] = field(default_factory=list)
    ended_ns: int = NEVER

    def next_event(self) -> int:
        """When something happens next."""
        times = [watch.next_event() for watch in self.cast.watches.values()]
        return min([*times, self.flying[0][0] if self.flying else NEVER])

    def step(self) -> None:
        """Let the next thing happen."""
        self.now = max(self.now, self.next_event())
        if self.flying and self.flying[0][0] <= self.now:
            _, _, source, target, data = heapq.heappop(self.flying)
            side = self.cast.sides.get(target, ANSWERER)
            self._write(side, self.cast.watches[side].feed(data, source, self.now), data)
            return
        for side, watch in self.cast.watches.items():
            if watch.next_event() <= self.now:
                self._write(side, watch.advance(self.now), None)

    def _write(self, side: str, told: Iterable[Happening], cause: bytes | None) -> None:
        address = next(at for at, name in self.cast.sides.items() if name == side)
        notes: list[tuple[int, str]] = []
        took = False
        answer = None
        for one in told:
            if one.kind == "started":
                self.cast.begins(side, one.call, cause)
            took = took or one.kind in ("started", "step", "timeout", "ended")
            if one.kind == "sent":
                self._flush(notes)
                answer = envelope(one.data)
                self._send(side, address, one)
            elif (text := self._note(side, one)):
                notes.append((self.cast.calls.get((side, one.call), 0), text))
            if one.kind == "ended" and self.cast.calls.get((side, one.call)) == 0:
                self.ended.append(one)
                self.ended_ns = self.now
        self._flush(notes)
        if cause is not None and side == ANSWERER and not took and answer is not None:
            about = envelope(cause)
            if not about.status and answer.status >= 300:
                self.alone[about.method] = (
                    f"no answering side takes {about.method}: the engine itself answered "
                    f"{answer.status}")

    def _flush(self, notes: list[tuple[int, str]]) -> None:
        """Write notes down, those of one kind together."""
        while notes:
            line, text = notes.pop(0)
            verb = text.partition(" ")[0]
            while verb in ("starts", "stops") and notes and notes[0][0] == line \
                    and notes[0][1].startswith(verb):
                text += ", " + notes.pop(0)[1].removeprefix(f"{verb} ")
            self.rungs.append(Rung(self.now, line, None, text))

    def _note(self, side: str, one: Happening) -> str:
        """Say what stands beside a lifeline; empty: nothing."""
        program = self.cast.watches[side].program
        op = Op(int(program.code["op"][one.pc])) if one.pc >= 0 else None
        if side == ANSWERER and one.pc >= self.shown and one.kind not in ("timeout", "unexpected"):
            return one.text if one.kind == "wait" and op == Op.OP_PAUSE else ""
        if one.kind == "step":
            if op == Op.OP_CLOCK_START:
                return f"starts {one.text.removeprefix('clock start ')}"
            if op == Op.OP_CLOCK_STOP and not one.text.endswith(")"):  # it went
                return f"stops {one.text.removeprefix('clock stop ')}"
            if op in BRANCHES:
                return f"{one.text.removeprefix('jump ')} (line {one.pc})"
        if one.kind == "wait" and op == Op.OP_PAUSE:
            return one.text
        if one.kind in ("timeout", "unexpected"):
            return f"{one.text} (line {one.pc})" if one.pc >= 0 else one.text
        if one.kind == "ended" and (side == CALLER or one.text != "succeeded"):
            return f"ends: {one.text}"
        return ""

    def _send(self, side: str, address: Address, one: Happening) -> None:
        source, target = self.cast.ends_of(side, one)
        key = (source, target, one.data)
        number = len(self.messages) + 1
        repeats = self.sent.setdefault(key, number) if one.again else 0
        self.sent.setdefault(key, number)
        again = " again" if repeats and repeats != number else ""
        self.messages.append(Message(number, self.now, source, target, one.text + again, one.data,
                                     repeats if again else 0))
        self.rungs.append(Rung(self.now, source, target, one.text + again))
        heapq.heappush(self.flying, (self.now + TRAVEL_NS, number, address, one.peer, one.data))


def play(program: Any, answering: Any, starts: Any, *, rows: Any, local: Address,
         target: Address, seed: int = 1, own: int = 0) -> Play:
    """Play the one call of `starts` (see core.engine.START_DTYPE) to its end.

    The ladder has the steps of the caller, and of the first `own` entries of the answering side.
    """
    caller = Engine(program, local=local, target=target, rows=rows, run_id=1, seed=seed,
                    draw_seed=seed, **hook_arguments(program), **ROOM)
    answerer = Engine(answering, local=target, run_id=2, seed=seed + 1000, engine_id=255,
                      **hook_arguments(answering), **ROOM)
    watches = {CALLER: Watch(caller, program), ANSWERER: Watch(answerer, answering)}
    pcs = [int(row["pc"]) for row in answering.entries]
    stage = _Stage(_Cast({local: CALLER, target: ANSWERER}, watches),
                   pcs[own] if own < len(pcs) else len(answering.code))
    caller.schedule(starts)
    assumed = []
    told = False
    while len(stage.messages) < TOO_MANY:
        after = stage.next_event()
        if after == NEVER or after > stage.ended_ns + AFTER_NS:
            break
        if stage.ended and not stage.flying and not answerer.answers_in_progress:
            break
        if not told and len(stage.messages) >= ENOUGH:
            told = True
            caller.hang_up()
            assumed.append(f"after {ENOUGH} messages the call was told to hang up")
        stage.step()
    entry = int(starts["entry"][0])
    outcome = stage.ended[-1].text if stage.ended else "did not end"
    ok = bool(stage.ended) and not outcome.endswith("(failed)")
    if not stage.ended:
        assumed.append(f"the call goes on: it was left after {len(stage.messages)} messages, at "
                       f"{format_duration(stage.now)}")
    ladder = Ladder(tuple(stage.cast.names), tuple(stage.rungs))
    return Play(program.scenarios[entry], outcome, ok, ladder, tuple(stage.messages),
                (*stage.alone.values(), *assumed))
