# The records of one engine and the engine's whole state, under one pointer. No globals, no
# thread-locals.
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from siploadgen.core.counters cimport Counter
from siploadgen.core.net.outbox cimport Outbox, OutOrder
from siploadgen.core.net.udp cimport Udp
from siploadgen.core.program cimport Answer, Entry, Insn, Matcher, Operand, Segment, Template
from siploadgen.core.rand cimport Rand
from siploadgen.core.ring cimport Ring
from siploadgen.core.sip.aka cimport Aka
from siploadgen.core.sip.digest cimport Digest
from siploadgen.core.sip.parse cimport ParseStatus, SipMessage
from siploadgen.core.sip.stamp cimport Column, StampFields
from siploadgen.core.slab cimport Slab, slab_at
from siploadgen.core.table cimport Table
from siploadgen.core.tape cimport Tape
from siploadgen.core.texts cimport text_span, Texts
from siploadgen.core.tx cimport Tx, TxTimers
from siploadgen.core.types cimport Handle, handle_make, Nanos, NONE, Peer
from siploadgen.core.wheel cimport Wheel

cdef enum:
    LADDER = 8                  # latest steps of a call kept for the report of its failure
    CHUNKS = 64                 # schedule chunks waiting in one engine
    STEP_FIELDS = 5
    STEP_SENT = 0
    STEP_RECEIVED = 1
    STEP_RETRANSMITTED = 2
    STEP_TIMEOUT = 3
    STEP_UNEXPECTED = 4
    STATUS_SPAN = 600           # statuses 100 .. 699
    CSEQ_BASE = 1000            # a leg's first CSeq: four digits wide for its first 9,000 requests
    TEMPLATE_NONE = 0xFFFF
    MERGED_SLOTS = 16384        # latest requests that copies on another path are compared with
    TARGETS_MAX = 16
    TARGET_NUMBERS = 64         # targets that one run tells apart, those gone included

    ROLE_CALLER = 0
    ROLE_ANSWERER = 1

    WAIT_NOTHING = 0
    WAIT_AWAIT = 1
    WAIT_PAUSE = 2
    WAIT_HOOK = 3

    LEG_NEW = 0
    LEG_EARLY = 1
    LEG_CONFIRMED = 2

    COMMAND_STOP_STARTS = 1     # bits of Core.command: Python writes, the engine reads
    COMMAND_HANG_UP = 2
    COMMAND_ABORT = 4
    COMMAND_PAUSE = 8

    OC_NONE = 0                 # algorithms of overload control (RFC 7339 4.2, RFC 7415 3)
    OC_LOSS = 1
    OC_RATE = 2

    STARTS_COUNT = 6            # columns of Core.starts: those of COUNT_DUE to ..._NO_USER, and
    STARTS_THROTTLED = 5
    CLOSED_MAX = 64
    STREAMS_MAX = 64
    FEEDS_MAX = 4
    SERIES_MAX = 256

    REGISTRAR_LINES = 65536     # octets of Registrar.lines

    HIST_LATENESS = 0
    HIST_RECEIVE_DELAY = 1
    HIST_CLOCKS = 2

cdef struct Clock:
    Nanos due                   # when the thing that is timed should have begun; -1 while stopped
    Nanos sent                  # when it did begin

# What waits for the time at which a message of the outbox leaves: times that were taken when it was
# made, and how late it is.
cdef struct Departure:
    Handle tx                   # of a request; 0: none
    Handle leg
    Nanos made
    Nanos intended              # when the message should have left; -1: it had no due time
    uint32_t message            # its number in the outbox
    uint8_t method

cdef struct Rung:               # one line of a failure's ladder; 8 bytes
    uint32_t at_us              # since the call was due
    uint16_t code               # status, or 0 for a request
    uint8_t method
    uint8_t kind                # RungKind

