"""Numbers of the methods, the same as in core/sip/tokens.pxd (a test compares the two)."""

from enum import IntEnum


class Method(IntEnum):
    """The methods that have a number of their own; UNKNOWN stands for any other token."""

    UNKNOWN = 0
    INVITE = 1
    ACK = 2
    BYE = 3
    CANCEL = 4
    REGISTER = 5
    OPTIONS = 6
    SUBSCRIBE = 7
    NOTIFY = 8
    PUBLISH = 9
    REFER = 10
    INFO = 11
    UPDATE = 12
    PRACK = 13
    MESSAGE = 14


def method_number(name: str) -> Method:
    """Find the number of a method; methods are case-sensitive (RFC 3261 7.1).

    >>> method_number("BYE"), method_number("bye")
    (<Method.BYE: 3>, <Method.UNKNOWN: 0>)
    """
    return Method.__members__.get(name, Method.UNKNOWN)
