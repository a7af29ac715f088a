"""The pages of a search and of an overload curve, in a real browser."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from siploadgen.capacity import form, overload
from siploadgen.capacity.mlr import MlrSearch
from siploadgen.capacity.page import capacity_page, overload_page
from siploadgen.capacity.search import Finding
from siploadgen.capacity.step import StepSearch
from siploadgen.cli import report
from siploadgen.errors import Exit, ScenarioError, UsageError
from tests.capacity.simulated import simulated
from tests.capacity.test_overload import STEPS, levels, seconds
from tests.conftest import absent
from tests.report import chromium
from tests.report.builders import result_of

LIMIT = 2_500_000
GOALS = ("failed: rate == 0", "srd: p(99) < 200ms")
EVIL = "</script><img src=x onerror=\"window.pwned=1\">'\"&<b>"
SECTIONS = {
    "capacity": ("answer", "response", "course", "form", "trials", "baseline", "goals", "honesty",
                 "calculator", "conditions"),
    "overload": ("answer", "curve", "seconds", "levels", "honesty", "calculator", "conditions")}


@cache
def _search() -> str:
    """A search in virtual time whose generator is the limit at first; the testbed beside it."""
    search = MlrSearch(most=1000, start=400, initial_s=0.5, final_s=1, sum_s=1, exceed=0)
    player = simulated(160, goals=GOALS, generator_per_s=330, retries=1)
    finding = player.find(search)
    beyond = StepSearch(start=300, step=100, most=900, duration_s=0.5)
    own = simulated(0, own_limit=True, generator_per_s=650)
    base = own.find(beyond)
    return form.as_json(form.report_data(
        what=form.SESSION, finding=finding, search=search.describe(), goals=GOALS,
        rows=player.rows, results=player.results, notes="one worker", code=Exit.OK, baseline={
            **form.finding_data(base), "answer": form.answer_text(base, "the testbed"),
            "search": beyond.describe(), "trials": own.rows},
        options={"settle_s": 1.0, "retries": 1, "baseline": True}))


def search() -> dict[str, Any]:
    """Its report, to be changed at will."""
    data: dict[str, Any] = json.loads(_search())
    return data


def sweep(limited: tuple[str, ...] = (), late_s: float = 4.0) -> dict[str, Any]:
    """A sweep of a target that collapses at 500/s, and recovers some seconds late."""
    found = [replace(one, p99_us=round(1000 + one.offered_per_s**2 / 50)) for one in levels(
        STEPS, lambda one: one.rate_per_s if one.rate_per_s <= 300
        else 320 - 0.5 * (one.rate_per_s - 300), limited)]
    course = [{**row, "failed_per_s": max(0.0, row["due_per_s"] - row["goodput_per_s"]),
               "open": 3} for row in seconds(
        STEPS, lambda t, rate: 5 if 20 <= t < 32 + late_s else min(rate, 300))]
    curve = overload.analyse(found, STEPS, course)
    return overload.report_data(copy.deepcopy(result_of()), found, curve, course, 0)


def test_a_saved_report_is_printed_again(tmp_path: Path,
                                         capsys: pytest.CaptureFixture[str]) -> None:
    assert report.SEARCHES == {"capacity": form.SCHEMA, "overload": overload.SCHEMA}
    for name, data, rendered, page in (
            ("capacity", search(), form.RENDER, capacity_page),
            ("overload", sweep(), overload.RENDER, overload_page)):
        folder = tmp_path / name
        folder.mkdir()
        (folder / f"{name}.json").write_text(form.as_json(data))
        for kind, render in (("summary", rendered["text"]), ("md", rendered["md"]),
                             ("json", rendered["json"]), ("html=-", page)):
            report.report(str(folder), kind)
            assert capsys.readouterr().out == render(data)
        report.report(str(folder / f"{name}.json"), "html")
        assert (folder / f"{name}.html").read_text() == page(data)
        with pytest.raises(UsageError, match=f"{name}.json has summary, md, json, html"):
            report.report(str(folder), "junit")
        (folder / f"{name}.json").write_text(json.dumps({"schema": data["schema"]}))
        with pytest.raises(ScenarioError, match="incomplete"):
            report.report(str(folder))


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[chromium.Page]:
    if chromium.find() is None:
        absent("chromium", "tools/peers.sh")
    with chromium.Page(tmp_path_factory.mktemp("profile")) as one:
        yield one


@pytest.fixture(scope="module", params=["capacity", "overload"])
def page(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Each page, as a file."""
    name: str = request.param
    path = tmp_path_factory.mktemp("page") / f"{name}.html"
    path.write_text(capacity_page(search()) if name == "capacity" else overload_page(sweep()),
                    encoding="utf-8")
    return path


