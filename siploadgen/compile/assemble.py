"""The tree of a scenario -> instructions.

The main path of an entry is laid out straight; what seldom happens (challenges, refusals, the ends)
comes after it, so that the instructions of an ordinary call lie side by side.
"""

import itertools
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from siploadgen.compile.program import (
    ANSWER,
    ENTRY,
    INSN,
    LEGS_MAX,
    MATCHER,
    NO_TEMPLATE,
    OPERAND,
    SAMPLE,
    SEGMENT,
    TEMPLATE,
    Program,
)
from siploadgen.compile.template import (
    FIELDS,
    Part,
    Parts,
    Scope,
    ack_failure_text,
    cancel_text,
    compile_message,
    compile_text,
)
from siploadgen.core.program import (
    Capture,
    ChallengeFlag,
    Compare,
    EntryFlag,
    Extract,
    Field,
    MatcherKind,
    MatchIn,
    Op,
    OperandKind,
    Outcome,
    PseudoVariable,
    Share,
    TemplateFlag,
    TemplateKind,
)
from siploadgen.core.sip.tokens import HeaderId
from siploadgen.model import scenario as tree
from siploadgen.model.challenges import challenge_kinds
from siploadgen.model.errors import ManyFaultsError, ModelError, nearest
from siploadgen.model.methods import method_number
from siploadgen.model.patterns import group_count, octets_of
from siploadgen.model.values import (
    ColumnRef,
    Elapsed,
    Exponential,
    Fixed,
    Gamma,
    Lognormal,
    Normal,
    Pareto,
    Samples,
    TimesT1,
    Uniform,
    Value,
    VariableRef,
    Weibull,
)

VARIABLES_MAX = 24  # of one instance
TEXTS_MAX = 8  # text variables of one instance
CLOCKS_MAX = 8  # of one instance
ATTEMPTS_MAX = 3  # answers to one realm in a row
NONCE_LIFE_MAX_MS = 2**31 - 1
USER_OUTCOMES_MAX = Outcome.OUTCOME_COUNT - Outcome.OUTCOME_USER
WEIGHT_UNIT = 1_000_000
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
CHANCE_UNIT = 1_000_000_000
# the option tags of a message, outside of its body
_OPTION_TAGS = re.compile(r"^(?:Supported|k|Require): *(\S.*?)\r?$", re.MULTILINE)
_OF_USER = ("REGISTER", "PUBLISH")  # one at a time for an address (RFC 3261 10.2, 3903 4)
_HEADERS = {one.name.removeprefix("HEADER_").replace("_", "-"): int(one) for one in HeaderId
            if one not in (HeaderId.HEADER_OTHER, HeaderId.HEADER_COUNT)}

COMPARES: Mapping[tree.Compare, Compare] = {
    tree.Compare.EQ: Compare.CMP_EQ, tree.Compare.NE: Compare.CMP_NE,
    tree.Compare.LT: Compare.CMP_LT, tree.Compare.LE: Compare.CMP_LE,
    tree.Compare.GT: Compare.CMP_GT, tree.Compare.GE: Compare.CMP_GE,
}
OPPOSITES: Mapping[tree.Compare, tree.Compare] = {
    tree.Compare.EQ: tree.Compare.NE, tree.Compare.NE: tree.Compare.EQ,
    tree.Compare.LT: tree.Compare.GE, tree.Compare.GE: tree.Compare.LT,
    tree.Compare.GT: tree.Compare.LE, tree.Compare.LE: tree.Compare.GT,
}
PSEUDO: Mapping[tree.Pseudo, PseudoVariable] = {
    tree.Pseudo.STOPPING: PseudoVariable.VAR_STOPPING,
    tree.Pseudo.STATUS: PseudoVariable.VAR_STATUS,
    tree.Pseudo.RETRIES: PseudoVariable.VAR_RETRIES,
}
EXTRACTS: Mapping[tree.ExtractWhat, Extract] = {
    tree.ExtractWhat.STATUS: Extract.EXTRACT_STATUS,
    tree.ExtractWhat.EXPIRES: Extract.EXTRACT_EXPIRES,
    tree.ExtractWhat.MIN_EXPIRES: Extract.EXTRACT_MIN_EXPIRES,
    tree.ExtractWhat.RETRY_AFTER: Extract.EXTRACT_RETRY_AFTER,
    tree.ExtractWhat.CONTENT_LENGTH: Extract.EXTRACT_CONTENT_LENGTH,
    tree.ExtractWhat.NUMBER: Extract.EXTRACT_NUMBER,
    tree.ExtractWhat.PARAMETER: Extract.EXTRACT_PARAMETER,
    tree.ExtractWhat.SIPFRAG: Extract.EXTRACT_SIPFRAG,
}
CAPTURES: Mapping[tree.CaptureWhat, Capture] = {
    one: Capture[f"CAPTURE_{one.name}"] for one in tree.CaptureWhat}
HEADER_BITS = 8  # of the operand of a capture, below its text
_TEXT_FIELDS = frozenset({Field.FIELD_LITERAL, Field.FIELD_COLUMN, Field.FIELD_VARIABLE,
                          Field.FIELD_TEXT, Field.FIELD_TOKEN})
