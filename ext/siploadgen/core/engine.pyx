"""The door of the core: one Engine per thread, sharing nothing (see engine.pyi)."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport INT64_MIN, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memset
from siploadgen.core.advance cimport (
    advance, advance_abort, advance_done, advance_finish, advance_next, closed_wanted, hooks_go_on,
)
from siploadgen.core.counters cimport COUNT_COUNT, COUNT_NOT_STARTED_THROTTLED, COUNT_TRACE_DROPPED
from siploadgen.core.departure cimport tape_outbox
from siploadgen.core.feed cimport feed_datagram, feed_error
from siploadgen.core.hist cimport HIST_STRIDE
from siploadgen.core.hook cimport (
    HOOK_RECORD_MAX, HookAsk, HookNumber, HookReply, HookText, hooks_close, hooks_open,
)
from siploadgen.core.loop cimport loop_run
from siploadgen.core.net.addr cimport host_format, host_parse, peer_clear
from siploadgen.core.net.outbox cimport outbox_clear, outbox_close, outbox_open, OutMessage
from siploadgen.core.net.udp cimport udp_adopt, udp_buffers, udp_close, udp_open
from siploadgen.core.measure cimport ATTEMPT_KINDS, MEASURE_METHODS
from siploadgen.core.outgoing cimport token_write
from siploadgen.core.overload cimport overload_clear, overload_obey
from siploadgen.core.pattern cimport PATTERN_GROUPS, patterns_close, patterns_open
from siploadgen.core.program cimport (
    CMP_OPERAND, MATCH_IN_HEADER, MATCH_IN_TEXT, OP_DIV, OP_GROUP, OP_HOOK,
    OP_MATCH, OP_MOD, OP_SHARE, OP_SUB, OP_TIMES, SHARE_ADD, SHARE_READ_TEXT, SHARE_WRITE_TEXT,
    Answer, CMP_GE, Entry, FIELD_CHALLENGE, FIELD_COLUMN, FIELD_CONTACTS, FIELD_CONTENT_LENGTH,
    FIELD_ECHO, FIELD_LITERAL, FIELD_RSEQ, FIELD_SDP_ADDRESS, FIELD_TEXT, FIELD_VARIABLE, Insn,
    Matcher, OP_ADD, OP_AWAIT, OP_BIND, OP_BINDING, OP_CAPTURE, OP_CASE, OP_CHALLENGE_CHECK,
    OP_CHANCE, OP_CLOCK_START, OP_CLOCK_STOP, OP_COUNT, OP_COUNT_OF_OPS, OP_CREDENTIAL,
    OP_DATAGRAM, OP_END, OP_EXTRACT, OP_HAS, OP_JUMP, OP_JUMP_IF, OP_MUL, OP_PAUSE, OP_ROUTE,
    OP_SAME, OP_SEND, OP_SET, CAPTURE_BODY, CAPTURE_DIALOG, CAPTURE_HEADER, CAPTURE_LIST,
    CAPTURE_OWN, CAPTURE_RANKED, CAPTURE_REQUEST_URI, CAPTURE_TEXT, CAPTURE_URI,
    EXTRACT_CONTENT_LENGTH, EXTRACT_NUMBER, EXTRACT_PARAMETER, EXTRACT_SIPFRAG, Operand,
    OPERAND_COLUMN, OPERAND_GAMMA, OPERAND_SAMPLES, OPERAND_T1, OPERAND_VARIABLE, OPERAND_WEIBULL,
    OUTCOME_COUNT, OUTCOME_USER, Segment, Template, MATCH_REQUEST, TEMPLATE_ACK,
    TEMPLATE_ACK_FAILURE, TEMPLATE_CANCEL, TEMPLATE_REQUEST, TEMPLATE_RESPONSE, TEMPLATE_TEXT,
    VAR_RETRIES, ENTRY_KEEPS_NONCES, VAR_ELAPSED, ENTRY_OWNS_USER, FIELD_AUTHORIZATION,
    FIELD_OWN_ADDRESS, FIELD_FILL, FIELD_TOKEN, FIELD_UUID, OP_LEAVE, CAPTURE_ESCAPED,
    CAPTURE_STATUS_LINE,
)
from siploadgen.core.rand cimport rand_next, rand_seed
from siploadgen.core.records cimport (
    Chunk, CHUNKS, Clock, Closed, CLOSED_MAX, instance_at, instance_clocks, instance_legs,
    instance_variables, leg_handle, COMMAND_ABORT, COMMAND_HANG_UP, COMMAND_PAUSE,
    COMMAND_STOP_STARTS, Core, Failure, Instance, LADDER, Leg, Level, OC_LOSS, OC_NONE, OC_RATE,
    FEEDS_MAX, Queue, Rest, ROLE_ANSWERER, SERIES_MAX, Start, STARTS_COUNT, STATUS_SPAN,
    STEP_FIELDS,
    STREAMS_MAX, Target, TARGET_NUMBERS, Targets, TARGETS_MAX, TEMPLATE_NONE, User, Users,
)
from siploadgen.core.records cimport HIST_CLOCKS as _CLOCKS
from siploadgen.core.records cimport HIST_LATENESS as _LATENESS
from siploadgen.core.records cimport HIST_RECEIVE_DELAY as _RECEIVE_DELAY
from siploadgen.core.registrar cimport (
    registrar_check, registrar_close, registrar_open,
)
from siploadgen.core.ring cimport ring_close, ring_open, ring_pop, ring_push
from siploadgen.core.shared cimport Shared
from siploadgen.core.sip.aka cimport aka_close, aka_open
from siploadgen.core.sip.digest cimport digest_close, digest_open
from siploadgen.core.sip.stamp cimport Column, stamp_needs, TEXTS_MAX
from siploadgen.core.sip.tokens cimport HEADER_COUNT, METHOD_COUNT, METHOD_MESSAGE
from siploadgen.core.slab cimport slab_ahead, slab_check, slab_close, slab_open, slab_ready
from siploadgen.core.span cimport span_make
from siploadgen.core.table cimport table_close, table_open, table_ready
from siploadgen.core.tape cimport tape_calls, tape_close, tape_open, TAPE_BLOCK
from siploadgen.core.targets cimport targets_take
from siploadgen.core.texts cimport (
    TEXT_CLASSES, texts_ahead, texts_close, texts_open, texts_ready,
)
from siploadgen.core.tx cimport Tx, tx_timers_default
from siploadgen.core.types cimport INDEX_MAX, NONE, Peer
from siploadgen.core.user cimport user_at, users_check, users_close, users_open
from siploadgen.core.wheel cimport (
    wheel_ahead, wheel_check, wheel_close, wheel_open, wheel_ready,
)

import numpy as np

from siploadgen.core.sip.tokens import Method

cdef extern from "unistd.h" nogil:
    int usleep(unsigned int us)

cdef extern from "sys/eventfd.h" nogil:
    int eventfd_write(int fd, uint64_t value)

cdef extern from "slg_atomic.h" nogil:
    uint64_t slg_load_acquire(const uint64_t* word)
    void slg_store_release(uint64_t* word, uint64_t value)

HIST_LATENESS = _LATENESS
HIST_RECEIVE_DELAY = _RECEIVE_DELAY
HIST_CLOCKS = _CLOCKS
# A call of the schedule, and a level of a closed workload, as records.pxd lays them out.
START_DTYPE = np.dtype([("due", "<i8"), ("number", "<u8"), ("row", "<u4"),
                        ("others", "<u4", 3), ("stream", "<u4"), ("entry", "<u2"),
                        ("series", "<u2")])
LEVEL_DTYPE = np.dtype([("when", "<i8"), ("wanted", "<u4"), ("series", "<u2"), ("spare", "<u2")])

cdef enum:
    OUTBOX_TURN = 32            # budget of one advance between two emptyings of the outbox
    FAILURE_ROOM = 8192
    STATUS_CLASSES = 5          # 2xx ... 6xx
    MEASURES_READY = 67108864   # octets
    TAPE_MAX = 1073741824
    HOOK_FAILURES_MAX = 10      # exceptions of hooks that are kept

# ns: the sum with any clock stays within 64 bits
cdef int64_t AWAIT_MAX = 4_600_000_000_000_000_000
cdef int64_t T1_TIMES_MAX = 100_001     # likewise, as T1 is an hour at most

_ALGORITHMS = {"": OC_NONE, "loss": OC_LOSS, "rate": OC_RATE}
_RUNGS = {1: "sent", 2: "received", 3: "timeout", 4: "transport"}


cdef class Engine:
    """One engine; see engine.pyi for its parameters and what each method promises."""

    cdef Core* core
    cdef list keep                      # buffers that the core borrows
    # starts of the chunks that may still be in use, by closed workload
    cdef dict lent
    # whether entries own their users, of the starts that each closed workload has got
    cdef dict owning
    cdef dict peers                     # address tuple -> Peer octets
    cdef dict names                     # Peer octets -> address tuple
    cdef list pending                   # datagrams of the sans-IO outbox
    cdef readonly object shared         # variables of users and the run
    cdef tuple hooks                    # (function, its variables and texts by name) each
    cdef readonly list hook_failures    # (name of the hook, exception) of the first of them
    cdef uint32_t template_count
    cdef uint64_t numbered              # starts that were given as due times alone
    cdef bint busy
    cdef readonly object counters
    cdef readonly object series_outcomes
    cdef readonly object series_starts
    cdef readonly object answered_outcomes
    cdef readonly object sent_requests
    cdef readonly object sent_responses
    cdef readonly object received_requests
    cdef readonly object received_responses
    cdef readonly object retransmitted
    cdef readonly object histograms
    cdef readonly object steps
    cdef readonly object user_counters
    cdef readonly object target_calls
    cdef readonly object measures
    cdef readonly object measured
    cdef readonly object attempts

    def __cinit__(
        self, program, *, local, target=None, rows=None, uint32_t engine_id=0, uint32_t run_id=1,
        uint64_t seed=1, int64_t now=0, uint32_t max_calls=0, uint32_t max_instances=1_048_576,
        uint32_t max_transactions=4_194_304, uint32_t first_row=0, uint32_t row_stride=1,
        int64_t t1=500_000_000, int64_t t2=4_000_000_000, int64_t t4=5_000_000_000,
        int64_t linger=-1, uint32_t gso_group=32, double drop_share=0.0, double rate_limit=0.0,
        uint32_t lines=0, uint32_t trace_failures=100, int64_t coalesce=0, bint merge=True,
        bint strict=False,
        str supported="", str packages="", targets=None,
        uint32_t ready_instances=0, uint32_t ready_transactions=0,
        bint obey_overload=False, uint32_t retry_after=1, str oc_algorithm="",
        uint32_t oc_value=0, uint32_t oc_validity=500, bint learn_contact=False,
        uint32_t series=1, uint32_t answer_series=0, bounds=(0,), uint32_t closed=0,
        unique=(), draw_seed=None, shared=None, hooks=(), uint64_t tape=0,
    ):
        cdef Core* core
        cdef uint32_t i
        if not 1 <= max_instances <= INDEX_MAX or not 1 <= max_transactions <= INDEX_MAX:
            raise ValueError(f"max_instances and max_transactions: 1 .. {INDEX_MAX}")
        if engine_id > 255:
            raise ValueError("engine_id: 0 .. 255")
        self.core = core = <Core*>calloc(1, sizeof(Core))
        if core == NULL:
            raise MemoryError("engine state")
        core.asked_fd = -1
        core.replied_fd = -1
        core.request = NONE
        core.request_user = NONE
        core.fresh = NONE
        self.keep = []
        self.lent = {}
        self.owning = {}
        self.peers = {}
        self.names = {}
        self.pending = []
        self._load_program(program)
        self._load_rows(program, rows, first_row, row_stride)
        self._keep_whole()
        self._load_shared(program, shared)
        self._load_hooks(program, hooks)
        self._load_streams(series, answer_series, bounds, closed, unique)
        core.draw_seed = seed if draw_seed is None else <uint64_t>draw_seed
        self._load_results(len(program.clocks), len(program.counters))
        self._load_identity(local, target, engine_id, run_id, seed, targets)
        core.merge = merge
        core.learns = learn_contact
        core.strict = strict
        core.supported_given = len(supported) > 0
        core.supported_length = _copy_list(core.supported, supported or self._extensions())
        core.packages_length = _copy_list(core.packages,
                                          packages or ", ".join(program.packages))
        core.now = now
        core.max_calls = max_calls if max_calls else max_instances
        tx_timers_default(&core.timers, t1, t2, t4)
        core.timers_short = core.timers
        _set_linger(core, 0, False)
        core.linger_auto = linger < 0
        core.coalesce = coalesce
        core.linger_pressure = max_transactions - max_transactions // 4
        if linger >= 0:
            core.timers_short = core.timers
            _set_linger(core, linger, True)
        core.drop_below = 0
        if drop_share > 0:
            core.drop_below = <uint64_t>min(drop_share * 18446744073709551616.0,
                                            1.8446744073709550e19)
        if oc_algorithm not in _ALGORITHMS or (oc_algorithm == "loss" and oc_value > 100):
            raise ValueError(f"overload control {oc_algorithm!r} of {oc_value}")
        core.retry_after = retry_after
        core.oc_algorithm = _ALGORITHMS[oc_algorithm]
        core.oc_value = oc_value
        core.oc_validity = oc_validity
        if obey_overload:
            overload_obey(core)
        core.rate_limit = rate_limit
        core.lines = lines
        core.rate_at = now
        core.rate_tokens = max(rate_limit * 0.1, 1.0)
        for i in range(OUTCOME_COUNT):
            core.trace_left[i] = trace_failures
        for number, (_name, succeeded) in enumerate(program.outcomes):
            if succeeded:
                core.trace_left[<int>OUTCOME_USER + number] = 0
        slab_open(&core.instances, max_instances, _record_size(core))
        slab_open(&core.legs, max_instances, (sizeof(Leg) + 63) // 64 * 64)
        slab_open(&core.txs, max_transactions, (sizeof(Tx) + 63) // 64 * 64)
        texts_open(&core.texts, max_instances)
        users_open(core, _users_needed(core, first_row))
        self._open_registrar(dict(program.registrar))
        table_open(&core.requests, max_transactions)
        wheel_open(&core.wheel, max_instances + max_transactions, now)
        self._make_ready(min(ready_instances, max_instances),
                         min(ready_transactions, max_transactions))
        outbox_open(&core.outbox, gso_group)
        ring_open(&core.trace, 1 << 20)
        if tape:
            tape_open(&core.tape, _tape_size(tape), TAPE_BLOCK)
        digest_open(&core.digest)
        aka_open(&core.aka)
        udp_open(&core.udp, gso_group > 1, True)

    def __dealloc__(self):
        cdef Core* core = self.core
        cdef uint32_t i
        if core == NULL:
            return
        udp_close(&core.udp)
        digest_close(&core.digest)
        aka_close(&core.aka)
        ring_close(&core.trace)
        tape_close(&core.tape)
        outbox_close(&core.outbox)
        wheel_close(&core.wheel)
        table_close(&core.requests)
        texts_close(&core.texts)
        users_close(core)
        registrar_close(core)
        patterns_close(core)
        hooks_close(core)
        slab_close(&core.txs)
        slab_close(&core.legs)
        slab_close(&core.instances)
        if core.closed != NULL:
            for i in range(core.closed_count):
                free(core.closed[i].rests)
        free(core.closed)
        free(core.bounds)
        free(core.unique)
        free(core.claimed)
        free(core.needs)
        free(<void*>core.columns)
        free(core)

    cdef void _make_ready(self, uint32_t instances, uint32_t transactions):
        cdef Core* core = self.core
        slab_ready(&core.instances, instances)
        slab_ready(&core.legs, instances)
        slab_ready(&core.txs, transactions)
        texts_ready(&core.texts, instances)
        wheel_ready(&core.wheel, 0, instances)
        wheel_ready(&core.wheel, core.instances.capacity, transactions)
        if transactions and core.answer_count:
            table_ready(&core.requests)

    # --- loading ---

    cdef const void* _borrow(self, array, size_t record, uint32_t* count) except? NULL:
        """Octets of a table, kept alive; raises ValueError when they are no whole records."""
        data = array if isinstance(array, bytes) else array.tobytes()
        if len(data) % record:
            raise ValueError(f"a program table of {len(data)} octets, records of {record}")
        data += b"\0"                   # an empty table has an address too
        self.keep.append(data)
        if count != NULL:
            count[0] = <uint32_t>((len(data) - 1) // record)
        return <const void*>PyBytes_AS_STRING(data)

    cdef int _load_program(self, program) except -1:
        cdef Core* core = self.core
        cdef uint32_t templates, segments, text, matchers, operands, entries, samples, i
        core.code = <const Insn*>self._borrow(program.code, sizeof(Insn), &core.insns)
        core.templates = <const Template*>self._borrow(
            program.templates, sizeof(Template), &templates)
        core.segments = <const Segment*>self._borrow(program.segments, sizeof(Segment), &segments)
        core.text = <const uint8_t*>self._borrow(program.text, 1, &text)
        core.matchers = <const Matcher*>self._borrow(program.matchers, sizeof(Matcher), &matchers)
        core.operands = <const Operand*>self._borrow(program.operands, sizeof(Operand), &operands)
        core.samples = <const int64_t*>self._borrow(program.samples, sizeof(int64_t), &samples)
        core.entries = <const Entry*>self._borrow(program.entries, sizeof(Entry), &entries)
        core.answers = <const Answer*>self._borrow(
            program.answers, sizeof(Answer), &core.answer_count)
        core.clock_count = len(program.clocks)
        core.variable_count = len(program.variables)
        if len(program.texts) > TEXTS_MAX:
            raise ValueError(f"{len(program.texts)} text variables: {TEXTS_MAX} are possible")
        core.text_count = len(program.texts)
        core.entry_count = entries
        core.leg_max = 1
        for i in range(entries):
            core.leg_max = max(core.leg_max, <uint32_t>core.entries[i].legs)
        _check_program(core, templates, segments, text, matchers, operands, entries, samples,
                       len(program.columns), len(program.counters), len(program.registrar) > 0,
                       program.shared, len(program.hooks))
        core.legs_at = sizeof(Instance)
        core.clocks_at = (core.legs_at + 4 * core.leg_max + 7) // 8 * 8
        core.variables_at = core.clocks_at + core.clock_count * sizeof(Clock)
        core.texts_at = core.variables_at + 8 * core.variable_count
        core.needs = <uint32_t*>calloc(templates + 1, sizeof(uint32_t))
        if core.needs == NULL:
            raise MemoryError("template masks")
        self._load_allow(matchers)
        for i in range(templates):
            core.needs[i] = stamp_needs(core.templates + i, core.segments)
        self.template_count = templates
        patterns_open(core, templates)
        return 0

    cdef int _load_shared(self, program, shared) except -1:
        cdef Shared given
        if shared is None:
            shared = Shared(program.shared, self.core.rows)
        if not isinstance(shared, Shared) or shared.names != program.shared:
            raise ValueError("shared: the variables of another program")
        given = shared
        self.shared = given
        self.core.shared = given.table
        return 0

    cdef int _load_hooks(self, program, hooks) except -1:
        self.hook_failures = []
        if len(hooks) != len(program.hooks):
            raise ValueError(f"{len(hooks)} functions for {len(program.hooks)} hooks")
        self.hooks = tuple(
            (function, *({name: int(place) for name, _, place in (
                one.partition("=") for one in names.split())} for names in hook[1:]))
            for function, hook in zip(hooks, program.hooks, strict=True))
        for _, numbers, texts in self.hooks:
            if not all(0 <= place < self.core.variable_count for place in numbers.values()) \
                    or not all(0 <= place < self.core.text_count for place in texts.values()):
                raise ValueError("a hook names variables that there are not")
        hooks_open(self.core, len(hooks))
        return 0

    cdef str _extensions(self):
        """Option tags of all scenarios."""
        cdef Core* core = self.core
        cdef uint32_t i
        lists = [core.text[core.entries[i].supported_offset:
                           core.entries[i].supported_offset + core.entries[i].supported_length]
                 for i in range(core.entry_count)]
        tags = (tag for one in lists for tag in one.decode("ascii").split(", "))
        return ", ".join(dict.fromkeys(tags))

    cdef int _open_registrar(self, dict settings) except -1:
        cdef Core* core = self.core
        registrar_open(core, settings.get("bindings", 0))
        if core.registrar != NULL:
            core.registrar.min_expires = settings["min_expires"]
            core.registrar.max_expires = settings["max_expires"]
            core.registrar.default_expires = settings["default_expires"]
            core.registrar.flow_timer = settings["flow_timer"]
        return 0

    cdef int _load_allow(self, uint32_t matchers) except -1:
        """The methods that mean something here, for Allow (RFC 3261 20.5)."""
        cdef Core* core = self.core
        cdef uint32_t i
        methods = [Method.METHOD_ACK, Method.METHOD_BYE, Method.METHOD_CANCEL,
                   Method.METHOD_OPTIONS]
        methods += [core.answers[i].method for i in range(core.answer_count)]
        # What no row takes but a CASE waits for is served in dialogs.
        methods += [core.matchers[i].method for i in range(matchers)
                    if core.matchers[i].kind == MATCH_REQUEST]
        names = []
        for method in dict.fromkeys(methods):
            if 0 < method <= METHOD_MESSAGE:
                core.allowed |= <uint32_t>1 << <int>method
                names.append(Method(method).name.removeprefix("METHOD_"))
        line = f"Allow: {', '.join(names)}\r\n".encode("ascii")
        core.allow_length = len(line)
        memcpy(core.allow, PyBytes_AS_STRING(line), core.allow_length)
        return 0

    cdef int _load_rows(self, program, rows, uint32_t first_row, uint32_t row_stride) except -1:
        cdef Core* core = self.core
        cdef uint32_t wanted = len(program.columns)
        cdef uint32_t i
        cdef Column* columns
        core.users.row_stride = row_stride if row_stride else 1
        if not wanted:
            return 0
        feeds = [] if rows is None else list(rows) if isinstance(rows, (list, tuple)) else [rows]
        if len(feeds) > FEEDS_MAX:
            raise ValueError(f"{len(feeds)} feeds: {FEEDS_MAX} are possible")
        places = {}
        for number, feed in enumerate(feeds):
            core.feed_rows[<int>number] = feed.count
            for place, name in enumerate(feed.names):
                places.setdefault(name, (number, place))
        core.feeds = len(feeds)
        missing = [name for name in program.columns if name not in places]
        if missing or min((feed.count for feed in feeds), default=0) < 1:
            raise ValueError(f"the program needs rows with the columns {list(program.columns)}")
        core.rows = core.feed_rows[0]
        columns = <Column*>calloc(wanted, sizeof(Column))
        if columns == NULL:
            raise MemoryError("columns")
        core.columns = columns
        for i in range(wanted):
            number, place = places[program.columns[i]]
            feed = feeds[number]
            offsets = np.ascontiguousarray(feed.offsets[place], dtype=np.uint32)
            if len(offsets) != feed.count + 1 or int(offsets[feed.count]) > len(feed.blobs[place]) \
                    or (np.diff(offsets.astype(np.int64)) < 0).any():
                raise ValueError(f"column {program.columns[i]}: broken offsets")
            columns[i].blob = <const uint8_t*>self._borrow(feed.blobs[place], 1, NULL)
            columns[i].offsets = <const uint32_t*>self._borrow(offsets, 4, NULL)
            columns[i].feed = number
        core.users.first_row = first_row % core.rows
        core.next_row = core.users.first_row
        return 0

    cdef void _keep_whole(self):
        """Templates with columns that go with the instance are kept as those with variables are."""
        cdef Core* core = self.core
        cdef const Template* template
        cdef const Segment* segment
        cdef uint32_t i, k
        for i in range(self.template_count):
            template = core.templates + i
            for k in range(template.count):
                segment = core.segments + template.first + k
                if segment.field == FIELD_COLUMN and core.columns[segment.arg].feed:
                    core.needs[i] |= <uint32_t>1 << <int>FIELD_VARIABLE

    cdef int _load_streams(self, uint32_t series, uint32_t answer_series, bounds,
                           uint32_t closed, unique) except -1:
        """Room for what is told apart: results, bounds, closed workloads."""
        cdef Core* core = self.core
        cdef uint32_t i
        if not 1 <= series <= SERIES_MAX or answer_series >= series:
            raise ValueError(f"series: 1 .. {SERIES_MAX}; answer_series: one of them")
        if not 1 <= len(bounds) <= STREAMS_MAX or closed > CLOSED_MAX:
            raise ValueError(f"bounds: 1 .. {STREAMS_MAX}; closed: 0 .. {CLOSED_MAX}")
        core.series_count = series
        core.answer_series = answer_series
        core.streams = len(bounds)
        core.bounds = <uint32_t*>calloc(2 * core.streams, sizeof(uint32_t))
        core.closed = <Closed*>calloc(closed + 1, sizeof(Closed))
        if core.bounds == NULL or core.closed == NULL:
            raise MemoryError("streams")
        core.opened = core.bounds + core.streams
        core.unique = <uint8_t*>calloc(core.streams, 1)
        core.claimed = <uint8_t*>calloc(max(core.rows, 1), 1)
        if core.unique == NULL or core.claimed == NULL:
            raise MemoryError("rows")
        for i in range(core.streams):
            core.bounds[i] = bounds[i]
        for i in range(min(<uint32_t>len(unique), core.streams)):
            core.unique[i] = bool(unique[i])
        core.closed_count = closed
        for i in range(closed):
            core.closed[i].factor = 1.0
        return 0

    cdef object _zeroes(self, shape, int64_t** place):
        """A zeroed int64 array, kept alive, and where its cells are."""
        cdef int64_t[::1] view
        array = np.zeros(shape, dtype=np.int64)
        view = array.reshape(-1)
        place[0] = &view[0]
        self.keep.append(array)
        return array

    cdef int _load_results(self, uint32_t clocks, uint32_t user_counters) except -1:
        cdef Core* core = self.core
        self.counters = self._zeroes(COUNT_COUNT, &core.counters)
        self.series_outcomes = self._zeroes((core.series_count, OUTCOME_COUNT), &core.outcomes)
        self.series_starts = self._zeroes((core.series_count, STARTS_COUNT), &core.starts)
        self.answered_outcomes = self._zeroes(OUTCOME_COUNT, &core.answered_outcomes)
        self.sent_requests = self._zeroes(METHOD_COUNT, &core.sent_requests)
        self.sent_responses = self._zeroes((METHOD_COUNT, STATUS_SPAN), &core.sent_responses)
        self.received_requests = self._zeroes(METHOD_COUNT, &core.received_requests)
        self.received_responses = self._zeroes((METHOD_COUNT, STATUS_SPAN),
                                               &core.received_responses)
        self.retransmitted = self._zeroes(METHOD_COUNT, &core.retransmitted)
        self.histograms = self._zeroes(
            (_CLOCKS + 2 * clocks * core.series_count, HIST_STRIDE), &core.histograms)
        self.steps = self._zeroes((core.insns + 1, STEP_FIELDS), &core.steps)[:core.insns]
        self.user_counters = self._zeroes(max(user_counters, 1),
                                          &core.user_counters)[:user_counters]
        self.target_calls = self._zeroes(TARGET_NUMBERS, &core.target_calls)
        self._load_measures()
        return 0

    cdef int _load_measures(self) except -1:
        """Rows of what is measured of every call; methods in the order of their numbers."""
        cdef Core* core = self.core
        cdef uint32_t method, i
        core.measure_rows = <int>MEASURE_METHODS
        for method in range(METHOD_COUNT):
            for i in range(self.template_count):
                if core.templates[i].kind == TEMPLATE_REQUEST \
                        and core.templates[i].method == method:
                    core.measure_slots[method] = core.measure_rows
                    core.measure_rows += STATUS_CLASSES
                    break
        self.measures = self._zeroes((core.series_count, core.measure_rows, HIST_STRIDE),
                                     &core.measures)
        self.measured = self._zeroes((core.series_count, core.measure_rows), &core.measured)
        self.attempts = self._zeroes((core.series_count, <int>ATTEMPT_KINDS, STATUS_SPAN),
                                     &core.attempts)
        if self.measures.nbytes <= MEASURES_READY:
            self.measures.fill(0)       # backed by memory now, not while calls wait for it
        return 0

    cdef int _load_identity(self, local, target, uint32_t engine_id, uint32_t run_id,
                            uint64_t seed, targets) except -1:
        cdef Core* core = self.core
        host, port = local
        text = f"[{host}]" if ":" in host and not host.startswith("[") else host
        name = f"{text}:{port}".encode("ascii")
        if len(name) > 60:
            raise ValueError(f"local address {name!r} is too long")
        memcpy(core.local, PyBytes_AS_STRING(name), len(name))
        core.local_length = len(name)
        core.local_host_length = len(text)
        core.local_port = port
        bare = text.strip("[]")
        address = f"{'IP6' if ':' in bare else 'IP4'} {bare}".encode("ascii")
        memcpy(core.sdp_address, PyBytes_AS_STRING(address), len(address))
        core.sdp_address_length = len(address)
        core.engine_id = engine_id
        memcpy(core.run_hex, PyBytes_AS_STRING(b"%08x" % run_id), 8)
        rand_seed(&core.rand, seed)
        core.hash_seed = rand_next(&core.rand) ^ (<uint64_t>run_id << 32)
        core.nonce_secret = rand_next(&core.rand)
        if target is not None and not targets:
            targets = [(*target, 0, 1, 0)]
        if targets:
            self._load_targets(targets)
            targets_take(core)
        return 0

    cdef int _load_targets(self, targets) except -1:
        """Write the next table and announce it; ValueError when it cannot be one."""
        cdef Targets* table = &self.core.targets_next
        cdef Target* entry
        if not 1 <= len(targets) <= TARGETS_MAX:
            raise ValueError(f"targets: 1 .. {TARGETS_MAX}")
        for host, port, priority, share, number in targets:
            if not (0 <= priority <= 0xFFFF and 1 <= share <= 0xFFFFFFFF
                    and 0 <= number < TARGET_NUMBERS):
                raise ValueError(f"target {host}:{port}: priority, share or number out of range")
        for i, (host, port, priority, share, number) in enumerate(targets):
            entry = &table.entries[<int>i]
            self._peer((host, port), &entry.peer)
            entry.priority = priority
            entry.number = number
            entry.share = share
            entry.out_until = INT64_MIN
            overload_clear(&entry.overload)
        table.count = len(targets)
        slg_store_release(&self.core.targets_given, self.core.targets_given + 1)
        return 0

    cdef int _peer(self, address, Peer* peer) except -1:
        data = self.peers.get(address)
        if data is None:
            host = address[0].encode("ascii")
            peer_clear(peer)
            if not host_parse(span_make(<const uint8_t*>PyBytes_AS_STRING(host),
                                        <uint32_t>PyBytes_GET_SIZE(host)), peer):
                raise ValueError(f"{address[0]!r} is no numeric address")
            peer.port = address[1]
            data = PyBytes_FromStringAndSize(<char*>peer, sizeof(Peer))
            self.peers[address] = data
            self.names[data] = address
        memcpy(peer, PyBytes_AS_STRING(data), sizeof(Peer))
        return 0

    cdef object _address(self, const Peer* peer):
        cdef char host[64]
        data = PyBytes_FromStringAndSize(<const char*>peer, sizeof(Peer))
        address = self.names.get(data)
        if address is None:
            length = host_format(peer, host)
            address = (PyBytes_FromStringAndSize(host, length).decode().strip("[]"), peer.port)
            self.names[data] = address
        return address

    # --- sans-IO ---

    cdef void _collect(self):
        """Move the outbox to the Python list."""
        cdef uint32_t i
        cdef OutMessage* message
        tape_outbox(self.core)
        for i in range(self.core.outbox.count):
            message = &self.core.outbox.messages[i]
            self.pending.append((
                PyBytes_FromStringAndSize(<char*>message.data, message.length),
                self._address(&message.peer)))
        outbox_clear(&self.core.outbox)
        self.core.departing = 0

    def feed(self, bytes data, source, int64_t now):
        cdef Peer peer
        self._peer(source, &peer)
        self.core.now = now
        feed_datagram(self.core, <const uint8_t*>PyBytes_AS_STRING(data),
                      <uint32_t>PyBytes_GET_SIZE(data), &peer, now)
        self._collect()
        self._answer_hooks()

    def transport_error(self, bytes data, int64_t now):
        self.core.now = now
        feed_error(self.core, <const uint8_t*>PyBytes_AS_STRING(data),
                   <uint32_t>PyBytes_GET_SIZE(data))
        self._collect()

    def advance(self, int64_t now):
        cdef bint more = True
        self.core.now = now
        while more:
            more = advance(self.core, OUTBOX_TURN)
            self._collect()
        self._answer_hooks()
        if slg_load_acquire(&self.core.command) & COMMAND_ABORT:
            advance_abort(self.core)
            self._collect()

    cdef void _answer_hooks(self):
        """Without sockets hooks take no time."""
        while self.core.hooks and self.serve_hooks():
            hooks_go_on(self.core)
            self._collect()

    def outbox(self):
        pending = self.pending
        self.pending = []
        return pending

    def next_event(self):
        return advance_next(self.core)

    # --- schedule and control ---

    def schedule(self, starts, last=True, closed=None):
        cdef Core* core = self.core
        cdef Queue* queue = &core.queue
        cdef const Start[::1] view
        cdef uint64_t head
        cdef Chunk* chunk
        if closed is not None:
            if not 0 <= closed < core.closed_count:
                raise ValueError(f"closed workload {closed}: there are {core.closed_count}")
            queue = &core.closed[<uint32_t>closed].queue
        lent = self.lent.setdefault(closed, [])
        head = queue.head
        del lent[:len(lent) - (head - slg_load_acquire(&queue.tail))]
        array = np.ascontiguousarray(starts)
        if array.dtype != START_DTYPE:
            array = _due_alone(array, self.numbered)
            self.numbered += len(array)
        self._check_starts(array, closed)
        if len(array):
            if head - slg_load_acquire(&queue.tail) == CHUNKS:
                raise BufferError(f"{CHUNKS} schedule chunks are waiting already")
            view = array
            chunk = &queue.chunks[head % CHUNKS]
            chunk.starts = &view[0]
            chunk.count = len(array)
            lent.append(array)
            slg_store_release(&queue.head, head + 1)
        if last:
            slg_store_release(&queue.last, 1)

    cdef int _check_starts(self, array, closed) except -1:
        cdef Core* core = self.core
        cdef bint ordered = closed is None
        cdef uint32_t entry
        if not len(array):
            return 0
        if ordered and (np.diff(array["due"]) < 0).any():
            raise ValueError("due times must be sorted")
        if array["due"].min() < (INT64_MIN if ordered else 0):
            raise ValueError("a place cannot rest for less than no time")
        if array["entry"].max() >= core.entry_count or array["series"].max() >= core.series_count \
                or array["stream"].max() >= core.streams:
            raise ValueError("a start names an entry, a series or a stream that there is not")
        for number in range(3):
            if array["others"][:, number].max() >= max(core.feed_rows[<int>number + 1], 1):
                raise ValueError(f"a start names a row of feed {number + 1} that there is not")
        rows = array["row"][array["row"] != <uint32_t>NONE]
        if len(rows) and rows.max() >= max(core.rows, 1):
            raise ValueError(f"a start names row {rows.max()} of {core.rows}")
        if closed is not None:
            # The row that a place keeps is a user of its own, or none ever is.
            owns = self.owning.setdefault(closed, set())
            for entry in np.unique(array["entry"]).tolist():
                owns.add(core.entries[entry].flags & ENTRY_OWNS_USER != 0)
            if core.closed[<uint32_t>closed].keeps and len(owns) > 1:
                raise ValueError(f"closed workload {closed}: either all of its entries own their "
                                 "users or none does, as its places keep their rows")
        return 0

    def hold(self, uint32_t closed, levels, bint keeps=False):
        cdef Core* core = self.core
        cdef Closed* one
        cdef const Level[::1] view
        if closed >= core.closed_count or core.closed[closed].levels != NULL:
            raise ValueError(f"closed workload {closed}: not one that waits for its levels")
        array = np.ascontiguousarray(levels, dtype=LEVEL_DTYPE)
        if not len(array) or (np.diff(array["when"]) < 0).any() \
                or array["series"].max() >= core.series_count:
            raise ValueError("levels: some, sorted, of series that there are")
        if keeps and len(self.owning.get(closed, ())) > 1:
            raise ValueError(f"closed workload {closed}: some of its entries own their users")
        one = &core.closed[closed]
        # Live changes may ask for more than the plan; a place is 16 octets.
        one.room = <uint32_t>min(max(4 * int(array["wanted"].max()), 64), INDEX_MAX)
        one.rests = <Rest*>calloc(one.room if keeps else 1, sizeof(Rest))
        if one.rests == NULL:
            raise MemoryError("places")
        one.keeps = keeps
        view = array
        one.levels = &view[0]
        one.level_count = len(array)
        self.keep.append(array)

    def scale_closed(self, uint32_t closed, double factor):
        if closed >= self.core.closed_count or not 0 <= factor <= 1e6:
            raise ValueError(f"closed workload {closed} times {factor}")
        self.core.closed[closed].factor = factor

    def closed_state(self, uint32_t closed):
        cdef Closed* one
        if closed >= self.core.closed_count:
            raise ValueError(f"closed workload {closed}: there are {self.core.closed_count}")
        one = &self.core.closed[closed]
        return {"wanted": one.wanted, "asked": closed_wanted(one), "busy": one.busy,
                "resting": one.resting, "parked": one.parked,
                "chunks": one.queue.head - slg_load_acquire(&one.queue.tail)}

    @property
    def outcomes(self):
        """Outcomes of all series together."""
        return self.series_outcomes.sum(axis=0)

    @property
    def chunks_waiting(self):
        """Schedule chunks not yet used up (at most 64 may wait)."""
        return self.core.queue.head - slg_load_acquire(&self.core.queue.tail)

    cdef void _command(self, uint64_t bit, bint on):
        cdef uint64_t word = self.core.command
        slg_store_release(&self.core.command, word | bit if on else word & ~bit)

    def stop_starts(self):
        self._command(COMMAND_STOP_STARTS, True)

    def hang_up(self):
        self._command(COMMAND_HANG_UP, True)

    def abort(self):
        self._command(COMMAND_ABORT, True)

    def pause(self, bint paused):
        self._command(COMMAND_PAUSE, paused)

    def set_targets(self, targets):
        if slg_load_acquire(&self.core.targets_taken) != self.core.targets_given:
            return False
        self._load_targets(targets)
        return True

    # --- sockets ---

    def open_udp(self, int fd, bint gso, bint gro):
        cdef Core* core = self.core
        cdef int receive_size, send_size
        cdef int number
        if core.live_clock:
            raise RuntimeError("the sockets of an engine are opened before its first run")
        udp_close(&core.udp)
        udp_open(&core.udp, gso and core.outbox.group_max > 1, gro)
        number = udp_adopt(&core.udp, fd)
        udp_buffers(&core.udp, number, &receive_size, &send_size)
        if not core.udp.gso:
            core.outbox.group_max = 1
        core.live_clock = True
        return {"gso": bool(core.udp.gso), "gro": bool(core.udp.gro),
                "timestamps": bool(core.udp.timestamps), "gso_group": core.outbox.group_max,
                "receive_buffer": receive_size, "send_buffer": send_size}

    def run(self, bint until_idle=True):
        if not self.core.live_clock:
            raise RuntimeError("no socket: call open_udp first")
        if self.busy:
            raise RuntimeError("this engine is running already")
        self.busy = True
        try:
            with nogil:
                loop_run(self.core, until_idle)
        finally:
            self.busy = False

    def finish(self):
        advance_finish(self.core)

    # --- hooks ---

    def announce_hooks(self, int fd):
        self.core.asked_fd = fd

    def serve_hooks(self):
        cdef uint8_t record[HOOK_RECORD_MAX]
        cdef HookAsk* ask = <HookAsk*>record
        cdef int64_t length
        cdef uint32_t count = 0
        if not self.core.hooks:
            return 0
        while True:
            length = ring_pop(&self.core.asks, record, HOOK_RECORD_MAX)
            if length < <int64_t>sizeof(HookAsk):
                break
            count += 1
            function, numbers, texts = self.hooks[ask.hook]
            try:
                found = function(*self._asked(ask, record, numbers, texts))
                self._reply(ask, record, found or {}, numbers, texts)
            except (Exception, SystemExit) as error:    # the call has failed, and only that
                if len(self.hook_failures) < HOOK_FAILURES_MAX:
                    self.hook_failures.append((ask.hook, error))
                self._reply(ask, record, None, numbers, texts)
        if count:
            eventfd_write(self.core.replied_fd, 1)
        return count

    cdef tuple _asked(self, const HookAsk* ask, const uint8_t* record, dict numbers, dict texts):
        """Values by name, row, number, message."""
        cdef uint32_t at = sizeof(HookAsk)
        cdef const int64_t* variables = <const int64_t*>(record + at)
        cdef const uint32_t* lengths
        cdef uint32_t i
        values = {name: variables[<uint32_t>place] for name, place in numbers.items()}
        at += 8 * self.core.variable_count
        lengths = <const uint32_t*>(record + at)
        at += (4 * self.core.text_count + 7) // 8 * 8
        kept = []
        for i in range(self.core.text_count):
            kept.append(record[at:at + lengths[i]].decode("utf-8", "surrogateescape"))
            at += lengths[i]
        values.update((name, kept[place]) for name, place in texts.items())
        return values, ask.row, ask.number, record[at:at + ask.message_length]

    cdef int _reply(self, const HookAsk* ask, uint8_t* room, found, dict numbers,
                    dict texts) except -1:
        """Write a reply over the ask; None: the hook failed."""
        cdef HookReply reply
        cdef HookNumber number
        cdef HookText text
        cdef uint32_t at = sizeof(HookReply)
        cdef uint32_t length
        memset(&reply, 0, sizeof(HookReply))
        reply.index, reply.generation, reply.asked = ask.index, ask.generation, ask.asked
        reply.failed = found is None
        for name, value in sorted((found or {}).items(), key=lambda one: one[0] in texts):
            if name in numbers and at + sizeof(HookNumber) <= HOOK_RECORD_MAX:
                number.variable, number.value = numbers[name], value
                memcpy(room + at, &number, sizeof(HookNumber))
                at += sizeof(HookNumber)
                reply.numbers += 1
            elif name in texts:
                data = value if isinstance(value, bytes) \
                    else str(value).encode("utf-8", "surrogateescape")
                length = <uint32_t>len(data)
                if at + sizeof(HookText) + length + 8 > HOOK_RECORD_MAX:
                    raise ValueError(f"{name}: a text of {length} octets")
                text.variable, text.length = texts[name], length
                memcpy(room + at, &text, sizeof(HookText))
                at += sizeof(HookText)
                memcpy(room + at, PyBytes_AS_STRING(data), length)
                at += (length + 7) // 8 * 8
                reply.texts += 1
            else:
                raise ValueError(f"{name} is not one of those that the hook sets: "
                                 f"{', '.join([*numbers, *texts])}")
        memcpy(room, &reply, sizeof(HookReply))
        while not ring_push(&self.core.replies, room, at):
            if not self.core.live_clock:        # without sockets nobody else takes them
                hooks_go_on(self.core)
                self._collect()
            elif self.busy:
                eventfd_write(self.core.replied_fd, 1)
                with nogil:
                    usleep(500)
            else:
                break                           # the calls that asked are over
        return 0

    # --- results ---

    @property
    def in_progress(self):
        return self.core.open_calls

    @property
    def answers_in_progress(self):
        """Open instances that requests from outside started."""
        return self.core.open_answers

    @property
    def running(self):
        return self.busy

    @property
    def done(self):
        """Schedule over (or stopped) and no scheduled call open."""
        return bool(advance_done(self.core))

    def udp_stats(self):
        return self.core.udp.stats

    def failures(self):
        cdef uint8_t record[FAILURE_ROOM]
        cdef Failure* failure = <Failure*>record
        cdef int64_t length
        found = []
        while True:
            length = ring_pop(&self.core.trace, record, FAILURE_ROOM)
            if length < <int64_t>sizeof(Failure):
                break
            found.append(self._failure(failure, <const char*>record + sizeof(Failure)))
        self.core.counters[<int>COUNT_TRACE_DROPPED] = <int64_t>self.core.trace.dropped
        return found

    cdef object _failure(self, const Failure* failure, const char* message):
        cdef uint8_t token[24]
        cdef uint32_t i, first, _number
        cdef uint16_t size
        cdef const char* at = message + failure.length
        token_write(self.core, token, failure.leg)
        call_ids = []
        for _number in range(failure.call_ids):
            memcpy(&size, at, sizeof(uint16_t))
            call_ids.append(PyBytes_FromStringAndSize(at + sizeof(uint16_t), size))
            at += sizeof(uint16_t) + size
        ladder = []
        first = failure.rungs - LADDER if failure.rungs > LADDER else 0
        for i in range(first, failure.rungs):
            rung = failure.ladder[i % LADDER]
            ladder.append({
                "at_s": rung.at_us / 1e6, "what": _RUNGS.get(rung.kind, "?"),
                "method": Method(rung.method).name.removeprefix("METHOD_") if rung.method else None,
                "status": rung.code or None,
            })
        return {
            "outcome": failure.outcome, "status": failure.status or None,
            "role": "answerer" if failure.role else "caller", "due": failure.due,
            "ended": failure.ended, "pc": failure.pc, "row": failure.row,
            "call_id": PyBytes_FromStringAndSize(<char*>token, 24).decode(),
            "call_ids": list(dict.fromkeys(call_ids)), "ladder": ladder,
            "message": PyBytes_FromStringAndSize(message, failure.length),
        }

    def taped(self, call_ids, int64_t since=INT64_MIN):
        cdef const Peer* peer
        wanted = list(dict.fromkeys(call_ids))
        found = {one: [] for one in wanted}
        for number, when, sent, octets, data in tape_calls(&self.core.tape, wanted, since):
            peer = <const Peer*>PyBytes_AS_STRING(octets)
            found[wanted[number]].append((when, sent, self._address(peer), data))
        return found

    def user(self, uint32_t row):
        cdef Core* core = self.core
        cdef User* user
        if row < core.users.first_row or (row - core.users.first_row) % core.users.row_stride \
                or (row - core.users.first_row) // core.users.row_stride >= core.users.count:
            raise IndexError(f"row {row} is no user of this engine")
        user = user_at(core, row)
        return {"busy": bool(user.busy), "cseq": user.cseq, "expires": user.expires}

    def instances(self):
        cdef Core* core = self.core
        cdef uint32_t index
        found = []
        for index in range(core.instances.high):
            if instance_at(core, index).generation & 1:
                found.append(self._instance(index))
        return found

    cdef object _instance(self, uint32_t index):
        cdef Core* core = self.core
        cdef Instance* instance = instance_at(core, index)
        cdef uint8_t token[24]
        cdef uint32_t i, leg
        legs = {}
        for i in range(core.leg_max):
            leg = instance_legs(core, instance)[i]
            if leg != NONE:
                token_write(core, token, leg_handle(core, leg))
                legs[i] = PyBytes_FromStringAndSize(<char*>token, 24).decode()
        clocks = {}
        for i in range(core.clock_count):
            if instance_clocks(core, instance)[i].due >= 0:
                clocks[i] = instance_clocks(core, instance)[i].due
        return {
            "key": (index, instance.generation), "entry": instance.entry,
            "role": "answerer" if instance.role else "caller",
            "pc": instance.wait_pc if instance.wait else None, "deadline": instance.deadline,
            "row": instance.row, "legs": legs, "clocks": clocks,
            "variables": [instance_variables(core, instance)[i]
                          for i in range(core.variable_count)],
        }

    def back_memory(self):
        """Get memory for records that will soon be needed; from any one thread, while it runs.

        A page that the kernel has yet to find and clear stops the engine for up to 2 ms.
        """
        cdef Core* core = self.core
        with nogil:
            slab_ahead(&core.instances)
            slab_ahead(&core.legs)
            slab_ahead(&core.txs)
            texts_ahead(&core.texts)
            wheel_ahead(&core.wheel, 0, 0, core.instances.high)
            wheel_ahead(&core.wheel, 1, core.instances.capacity, core.txs.high)

    def memory(self):
        cdef Core* core = self.core
        cdef int i
        sizes = {
            "instances": core.instances.high * core.instances.record_size,
            "legs": core.legs.high * core.legs.record_size,
            "transactions": core.txs.high * core.txs.record_size,
            "texts": 0,
            "instances_peak": core.instances.peak,
            "transactions_peak": core.txs.peak,
            "instance_size": core.instances.record_size,
            "bindings": 0,
            "tape": core.tape.capacity,
        }
        if core.registrar != NULL:
            sizes["bindings"] = core.registrar.bindings.high * core.registrar.bindings.record_size
            for i in range(TEXT_CLASSES):
                sizes["bindings"] += core.registrar.texts.slabs[i].high \
                    * core.registrar.texts.slabs[i].record_size
        for i in range(TEXT_CLASSES):
            sizes["texts"] += core.texts.slabs[i].high * core.texts.slabs[i].record_size
        return sizes

    def census(self):
        cdef Core* core = self.core
        cdef int i
        texts = 0
        for i in range(TEXT_CLASSES):
            texts += core.texts.slabs[i].used
        texts -= core.users.texts       # what users know stays with them
        return {"instances": core.instances.used, "legs": core.legs.used,
                "transactions": core.txs.used, "texts": texts, "timers": core.wheel.armed,
                "requests": core.requests.used}

    def check(self):
        cdef Core* core = self.core
        cdef int i
        slab_check(&core.instances)
        slab_check(&core.legs)
        slab_check(&core.txs)
        for i in range(TEXT_CLASSES):
            slab_check(&core.texts.slabs[i])
        wheel_check(&core.wheel)
        users_check(core)
        registrar_check(core)
        c = self.counters
        if c[0] != c[1] + c[2] + c[3] + c[4] + c[<int>COUNT_NOT_STARTED_THROTTLED]:
            raise AssertionError("due is not started + not_started")
        if c[1] != self.outcomes.sum() + core.open_calls:
            raise AssertionError("started is not ended + in_progress")
        if core.open_calls + core.open_answers != core.instances.used:
            raise AssertionError("open calls and live instances differ")


cdef uint32_t _copy_list(uint8_t* place, str names) except? 0xFFFFFFFF:
    """A comma separated list into its 256 octets; ValueError when it is longer, or no ASCII."""
    text = ", ".join(filter(None, (one.strip() for one in names.split(",")))).encode("ascii")
    if len(text) > 256:
        raise ValueError(f"a list of {len(text)} octets: at most 256")
    memcpy(place, PyBytes_AS_STRING(text), len(text))
    return <uint32_t>len(text)


cdef uint32_t _record_size(Core* core) noexcept:
    return (core.texts_at + 4 * core.text_count + 63) // 64 * 64


cdef uint64_t _tape_size(uint64_t wanted) except 0:
    """The next power of two that a tape can have."""
    cdef uint64_t size = 2 * TAPE_BLOCK
    if wanted > TAPE_MAX:
        raise ValueError(f"a tape of {wanted} octets: at most {TAPE_MAX}")
    while size < wanted:
        size *= 2
    return size


cdef object _due_alone(due, uint64_t first):
    """Starts of entry 0 at these times, each with the engine's next row."""
    starts = np.zeros(len(due), dtype=START_DTYPE)
    starts["due"] = due
    starts["number"] = np.arange(first, first + len(due))
    starts["row"] = <uint32_t>NONE
    return starts


