"""RFC 6076 of a run: what became of session and registration attempts, and their ratios.

One attempt is one INVITE or REGISTER with all its repeats; sent again with credentials it is still
the same attempt, after a redirection it is another. What has not ended yet is in no ratio.
"""

from typing import Any

import numpy as np

from siploadgen.core.measure import AttemptColumn, AttemptKind
from siploadgen.figures import Array, Figures

SEER = (480, 486, 600, 603)  # RFC 6076 4.7: failures that only the callee can mend
INEFFECTIVE = (408, 500, 503, 504)  # 4.8
CHALLENGES = (401, 402, 407)  # 4.2: no failure of a registration
RATIOS = ("ser", "seer", "isa", "scr", "ira")

_LOWEST = 100  # of the columns that stand for final statuses: 200
_KINDS = {"INVITE": AttemptKind.ATTEMPT_INVITE, "REGISTER": AttemptKind.ATTEMPT_REGISTER,
          "BYE": AttemptKind.ATTEMPT_BYE}


def _of(figures: Figures, kind: AttemptKind) -> Array:
    counted: Array = figures.attempts[:, kind].sum(axis=0)
    return counted


def _silent(counted: Array) -> int:
    """Count attempts without any final response."""
    return int(counted[AttemptColumn.ATTEMPT_TIMEOUT] + counted[AttemptColumn.ATTEMPT_TRANSPORT])


def _ended(counted: Array) -> int:
    """Count attempts that are over; those that were proved ended with what came after."""
    return max(int(counted[_LOWEST:].sum()) + _silent(counted)
               - int(counted[AttemptColumn.ATTEMPT_PROVED]), 0)


def _with(counted: Array, *statuses: int) -> int:
    return int(counted[[status - 100 for status in statuses]].sum())


def _ratio(part: int, whole: int) -> float | None:
    return min(part / whole, 1.0) if whole > 0 else None


def ratios(figures: Figures) -> dict[str, float | None]:
    """Return SER, SEER, ISA, SCR and IRA as shares from 0 to 1; None where the denominator is 0.

    No response at all counts as 408, an error of the transport as 503 (RFC 3261 8.1.3.1).
    """
    invites = _of(figures, AttemptKind.ATTEMPT_INVITE)
    attempts = _ended(invites)
    sent_on = attempts - int(invites[200:300].sum())
    answered = int(invites[100:200].sum())
    registers = _of(figures, AttemptKind.ATTEMPT_REGISTER)
    refused = int(registers[300:].sum()) - _with(registers, *CHALLENGES)
    return {
        "ser": _ratio(answered, sent_on),
        "seer": _ratio(answered + _with(invites, *SEER), sent_on),
        "isa": _ratio(_with(invites, *INEFFECTIVE) + _silent(invites), attempts),
        "scr": _ratio(int(invites[AttemptColumn.ATTEMPT_COMPLETED]), attempts),
        "ira": _ratio(refused + _silent(registers), _ended(registers)),
    }


def attempts(figures: Figures) -> dict[str, Any]:
    """Count what became of INVITEs that open a session, of REGISTERs, and of BYEs of sessions."""
    result = {}
    for name, kind in _KINDS.items():
        counted = _of(figures, kind)
        if not counted.any():
            continue
        result[name] = {
            "begun": int(counted[AttemptColumn.ATTEMPT_BEGUN]),
            "with_credentials": int(counted[AttemptColumn.ATTEMPT_PROVED]),
            "timeout": int(counted[AttemptColumn.ATTEMPT_TIMEOUT]),
            "transport": int(counted[AttemptColumn.ATTEMPT_TRANSPORT]),
            "finals": {str(place + 100): int(counted[place])
                       for place in np.flatnonzero(counted) if place >= _LOWEST},
        }
        if kind == AttemptKind.ATTEMPT_INVITE:
            result[name]["completed"] = int(counted[AttemptColumn.ATTEMPT_COMPLETED])
    return result
