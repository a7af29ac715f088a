"""RFC 6076 to the millisecond, message by message; what a repeat must not move."""

from __future__ import annotations

import numpy as np
import pytest

from siploadgen.core.engine import START_DTYPE
from siploadgen.core.measure import AttemptColumn, AttemptKind, Measure
from siploadgen.core.sip.tokens import Method
from siploadgen.report.histogram import HIGHEST_AT_US, LOWEST_AT_US
from tests.engine.drive import (
    MS,
    SECOND,
    Bench,
    answered,
    answerer,
    ask,
    back,
    caller,
    only,
    reply,
    talking,
    within,
)

INVITE, REGISTER, BYE = (AttemptKind.ATTEMPT_INVITE, AttemptKind.ATTEMPT_REGISTER,
                         AttemptKind.ATTEMPT_BYE)
BEGUN, TIMEOUT = AttemptColumn.ATTEMPT_BEGUN, AttemptColumn.ATTEMPT_TIMEOUT
PROVED, COMPLETED = AttemptColumn.ATTEMPT_PROVED, AttemptColumn.ATTEMPT_COMPLETED


def measured(bench: Bench) -> dict[str, float]:
    """Milliseconds of each measure with one value; more than one is a fault."""
    found = {}
    for row in range(Measure.MEASURE_METHODS):
        counts = bench.engine.measures[0, row]
        assert counts.sum() == bench.engine.measured[0, row] <= 1, row
        if counts.any():
            place = int(np.flatnonzero(counts)[0])
            middle = (LOWEST_AT_US[place] + HIGHEST_AT_US[place]) / 2
            found[Measure(row).name.removeprefix("MEASURE_").lower()] = round(middle / 1000, 1)
    return {name: pytest.approx(value, rel=0.001) for name, value in found.items()}


def attempts(bench: Bench, kind: AttemptKind) -> dict[int, int]:
    """What became of attempts: by column, or by final status."""
    counted = bench.engine.attempts[0, kind]
    return {int(place) + 100 * (place >= 100): int(counted[place])
            for place in np.flatnonzero(counted)}


def finals(bench: Bench, method: Method) -> list[int]:
    """Values by class of final response: 2xx to 6xx."""
    methods = (Method.METHOD_INVITE, Method.METHOD_BYE)
    start = Measure.MEASURE_METHODS + 5 * methods.index(method)
    return bench.engine.measured[0, start:start + 5].tolist()


def test_an_ordinary_call() -> None:
    bench = caller(settings={"hold": "3s"})
    invite = bench.start()
    bench.wait(40 * MS)
    bench.feed(reply(invite, 100))
    bench.wait(60 * MS)
    bench.feed(reply(invite, 180))
    bench.wait(100 * MS)
    bench.feed(reply(invite, 183))
    bench.wait(300 * MS)
    bench.feed(reply(invite, 200))
    bench.wait(10 * MS)
    bench.feed(reply(invite, 200))              # a copy moves nothing
    bye = bench.wait(3 * SECOND)[-1]
    bench.wait(700 * MS)                        # it is sent again meanwhile
    bench.feed(reply(bye, 200))
    assert measured(bench) == {"srd": 100, "sdt": 3000, "sdd": 710}
    assert attempts(bench, INVITE) == {BEGUN: 1, 200: 1, COMPLETED: 1}
    assert attempts(bench, BYE) == {BEGUN: 1, 200: 1}
    assert finals(bench, Method.METHOD_INVITE) == [1, 0, 0, 0, 0]
    bench.drain()


def test_ringing_and_then_failing_is_a_failure() -> None:
    bench = caller()
    invite = bench.start()
    bench.wait(100 * MS)
    bench.feed(reply(invite, 180))
    assert not measured(bench)                  # nobody knows yet which of the two it is
    bench.wait(900 * MS)
    bench.feed(reply(invite, 486))
    bench.feed(reply(invite, 486))
    assert measured(bench) == {"srd_failed": 100}
    assert attempts(bench, INVITE) == {BEGUN: 1, 486: 1}
    assert finals(bench, Method.METHOD_INVITE) == [0, 0, 1, 0, 0]
    bench.drain()


def test_a_repeat_of_the_request_moves_nothing() -> None:
    bench = caller()
    invite = bench.start()
    bench.wait(1600 * MS)
    assert bench.count("retransmitted") == 2
    bench.feed(reply(invite, 404))
    assert measured(bench) == {"srd_failed": 1600}
    bench.drain()


def test_silence_is_counted_by_timer() -> None:
    bench = caller()
    bench.start()
    bench.drain()
    assert not measured(bench)
    assert attempts(bench, INVITE) == {BEGUN: 1, TIMEOUT: 1}
    assert (bench.count("timer_b"), bench.count("timer_f")) == (1, 0)


