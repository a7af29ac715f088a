"""What people see while a run goes on: a live table with keys, lines, JSON lines, or nothing."""

import contextlib
import json
import os
import select
import sys
from collections import deque
from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, Self, TextIO

from siploadgen.core.counters import Counter
from siploadgen.figures import Figures, Sample
from siploadgen.report import limits, metrics
from siploadgen.report.limits import Judge
from siploadgen.report.metrics import Names
from siploadgen.units import NANOS, format_duration, format_rate

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

SPAN = 5  # ticks that the live rates and percentiles look back on: about a second
STEP = 1.1  # a press of + or - changes the rate by a tenth
KEYS = "+ - a tenth, * / tenfold, p pause, q drain and stop, Q stop now"


class Control(Protocol):
    """What keys can do to a run."""

    @property
    def paused(self) -> bool:
        """True while new calls are held back."""

    @property
    def factor(self) -> float:
        """The rate asked for, relative to the plan."""

    def stop(self) -> None:
        """Let open calls end, then stop."""

    def abort(self) -> None:
        """Stop at once."""

    def scale(self, factor: float) -> float:
        """Change the rate."""

    def pause(self, paused: bool) -> None:
        """Hold back new calls, or go on."""


class Quiet:
    """Shows nothing."""

    live = False  # wants every tick

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        """Stop showing."""

    def control(self, control: Control) -> None:
        """Take the run that keys are for."""

    def tick(self, sample: Sample) -> None:
        """Show the latest sample."""

    def interval(self, row: Mapping[str, Any]) -> None:
        """Show an interval that is over."""


class JsonLines(Quiet):
    """One JSON object per interval on standard output."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stdout

    def interval(self, row: Mapping[str, Any]) -> None:
        """Write the interval."""
        self._stream.write(json.dumps(row, allow_nan=False) + "\n")
        self._stream.flush()


class Lines(Quiet):
    """One line per interval on standard error."""

    def __init__(self, clock: str | None, stream: TextIO | None = None) -> None:
        self._clock = clock
        self._stream = stream or sys.stderr

    def interval(self, row: Mapping[str, Any]) -> None:
        """Write the line."""
        self._stream.write(interval_line(row, self._clock) + "\n")
        self._stream.flush()


def interval_line(row: Mapping[str, Any], clock: str | None) -> str:
    """Return an interval as one line of text."""
    counted, rate = row["calls"], row["rate"]
    parts = [f"{row['t_s'] + row['length_s']:6.1f} s",
             f"due {format_rate(rate['due_per_s'] or 0)}",
             f"started {format_rate(rate['started_per_s'] or 0)}",
             f"ok {counted['succeeded']:,}", f"failed {sum(counted['failed'].values()):,}",
             f"open {counted['in_progress']:,}"]
    metric = row["metrics"].get(clock) if clock else None
    if metric and metric["count"]:
        parts.append(f"{clock} p50 {format_duration(metric['p50_us'] * 1000)} "
                     f"p99 {format_duration(metric['p99_us'] * 1000)}")
    late = row["metrics"]["lateness"]
    if late["count"]:
        parts.append(f"late p99 {format_duration(late['p99_us'] * 1000)}")
    state = row["verdict"]["state"]
    if state != "valid":
        broken = ", ".join(rule["name"] for rule in row["verdict"]["rules"])
        parts.append(f"{state.upper()} ({broken})")
    if row["state"] != "running":
        parts.append(row["state"])
    return "  ".join(parts)


class Keys:
    """The keyboard without Enter. The terminal is put back in every case, also after Ctrl-Z."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stdin
        self._saved: list[Any] | None = None
        self._fd = -1

    def open(self) -> None:
        """Read key by key, where standard input is a terminal that we own."""
        import atexit
        import termios
        import tty

        try:
            self._fd = self._stream.fileno()
            # A job in the background would be stopped by touching the terminal.
            if not os.isatty(self._fd) or os.tcgetpgrp(self._fd) != os.getpgrp():
                return
            self._saved = termios.tcgetattr(self._fd)
            atexit.register(self.close)
            tty.setcbreak(self._fd, termios.TCSADRAIN)
        except (OSError, ValueError, termios.error):
            self.close()

    def close(self) -> None:
        """Put the terminal back as it was; again does nothing."""
        import atexit
        import termios

        saved, self._saved = self._saved, None
        if saved is not None:
            with contextlib.suppress(OSError, termios.error):
                termios.tcsetattr(self._fd, termios.TCSADRAIN, saved)
            atexit.unregister(self.close)

    def read(self) -> str:
        """Return the keys pressed since the last call."""
        if self._saved is None:
            return ""
        pressed = b""
        with contextlib.suppress(OSError, ValueError):
            while select.select([self._fd], [], [], 0)[0]:
                part = os.read(self._fd, 64)
                if not part:
                    break
                pressed += part
        return pressed.decode(errors="ignore")


