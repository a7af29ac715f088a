"""Regular expressions of octets (POSIX extended)."""

def pattern_groups(pattern: bytes, any_case: bool = False) -> int:
    """Return how many groups in brackets a POSIX extended regular expression has.

    ValueError: it is none, or one that refers back to a group.
    """
