"""The tree that every front end fills and the compiler reads: a scenario and its steps.

A step is a frozen record. Message text is complete and carries `{fields}`; what a field means is
said in `siploadgen.compile.template`. Legs are numbered from 0, one for each dialog of an instance.
"""

from dataclasses import dataclass, field
from enum import Enum
from typing import TypeAlias

from siploadgen.model.values import ZERO, Fixed, TimesT1, Value


@dataclass(frozen=True, slots=True)
class Place:
    """Where a step was written; line 0 when there is no file."""

    file: str = ""
    line: int = 0

    def __str__(self) -> str:
        return f"{self.file}:{self.line}" if self.line else self.file


NOWHERE = Place()
HOOK_WITHIN = Fixed(5_000_000_000)  # ns


class SendKind(Enum):
    """What a message is to the transaction layer."""

    REQUEST = "request"  # opens a client transaction, CSeq + 1
    ACK = "ack"  # for a 2xx; no transaction
    CANCEL = "cancel"  # of the leg's open INVITE
    RESPONSE = "response"  # to the leg's open request of `method`


class Then(Enum):
    """Where an instance goes on after the steps of a case."""

    STAY = "stay"  # in the same wait, its deadline unchanged
    GO_ON = "go on"  # with the step after the wait


class Compare(Enum):
    """Comparison of a variable with a constant."""

    EQ = "=="
    NE = "!="
    LT = "<"
    LE = "<="
    GT = ">"
    GE = ">="


class Pseudo(Enum):
    """What an instance can ask besides its own variables."""

    STOPPING = "stopping"  # 1 once the run wants its calls to end
    STATUS = "status"  # of the message last matched, 0 for a request
    RETRIES = "retries"  # challenges answered in a row


class ExtractWhat(Enum):
    """Numbers that can be read out of the message last matched; -1: not there."""

    STATUS = "status"
    EXPIRES = "expires"  # seconds granted to our Contact, else the header Expires
    MIN_EXPIRES = "min_expires"
    RETRY_AFTER = "retry_after"
    CONTENT_LENGTH = "content_length"
    NUMBER = "number"  # the digits that a header begins with
    PARAMETER = "parameter"  # of the first item of a header
    SIPFRAG = "sipfrag"  # status in a body of type message/sipfrag (RFC 3420)


class CaptureWhat(Enum):
    """Texts that can be taken out of the message last matched, or made."""

    HEADER = "header"  # value of the first header of that name
    URI = "uri"  # of the first address in that header, without its headers
    URI_HEADER = "uri header"  # header `item` of that URI, unescaped
    PARAMETER = "parameter"  # parameter `item` of the first item of that header
    REQUEST_URI = "request_uri"
    BODY = "body"
    DIALOG = "dialog"  # of a leg, as Replaces names it (RFC 3891 6.1)
    TEXT = "text"  # `item`, a text with `{fields}`
    RANKED = "ranked"  # the sip: URI that is the `rank`th by q of the addresses in those headers
    ESCAPED = "escaped"  # the same, escaped as the value of a header in a URI
    LIST = "list"  # the values of all such headers, comma separated
    OWN = "own"  # parameter `item` of our own Contact in the answer to a REGISTER
    STATUS_LINE = "status_line"  # of a response, as a message/sipfrag quotes it (RFC 3420)


@dataclass(frozen=True, slots=True)
class Condition:
    """Compare a variable (by name) or a pseudo variable with a number or a value."""

    subject: str | Pseudo
    compare: Compare
    other: int | Value


@dataclass(frozen=True, slots=True)
class HasHeader:
    """The message last matched has this header; with `item` one whose list has that item."""

    header: str
    item: str = ""


@dataclass(frozen=True, slots=True)
class SameText:
    """A text variable is the same as `text`, which may hold `{fields}`."""

    variable: str
    text: str


@dataclass(frozen=True, slots=True)
class HasLine:
    """The body of the message last matched has a line that begins so; empty: it has a body."""

    begin: str


class FindIn(Enum):
    """Where a pattern is looked for."""

    MESSAGE = "message"  # the whole of the message last matched
    START_LINE = "start_line"
    HEADER = "header"
    BODY = "body"
    TEXT = "text"  # a text variable


@dataclass(frozen=True, slots=True)
class Group:
    """What a group of a pattern goes to: a text variable, or a variable as the number it is."""

    variable: str
    number: int  # of the group; 0: all that was matched
    is_number: bool = False


