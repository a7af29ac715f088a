# The instruction format: what the compiler (Python) makes and the VM runs. Every table is a flat
# array; Python sees the enums as IntEnums and builds the arrays with numpy dtypes of the same
# layout (siploadgen/compile/program.py).
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t

cpdef enum Op:
    OP_END = 0          # a: outcome. Releases the instance, its legs and its open transactions.
    # a: template, b: leg. Stamps and sends; a request opens a client transaction.
    OP_SEND
    # a: number of CASEs that follow, b: pc on timeout, c: timeout ns (0: none), with flags 1 how
    # often T1. Suspends. Entered again without another suspension or SEND of a request between, the
    # deadline stays.
    OP_AWAIT
    OP_CASE             # a: matcher, b: pc when it fits
    # a: number of CASEs that follow, b: pc when it is over, c: operand (ns). Suspends. Entered
    # again as an AWAIT is, it goes on with what is left of it. Cut by a hang-up.
    OP_PAUSE
    OP_JUMP             # b: pc, flags: 1: the next wait begins anew, even if it is the last one
    # a: variable (or a VAR_ pseudo variable), flags: Compare, b: pc, c: constant
    OP_JUMP_IF
    OP_CHANCE           # b: pc, c: probability in 1e-9
    OP_CLOCK_START      # a: clock
    OP_CLOCK_STOP       # a: clock. Records in the clock's two histograms, once for each start.
    OP_SET              # a: variable, c: operand
    OP_ADD              # a: variable, c: operand
    OP_MUL              # a: variable, c: operand in 1e-9: variable = variable * operand / 1e9
    OP_EXTRACT          # a: variable, b: Extract, from the message last matched
    # a: text (user name), c: text (password), flags: attempts (1 .. 3), b: pc when a challenge
    # cannot be answered or was, in a row, as often. Takes the challenges of the message last
    # matched; FIELD_AUTHORIZATION answers them from then on.
    OP_CREDENTIAL
    OP_COUNT            # a: user counter, c: amount
    # a: text (password), c: realm text, and in its upper half how long a nonce is good in ms (0:
    # five minutes), flags: ChallengeFlag (0: any), b: pc when the request's credentials are
    # missing or wrong
    OP_CHALLENGE_CHECK
    # a: text variable, flags: Capture, c: as Capture says, with the header in its low 8 bits. From
    # the message last matched; the variable is empty when there is nothing to take.
    OP_CAPTURE
    # a: text (item; empty: any), b: pc when not, c: HeaderId; with HEADER_OTHER a text from bit 8,
    # the header's name. The message last matched has such a header, with that item in its comma
    # separated list (any case, parameters left out). With flags 1 its body has a line that begins
    # with the text.
    OP_HAS
    # a: text variable, b: pc when it is not the same as c: text
    OP_SAME
    # a: text (URI), b: leg. Requests of the leg go there from now on when the host is numeric.
    OP_ROUTE
    # a: text, b: leg. A datagram with just this text goes where the leg's requests do.
    OP_DATAGRAM
    # b: leg. A STUN Binding request (RFC 5389) goes there; flags 1: the last one once more.
    OP_BINDING
    # b: leg. Leaves its dialog without a word: what the leg does next opens a new one, with a
    # Call-ID and a tag of its own.
    OP_LEAVE
    # a: variable. The REGISTER at hand done by the registrar; the variable is 200, or the status
    # that refuses it. A 200 has its bindings in FIELD_CONTACTS.
    OP_BIND
    # a: variable, c: operand. Whole numbers that stay within 64 bits; what is divided by 0 is 0.
    OP_SUB
    OP_TIMES
    OP_DIV
    OP_MOD
    # a: variable or text, b: shared variable, flags: Share, c: operand of SHARE_ADD
    OP_SHARE
    # a: text without fields, a POSIX extended regular expression; c: what it is looked for in (see
    # MatchIn), flags: number of GROUPs that follow, b: pc when it is not there; else on behind them
    OP_MATCH
    OP_GROUP            # a: variable (flags 1; -1: no number) or text (flags 0), b: group
    # a: hook, b: pc when it fails or takes longer than c (ns). Suspends until Python has answered.
    OP_HOOK
    OP_COUNT_OF_OPS

