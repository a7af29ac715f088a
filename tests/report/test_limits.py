"""The verdict: each rule alone, intervals, exit codes, and what a silent target looked like."""

import pytest

from siploadgen.errors import Exit, UsageError
from siploadgen.report import limits
from siploadgen.report.limits import LIMITS, Judge, Rule
from tests.report.builders import figures, result_of
from tests.run.fake_engine import Method, World

INVITE = Method.METHOD_INVITE
SENT = {"requests": {INVITE: 1000}}


def judge(held, length_s=1.0, engines=None, answerer=None, whole=True, bounded=False, **changed):
    values = {**limits.parse_limits([]), **changed}
    rules = Judge(values, bounded).rules(held, engines or [held], answerer, length_s, whole)
    return limits.worst(rules), {rule.name for rule in rules if not rule.ok}


@pytest.mark.parametrize(("held", "state", "broken"), [
    (figures(), "valid", set()),
    (figures(COUNT_DUE=1000, COUNT_STARTED=1000, histograms={0: [900] * 100}), "valid", set()),
    (figures(COUNT_DUE=1000, COUNT_STARTED=1000, histograms={0: [1100] * 100}), "invalid",
     {"late_start_p99"}),
    # one in a hundred may be late: it is the 99th percentile that counts
    (figures(COUNT_DUE=1000, histograms={0: [10] * 990 + [9000] * 10}), "valid", set()),
    (figures(COUNT_DUE=1000, histograms={0: [10] * 980 + [9000] * 20}), "invalid",
     {"late_start_p99"}),
    # 10 calls a second: a tenth of the gap is 10 ms
    (figures(COUNT_DUE=10, histograms={0: [9000] * 10}), "valid", set()),
    (figures(COUNT_DUE=10, histograms={0: [11_000] * 10}), "invalid", {"late_start_p99"}),
    (figures(COUNT_DUE=1000, COUNT_STARTED=999, COUNT_NOT_STARTED_NO_SLOT=1), "valid", set()),
    (figures(COUNT_DUE=1000, COUNT_STARTED=998, COUNT_NOT_STARTED_NO_SLOT=2), "invalid",
     {"attained"}),
    (figures(COUNT_DUE=1000, COUNT_STARTED=500, COUNT_NOT_STARTED_STOPPED=400,
             COUNT_NOT_STARTED_NO_USER=100), "valid", set()),
    (figures(COUNT_DUE=1000, COUNT_STARTED=500, COUNT_NOT_STARTED_THROTTLED=500), "valid", set()),
    (figures(udp={"receive_drops": 1}), "invalid", {"receive_drops"}),
    (figures(udp={"send_errors": 1}), "invalid", {"send_errors"}),
    (figures(COUNT_SLAB_FULL=1), "invalid", {"slab_full"}),
    (figures(histograms={1: [5100] * 10}), "suspect", {"receive_delay_p99"}),
    (figures(histograms={1: [4900] * 10}), "valid", set()),
    (figures(COUNT_BUSY_NS=96, COUNT_WAIT_NS=4), "suspect", {"loop_busy"}),
    (figures(COUNT_RETRANSMITTED_OWN_FAULT=2, **SENT), "suspect", {"retransmitted_own_fault"}),
    (figures(COUNT_RETRANSMITTED_OWN_FAULT=1, **SENT), "valid", set()),
    (figures(COUNT_SLAB_FULL=1, histograms={1: [9000]}), "invalid",
     {"slab_full", "receive_delay_p99"}),
])
def test_rules(held, state, broken):
    assert judge(held) == (state, broken)


def test_a_bound_that_the_user_asked_for_is_not_the_generators_fault():
    held = figures(COUNT_DUE=100, COUNT_STARTED=10, COUNT_NOT_STARTED_NO_SLOT=90)
    assert judge(held, bounded=True) == ("valid", set())
    assert judge(held, bounded=False) == ("invalid", {"attained"})


def test_the_busiest_engine_counts():
    idle, busy = (figures(COUNT_BUSY_NS=share, COUNT_WAIT_NS=100 - share) for share in (10, 99))
    assert judge(idle + busy, engines=[idle, busy])[1] == {"loop_busy"}


def test_the_embedded_answerer_is_judged_too():
    assert judge(figures(), answerer=figures(udp={"receive_drops": 2})) == (
        "suspect", {"answerer_receive_drops"})


def test_limits_can_be_set():
    values = limits.parse_limits(["late_start_p99=20ms", "receive_drops=10", "loop_busy=50%"])
    assert (values["late_start_p99"], values["receive_drops"], values["loop_busy"]) == (
        0.02, 10, 0.5)
    assert set(values) == set(LIMITS)
    assert judge(figures(COUNT_DUE=1000, histograms={0: [15_000]}), **values) == ("valid", set())