EVENTS: Mapping[tree.OnEvent, MatcherKind] = {
    tree.OnEvent.TIMEOUT: MatcherKind.MATCH_TIMEOUT,
    tree.OnEvent.TRANSPORT: MatcherKind.MATCH_TRANSPORT,
    tree.OnEvent.CANCEL: MatcherKind.MATCH_CANCEL,
    tree.OnEvent.BINDING: MatcherKind.MATCH_BINDING,
    tree.OnEvent.REBINDING: MatcherKind.MATCH_REBINDING,
}
ARITHMETIC: Mapping[tree.Arithmetic, Op] = {
    tree.Arithmetic.SET: Op.OP_SET, tree.Arithmetic.ADD: Op.OP_ADD,
    tree.Arithmetic.MUL: Op.OP_MUL, tree.Arithmetic.SUB: Op.OP_SUB,
    tree.Arithmetic.TIMES: Op.OP_TIMES, tree.Arithmetic.DIV: Op.OP_DIV,
    tree.Arithmetic.MOD: Op.OP_MOD,
}
SHARED = ("user.", "run.")  # how the names of variables beyond a call begin
SHARED_MAX = 64
SENDS: Mapping[tree.SendKind, TemplateKind] = {
    tree.SendKind.REQUEST: TemplateKind.TEMPLATE_REQUEST,
    tree.SendKind.ACK: TemplateKind.TEMPLATE_ACK,
    tree.SendKind.RESPONSE: TemplateKind.TEMPLATE_RESPONSE,
}
OUTCOMES: Mapping[str, Outcome] = {
    outcome.name.removeprefix("OUTCOME_").lower(): outcome
    for outcome in Outcome if outcome < Outcome.OUTCOME_USER
}


class _Label:
    """A place in the code that is not known yet."""

    def __init__(self) -> None:
        self.pc = -1


@dataclass(slots=True)
class _Insn:
    op: Op
    a: int
    b: "_Label | int"
    c: int
    flags: int
    place: tree.Place


class _Rows:
    """Rows of one table, each distinct row once."""

    def __init__(self, what: str, limit: int) -> None:
        self.rows: list[tuple[Any, ...]] = []
        self._numbers: dict[tuple[Any, ...], int] = {}
        self._what = what
        self._limit = limit

    def named(self, name: str) -> int:
        """Give the number of a name, which must look like one."""
        if not _NAME.fullmatch(name):
            raise ModelError(f"{name!r} cannot be a name",
                             mend="use letters, digits, and . _ - after the first letter")
        return self.number((name,))

    def number(self, row: tuple[Any, ...]) -> int:
        if row not in self._numbers:
            if len(self.rows) >= self._limit:
                raise ModelError(f"more than {self._limit} {self._what}",
                                 mend="split the scenario")
            self._numbers[row] = len(self.rows)
            self.rows.append(row)
        return self._numbers[row]


class _Slots:
    """Places of variables in an instance: scenarios of one program use the same ones anew."""

    def __init__(self, what: str, limit: int) -> None:
        self._users: list[dict[str, None]] = []  # the names that each place goes by
        self._what = what
        self._limit = limit

    def place(self, own: dict[str, int], name: str) -> int:
        """Give the place of a name; `own` are those of its scenario so far."""
        if name not in own:
            if not _NAME.fullmatch(name):
                raise ModelError(f"{name!r} cannot be a name",
                                 mend="use letters, digits, and . _ - after the first letter")
            if len(own) >= self._limit:
                raise ModelError(f"more than {self._limit} {self._what}",
                                 mend="split the scenario")
            own[name] = len(own)
        if own[name] == len(self._users):
            self._users.append({})
        self._users[own[name]][name] = None
        return own[name]

    def names(self) -> tuple[str, ...]:
        """Names by place; those of several scenarios beside each other."""
        return tuple("|".join(users) for users in self._users)