cpdef enum Compare:
    CMP_EQ = 0
    CMP_NE
    CMP_LT
    CMP_LE
    CMP_GT
    CMP_GE
    CMP_OPERAND = 8             # added to one of them: c is an operand

cpdef enum PseudoVariable:      # read-only, in place of a variable number
    VAR_STOPPING = 0xFFFF       # 1 once the run wants its calls to end
    VAR_STATUS = 0xFFFE         # status of the message last matched, 0 for a request
    VAR_RETRIES = 0xFFFD        # challenges answered in a row by this instance
    # ns from when the instance was due to when what it does now was; as an operand only
    VAR_ELAPSED = 0xFFFC

cpdef enum Extract:
    EXTRACT_STATUS = 0
    # seconds granted to our Contact (c: its reg-id, 0: any), else Expires; -1: none
    EXTRACT_EXPIRES
    EXTRACT_MIN_EXPIRES         # -1: none
    EXTRACT_RETRY_AFTER         # -1: none
    EXTRACT_CONTENT_LENGTH
    EXTRACT_NUMBER              # c: HeaderId; the digits that the header begins with, -1: none
    # c: HeaderId and in the next 32 bits a text, the name of a parameter (lower case); -1: none
    EXTRACT_PARAMETER
    EXTRACT_SIPFRAG             # status in the body, a message/sipfrag (RFC 3420); -1: none

cpdef enum Capture:             # what OP_CAPTURE takes
    CAPTURE_HEADER = 0          # c: HeaderId; the value of the first such header
    # c: HeaderId; URI of the first address in that header, without its headers
    CAPTURE_URI
    # c: HeaderId, and a text from bit 8: that header in the URI, unescaped (RFC 3261 19.1.1)
    CAPTURE_URI_HEADER
    CAPTURE_PARAMETER           # c: HeaderId, and a text from bit 8: parameter of the first address
    CAPTURE_REQUEST_URI
    CAPTURE_BODY
    # c: leg. "Call-ID;to-tag=...;from-tag=..." of its dialog, as Replaces wants it (RFC 3891 6.1)
    CAPTURE_DIALOG
    CAPTURE_TEXT                # c: text
    # c: text, escaped as the value of a header in a URI (RFC 3261 19.1.1)
    CAPTURE_ESCAPED
    CAPTURE_STATUS_LINE         # of a response, as a message/sipfrag quotes it (RFC 3420 2)
    # c: HeaderId, and a rank (from 1) from bit 8: the sip: URI with that rank among the addresses
    # of all such headers by q, without its headers; the order in the message decides between equals
    CAPTURE_RANKED
    CAPTURE_LIST                # c: HeaderId; the values of all such headers, comma separated
    # c: HeaderId, and a text from bit 8: parameter of the Contact that is ours, as EXTRACT_EXPIRES
    CAPTURE_OWN

cpdef enum MatchIn:             # the low 8 bits of what an OP_MATCH looks in
    MATCH_IN_MESSAGE = 0        # all of the message last matched
    MATCH_IN_START_LINE
    # bits 8: HeaderId (HEADER_OTHER: that of the text in bits 32), bits 16: which of them, from 1
    MATCH_IN_HEADER
    MATCH_IN_BODY
    MATCH_IN_TEXT               # bits 8: text variable
    MATCH_ANY_CASE = 1 << 24    # added to one of them

cpdef enum Share:               # what OP_SHARE does with a variable of the user or the run
    SHARE_READ = 0              # into the instance's own
    SHARE_WRITE
    SHARE_ADD                   # in one go, and the sum into the instance's own
    SHARE_READ_TEXT
    SHARE_WRITE_TEXT

cpdef enum OperandKind:
    OPERAND_CONST = 0           # value
    OPERAND_VARIABLE            # variable number in value
    OPERAND_COLUMN              # column number in value; decimal digits of the instance's row
    OPERAND_UNIFORM             # p1 .. p2
    OPERAND_NORMAL              # mean p1, deviation p2; below 0 counts as 0
    OPERAND_LOGNORMAL           # exp(normal(p1, p2))
    OPERAND_EXPONENTIAL         # mean p1
    OPERAND_T1                  # value times T1, in ns
    OPERAND_WEIBULL             # scale p1, shape p2
    OPERAND_PARETO              # smallest p1, shape p2
    OPERAND_GAMMA               # scale p1, shape p2
    OPERAND_SAMPLES             # one of the p1 samples from number value on

