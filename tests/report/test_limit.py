"""Who was at its end: the generator, the target, or nobody."""

import pytest

from siploadgen.report.limits import at_its_end
from siploadgen.report.summary import plain
from tests.report.builders import result_of
from tests.run.fake_engine import World

SAID = {"sent": {"INVITE": 10_000}, "received": {"200/INVITE": 10_000}, "retransmitted": 0,
        "retransmitted_own_fault": 0}
LATE = {"name": "late_start_p99", "value": 0.02, "limit": 0.001, "ok": False,
        "severity": "invalid"}


def said(state="valid", rules=(), failed=None, silence=None, **messages):
    return at_its_end(state, rules, {"failed": failed or {}}, {**SAID, **messages}, silence)


@pytest.mark.parametrize(("found", "who", "why"), [
    (said(), "nobody", ""),
    (said(failed={"rejected": 3, "busy": 2}), "nobody", ""),
    (said(failed={"timeout": 3, "transport": 1}), "target", "4 calls got no answer"),
    (said(received={"503/INVITE": 7, "500/BYE": 1, "486/INVITE": 9}), "target",
     "8 responses were server failures (5xx)"),
    (said(retransmitted=10), "nobody", ""),
    (said(retransmitted=110, retransmitted_own_fault=10), "target",
     "1.00% of the messages had to be sent again"),
    (said(silence="only silence"), "target", "it never answered"),
    (said("invalid", [LATE], failed={"timeout": 3}), "generator",
     "calls left later than they were due (late_start_p99 20 ms, limit 1 ms)"),
    (said("suspect", [{**LATE, "severity": "suspect"}]), "nobody", "")])
def test_who_was_at_its_end(found, who, why):
    assert (found["who"], found["why"]) == (who, why)


def test_the_summary_says_it():
    assert "limit      neither target nor generator" in plain(result_of())
    silent = plain(result_of(World(silent=True)))
    assert "limit      the target, or the network to it: it never answered" in silent
