# OP_HOOK: an instance asks Python and waits. Asks go out and replies come in by rings, so that an
# engine never waits for the interpreter; only the instance that asked does.
from libc.stdint cimport int64_t, uint32_t, uint64_t
from siploadgen.core.program cimport Insn
from siploadgen.core.records cimport Core

cdef enum:
    HOOK_RECORD_MAX = 32768     # octets of an ask or a reply

# An ask: this, the variables (int64), the lengths of the texts (uint32) padded to 8 octets, the
# texts one after the other, the message last matched.
cdef struct HookAsk:
    uint32_t index
    uint32_t generation
    uint32_t asked
    uint32_t hook
    uint32_t row
    uint32_t message_length
    uint64_t number             # of the call in its workload

# A reply: this, then `numbers` times a HookNumber, then `texts` times a HookText with its octets,
# padded to 8.
cdef struct HookReply:
    uint32_t index
    uint32_t generation
    uint32_t asked
    uint32_t failed
    uint32_t numbers
    uint32_t texts

cdef struct HookNumber:
    uint64_t variable
    int64_t value

cdef struct HookText:
    uint32_t variable
    uint32_t length

cdef int hooks_open(Core* core, uint32_t hooks) except -1
cdef void hooks_close(Core* core) noexcept nogil
# False: the ask found no room, and the instance goes on where it goes when the hook fails.
cdef bint hook_ask(Core* core, uint32_t index, const Insn* insn, uint32_t pc) noexcept nogil
# Take a reply; the instance that goes on now (vm_run), NONE when there is no other reply.
cdef uint32_t hook_replied(Core* core) noexcept nogil