cpdef enum TemplateKind:
    TEMPLATE_REQUEST = 0        # new transaction, CSeq + 1
    TEMPLATE_ACK                # for a 2xx: CSeq of the leg's INVITE, no transaction
    # for a 3xx-6xx; companion of an INVITE template, sent by the transaction
    TEMPLATE_ACK_FAILURE
    # companion of an INVITE template: its own transaction, branch and CSeq number of the INVITE
    TEMPLATE_CANCEL
    TEMPLATE_RESPONSE           # to the leg's open request of .method
    TEMPLATE_TEXT               # not a message: user name, password, realm, the token of leg 0

cpdef enum TemplateFlag:
    TEMPLATE_IN_DIALOG = 1      # to the leg's next hop rather than to the run's target
    TEMPLATE_FIXED_LENGTH = 2   # every instance has the same length
    TEMPLATE_RELIABLE = 4       # provisional response, repeated until its PRACK (RFC 3262)

cpdef enum Field:
    FIELD_LITERAL = 0           # text[offset : offset + length]
    # the 24 hex digits after "z9hG4bK" of this transaction (CANCEL, ACK_FAILURE: the INVITE's)
    FIELD_BRANCH
    FIELD_CALL_ID               # the leg's Call-ID
    FIELD_LOCAL_TAG             # 24 hex digits, the leg's token
    FIELD_TOKEN                 # the same digits as Contact user
    FIELD_CSEQ                  # number; from 1000, so four digits for 9,000 requests
    FIELD_REQUEST_URI           # the leg's remote target (in a dialog)
    FIELD_ROUTES                # "Route: ...\r\n" for the leg's route set, or nothing
    FIELD_REMOTE_TAG            # ";tag=..." once the leg knows it, or nothing
    # From value of a request sent in a dialog that the peer opened (tag included)
    FIELD_LOCAL_PARTY
    FIELD_REMOTE_PARTY          # To value likewise
    FIELD_LOCAL                 # "host:port" of the engine's socket
    FIELD_LOCAL_HOST            # "host"
    FIELD_COLUMN                # arg: column; text of the instance's row
    FIELD_VARIABLE              # arg: variable, in decimal
    # "Authorization: Digest ...\r\n" or "Proxy-Authorization: ...\r\n", or nothing
    FIELD_AUTHORIZATION
    # response: Via ... CSeq and Record-Route of the request, our To tag added; lines with CRLF
    FIELD_ECHO
    FIELD_CONTENT_LENGTH        # digits of the body's length, when the body has variable parts
    # 'nonce="...", algorithm=..., qop="auth"' of a challenge; arg: ChallengeFlag
    FIELD_CHALLENGE
    # response to REGISTER: "Contact: ...;expires=n\r\n" for each binding, and what goes with them
    FIELD_CONTACTS
    # ACK_FAILURE: From, To and Call-ID lines of the response being acknowledged
    FIELD_ECHO_PARTIES
    # Request-URI of the leg's INVITE when that was in a dialog: as FIELD_REQUEST_URI at the time
    FIELD_INITIAL_URI
    FIELD_TEXT                  # arg: text variable
    FIELD_RSEQ                  # number of the leg's last reliable provisional response (RFC 3262)
    FIELD_RACK                  # what a PRACK acknowledges: "RSeq CSeq INVITE"
    FIELD_SDP_ADDRESS           # "IP4 host" or "IP6 host" of the engine's socket (RFC 4566 5.7)
    FIELD_FILL                  # arg: variable; so many octets of text, at most FILL_MAX
    FIELD_UUID                  # made of what FIELD_TOKEN writes: 36 octets (RFC 4122 3)
    FIELD_OWN_ADDRESS               # "host:port" of our Contacts: FIELD_LOCAL, or what was learned

cpdef enum MatcherKind:
    MATCH_RESPONSE = 0          # status range and CSeq method
    MATCH_REQUEST               # method
    MATCH_TIMEOUT               # a transaction of the leg timed out (B, F, or no ACK after 2xx)
    MATCH_TRANSPORT             # ... or its transport failed
    # the peer cancelled the INVITE that this leg has not answered finally
    MATCH_CANCEL
    MATCH_BINDING               # the leg's STUN Binding request was answered
    # ... by an error, or with another address of ours than before (RFC 5626 4.4.2)
    MATCH_REBINDING