@dataclass(frozen=True, slots=True)
class Finds:
    """A POSIX extended regular expression is found; `groups` are filled, or emptied.

    A variable that is no number is -1. `item` is the header or the text variable; `rank` says which
    of several such headers.
    """

    pattern: str
    where: FindIn
    item: str = ""
    rank: int = 1
    any_case: bool = False
    groups: tuple[Group, ...] = ()


Test: TypeAlias = Condition | HasHeader | HasLine | SameText | Finds


# --- what a wait can wait for ---


@dataclass(frozen=True, slots=True)
class OnResponse:
    """A response with a status from `low` to `high` (both included) to a request of `method`."""

    low: int
    high: int
    method: str


@dataclass(frozen=True, slots=True)
class OnRequest:
    """A request; an empty method stands for any."""

    method: str


class OnEvent(Enum):
    """What can happen to a leg besides messages."""

    TIMEOUT = "timeout"  # timer B or F ran out, or a 2xx was never acknowledged
    TRANSPORT = "transport"  # the transport refused a request
    CANCEL = "cancel"  # the peer cancelled the INVITE that is not answered yet
    BINDING = "binding"  # a STUN Binding request was answered
    REBINDING = "rebinding"  # ... by an error, or with another address of ours than before


Match: TypeAlias = OnResponse | OnRequest | OnEvent


@dataclass(frozen=True, slots=True)
class Case:
    """When one of `matches` comes: do `steps`, then stay in the wait or go on."""

    matches: tuple[Match, ...]
    steps: tuple["Step", ...] = ()
    then: Then = Then.GO_ON
    leg: int = 0
    place: Place = field(default=NOWHERE, compare=False)


# --- steps ---


@dataclass(frozen=True, slots=True)
class Send:
    """Send a message. `text` is the whole of it, lines ended by LF or CRLF, with `{fields}`."""

    kind: SendKind
    method: str  # of the CSeq for a response
    text: str = ""  # empty for CANCEL, which is made from the INVITE before it
    status: int = 0
    leg: int = 0
    in_dialog: bool = False  # goes to the leg's next hop, not to the run's target
    reliable: bool = False  # a provisional response that is repeated until its PRACK (RFC 3262)
    place: Place = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class Await:
    """Wait for one of the cases; after `within` (0: no limit of its own) do `late`."""

    cases: tuple[Case, ...]
    within: Fixed | TimesT1 = ZERO
    late: tuple["Step", ...] = ()  # empty: the call ends as timed out
    place: Place = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class Pause:
    """Wait for a time in nanoseconds, unless one of the cases comes first."""

    duration: Value
    cases: tuple[Case, ...] = ()
    place: Place = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class ClockStart:
    """Start a named clock."""

    clock: str
    place: Place = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class ClockStop:
    """Stop a named clock and record its time; without a start before, nothing."""

    clock: str
    place: Place = field(default=NOWHERE, compare=False)


class Arithmetic(Enum):
    """What a `Change` does to its variable.

    Whole numbers that stay within 64 bits. Quotients are cut towards 0; by 0 all is 0.
    """

    SET = "set"
    ADD = "add"
    SUB = "sub"
    MUL = "mul"  # the operand counts in units of 1e-9
    TIMES = "times"
    DIV = "div"
    MOD = "mod"


