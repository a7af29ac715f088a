"""What people see during a run: lines, JSON lines, the table, and the keys on a real terminal."""

import io
import json
import os
import pty
import select
import termios
from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console

from siploadgen.core.program import Outcome
from siploadgen.figures import Sample
from siploadgen.report import live
from siploadgen.report.collect import make_collector
from tests.report.builders import SECOND, figures, simulate
from tests.run.fake_engine import World


class Rows:
    def __init__(self):
        self.rows = []

    def interval(self, row, held):
        self.rows.append(row)

    def failures(self, failures):
        pass


def rows_of(world):
    rows = Rows()
    simulate(world, writers=[rows])
    return rows.rows


def test_a_line_for_each_interval():
    stream = io.StringIO()
    lines = live.Lines("srd", stream)
    for row in rows_of(World(late_s=0.02, reject_share=1.0)):
        lines.interval(row)
    first, *_, last = stream.getvalue().splitlines()
    assert first.lstrip().startswith("1.0 s  due 101/s")
    assert "INVALID (late_start_p99)" in first
    assert "srd p50" in first
    assert last.endswith("ended")


def test_json_lines():
    stream = io.StringIO()
    view = live.JsonLines(stream)
    for row in rows_of(World()):
        view.interval(row)
    rows = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert len(rows) == 3
    assert rows[0]["verdict"] == {"state": "valid", "rules": []}


def table(keys=None):
    from tests.run.fake_engine import FakeProgram

    collector = make_collector(FakeProgram())
    console = Console(file=io.StringIO(), force_terminal=True, width=100)
    return live.Table(collector.names, collector.judge, "call to sip:x", total_calls=200,
                      duration_ns=2 * SECOND, console=console, keys=keys), console


def test_the_table_shows_rates_and_percentiles():
    view, console = table(keys=live.Keys(io.StringIO()))
    held = [figures(COUNT_DUE=100 * n, COUNT_STARTED=98 * n, COUNT_NOT_STARTED_NO_SLOT=2 * n,
                    OUTCOME_SUCCEEDED=90 * n, OUTCOME_TIMEOUT=5 * n,
                    histograms={0: [1500] * n, 2: [2000] * n}, in_progress=3 * n)
            for n in (1, 2)]
    with view:
        view.tick(Sample(SECOND, held[0], (held[0],)))
        view.tick(Sample(2 * SECOND, held[1], (held[1],), factor=1.1, state="draining"))
        console.print(view.draw())
    text = console.file.getvalue()
    for part in ("200   100/s", "196   98/s   4 not", "180   90/s", "timeout 10", "srd",
                 "p50 2 ms", "verdict", "draining", "rate x1.1", "p pause"):
        assert part in text, part


def test_each_workload_has_a_row_of_its_own():
    from siploadgen.figures import Series
    from tests.run.fake_engine import FakeProgram

    series = (Series("offered", "warmup", False), Series("offered", "main"), Series("held", "main"))
    collector = make_collector(FakeProgram(), series=series)
    console = Console(file=io.StringIO(), width=100)
    view = live.Table(collector.names, collector.judge, "x", total_calls=1, duration_ns=SECOND,
                      console=console, keys=live.Keys(io.StringIO()))
    counted = figures(COUNT_DUE=120, COUNT_STARTED=117, COUNT_NOT_STARTED_NO_SLOT=3,
                      in_progress=20)
    outcomes = np.zeros((3, counted.outcomes.size), np.int64)
    outcomes[:, Outcome.OUTCOME_SUCCEEDED] = [10, 50, 30]
    outcomes[1, Outcome.OUTCOME_TIMEOUT] = 7
    starts = np.zeros((3, counted.series_starts.shape[1]), np.int64)
    starts[:, :3] = [[10, 10, 0], [70, 67, 3], [40, 40, 0]]
    counted = replace(counted, series_outcomes=outcomes, series_starts=starts,
                      histograms=np.concatenate([counted.histograms[:2],
                                                 *[counted.histograms[2:]] * 3]))
    with view:
        view.tick(Sample(SECOND, counted, (counted,), factor=2.0, held=(None, 22)))
        console.print(view.draw())
    rows = [line.split() for line in console.file.getvalue().splitlines()]
    assert ["scenario", "planned", "due", "started", "started/s", "ok", "failed", "not",
            "open"] in rows
    assert ["offered", "80/s", "80", "77", "77", "60", "7", "3", "10"] in rows
    assert ["held", "22", "open", "40", "40", "40", "30", "0", "0", "10"] in rows


class Control:
    def __init__(self):
        self.factor, self.paused, self.done = 1.0, False, []

    def scale(self, factor):
        self.factor = factor
        return factor

    def pause(self, paused):
        self.paused = paused

    def stop(self):
        self.done.append("stop")

    def abort(self):
        self.done.append("abort")


def test_keys_do_what_they_say():
    control = Control()
    live.press("++", control)
    assert control.factor == pytest.approx(1.21)
    live.press("-*/-x", control)
    assert control.factor == pytest.approx(1.0)
    live.press("p", control)
    assert control.paused
    live.press("pqQ", control)
    assert not control.paused
    assert control.done == ["stop", "abort"]


class Terminal:
    """A pseudo terminal whose far end is the keyboard."""

    def __init__(self):
        self.keyboard, slave = pty.openpty()
        self.stream = os.fdopen(slave)

    def mode(self):
        return termios.tcgetattr(self.stream.fileno())

    def close(self):
        self.stream.close()
        os.close(self.keyboard)


@pytest.fixture
def terminal(monkeypatch):
    term = Terminal()
    monkeypatch.setattr(live.os, "tcgetpgrp", lambda fd: os.getpgrp())
    yield term
    term.close()


def test_keys_come_without_enter_and_the_terminal_is_put_back(terminal):
    before = terminal.mode()
    keys = live.Keys(terminal.stream)
    keys.open()
    assert not terminal.mode()[3] & termios.ICANON
    assert keys.read() == ""
    os.write(terminal.keyboard, b"+p")
    select.select([terminal.stream], [], [], 5)
    assert keys.read() == "+p"
    keys.close()
    assert terminal.mode() == before
    keys.close()
    assert keys.read() == ""


def test_the_terminal_is_put_back_after_an_error(terminal):
    before = terminal.mode()
    view, _ = table(keys=live.Keys(terminal.stream))
    modes = []

    def fail():
        with view:
            modes.append(terminal.mode())
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert modes != [before]
    assert terminal.mode() == before


def test_no_terminal_no_keys(tmp_path):
    keys = live.Keys(io.StringIO())
    keys.open()
    assert keys.read() == ""
    with (tmp_path / "x").open("w+") as file:
        keys = live.Keys(file)
        keys.open()
        assert keys.read() == ""
        keys.close()


@pytest.mark.parametrize(("asked", "terminal", "ci", "chosen"), [
    ("auto", True, False, "rich"), ("auto", True, True, "line"), ("auto", False, False, "line"),
    ("json", True, False, "json"), ("none", True, False, "none"), ("rich", False, True, "rich"),
])
def test_the_choice_of_view(asked, terminal, ci, chosen):
    assert live.choose_ui(asked, terminal, ci) == chosen
