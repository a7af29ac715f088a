"""The way of an instance through its program, from one wait to the next.

What an engine counts for each instruction, and where the instance waits before and after, leave few
ways; of these the one is taken that sent what was sent and agrees with the variables.
"""

import heapq
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from siploadgen.core.program import Compare, Op, OperandKind, PseudoVariable

SENT, RECEIVED, _, TIMEOUT, UNEXPECTED = range(5)  # columns of Engine.steps
DISAGREES = 1000  # steps that a way may be longer if it agrees with the variables
FAR = 20_000  # instructions that are looked at to find a way
BRANCHES = frozenset((Op.OP_JUMP_IF, Op.OP_CHANCE, Op.OP_CREDENTIAL, Op.OP_CHALLENGE_CHECK,
                      Op.OP_HAS, Op.OP_SAME, Op.OP_MATCH, Op.OP_HOOK))
WAITS = frozenset((Op.OP_AWAIT, Op.OP_PAUSE, Op.OP_HOOK))
CHANGES = frozenset((Op.OP_SET, Op.OP_ADD, Op.OP_MUL, Op.OP_SUB, Op.OP_TIMES, Op.OP_DIV, Op.OP_MOD,
                     Op.OP_EXTRACT, Op.OP_BIND, Op.OP_SHARE, Op.OP_GROUP, Op.OP_HOOK))
_COMPARED = {Compare.CMP_EQ: lambda a, b: a == b, Compare.CMP_NE: lambda a, b: a != b,
             Compare.CMP_LT: lambda a, b: a < b, Compare.CMP_LE: lambda a, b: a <= b,
             Compare.CMP_GT: lambda a, b: a > b, Compare.CMP_GE: lambda a, b: a >= b}

Address = tuple[str, int]


def _reckoned(how: Callable[[int, int], int]) -> Callable[[int | None, int | None], int | None]:
    """Make a calculation that knows nothing of what is not known, and stays within 64 bits."""
    def reckon(value: int | None, operand: int | None) -> int | None:
        if value is None or operand is None:
            return None
        result = how(value, operand)
        return result if -2**63 <= result < 2**63 else None
    return reckon


def _quotient(value: int, operand: int) -> int:
    """Divide as the core does: towards zero, and by 0 to 0."""
    return abs(value) // abs(operand) * (1 if value * operand > 0 else -1) if operand else 0


_RECKONED: dict[int, Callable[[int | None, int | None], int | None]] = {
    Op.OP_SET: lambda _, operand: operand,
    Op.OP_ADD: _reckoned(lambda value, operand: value + operand),
    Op.OP_SUB: _reckoned(lambda value, operand: value - operand),
    Op.OP_TIMES: _reckoned(lambda value, operand: value * operand),
    Op.OP_DIV: _reckoned(_quotient),
    Op.OP_MOD: _reckoned(lambda value, operand: value - _quotient(value, operand) * operand
                         if operand else 0),
}


@dataclass(slots=True)
class Way:
    """Instructions that an instance has gone through, and what they sent."""

    steps: list[int] = field(default_factory=list)
    taken: dict[int, bool] = field(default_factory=dict)  # place in `steps` of a branch: jumped
    sends: int = 0
    cost: int = 0


@dataclass(slots=True)
class Turn:
    """What an engine did at once; counts go down as they are explained."""

    now: int
    status: int  # of the message that came, 0: none
    steps: Any
    ended: Any  # [0: calls of the schedule, 1: those answered; Outcome]
    outbox: list[tuple[bytes, Address]]
    used: set[int] = field(default_factory=set)