cdef uint32_t _users_needed(Core* core, uint32_t first_row) noexcept:
    """Users of this engine: none when the program needs none; without rows there is one."""
    cdef uint32_t flags = 0
    cdef uint32_t i
    cdef Users* users = &core.users
    for i in range(core.entry_count):
        flags |= core.entries[i].flags
    if flags & ENTRY_OWNS_USER and core.rows and first_row >= core.rows:
        return 0                        # the other engines have them all
    if flags == 0:
        return 0
    return (core.rows - users.first_row + users.row_stride - 1) // users.row_stride \
        if core.rows else 1


cdef void _set_linger(Core* core, int64_t linger, bint both) noexcept:
    """How long finished transactions are remembered: D, I, J, K, L and M."""
    core.timers_short.timer_d = core.timers_short.timer_i = core.timers_short.timer_j = linger
    core.timers_short.timer_k = core.timers_short.timer_l = core.timers_short.timer_m = linger
    if both:
        core.timers = core.timers_short


cdef bint _companion(Core* core, uint32_t number, uint32_t templates, uint8_t kind) noexcept:
    return number == TEMPLATE_NONE or (
        number < templates and core.templates[number].kind == kind)


cdef bint _lands(Core* core, uint64_t pc) noexcept:
    """A CASE belongs to the AWAIT or PAUSE before it, a GROUP to its MATCH: nothing to run."""
    return pc < core.insns and core.code[pc].op != OP_CASE and core.code[pc].op != OP_GROUP


