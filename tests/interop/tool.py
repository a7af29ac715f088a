"""siploadgen as a user runs it: commands, their exit codes, their run.json."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.interop.peers import HOST, PeerError, free_port, running, wait_for, wait_until_bound

COMMAND = (sys.executable, "-m", "siploadgen")
QUIET = ("--ui", "none")
# A shared machine may start calls late, and a run then says that it is invalid, as it should. Where
# a test asks whether calls are lost, lateness is not its subject; lost datagrams still are.
UNHURRIED = ("--limit", "late_start_p99=10s")


def target(port: int) -> str:
    """Give the SIP URI of a port on loopback."""
    return f"sip:{HOST}:{port}"


@dataclass(slots=True)
class Tool:
    """A siploadgen process and what it leaves behind."""

    process: subprocess.Popen[str]
    out: Path
    log: Path
    port: int = 0

    def interrupt(self) -> None:
        """Press Ctrl-C."""
        self.process.send_signal(signal.SIGINT)

    def wait(self, seconds: float) -> int:
        """Wait for its end; give the exit code."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise PeerError(f"siploadgen not done within {seconds:g} s: {self.said()}") from None

    def said(self) -> str:
        """Give all it wrote for people."""
        return self.log.read_text(errors="replace")

    def report(self) -> dict[str, Any]:
        """Give its run.json, audited: the two sums and the exit code."""
        path = self.out / "run.json"
        if not path.exists():
            raise PeerError(f"no run.json (exit {self.process.returncode}): {self.said()[-3000:]}")
        report: dict[str, Any] = json.loads(path.read_text())
        audit(report)
        assert report["exit_code"] == self.process.returncode
        return report

    def finish(self, seconds: float) -> dict[str, Any]:
        """Wait, then give the audited report."""
        self.wait(seconds)
        return self.report()


def audit(report: dict[str, Any]) -> None:
    """The sums that hold exactly in every result."""
    calls = report["calls"]
    assert report["schema"] == "siploadgen/run/1"
    assert calls["due"] == calls["started"] + sum(calls["not_started"].values())
    assert calls["started"] == (calls["succeeded"] + sum(calls["failed"].values())
                                + calls["in_progress"])


def nothing_lost(report: dict[str, Any], calls: int) -> None:
    """Every one of so many calls went as planned, and the numbers can be trusted."""
    assert report["calls"]["due"] == calls
    assert report["calls"]["succeeded"] == calls, report["calls"]
    assert report["calls"]["in_progress"] == 0
    assert report["messages"]["malformed"] == 0
    assert report["exit_code"] == 0, report["verdict"]


def got(report: dict[str, Any], what: str, times: int) -> None:
    """So many of these were received, besides repeats."""
    messages = report["messages"]
    count = messages["received"].get(what, 0)
    assert times <= count <= times + messages["received_again"] + messages["retransmitted"], what


def no_stray(*sides: dict[str, Any]) -> None:
    """No message found its dialog gone, but for repeats.

    A machine that pauses for half a second repeats what it has not seen answered, and a repeat may
    come after the end: each such message was sent again by one of the sides.
    """
    repeats = sum(side["messages"]["retransmitted"] + side["messages"]["received_again"]
                  for side in sides)
    assert sum(side["messages"]["stray"] for side in sides) <= repeats


@contextmanager
def siploadgen(folder: Path, verb: str, *arguments: str, name: str = "",
               cores: set[int] | None = None, urgent: bool = False,
               whole: bool = False) -> Iterator[Tool]:
    """Run a command that takes --out; it is stopped at the end if it has not ended.

    Its report is run.json, or the `whole` folder, whose page takes a third of a second to write.
    """
    name = name or verb
    out, log = folder / f"{name}-out", folder / f"{name}.log"
    out.mkdir()
    command = [*COMMAND, verb, *arguments, "--out", f"{out}/" if whole else f"json={out}/run.json"]
    with running(command, log, cores=cores, urgent=urgent, grace=10.0) as process:
        yield Tool(process, out, log)


@contextmanager
def calling(folder: Path, port: int, *arguments: str, model: str = "call", name: str = "run",
            hurried: bool = False, cores: set[int] | None = None,
            urgent: bool = False, whole: bool = False) -> Iterator[Tool]:
    """Run `siploadgen run MODEL -t ...` on the port; `hurried` if late calls spoil the run."""
    limits = () if hurried else UNHURRIED
    with siploadgen(folder, "run", model, "-t", target(port), *QUIET, *limits, *arguments,
                    name=name, cores=cores, urgent=urgent, whole=whole) as tool:
        yield tool


@contextmanager
def answering(folder: Path, *arguments: str, port: int | None = None, name: str = "answer",
              cores: set[int] | None = None, urgent: bool = False,
              whole: bool = False) -> Iterator[Tool]:
    """Run `siploadgen answer` until the end of the context, ready when this yields."""
    port = port or free_port()
    with siploadgen(folder, "answer", "--listen", f"udp:{HOST}:{port}", *arguments, name=name,
                    cores=cores, urgent=urgent, whole=whole) as tool:
        tool.port = port
        wait_until_bound(port, tool.process)
        wait_for(lambda: bool(tool.said().strip()), 10, "the ready line of siploadgen answer")
        yield tool


def hang_up(tool: Tool, seconds: float = 40.0) -> dict[str, Any]:
    """Stop an answering side as a user does; give its audited report."""
    tool.interrupt()
    return tool.finish(seconds)