class _Assembler:
    """Tables that all entries of a program share, and the code so far."""

    def __init__(self) -> None:
        self.code: list[_Insn] = []
        self.text = bytearray()
        self.segments: list[tuple[int, int, int, int, int]] = []
        self.templates: list[list[int]] = []
        self._template_numbers: dict[tuple[Any, ...], int] = {}
        self.matchers = _Rows("different things to wait for", 0xFFFF)
        self.operands = _Rows("different values", 0xFFFF)
        self.clocks = _Rows("clocks", CLOCKS_MAX)
        self.variables = _Slots("variables", VARIABLES_MAX)
        self.texts = _Slots("text variables", TEXTS_MAX)
        self.counters = _Rows("counters", 0xFFFF)
        self.columns = _Rows("columns", 0xFFFF)
        self.shared = _Rows("variables of users and the run", SHARED_MAX)
        self.hooks = _Rows("hooks", 0xFFFF)
        self.shared_kinds: Mapping[str, str] = {}
        self.outcomes: dict[str, bool] = {}
        self.samples: list[int] = []
        self._sampled: dict[tuple[int, ...], int] = {}
        self.faults: list[ModelError] = []

    # --- tables ---

    def literal(self, data: bytes) -> tuple[int, int]:
        offset = len(self.text)
        self.text += data
        return offset, len(data)

    def template(self, kind: TemplateKind, parts: Parts, *, method: str = "", status: int = 0,
                 flags: int = 0, ack: int = NO_TEMPLATE, cancel: int = NO_TEMPLATE,
                 supported: str = "") -> int:
        key = (kind, parts, method, status, flags, ack, cancel, supported)
        if key in self._template_numbers:
            return self._template_numbers[key]
        if len(self.templates) >= NO_TEMPLATE:
            raise ModelError(f"more than {NO_TEMPLATE} templates", mend="split the scenario")
        if parts.fixed_length:
            flags |= TemplateFlag.TEMPLATE_FIXED_LENGTH
        first = len(self.segments)
        for part in parts.parts:
            offset, length = self.literal(part.literal) if part.literal else (0, 0)
            self.segments.append((part.field, 0, part.arg, offset, length))
        number = method_number(method)
        name = self.literal(method.encode()) if method and not number else (0, 0)
        self._template_numbers[key] = len(self.templates)
        self.templates.append([kind, number, status, flags, len(parts.parts), first, parts.body,
                               ack, cancel, *name, *self.literal(supported.encode())])
        return self._template_numbers[key]

    def matcher(self, match: tree.Match, leg: int) -> int:
        row: tuple[int, ...]
        match match:
            case tree.OnResponse(low, high, method):
                # an extension method has no number, and METHOD_UNKNOWN fits the responses to any
                # method; a leg has one open request of its own at a time
                row = (MatcherKind.MATCH_RESPONSE, method_number(method), leg, 0, low, high, 0)
            case tree.OnRequest(method):
                number = method_number(method)
                if method and not number:
                    raise ModelError(f"requests of method {method} cannot be told from others",
                                     mend="choose a method of an RFC, upper case")
                row = (MatcherKind.MATCH_REQUEST, number, leg, 0, 0, 0, 0)
            case tree.OnEvent():
                row = (EVENTS[match], 0, leg, 0, 0, 0, 0)
        return self.matchers.number(row)

    def operand(self, value: Value, variable: Callable[[str], int],
                column: Callable[[str], int]) -> int:
        spare = (0,) * 7
        match value:
            case Fixed(number):
                if not -(2**63) <= number < 2**63:
                    raise ModelError(f"{number} is too large", mend="64 bits must hold it")
                row: tuple[Any, ...] = (OperandKind.OPERAND_CONST, spare, number, 0.0, 0.0)
            case VariableRef(name):
                row = (OperandKind.OPERAND_VARIABLE, spare, variable(name), 0.0, 0.0)
            case Elapsed():
                row = (OperandKind.OPERAND_VARIABLE, spare, int(PseudoVariable.VAR_ELAPSED), 0.0,
                       0.0)
            case ColumnRef(name):
                row = (OperandKind.OPERAND_COLUMN, spare, column(name), 0.0, 0.0)
            case Uniform(low, high):
                row = (OperandKind.OPERAND_UNIFORM, spare, 0, float(low), float(high))
            case Normal(mean, deviation):
                row = (OperandKind.OPERAND_NORMAL, spare, 0, float(mean), float(deviation))
            case Lognormal(_, sigma):
                row = (OperandKind.OPERAND_LOGNORMAL, spare, 0, value.mu, float(sigma))
            case Exponential(mean):
                row = (OperandKind.OPERAND_EXPONENTIAL, spare, 0, float(mean), 0.0)
            case Weibull(scale, shape):
                row = (OperandKind.OPERAND_WEIBULL, spare, 0, scale, shape)
            case Pareto(least, shape):
                row = (OperandKind.OPERAND_PARETO, spare, 0, least, shape)
            case Gamma(scale, shape):
                row = (OperandKind.OPERAND_GAMMA, spare, 0, scale, shape)
            case Samples(values):
                first = self.sampled(values)
                row = (OperandKind.OPERAND_SAMPLES, spare, first, float(len(values)), 0.0)
            case TimesT1(times):
                row = (OperandKind.OPERAND_T1, spare, times, 0.0, 0.0)
        return self.operands.number(row)

    def sampled(self, values: tuple[int, ...]) -> int:
        """Where these samples begin in the table."""
        if values not in self._sampled:
            self._sampled[values] = len(self.samples)
            self.samples += values
        return self._sampled[values]

    def outcome(self, name: str, ok: bool) -> int:
        if name in OUTCOMES:
            if ok and OUTCOMES[name] is not Outcome.OUTCOME_SUCCEEDED:
                raise ModelError(f"the outcome {name} is a failure everywhere",
                                 mend="take a name of your own for a success")
            return int(OUTCOMES[name])
        if not _NAME.fullmatch(name):
            raise ModelError(f"{name!r} cannot be the name of an outcome",
                             mend="use letters, digits, and . _ - after the first letter")
        if self.outcomes.setdefault(name, ok) != ok:
            raise ModelError(f"the outcome {name} is a success here and a failure elsewhere",
                             mend="use two names")
        number = list(self.outcomes).index(name)
        if number >= USER_OUTCOMES_MAX:
            raise ModelError(f"more than {USER_OUTCOMES_MAX} outcomes", mend="use fewer names")
        return int(Outcome.OUTCOME_USER) + number

    # --- the whole ---

    def program(self, scenarios: Sequence[tree.Scenario]) -> Program:
        entries, answers = [], []
        self.shared_kinds = _shared_kinds(scenarios)
        weights = _shared([one.weight if one.role is tree.Role.CALLER else 0.0
                           for one in scenarios])
        for number, one in enumerate(scenarios):
            if one.legs > LEGS_MAX:
                raise ModelError(f"{one.name} uses {one.legs} legs", place=str(one.place),
                                 mend=f"{LEGS_MAX} are possible")
            pc = len(self.code)
            flags = _Entry(self, one).assemble()
            caller = one.role is tree.Role.CALLER
            entries.append((pc, 0 if caller else 1, flags if caller else 0, one.legs, 0,
                            weights[number], *self.literal(", ".join(one.supported).encode())))
            if not caller:
                method = method_number(one.method)
                if not method:
                    raise ModelError(f"requests of method {one.method} cannot start a scenario",
                                     place=str(one.place), mend="choose a method of RFC 3261")
                answers.append((method, 0, number, *self.literal(one.user.encode()), 0))
        if self.faults:
            raise self.faults[0] if len(self.faults) == 1 else ManyFaultsError(self.faults)
        code = [(insn.op, insn.flags, insn.a,
                 insn.b.pc if isinstance(insn.b, _Label) else insn.b, insn.c)
                for insn in self.code]
        program = Program(
            code=np.array(code, INSN),
            templates=np.array([tuple(row) for row in self.templates], TEMPLATE),
            segments=np.array(self.segments, SEGMENT),
            matchers=np.array(self.matchers.rows, MATCHER),
            operands=np.array(self.operands.rows, OPERAND),
            entries=np.array(entries, ENTRY),
            answers=np.array(answers, ANSWER),
            samples=np.array(self.samples, SAMPLE),
            text=bytes(self.text),
            clocks=tuple(row[0] for row in self.clocks.rows),
            variables=self.variables.names(),
            texts=self.texts.names(),
            counters=tuple(row[0] for row in self.counters.rows),
            outcomes=tuple(self.outcomes.items()),
            columns=tuple(row[0] for row in self.columns.rows),
            packages=_packages(scenarios),
            registrar=_registrar(scenarios),
            shared=tuple(self.shared.rows),
            hooks=tuple(self.hooks.rows),
            scenarios=tuple(one.name for one in scenarios),
            sources=tuple(str(insn.place) for insn in self.code),
        )
        program.check()
        return program


