"""The two contenders, measured the same way: caller and answerer on a core each, from outside."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tests.interop import peers, recount, tool  # noqa: E402

__all__ = ["ROOT", "Contender", "SippContender", "Trial", "Usage", "contenders", "figure", "note",
           "peers", "recount", "scratch"]

CALLER_CORES, ANSWERER_CORES = {0}, {1 % (os.cpu_count() or 1)}
SETTLE_S = 20.0  # what a caller may take beyond its schedule before the trial counts as failed


@dataclass(frozen=True, slots=True)
class Usage:
    """What a process that has ended cost, by the kernel's account."""

    exit_code: int
    wall_s: float
    user_s: float
    system_s: float
    peak_kb: int

    @property
    def cpu_s(self) -> float:
        return self.user_s + self.system_s


@dataclass(frozen=True, slots=True)
class Trial:
    """One run of a caller."""

    rate: float
    calls: int
    succeeded: int
    failed: int
    retransmitted: int
    valid: bool  # the contender's own opinion; SIPp has none and is believed
    usage: Usage
    broken: str = ""  # the rules of the verdict that do not hold
    window_cpu_s: float = 0.0  # CPU between the two moments that were asked for

    @property
    def clean(self) -> bool:
        return (self.valid and self.succeeded == self.calls
                and self.failed == 0 and self.retransmitted == 0)


class Contender(Protocol):
    """A tool that can play both sides."""

    name: str

    def answerer(self, folder: Path, extra: tuple[str, ...] = ()) -> Any:
        """Context manager that yields the port of an answering side on its own core."""

    def call(self, folder: Path, port: int, rate: float, seconds: float,
             hold_s: float = 0.0, extra: tuple[str, ...] = (),
             window: tuple[float, float] | None = None) -> Trial:
        """Run a caller on its own core to the end."""


def cpu_so_far(pid: int) -> float:
    """Seconds on a core of all threads of a process that runs."""
    total = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        total += int((task / "schedstat").read_text().split()[0])
    return total / 1e9


class Window:
    """CPU of a process between two moments (s after its start), looked at while it is waited for.

    A rate of CPU: what it used, stretched to the length that was asked for.
    """

    def __init__(self, window: tuple[float, float] | None) -> None:
        self.left = list(window or ())
        self.length = window[1] - window[0] if window else 0.0
        self.seen: list[tuple[float, float]] = []

    def look(self, pid: int, wall_s: float) -> None:
        if self.left and wall_s >= self.left[0]:
            self.left.pop(0)
            self.seen.append((time.monotonic(), cpu_so_far(pid)))

    @property
    def cpu_s(self) -> float:
        if len(self.seen) < 2:
            return 0.0
        (begin, before), (end, after) = self.seen
        return (after - before) / (end - begin) * self.length


def wait_usage(process: subprocess.Popen[str], seconds: float,
               window: Window | None = None) -> Usage:
    """Wait for the process; TimeoutError when it takes longer."""
    began = time.monotonic()
    while True:
        if window is not None:
            window.look(process.pid, time.monotonic() - began)
        pid, status, usage = os.wait4(process.pid, os.WNOHANG)
        wall = time.monotonic() - began
        if pid:
            process.returncode = os.waitstatus_to_exitcode(status)
            return Usage(process.returncode, wall, usage.ru_utime, usage.ru_stime,
                         usage.ru_maxrss)
        if wall > seconds:
            raise TimeoutError(f"not done within {seconds:g} s")
        time.sleep(0.005)


class SippContender:
    """SIPp with the settings that suit it best: one socket, big buffers, no limit on calls."""

    name = "sipp"

    @contextmanager
    def answerer(self, folder: Path, extra: tuple[str, ...] = ()) -> Iterator[int]:
        with peers.sipp_uas(folder, cores=ANSWERER_CORES, extra=extra) as sipp:
            yield sipp.port

    def call(self, folder: Path, port: int, rate: float, seconds: float,
             hold_s: float = 0.0, extra: tuple[str, ...] = (),
             window: tuple[float, float] | None = None) -> Trial:
        calls = int(rate * seconds)
        looked = Window(window)
        hold = ("-d", str(int(hold_s * 1000)))
        with peers.sipp_uac(folder, port, rate=rate, calls=calls, open_calls=1_000_000,
                            cores=CALLER_CORES, extra=(*hold, *extra)) as sipp:
            try:
                usage = wait_usage(sipp.process, seconds + hold_s + SETTLE_S, looked)
            except TimeoutError:
                sipp.process.kill()
                usage = wait_usage(sipp.process, 10)
            stats = sipp.stats()
        return Trial(rate, calls, stats.successful, stats.failed, stats.retransmissions, True,
                     usage, window_cpu_s=looked.cpu_s)


class SiploadgenContender:
    """siploadgen with one worker on each side; with or without UDP GSO."""

    def __init__(self, gso: bool = True) -> None:
        self.gso = "on" if gso else "off"
        self.name = f"siploadgen-gso-{self.gso}"

    @contextmanager
    def answerer(self, folder: Path, extra: tuple[str, ...] = ()) -> Iterator[int]:
        with tool.answering(folder, "--workers", "1", "--gso", self.gso, *extra,
                            cores=ANSWERER_CORES) as answerer:
            yield answerer.port

    def call(self, folder: Path, port: int, rate: float, seconds: float,
             hold_s: float = 0.0, extra: tuple[str, ...] = (),
             window: tuple[float, float] | None = None) -> Trial:
        looked = Window(window)
        with tool.calling(folder, port, "--rate", f"{rate:g}/s", "--duration", f"{seconds:g}s",
                          "--arrival", "uniform", "--workers", "1", "--gso", self.gso,
                          "--set", f"hold={hold_s:g}s", *extra,
                          name=f"run-{time.monotonic_ns()}", hurried=True,
                          cores=CALLER_CORES) as caller:
            try:
                usage = wait_usage(caller.process, seconds + hold_s + SETTLE_S, looked)
            except TimeoutError:
                caller.process.kill()
                usage = wait_usage(caller.process, 10)
                return Trial(rate, int(rate * seconds), 0, 0, 0, False, usage)
            report = caller.report()
        calls = report["calls"]
        return Trial(rate, calls["due"], calls["succeeded"], sum(calls["failed"].values()),
                     report["messages"]["retransmitted"],
                     report["verdict"]["state"] == "valid", usage,
                     ", ".join(f"{rule['name']} {rule['value']}"
                               for rule in report["verdict"]["rules"] if not rule["ok"]),
                     looked.cpu_s)


def contenders(names: str) -> list[Contender]:
    """`sipp,gso,plain` in any selection."""
    known: dict[str, Contender] = {"sipp": SippContender(), "gso": SiploadgenContender(True),
                                   "plain": SiploadgenContender(False)}
    return [known[name] for name in names.split(",")]


def figure(name: str, value: float, unit: str, **more: object) -> None:
    """Print one figure as one JSON line, as benchmarks/run.py collects them."""
    print(json.dumps({"name": name, "value": value, "unit": unit, **more}), flush=True)


def note(text: str) -> None:
    """Tell the person who waits."""
    print(text, file=sys.stderr, flush=True)


@contextmanager
def scratch() -> Iterator[Path]:
    """A folder for logs and statistics, gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="siploadgen-bench-") as folder:
        yield Path(folder)
