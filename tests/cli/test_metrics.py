"""`siploadgen metrics`: every number that a report has is defined."""

import pytest

from siploadgen.model.builtin import build_answerer, build_caller
from siploadgen.report import metrics, rfc6076
from siploadgen.report.definitions import DEFINITIONS, find
from siploadgen.report.metrics import Names
from siploadgen.report.thresholds import check_thresholds, parse_threshold


def test_the_table_and_one_of_them(command):
    done = command("metrics")
    assert done.code == 0
    assert all(one.name in done.out for one in DEFINITIONS)
    one = command("metrics", "scr").out
    assert "RFC 6076 4.9" in one
    assert "closed by a BYE" in " ".join(one.split())
    assert "RFC 6076 4.3.1" in command("metrics", "srd").out
    assert "stopwatch" in command("metrics", "srd").out


def test_a_name_that_is_none(command):
    done = command("metrics", "rfc6076.sdr")
    assert done.code == 2
    assert "rfc6076.s" in done.err


@pytest.mark.parametrize("program", [
    build_caller("call", target_uri="sip:127.0.0.1:5060"),
    build_caller("register", target_uri="sip:127.0.0.1:5060", columns=("user", "password")),
    build_answerer()], ids=["call", "register", "answer"])
def test_all_that_a_run_measures_is_defined(program):
    names = Names.of(program)
    for name in (*names.latencies(), *rfc6076.RATIOS):
        assert find(name), name
    for timer in metrics.TIMEOUTS:
        assert find(f"timeouts.{timer}")


def test_what_thresholds_take_is_defined():
    names = Names.of(build_caller("call", target_uri="sip:127.0.0.1:5060"))
    for one in DEFINITIONS:
        ratio = one.unit == "share" and "." not in one.name
        if ratio or one.name.startswith(("calls.", "rfc6076.s")):
            how = {"count": "count < 1", "time": "p(99) < 1s", "share": "value < 1"}[one.unit]
            check_thresholds([parse_threshold(f"{one.name}: {how}")], names)
