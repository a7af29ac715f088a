"""Patterns of calls: POSIX extended regular expressions of octets."""

from siploadgen.core.pattern import pattern_groups
from siploadgen.model.errors import ModelError

GROUPS_MAX = 9  # in brackets


def octets_of(pattern: str) -> bytes:
    """Return a pattern as the engine has it; what a file had that is no UTF-8 stays as it was."""
    return pattern.encode("utf-8", "surrogateescape")


def group_count(pattern: str, any_case: bool = False) -> int:
    r"""Count the groups of a pattern. ModelError: it is none, or one that refers back.

    >>> group_count("IP4 ([0-9.]+).*audio ([0-9]+)"), group_count("[(]\\(")
    (2, 0)
    """
    try:
        count = pattern_groups(octets_of(pattern), any_case)
    except ValueError as error:
        raise ModelError(f"the pattern {pattern!r}: {error}",
                         mend="write a POSIX extended regular expression") from None
    if count > GROUPS_MAX:
        raise ModelError(f"the pattern {pattern!r} has {count} groups",
                         mend=f"{GROUPS_MAX} are possible")
    return count