class _Entry:
    """The code of one scenario."""

    def __init__(self, out: _Assembler, scenario: tree.Scenario) -> None:
        self._out = out
        self._scenario = scenario
        self._labels: dict[str, _Label] = {}
        self._jumps: list[tuple[str, tree.Place]] = []
        self._ends: dict[int, tuple[_Label, tree.Place]] = {}
        self._deferred: list[Callable[[], None]] = []
        self._invites: dict[int, int] = {}  # leg -> template of its INVITE last sent
        self._variables: dict[str, int] = {}
        self._texts: dict[str, int] = {}
        self._flags = int(EntryFlag.ENTRY_KEEPS_NONCES) if scenario.keeps_nonces else 0
        self._written = set(_written_variables(scenario.steps))
        self._captured = set(_captured_texts(scenario.steps))
        self._kinds = out.shared_kinds
        self._read: dict[str, int] = {}  # variables beyond the call that what comes next uses
        self._scope = Scope(
            constants=dict(scenario.constants),
            variable=lambda name: self._variable(name) if (
                name in self._written or self._kinds.get(name) == "number") else None,
            text=lambda name: self._text(name) if (
                name in self._captured or self._kinds.get(name) == "text") else None,
            column=lambda name: self._column(name) if self._is_column(name) else None,
            known=lambda: [*sorted(self._written | self._captured), *scenario.columns])

    def assemble(self) -> int:
        """Emit the code; the flags of the entry."""
        if not self._steps(self._scenario.steps):
            self._end(tree.End(place=self._scenario.place))
        while self._deferred:
            self._deferred.pop(0)()
        for number, (label, place) in self._ends.items():
            if label.pc < 0:
                self._place(label)
                self._emit(Op.OP_END, place, a=number)
        for name, place in self._jumps:
            if self._labels[name].pc < 0:
                self._out.faults.append(ModelError(
                    f"there is no label {name}", place=str(place),
                    mend=nearest(name, (n for n, at in self._labels.items() if at.pc >= 0))))
        return self._flags

    # --- names ---

    def _is_column(self, name: str) -> bool:
        return name in self._scenario.columns or (
            "." in name and not name.startswith(("target.", *SHARED)))

    def _column(self, name: str) -> int:
        return self._out.columns.named(name)

    def _variable(self, name: str) -> int:
        """Give the place of a variable whose value is used."""
        place = self._variable_place(name)
        if name in self._kinds:
            self._read[name] = place
        return place

    def _variable_place(self, name: str) -> int:
        if name not in self._written and self._kinds.get(name) != "number":
            raise ModelError(f"the variable {name} is never set",
                             mend=nearest(name, {*self._written, *self._kinds}))
        self._check_name(name)
        return self._out.variables.place(self._variables, name)

    def _text(self, name: str) -> int:
        """Give the place of a text variable whose text is used."""
        place = self._text_place(name)
        if name in self._kinds:
            self._read[name] = place
        return place

    def _text_place(self, name: str) -> int:
        if name not in self._captured and self._kinds.get(name) != "text":
            raise ModelError(f"the text {name} is never captured",
                             mend=nearest(name, {*self._captured, *self._kinds}))
        self._check_name(name)
        return self._out.texts.place(self._texts, name)

    def _check_name(self, name: str) -> None:
        if name in FIELDS:
            raise ModelError(f"{name} is a field of every message",
                             mend=f"take another name for the variable, such as my_{name}")
        if name not in self._kinds or not name.startswith("user."):
            return
        if self._scenario.role is tree.Role.ANSWERER:
            raise ModelError(f"{name}: who answers is no user of the data",
                             mend=f"take run.{name.removeprefix('user.')}")
        if self._scenario.columns:
            self._column(self._scenario.columns[0])  # so that there are rows, and users
        elif not any("." in one for one, in self._out.columns.rows):
            raise ModelError(f"{name}: there are no users",
                             mend="name the columns of their data, or take "
                                  f"run.{name.removeprefix('user.')}")

    def _share(self, what: Share, name: str, own: int, place: tree.Place, operand: int = 0) -> None:
        number = self._out.shared.number((name, self._kinds[name]))
        self._out.code.append(_Insn(Op.OP_SHARE, own, number, operand, int(what), place))

    def _reads(self, place: tree.Place) -> None:
        """Fetch what the next instruction uses of variables beyond the call."""
        found, self._read = self._read, {}
        for name, own in found.items():
            self._share(Share.SHARE_READ_TEXT if self._kinds[name] == "text" else Share.SHARE_READ,
                        name, own, place)

    def _write(self, name: str, own: int, place: tree.Place) -> None:
        """Leave what an instruction has put into a variable beyond the call."""
        if name in self._kinds:
            self._share(Share.SHARE_WRITE_TEXT if self._kinds[name] == "text"
                        else Share.SHARE_WRITE, name, own, place)

    def _subject(self, subject: str | tree.Pseudo) -> int:
        return self._variable(subject) if isinstance(subject, str) else int(PSEUDO[subject])

    def _operand(self, value: Value) -> int:
        return self._out.operand(value, self._variable, self._column)

    # --- code ---

    def _emit(self, op: Op, place: tree.Place, *, a: int = 0, b: _Label | int = 0, c: int = 0,
              flags: int = 0) -> None:
        self._reads(place)
        self._out.code.append(_Insn(op, a, b, c, flags, place))

    def _place(self, label: _Label) -> None:
        label.pc = len(self._out.code)

    def _steps(self, steps: Iterable[tree.Step]) -> bool:
        """Emit steps; whether the last of them never goes on to the next instruction."""
        done = False
        for step in steps:
            try:
                done = self._step(step)
            except ModelError as error:  # told with those of other steps
                self._fault(error, step)
                if isinstance(step, tree.Send) and step.method == "INVITE":
                    self._invites.setdefault(step.leg, NO_TEMPLATE)
        return done

    def _fault(self, error: ModelError, step: tree.Step) -> None:
        """Keep an error, with the place of its step."""
        for one in error.errors if isinstance(error, ManyFaultsError) else (error,):
            told = {known.message for known in self._out.faults}
            if isinstance(step, tree.Send) and step.in_dialog and one.message in told:
                continue  # the parties of a dialog stand in all of its messages
            self._out.faults.append(one if one.place else ModelError(
                one.message, place=str(step.place), mend=one.mend))

    def _step(self, step: tree.Step) -> bool:
        out = self._out
        match step:
            case tree.Send():
                self._emit(Op.OP_SEND, step.place, a=self._send_template(step), b=step.leg)
            case tree.Await():
                self._await(step)
            case tree.Pause():
                self._pause(step)
            case tree.ClockStart(clock):
                self._emit(Op.OP_CLOCK_START, step.place, a=out.clocks.named(clock))
            case tree.ClockStop(clock):
                self._emit(Op.OP_CLOCK_STOP, step.place, a=out.clocks.named(clock))
            case tree.Change():
                self._change(step)
            case tree.Extract(variable, what, header, parameter, reg_id):
                c = header_number(header) if header else reg_id
                if parameter:
                    c |= self._text_template(parameter.lower()) << HEADER_BITS
                own = self._variable_place(variable)
                self._emit(Op.OP_EXTRACT, step.place, a=own, b=int(EXTRACTS[what]), c=c)
                self._write(variable, own, step.place)
            case tree.Capture():
                self._capture(step)
            case tree.Find(finds):
                beyond = _Label()
                self._find(finds, beyond, step.place)
                self._place(beyond)
                for group in finds.groups:
                    own = (self._variable_place if group.is_number
                           else self._text_place)(group.variable)
                    self._write(group.variable, own, step.place)
            case tree.Hook():
                self._hook(step)
            case tree.Route(uri, leg):
                self._emit(Op.OP_ROUTE, step.place, a=self._text_template(uri), b=leg)
            case tree.Datagram(text, leg):
                self._emit(Op.OP_DATAGRAM, step.place, a=self._text_template(text), b=leg)
            case tree.Binding(again, leg):
                self._emit(Op.OP_BINDING, step.place, b=leg, flags=int(again))
            case tree.Leave(leg):
                self._emit(Op.OP_LEAVE, step.place, b=leg)
            case tree.If():
                self._if(step)
            case tree.Loop(condition, steps):
                top, out_of_it = _Label(), _Label()
                self._place(top)
                if condition is not None:
                    self._jump_if(_opposite(condition), out_of_it, step.place)
                if not self._steps(steps):
                    self._emit(Op.OP_JUMP, step.place, b=top)
                self._place(out_of_it)
                return condition is None
            case tree.Chance(share, steps):
                if share > 0:
                    self._emit(Op.OP_CHANCE, step.place, c=round(share * CHANCE_UNIT),
                               b=self._aside(steps, step.place))
            case tree.Label(name):
                label = self._labels.setdefault(name, _Label())
                if label.pc >= 0:
                    raise ModelError(f"the label {name} is there twice",
                                     mend="give one of them another name")
                self._place(label)
            case tree.Jump(name, condition, anew):
                self._jumps.append((name, step.place))
                label = self._labels.setdefault(name, _Label())
                if condition is None:
                    self._emit(Op.OP_JUMP, step.place, b=label, flags=int(anew))
                    return True
                self._jump_if(condition, label, step.place)
            case tree.Authenticate():
                self._authenticate(step)
            case tree.ChallengeCheck():
                self._challenge_check(step)
            case tree.Bind(variable):
                self._emit(Op.OP_BIND, step.place, a=self._variable_place(variable))
            case tree.Count(counter, amount):
                self._emit(Op.OP_COUNT, step.place, a=out.counters.named(counter), c=amount)
            case tree.End():
                self._end(step)
                return True
        return False

    def _end(self, step: tree.End) -> None:
        number = self._out.outcome(step.outcome, step.ok)
        label, _ = self._ends.setdefault(number, (_Label(), step.place))
        if label.pc < 0:
            self._place(label)
        self._emit(Op.OP_END, step.place, a=number)

    def _end_label(self, outcome: str, place: tree.Place, ok: bool = False) -> _Label:
        """Where the instance ends with this outcome; one END serves all who jump there."""
        return self._ends.setdefault(self._out.outcome(outcome, ok), (_Label(), place))[0]

    def _capture(self, step: tree.Capture) -> None:
        what = CAPTURES[step.what]
        if what in (Capture.CAPTURE_TEXT, Capture.CAPTURE_ESCAPED):
            c = self._text_template(step.item)
        elif what == Capture.CAPTURE_DIALOG:
            c = step.leg
        elif what == Capture.CAPTURE_RANKED:
            c = header_number(step.header) | step.rank << HEADER_BITS
        else:
            c = header_number(step.header) if step.header else 0
            if step.item:
                c |= self._text_template(step.item) << HEADER_BITS
        own = self._text_place(step.variable)
        self._emit(Op.OP_CAPTURE, step.place, a=own, flags=int(what), c=c)
        self._write(step.variable, own, step.place)

    def _change(self, step: tree.Change) -> None:
        value = self._operand(step.value)
        own = self._variable_place(step.variable)
        if step.into and not (step.how is tree.Arithmetic.ADD and step.variable in self._kinds):
            raise ModelError("into is for what is added to a variable beyond the call",
                             mend="use the variable itself")
        if step.variable not in self._kinds:
            self._emit(ARITHMETIC[step.how], step.place, a=own, c=value)
            return
        if step.how is tree.Arithmetic.ADD:
            self._reads(step.place)
            self._share(Share.SHARE_ADD, step.variable,
                        self._variable_place(step.into) if step.into else own, step.place, value)
            return
        if step.how is not tree.Arithmetic.SET:
            self._read[step.variable] = own
        self._emit(ARITHMETIC[step.how], step.place, a=own, c=value)
        self._write(step.variable, own, step.place)

    def _find(self, finds: tree.Finds, missing: _Label, place: tree.Place) -> None:
        """Go to `missing` when the pattern is not found, else on behind its groups."""
        pattern, count = octets_of(finds.pattern), group_count(finds.pattern, finds.any_case)
        for group in finds.groups:
            if group.number > count:
                raise ModelError(f"the pattern {finds.pattern!r} has no group {group.number}",
                                 mend="put what is wanted in brackets")
        literal = (Part(Field.FIELD_LITERAL, 0, pattern),) if pattern else ()
        template = self._out.template(TemplateKind.TEMPLATE_TEXT, Parts(literal, len(literal)))
        c = int(MatchIn[f"MATCH_IN_{finds.where.name}"])
        if finds.where is tree.FindIn.TEXT:
            c |= self._text(finds.item) << 8
        elif finds.where is tree.FindIn.HEADER:
            number = known_header(finds.item)
            c |= number << 8 | finds.rank << 16
            if not number:
                c |= self._text_template(finds.item) << 32
        if finds.any_case:
            c |= int(MatchIn.MATCH_ANY_CASE)
        self._emit(Op.OP_MATCH, place, a=template, b=missing, c=c, flags=len(finds.groups))
        for group in finds.groups:
            own = (self._variable_place if group.is_number else self._text_place)(group.variable)
            self._emit(Op.OP_GROUP, place, a=own, b=group.number, flags=int(group.is_number))

    def _hook(self, step: tree.Hook) -> None:
        own = [name for name in sorted(self._written) if name not in self._kinds]
        texts = [name for name in sorted(self._captured) if name not in self._kinds]
        for name in (*step.sets, *step.texts):
            if name in self._kinds:
                raise ModelError(f"a hook sets variables of the call, not {name}",
                                 mend="take another name, and set this one from it")
        row = (step.function, " ".join(f"{one}={self._variable_place(one)}" for one in own),
               " ".join(f"{one}={self._text_place(one)}" for one in texts))
        self._emit(Op.OP_HOOK, step.place, a=self._out.hooks.number(row), c=step.within.value,
                   b=self._end_label(step.end, step.place, step.ok))

    def _jump_unless(self, test: tree.Test, label: _Label, place: tree.Place) -> None:
        """Go to `label` when the test fails."""
        match test:
            case tree.Condition():
                self._jump_if(_opposite(test), label, place)
            case tree.HasHeader(header, item):
                c = known_header(header)
                if not c:
                    c = self._text_template(header) << HEADER_BITS
                self._emit(Op.OP_HAS, place, a=self._text_template(item), b=label, c=c)
            case tree.HasLine(text):
                self._emit(Op.OP_HAS, place, a=self._text_template(text), b=label, flags=1)
            case tree.Finds(groups=groups):
                for group in groups:
                    if group.variable in self._kinds:
                        raise ModelError(f"{group.variable} is beyond the call",
                                         mend="find it before, and ask the variable")
                self._find(test, label, place)
            case tree.SameText(variable, text):
                self._emit(Op.OP_SAME, place, a=self._text(variable), b=label,
                           c=self._text_template(text))

    def _jump_if(self, condition: tree.Condition, label: _Label, place: tree.Place) -> None:
        flags, other = int(COMPARES[condition.compare]), condition.other
        if isinstance(other, Fixed):
            other = other.value
        if not isinstance(other, int):
            flags |= int(Compare.CMP_OPERAND)
            other = self._operand(other)
        subject = self._subject(condition.subject)
        self._emit(Op.OP_JUMP_IF, place, a=subject, flags=flags, b=label, c=other)

    def _if(self, step: tree.If) -> None:
        """Lay out the branch for which the condition holds straight."""
        if not step.otherwise and len(step.steps) == 1 and isinstance(
                step.condition, tree.Condition):
            match step.steps[0]:
                case tree.End(outcome, ok) as end:
                    self._jump_if(step.condition, self._end_label(outcome, end.place, ok),
                                  step.place)
                    return
                case tree.Jump(name, None, False) as jump:
                    self._step(replace(jump, label=name, condition=step.condition))
                    return
        beyond = _Label()
        other = _Label() if step.otherwise else beyond
        self._jump_unless(step.condition, other, step.place)
        done = self._steps(step.steps)
        if step.otherwise:
            if not done:
                self._emit(Op.OP_JUMP, step.place, b=beyond)
            self._place(other)
            self._steps(step.otherwise)
        self._place(beyond)

    def _aside(self, steps: tuple[tree.Step, ...], place: tree.Place,
               back: _Label | None = None) -> _Label:
        """Label of a block laid out later, which comes back here (or to `back`) at its end."""
        if len(steps) == 1 and isinstance(steps[0], tree.End):
            return self._end_label(steps[0].outcome, steps[0].place, steps[0].ok)
        label = _Label()
        if back is None:
            back = _Label()
            self._out_after(back, place)

        def emit() -> None:
            self._place(label)
            if not self._steps(steps):
                self._emit(Op.OP_JUMP, place, b=back)

        self._deferred.append(emit)
        return label

    def _out_after(self, label: _Label, place: tree.Place) -> None:
        """Put the label behind the instruction that is being emitted now."""
        self._reads(place)
        label.pc = len(self._out.code) + 1

    def _cases(self, cases: tuple[tree.Case, ...], here: _Label, beyond: _Label
               ) -> tree.Case | None:
        """Emit the CASEs; the case whose block may follow them directly is given back."""
        inline = None
        for case in cases:
            if case.then is tree.Then.GO_ON and case.steps and not _always_ends(case.steps):
                inline = case
        for case in cases:
            back = here if case.then is tree.Then.STAY else beyond
            if case is inline:
                target = _Label()
                target.pc = len(self._out.code) + sum(
                    len(one.matches) for one in cases[cases.index(case):])
            else:
                target = self._aside(case.steps, case.place, back) if case.steps else back
            for match in case.matches:
                self._emit(Op.OP_CASE, case.place, a=self._out.matcher(match, case.leg), b=target)
        return inline

    def _await(self, step: tree.Await) -> None:
        here, beyond = _Label(), _Label()
        self._place(here)
        late: _Label | int = here
        limit = step.within.times if isinstance(step.within, TimesT1) else step.within.value
        if limit:
            late = (self._aside(step.late, step.place, beyond) if step.late
                    else self._end_label("timeout", step.place))
        count = sum(len(case.matches) for case in step.cases)
        self._emit(Op.OP_AWAIT, step.place, a=count, b=late, c=limit,
                   flags=int(isinstance(step.within, TimesT1)))
        inline = self._cases(step.cases, here, beyond)
        if inline is not None:
            self._steps(inline.steps)
        self._place(beyond)

    def _pause(self, step: tree.Pause) -> None:
        here, beyond = _Label(), _Label()
        self._place(here)
        count = sum(len(case.matches) for case in step.cases)
        self._emit(Op.OP_PAUSE, step.place, a=count, b=beyond, c=self._operand(step.duration))
        cases = self._cases(step.cases, here, beyond)
        if cases is not None:
            # Subtle: the block follows the CASEs, so the pause that is over must jump across it.
            self._steps(cases.steps)
        self._place(beyond)

    def _authenticate(self, step: tree.Authenticate) -> None:
        if not 1 <= step.attempts <= ATTEMPTS_MAX:
            raise ModelError(f"{step.attempts} attempts to answer a challenge",
                             mend=f"from 1 to {ATTEMPTS_MAX} are possible")
        if step.label:
            self._jumps.append((step.label, step.place))
            failed = self._labels.setdefault(step.label, _Label())
        else:
            failed = self._end_label(step.end, step.place, step.ok)
        self._emit(Op.OP_CREDENTIAL, step.place, a=self._text_template(step.user), b=failed,
                   flags=step.attempts, c=self._text_template(step.password))

    def _challenge_check(self, step: tree.ChallengeCheck) -> None:
        flags = challenge_kinds()[step.kind] if step.kind else 0
        if step.proxy:
            flags |= ChallengeFlag.CHALLENGE_PROXY
        life_ms = max(1, min(round(step.life_ns / 1e6), NONCE_LIFE_MAX_MS))
        password, realm = self._text_template(step.password), self._text_template(step.realm)
        self._emit(Op.OP_CHALLENGE_CHECK, step.place, a=password,
                   b=self._aside(step.failed, step.place), flags=flags, c=realm | life_ms << 32)

    # --- templates ---

    def _text_template(self, text: str) -> int:
        parts = compile_text(text, self._scope)
        for part in parts.parts:
            if part.field not in _TEXT_FIELDS:
                raise ModelError("this text can only be made of columns and variables",
                                 mend="write {user} or the name itself")
        return self._out.template(TemplateKind.TEMPLATE_TEXT, parts)

    def _send_template(self, step: tree.Send) -> int:
        out = self._out
        if step.kind is tree.SendKind.CANCEL:
            if step.leg not in self._invites:
                raise ModelError("there is no INVITE to cancel", mend="send one before it")
            invite = self._invites[step.leg]
            return NO_TEMPLATE if invite == NO_TEMPLATE else int(out.templates[invite][8])
        flags = int(TemplateFlag.TEMPLATE_IN_DIALOG) if step.in_dialog else 0
        if step.reliable:
            flags |= int(TemplateFlag.TEMPLATE_RELIABLE)
        parts = compile_message(step.text, self._scope)
        if step.kind is tree.SendKind.REQUEST and step.method in _OF_USER and any(
                part.field is Field.FIELD_COLUMN for part in parts.parts):
            self._flags |= EntryFlag.ENTRY_OWNS_USER  # the address of record is a row's
        ack = cancel = NO_TEMPLATE
        if step.kind is tree.SendKind.REQUEST and step.method == "INVITE":
            ack = out.template(TemplateKind.TEMPLATE_ACK_FAILURE,
                               compile_message(ack_failure_text(step.text), self._scope),
                               method="ACK", flags=flags)
            cancel = out.template(TemplateKind.TEMPLATE_CANCEL,
                                  compile_message(cancel_text(step.text), self._scope),
                                  method="CANCEL", flags=flags)
        number = out.template(SENDS[step.kind], parts, method=step.method, status=step.status,
                              flags=flags, ack=ack, cancel=cancel,
                              supported=_supported(step.text))
        if ack != NO_TEMPLATE:
            self._invites[step.leg] = number
        return number


