"""The course of a call that goes well: what it sends, receives and holds, in numbers.

The program is played without a peer (`run.rehearsal` has one): each wait goes on with the case
that leads straight on, and where that ends in no success, with the others in turn. Of what depends
on the text of a message the shorter course is taken. Constants and means of distributions stand for
what is drawn; a chance is both of its courses by their weights. Sizes of fields that only a run
knows are typical ones.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import TypeAlias

import numpy as np

from siploadgen.compile.program import Program
from siploadgen.core.program import (
    Compare,
    Field,
    MatcherKind,
    Op,
    OperandKind,
    PseudoVariable,
    TemplateFlag,
    TemplateKind,
)
from siploadgen.load.planning import CallCost
from siploadgen.model.methods import Method
from siploadgen.tx_table import T1_NS

_STEPS = 20_000  # of all courses that are tried, together
_DEPTH = 400  # waits one after the other
_LEAST_CHANCE = 1e-4  # a course less likely than that is left out

# Octets that fields take: those that the engine makes are so long, others typically.
_OCTETS: dict[Field, float] = {
    Field.FIELD_BRANCH: 24, Field.FIELD_CALL_ID: 38, Field.FIELD_LOCAL_TAG: 24,
    Field.FIELD_TOKEN: 24, Field.FIELD_CSEQ: 4, Field.FIELD_REQUEST_URI: 48, Field.FIELD_ROUTES: 0,
    Field.FIELD_REMOTE_TAG: 29, Field.FIELD_LOCAL_PARTY: 64, Field.FIELD_REMOTE_PARTY: 64,
    Field.FIELD_LOCAL: 15, Field.FIELD_LOCAL_HOST: 10, Field.FIELD_COLUMN: 10,
    Field.FIELD_VARIABLE: 4, Field.FIELD_ECHO: 330, Field.FIELD_CONTENT_LENGTH: 3,
    Field.FIELD_CHALLENGE: 150, Field.FIELD_CONTACTS: 60, Field.FIELD_ECHO_PARTIES: 200,
    Field.FIELD_INITIAL_URI: 32, Field.FIELD_TEXT: 30, Field.FIELD_RSEQ: 4, Field.FIELD_RACK: 18,
    Field.FIELD_SDP_ADDRESS: 14, Field.FIELD_UUID: 36, Field.FIELD_OWN_ADDRESS: 15,
}
_AUTHORIZATION = 230.0
_HEAD = 330.0  # what a response gives back of its request, and its first line
_BODY = 170.0  # a description and its headers
_REQUEST = 450.0  # a request without a body that the peer sends


_Values: TypeAlias = tuple[tuple[int, float | None], ...]


@dataclass(frozen=True, slots=True)
class _Course:
    """What has happened on the way to some place."""

    cost: CallCost = field(default_factory=lambda: CallCost(0, 0, 0, 0, 0, 0))
    values: _Values = ()  # variables that were given a value; the others are 0
    status: int = 0
    credentials: bool = False
    calling: bool = False  # the INVITE sent last opens a dialog: it is the one that rings
    visits: tuple[int, ...] = ()  # jumps on what nobody knows that have not been taken
    # Cases taken, each with what was known at that time: taken again so, they would be a circle.
    taken: frozenset[tuple[int, int, _Values]] = frozenset()

    def more(self, **amounts: float) -> "_Course":
        """Add to the cost."""
        cost = replace(self.cost, **{name: getattr(self.cost, name) + amount
                                     for name, amount in amounts.items()})
        return replace(self, cost=cost)

    def noted(self, note: str) -> "_Course":
        """Say what the numbers leave out."""
        if note in self.cost.notes:
            return self
        return replace(self, cost=replace(self.cost, notes=(*self.cost.notes, note)))

    def valued(self, variable: int, value: float | None) -> "_Course":
        """Give a variable another value; None: nobody knows it."""
        return replace(self, values=tuple(sorted({**dict(self.values), variable: value}.items())))

    def known(self, variable: int) -> float | None:
        """Value of a variable; None: nobody knows it."""
        if variable == PseudoVariable.VAR_ELAPSED:
            return self.cost.hold_ns
        if variable in (PseudoVariable.VAR_STOPPING, PseudoVariable.VAR_RETRIES):
            return 0
        if variable == PseudoVariable.VAR_STATUS:
            return self.status
        return dict(self.values).get(variable, 0)


def success_cost(
    program: Program, entry: int = 0, *, challenged: bool = False,
    column_octets: Callable[[str], float] | None = None,
) -> CallCost:
    """Cost of a call of one entry that goes well.

    `challenged`: the first request that can answer a challenge gets one. `column_octets` gives the
    mean length of a column's cells. Of an entry that can only fail, that is what it costs to fail.
    """
    walk = _Walk(program, challenged, column_octets)
    start = _Course()
    if program.entries[entry]["role"]:
        start = start.more(received=1, received_octets=_REQUEST, transactions=1)
    course = walk.best(int(program.entries[entry]["pc"]), start)
    return course.cost


def _rung(course: _Course) -> _Course:
    """Count a 180."""
    return course.more(received=1, received_octets=_HEAD)


class _Walk:
    """Plays a program."""

    def __init__(self, program: Program, challenged: bool,
                 column_octets: Callable[[str], float] | None) -> None:
        self._program = program
        self._code = program.code.tolist()
        self._challenged = challenged
        self._column_octets = column_octets
        self._steps = 0
        self._failed: _Course | None = None  # first course that ended without success
        self._cut: _Course | None = None  # first one that was too long

    def best(self, pc: int, course: _Course) -> _Course:
        """Course to a success, else the first one that ended, else nothing."""
        found = self._play(pc, course, 0)
        return found or self._cut or self._failed or course.noted("its course has no end")

    def _play(self, pc: int, course: _Course, depth: int) -> _Course | None:
        """Play on from an instruction; None if it leads to no success."""
        while True:
            self._steps += 1
            if self._steps > _STEPS or depth > _DEPTH:
                # A loop without an end: what came so far stands for the call.
                self._cut = self._cut or course.noted("it repeats itself; counted in part")
                return None
            op, flags, a, b, c = self._code[pc]
            if op == Op.OP_END:
                if self._program.outcome_ok(a):
                    return course
                self._failed = self._failed or course
                return None
            if op == Op.OP_CHANCE:
                return self._split(pc, b, c / 1e9, course, depth)
            if op == Op.OP_HAS:
                found = [end for end in (self._play(pc + 1, course, depth + 1),
                                         self._play(b, course, depth + 1)) if end is not None]
                return min(found, key=lambda end: end.cost.messages, default=None)
            if op == Op.OP_AWAIT:
                return self._wait(pc, a, b if c else None, course, depth)
            if op == Op.OP_PAUSE:
                course = self._pause(course, c)
                pc = b
                continue
            jump, course = self._step(op, flags, a, b, c, pc, course)
            pc = jump

    def _step(self, op: int, flags: int, a: int, b: int, c: int, pc: int, course: _Course
              ) -> tuple[int, _Course]:
        """Play an instruction that does not wait: where it leads, and what it costs."""
        following = pc + 1
        if op == Op.OP_SEND:
            course = self._send(course, a)
        elif op == Op.OP_JUMP:
            following = b
        elif op == Op.OP_JUMP_IF:
            taken = self._compare(course, a, flags, c)
            if taken is None:  # once not, then yes: no loop turns for ever on it
                taken = pc in course.visits
                course = replace(course, visits=(*course.visits, pc))
            following = b if taken else pc + 1
        elif op == Op.OP_SET:
            course = course.valued(a, self._mean(course, c))
        elif op in (Op.OP_ADD, Op.OP_MUL):
            old, by = course.known(a), self._mean(course, c)
            if old is None or by is None:
                course = course.valued(a, None)
            else:
                course = course.valued(a, old + by if op == Op.OP_ADD else old * by / 1e9)
        elif op == Op.OP_EXTRACT:
            course = course.valued(a, None)
        elif op == Op.OP_CREDENTIAL:
            course = replace(course, credentials=True)
        elif op == Op.OP_SAME:
            following = b  # what is asked for is the exception
        elif op in (Op.OP_DATAGRAM, Op.OP_BINDING):
            course = course.more(sent=1, sent_octets=20)
        return following, course

    def _split(self, pc: int, target: int, share: float, course: _Course, depth: int
               ) -> _Course | None:
        """Play both courses of a chance."""
        if share < _LEAST_CHANCE:
            return self._play(pc + 1, course, depth)
        if share > 1 - _LEAST_CHANCE:
            return self._play(target, course, depth)
        taken = self._play(target, course, depth + 1)
        left = self._play(pc + 1, course, depth + 1)
        if taken is None or left is None:
            return taken or left
        parts = {name: getattr(taken.cost, name) * share + getattr(left.cost, name) * (1 - share)
                 for name in _AMOUNTS}
        notes = tuple(dict.fromkeys((*left.cost.notes, *taken.cost.notes)))
        return replace(left, cost=CallCost(**parts, notes=notes))

    def _send(self, course: _Course, template: int) -> _Course:
        row = self._program.templates[template]
        kind, method = int(row["kind"]), int(row["method"])
        octets = self._octets(template, course.credentials)
        course = course.more(sent=1, sent_octets=octets)
        if kind in (TemplateKind.TEMPLATE_REQUEST, TemplateKind.TEMPLATE_CANCEL):
            course = course.more(transactions=1)
        if kind == TemplateKind.TEMPLATE_REQUEST and method == Method.INVITE:
            opens = not int(row["flags"]) & TemplateFlag.TEMPLATE_IN_DIALOG
            course = replace(course.more(invites=1), calling=opens)
        return course

    def _octets(self, template: int, credentials: bool) -> float:
        row = self._program.templates[template]
        first, count = int(row["first"]), int(row["count"])
        total = 0.0
        for segment in self._program.segments[first:first + count]:
            kind = Field(int(segment["field"]))
            if kind is Field.FIELD_LITERAL:
                total += int(segment["length"])
            elif kind is Field.FIELD_AUTHORIZATION:
                total += _AUTHORIZATION if credentials else 0
            elif kind is Field.FIELD_COLUMN and self._column_octets is not None:
                total += self._column_octets(self._program.columns[int(segment["arg"])])
            else:
                total += _OCTETS.get(kind, 0)
        return total

    def _pause(self, course: _Course, operand: int) -> _Course:
        mean = self._mean(course, operand)
        if mean is None:
            return course.noted("a pause whose length is not known before the run counts as none")
        if math.isinf(mean):
            return course.noted("a pause has no mean (pareto with a shape up to 1) and counts as "
                                "none")
        return course.more(hold_ns=mean)

    def _wait(self, pc: int, count: int, over: int | None, course: _Course, depth: int
              ) -> _Course | None:
        """Play a wait: it rings, where that returns to it, then the cases in turn."""
        cases = [(index, case[2], case[3]) for index, case in enumerate(
            self._code[pc + 1:pc + 1 + count])]
        rings = course.calling and self._rings(pc, cases)
        for index, matcher, target in self._in_turn(pc, count, cases, course):
            key = (pc, index, course.values)
            after = replace(self._received(course, matcher), taken=course.taken | {key})
            if rings and not self._refuses(matcher):
                after = _rung(after)
            result = self._play(target, after, depth + 1)
            if result is not None:
                return result
        if over is None:
            return None
        return self._play(over, _rung(course) if rings else course, depth + 1)

    def _in_turn(self, pc: int, count: int, cases: list[tuple[int, int, int]], course: _Course
                 ) -> Iterator[tuple[int, int, int]]:
        """Cases in the order in which they are tried: the course that was written first."""
        leads = [case for case in cases if not self._returns(case[2], pc)]
        challenge = [case for case in leads if self._is_challenge(case)]
        if self._challenged and not course.credentials:
            yield from challenge
        rest = [case for case in leads if not (self._challenged and case in challenge
                                               and not course.credentials)]
        # Straight on is what follows the wait; asides are laid out behind everything else.
        yield from sorted(rest, key=lambda case: (
            (pc, case[0], course.values) in course.taken, case[2] <= pc + count, case[2], case[0]))

    def _is_challenge(self, case: tuple[int, int, int]) -> bool:
        row = self._program.matchers[case[1]]
        return (row["kind"] == MatcherKind.MATCH_RESPONSE and row["low"] in (401, 407)
                and row["low"] == row["high"] and self._code[case[2]][0] == Op.OP_CREDENTIAL)

    def _received(self, course: _Course, matcher: int) -> _Course:
        """Count what a case takes, and what is sent for it on its own accord."""
        row = self._program.matchers[matcher]
        kind, low, method = int(row["kind"]), int(row["low"]), int(row["method"])
        if kind == MatcherKind.MATCH_RESPONSE:
            body = _BODY if method == Method.INVITE and 200 <= low < 300 else 0
            course = course.more(received=1, received_octets=_HEAD + body)
            if method == Method.INVITE and low >= 300:  # its ACK goes by itself
                course = course.more(sent=1, sent_octets=_HEAD)
            return replace(course, status=low, calling=False)
        if kind in (MatcherKind.MATCH_REQUEST, MatcherKind.MATCH_CANCEL):
            mine = 0 if method == Method.ACK else 1
            return course.more(received=1, received_octets=_REQUEST, transactions=mine)
        return course

    def _rings(self, pc: int, cases: list[tuple[int, int, int]]) -> bool:
        """Whether a 180 may come here before what is waited for."""
        rows = [(self._program.matchers[matcher], target) for _, matcher, target in cases]
        return any(row["kind"] == MatcherKind.MATCH_RESPONSE and row["method"] == Method.INVITE
                   and row["low"] <= 180 <= row["high"] and self._returns(target, pc)
                   for row, target in rows)

    def _refuses(self, matcher: int) -> bool:
        """Whether it is a final response before which a peer does not ring."""
        row = self._program.matchers[matcher]
        return bool(row["kind"] == MatcherKind.MATCH_RESPONSE and row["low"] >= 300)

    def _returns(self, pc: int, wait: int) -> bool:
        """Whether a case leads back to its wait without doing anything but measuring."""
        quiet = (Op.OP_CLOCK_STOP, Op.OP_CLOCK_START, Op.OP_COUNT)
        while self._code[pc][0] in quiet:
            pc += 1
        return pc == wait or (self._code[pc][0] == Op.OP_JUMP and self._code[pc][3] == wait)

    def _compare(self, course: _Course, variable: int, compare: int, value: int) -> bool | None:
        known = course.known(variable)
        if known is None:
            return None
        return {Compare.CMP_EQ: known == value, Compare.CMP_NE: known != value,
                Compare.CMP_LT: known < value, Compare.CMP_LE: known <= value,
                Compare.CMP_GT: known > value, Compare.CMP_GE: known >= value}[Compare(compare)]

    def _mean(self, course: _Course, number: int) -> float | None:
        """Mean of an operand; None if nobody knows it before the run."""
        row = self._program.operands[number]
        p1, p2 = float(row["p1"]), float(row["p2"])
        match OperandKind(int(row["kind"])):
            case OperandKind.OPERAND_CONST:
                return float(row["value"])
            case OperandKind.OPERAND_VARIABLE:
                return course.known(int(row["value"]))
            case OperandKind.OPERAND_UNIFORM:
                return (p1 + p2) / 2
            case OperandKind.OPERAND_NORMAL | OperandKind.OPERAND_EXPONENTIAL:
                return p1
            case OperandKind.OPERAND_LOGNORMAL:
                return math.exp(p1 + p2 * p2 / 2)
            case OperandKind.OPERAND_T1:
                return float(row["value"]) * T1_NS
            case OperandKind.OPERAND_WEIBULL:
                return p1 * math.gamma(1 + 1 / p2)
            case OperandKind.OPERAND_PARETO:
                return p1 * p2 / (p2 - 1) if p2 > 1 else math.inf
            case OperandKind.OPERAND_GAMMA:
                return p1 * p2
            case OperandKind.OPERAND_SAMPLES:
                first = int(row["value"])
                return float(np.mean(self._program.samples[first:first + int(p1)]))
            case _:
                return None


_AMOUNTS = ("sent", "received", "sent_octets", "received_octets", "hold_ns", "transactions",
            "invites")
