"""Names and numbers of run.json out of arrays."""

import pytest

from siploadgen.figures import SparseFigures
from siploadgen.report import metrics
from siploadgen.report.metrics import Names
from tests.report.builders import figures
from tests.run.fake_engine import Counter, FakeProgram, Method

NAMES = Names.of(FakeProgram())
INVITE, BYE = Method.METHOD_INVITE, Method.METHOD_BYE


def test_calls_by_outcome():
    counted = metrics.calls(figures(
        COUNT_DUE=103, COUNT_STARTED=90, COUNT_NOT_STARTED_NO_SLOT=7, COUNT_NOT_STARTED_STOPPED=2,
        COUNT_NOT_STARTED_NO_USER=1, COUNT_NOT_STARTED_THROTTLED=3,
        OUTCOME_SUCCEEDED=70, OUTCOME_TIMEOUT=4, OUTCOME_REJECTED=6,
        OUTCOME_USER=5, in_progress=5), NAMES)
    assert counted == {
        "due": 103, "started": 90,
        "not_started": {"no_slot": 7, "stopped": 2, "no_user": 1, "throttled_by_oc": 3},
        "succeeded": 75, "failed": {"rejected": 6, "timeout": 4}, "in_progress": 5}
    assert metrics.calls_imbalance(counted) is None
    assert metrics.calls_imbalance({**counted, "due": 101}) == "due 101 is not started 90 + 13"
    assert "started 90" in metrics.calls_imbalance({**counted, "succeeded": 74})


def test_outcomes_of_the_program_have_its_names():
    assert NAMES.outcome(0) == "succeeded"
    assert NAMES.outcome(2) == "timeout"
    assert NAMES.outcomes[16] == ("busy", True)
    assert NAMES.outcomes[17] == ("refused", False)
    assert NAMES.outcome(40) == "outcome_40"


def test_answered_calls():
    held = figures(COUNT_ANSWERED=10, COUNT_LIMITED=3, COUNT_LINES_BUSY=2)
    held.answered_outcomes[0] = 6
    held.answered_outcomes[6] = 1
    counted = metrics.answered_calls(held, NAMES)
    assert counted == {"due": 15, "started": 10, "succeeded": 6,
                       "not_started": {"limited": 3, "lines_busy": 2}, "failed": {"no_ack": 1},
                       "in_progress": 3}
    assert metrics.calls_imbalance(counted) is None


def test_messages_by_method_and_status():
    held = figures(requests={INVITE: 12, BYE: 9}, responses={(INVITE, 200): 9, (INVITE, 100): 4,
                   (BYE, 200): 9, (0, 404): 1}, COUNT_RETRANSMITTED=2, COUNT_MALFORMED=1,
                   COUNT_STRAY_RESPONSE=2, COUNT_STRAY_REQUEST=3)
    said = metrics.messages(held)
    assert said["sent"] == {"INVITE": 12, "BYE": 9}
    assert said["received"] == {"200/INVITE": 9, "100/INVITE": 4, "200/BYE": 9, "404/OTHER": 1}
    assert (said["retransmitted"], said["malformed"], said["stray"]) == (2, 1, 5)
    assert metrics.messages_sent(held) == 21
    assert metrics.messages_received(held) == 23


def test_latencies_come_twice():
    found = metrics.latencies(figures(histograms={
        0: [50], 1: [10], 2: [1000] * 99 + [9000], 3: [900]}), NAMES)
    assert list(found) == ["srd", "srd_service", "setup", "setup_service", "lateness",
                           "receive_delay", *(f"rfc6076.{name}" for name in (
                               "srd", "srd_failed", "sdd", "sdd_failed", "sdt", "sdt_failed"))]
    srd = found["srd"]
    assert (srd["count"], srd["p50_us"], srd["p99_us"], srd["from"]) == (100, 1000, 1000, "due")
    assert 9000 <= srd["p99.9_us"] == srd["max_us"] < 9009
    assert srd["mean_us"] == pytest.approx(1080, rel=0.001)
    assert found["srd_service"]["from"] == "send"
    assert found["setup"] == {"count": 0, "p50_us": None, "p90_us": None, "p95_us": None,
                              "p99_us": None, "p99.9_us": None, "max_us": None, "mean_us": None,
                              "from": "due"}


def test_values_above_an_hour_are_told():
    found = metrics.latencies(figures(histograms={2: [5_000_000_000, 10]}), NAMES)["srd"]
    assert found["overflow"] == 1
    assert found["count"] == 2
    assert found["max_us"] > 3_600_000_000


def test_busy_share_and_steps():
    held = figures(COUNT_BUSY_NS=30, COUNT_WAIT_NS=70)
    assert metrics.loop_busy(held) == pytest.approx(0.3)
    assert metrics.loop_busy(figures()) is None
    held.steps[2] = (1, 2, 3, 4, 5)
    assert metrics.steps(held, FakeProgram()) == [
        {"pc": 2, "step": "SEND ack", "sent": 1, "received": 2, "retransmitted": 3, "timeout": 4,
         "unexpected": 5}]


def test_sparse_figures_add_and_take():
    held = figures(COUNT_DUE=5, OUTCOME_TIMEOUT=2, histograms={2: [7, 7, 9000]}, measures={5: [3]},
                   responses={(INVITE, 200): 3}, in_progress=4)
    total = SparseFigures(held).added_to(figures(COUNT_DUE=1), 1)
    assert total.counters[Counter.COUNT_DUE] == 6
    assert total.histograms[2, 7] == 2
    assert total.measures[0, 5][3] == 1
    assert total.in_progress == 4
    back = SparseFigures(held).added_to(total, -1)
    assert back.counters[Counter.COUNT_DUE] == 1
    assert not back.histograms.any()
    assert not back.measures[0, 5].any()
    assert not back.received_responses.any()
    assert back.in_progress == 0


def test_unknown_methods_have_one_name():
    assert metrics.method_name(0) == metrics.method_name(15) == metrics.method_name(99) == "OTHER"
    assert metrics.method_name(INVITE) == "INVITE"