def _shared(weights: Sequence[float]) -> list[int]:
    """Scale weights so that they add up to WEIGHT_UNIT exactly."""
    if any(weight < 0 for weight in weights):
        raise ModelError("a weight is below 0", mend="weights are shares of the load")
    total = sum(weights)
    bounds = [round(sum(weights[:n]) / total * WEIGHT_UNIT) if total else 0
              for n in range(len(weights) + 1)]
    return [high - low for low, high in itertools.pairwise(bounds)]


def _supported(text: str) -> str:
    """Option tags that a message names: what its answer may require (RFC 3261 8.2.4)."""
    return ", ".join(filter(None, _OPTION_TAGS.findall(text.partition("\r\n\r\n")[0])))


def _packages(scenarios: Sequence[tree.Scenario]) -> tuple[str, ...]:
    """Event packages that the scenarios know; none when no scenario says any: then all pass.

    A REFER brings the package `refer` with it (RFC 3515 3).
    """
    known = dict.fromkeys(name for one in scenarios for name in one.packages)
    if known and any(_plays_refer(one) for one in scenarios):
        known["refer"] = None
    return tuple(known)


def _registrar(scenarios: Sequence[tree.Scenario]) -> tuple[tuple[str, int], ...]:
    """Give the settings of the bindings that the scenarios keep, which they have in common."""
    found = [step for one in scenarios for step in _all_steps(one.steps)
             if isinstance(step, tree.Bind)]
    for other in found[1:]:
        if other.settings != found[0].settings:
            raise ModelError("two registrars with different settings", place=str(other.place),
                             mend="a program has one: give both the same")
    return found[0].settings if found else ()


