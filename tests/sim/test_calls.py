"""Whole calls through good and bad networks: everything ends, nothing is left over, both ends
agree.
"""

from __future__ import annotations

import pytest

from tests.sim.helpers import STORM, Trial, counts, outcomes
from tests.sim.network import Weather, drained

USERS = 300
TRIALS = {
    "call": Trial(),
    "call-hold-ring": Trial(settings={"hold": "exponential(2s)"},
                            answers={"ring": "lognormal(1s,0.4)"}),
    "call-early-media": Trial(answers={"early_media": "yes"}),
    "call-callee-hangs-up": Trial(settings={"callee_hangs_up": "yes"},
                                  answers={"callee_hangs_up": "yes", "hold": "1s"}),
    "call-challenged": Trial(settings={"user": "bob"}, answerer={"challenge": "md5"}),
    "call-challenged-as-by-a-proxy": Trial(
        settings={"user": "bob", "hold": "exponential(2s)"},
        answerer={"challenge": "sha-512-256-sess"},
        answers={"challenge_qop": "auth-int", "challenge_status": "407", "next_nonce": "yes"}),
    "call-cached-nonce": Trial(
        rate_per_s=20.0, settings={"user": "bob", "cache_nonce": "yes"},
        answerer={"challenge": "md5"}, answers={"nonce_life": "3s"}),
    "register-cached-nonce": Trial(
        "register", users=150, rate_per_s=10.0, settings={"cache_nonce": "yes"},
        answerer={"challenge": "sha-256"}, answers={"nonce_life": "7s"}),
    "register": Trial("register", users=USERS),
    "register-refreshed": Trial("register", users=USERS,
                                settings={"refreshes": "2", "expires": "60"}),
    "register-md5": Trial("register", users=USERS, answerer={"challenge": "md5"}),
    "register-sha-256": Trial("register", users=USERS, answerer={"challenge": "sha-256"}),
    "options": Trial("options"),
}


@pytest.mark.parametrize("name", TRIALS)
def test_a_good_network_loses_nothing(name: str) -> None:
    network = TRIALS[name].run()
    assert outcomes(network.caller.outcomes) == {"succeeded": 200}
    assert "retransmitted" not in counts(network.caller)
    assert "retransmitted" not in counts(network.answerer)
    drained(network.caller)
    drained(network.answerer)


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("name", TRIALS)
def test_a_bad_network_loses_no_call(name: str, seed: int) -> None:
    """5 % of the datagrams lost, 5 % doubled, all of them late by up to 20 ms and so reordered."""
    network = TRIALS[name].run(seed, STORM)
    assert network.lost > 0, f"seed {seed}"
    assert outcomes(network.caller.outcomes) == {"succeeded": 200}, f"seed {seed}"
    answered = outcomes(network.answerer.answered_outcomes, TRIALS[name].programs()[1])
    assert set(answered) <= {"succeeded", "challenged"}, f"seed {seed}"
    assert sum(answered.values()) == counts(network.answerer)["answered"], f"seed {seed}"
    drained(network.caller)
    drained(network.answerer)


def test_thousands_of_calls() -> None:
    network = Trial(calls=5000, rate_per_s=5000).run(7, Weather(loss=0.01, duplication=0.01))
    assert outcomes(network.caller.outcomes) == {"succeeded": 5000}
    assert outcomes(network.answerer.answered_outcomes) == {"succeeded": 5000}
    drained(network.caller)
    drained(network.answerer)


@pytest.mark.parametrize("loss", [0.3, 0.6, 0.95, 1.0])
def test_a_hopeless_network_still_ends_every_call(loss: float) -> None:
    # The answering side hangs up by itself: the caller's BYE may never get through.
    trial = Trial(calls=300, answers={"limit": "120s"})
    network = trial.run(3, Weather(loss=loss))
    ended = outcomes(network.caller.outcomes, trial.programs()[0])
    assert sum(ended.values()) == 300
    assert set(ended) <= {"succeeded", "timeout", "no_answer", "cancel_timeout"}
    drained(network.caller)
    drained(network.answerer)
    if loss == 1.0:
        assert ended == {"timeout": 300}
        assert network.answerer.received_requests.sum() == 0


def test_refusals_are_counted_the_same_at_both_ends() -> None:
    trial = Trial(calls=1000, answerer={"reject": "486:30%,503:10%"})
    network = trial.run(5, STORM)
    caller = outcomes(network.caller.outcomes)
    answered = outcomes(network.answerer.answered_outcomes, trial.programs()[1])
    assert caller["rejected"] == answered["refused"]
    assert caller["succeeded"] == answered["succeeded"]
    assert 300 < caller["rejected"] < 500
    by_status = network.caller.received_responses[1]
    assert by_status[486 - 100] > by_status[503 - 100] > 0
    drained(network.caller)
    drained(network.answerer)


@pytest.mark.parametrize("weather", [Weather(), STORM], ids=["good", "bad"])
def test_calls_that_ring_too_long_are_cancelled(weather: Weather) -> None:
    network = Trial(settings={"ring_limit": "3s"}, answers={"no_answer": "50%"}).run(2, weather)
    caller = outcomes(network.caller.outcomes)
    answered = outcomes(network.answerer.answered_outcomes)
    assert set(caller) == {"succeeded", "no_answer"}
    assert caller["no_answer"] == answered["cancelled"]
    assert network.caller.received_responses[1][487 - 100] >= caller["no_answer"]
    drained(network.caller)
    drained(network.answerer)


def test_a_wrong_password_ends_as_auth_failed() -> None:
    network = Trial("register", users=10, calls=10, answers={"password": "other"},
                    answerer={"challenge": "md5"}).run()
    assert outcomes(network.caller.outcomes) == {"auth_failed": 10}
    assert network.caller.sent_requests[5] == 20        # one answer to the challenge, not a loop
    drained(network.caller)
    drained(network.answerer)


def test_the_same_seed_gives_the_same_octets() -> None:
    trial = Trial(calls=100, settings={"hold": "exponential(2s)"})
    first = trial.run(11, STORM, record=True)
    second = trial.run(11, STORM, record=True)
    other = trial.run(12, STORM, record=True)
    assert first.record == second.record
    assert first.record != other.record


def test_a_retransmission_is_octet_identical() -> None:
    """All copies of one message, by sender, transaction and start line."""
    for trial in (Trial(), Trial("register", users=50, answerer={"challenge": "md5"}),
                  Trial(settings={"user": "bob"}, answerer={"challenge": "sha-256"})):
        network = trial.run(21, Weather(loss=0.3), record=True)
        copies: dict[tuple[str, bytes, bytes], set[bytes]] = {}
        repeated = 0
        for _at, sender, data in network.record or []:
            line, rest = data.split(b"\r\n", 1)
            branch = rest.split(b"branch=", 1)[1].split(b"\r\n", 1)[0]
            known = copies.setdefault((sender, line, branch), set())
            repeated += data in known
            known.add(data)
        assert repeated > 20
        assert all(len(known) == 1 for known in copies.values())


def test_identifiers_of_a_run_are_unique() -> None:
    network = Trial(calls=2000, rate_per_s=200).run(record=True)
    invites = [data for _, _, data in network.record or [] if data.startswith(b"INVITE")]
    call_ids = {data.split(b"Call-ID: ")[1].split(b"\r\n")[0] for data in invites}
    branches = {data.split(b"branch=")[1].split(b"\r\n")[0] for data in invites}
    assert len(invites) == len(call_ids) == len(branches) == 2000