cdef enum RungKind:
    RUNG_SENT = 1
    RUNG_RECEIVED = 2
    RUNG_TIMEOUT = 3
    RUNG_TRANSPORT = 4

# One running program. In the slab it is followed by its legs (uint32), clocks (Clock), variables
# (int64) and text variables (uint32).
cdef struct Instance:
    uint32_t generation
    uint32_t pc
    uint32_t wait_pc            # the AWAIT or PAUSE that it stands at, NONE
    uint32_t row                # of feed 0, its user
    uint32_t others[3]          # of the other feeds
    uint8_t wait                # WAIT_
    uint8_t role                # ROLE_
    uint8_t retries             # challenges answered in a row: two bits for each realm
    uint8_t scheduled           # the next request sent has a due time: its lateness is recorded
    uint8_t rungs               # steps taken, modulo 256
    uint8_t hung_up             # its pauses are over
    uint8_t claims              # it has its row to itself
    uint16_t status             # of the message last matched
    uint16_t entry
    uint16_t failed_status      # final response that decided a failure
    uint32_t auth               # text with the challenges being answered, plus 1; 0: none
    OutOrder order
    uint16_t series
    uint16_t closed             # closed workload that it belongs to, plus 1; 0: none
    uint32_t stream
    Nanos rest                  # of its place after it
    uint64_t draws              # state of its random numbers
    uint64_t number
    uint32_t asked              # how often it asked a hook
    Nanos due
    Nanos intended              # when what is being done now should have been done
    Nanos deadline              # of the AWAIT; INT64_MAX: none
    Rung ladder[8]

# One dialog, or the place where one will be.
cdef struct Leg:
    uint32_t generation
    uint32_t instance
    uint8_t state               # LEG_
    uint8_t role                # ROLE_: who sent the first request
    uint8_t number              # within its instance
    uint8_t strict              # the first route is a strict router: its URI stands as the target
    uint32_t local_cseq         # last used
    uint32_t remote_cseq        # last seen
    uint32_t invite_cseq        # of our last INVITE, for its ACK
    uint32_t local_rseq         # of our last reliable provisional response, 0: none yet
    uint32_t remote_rseq        # of the peer's
    uint32_t client_invite      # our open INVITE, NONE
    uint32_t client_other       # our open other request, NONE
    uint32_t server_invite      # the peer's INVITE not yet acknowledged, NONE
    uint32_t server_other       # the peer's other request not yet answered, NONE
    # transaction of our last INVITE: the ACK's branch is derived from it
    Handle invite
    uint32_t ack_insn           # SEND of the ACK that answered our last INVITE, NONE: not sent yet
    uint32_t text               # the six strings below one after the other, NONE
    uint16_t tag_length         # ";tag=..." of the peer
    uint16_t target_length      # Request-URI of requests in this dialog
    uint16_t routes_length      # "Route: ...\r\n", rendered
    uint16_t call_id_length     # 0: ours, made from the leg's token
    # From value of our requests when the peer opened the dialog, tag included
    uint16_t local_length
    uint16_t remote_length      # To value likewise
    uint32_t call_id_hash       # peer's Call-ID; 0: ours
    uint32_t remote_tag_hash
    uint8_t target              # number of the target it goes to, and 1; 0: nothing sent yet
    uint8_t learned             # its Contact has the address that a response told
    uint8_t measure             # MEASURING_ (measure.pxd)
    # hash of our address as the first answer to a STUN Binding request had it; 0: none yet
    uint32_t mapped
    uint64_t dialog_hash        # of all that `text` was made from
    Peer next_hop
    uint32_t auth               # text with the credentials of our last INVITE, plus 1; 0: none
    Nanos began                 # the attempt, then the session
    Nanos heard                 # first response but a 100, 0: none; then our BYE

cdef struct Ahead:               # a datagram, parsed
    SipMessage message
    ParseStatus status
    uint64_t key                # of a request: its server transaction
    uint64_t merged_print       # of one outside dialogs: what its copies have in common

