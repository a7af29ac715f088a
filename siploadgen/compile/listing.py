"""The readable listing of a program, one line for each instruction."""

from siploadgen.compile.program import ANY_LEG, NO_TEMPLATE, Program
from siploadgen.core.program import (
    Capture,
    Compare,
    Extract,
    Field,
    MatcherKind,
    MatchIn,
    Op,
    OperandKind,
    Outcome,
    PseudoVariable,
    Share,
    TemplateKind,
)
from siploadgen.core.sip.tokens import HeaderId
from siploadgen.model.methods import Method
from siploadgen.model.values import format_duration

COMPARES = ("==", "!=", "<", "<=", ">", ">=")
_SIGNS = {Op.OP_SET: "=", Op.OP_ADD: "+=", Op.OP_SUB: "-=", Op.OP_DIV: "/=", Op.OP_MOD: "%="}
_PSEUDO = {int(item): item.name.removeprefix("VAR_").lower() for item in PseudoVariable}


def _text(program: Program, offset: int, length: int) -> str:
    return program.text[offset:offset + length].decode(errors="backslashreplace")


def method_name(number: int) -> str:
    """Name a method by its number: `INVITE`; 0: any."""
    return Method(number).name if number else "any"


def template_name(program: Program, number: int) -> str:
    """Say what a template is: `INVITE`, `200/BYE`, `text 4`."""
    row = program.templates[number]
    if row["kind"] == TemplateKind.TEMPLATE_TEXT:
        return f"text {number}"
    method = method_name(int(row["method"]))
    if not row["method"]:
        method = _text(program, int(row["method_offset"]), int(row["method_length"]))
    if row["kind"] == TemplateKind.TEMPLATE_RESPONSE:
        return f"{row['status']}/{method}"
    return f"{method} (failure)" if row["kind"] == TemplateKind.TEMPLATE_ACK_FAILURE else method


def matcher_name(program: Program, number: int) -> str:
    """Say what a matcher lets pass: `180-189/INVITE`, `BYE`, `timeout`."""
    row = program.matchers[number]
    kind = MatcherKind(int(row["kind"]))
    if kind is MatcherKind.MATCH_RESPONSE:
        low, high = int(row["low"]), int(row["high"])
        name = f"{low if low == high else f'{low}-{high}'}/{method_name(int(row['method']))}"
    elif kind is MatcherKind.MATCH_REQUEST:
        name = method_name(int(row["method"])) if row["method"] else "any request"
    else:
        name = kind.name.removeprefix("MATCH_").lower()
    return name if row["leg"] in (0, ANY_LEG) else f"{name} leg {row['leg']}"


def operand_name(program: Program, number: int, op: Op) -> str:
    """Write an operand in the unit of the instruction that uses it."""
    row = program.operands[number]
    kind = OperandKind(int(row["kind"]))

    def unit(value: float) -> str:
        if op == Op.OP_PAUSE:
            return format_duration(value)
        return f"{value / 1e9:.9g}" if op == Op.OP_MUL else f"{value:.9g}"

    p1, p2 = float(row["p1"]), float(row["p2"])
    match kind:
        case OperandKind.OPERAND_CONST:
            return unit(int(row["value"]))
        case OperandKind.OPERAND_VARIABLE:
            return _variable(program, int(row["value"]))
        case OperandKind.OPERAND_COLUMN:
            return f"column {program.columns[int(row['value'])]}"
        case OperandKind.OPERAND_UNIFORM:
            return f"uniform({unit(p1)},{unit(p2)})"
        case OperandKind.OPERAND_NORMAL:
            return f"normal({unit(p1)},{unit(p2)})"
        case OperandKind.OPERAND_LOGNORMAL:
            return f"lognormal(mu {p1:.6g}, sigma {p2:.6g})"
        case OperandKind.OPERAND_T1:
            return f"{int(row['value'])}*T1"
        case _:
            return f"exponential({unit(p1)})"


def _variable(program: Program, number: int) -> str:
    return _PSEUDO[number] if number in _PSEUDO else program.variables[number]


def _header(c: int) -> str:
    return HeaderId(c & 0xFF).name.removeprefix("HEADER_").replace("_", "-").lower()