cdef bint _is_text(Core* core, int64_t number, uint32_t templates) noexcept:
    return 0 <= number < templates and core.templates[number].kind == TEMPLATE_TEXT


cdef bint _is_pattern(Core* core, int64_t number, uint32_t templates) noexcept:
    """A text of one literal, or none."""
    return _is_text(core, number, templates) and (
        core.templates[number].count == 0 or (
            core.templates[number].count == 1
            and core.segments[core.templates[number].first].field == FIELD_LITERAL))


cdef int _check_program(Core* core, uint32_t templates, uint32_t segments, uint32_t text,
                        uint32_t matchers, uint32_t operands, uint32_t entries, uint32_t samples,
                        uint32_t columns, uint32_t counters, bint binds, shared,
                        uint32_t hooks) except -1:
    """Every number in a program leads somewhere, so that the VM need not look; ValueError says
    which does not.
    """
    cdef uint32_t i, k
    cdef const Insn* insn
    cdef const Template* template
    cdef const Segment* segment
    cdef bint good
    for i in range(templates):
        template = core.templates + i
        if <uint64_t>template.first + template.count > segments or template.body > template.count:
            raise ValueError(f"template {i}: segments beyond the table")
        if template.kind > TEMPLATE_TEXT or template.method > METHOD_MESSAGE:
            raise ValueError(f"template {i}: kind {template.kind}, method {template.method}")
        if <uint64_t>template.method_offset + template.method_length > text:
            raise ValueError(f"template {i}: a method beyond the table")
        if <uint64_t>template.supported_offset + template.supported_length > text:
            raise ValueError(f"template {i}: option tags beyond the table")
        if template.kind == TEMPLATE_RESPONSE and not 100 <= template.status < 100 + STATUS_SPAN:
            raise ValueError(f"template {i}: status {template.status}")
        if not _companion(core, template.ack, templates, TEMPLATE_ACK_FAILURE) \
                or not _companion(core, template.cancel, templates, TEMPLATE_CANCEL):
            raise ValueError(f"template {i}: no such companion")
        for k in range(template.count):
            segment = core.segments + template.first + k
            if segment.field == FIELD_LITERAL:
                good = <uint64_t>segment.offset + segment.length <= text
            elif segment.field == FIELD_COLUMN:
                good = segment.arg < columns
            elif segment.field == FIELD_VARIABLE:
                good = segment.arg < core.variable_count
            elif segment.field == FIELD_FILL:
                good = segment.arg < core.variable_count and template.kind != TEMPLATE_TEXT
            elif segment.field == FIELD_TEXT:
                good = segment.arg < core.text_count
            elif segment.field == FIELD_TOKEN:
                good = True
            elif template.kind == TEMPLATE_TEXT:
                good = False                    # no message, so nothing of one
            elif segment.field in (FIELD_ECHO, FIELD_CONTACTS, FIELD_CHALLENGE, FIELD_RSEQ):
                good = template.kind == TEMPLATE_RESPONSE
            elif segment.field == FIELD_AUTHORIZATION:
                good = template.kind in (TEMPLATE_REQUEST, TEMPLATE_ACK)
            elif segment.field == FIELD_CONTENT_LENGTH:
                good = k < template.body
            else:
                good = segment.field <= FIELD_SDP_ADDRESS or segment.field in (
                    FIELD_UUID, FIELD_OWN_ADDRESS)
            if not good:
                raise ValueError(f"template {i}: segment {k} leads nowhere")
    for i in range(operands):
        if core.operands[i].kind > OPERAND_SAMPLES:
            raise ValueError(f"operand {i}: kind {core.operands[i].kind}")
        if core.operands[i].kind == OPERAND_T1 and not 0 <= core.operands[i].value < T1_TIMES_MAX:
            raise ValueError(f"operand {i}: {core.operands[i].value} times T1 is beyond all waits")
        if OPERAND_WEIBULL <= core.operands[i].kind <= OPERAND_GAMMA and not (
                core.operands[i].p1 >= 0 and 0.01 <= core.operands[i].p2 <= 1e6):
            raise ValueError(f"operand {i}: a shape of {core.operands[i].p2}")
        if core.operands[i].kind == OPERAND_SAMPLES and not (
                core.operands[i].value >= 0 and 1 <= core.operands[i].p1 <= samples
                and core.operands[i].value <= samples - <int64_t>core.operands[i].p1):
            raise ValueError(f"operand {i}: samples beyond the table")
        if core.operands[i].kind == OPERAND_COLUMN and not 0 <= core.operands[i].value < columns:
            raise ValueError(f"operand {i}: no such column")
        if core.operands[i].kind == OPERAND_VARIABLE and not (
                0 <= core.operands[i].value < core.variable_count
                or VAR_ELAPSED <= core.operands[i].value <= 0xFFFF):
            raise ValueError(f"operand {i}: no such variable")
    for i in range(matchers):
        if core.matchers[i].method > METHOD_MESSAGE:
            raise ValueError(f"matcher {i}: method {core.matchers[i].method}")
    for i in range(core.insns):
        insn = core.code + i
        _check_insn(core, insn, i, templates, matchers, operands, counters, binds, shared, hooks)
    if not entries:
        raise ValueError("a program without an entry")
    for i in range(entries):
        if not _lands(core, core.entries[i].pc) or not 1 <= core.entries[i].legs <= 8 \
                or core.entries[i].flags > (0 if core.entries[i].role == ROLE_ANSWERER
                                            else ENTRY_OWNS_USER | ENTRY_KEEPS_NONCES):
            raise ValueError(f"entry {i}: broken")
        if <uint64_t>core.entries[i].supported_offset + core.entries[i].supported_length > text:
            raise ValueError(f"entry {i}: option tags beyond the table")
    for i in range(core.answer_count):
        if core.answers[i].entry >= entries \
                or <uint64_t>core.answers[i].user_offset + core.answers[i].user_length > text \
                or core.answers[i].method > METHOD_MESSAGE:
            raise ValueError(f"answer {i}: broken")
    return 0