cdef struct Merged:              # of a request from outside dialogs (RFC 3261 8.2.2.2)
    uint64_t print              # hash of From tag, Call-ID and CSeq
    Handle tx

# An address of record: a row of the data, in an engine that registers or keeps nonces (user.pxd).
cdef struct User:               # 24 bytes
    Nanos expires               # when its registration ends; 0: not registered
    uint32_t cseq               # of its last REGISTER; 0: none yet (RFC 3261 10.2)
    uint32_t auth               # text with the challenges that it can answer, plus 1; 0: none
    uint32_t next_free          # in the queue of those that are nobody's
    uint8_t busy                # an instance has it to itself
    uint8_t socket              # that its registration names

cdef struct Users:
    User* base
    uint32_t count              # 0: the program needs none
    uint32_t first_row          # row of user 0
    uint32_t row_stride         # rows from one user to the next
    uint32_t fresh              # users from here on have never been taken
    uint32_t free_head          # given back longest ago, NONE: none
    uint32_t free_tail
    uint32_t texts              # kept by users

# What a server asks of us (overload.pxd).
cdef struct Overload:
    Nanos until                 # its control is in force before then
    Nanos closed_until          # its 503 wants no calls before then
    Nanos sequence_until        # what is older than `sequence` is ignored before then
    Nanos refilled              # when tokens were last added
    double tokens               # requests that it may still get now; below 0: had too many
    uint64_t sequence           # oc-seq of what is in force, in units of its fifth decimal
    uint32_t value              # percent, or requests a second
    uint32_t algorithm          # OC_

# A server that calls may go to.
cdef struct Target:
    Peer peer
    uint16_t priority           # the lowest goes first
    uint8_t number              # its cell of target_calls
    uint32_t share              # of the calls, among those of its priority; never 0
    Nanos out_until             # it failed: left out of choices until then
    Overload overload

cdef struct Targets:
    uint32_t count
    Target entries[16]

# What a registrar knows of one Contact (registrar.pxd).
cdef struct Binding:
    uint32_t generation
    uint32_t next               # of the same address of record, NONE
    uint64_t aor                # hash of that
    Nanos expires
    uint64_t call_id            # hash, of the REGISTER that changed it last
    uint64_t instance           # hash of +sip.instance, 0: none
    uint32_t cseq
    uint32_t reg_id             # of outbound, 0: none
    # in Registrar.texts: "<uri>;parameters" without expires, then the Path
    uint32_t text
    uint16_t uri_length
    uint16_t line_length
    uint16_t instance_at        # of +sip.instance within the text
    uint16_t instance_length

cdef struct Registrar:
    Slab bindings
    Texts texts
    Table table                 # first binding of an address of record, by hash
    uint32_t swept              # record that is looked at next for expiry
    uint32_t min_expires        # seconds
    uint32_t max_expires
    uint32_t default_expires
    uint32_t flow_timer         # seconds, 0: none is given
    uint8_t lines[65536]        # texts of the Contacts of the request at hand

# A call that is to be started. In a closed workload `due` is how long its place rests after it.
cdef packed struct Start:       # 40 bytes
    Nanos due
    uint64_t number             # of the call in its workload
    uint32_t row                # NONE: the engine's next, or its next free user
    uint32_t others[3]          # rows of the other feeds
    uint32_t stream             # of its draws: the workload
    uint16_t entry
    uint16_t series

# From `when` on a closed workload holds `wanted` calls open, whose results go to `series`.
cdef packed struct Level:       # 16 bytes
    Nanos when
    uint32_t wanted
    uint16_t series
    uint16_t spare

cdef struct Chunk:
    const Start* starts
    uint64_t count

# Starts in order: the ring is filled by Python, emptied by the engine.
cdef struct Queue:
    Chunk chunks[64]             # CHUNKS
    uint64_t head               # chunks ever added (release)
    uint64_t tail               # chunks used up (release)
    uint64_t at                 # next start of the chunk at hand
    uint64_t last               # no chunk will follow those in the ring (release)

