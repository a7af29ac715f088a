"""Capacity from Python: the same search as the command's, as an object."""

import json

import pytest

from siploadgen import ScenarioError, UsageError, call, csv_users, find_capacity
from siploadgen.found import Capacity

pytestmark = pytest.mark.loopback
CALM = {"late_start_p99": "5s", "receive_drops": "1k"}
STEPS = {"method": "step", "start": "20/s", "step": "20/s", "trial": "200ms", "settle": "0",
         "limits": CALM}


@call(times=1)
def ask(c):
    c.options(to="sip:{name}@example.com")
    c.expect(200)


def test_an_object_with_rate_trials_and_report(tmp_path):
    lines = []
    found = find_capacity("options", most="40/s", out=str(tmp_path), progress=lines.append, **STEPS)
    assert (found.state, found.rate, found.missed, found.generator_limit) == ("most", 40, None,
                                                                             None)
    assert found.ok
    assert [row["rate_per_s"] for row in found.trials] == [20, 40]
    assert len(lines) == 2
    assert found.form["Session Attempt Rate (initial r)"] == "20/s"
    assert found.answer in found.report
    assert found.answer in str(found)
    assert found.answer.split(";")[0] in found._repr_html_()
    assert json.loads((tmp_path / "capacity.json").read_text()) == found.to_dict()
    assert (tmp_path / "capacity.html").read_text().startswith("<!doctype html>")
    assert (tmp_path / "trials" / "002" / "run.json").exists()


def test_goals_that_are_missed():
    found = find_capacity("options", goals="options: p(99) < 1us", most="40/s", **STEPS)
    assert (found.state, found.rate, found.missed, found.exit_code) == ("none", None, 20, 99)
    assert not found.ok


def test_a_call_of_python_with_its_users(tmp_path):
    path = tmp_path / "users.csv"
    path.write_text("name\nanna\nben\n")
    found = find_capacity(ask, users=csv_users(path), most="20/s", **STEPS)
    assert (found.state, found.rate) == ("most", 20)
    assert found.to_dict()["scenario"]["name"] == "ask"


@pytest.mark.parametrize(("arguments", "mend"), [
    ({"method": "fast"}, "choose mlr, rfc7502 or step"),
    ({"most": "many"}, "--max"),
    ({"goals": "failed: rate"}, "threshold"),
    ({"limits": {"late": 1}}, "--limit"),
    ({"benchmark": "re-registration"}, "with the model register"),
    ({"out": "html="}, "KIND=PATH"),
    ({"holdd": "2s", "most": "20/s", "method": "step", "start": "20/s"}, "holdd"),
])
def test_mistakes_are_told_before_anything_is_sent(arguments, mend):
    with pytest.raises(UsageError, match=mend):
        find_capacity("options", **arguments)


def test_an_unknown_model():
    with pytest.raises(ScenarioError, match="there is no model"):
        find_capacity("optoins")


def test_files_of_every_kind(tmp_path):
    found = find_capacity("options", most="20/s", **STEPS)
    found.save(f"html={tmp_path}/c.html", f"text={tmp_path}/c.txt", f"json={tmp_path}/c.json")
    again = Capacity(json.loads((tmp_path / "c.json").read_text()))
    assert (again.rate, again.answer) == (found.rate, found.answer)
    with pytest.raises(UsageError, match="one of text, md, json, html"):
        found.save("pdf=x")