def _captured(program: Program, kind: int, c: int) -> str:
    """Say what an OP_CAPTURE takes."""
    match Capture(kind):
        case Capture.CAPTURE_HEADER:
            return _header(c)
        case Capture.CAPTURE_URI:
            return f"URI of {_header(c)}"
        case Capture.CAPTURE_URI_HEADER:
            return f"{_header(c)}?{template_text(program, c >> 8)}"
        case Capture.CAPTURE_PARAMETER:
            return f"{_header(c)};{template_text(program, c >> 8)}"
        case Capture.CAPTURE_OWN:
            return f"own {_header(c)};{template_text(program, c >> 8)}"
        case Capture.CAPTURE_LIST:
            return f"all of {_header(c)}"
        case Capture.CAPTURE_RANKED:
            return f"URI {c >> 8} by q of {_header(c)}"
        case Capture.CAPTURE_DIALOG:
            return f"dialog of leg {c}"
        case Capture.CAPTURE_TEXT:
            return repr(template_text(program, c))
        case Capture.CAPTURE_ESCAPED:
            return f"{template_text(program, c)!r} escaped"
        case other:
            return other.name.removeprefix("CAPTURE_").replace("_", " ").lower()


def _shared(program: Program, what: Share, a: int, b: int, c: int) -> str:
    """Say what an OP_SHARE does."""
    name = program.shared[b][0]
    own = (program.texts if what >= Share.SHARE_READ_TEXT else program.variables)[a]
    if what is Share.SHARE_ADD:
        return f"{own} = {name} += {operand_name(program, c, Op.OP_ADD)}"
    return f"{name} = {own}" if what in (Share.SHARE_WRITE, Share.SHARE_WRITE_TEXT) else (
        f"{own} = {name}")


def _looked_in(program: Program, c: int) -> str:
    """Say where an OP_MATCH looks."""
    match MatchIn(c & 0xFF):
        case MatchIn.MATCH_IN_HEADER:
            name = template_text(program, c >> 32) if c >> 32 else _header(c >> 8)
            rank = c >> 16 & 0xFF
            return f"{name}.{rank}" if rank > 1 else name
        case MatchIn.MATCH_IN_TEXT:
            return program.texts[c >> 8 & 0xFF]
        case other:
            return other.name.removeprefix("MATCH_IN_").lower()


def describe(program: Program, pc: int) -> tuple[str, str, str]:
    """Mnemonic, operands, and where it goes (empty when only to the next) of one instruction."""
    row = program.code[pc]
    op = Op(int(row["op"]))
    a, b, c = int(row["a"]), int(row["b"]), int(row["c"])
    name = op.name.removeprefix("OP_")
    what, where = "", ""
    match op:
        case Op.OP_END:
            what = program.outcome_name(a)
            if a >= Outcome.OUTCOME_USER:
                what += " (ok)" if program.outcome_ok(a) else " (failed)"
        case Op.OP_SEND:
            what = f"{template_name(program, a)}{f' leg {b}' if b else ''}"
        case Op.OP_AWAIT:
            what = f"{a} case{'' if a == 1 else 's'}"
            limit = f"{c}*T1" if int(row["flags"]) else format_duration(c)
            where = f"after {limit} → {b}" if c else ""
        case Op.OP_CASE:
            what, where = matcher_name(program, a), f"→ {b}"
        case Op.OP_PAUSE:
            what = operand_name(program, c, op)
            if a:
                what += f", {a} case{'' if a == 1 else 's'}"
            where = f"→ {b}"
        case Op.OP_JUMP:
            what = "anew" if row["flags"] else ""
            where = f"→ {b}"
        case Op.OP_JUMP_IF:
            other = operand_name(program, c, op) if row["flags"] & Compare.CMP_OPERAND else c
            what = f"{_variable(program, a)} {COMPARES[int(row['flags']) & 7]} {other}"
            where = f"→ {b}"
        case Op.OP_CHANCE:
            what, where = f"{c / 1e7:.7g}%", f"→ {b}"
        case Op.OP_CLOCK_START | Op.OP_CLOCK_STOP:
            what = program.clocks[a]
        case (Op.OP_SET | Op.OP_ADD | Op.OP_MUL | Op.OP_SUB | Op.OP_TIMES | Op.OP_DIV
              | Op.OP_MOD):
            sign = _SIGNS.get(op, "*=")
            what = f"{program.variables[a]} {sign} {operand_name(program, c, op)}"
        case Op.OP_EXTRACT:
            source = Extract(b).name.removeprefix("EXTRACT_").lower()
            if b == Extract.EXTRACT_NUMBER:
                source = _header(c)
            elif b == Extract.EXTRACT_PARAMETER:
                source = f"{_header(c)};{template_text(program, c >> 8)}"
            elif b == Extract.EXTRACT_EXPIRES and c:
                source += f" of flow {c}"
            what = f"{program.variables[a]} = {source}"
        case Op.OP_CAPTURE:
            what = f"{program.texts[a]} = {_captured(program, int(row['flags']), c)}"
        case Op.OP_HAS:
            item = template_text(program, a)
            header = template_text(program, c >> 8) if c >> 8 else _header(c)
            what = f"{'body' if row['flags'] else header}{': ' if item else ''}{item}"
            where = f"else → {b}"
        case Op.OP_SAME:
            what, where = f"{program.texts[a]} == {template_text(program, c)!r}", f"else → {b}"
        case Op.OP_ROUTE:
            what = f"{template_text(program, a)}{f' leg {b}' if b else ''}"
        case Op.OP_DATAGRAM:
            what = f"{template_text(program, a)!r}{f' leg {b}' if b else ''}"
        case Op.OP_BINDING:
            what = f"{'again' if row['flags'] else ''}{f' leg {b}' if b else ''}".strip()
        case Op.OP_LEAVE:
            what = f"leg {b}" if b else ""
        case Op.OP_CREDENTIAL:
            what, where = f"user {template_name(program, a)}", f"else → {b}"
        case Op.OP_BIND:
            what = f"{program.variables[a]} = status"
        case Op.OP_SHARE:
            what = _shared(program, Share(int(row["flags"])), a, b, c)
        case Op.OP_MATCH:
            what = f"{template_text(program, a)!r} in {_looked_in(program, c)}"
            where = f"else → {b}"
        case Op.OP_GROUP:
            what = f"{program.variables[a] if row['flags'] else program.texts[a]} = group {b}"
        case Op.OP_HOOK:
            what, where = program.hooks[a][0], f"after {format_duration(c)} → {b}"
        case Op.OP_COUNT:
            what = f"{program.counters[a]} += {c}"
        case Op.OP_CHALLENGE_CHECK:
            what, where = f"realm {template_name(program, c & 0xFFFFFFFF)}", f"else → {b}"
    return name, what, where