# A place whose call is over, and which rests before its next one.
cdef struct Rest:
    Nanos until
    uint32_t row

# A closed workload: as soon as one of its calls ends the next one starts.
cdef struct Closed:
    Queue queue
    const Level* levels
    uint32_t level_count
    uint32_t level_at           # levels in force or past
    uint32_t wanted
    uint16_t series
    bint keeps                  # a place keeps its row, and rests
    double factor               # of the wanted calls, set live
    uint32_t busy               # places with a call, or at rest
    # A heap of those at rest, the earliest first; from its end on those that are not wanted now
    # and keep their rows for when they are.
    Rest* rests
    uint32_t resting
    uint32_t parked
    uint32_t room
    Nanos retry                 # a call was refused: not again before this, or before one ends
    int64_t ended               # calls of the engine that had ended then

# Where a variable of users or of the run stands (shared.pxd).
cdef struct SharedPlace:
    uint64_t at                 # of user 0, or of the run
    uint32_t stride             # from one user to the next; 0: it is the run's
    uint32_t text               # 1: among the cells

cdef struct SharedTable:
    const SharedPlace* places
    int64_t* numbers
    void* cells
    uint32_t rows

# A call's end as it goes to Python, followed by `length` octets of the message that decided it, and
# by the Call-IDs of its dialogs: the length of each (uint16), and its octets.
cdef struct Failure:
    uint32_t length
    uint32_t pc
    uint32_t row
    uint16_t outcome
    uint16_t status
    uint8_t role
    uint8_t rungs
    uint16_t call_ids           # how many
    uint8_t spare[4]
    Handle leg
    Nanos due
    Nanos ended
    Rung ladder[8]

