"""The report of a search: sentences, the form of RFC 7502, exit codes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from siploadgen.capacity import form
from siploadgen.capacity.search import Finding
from siploadgen.errors import Exit
from tests.capacity.test_play import result

SEARCH = {"method": "rfc7502", "N": 300, "r": 100, "w": 0.1, "d": 0.1, "most_per_s": None}
# RFC 7502 5.1, 5.2 and 5.3: every field of the templates
FIELDS = [
    "SIP transport protocol", "DUT receives requests on one connection",
    "DUT sends requests on one connection", "Session Attempt Rate (initial r)",
    "Session Duration", "Total Sessions Attempted", "Media streams per session",
    "Associated media protocol", "Codec", "Media packet size", "Establishment Threshold Time",
    "TLS cipher suite", "IPsec profile", "Session Establishment Rate", "DUT acts as media relay",
    "Registration Rate", "Re-registration Rate", "Notes on the DUT and its backend"]


def run(**changes: Any) -> dict[str, Any]:
    made = result(started_at="2026-01-01T00:00:00Z", elapsed_s=3.0, environment={
        "cpu": "c", "cores": 2, "kernel": "k", "version": "1"}, **changes)
    return {"command": ["siploadgen", "capacity"], **made,
            "messages": {"received": {"200/INVITE": 100, "401/INVITE": 3}, "retransmitted": 0}}


def data(what: str = form.SESSION, finding: Finding | None = None, **more: Any) -> dict[str, Any]:
    row = {"number": 1, "kind": "trial", "rate_per_s": 100.0, "duration_s": 3.0, "attempts": 300,
           "answer": "missed", "why": "a|b", "cut": False, "due": 300, "succeeded": 290,
           "failed": 10, "good_per_s": 96.7, "retransmitted": 2, "delay": "srd",
           "delay_p99_us": 1200, "verdict": "valid", "file": None}
    return form.report_data(**{
        "what": what, "finding": finding or Finding("found", 458.0, 462.0), "search": SEARCH,
        "goals": ["failed: rate == 0"], "rows": [row], "results": [run(), run()],
        "baseline": None, "notes": "", "code": Exit.OK, **more})


def fields(made: dict[str, Any]) -> dict[str, str]:
    return {row["name"]: row["value"] for row in made["form"]}


def test_every_field_of_the_rfc_is_there() -> None:
    made = data()
    assert [row["name"] for row in made["form"] if row["section"].startswith("5.")] == FIELDS
    assert all(row["value"] for row in made["form"])


def test_what_the_fields_say() -> None:
    found = fields(data(notes="memory only"))
    assert found["Session Establishment Rate"] == "458/s"
    assert found["Registration Rate"] == "not measured"
    assert found["Session Attempt Rate (initial r)"] == "100/s"
    assert found["Total Sessions Attempted"] == "200 (300 in each trial)"
    assert found["Establishment Threshold Time"] == "32 s (64*T1, timer B)"
    assert found["Authentication"] == "challenges seen: 401/INVITE"
    assert found["Notes on the DUT and its backend"] == "memory only"


def test_limits_that_were_changed_are_named() -> None:
    assert fields(data())["Limits of the verdict"] == "the usual ones"
    rules = [{"name": "late_start_p99", "limit": 0.02}, {"name": "attained", "limit": 0.999}]
    made = data(results=[run(verdict={"state": "valid", "rules": rules})])
    assert fields(made)["Limits of the verdict"] == "late_start_p99 20 ms"


def test_registrations_have_a_field_of_their_own() -> None:
    found = fields(data(form.REREGISTRATION, waited_s=300.0))
    assert found["Re-registration Rate"] == "458/s, 5m00s after the registrations"
    assert found["Session Establishment Rate"] == found["Registration Rate"] == "not measured"
    assert "timer F" in found["Establishment Threshold Time"]


def test_the_baseline_stands_beside_it() -> None:
    base = {**form.finding_data(Finding("most", 1832.0)), "answer": "the testbed: 1,832/s",
            "search": {}, "trials": []}
    made = data(baseline=base)
    assert fields(made)["Testbed baseline, without DUT"].startswith("at least 1,832/s, the same")
    assert "the testbed: 1,832/s." in form.as_markdown(made)


@pytest.mark.parametrize(("finding", "words", "code"), [
    (Finding("found", 496.0, 501.0), "496/s; the goals were missed at 501/s", Exit.OK),
    (Finding("most", 900.0), "at least 900/s", Exit.OK),
    (Finding("none", None, 10.0), "none; the goals were missed at 10/s", Exit.THRESHOLD),
    (Finding("limited", 500.0, None, 507.0),
     "no answer; the target carries 500/s, and at 507/s the generator or its host",
     Exit.INVALID),
    (Finding("unfinished", 100.0), "stopped; the goals were met at 100/s", Exit.INTERRUPTED)])
def test_answers(finding: Finding, words: str, code: Exit) -> None:
    assert words in form.answer_text(finding, form.SESSION)
    assert form.exit_code(finding) == code


def test_a_limited_search_gives_no_rate() -> None:
    found = fields(data(finding=Finding("limited", 500.0, None, 507.0)))
    assert found["Session Establishment Rate"] == "at least 500/s"
    assert found["Rate at which the generator was the limit"] == "507/s"


def test_a_fault_is_the_answer() -> None:
    assert data(fault="the target is gone")["answer"].endswith("no answer; the target is gone")


def test_documents() -> None:
    made = data()
    assert json.loads(form.as_json(made)) == made
    text, table = form.as_text(made), form.as_markdown(made)
    for name in FIELDS:
        assert name in text
        assert name in table
    assert "a\\|b" in table
    assert text.startswith(form.brief(made))
    assert "290 of 300" in text