class Ways:
    """Finds ways through a program."""

    def __init__(self, program: Any) -> None:
        self._program = program
        self.code = [tuple(int(item) for item in row) for row in program.code.tolist()]

    def case(self, turn: Turn, wait: int) -> int | None:
        """Return the case of a wait that took a message; None: none did."""
        count = self.code[wait][2]
        return next((pc for pc in range(wait + 1, wait + 1 + count)
                     if turn.steps[pc, RECEIVED] > 0), None)

    def find(self, turn: Turn, start: int, before: dict[str, Any],
             after: dict[str, Any] | None, role: int) -> Way | None:
        """Find the instructions between two waits: the way that sends what was sent.

        Of ways that send as much the one that agrees with the variables, then the shortest. None:
        there is none.
        """
        known = dict(enumerate(before.get("variables", ())))
        if not before and after is not None:
            known = dict.fromkeys(range(len(after["variables"])), 0)
        best: Way | None = None
        queue: list[tuple[int, int, int, Way, Counter[int], dict[int, int]]] = []
        ticket = 0
        heapq.heappush(queue, (0, ticket, start, Way(), Counter(), known))
        seen: set[tuple[Any, ...]] = set()
        while queue:
            cost, _, pc, way, sent, values = heapq.heappop(queue)
            state = (pc, tuple(sorted(sent.items())), tuple(sorted(values.items())))
            if state in seen or len(seen) > FAR:
                continue
            seen.add(state)
            op = self.code[pc][0]
            way = Way([*way.steps, pc], dict(way.taken), way.sends, cost)
            if self._arrived(turn, pc, after, role):
                variables = after["variables"] if after is not None else ()
                if any(number < len(variables) and variables[number] != value
                       for number, value in values.items()):
                    way.cost += DISAGREES
                if best is None or (way.sends, -way.cost) > (best.sends, -best.cost):
                    best = way
                if op in (Op.OP_END, Op.OP_AWAIT):
                    continue
            if op == Op.OP_SEND:
                if sent[pc] >= turn.steps[pc, SENT]:
                    # a response that was given already, a CANCEL that is none's instruction
                    cost += 10
                else:
                    sent = sent + Counter([pc])
                    way.sends += 1
            values = self._set(pc, values)
            for following, extra, jumped in self._next(turn, pc, values):
                ticket += 1
                step = Way(way.steps, {**way.taken, **(
                    {} if jumped is None else {len(way.steps) - 1: jumped})}, way.sends)
                heapq.heappush(queue, (cost + 1 + extra, ticket, following, step, sent, values))
        if best is not None:
            for pc in best.steps:
                if self.code[pc][0] == Op.OP_SEND and turn.steps[pc, SENT] > 0:
                    turn.steps[pc, SENT] -= 1
        return best

    def _arrived(self, turn: Turn, pc: int, after: dict[str, Any] | None, role: int) -> bool:
        op, _, a, _, _ = self.code[pc]
        if after is None:
            return op == Op.OP_END and bool(turn.ended[role, a] > 0)
        return bool(pc == after["pc"])

    def _set(self, pc: int, values: dict[int, int]) -> dict[int, int]:
        """Return what is known of the variables after an instruction."""
        op, _, a, _, c = self.code[pc]
        if op not in CHANGES:
            return values
        if op == Op.OP_HOOK:
            return {}  # it may set any
        after = {number: value for number, value in values.items() if number != a}
        if op in _RECKONED:
            value = _RECKONED[op](values.get(a), self._operand(c, values))
            if value is not None:
                after[a] = value
        return after

    def _operand(self, number: int, values: dict[int, int]) -> int | None:
        """Return the value of an operand; None: it is drawn, or of a variable not known."""
        operand = self._program.operands[number]
        if operand["kind"] == OperandKind.OPERAND_CONST:
            return int(operand["value"])
        if operand["kind"] == OperandKind.OPERAND_VARIABLE:
            return values.get(int(operand["value"]))
        return None

    def _next(self, turn: Turn, pc: int, values: dict[int, int]
              ) -> Iterator[tuple[int, int, bool | None]]:
        """Yield where an instruction can lead: (pc, what speaks against it, whether it jumps)."""
        op, flags, a, b, c = self.code[pc]
        if op in BRANCHES:
            holds = None
            if op == Op.OP_JUMP_IF:
                other = self._operand(c, values) if flags & Compare.CMP_OPERAND else c
                value = values.get(a)
                if a == PseudoVariable.VAR_STATUS and turn.status:
                    value = turn.status
                elif a == PseudoVariable.VAR_STOPPING:
                    value = 0
                if value is not None and other is not None:
                    holds = _COMPARED[Compare(flags & 7)](value, other)
            on = pc + 1 + flags if op == Op.OP_MATCH else pc + 1  # over its groups
            yield on, DISAGREES if holds is True else 0, False
            yield b, DISAGREES if holds is False else 0, True
        elif op == Op.OP_JUMP:
            yield b, 0, None
        elif op == Op.OP_PAUSE:
            yield b, 0, None  # of no length
        elif op == Op.OP_AWAIT:
            case = self.case(turn, pc)
            if case is not None:
                yield case, 0, None
        elif op == Op.OP_CASE:
            yield b, 0, None
        elif op != Op.OP_END:
            yield pc + 1, 0, None