cdef struct Core:
    # --- program: borrowed from Python, read-only ---
    const Insn* code
    const Template* templates
    const Segment* segments
    const uint8_t* text
    const Matcher* matchers
    const Operand* operands
    const int64_t* samples
    const Entry* entries
    const Answer* answers
    uint32_t* needs                 # by template: bit f set when it has Field f
    uint32_t insns
    uint32_t answer_count
    uint32_t entry_count
    void** patterns                 # by template: what OP_MATCH looks for, NULL: no pattern
    uint32_t pattern_count
    SharedTable shared
    # --- hooks (hook.pxd) ---
    uint32_t hooks                  # 0: the program has none
    Ring asks
    Ring replies
    uint8_t* ask_room
    int asked_fd                    # eventfd that tells Python of an ask; -1: none
    int replied_fd                  # ... and the loop of a reply; -1: none
    uint32_t legs_at                # offsets inside an instance record
    uint32_t clocks_at
    uint32_t variables_at
    uint32_t texts_at
    uint32_t leg_max
    uint32_t clock_count
    uint32_t variable_count
    uint32_t text_count
    const Column* columns
    uint32_t rows                   # of feed 0
    uint32_t feeds
    uint32_t feed_rows[4]
    uint32_t next_row
    Users users
    # --- identity ---
    uint32_t engine_id
    uint64_t hash_seed
    uint8_t run_hex[8]
    uint8_t local[64]               # "host:port"
    uint32_t local_length
    uint32_t local_host_length
    uint16_t local_port
    bint learns                     # our address as the first response has it goes into Contacts
    uint8_t learned[64]             # "host:port"
    uint32_t learned_length         # 0: nothing was learned
    uint8_t sdp_address[72]         # "IP4 host" or "IP6 host", without brackets
    uint32_t sdp_address_length
    uint8_t allow[128]              # "Allow: ...\r\n" of the engine's own answers
    uint32_t allow_length
    uint32_t allowed                # bit m: Method m is in Allow
    # option tags, comma separated, of all scenarios; given: for each of them, "*": any
    uint8_t supported[256]
    uint32_t supported_length
    bint supported_given
    uint32_t asked                  # the scenario that core.message, a request, is for; NONE
    uint8_t packages[256]           # event packages likewise; length 0: any
    uint32_t packages_length
    bint strict                     # messages are judged by the whole grammar
    bint merge                      # a merged request is refused
    Peer target                     # the first target
    Targets targets
    Targets targets_next            # written by Python while targets_given is targets_taken
    uint64_t targets_given          # tables that Python has left (release)
    uint64_t targets_taken          # tables that came into force (release)
    # --- memory ---
    Slab instances
    Slab legs
    Slab txs
    Texts texts
    Table requests                  # server transactions by branch
    Wheel wheel                     # node i: instance i; node instances.capacity + j: transaction j
    Outbox outbox
    Departure departures[256]       # of the outbox's messages
    uint32_t departing
    Udp udp
    Digest digest
    Aka aka
    Rand rand
    TxTimers timers
    # for finished transactions once the slab is nearly full (linger auto)
    TxTimers timers_short
    uint32_t linger_pressure        # live transactions above which they are used
    bint linger_auto
    uint64_t nonce_secret
    Ring trace
    Tape tape                       # the latest datagrams
    uint32_t trace_left[48]         # failures still to be kept, by outcome
    # --- what is being handled ---
    Nanos now
    Nanos received                  # kernel time of the message at hand
    SipMessage* message             # the message at hand, NULL outside feed
    Peer source                     # where it came from
    uint32_t request                # server transaction of the request at hand, NONE
    uint32_t request_user           # row of the user whose Contact it was sent to, NONE
    # that transaction while its echo block is still in `echo`, else NONE
    uint32_t fresh
    Ahead parsed[2]                 # the datagram at hand and the next one
    uint64_t merged_print           # of the request at hand
    Merged merged[16384]
    uint8_t echo[65536]             # echo block of the request at hand
    uint32_t echo_length
    uint32_t contacts_length        # FIELD_CONTACTS lines that follow it
    uint8_t scratch[16384]
    # --- schedule ---
    Queue queue                     # calls with a due time
    Closed* closed                  # workloads that hold their calls open
    uint32_t closed_count
    uint32_t* bounds                # by stream: most open calls; 0: no bound of its own
    uint32_t* opened                # by stream: open calls
    uint8_t* unique                 # by stream: a row is for one call at a time
    uint8_t* claimed                # by row of feed 0: a call has it to itself; NULL: never
    uint32_t streams
    uint32_t series_count
    uint32_t answer_series          # of instances that requests start
    uint64_t draw_seed
    uint64_t command                # COMMAND_ bits (release)
    uint64_t applied                # COMMAND_ bits that the engine has acted on
    uint32_t hang_up_at             # next instance to be hung up, NONE: none left
    uint32_t max_calls
    int64_t open_calls              # instances started by the schedule and not ended
    int64_t open_answers
    # --- answering side ---
    uint64_t drop_below             # a request is dropped when a random word is below
    uint32_t lines                  # answering side: calls at once; 0: as many as there is room for
    double rate_limit
    double rate_tokens
    Nanos rate_at
    uint32_t retry_after            # seconds that a 503 asks for; 0: it asks for none
    uint32_t oc_algorithm           # OC_ that answers carry; OC_NONE: they carry nothing
    uint32_t oc_value
    uint32_t oc_validity            # ms
    Registrar* registrar            # NULL: the program keeps no bindings
    # --- calling side ---
    bint obey                       # what servers ask for in overload is done
    uint8_t via_tail[32]            # behind the branch in the Via of our requests
    uint32_t via_tail_length
    # --- results ---
    int64_t* counters
    int64_t* outcomes               # [series][outcome]
    int64_t* starts                 # [series][due, started, not started by cause]
    int64_t* answered_outcomes
    int64_t* sent_requests
    int64_t* sent_responses         # [method][status - 100]
    int64_t* received_requests
    int64_t* received_responses
    int64_t* retransmitted
    int64_t* histograms
    int64_t* steps
    int64_t* user_counters
    int64_t* measures               # [series][row of measure.pxd][bucket]
    int64_t* measured               # [series][row]: values in it
    int64_t* attempts               # [series][AttemptKind][AttemptColumn, or status - 100]
    uint32_t measure_rows           # of one series
    uint32_t measure_slots[16]      # by method: its first row, 0: the program sends none
    int64_t* target_calls           # by number: calls sent there, failed over ones included
    Nanos coalesce                  # shortest time from one wake-up to the next
    bint live_clock                 # `now` may be read from the clock (real sockets)