cpdef enum Outcome:             # how an instance ended; classes of `calls.failed` in run.json
    OUTCOME_SUCCEEDED = 0
    OUTCOME_REJECTED            # a final response that the program does not expect
    OUTCOME_TIMEOUT             # timer B or F, or an AWAIT ran out
    OUTCOME_TRANSPORT           # ICMP error, connection lost
    OUTCOME_UNEXPECTED          # a request that ends the call before the program wanted it
    OUTCOME_AUTH_FAILED
    OUTCOME_NO_ACK              # answering side: 2xx never acknowledged
    OUTCOME_CANCELLED           # answering side: cancelled by the caller
    OUTCOME_ABORTED             # stopped by the second signal or at the end of the graceful stop
    OUTCOME_NO_RESOURCE         # a slab was full in the middle of the call
    OUTCOME_NO_ANSWER           # answering side and caller: rang until the ring limit
    OUTCOME_USER = 16           # first of the program's own (Program.outcomes)
    OUTCOME_COUNT = 48

cpdef enum ChallengeFlag:
    CHALLENGE_ALGORITHM = 3     # mask: DigestAlgorithm
    CHALLENGE_SESSION = 4       # its -sess form
    CHALLENGE_AUTH = 8          # qop
    CHALLENGE_AUTH_INT = 16
    CHALLENGE_PROXY = 32        # the credentials stand in Proxy-Authorization
    CHALLENGE_NEXT = 256        # FIELD_CHALLENGE alone: 'nextnonce="..."' of Authentication-Info

cpdef enum EntryFlag:
    # Its REGISTERs are its user's: an instance has the user to itself, and all registrations of
    # one user, in this instance and in later ones, go on with one Call-ID, CSeq and Contact.
    ENTRY_OWNS_USER = 1
    # what its user's challenges are answered with is kept for the user's later requests
    ENTRY_KEEPS_NONCES = 2

cdef packed struct Insn:        # 16 bytes
    uint8_t op
    uint8_t flags
    uint16_t a
    uint32_t b
    int64_t c

cdef packed struct Segment:     # 12 bytes
    uint8_t field               # Field
    uint8_t spare
    uint16_t arg
    uint32_t offset             # into text
    uint32_t length

cdef packed struct Template:    # 40 bytes
    uint8_t kind                # TemplateKind
    uint8_t method              # Method; of the CSeq for a response
    uint16_t status
    uint16_t flags              # TemplateFlag
    uint16_t count              # segments
    uint32_t first              # first segment
    uint32_t body               # number of segments before the body (count when there is none)
    uint16_t ack                # companion of an INVITE: template of the ACK for a failure; 0xFFFF
    uint16_t cancel             # companion of an INVITE: template of its CANCEL; 0xFFFF
    uint32_t method_offset      # name of a method that Method does not know, into text
    uint32_t method_length
    uint32_t supported_offset   # option tags that a request supports or requires, into text
    uint32_t supported_length

cdef packed struct Matcher:     # 12 bytes
    uint8_t kind                # MatcherKind
    uint8_t method              # Method, METHOD_UNKNOWN: any
    uint8_t leg                 # 0xFF: any
    uint8_t spare
    uint16_t low                # status range, both ends included
    uint16_t high
    uint32_t flags

cdef packed struct Operand:     # 32 bytes
    uint8_t kind                # OperandKind
    uint8_t spare[7]
    int64_t value
    double p1
    double p2

cdef packed struct Entry:       # 24 bytes: one scenario
    uint32_t pc
    # 0 caller (started by the schedule), 1 answerer (started by a request)
    uint16_t role
    uint16_t flags              # EntryFlag
    uint16_t legs               # legs that it uses, 1 .. 8
    uint16_t spare
    uint32_t weight             # of a mix, in 1e-6; 0: only by name
    uint32_t supported_offset   # option tags that requests to it may require, into text
    uint32_t supported_length

# 16 bytes: a row of the answer table; the first that fits takes the request
cdef packed struct Answer:
    uint8_t method
    uint8_t spare
    uint16_t entry
    uint32_t user_offset        # user part of the Request-URI, into text; length 0: any
    uint32_t user_length
    uint32_t flags
