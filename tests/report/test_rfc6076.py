"""Ratios of RFC 6076 from what became of attempts."""

import pytest

from siploadgen.core.measure import AttemptKind
from siploadgen.report import rfc6076
from tests.report.builders import figures

INVITE, REGISTER, BYE = (AttemptKind.ATTEMPT_INVITE, AttemptKind.ATTEMPT_REGISTER,
                         AttemptKind.ATTEMPT_BYE)
BEGUN, TIMEOUT, TRANSPORT, PROVED, COMPLETED = range(5)


def ratios(**changes):
    return rfc6076.ratios(figures(**changes))


def test_without_attempts_there_is_no_ratio():
    assert ratios() == dict.fromkeys(("ser", "seer", "isa", "scr", "ira"))
    assert ratios(attempts={(INVITE, BEGUN): 10})["ser"] is None  # none of them has ended


@pytest.mark.parametrize(("attempts", "expected"), [
    # answered, the callee's no, a server's failure, silence, an unknown callee
    ({200: 6, 486: 1, 503: 1, TIMEOUT: 1, 404: 1, COMPLETED: 5}, (0.6, 0.7, 0.2, 0.5)),
    # redirected ones are left out of SER and SEER, and stay in the others
    ({200: 2, 302: 2, COMPLETED: 2}, (1.0, 1.0, 0.0, 0.5)),
    ({302: 3}, (None, None, 0.0, 0.0)),
    # a challenge that was answered is no end; one that was not, is
    ({401: 4, PROVED: 3, 200: 3, COMPLETED: 3}, (0.75, 0.75, 0.0, 0.75)),
    ({480: 1, 600: 1, 603: 1, 488: 1}, (0.0, 0.75, 0.0, 0.0)),
    ({408: 1, 500: 1, 504: 1, TRANSPORT: 1, 501: 1}, (0.0, 0.0, 0.8, 0.0)),
])
def test_sessions(attempts, expected):
    found = ratios(attempts={(INVITE, column): count for column, count in attempts.items()})
    assert tuple(found[name] for name in ("ser", "seer", "isa", "scr")) == tuple(
        pytest.approx(value) if value is not None else None for value in expected)
    assert found["ira"] is None


@pytest.mark.parametrize(("attempts", "expected"), [
    ({200: 9, 403: 1}, 0.1), ({401: 5, PROVED: 5, 200: 5}, 0.0), ({407: 1}, 0.0),
    ({301: 1, 200: 1}, 0.0), ({423: 1, 200: 1, TIMEOUT: 1, 500: 1}, 0.75)])
def test_registrations(attempts, expected):
    found = ratios(attempts={(REGISTER, column): count for column, count in attempts.items()})
    assert found["ira"] == pytest.approx(expected)


def test_what_became_of_attempts():
    found = rfc6076.attempts(figures(attempts={
        (INVITE, BEGUN): 3, (INVITE, 200): 2, (INVITE, 401): 1, (INVITE, PROVED): 1,
        (INVITE, COMPLETED): 2, (BYE, BEGUN): 2, (BYE, 200): 2}))
    assert found == {
        "INVITE": {"begun": 3, "with_credentials": 1, "timeout": 0, "transport": 0,
                   "finals": {"200": 2, "401": 1}, "completed": 2},
        "BYE": {"begun": 2, "with_credentials": 0, "timeout": 0, "transport": 0,
                "finals": {"200": 2}}}