@pytest.fixture
def shown(browser: chromium.Page, page: Path) -> chromium.Page:
    """A browser that shows it, on a wide screen in the light."""
    if browser.shows != (page, 1200):
        browser.look(1200)
        assert browser.open(page) == "ready"
    return browser


def words(text: str, section: str) -> str:
    """Texts of a section without tags and of one space each."""
    found = re.search(rf'<(?:section|div)[^>]* id="{section}">(.*?)(?=<section|</main>)', text,
                      re.S)
    assert found is not None
    plain = re.sub(r"<[^>]*>", " ", found[1])
    for escaped, letter in (("&lt;", "<"), ("&gt;", ">"), ("&#39;", "'"), ("&#34;", '"'),
                            ("&amp;", "&")):
        plain = plain.replace(escaped, letter)
    return " ".join(plain.split())


# --- in the browser ---


def test_everything_is_there_and_the_answer_first(shown: chromium.Page, page: Path) -> None:
    found = shown.ask(f"""{list(SECTIONS[page.stem])}.map(id =>
        document.getElementById(id).getBoundingClientRect().top)""")
    assert found == sorted(found)
    links = shown.ask("Array.from(document.querySelectorAll('nav a')).map(a => a.hash.slice(1))")
    assert tuple(links) == SECTIONS[page.stem]
    assert shown.errors == []


def test_the_charts_have_data(shown: chromium.Page, page: Path) -> None:
    drawn = dict(shown.ask(
        """Array.from(document.querySelectorAll(".js-plotly-plot")).map(box => [
             box.id.replace("chart-", ""),
             box.querySelectorAll(".scatterlayer .points path").length])"""))
    lines = shown.ask("""Array.from(document.querySelectorAll(".js-plotly-plot")).map(box =>
        Array.from(box.querySelectorAll(".scatterlayer .js-line")).filter(
            path => path.getAttribute("d").length > 8).length)""")
    shapes = shown.ask("""Array.from(document.querySelectorAll(
        ".shapelayer text")).map(text => text.textContent)""")
    if page.stem == "capacity":
        rows = search()["trials"]
        met = [row for row in rows if row["delay_p99_us"] is not None]
        # goodput and failures of all runs, a percentile of those that have one
        assert drawn == {"response": 2 * len(rows) + len(met), "course": len(rows)}
        assert {"met", "missed", "generator"} <= set(shapes)
        assert lines == [4, 1]
        colours = shown.ask("""Array.from(document.querySelectorAll(
            "#chart-course .points path")).map(path => path.style.fill)""")
        for answer, colour in (("missed", "210, 79, 75"), ("limited", "221, 138, 38")):
            shut = [row for row in rows if row["answer"] == answer and row["kind"] == "trial"]
            assert len(shut) > 0
            assert sum(colour in one for one in colours) >= len(shut)
    else:
        assert drawn == {"curve": 3 * (6 + 6), "seconds": 0}
        assert lines == [7, 4]
        assert {"knee", "collapse"} <= set(shapes)
        stripe = shown.ask("""document.querySelector(
            "#chart-seconds .shapelayer path").getBoundingClientRect().width""")
        assert stripe > 20  # four seconds of 54


def test_nothing_is_fetched(shown: chromium.Page, page: Path) -> None:
    asked = [address for address in shown.requests if not address.startswith(("data:", "blob:"))]
    assert len(asked) == 1
    assert asked[0].startswith("file://")
    packed = re.sub(r'<script type="text/plain".*?</script>', "", page.read_text(), flags=re.S)
    assert not re.findall(r"https?://|//cdn|@import|url\(|<link rel=\"?stylesheet", packed)
    assert "default-src 'none'" in packed
    assert page.stat().st_size <= LIMIT


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [400, 900, 1600])
def test_it_fits_the_width(browser: chromium.Page, page: Path, width: int, dark: bool) -> None:
    browser.look(width, dark=dark)
    assert browser.open(page) == "ready"
    assert browser.ask("document.documentElement.scrollWidth") == width
    for wide, room in browser.ask("""Array.from(document.querySelectorAll(".chart")).map(box =>
            [box.querySelector(".main-svg").clientWidth, box.parentElement.clientWidth])"""):
        assert 0.8 * room <= wide <= room


def test_a_point_leads_to_its_row(shown: chromium.Page, page: Path) -> None:
    chart = "course" if page.stem == "capacity" else "curve"
    found = shown.ask(f"""document.getElementById("chart-{chart}").data.filter(
        trace => trace.customdata).flatMap(trace => trace.customdata).filter(
        one => !document.getElementById("level-" + one))""")
    assert found == []