@pytest.mark.parametrize("text", ["late=1ms", "late_start_p99", "late_start_p99=5", "loop_busy=2",
                                  "receive_drops=x", "=1", ""])
def test_bad_limits(text):
    with pytest.raises(UsageError, match="--limit"):
        limits.parse_limits([text])


def test_an_invalid_second_spoils_the_run():
    judge_ = Judge(limits.parse_limits([]))
    good = figures(COUNT_DUE=1000, COUNT_STARTED=1000, histograms={0: [10] * 1000})
    bad = figures(COUNT_DUE=1000, COUNT_STARTED=1000, histograms={0: [9000] * 30 + [10] * 970})
    whole = good
    for start in range(9):
        assert judge_.interval(start, good, [good], None, 1.0)[0] == "valid"
        whole = whole + good
    state, broken = judge_.interval(9.0, bad, [bad], None, 1.0)
    assert (state, [rule.name for rule in broken]) == ("invalid", ["late_start_p99"])
    verdict = judge_.verdict(whole + bad, [whole + bad], None, 11.0)
    assert verdict["state"] == "invalid"
    assert [rule["name"] for rule in verdict["rules"] if not rule["ok"]] == ["invalid_intervals"]
    assert [interval["t_s"] for interval in verdict["intervals"]] == [9.0]
    assert Judge({**judge_.limits, "invalid_intervals": 1}, intervals=judge_.intervals).verdict(
        whole + bad, [whole + bad], None, 11.0)["state"] == "valid"


def test_every_rule_of_a_run_says_value_and_limit():
    rules = result_of()["verdict"]["rules"]
    assert {rule["name"] for rule in rules} >= {
        "late_start_p99", "attained", "receive_drops", "send_errors", "slab_full", "loop_busy",
        "receive_delay_p99", "retransmitted_own_fault", "invalid_intervals"}
    assert all(set(rule) == {"name", "value", "limit", "ok", "severity"} for rule in rules)


def test_stopped_calls_are_not_part_of_the_rate():
    from siploadgen.report.collect import _rates

    counted = {"due": 100, "started": 60, "succeeded": 30, "not_started": {"stopped": 40}}
    assert _rates(counted, 10.0) == {"due_per_s": 6.0, "started_per_s": 6.0, "succeeded_per_s": 3.0}
    assert _rates(counted, 0.0)["due_per_s"] is None


def test_worst():
    rule = Rule("x", 1, 0, False, "suspect")
    assert limits.worst([]) == "valid"
    assert limits.worst([rule]) == "suspect"
    assert limits.worst([rule, Rule("y", 1, 0, False, "invalid")]) == "invalid"
    assert limits.worst([Rule("y", 0, 0, True, "invalid")]) == "valid"


GOOD = {"due": 1, "started": 1, "not_started": {"no_slot": 0}, "succeeded": 1, "failed": {},
        "in_progress": 0}
FAILED = {**GOOD, "succeeded": 0, "failed": {"timeout": 1}}
MISSED = {**GOOD, "due": 2, "not_started": {"no_slot": 1}}
OK, BROKEN = [{"ok": True}], [{"ok": True}, {"ok": False}]


@pytest.mark.parametrize(("given", "code"), [
    ({}, Exit.OK),
    ({"calls": FAILED}, Exit.THRESHOLD),
    ({"calls": MISSED}, Exit.THRESHOLD),
    ({"calls": FAILED, "thresholds": OK}, Exit.OK),
    ({"thresholds": BROKEN}, Exit.THRESHOLD),
    ({"thresholds": BROKEN, "verdict": "invalid"}, Exit.INVALID),
    ({"verdict": "suspect"}, Exit.OK),
    ({"verdict": "suspect", "strict": True}, Exit.INVALID),
    ({"verdict": "suspect", "thresholds": BROKEN}, Exit.THRESHOLD),
    ({"silent": True, "verdict": "invalid", "calls": FAILED}, Exit.NO_ANSWER),
    ({"interrupted": True, "verdict": "invalid", "silent": True}, Exit.INTERRUPTED),
])
def test_exit_codes(given, code):
    assert limits.exit_code(**{"verdict": "valid", "strict": False, "interrupted": False,
                               "silent": False, "thresholds": [], "calls": GOOD, **given}) == code


@pytest.mark.parametrize(("world", "said"), [
    (World(silent=True), "only silence"), (World(refused=True), "ICMP"),
    (World(unreachable=True), "unreachable"),
])
def test_a_target_that_never_answers(world, said):
    result = result_of(world)
    assert said in result["never_answered"]
    assert result["exit_code"] == 100


def test_an_answer_is_an_answer():
    assert limits.never_answered(figures(responses={(INVITE, 503): 1}, **SENT)) is None
    assert limits.never_answered(figures()) is None
    assert "not SIP" in limits.never_answered(figures(COUNT_MALFORMED=3, **SENT))