def _plays_refer(scenario: tree.Scenario) -> bool:
    refer = tree.OnRequest("REFER")
    return scenario.method == "REFER" or any(
        (isinstance(step, tree.Send) and step.method == "REFER")
        or (isinstance(step, tree.Await | tree.Pause)
            and any(refer in case.matches for case in step.cases))
        for step in _all_steps(scenario.steps))


def header_number(name: str) -> int:
    """Find the number of a header by its full name, any case.

    >>> header_number("SIP-ETag") == HeaderId.HEADER_SIP_ETAG
    True
    """
    number = known_header(name)
    if not number:
        raise ModelError(f"the header {name} cannot be read",
                         mend=nearest(name.upper(), _HEADERS))
    return number


def known_header(name: str) -> int:
    """Find the number of a header by its full name, any case; 0 when it has none."""
    return _HEADERS.get(name.upper(), 0)


def _opposite(condition: tree.Condition) -> tree.Condition:
    return replace(condition, compare=OPPOSITES[condition.compare])


def _always_ends(steps: tuple[tree.Step, ...]) -> bool:
    return bool(steps) and isinstance(steps[-1], tree.End | tree.Jump) and not (
        isinstance(steps[-1], tree.Jump) and steps[-1].condition is not None)


def _written_variables(steps: Iterable[tree.Step]) -> Iterable[str]:
    """Names of the variables that some step sets."""
    for step in _all_steps(steps):
        match step:
            case tree.Change():
                yield step.variable
                if step.into:
                    yield step.into
            case tree.Extract() | tree.Bind():
                yield step.variable
            case tree.Find(finds) | tree.If(condition=tree.Finds() as finds):
                yield from (one.variable for one in finds.groups if one.is_number)
            case tree.Hook():
                yield from step.sets