def test_files_can_be_taken_away(shown: chromium.Page, page: Path) -> None:
    names = shown.ask("""Array.from(document.querySelectorAll("button[data-file]")).map(
        one => one.dataset.file)""")
    assert names == {"capacity": ["capacity.json", "trials.csv"],
                     "overload": ["overload.json", "levels.csv", "seconds.csv"]}[page.stem]
    kept = shown.ask("""(async () => {
        const text = document.getElementById("data").textContent.trim();
        const octets = Uint8Array.from(atob(text), letter => letter.charCodeAt(0));
        const stream = new Blob([octets]).stream().pipeThrough(new DecompressionStream("gzip"));
        return JSON.parse(await new Response(stream).text()).files; })()""")
    assert json.loads(kept[names[0]]["text"])["schema"].startswith("siploadgen/")
    rows = search()["trials"] if page.stem == "capacity" else sweep()["levels"]
    assert len(kept[names[1]]["text"].splitlines()) == len(rows) + 1


def test_no_text_is_taken_for_markup(browser: chromium.Page, tmp_path: Path) -> None:
    data, curve = search(), sweep()
    for one in (data, curve):
        one["scenario"] = {"name": EVIL, "digest": EVIL, "settings": {"hold": EVIL}}
        one["target"]["uri"] = EVIL
        one["command"] = ["siploadgen", EVIL]
        one["environment"]["cpu"] = EVIL
    data["goals"] = [EVIL]
    data["answer"] = data["baseline"]["answer"] = EVIL
    data["trials"][0]["why"] = data["form"][0]["value"] = EVIL
    for name, text in (("c", capacity_page(data)), ("o", overload_page(curve))):
        path = tmp_path / f"{name}.html"
        path.write_text(text, encoding="utf-8")
        assert EVIL not in text
        browser.look(1000)
        assert browser.open(path) == "ready"
        assert browser.errors == []
        assert browser.ask("window.pwned === undefined")
        assert browser.ask("document.querySelectorAll('img').length") == 0


# --- what they say ---


def test_what_the_page_of_a_search_says() -> None:
    data = search()
    text = capacity_page(data, library=False)
    answer = words(text, "answer")
    assert answer.startswith("FOUND Session Establishment Rate: ")
    assert "where the goals were met" in answer
    assert "the generator was the limit; nothing above was tried" in answer
    assert all(goal in answer for goal in GOALS)
    fields = words(text, "form")
    for row in data["form"]:
        assert f"{row['section']} {row['name']} {row['value']}" in fields
    runs = words(text, "trials")
    assert len(re.findall(r'<tr id="level-\d+">', text)) == len(data["trials"])
    assert "limited" in runs
    assert "failed: rate == 0 (measured" in runs
    assert data["baseline"]["answer"] in words(text, "baseline")
    assert "late_start_p99 1 ms invalid" in words(text, "honesty")
    conditions = words(text, "conditions")
    assert data["environment"]["kernel"] in conditions
    assert "seed 1 " in conditions
    assert '"retries": 1' in conditions
    rate = data["rate_per_s"]
    assert f'id="calc-capacity" type="number" min="0" step="any" value="{rate:.6g}"' in text


@pytest.mark.parametrize(("finding", "badge", "look"), [
    (Finding("most", 900.0), "MOST", "valid"), (Finding("none", None, 1.0), "NONE", "invalid"),
    (Finding("limited", 500.0, None, 507.0), "LIMITED", "invalid"),
    (Finding("unfinished"), "UNFINISHED", "suspect")])
def test_every_state_has_a_page(finding: Finding, badge: str, look: str) -> None:
    data = search() | form.finding_data(finding) | {
        "answer": form.answer_text(finding, form.SESSION), "baseline": None}
    text = capacity_page(data, library=False)
    assert words(text, "answer").startswith(f"{badge} {data['answer']}")
    assert f'<div class="answer {look}" id="answer">' in text
    assert "Not measured." in words(text, "baseline")


def test_what_the_page_of_a_sweep_says() -> None:
    text = overload_page(sweep(), library=False)
    answer = words(text, "answer")
    assert "The target carries 300/s and collapses at 500/s." in answer
    assert "recovery 4 s after the offered rate was back at the knee" in answer
    assert "up-6 600/s 170/s" in words(text, "levels")
    limited = words(overload_page(sweep(("up-5",)), library=False), "answer")
    assert "No answer from 500/s on" in limited
    assert "SIP transport protocol" in words(text, "conditions")


def test_without_the_library_everything_else_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("siploadgen.report.html.assembly.find_spec", lambda _: None)
    for text in (capacity_page(search()), overload_page(sweep())):
        assert len(text) < 300_000
        assert text.count("pip install &#39;siploadgen[report]&#39;") + text.count(
            "pip install 'siploadgen[report]'") == 2
        assert 'id="library"' not in text