def press(keys: str, control: Control) -> None:
    """Do what keys mean."""
    for key in keys:
        match key:
            case "+":
                control.scale(control.factor * STEP)
            case "-":
                control.scale(control.factor / STEP)
            case "*":
                control.scale(control.factor * 10)
            case "/":
                control.scale(control.factor / 10)
            case "p":
                control.pause(not control.paused)
            case "q":
                control.stop()
            case "Q":
                control.abort()


class Table(Quiet):
    """A live table on a terminal, redrawn at every tick (four times a second), with keys."""

    live = True

    def __init__(
        self,
        names: Names,
        judge: Judge,
        title: str,
        *,
        total_calls: float,
        duration_ns: float,
        console: "Console | None" = None,
        keys: Keys | None = None,
    ) -> None:
        from rich.console import Console
        from rich.live import Live

        self._names = names
        self._judge = judge
        self._title = title
        self._total_calls = total_calls
        self._duration_ns = duration_ns
        self._samples: deque[Sample] = deque(maxlen=SPAN)
        self._keys = keys or Keys()
        self._control: Control | None = None
        self._live = Live(console=console or Console(stderr=True), auto_refresh=False,
                                transient=True)

    def __enter__(self) -> Self:
        self._keys.open()
        try:
            self._live.start()
        except BaseException:
            self._keys.close()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        """Put the terminal back."""
        try:
            self._live.stop()
        finally:
            self._keys.close()

    def control(self, control: Control) -> None:
        """Take the run that keys are for."""
        self._control = control

    def tick(self, sample: Sample) -> None:
        """Redraw, and do what keys ask for."""
        if self._control is not None:
            press(self._keys.read(), self._control)
        self._samples.append(sample)
        self._live.update(self.draw(), refresh=True)

    def draw(self) -> "RenderableType":
        """Return the picture of the latest sample."""
        from rich.console import Group
        from rich.progress_bar import ProgressBar
        from rich.table import Table as Grid
        from rich.text import Text

        last, first = self._samples[-1], self._samples[0]
        recent = last.figures - first.figures if first is not last else last.figures
        span_s = max((last.elapsed_ns - first.elapsed_ns) / NANOS, 1e-9)
        if first is last:
            span_s = max(last.elapsed_ns / NANOS, 1e-9)
        grid = Grid(box=None, pad_edge=False, show_header=False, padding=(0, 2, 0, 0))
        for label, text, style in self._rows(last, recent, span_s):
            grid.add_row(Text(label, "dim"), Text(text, style))
        state = "" if last.state == "running" else f"  {last.state}"
        speed = "" if last.factor == 1 else f"  rate x{last.factor:.3g}"
        head = Text(f"{self._title}  {format_duration(max(last.elapsed_ns, 0))}{speed}", "bold")
        head.append(state, "yellow")
        bar = ProgressBar(total=1.0, completed=self._progress(last), width=60)
        line = Grid(box=None, pad_edge=False, show_header=False, padding=0)
        line.add_row(bar)
        parts = [self._workloads(last, recent, span_s)] if len(self._names.workloads) > 1 else []
        return Group(head, grid, *parts, line, Text(KEYS, "dim"))

    def _workloads(self, last: Sample, recent: Figures, span_s: float) -> "RenderableType":
        """Return a row for each workload: what it is to do, and what became of it."""
        from rich.table import Table as Grid

        grid = Grid(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
        for number, name in enumerate(("scenario", "planned", "due", "started", "started/s", "ok",
                                       "failed", "not", "open")):
            grid.add_column(name, justify="right" if number else "left")
        for number, name in enumerate(self._names.workloads):
            counted = metrics.calls(self._names.of_workload(last.figures, name), self._names)
            lately = metrics.calls(self._names.of_workload(recent, name), self._names)
            held = last.held[number] if number < len(last.held) else None
            grid.add_row(
                name, format_rate(lately["due"] / span_s) if held is None else f"{held:,} open",
                f"{counted['due']:,}", f"{counted['started']:,}",
                format_rate(lately["started"] / span_s).removesuffix("/s"),
                f"{counted['succeeded']:,}", f"{sum(counted['failed'].values()):,}",
                f"{sum(counted['not_started'].values()):,}", f"{counted['in_progress']:,}")
        return grid

    def _progress(self, sample: Sample) -> float:
        done = 0.0
        if 0 < self._duration_ns < float("inf"):
            done = sample.elapsed_ns / self._duration_ns
        if 0 < self._total_calls < float("inf"):
            due = int(sample.figures.counters[Counter.COUNT_DUE])
            done = max(done, due / self._total_calls)
        return min(max(done, 0.0), 1.0)

    def _rows(self, last: Sample, recent: Figures, span_s: float) -> list[tuple[str, str, str]]:
        recent = self._names.whole(recent)
        counted = metrics.calls(last.figures, self._names)
        lately = metrics.calls(recent, self._names)
        failed = sum(counted["failed"].values())
        missed = sum(counted["not_started"].values())
        rows = [
            ("offered", f"{counted['due']:,}   {format_rate(lately['due'] / span_s)}", ""),
            ("started", f"{counted['started']:,}   {format_rate(lately['started'] / span_s)}"
                        + (f"   {missed:,} not" if missed else ""), ""),
            ("ok", f"{counted['succeeded']:,}   {format_rate(lately['succeeded'] / span_s)}",
             "green"),
            ("failed", f"{failed:,}   " + ", ".join(
                f"{name} {count:,}" for name, count in counted["failed"].items()),
             "red" if failed else ""),
            ("open", f"{counted['in_progress']:,}", ""),
        ]
        for clock, name in enumerate(self._names.clocks[:3]):
            counts = recent.histograms[metrics.HIST_CLOCKS + 2 * clock]
            rows.append((name, self._percentiles(counts), ""))
        rows.append(("lateness", self._percentiles(
            recent.histograms[metrics.HIST_LATENESS]), ""))
        found = self._judge.rules(recent, [], None, span_s, whole=False)
        state = limits.worst(found)
        broken = ", ".join(rule.name for rule in found if not rule.ok)
        spoilt = sum(row["state"] == "invalid" for row in self._judge.intervals)
        text = state + (f": {broken}" if broken else "")
        if spoilt:
            text += f"   ({spoilt} invalid seconds so far)"
        style = {"valid": "green", "suspect": "yellow", "invalid": "bold red"}[
            "invalid" if spoilt else state]
        rows.append(("verdict", text, style))
        return rows

    @staticmethod
    def _percentiles(counts: Any) -> str:
        values = [metrics.percentile_s(counts, percent) for percent in (50, 99)]
        if values[0] is None or values[1] is None:
            return "-"
        return (f"p50 {format_duration(values[0] * 1e9)}   "
                f"p99 {format_duration(values[1] * 1e9)}")


def choose_ui(asked: str, stderr_is_terminal: bool, ci: bool) -> str:
    """Return rich, line, json or none for `auto`: a table on a terminal, lines elsewhere."""
    if asked != "auto":
        return asked
    return "rich" if stderr_is_terminal and not ci else "line"