cdef int _check_insn(Core* core, const Insn* insn, uint32_t pc, uint32_t templates,
                     uint32_t matchers,
                     uint32_t operands, uint32_t counters, bint binds, shared,
                     uint32_t hooks) except -1:
    cdef uint32_t k
    cdef bint good = True
    if insn.op >= OP_COUNT_OF_OPS:
        raise ValueError(f"pc {pc}: op {insn.op}")
    if insn.op in (OP_AWAIT, OP_PAUSE):
        good = <uint64_t>pc + insn.a < core.insns
        for k in range(1, insn.a + 1 if good else 1):
            good = good and core.code[pc + k].op == OP_CASE
        if insn.op == OP_PAUSE or insn.c:
            good = good and _lands(core, insn.b)
        if insn.op == OP_PAUSE:
            good = good and 0 <= insn.c < operands
        else:
            good = good and insn.flags <= 1 \
                and 0 <= insn.c < (T1_TIMES_MAX if insn.flags else AWAIT_MAX)
    elif insn.op == OP_CASE:
        good = insn.a < matchers and _lands(core, insn.b)
    elif insn.op in (OP_JUMP, OP_CHANCE):
        good = _lands(core, insn.b)
    elif insn.op == OP_JUMP_IF:
        good = _lands(core, insn.b) and insn.flags & ~CMP_OPERAND <= CMP_GE \
            and (not insn.flags & CMP_OPERAND or 0 <= insn.c < operands) \
            and (insn.a < core.variable_count or insn.a >= VAR_RETRIES)
    elif insn.op == OP_SEND:
        good = insn.a < templates and insn.b < core.leg_max and core.templates[insn.a].kind in (
            TEMPLATE_REQUEST, TEMPLATE_ACK, TEMPLATE_CANCEL, TEMPLATE_RESPONSE)
    elif insn.op == OP_END:
        good = insn.a < OUTCOME_COUNT
    elif insn.op in (OP_CLOCK_START, OP_CLOCK_STOP):
        good = insn.a < core.clock_count
    elif insn.op in (OP_SET, OP_ADD, OP_MUL, OP_SUB, OP_TIMES, OP_DIV, OP_MOD):
        good = insn.a < core.variable_count and 0 <= insn.c < operands
    elif insn.op == OP_EXTRACT:
        good = insn.a < core.variable_count and insn.b <= EXTRACT_SIPFRAG
        if insn.b <= EXTRACT_CONTENT_LENGTH:
            good = good and 0 <= insn.c < INDEX_MAX
        elif insn.b == EXTRACT_NUMBER:
            good = good and 0 <= insn.c < HEADER_COUNT
        elif insn.b == EXTRACT_PARAMETER:
            good = good and insn.c >= 0 and insn.c & 0xFF < HEADER_COUNT \
                and _is_text(core, insn.c >> 8, templates)
    elif insn.op == OP_CAPTURE:
        good = insn.a < core.text_count and insn.flags <= CAPTURE_OWN and insn.c >= 0
        if insn.flags in (CAPTURE_TEXT, CAPTURE_ESCAPED):
            good = good and _is_text(core, insn.c, templates)
        elif insn.flags == CAPTURE_DIALOG:
            good = good and insn.c < core.leg_max
        elif insn.flags not in (CAPTURE_BODY, CAPTURE_REQUEST_URI, CAPTURE_STATUS_LINE):
            good = good and insn.c & 0xFF < HEADER_COUNT
            if insn.flags not in (CAPTURE_HEADER, CAPTURE_URI, CAPTURE_RANKED, CAPTURE_LIST):
                good = good and _is_text(core, insn.c >> 8, templates)
    elif insn.op == OP_HAS:
        good = _is_text(core, insn.a, templates) and _lands(core, insn.b) \
            and insn.flags <= 1 and insn.c >= 0 and insn.c & 0xFF < HEADER_COUNT \
            and (insn.c < 256 or _is_text(core, insn.c >> 8, templates))
    elif insn.op == OP_SAME:
        good = insn.a < core.text_count and _lands(core, insn.b) \
            and _is_text(core, insn.c, templates)
    elif insn.op == OP_ROUTE or insn.op == OP_DATAGRAM:
        good = _is_text(core, insn.a, templates) and insn.b < core.leg_max
    elif insn.op in (OP_LEAVE, OP_BINDING):
        good = insn.b < core.leg_max
    elif insn.op == OP_CREDENTIAL:
        good = _is_text(core, insn.a, templates) and _is_text(core, insn.c, templates) \
            and _lands(core, insn.b) and 1 <= insn.flags <= 3
    elif insn.op == OP_CHALLENGE_CHECK:
        good = _is_text(core, insn.a, templates) \
            and _is_text(core, insn.c & <int64_t>NONE, templates) and insn.c >= 0 \
            and _lands(core, insn.b)
    elif insn.op == OP_COUNT:
        good = insn.a < counters
    elif insn.op == OP_BIND:
        good = insn.a < core.variable_count and binds
    elif insn.op == OP_SHARE:
        good = insn.flags <= SHARE_WRITE_TEXT and insn.b < len(shared) \
            and (shared[insn.b][1] == "text") == (insn.flags >= SHARE_READ_TEXT) \
            and insn.a < (core.text_count if insn.flags >= SHARE_READ_TEXT
                          else core.variable_count) \
            and (insn.flags != SHARE_ADD or 0 <= insn.c < operands)
    elif insn.op == OP_MATCH:
        good = _is_pattern(core, insn.a, templates) and _lands(core, insn.b) and insn.c >= 0 \
            and <uint64_t>pc + insn.flags < core.insns and insn.flags <= PATTERN_GROUPS \
            and insn.c & 0xFF <= MATCH_IN_TEXT \
            and (insn.c & 0xFF != MATCH_IN_HEADER or insn.c >> 8 & 0xFF < HEADER_COUNT) \
            and (insn.c & 0xFF != MATCH_IN_TEXT or insn.c >> 8 & 0xFF < core.text_count) \
            and (insn.c >> 32 == 0 or _is_text(core, insn.c >> 32, templates))
        for k in range(1, insn.flags + 1 if good else 1):
            good = good and core.code[pc + k].op == OP_GROUP
        good = good and _lands(core, <uint64_t>pc + 1 + insn.flags)
    elif insn.op == OP_GROUP:
        good = insn.b < PATTERN_GROUPS and insn.flags <= 1 \
            and insn.a < (core.variable_count if insn.flags else core.text_count)
    elif insn.op == OP_HOOK:
        good = insn.a < hooks and _lands(core, insn.b) and 0 < insn.c < AWAIT_MAX
    if not good:
        raise ValueError(f"pc {pc}: an operand of op {insn.op} leads nowhere")
    if insn.op not in (OP_JUMP, OP_END, OP_AWAIT, OP_PAUSE, OP_CASE, OP_MATCH, OP_GROUP) \
            and not _lands(core, pc + 1):
        raise ValueError(f"pc {pc}: the program runs off its end")
    return 0