@dataclass(frozen=True, slots=True)
class Change:
    """Set, add to, multiply ... a variable.

    `user.NAME` is a variable of the call's user, `run.NAME` one of the run: calls find there what
    others left. ADD is done in one go there, and `into` gets the sum.
    """

    how: Arithmetic
    variable: str
    value: Value
    into: str = ""
    place: Place = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class Extract:
    """Read a number out of the message last matched into a variable."""

    variable: str
    what: ExtractWhat
    header: str = ""
    parameter: str = ""
    reg_id: int = 0  # of the flow that EXPIRES is asked about (RFC 5626 4.2.1); 0: any
    place: Place = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class Capture:
    """Take a text out of the message last matched into a text variable; empty: not there."""

    variable: str
    what: CaptureWhat
    header: str = ""
    item: str = ""
    leg: int = 0
    rank: int = 0
    place: Place = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class Find:
    """Look for a pattern and fill its groups."""

    finds: Finds
    place: Place = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class Hook:
    """Ask a Python function (`file.py:name`) and wait for it, `within` at most.

    It sees the variables and texts of the scenario and sets those in `sets` and `texts`. When it
    raises, or takes longer, the call ends with the outcome `end`.
    """

    function: str
    sets: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()
    within: Fixed = HOOK_WITHIN
    end: str = "hook_failed"
    ok: bool = False
    place: Place = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class Datagram:
    """Send a text with `{fields}` that is no message to where the leg's requests go."""

    text: str
    leg: int = 0
    place: Place = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class Binding:
    """Send a STUN Binding request to where the leg's requests go, or the last one once more."""

    again: bool = False
    leg: int = 0
    place: Place = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class Route:
    """Send the leg's requests to the numeric host of a URI, a text with `{fields}`."""

    uri: str
    leg: int = 0
    place: Place = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class Leave:
    """Leave the leg's dialog without a word; its next request opens a new one."""

    leg: int = 0
    place: Place = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class If:
    """Do `steps` when the condition holds, else `otherwise`."""

    condition: Test
    steps: tuple["Step", ...]
    otherwise: tuple["Step", ...] = ()
    place: Place = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class Loop:
    """Repeat `steps` while the condition holds (asked before each round); None: for ever."""

    condition: Condition | None
    steps: tuple["Step", ...]
    place: Place = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class Chance:
    """Do `steps` with a probability of `share`."""

    share: float
    steps: tuple["Step", ...]
    place: Place = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class Label:
    """A name for this point of the scenario."""

    name: str
    place: Place = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class Jump:
    """Go on at a label, always or when the condition holds.

    `anew`: a wait there begins with its whole time, even if it is the one that was left.
    """

    label: str
    condition: Condition | None = None
    anew: bool = False
    place: Place = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class Authenticate:
    """Answer the challenge last received, from the next request on.

    `user` and `password` are texts with `{fields}`. The call ends with the outcome `end` when no
    challenge can be answered, or one was answered already and its nonce is not just too old, or
    `attempts` (1 to 3) times in a row; with a label it goes on there instead.
    """

    user: str
    password: str
    attempts: int = 2
    end: str = "auth_failed"
    ok: bool = False
    label: str = ""
    place: Place = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class ChallengeCheck:
    """Answering side: do `failed` when the request's credentials are missing or wrong.

    `kind` is that of the challenge (`model.challenges`), which the credentials must
    answer as it was; empty: any. With `proxy` they stand in Proxy-Authorization. A nonce is good
    for `life_ns`.
    """

    password: str
    realm: str
    failed: tuple["Step", ...]
    kind: str = ""
    proxy: bool = False
    life_ns: int = 300_000_000_000
    place: Place = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class Bind:
    """Answering side: do the REGISTER last received; the variable gets the status of its answer.

    `settings` are those of the program's bindings, by name.
    """

    variable: str
    settings: tuple[tuple[str, int], ...]
    place: Place = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class Count:
    """Add to a counter of the scenario's own."""

    counter: str
    amount: int = 1
    place: Place = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class End:
    """End the instance. `ok` says whether an outcome of the scenario's own counts as success."""

    outcome: str = "succeeded"
    ok: bool = False
    place: Place = field(default=NOWHERE, compare=False)


Step: TypeAlias = (
    Send | Await | Pause | ClockStart | ClockStop | Change | Extract | Capture | Find | Hook | Route
    | Datagram | Binding | Leave | If | Loop | Chance | Label | Jump | Authenticate | ChallengeCheck
    | Bind
    | Count | End
)


class Role(Enum):
    """Who starts an instance."""

    CALLER = "caller"  # the schedule
    ANSWERER = "answerer"  # a request from outside


@dataclass(frozen=True, slots=True)
class Scenario:
    """A named sequence of steps for one instance."""

    name: str
    role: Role
    steps: tuple[Step, ...]
    method: str = ""  # answerer: the request that starts it
    user: str = ""  # answerer: user part of its Request-URI, empty for any
    legs: int = 1
    columns: tuple[str, ...] = ()  # columns of the data that texts may use
    constants: tuple[tuple[str, str], ...] = ()  # fields known at compile time, such as target.host
    weight: float = 1.0  # share in a mix, relative to the other scenarios
    supported: tuple[str, ...] = ()  # option tags (RFC 3261 20.37)
    packages: tuple[str, ...] = ()  # event packages that it knows (RFC 6665 7.2)
    keeps_nonces: bool = False  # challenges are kept for the user's later calls
    place: Place = field(default=NOWHERE, compare=False)
