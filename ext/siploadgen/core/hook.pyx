"""Hooks (see hook.pxd)."""

from libc.errno cimport errno
from libc.stdint cimport INT64_MAX, int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy
from posix.unistd cimport close
from siploadgen.core.counters cimport COUNT_SLAB_FULL
from siploadgen.core.program cimport Insn
from siploadgen.core.records cimport (
    Core, core_count, Instance, instance_at, instance_texts, instance_variables, WAIT_HOOK,
)
from siploadgen.core.ring cimport ring_close, ring_open, ring_pop, ring_push
from siploadgen.core.span cimport Span
from siploadgen.core.texts cimport text_data, text_give, text_span, text_take
from siploadgen.core.types cimport NONE
from siploadgen.core.wheel cimport wheel_add

cdef extern from "sys/eventfd.h" nogil:
    enum:
        EFD_NONBLOCK
        EFD_CLOEXEC

    int eventfd(unsigned int value, int flags)
    int eventfd_write(int fd, uint64_t value)

cdef enum:
    RING_OCTETS = 1 << 20


cdef int hooks_open(Core* core, uint32_t hooks) except -1:
    core.hooks = hooks
    if not hooks:
        return 0
    ring_open(&core.asks, RING_OCTETS)
    ring_open(&core.replies, RING_OCTETS)
    core.ask_room = <uint8_t*>malloc(HOOK_RECORD_MAX)
    if core.ask_room == NULL:
        raise MemoryError("hooks")
    core.replied_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)
    if core.replied_fd < 0:
        raise OSError(errno, "eventfd")
    return 0


cdef void hooks_close(Core* core) noexcept nogil:
    ring_close(&core.asks)
    ring_close(&core.replies)
    free(core.ask_room)
    if core.replied_fd >= 0:
        close(core.replied_fd)
        core.replied_fd = -1


cdef bint hook_ask(Core* core, uint32_t index, const Insn* insn, uint32_t pc) noexcept nogil:
    cdef Instance* instance = instance_at(core, index)
    cdef HookAsk* ask = <HookAsk*>core.ask_room
    cdef uint32_t* lengths
    cdef uint32_t at = sizeof(HookAsk)
    cdef uint32_t i
    cdef Span text
    instance.asked += 1
    ask.index = index
    ask.generation = instance.generation
    ask.asked = instance.asked
    ask.hook = insn.a
    ask.row = instance.row
    ask.number = instance.number
    memcpy(core.ask_room + at, instance_variables(core, instance), 8 * core.variable_count)
    at += 8 * core.variable_count
    lengths = <uint32_t*>(core.ask_room + at)
    at += (4 * core.text_count + 7) // 8 * 8
    for i in range(core.text_count):
        text = text_span(&core.texts, instance_texts(core, instance)[i])
        if at + text.length > <uint32_t>HOOK_RECORD_MAX:
            return False
        lengths[i] = text.length
        if text.length:
            memcpy(core.ask_room + at, text.data, text.length)
        at += text.length
    ask.message_length = 0
    if core.message != NULL:
        ask.message_length = min(core.message.length, <uint32_t>HOOK_RECORD_MAX - at)
        memcpy(core.ask_room + at, core.message.data, ask.message_length)
        at += ask.message_length
    if not ring_push(&core.asks, core.ask_room, at):
        return False
    if core.asked_fd >= 0:
        eventfd_write(core.asked_fd, 1)
    instance.pc = pc
    instance.wait_pc = pc
    instance.wait = WAIT_HOOK
    instance.deadline = core.now + insn.c
    wheel_add(&core.wheel, index, instance.deadline)
    return True


cdef void reply_take(Core* core, Instance* instance, const HookReply* reply) noexcept nogil:
    """The variables that a reply sets."""
    cdef const uint8_t* at = <const uint8_t*>reply + sizeof(HookReply)
    cdef const HookNumber* number
    cdef const HookText* text
    cdef uint32_t* place
    cdef uint32_t _i
    for _i in range(reply.numbers):
        number = <const HookNumber*>at
        instance_variables(core, instance)[number.variable] = number.value
        at += sizeof(HookNumber)
    for _i in range(reply.texts):
        text = <const HookText*>at
        at += sizeof(HookText)
        place = instance_texts(core, instance) + text.variable
        text_give(&core.texts, place[0])
        place[0] = NONE
        if text.length:
            place[0] = text_take(&core.texts, text.length)
            if place[0] == NONE:
                core_count(core, COUNT_SLAB_FULL)
            else:
                memcpy(text_data(&core.texts, place[0]), at, text.length)
        at += (text.length + 7) // 8 * 8


cdef uint32_t hook_replied(Core* core) noexcept nogil:
    cdef HookReply* reply = <HookReply*>core.ask_room
    cdef Instance* instance
    cdef uint32_t pc
    while ring_pop(&core.replies, core.ask_room, HOOK_RECORD_MAX) >= <int64_t>sizeof(HookReply):
        instance = instance_at(core, reply.index)
        if instance.generation != reply.generation or instance.wait != WAIT_HOOK \
                or instance.asked != reply.asked:
            continue                            # it has not waited so long
        if not reply.failed:
            reply_take(core, instance, reply)
        pc = instance.wait_pc
        instance.wait_pc = NONE
        instance.deadline = INT64_MAX
        instance.intended = core.now
        instance.pc = core.code[pc].b if reply.failed else pc + 1
        return reply.index
    return NONE
