"""The instruction format: its enums, and how C lays out its records."""

from enum import IntEnum

class Op(IntEnum):
    OP_END = 0
    OP_SEND = 1
    OP_AWAIT = 2
    OP_CASE = 3
    OP_PAUSE = 4
    OP_JUMP = 5
    OP_JUMP_IF = 6
    OP_CHANCE = 7
    OP_CLOCK_START = 8
    OP_CLOCK_STOP = 9
    OP_SET = 10
    OP_ADD = 11
    OP_MUL = 12
    OP_EXTRACT = 13
    OP_CREDENTIAL = 14
    OP_COUNT = 15
    OP_CHALLENGE_CHECK = 16
    OP_CAPTURE = 17
    OP_HAS = 18
    OP_SAME = 19
    OP_ROUTE = 20
    OP_LEAVE = 21
    OP_COUNT_OF_OPS = 21

class Compare(IntEnum):
    CMP_EQ = 0
    CMP_NE = 1
    CMP_LT = 2
    CMP_LE = 3
    CMP_GT = 4
    CMP_GE = 5

class PseudoVariable(IntEnum):
    VAR_STOPPING = 0xFFFF
    VAR_STATUS = 0xFFFE
    VAR_RETRIES = 0xFFFD
    VAR_NOW = 0xFFFC

class Extract(IntEnum):
    EXTRACT_STATUS = 0
    EXTRACT_EXPIRES = 1
    EXTRACT_MIN_EXPIRES = 2
    EXTRACT_RETRY_AFTER = 3
    EXTRACT_CONTENT_LENGTH = 4
    EXTRACT_NUMBER = 5
    EXTRACT_PARAMETER = 6
    EXTRACT_SIPFRAG = 7

class Capture(IntEnum):
    CAPTURE_HEADER = 0
    CAPTURE_URI = 1
    CAPTURE_URI_HEADER = 2
    CAPTURE_PARAMETER = 3
    CAPTURE_REQUEST_URI = 4
    CAPTURE_BODY = 5
    CAPTURE_DIALOG = 6
    CAPTURE_TEXT = 7

class OperandKind(IntEnum):
    OPERAND_CONST = 0
    OPERAND_VARIABLE = 1
    OPERAND_COLUMN = 2
    OPERAND_UNIFORM = 3
    OPERAND_NORMAL = 4
    OPERAND_LOGNORMAL = 5
    OPERAND_EXPONENTIAL = 6

class TemplateKind(IntEnum):
    TEMPLATE_REQUEST = 0
    TEMPLATE_ACK = 1
    TEMPLATE_ACK_FAILURE = 2
    TEMPLATE_CANCEL = 3
    TEMPLATE_RESPONSE = 4
    TEMPLATE_TEXT = 5

class TemplateFlag(IntEnum):
    TEMPLATE_IN_DIALOG = 1
    TEMPLATE_FIXED_LENGTH = 2
    TEMPLATE_RELIABLE = 4

class Field(IntEnum):
    FIELD_LITERAL = 0
    FIELD_BRANCH = 1
    FIELD_CALL_ID = 2
    FIELD_LOCAL_TAG = 3
    FIELD_TOKEN = 4
    FIELD_CSEQ = 5
    FIELD_REQUEST_URI = 6
    FIELD_ROUTES = 7
    FIELD_REMOTE_TAG = 8
    FIELD_LOCAL_PARTY = 9
    FIELD_REMOTE_PARTY = 10
    FIELD_LOCAL = 11
    FIELD_LOCAL_HOST = 12
    FIELD_COLUMN = 13
    FIELD_VARIABLE = 14
    FIELD_AUTHORIZATION = 15
    FIELD_ECHO = 16
    FIELD_CONTENT_LENGTH = 17
    FIELD_CHALLENGE = 18
    FIELD_CONTACTS = 19
    FIELD_ECHO_PARTIES = 20
    FIELD_INITIAL_URI = 21
    FIELD_TEXT = 22
    FIELD_RSEQ = 23
    FIELD_RACK = 24
    FIELD_FILL = 25

class MatcherKind(IntEnum):
    MATCH_RESPONSE = 0
    MATCH_REQUEST = 1
    MATCH_TIMEOUT = 2
    MATCH_TRANSPORT = 3
    MATCH_CANCEL = 4

class Outcome(IntEnum):
    OUTCOME_SUCCEEDED = 0
    OUTCOME_REJECTED = 1
    OUTCOME_TIMEOUT = 2
    OUTCOME_TRANSPORT = 3
    OUTCOME_UNEXPECTED = 4
    OUTCOME_AUTH_FAILED = 5
    OUTCOME_NO_ACK = 6
    OUTCOME_CANCELLED = 7
    OUTCOME_ABORTED = 8
    OUTCOME_NO_RESOURCE = 9
    OUTCOME_NO_ANSWER = 10
    OUTCOME_USER = 16
    OUTCOME_COUNT = 48

class ChallengeFlag(IntEnum):
    CHALLENGE_ALGORITHM = 3
    CHALLENGE_SESSION = 4
    CHALLENGE_AUTH = 8
    CHALLENGE_AUTH_INT = 16
    CHALLENGE_PROXY = 32
    CHALLENGE_NEXT = 256

class EntryFlag(IntEnum):
    ENTRY_OWNS_USER = 1
    ENTRY_KEEPS_NONCES = 2

def layouts() -> dict[str, dict[str, tuple[int, int]]]:
    """Size of every record (under "") and offset and size of each of its members, in octets."""
