"""Errors that a user can act on, and the exit codes that go with them."""

from enum import IntEnum


class Exit(IntEnum):
    """Exit codes of the `siploadgen` command; 99, 104 and 105 mean what they mean in k6."""

    OK = 0
    INTERNAL = 1
    USAGE = 2
    REGRESSION = 90
    INVALID = 91
    THRESHOLD = 99
    NO_ANSWER = 100
    SCENARIO = 104
    INTERRUPTED = 105


class SiploadgenError(Exception):
    """Base of every error that is shown as one line: what is wrong, where, and what mends it."""

    exit_code: Exit = Exit.INTERNAL


class UsageError(SiploadgenError):
    """The command line asks for something that cannot be done."""

    exit_code = Exit.USAGE


class ScenarioError(SiploadgenError):
    """A scenario, a data file or a configuration is not valid."""

    exit_code = Exit.SCENARIO


class TargetError(SiploadgenError):
    """The target cannot be reached, or never answered."""

    exit_code = Exit.NO_ANSWER


class InternalError(SiploadgenError):
    """The program contradicts itself: figures that must add up do not."""

    exit_code = Exit.INTERNAL
