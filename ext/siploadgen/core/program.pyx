"""The instruction format, for Python: its enums, and how C lays out its records."""
from libc.stddef cimport size_t


def layouts() -> dict[str, dict[str, tuple[int, int]]]:
    """Size of every record (under "") and offset and size of each of its members, in octets."""
    cdef Insn insn
    cdef Segment segment
    cdef Template template
    cdef Matcher matcher
    cdef Operand operand
    cdef Entry entry
    cdef Answer answer

    def at(base, member, size):
        return member - base, size

    return {
        "Insn": {
            "": (0, sizeof(Insn)),
            "op": at(<size_t>&insn, <size_t>&insn.op, sizeof(insn.op)),
            "flags": at(<size_t>&insn, <size_t>&insn.flags, sizeof(insn.flags)),
            "a": at(<size_t>&insn, <size_t>&insn.a, sizeof(insn.a)),
            "b": at(<size_t>&insn, <size_t>&insn.b, sizeof(insn.b)),
            "c": at(<size_t>&insn, <size_t>&insn.c, sizeof(insn.c)),
        },
        "Segment": {
            "": (0, sizeof(Segment)),
            "field": at(<size_t>&segment, <size_t>&segment.field, sizeof(segment.field)),
            "spare": at(<size_t>&segment, <size_t>&segment.spare, sizeof(segment.spare)),
            "arg": at(<size_t>&segment, <size_t>&segment.arg, sizeof(segment.arg)),
            "offset": at(<size_t>&segment, <size_t>&segment.offset, sizeof(segment.offset)),
            "length": at(<size_t>&segment, <size_t>&segment.length, sizeof(segment.length)),
        },
        "Template": {
            "": (0, sizeof(Template)),
            "kind": at(<size_t>&template, <size_t>&template.kind, sizeof(template.kind)),
            "method": at(<size_t>&template, <size_t>&template.method, sizeof(template.method)),
            "status": at(<size_t>&template, <size_t>&template.status, sizeof(template.status)),
            "flags": at(<size_t>&template, <size_t>&template.flags, sizeof(template.flags)),
            "count": at(<size_t>&template, <size_t>&template.count, sizeof(template.count)),
            "first": at(<size_t>&template, <size_t>&template.first, sizeof(template.first)),
            "body": at(<size_t>&template, <size_t>&template.body, sizeof(template.body)),
            "ack": at(<size_t>&template, <size_t>&template.ack, sizeof(template.ack)),
            "cancel": at(<size_t>&template, <size_t>&template.cancel, sizeof(template.cancel)),
            "method_offset": at(<size_t>&template, <size_t>&template.method_offset,
                                sizeof(template.method_offset)),
            "method_length": at(<size_t>&template, <size_t>&template.method_length,
                                sizeof(template.method_length)),
            "supported_offset": at(<size_t>&template, <size_t>&template.supported_offset,
                                   sizeof(template.supported_offset)),
            "supported_length": at(<size_t>&template, <size_t>&template.supported_length,
                                   sizeof(template.supported_length)),
        },
        "Matcher": {
            "": (0, sizeof(Matcher)),
            "kind": at(<size_t>&matcher, <size_t>&matcher.kind, sizeof(matcher.kind)),
            "method": at(<size_t>&matcher, <size_t>&matcher.method, sizeof(matcher.method)),
            "leg": at(<size_t>&matcher, <size_t>&matcher.leg, sizeof(matcher.leg)),
            "spare": at(<size_t>&matcher, <size_t>&matcher.spare, sizeof(matcher.spare)),
            "low": at(<size_t>&matcher, <size_t>&matcher.low, sizeof(matcher.low)),
            "high": at(<size_t>&matcher, <size_t>&matcher.high, sizeof(matcher.high)),
            "flags": at(<size_t>&matcher, <size_t>&matcher.flags, sizeof(matcher.flags)),
        },
        "Operand": {
            "": (0, sizeof(Operand)),
            "kind": at(<size_t>&operand, <size_t>&operand.kind, sizeof(operand.kind)),
            "spare": at(<size_t>&operand, <size_t>&operand.spare, sizeof(operand.spare)),
            "value": at(<size_t>&operand, <size_t>&operand.value, sizeof(operand.value)),
            "p1": at(<size_t>&operand, <size_t>&operand.p1, sizeof(operand.p1)),
            "p2": at(<size_t>&operand, <size_t>&operand.p2, sizeof(operand.p2)),
        },
        "Entry": {
            "": (0, sizeof(Entry)),
            "pc": at(<size_t>&entry, <size_t>&entry.pc, sizeof(entry.pc)),
            "role": at(<size_t>&entry, <size_t>&entry.role, sizeof(entry.role)),
            "flags": at(<size_t>&entry, <size_t>&entry.flags, sizeof(entry.flags)),
            "legs": at(<size_t>&entry, <size_t>&entry.legs, sizeof(entry.legs)),
            "spare": at(<size_t>&entry, <size_t>&entry.spare, sizeof(entry.spare)),
            "weight": at(<size_t>&entry, <size_t>&entry.weight, sizeof(entry.weight)),
            "supported_offset": at(<size_t>&entry, <size_t>&entry.supported_offset,
                                   sizeof(entry.supported_offset)),
            "supported_length": at(<size_t>&entry, <size_t>&entry.supported_length,
                                   sizeof(entry.supported_length)),
        },
        "Answer": {
            "": (0, sizeof(Answer)),
            "method": at(<size_t>&answer, <size_t>&answer.method, sizeof(answer.method)),
            "spare": at(<size_t>&answer, <size_t>&answer.spare, sizeof(answer.spare)),
            "entry": at(<size_t>&answer, <size_t>&answer.entry, sizeof(answer.entry)),
            "user_offset": at(<size_t>&answer, <size_t>&answer.user_offset,
                              sizeof(answer.user_offset)),
            "user_length": at(<size_t>&answer, <size_t>&answer.user_length,
                              sizeof(answer.user_length)),
            "flags": at(<size_t>&answer, <size_t>&answer.flags, sizeof(answer.flags)),
        },
    }
