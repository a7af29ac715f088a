"""The host's ceiling: kept, read again, quoted; never of another host."""

import json

import pytest

from siploadgen.report import ceiling, summary
from siploadgen.report.collect import environment

HERE = {**environment(), "cpu": "chip", "cores": 2}


@pytest.fixture
def kept(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return ceiling.write_ceilings({"call": {"rate_per_s": 2000.0}, "options": {"rate_per_s": None}},
                                  "2026-01-02T03:04:05+00:00", HERE)


def test_it_is_kept_in_the_users_cache(kept, tmp_path):
    assert kept == tmp_path / "siploadgen" / "selftest.json"
    assert [path.name for path in kept.parent.iterdir()] == ["selftest.json"]
    assert ceiling.read_ceilings(HERE) == ("2026-01-02T03:04:05+00:00", {"call": 2000.0})


def test_without_xdg_it_is_in_the_home(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", "not/absolute")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert ceiling.cache_file() == tmp_path / ".cache" / "siploadgen" / "selftest.json"
    assert ceiling.read_ceilings(HERE) == ("", {})


@pytest.mark.parametrize("changed", [{"cpu": "other"}, {"cores": 4}, {"version": "0"}])
def test_the_ceiling_of_another_host_is_not_quoted(kept, changed):
    assert ceiling.quote({"INVITE": 5}, 10.0, {**HERE, **changed}) is None


def test_a_run_quotes_the_model_that_it_is_like(kept):
    assert ceiling.quote({"INVITE": 500, "OPTIONS": 3, "BYE": 900}, 500.0, HERE) == {
        "model": "call", "rate_per_s": 2000.0, "date": "2026-01-02T03:04:05+00:00", "used": 0.25}
    assert ceiling.quote({"OPTIONS": 500, "INVITE": 3}, 500.0, HERE) is None  # found nothing
    assert ceiling.quote({"MESSAGE": 5}, 5.0, HERE) is None
    assert ceiling.quote({"INVITE": 5}, None, HERE) is None


@pytest.mark.parametrize("text", ["", "[]", "{}", json.dumps({"schema": ceiling.SCHEMA})])
def test_a_broken_file_is_none(kept, text):
    kept.write_text(text)
    assert ceiling.read_ceilings(HERE) == ("", {})


def test_the_summary_says_it():
    known = {"model": "call", "rate_per_s": 2000.0, "date": "2026-01-02T03:04:05", "used": 0.25}
    assert summary.ceiling_lines({"generator": {"ceiling": known}}) == [
        ("ceiling", "this host reached 2,000/s of model call in selftest of 2026-01-02; "
                    "this run used 25.0%")]
    assert summary.ceiling_lines({"generator": {}}) == []