def _captured_texts(steps: Iterable[tree.Step]) -> Iterable[str]:
    """Names of the text variables that some step fills."""
    for step in _all_steps(steps):
        match step:
            case tree.Capture():
                yield step.variable
            case tree.Find(finds) | tree.If(condition=tree.Finds() as finds):
                yield from (one.variable for one in finds.groups if not one.is_number)
            case tree.Hook():
                yield from step.texts


def _shared_kinds(scenarios: Sequence[tree.Scenario]) -> Mapping[str, str]:
    """Whether the variables of users and the run that some scenario sets are numbers or texts."""
    found: dict[str, str] = {}
    for one in scenarios:
        for kind, names in (("number", _written_variables(one.steps)),
                            ("text", _captured_texts(one.steps))):
            for name in names:
                if name.startswith(SHARED) and found.setdefault(name, kind) != kind:
                    raise ModelError(f"{name} is a number and a text", place=str(one.place),
                                     mend="take two names")
    return found


def _all_steps(steps: Iterable[tree.Step]) -> list[tree.Step]:
    """List steps and those inside them, in the order in which they were written."""
    found: list[tree.Step] = []
    for step in steps:
        found.append(step)
        match step:
            case tree.If():
                found += _all_steps((*step.steps, *step.otherwise))
            case tree.Loop() | tree.Chance():
                found += _all_steps(step.steps)
            case tree.ChallengeCheck():
                found += _all_steps(step.failed)
            case tree.Await():
                found += _all_steps(step.late)
                for case in step.cases:
                    found += _all_steps(case.steps)
            case tree.Pause():
                for case in step.cases:
                    found += _all_steps(case.steps)
    return found


def compile_scenarios(*scenarios: tree.Scenario) -> Program:
    """One program of several scenarios.

    Callers share the load by their weights; answerers are asked in the order given, the first that
    takes a request's method and user gets it.

    >>> end = tree.Scenario("nothing", tree.Role.CALLER, (tree.End(),))
    >>> compile_scenarios(end).step_name(0)
    'end succeeded'
    """
    if not scenarios:
        raise ModelError("no scenario to compile", mend="name at least one")
    return _Assembler().program(scenarios)