def step_name(program: Program, pc: int) -> str:
    """Describe one instruction in a few words, for tables of steps."""
    name, what, _ = describe(program, pc)
    return f"{name.lower().replace('_', ' ')} {what}".rstrip()


def template_text(program: Program, number: int) -> str:
    """Write a template as text, its fields in braces and its line ends as in the message."""
    row = program.templates[number]
    out = ""
    first = int(row["first"])
    for segment in program.segments[first:first + int(row["count"])]:
        kind = Field(int(segment["field"]))
        if kind is Field.FIELD_LITERAL:
            out += _text(program, int(segment["offset"]), int(segment["length"]))
        elif kind is Field.FIELD_VARIABLE:
            out += f"{{{program.variables[int(segment['arg'])]}}}"
        elif kind is Field.FIELD_FILL:
            out += f"{{fill.{program.variables[int(segment['arg'])]}}}"
        elif kind is Field.FIELD_TEXT:
            out += f"{{{program.texts[int(segment['arg'])]}}}"
        elif kind is Field.FIELD_COLUMN:
            out += f"{{{program.columns[int(segment['arg'])]}}}"
        else:
            out += f"{{{kind.name.removeprefix('FIELD_').lower()}}}"
    return out


def listing(program: Program) -> str:
    """List the instructions of a program, entry by entry."""
    starts = {int(entry["pc"]): number for number, entry in enumerate(program.entries)}
    answers = {int(row["entry"]): method_name(int(row["method"])) for row in program.answers}
    width = len(str(max(len(program.code) - 1, 0)))
    lines = []
    for pc in range(len(program.code)):
        if pc in starts:
            number = starts[pc]
            role = f"answers {answers[number]}" if number in answers else "caller"
            lines.append(f"; {program.scenarios[number]} ({role})")
        name, what, where = describe(program, pc)
        indent = "  " if name in ("CASE", "GROUP") else ""
        lines.append(f"{pc:{width}}  {indent}{name:<{16 - len(indent)}}{what:<23} {where}".rstrip())
    return "\n".join(lines) + "\n"


def templates_listing(program: Program) -> str:
    """Every message template as text; texts that may be secrets are left out."""
    out = []
    for number, row in enumerate(program.templates):
        if row["kind"] == TemplateKind.TEMPLATE_TEXT:
            continue
        notes = [f"{int(row['count'])} segments"]
        if row["flags"] & 1:
            notes.append("in dialog")
        if row["flags"] & 2:
            notes.append("fixed length")
        for companion in ("ack", "cancel"):
            if row[companion] != NO_TEMPLATE:
                notes.append(f"{companion} {int(row[companion])}")
        out.append(f"--- {number} {template_name(program, number)} ({', '.join(notes)})\n"
                   + template_text(program, number).replace("\r\n", "\n"))
    return "".join(out)