cdef inline Instance* instance_at(Core* core, uint32_t index) noexcept nogil:
    return <Instance*>slab_at(&core.instances, index)

cdef inline Leg* leg_at(Core* core, uint32_t index) noexcept nogil:
    return <Leg*>slab_at(&core.legs, index)

cdef inline Tx* tx_at(Core* core, uint32_t index) noexcept nogil:
    return <Tx*>slab_at(&core.txs, index)

cdef inline uint32_t* instance_legs(Core* core, Instance* instance) noexcept nogil:
    return <uint32_t*>(<uint8_t*>instance + core.legs_at)

cdef inline Clock* instance_clocks(Core* core, Instance* instance) noexcept nogil:
    return <Clock*>(<uint8_t*>instance + core.clocks_at)

cdef inline int64_t* instance_variables(Core* core, Instance* instance) noexcept nogil:
    return <int64_t*>(<uint8_t*>instance + core.variables_at)

cdef inline uint32_t* instance_texts(Core* core, Instance* instance) noexcept nogil:
    return <uint32_t*>(<uint8_t*>instance + core.texts_at)

cdef inline void rows_fill(StampFields* fields, uint32_t row,
                           const Instance* instance) noexcept nogil:
    """Rows of the feeds; messages with columns of others than the first are kept whole, so that
    they need none once the instance is gone.
    """
    fields.rows[0] = row
    fields.rows[1] = instance.others[0] if instance != NULL else 0
    fields.rows[2] = instance.others[1] if instance != NULL else 0
    fields.rows[3] = instance.others[2] if instance != NULL else 0

cdef inline void texts_fill(Core* core, Instance* instance, StampFields* fields) noexcept nogil:
    """The texts that FIELD_TEXT writes."""
    cdef uint32_t* texts
    cdef uint32_t i
    fields.texts_known = instance != NULL
    if instance == NULL:
        return
    texts = instance_texts(core, instance)
    for i in range(core.text_count):
        fields.texts[i] = text_span(&core.texts, texts[i])

cdef inline Handle leg_handle(Core* core, uint32_t index) noexcept nogil:
    return handle_make(leg_at(core, index).generation, core.engine_id, index)

cdef inline Handle tx_handle(Core* core, uint32_t index) noexcept nogil:
    return handle_make(tx_at(core, index).generation, core.engine_id, index)

cdef inline uint32_t tx_node(Core* core, uint32_t index) noexcept nogil:
    return core.instances.capacity + index

cdef inline void core_count(Core* core, uint32_t counter) noexcept nogil:
    core.counters[counter] += 1

cdef inline void instance_rung(Core* core, Instance* instance, uint8_t kind, uint8_t method,
                               uint16_t code) noexcept nogil:
    """One more line of the ladder, over the oldest when it is full."""
    cdef Rung* rung = &instance.ladder[instance.rungs % LADDER]
    cdef Nanos at = (core.now - instance.due) // 1000
    rung.at_us = <uint32_t>at if at >= 0 and at < <Nanos>NONE else 0
    rung.code = code
    rung.method = method
    rung.kind = kind
    instance.rungs += 1
