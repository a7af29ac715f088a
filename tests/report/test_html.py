"""The report page: what it says, what it draws in a real browser, and that it needs nobody else."""

import doctest
import re
from importlib import import_module

import numpy as np
import pytest

from siploadgen.report.history import History
from siploadgen.report.html import levels, page, parts
from siploadgen.report.thresholds import parse_threshold
from tests.conftest import absent
from tests.report import chromium
from tests.report.builders import result_of
from tests.report.made_up import interval, law_latency, spread, stairs
from tests.run.fake_engine import World

RATES = (100, 200, 300, 400, 500, 600)
GOALS = ("srd: p(99) < 150ms", "calls.failed: rate < 1%")
SECTIONS = ("answer", "response", "steps", "model", "calculator", "timeline", "spectrum",
            "failures", "registrations", "thresholds", "honesty", "conditions")
LIMIT = 2_500_000
EVIL = "</script><img src=x onerror=\"window.pwned=1\">'\"&<b>"


def failing(rate):
    return {"rejected": rate // 10, "timeout": 1} if rate > 450 else {}


def busy_run():
    """Six levels on a target that follows the law; failures from 500/s on, two doubtful seconds."""
    result, history = stairs(
        RATES, law_latency, failing=failing, states={12.0: "suspect", 13.0: "invalid"},
        thresholds=[parse_threshold(text) for text in GOALS])
    history.failure({"outcome": "rejected", "step": "await", "due_s": 20.5, "call_id": "abc",
                     "diagram": "0.000 s  caller -> target  INVITE",
                     "message": "SIP/2.0 503 Service Unavailable\r\nVia: x\r\n\r\n"})
    return result, history


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    if chromium.find() is None:
        absent("chromium", "tools/peers.sh")
    with chromium.Page(tmp_path_factory.mktemp("profile")) as one:
        yield one


@pytest.fixture(scope="module")
def full(tmp_path_factory):
    """The page of the busy run, as a file."""
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(page(*busy_run()), encoding="utf-8")
    return path


@pytest.fixture
def shown(browser, full):
    """A browser that shows it, on a wide screen in the light."""
    if browser.shows != (full, 1200):
        browser.look(1200)
        assert browser.open(full) == "ready"
    return browser


def text_of(result, history, section):
    """Texts of a section without tags and of one space each."""
    whole = page(result, history, library=False)
    part = re.search(rf'<(?:section|div)[^>]* id="{section}">(.*?)(?=<section|</main>)', whole,
                     re.S)[1]
    words = re.sub(r"<[^>]*>", " ", part)
    for escaped, plain in (("&lt;", "<"), ("&gt;", ">"), ("&#39;", "'"), ("&amp;", "&")):
        words = words.replace(escaped, plain)
    return " ".join(words.split())


# --- in the browser -------------------------------------------------------------------------------


def test_everything_is_there_in_the_order_of_a_capacity_reader(shown):
    found = shown.ask(f"{list(SECTIONS)}.map(id => document.getElementById(id).offsetTop)")
    assert found == sorted(found)
    assert shown.errors == []


def test_the_charts_have_data(shown):
    charts = {name: (traces, strokes) for name, traces, strokes in shown.ask(
        """Array.from(document.querySelectorAll(".js-plotly-plot")).map(box => [
             box.id.replace("chart-", ""),
             box.querySelectorAll(".scatterlayer .trace, .barlayer .trace").length,
             Array.from(box.querySelectorAll(".scatterlayer path, .barlayer path")).filter(
               path => (path.getAttribute("d") || "").length > 8).length])""")}
    assert {name: traces for name, (traces, _) in charts.items()} == {
        "response": 6, "law": 4, "timeline": 11, "heat": 0, "spectrum": 3, "failures": 2}
    for name, (traces, strokes) in charts.items():
        assert strokes >= traces, name
    assert shown.ask("document.querySelectorAll('#chart-heat .heatmaplayer image').length") == 1
    points = shown.ask("document.querySelectorAll('#chart-response .points path').length")
    assert points == 5 * len(RATES)      # all but the line of what was offered have markers
    assert shown.ask("document.documentElement.dataset.charts") == "6"


def test_phases_and_doubtful_seconds_are_marked(shown):
    fills = shown.ask("""Array.from(document.querySelectorAll(
        "#chart-timeline .shapelayer path")).map(path => path.style.fill)""")
    assert len(fills) == len(RATES) + 2
    assert len([fill for fill in fills if "210, 79, 75" in fill]) == 1      # invalid
    assert len([fill for fill in fills if "221, 138, 38" in fill]) == 1     # suspect
    labels = shown.ask("""Array.from(document.querySelectorAll(
        "#chart-timeline .shapelayer text")).map(text => text.textContent)""")
    assert {f"level-{place}" for place in range(1, 7)} <= set(labels)


def test_nothing_is_fetched(shown, full):
    asked = {address.split(",")[0][:40] for address in shown.requests
             if not address.startswith(("data:", "blob:"))}
    assert {address for address in asked if not address.startswith("file://")} == set()
    assert len([address for address in shown.requests if address.startswith("file:")]) == 1
    source = full.read_text()
    packed = re.sub(r'<script type="text/plain".*?</script>', "", source, flags=re.S)
    assert len(packed) < 200_000
    assert not re.findall(r"https?://|//cdn|@import|url\(|<link rel=\"?stylesheet", packed)
    assert "default-src 'none'" in packed


def test_the_library_has_no_button_that_sends_data_away(shown):
    titles = shown.ask("""Array.from(document.querySelectorAll(".modebar-btn")).map(
        button => button.dataset.title)""")
    assert set(titles) == {"Download plot as a PNG", "Zoom", "Pan", "Reset axes"}


def compute(shown, **fields):
    """Outputs of the calculator for what is typed."""
    shown.ask("".join(
        f"""{{ const field = document.getElementById("calc-{name}"); field.value = "{value}";
               field.dispatchEvent(new Event("input")); }}""" for name, value in fields.items()))
    return shown.ask("""Object.fromEntries(Array.from(document.querySelectorAll(
        "output")).map(one => [one.id.replace("out-", ""), one.textContent]))""")


@pytest.mark.parametrize(("erlangs", "lines", "lost"), [
    (10, 15, 0.0365), (10, 10, 0.2146), (20, 30, 0.0085), (100, 117, 0.0098), (1, 1, 0.5)])
def test_the_calculator_knows_erlang_b(shown, erlangs, lines, lost):
    found = compute(shown, bhca=60 * erlangs, hold=60, peak=1, lines=lines)
    assert found["erlang"].startswith(f"{erlangs} erlangs")
    assert float(found["block"].removesuffix(" %")) / 100 == pytest.approx(lost, abs=6e-5)


def test_the_calculator_knows_erlang_c_and_nodes(shown):
    # 10 erlangs, 12 lines, calls of 120 s: B = 0.1197, C = B / (1 - A/n (1 - B)) = 0.4494
    found = compute(shown, bhca=300, hold=120, peak=1, lines=12, within=20, block=1,
                    capacity=0.05, use=70, spare=1)
    assert found["cps"] == "0.08 calls/s"
    assert float(found["wait"].removesuffix(" %")) == pytest.approx(44.94, abs=0.02)
    assert found["mean-wait"] == "26.96 s"                     # C H / (n - A)
    assert float(found["served"].removesuffix(" %")) == pytest.approx(
        100 * (1 - 0.4494 * np.exp(-2 * 20 / 120)), abs=0.03)
    assert found["needed"] == "18 lines"
    assert found["nodes"] == "4"                               # ceil(0.0833 / 0.035) + 1
    found = compute(shown, lines=10)
    assert found["wait"] == "100 %"
    assert found["mean-wait"].startswith("it never ends")
    assert compute(shown, bhca=360_000_000, hold=120, lines=0)["needed"] == \
        "more than 5,000,000 lines"


def brightness(colour):
    red, green, blue = (int(part) / 255 for part in re.findall(r"\d+", colour)[:3])

    def linear(part):
        return part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4

    return 0.2126 * linear(red) + 0.7152 * linear(green) + 0.0722 * linear(blue)


def contrast(one, other):
    low, high = sorted((brightness(one), brightness(other)))
    return (high + 0.05) / (low + 0.05)


def test_light_and_dark_can_be_read(browser, full):
    seen = set()
    for dark in (False, True):
        browser.look(1000, dark=dark)
        assert browser.open(full) == "ready"
        ground = browser.ask("getComputedStyle(document.querySelector('section')).backgroundColor")
        seen.add(ground)
        for what in ("#steps td", ".note", "#chart-timeline .xtick text", ".legendtext",
                     "#chart-timeline .shapelayer text"):
            style = browser.ask(f"""(() => {{ const one = document.querySelector("{what}");
                const style = getComputedStyle(one);
                return one instanceof SVGElement ? style.fill : style.color; }})()""")
            assert contrast(style, ground) >= 4.5, (what, dark)
    assert len(seen) == 2


@pytest.mark.parametrize("width", [400, 900, 1600])
def test_it_fits_the_width(browser, full, width):
    browser.look(width)
    assert browser.open(full) == "ready"
    assert browser.ask("document.documentElement.scrollWidth") == width
    wide, room = browser.ask("""[document.querySelector("#chart-timeline .main-svg").clientWidth,
                                document.querySelector("#timeline").clientWidth]""")
    assert 0.8 * room <= wide <= room


def test_it_can_be_printed(shown):
    shown.ask("window.dispatchEvent(new Event('beforeprint'))")
    widths = shown.ask("""Array.from(document.querySelectorAll(".js-plotly-plot")).map(
        box => box.querySelector(".main-svg").clientWidth)""")
    assert set(widths) == {680}
    assert shown.ask("Array.from(document.querySelectorAll('details.print')).every(d => d.open)")
    assert shown.paper().startswith(b"%PDF")
    shown.paper_size(717)               # A4 between its margins
    wider = shown.ask("""Array.from(document.querySelectorAll(".wide")).filter(
        box => box.firstElementChild.offsetWidth > box.clientWidth).length""")
    assert wider == 0
    shown.ask("window.dispatchEvent(new Event('afterprint'))")
    shown.look(1200)


def test_no_text_is_taken_for_markup(browser, tmp_path):
    result, history = busy_run()
    result["scenario"] = {"name": EVIL, "digest": EVIL, "settings": {"to": EVIL}}
    result["target"]["uri"] = EVIL
    result["command"] = ["siploadgen", EVIL]
    result["calls"]["failed"][EVIL] = 3
    result["environment"]["cpu"] = EVIL
    result["hook_failures"] = [EVIL]
    history.points[0].failed[EVIL] = 3
    history.evidence[0] |= {"outcome": EVIL, "message": EVIL, "diagram": EVIL, "call_id": EVIL}
    path = tmp_path / "evil.html"
    path.write_text(page(result, history), encoding="utf-8")
    assert EVIL not in path.read_text()
    browser.look(1000)
    assert browser.open(path) == "ready"
    assert browser.errors == []
    assert browser.ask("window.pwned === undefined")
    assert browser.ask("document.querySelectorAll('img').length") == 0
    assert browser.ask("document.querySelector('h1').textContent").startswith(EVIL)


# --- what it says ---------------------------------------------------------------------------------


def test_the_answer_comes_first():
    result, history = busy_run()
    found = text_of(result, history, "answer")
    assert "The target bears 400/s (1.44 M BHCA) with all goals met; it does not bear 500/s." in \
        found
    assert "First to break, at 500/s (level-5): calls.failed: rate < 1% (measured 10.2 %)." in found


def test_without_a_break_there_is_only_a_lower_bound():
    result, history = stairs(RATES[:4], law_latency)
    found = text_of(result, history, "answer")
    assert "The target bears at least 400/s" in found
    assert "did not reach its end" in found


def test_an_invalid_run_gives_no_answer():
    result, history = busy_run()
    result["verdict"] |= {"state": "invalid"}
    found = text_of(result, history, "answer")
    assert "No answer: the generator or its host, not the target" in found
    assert "bears" not in found
    assert 'id="calc-capacity" type="number" min="0" step="any" value="0"' in page(
        result, history, library=False)


def test_one_level_says_what_is_missing():
    result, history = stairs(RATES[:1], law_latency)
    assert "100 % of 500 calls went well at 100/s (360 k BHCA)" in text_of(
        result, history, "answer")
    assert "needs load levels" in text_of(result, history, "response")
    found = text_of(result, history, "model")
    assert "needs at least 4 load levels" in found
    assert "this run has one load level" in found
    assert "Calculator" in found


def test_three_levels_have_a_curve_and_no_model():
    result, history = stairs(RATES[:3], law_latency)
    assert "Each point is a load level" in text_of(result, history, "response")
    assert "this run has 3 load levels" in text_of(result, history, "model")


def test_the_model_finds_the_target_again():
    found = text_of(*busy_run(), "model")
    sigma = float(re.search(r"σ, waits for its turn (\S+) %", found)[1])
    assert sigma == pytest.approx(3, abs=1.5)
    peak = float(re.search(r"highest throughput ([\d,]+)", found)[1].replace(",", ""))
    assert 500 < peak < 1000            # the truth is 725
    assert "do not plan with it" not in found


def test_a_target_that_is_never_busy_has_no_model():
    result, history = stairs(RATES, lambda _: 200)
    assert "none had to wait for another" in text_of(result, history, "model")


def test_steps_have_goals_and_ranges():
    result, history = busy_run()
    found = levels.levels(result, history)
    assert [level.name for level in found] == [f"level-{place}" for place in range(1, 7)]
    assert [level.good for level in found] == [True] * 4 + [False] * 2
    assert [level.offered_per_s for level in found] == list(RATES)
    assert levels.knee(found).name == "level-4"
    for level in found:
        low, high = level.p99_range
        assert low <= level.latency["p99"] <= high
    assert levels.percentile_range(spread(500, 100, np.random.default_rng(1)), 99) is None


def test_a_percentile_lies_in_its_range_19_times_of_20():
    rng = np.random.default_rng(5)
    truth = 500 * np.exp(0.4 * 1.6448536)
    inside = 0
    for _ in range(200):
        low, high = levels.percentile_range(spread(500, 2000, rng), 95)
        inside += low <= truth <= high
    assert 180 <= inside <= 199


@pytest.mark.parametrize(("executor", "more", "steady"), [
    ("constant-arrival-rate", {}, [True, True]),
    ("day-curve", {}, [False, False]),
    ("stairs", {}, [True, False]),
    ("ramping-arrival-rate", {"start_rate_per_s": 0.0, "stages": [
        {"target_per_s": 50.0, "duration_s": 5.0, "shape": "step"},
        {"target_per_s": 90.0, "duration_s": 5.0, "shape": "linear"}]}, [True, False]),
    ("ramping-arrival-rate", {"start_rate_per_s": 50.0, "stages": [
        {"target_per_s": 50.0, "duration_s": 5.0, "shape": "linear"},
        {"target_per_s": 50.0, "duration_s": 2.0, "shape": "exp"},
        {"target_per_s": 90.0, "duration_s": 3.0, "shape": "step"}]}, [True, False]),
    ("ramping-calls", {"start_calls": 5, "stages": [
        {"target": 9, "duration_s": 5.0, "shape": "linear"},
        {"target": 9, "duration_s": 5.0, "shape": "linear"}]}, [False, True]),
])
def test_steady_phases_are_told_from_changing_ones(executor, more, steady):
    names = ("level-1", "ramp-2")
    result = {"load_s": 10.0, "plan": {"scenarios": [{
        "name": "x", "executor": executor, **more, "phases": [
            {"name": name, "start_s": 5.0 * place, "end_s": 5.0 * (place + 1), "measured": True,
             "calls": 1.0} for place, name in enumerate(names)]}]}}
    assert [levels.spans(result)[name][2] for name in names] == steady


def test_a_phase_that_was_cut_short_is_as_long_as_it_was():
    result, history = busy_run()
    result["load_s"] = 27.5
    last = levels.levels(result, history)[-1]
    assert last.length_s == 2.5


def test_registrations_are_counted():
    result, _ = stairs(RATES[:1], law_latency)
    result["messages"]["sent"] = {"REGISTER": 300}
    result["messages"]["received"] = {"401/REGISTER": 100, "200/REGISTER": 190,
                                      "503/REGISTER": 10}
    rows = dict(parts.registrations(result))
    assert rows["REGISTER requests sent"] == "300"
    assert rows["successful REGISTERs"] == "38/s"
    assert rows["refused for good (4xx but 401, 402, 407; 5xx; 6xx)"] == "5 %"
    assert "no REGISTER" in text_of(*stairs(RATES[:1], law_latency), "registrations")


def test_thresholds_have_room_or_none():
    rows = {row["expression"]: row for row in parts.threshold_rows({"thresholds": [
        {"expression": "srd: p(99) < 150ms", "value": 0.03, "limit": 0.15, "ok": True},
        {"expression": "failed: rate < 1%", "value": 0.05, "limit": 0.01, "ok": False},
        {"expression": "setup: p(99) < 1s", "value": None, "limit": 1.0, "ok": False}]})}
    found = [(row["value"], row["margin"], row["state"]) for row in rows.values()]
    assert found == [("30 ms", "+80.0%", "ok"), ("5 %", "5 times the limit", "FAIL"),
                     ("nothing", "–", "FAIL")]


@pytest.mark.parametrize("world", [World(), World(silent=True), World(reject_share=0.3),
                                   World(late_s=0.05), World(hold_s=100)])
def test_every_run_has_a_page(world):
    result = result_of(world)
    found = page(result, History(), library=False)
    assert found.count("<section") == 10
    assert "there are no intervals" in found


def test_an_answering_side_has_a_page():
    from tests.report.builders import HEAD, simulate

    collector, record = simulate(answering=True)
    record.last.figures.counters[:] = 0
    record.last.figures.outcomes[:] = 0
    result = collector.result(record, head={**HEAD, "target": None, "plan": {
        "role": "answerer", "workers": 1, "seed": 1,
        **{key: HEAD["plan"][key] for key in ("linger_s", "timers", "coalesce_s")}}})
    found = page(result, History(), library=False)
    assert "This is the answering side" in found


def test_without_the_library_everything_else_is_there(monkeypatch):
    monkeypatch.setattr("siploadgen.report.html.assembly.find_spec", lambda _: None)
    found = page(*busy_run())
    assert len(found) < 300_000
    assert found.count("pip install 'siploadgen[report]'") == 6
    assert 'id="library"' not in found


def test_an_hour_fits_in_two_and_a_half_megabytes(tmp_path, browser):
    rng = np.random.default_rng(2)
    names = ("srd", "srd_service", "lateness")
    stock = [spread(300 + 40 * place, 2000, rng, 0.9) for place in range(40)]
    result, _ = stairs(RATES[:1], law_latency, seconds=1)
    history = History()
    for second in range(3600):
        tagged = {name: stock[(second * 7 + place) % len(stock)]
                  for place, name in enumerate(names)}
        due = int(rng.poisson(2000))
        history.add({**ROW, "t_s": float(second), "calls": {
            **ROW["calls"], "due": due, "started": due, "succeeded": due - second % 5,
            "failed": {"busy": second % 5}}}, tagged)
    result["load_s"] = 3600.0
    result["verdict"]["intervals"] = [
        {"t_s": float(second), "state": "suspect", "rules": [
            {"name": "loop_busy", "value": 0.96, "limit": 0.95, "ok": False,
             "severity": "suspect"}]} for second in range(0, 3600, 2)]
    path = tmp_path / "hour.html"
    path.write_text(page(result, history), encoding="utf-8")
    assert path.stat().st_size <= LIMIT
    assert "each point is 4 intervals (4 s) added up: 3,600 intervals in 900 points" in " ".join(
        path.read_text().split())
    browser.look(1200)
    assert browser.open(path) == "ready"
    assert browser.ask("""document.querySelector("#chart-timeline").data.find(
        trace => trace.name === "due").x.length""") == 900


ROW = interval(0.0, 2000, {}, {"srd": spread(300, 2000, np.random.default_rng(1))})


@pytest.mark.parametrize("module", ["usl", "levels", "parts", "charts"])
def test_examples_are_true(module):
    assert doctest.testmod(import_module(f"siploadgen.report.html.{module}")).failed == 0