def test_a_bye_without_answer() -> None:
    bench = caller(settings={"hold": "1s"})
    talking(bench)
    bench.drain()
    assert measured(bench) == {"srd": 0, "sdt_failed": 33_000}
    assert attempts(bench, BYE) == {BEGUN: 1, TIMEOUT: 1}
    assert COMPLETED not in attempts(bench, INVITE)
    assert (bench.count("timer_b"), bench.count("timer_f")) == (0, 1)


def test_a_bye_that_is_refused() -> None:
    bench = caller(settings={"hold": "1s"})
    talking(bench)
    bye = bench.wait(SECOND)[-1]
    bench.wait(20 * MS)
    bench.feed(reply(bye, 500))
    assert measured(bench) == {"srd": 0, "sdt": 1000, "sdd_failed": 20}
    assert COMPLETED not in attempts(bench, INVITE)
    bench.drain()


@pytest.mark.parametrize("status", [200, 481])
def test_byes_that_cross_complete_the_session(status: int) -> None:
    bench = caller(settings={"hold": "1s"})
    invite, _ = talking(bench)
    bye = bench.wait(SECOND)[-1]
    bench.wait(5 * MS)
    bench.feed(back(invite, "BYE"))
    bench.wait(5 * MS)
    bench.feed(reply(bye, status))
    assert measured(bench) == {"srd": 0, "sdt": 1000} | ({"sdd": 10} if status == 200 else {})
    assert attempts(bench, INVITE)[COMPLETED] == 1
    bench.drain()


def test_the_callee_hangs_up() -> None:
    bench = caller(settings={"callee_hangs_up": "yes"})
    invite, _ = talking(bench)
    bench.wait(2 * SECOND)
    assert only(bench.feed(back(invite, "BYE"))).status == 200
    assert measured(bench) == {"srd": 0, "sdt": 2000}
    assert attempts(bench, INVITE) == {BEGUN: 1, 200: 1, COMPLETED: 1}
    assert not attempts(bench, BYE)
    bench.drain()


def test_a_redirection_is_inside_the_delay_and_another_attempt() -> None:
    bench = caller("call-redirect")
    invite = bench.start()
    bench.wait(30 * MS)
    sent = bench.feed(reply(invite, 302, headers=["Contact: <sip:c@192.0.2.20>"]))
    again = sent[-1]
    assert again.name == "INVITE"
    bench.wait(30 * MS)
    bench.feed(reply(again, 200))
    assert measured(bench)["srd"] == 60
    assert attempts(bench, INVITE) == {BEGUN: 2, 302: 1, 200: 1}


def test_a_challenge_is_inside_the_delay_and_the_same_attempt() -> None:
    bench = caller("call-auth")
    invite = bench.start()
    bench.wait(30 * MS)
    challenge = 'WWW-Authenticate: Digest realm="r", nonce="n", algorithm=MD5, qop="auth"'
    again = bench.feed(reply(invite, 401, headers=[challenge]))[-1]
    bench.wait(30 * MS)
    bench.feed(reply(again, 180))
    bench.wait(30 * MS)
    bench.feed(reply(again, 200))
    assert measured(bench)["srd"] == 60
    assert attempts(bench, INVITE) == {BEGUN: 1, PROVED: 1, 401: 1, 200: 1}


def test_a_registration() -> None:
    bench = caller("register", users=1, settings={"remove": "no"})
    first = bench.start()
    bench.wait(30 * MS)
    challenge = 'WWW-Authenticate: Digest realm="r", nonce="n", algorithm=MD5, qop="auth"'
    again = bench.feed(reply(first, 401, headers=[challenge]))[-1]
    bench.wait(700 * MS)
    bench.feed(reply(again, 200))
    assert measured(bench) == {"rrd": 730}
    assert attempts(bench, REGISTER) == {BEGUN: 1, PROVED: 1, 401: 1, 200: 1}
    assert not attempts(bench, INVITE)
    bench.drain()


def test_the_answering_side_measures_how_long_a_call_was() -> None:
    bench = answerer()
    ok = answered(bench)
    bench.wait(4 * SECOND)
    bench.feed(within(ok, "BYE", cseq=2))
    assert measured(bench) == {"sdt": 4000}
    assert not attempts(bench, INVITE)          # they are the caller's to count
    bench.drain()


def test_a_missing_ack_is_counted() -> None:
    bench = answerer()
    bench.feed(ask())
    bench.wait(33 * SECOND)
    assert bench.count("timer_h") == 1


def test_series_are_told_apart() -> None:
    bench = caller(series=3)
    starts = np.zeros(2, START_DTYPE)
    starts["row"], starts["series"], starts["number"] = 2**32 - 1, [1, 2], [0, 1]
    bench.engine.schedule(starts)
    first, second = bench.run(0)
    bench.feed(reply(first, 486))
    bench.feed(reply(second, 503))
    assert [bench.engine.measured[series, Measure.MEASURE_SRD_FAILED] for series in range(3)] == [
        0, 1, 1]
    assert bench.engine.attempts[1, INVITE, 386] == bench.engine.attempts[2, INVITE, 403] == 1
    assert bench.engine.attempts[0].sum() == 0
    bench.drain()
