"""A dumb stamper and a dumb player of programs: slow, obvious, and written without the engine.

One leg for each instance, no transactions, no lost messages: what one side sends the other has at
once. Enough to see that a program does what its scenario says.
"""

import math
import random
import re
from dataclasses import dataclass, field

from siploadgen.compile.program import NO_TEMPLATE, Program
from siploadgen.core.program import (
    Capture,
    Extract,
    Field,
    MatcherKind,
    Op,
    OperandKind,
    PseudoVariable,
    TemplateKind,
)
from siploadgen.core.sip.tokens import HeaderId
from siploadgen.model.methods import Method, method_number

T1 = 500_000_000  # ns


class Message:
    """A message taken apart by hand."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        head, blank, self.body = data.decode().partition("\r\n\r\n")
        assert blank, "no empty line after the headers"
        self.start, *self.lines = head.split("\r\n")
        self.headers: list[tuple[str, str]] = []
        for line in self.lines:
            name, colon, value = line.partition(":")
            assert colon, line
            assert name == name.strip(), line
            self.headers.append((name, value.strip()))
        assert int(self.get("Content-Length")) == len(self.body.encode())

    def get(self, name: str) -> str:
        found = [value for key, value in self.headers if key == name]
        assert len(found) == 1, f"{name}: {len(found)} times in\n{self.data.decode()}"
        return found[0]

    def has(self, name: str) -> bool:
        return any(key == name for key, _ in self.headers)

    @property
    def status(self) -> int:
        return int(self.start.split()[1]) if self.start.startswith("SIP/2.0 ") else 0

    @property
    def method(self) -> str:
        """Of the CSeq."""
        return self.get("CSeq").split()[1]

    @property
    def branch(self) -> str:
        return re.search(r"branch=(\S+)", self.get("Via"))[1]

    @property
    def contact(self) -> str:
        return re.search(r"<([^>]*)>", self.get("Contact"))[1]

    def __repr__(self) -> str:
        return self.start


@dataclass
class Leg:
    call_id: str
    token: str
    cseq: int = 999
    invite_cseq: int = 0
    branch: str = ""
    invite_branch: str = ""
    invite_template: int = 0
    invite_uri: str = ""
    remote_tag: str = ""
    remote_uri: str = ""
    local_party: str = ""
    remote_party: str = ""
    routes: str = ""
    authorization: str = ""
    echo: str = ""
    parties: str = ""
    contacts: str = ""
    open_requests: dict = field(default_factory=dict)


def stamp(program: Program, number: int, leg: Leg, *, local: str = "127.0.0.1:5070",
          row: dict | None = None, variables: list | None = None,
          texts: list | None = None) -> bytes:
    """The octets of a template."""
    template = program.templates[number]
    first, count, body = int(template["first"]), int(template["count"]), int(template["body"])
    in_invite = template["kind"] in (TemplateKind.TEMPLATE_ACK_FAILURE,
                                     TemplateKind.TEMPLATE_CANCEL)

    def one(segment) -> bytes:
        kind, arg = Field(int(segment["field"])), int(segment["arg"])
        if kind is Field.FIELD_LITERAL:
            offset, length = int(segment["offset"]), int(segment["length"])
            assert length, "an empty literal"
            return program.text[offset:offset + length]
        text = {
            Field.FIELD_BRANCH: leg.invite_branch if in_invite else leg.branch,
            Field.FIELD_CALL_ID: leg.call_id,
            Field.FIELD_LOCAL_TAG: leg.token,
            Field.FIELD_TOKEN: leg.token,
            Field.FIELD_UUID: f"{leg.token[:8]}-{leg.token[8:12]}-4000-8000-{leg.token[12:]}",
            Field.FIELD_CSEQ: str(leg.invite_cseq if in_invite
                                  or template["kind"] == TemplateKind.TEMPLATE_ACK else leg.cseq),
            Field.FIELD_REQUEST_URI: leg.remote_uri,
            Field.FIELD_INITIAL_URI: leg.invite_uri,
            Field.FIELD_ROUTES: leg.routes,
            Field.FIELD_REMOTE_TAG: f";tag={leg.remote_tag}" if leg.remote_tag else "",
            Field.FIELD_LOCAL_PARTY: leg.local_party,
            Field.FIELD_REMOTE_PARTY: leg.remote_party,
            Field.FIELD_LOCAL: local,
            Field.FIELD_OWN_ADDRESS: local,
            Field.FIELD_LOCAL_HOST: local.partition(":")[0],
            Field.FIELD_SDP_ADDRESS: f"IP4 {local.partition(':')[0]}",
            Field.FIELD_AUTHORIZATION: leg.authorization,
            Field.FIELD_ECHO: leg.echo,
            Field.FIELD_ECHO_PARTIES: leg.parties,
            Field.FIELD_CONTACTS: leg.contacts,
            Field.FIELD_CHALLENGE: f'Digest realm="r", nonce="n", algorithm={arg}',
        }.get(kind)
        if kind is Field.FIELD_COLUMN:
            text = row[program.columns[arg]]
        elif kind is Field.FIELD_VARIABLE:
            text = str(variables[arg])
        elif kind is Field.FIELD_FILL:
            text = "x" * variables[arg]
        elif kind is Field.FIELD_TEXT:
            text = texts[arg]
        elif kind in (Field.FIELD_RSEQ, Field.FIELD_RACK):
            text = "1 1 INVITE"[:1 if kind is Field.FIELD_RSEQ else None]
        elif kind is Field.FIELD_CONTENT_LENGTH:
            text = str(sum(map(len, map(one, program.segments[first + body:first + count]))))
        return text.encode()

    return b"".join(one(segment) for segment in program.segments[first:first + count])


class Instance:
    """One running scenario."""

    def __init__(self, world: "World", program: Program, entry: int, name: str,
                 row: dict | None = None) -> None:
        self.world = world
        self.program = program
        self.pc = int(program.entries[entry]["pc"])
        self.name = name
        self.row = row or {}
        number = len(world.instances)
        self.leg = Leg(f"call-{number}", f"{number:024x}")
        self.variables = [0] * len(program.variables)
        self.texts = [""] * len(program.texts)
        self.started: dict[str, int] = {}
        self.clocks: list[tuple[str, int]] = []
        self.counted: list[tuple[str, int]] = []
        self.outcome = ""
        self.executed = 0
        self.waits = -1  # pc of the AWAIT or PAUSE it hangs in
        self.deadline = math.inf
        self.kept = -1  # AWAIT whose deadline stays when it is entered again
        self.last: Message | None = None
        self.retries = 0
        self.invite_open = False
        world.instances.append(self)

    def operand(self, number: int) -> int:
        row = self.program.operands[number]
        p1, p2 = float(row["p1"]), float(row["p2"])
        draw = self.world.random
        match OperandKind(int(row["kind"])):
            case OperandKind.OPERAND_CONST:
                return int(row["value"])
            case OperandKind.OPERAND_VARIABLE:
                return self.variables[int(row["value"])]
            case OperandKind.OPERAND_COLUMN:
                return int(self.row[self.program.columns[int(row["value"])]])
            case OperandKind.OPERAND_UNIFORM:
                return int(draw.uniform(p1, p2))
            case OperandKind.OPERAND_NORMAL:
                return max(0, int(draw.normalvariate(p1, p2)))
            case OperandKind.OPERAND_LOGNORMAL:
                return int(math.exp(draw.normalvariate(p1, p2)))
            case OperandKind.OPERAND_T1:
                return int(row["value"]) * T1
            case _:
                return int(draw.expovariate(1 / p1))

    def end(self, outcome: str) -> None:
        self.outcome = outcome
        self.waits, self.deadline = -1, math.inf

    def run(self, pc: int) -> None:
        """Execute from pc until the instance waits or ends."""
        self.waits = -1
        while True:
            op, flags, a, b, c = self.program.code[pc].tolist()
            self.executed += 1
            assert self.executed < 10_000, "the program runs for ever"
            nxt = pc + 1
            match Op(op):
                case Op.OP_END:
                    return self.end(self.program.outcome_name(a))
                case Op.OP_SEND:
                    self.send(a)
                case Op.OP_AWAIT:
                    if self.kept != pc:
                        limit = c * T1 if flags else c
                        self.deadline = self.world.now + limit if c else math.inf
                    self.waits = self.kept = pc
                    return None
                case Op.OP_PAUSE:
                    if self.kept != pc:
                        self.deadline = self.world.now + self.operand(c)
                    self.waits = self.kept = pc
                    return None
                case Op.OP_JUMP:
                    nxt = b
                case Op.OP_JUMP_IF:
                    value = {PseudoVariable.VAR_STOPPING: int(self.world.stopping),
                             PseudoVariable.VAR_STATUS: self.last.status if self.last else 0,
                             PseudoVariable.VAR_RETRIES: self.retries}.get(a)
                    value = self.variables[a] if value is None else value
                    holds = (value == c, value != c, value < c, value <= c, value > c, value >= c)
                    nxt = b if holds[flags] else nxt
                case Op.OP_CHANCE:
                    if self.world.random.random() * 1e9 < c:
                        nxt = b
                case Op.OP_CLOCK_START:
                    self.started[self.program.clocks[a]] = self.world.now
                case Op.OP_CLOCK_STOP:
                    start = self.started.pop(self.program.clocks[a], None)
                    if start is not None:
                        self.clocks.append((self.program.clocks[a], self.world.now - start))
                case Op.OP_SET:
                    self.variables[a] = self.operand(c)
                case Op.OP_ADD:
                    self.variables[a] += self.operand(c)
                case Op.OP_MUL:
                    self.variables[a] = self.variables[a] * self.operand(c) // 10**9
                case Op.OP_EXTRACT:
                    name = {Extract.EXTRACT_EXPIRES: "Expires",
                            Extract.EXTRACT_MIN_EXPIRES: "Min-Expires",
                            Extract.EXTRACT_NUMBER: HeaderId(c & 0xFF).name}[b]
                    name = name.removeprefix("HEADER_").replace("_", "-").title()
                    self.variables[a] = int(self.last.get(name)) if self.last.has(name) else -1
                case Op.OP_CREDENTIAL:
                    user, password = (stamp(self.program, n, self.leg, row=self.row).decode()
                                      for n in (a, c))
                    if self.retries:  # no challenge of this world is stale
                        nxt = b
                    else:
                        self.retries += 1
                        self.leg.authorization = f"Authorization: Digest {user} {password}\r\n"
                case Op.OP_CHALLENGE_CHECK:
                    password = stamp(self.program, a, self.leg).decode()
                    if not (self.last.has("Authorization")
                            and self.last.get("Authorization").endswith(f" {password}")):
                        nxt = b
                case Op.OP_CAPTURE if flags == Capture.CAPTURE_TEXT:
                    self.texts[a] = stamp(self.program, c, self.leg, texts=self.texts).decode()
                case Op.OP_SAME:
                    other = stamp(self.program, c, self.leg, texts=self.texts).decode()
                    nxt = nxt if self.texts[a] == other else b
                case Op.OP_HAS:
                    item = stamp(self.program, a, self.leg).decode()
                    if flags:
                        holds = any(line.startswith(item) for line in self.last.body.splitlines())
                    else:
                        name = HeaderId(c).name.removeprefix("HEADER_").replace("_", "-").title()
                        items = self.last.get(name).split(",") if self.last.has(name) else []
                        holds = bool(items) if not item else item.lower() in [
                            one.partition(";")[0].strip().lower() for one in items]
                    nxt = nxt if holds else b
                case Op.OP_BIND:  # this registrar has room for whatever lasts long enough
                    least = dict(self.program.registrar)["min_expires"]
                    asked = int(self.last.get("Expires"))
                    self.variables[a] = 423 if 0 < asked < least else 200
                case Op.OP_COUNT:
                    self.counted.append((self.program.counters[a], c))
                case _:
                    raise AssertionError(Op(op))
            pc = nxt

    def send(self, number: int) -> None:
        template = self.program.templates[number]
        kind = TemplateKind(int(template["kind"]))
        leg = self.leg
        if kind is TemplateKind.TEMPLATE_REQUEST:
            self.kept = -1
            leg.cseq += 1
            leg.branch = f"{len(self.world.log):024x}"
            if template["method"] == Method.INVITE:
                leg.invite_cseq, leg.invite_branch = leg.cseq, leg.branch
                leg.invite_template, leg.invite_uri = number, leg.remote_uri
                self.invite_open = True
        elif kind is TemplateKind.TEMPLATE_ACK:
            leg.branch = f"{len(self.world.log):024x}"
        elif kind is TemplateKind.TEMPLATE_CANCEL:
            self.kept = -1
        else:
            self.echo(int(template["method"]), int(template["status"]))
        self.world.send(self, stamp(self.program, number, leg, row=self.row,
                                    variables=self.variables, texts=self.texts))

    def echo(self, method: int, status: int) -> None:
        request = self.leg.open_requests[Method(method).name]
        lines = []
        for name in ("Via", "From", "To", "Call-ID", "CSeq"):
            value = request.get(name)
            if name == "To" and ";tag=" not in value and status > 100:
                value += f";tag={self.leg.token}"
            lines.append(f"{name}: {value}\r\n")
        self.leg.echo = "".join(lines)
        if request.has("Contact"):
            lifetime = request.get("Expires") if request.has("Expires") else "3600"
            self.leg.contacts = (f"Contact: {request.get('Contact')};expires={lifetime}\r\n"
                                 f"Expires: {lifetime}\r\n")
        if status >= 200:
            del self.leg.open_requests[Method(method).name]

    def event(self, kind: MatcherKind, message: Message | None = None) -> None:
        """Something came: find the case that takes it, or do what the engine does by itself."""
        if self.outcome:
            return
        if message is not None:
            self.note(message)
        if self.waits >= 0:
            first = self.waits + 1
            for pc in range(first, first + int(self.program.code["a"][self.waits])):
                case = self.program.code[pc]
                if self.fits(self.program.matchers[int(case["a"])], kind, message):
                    self.last = message or self.last
                    if message is not None and message.status not in (0, 401, 407):
                        self.retries = 0
                    self.run(int(case["b"]))
                    return
        if kind is MatcherKind.MATCH_RESPONSE:
            if message.status >= 300:
                self.end("rejected")
        elif kind is MatcherKind.MATCH_TIMEOUT:
            self.end("timeout")
        elif kind is MatcherKind.MATCH_REQUEST and message.method == "BYE":
            self.end("unexpected")

    def fits(self, row, kind: MatcherKind, message: Message | None) -> bool:
        if row["kind"] != kind:
            return False
        if message is None:
            return True
        number = method_number(message.method)
        if row["method"] not in (0, number):
            return False
        return kind is MatcherKind.MATCH_REQUEST or row["low"] <= message.status <= row["high"]

    def note(self, message: Message) -> None:
        """Keep what a dialog keeps."""
        leg = self.leg
        if message.status == 0:
            if message.method != "ACK":
                leg.open_requests[message.method] = message
            if message.method == "INVITE":
                leg.remote_uri = message.contact
                leg.local_party = message.get("To") + f";tag={leg.token}"
                leg.remote_party = message.get("From")
                leg.call_id = message.get("Call-ID")
            return
        tag = re.search(r";tag=(\S+)", message.get("To"))
        if message.method == "INVITE" and tag:
            leg.remote_tag = tag[1]
            if message.has("Contact"):
                leg.remote_uri = message.contact
        if message.method == "INVITE" and message.status >= 200:
            self.invite_open = False
            if message.status >= 300:  # the transaction acknowledges it, RFC 3261 17.1.1.3
                leg.remote_tag = ""
                leg.parties = "".join(f"{name}: {message.get(name)}\r\n"
                                      for name in ("From", "To", "Call-ID"))
                ack = int(self.program.templates[leg.invite_template]["ack"])
                assert ack != NO_TEMPLATE
                self.world.send(self, stamp(self.program, ack, leg))


class World:
    """A caller and an answerer, a clock, and everything they said to each other."""

    def __init__(self, caller: Program, answerer: Program, *, row: dict | None = None,
                 seed: int = 1, deaf: bool = False) -> None:
        self.now = 0
        self.random = random.Random(seed)
        self.stopping = False
        self.deaf = deaf  # the answerer hears nothing
        self.instances: list[Instance] = []
        self.log: list[Message] = []
        self.wire: list[tuple[str, Message]] = []
        self.answerer = answerer
        self.dialogs: dict[str, Instance] = {}  # call-id -> answering instance
        self.caller = Instance(self, caller, 0, "caller", row)
        self.caller.run(self.caller.pc)
        self.drain()

    def send(self, sender: Instance, data: bytes) -> None:
        message = Message(data)
        self.log.append(message)
        self.wire.append((sender.name, message))

    def drain(self) -> None:
        while self.wire:
            sender, message = self.wire.pop(0)
            if sender == "answerer":
                kind = MatcherKind.MATCH_RESPONSE if message.status else MatcherKind.MATCH_REQUEST
                self.caller.event(kind, message)
            elif not self.deaf:
                self.to_answerer(message)

    def to_answerer(self, message: Message) -> None:
        instance = self.dialogs.get(message.get("Call-ID"))
        in_dialog = ";tag=" in message.get("To")
        if message.status:
            instance.event(MatcherKind.MATCH_RESPONSE, message)
        elif message.method == "CANCEL":
            if instance and not instance.outcome and "INVITE" in instance.leg.open_requests:
                instance.event(MatcherKind.MATCH_CANCEL)
        elif message.method == "ACK" or in_dialog:
            if instance is not None:
                instance.event(MatcherKind.MATCH_REQUEST, message)
        else:
            user = re.match(rb"\S+ sips?:(?:([^@;\s]+)@)?", message.data)[1] or b""
            row = next(row for row in self.answerer.answers
                       if row["method"] == method_number(message.method)
                       and self.user_of(row) in (b"", user))
            instance = Instance(self, self.answerer, int(row["entry"]), "answerer")
            self.dialogs[message.get("Call-ID")] = instance
            instance.note(message)
            instance.last = message
            instance.run(instance.pc)

    def user_of(self, row) -> bytes:
        """The user that a row of the answer table is for."""
        return bytes(self.answerer.text[row["user_offset"]:][:row["user_length"]])

    def advance(self, until_ns: int) -> None:
        """Let time pass, deadline by deadline."""
        while True:
            due = min(self.instances, key=lambda one: one.deadline)
            if due.deadline > until_ns:
                break
            self.now = int(due.deadline)
            due.deadline = math.inf
            due.kept = -1
            due.run(int(due.program.code["b"][due.waits]))
            self.drain()
        self.now = until_ns

    def hang_up(self) -> None:
        """The run wants its calls to end: pauses are cut."""
        self.stopping = True
        for one in self.instances:
            if one.waits >= 0 and one.program.code["op"][one.waits] == Op.OP_PAUSE:
                one.run(int(one.program.code["b"][one.waits]))
        self.drain()

    @property
    def starts(self) -> list[str]:
        """`INVITE`, `180/INVITE` ... of every message, in order."""
        return [f"{one.status}/{one.method}" if one.status else one.method for one in self.log]

    @property
    def outcomes(self) -> list[str]:
        return [one.outcome for one in self.instances]
