"""What all tests share: the corpus folder, real peers, hypothesis profiles, the leak ledger."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings

ROOT = Path(__file__).resolve().parent.parent
IN_CI = os.environ.get("CI") == "true"

# A shared machine can pause a test at any point: no deadline, ever. In CI the examples are the same
# every time; a developer's run explores.
_QUIET = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.function_scoped_fixture]
# Explaining a failure line by line traces the slow reference code of every example.
_PHASES = [Phase.explicit, Phase.reuse, Phase.generate, Phase.target, Phase.shrink]
settings.register_profile("dev", deadline=None, suppress_health_check=_QUIET, phases=_PHASES)
settings.register_profile("ci", settings.get_profile("dev"), derandomize=True, database=None)
settings.register_profile("fuzz", settings.get_profile("dev"), max_examples=5000, database=None)
settings.load_profile("ci" if IN_CI else "dev")

# No test reads the configuration of whoever runs it.
os.environ["XDG_CONFIG_HOME"] = str(ROOT / "tests" / "config" / "home")
# What `selftest` left for this user is no part of any result that tests look at.
os.environ["XDG_CACHE_HOME"] = str(ROOT / "build" / "no-cache")

ORDER = ("tidy", "ground", "sip", "net", "tx", "vm", "engine", "sim", "model", "compile", "load",
         "run", "report", "capacity", "cli", "bench", "loopback", "interop")


def _room(item: pytest.Item) -> int:
    """Where a test stands: the cheap and telling ones first, real peers last."""
    part = item.path.relative_to(ROOT / "tests").parts[0] if ROOT in item.path.parents else ""
    return ORDER.index(part) if part in ORDER else len(ORDER) - 2


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=_room)


def absent(what: str, mend: str) -> None:
    """Skip the test for want of `what`; in CI that is a failure."""
    message = f"{what} is missing ({mend})"
    if IN_CI:
        pytest.fail(message)
    pytest.skip(message)


@pytest.fixture(scope="session")
def corpus() -> Path:
    """The folder of SIP messages with verdicts, which is not part of the project."""
    folder = Path(os.environ.get("SIPLOADGEN_CORPUS") or ROOT.parent / "shared" / "corpus")
    if not (folder / "verdicts.csv").is_file():
        absent(f"the corpus folder {folder}", "set SIPLOADGEN_CORPUS")
    return folder


@pytest.fixture(scope="session")
def peers() -> dict[str, str]:
    """Paths of the real peers by name: sipp, kamailio, tshark, dumpcap."""
    search = os.environ.get("PATH", "") + os.pathsep + "/usr/sbin"
    found = {name: shutil.which(name, path=search)
             for name in ("sipp", "kamailio", "tshark", "dumpcap")}
    for name, path in found.items():
        if path is None:
            absent(name, "tools/peers.sh")
    return {name: path for name, path in found.items() if path is not None}


class Ledger:
    """Engines under watch. After the test each must be in balance and own nothing."""

    def __init__(self) -> None:
        self._engines: list[Any] = []

    def watch(self, engine: Any) -> Any:
        """Audit `engine` when the test is over; returns it."""
        self._engines.append(engine)
        return engine

    def balance(self, engine: Any) -> None:
        """The sums that hold at every instant (not only at the end)."""
        from siploadgen.core.counters import Counter

        count = engine.counters
        refused = sum(int(count[key]) for key in Counter if "NOT_STARTED" in key.name)
        started = int(count[Counter.COUNT_STARTED])
        assert int(count[Counter.COUNT_DUE]) == started + refused, "due = started + not started"
        assert started == int(engine.outcomes.sum()) + engine.in_progress, \
            "started = ended + in progress"

    def close(self) -> None:
        """The audit at the end of a test."""
        for engine in self._engines:
            engine.check()
            self.balance(engine)
            left = {kind: live for kind, live in engine.census().items() if live}
            assert not left, f"records left over: {left}"


@pytest.fixture
def ledger(request: pytest.FixtureRequest) -> Iterator[Ledger]:
    """`ledger.watch(engine)`: nothing may leak. An engine test folder makes it autouse."""
    book = Ledger()
    yield book
    report = getattr(request.node, "report_call", None)
    if report is None or report.passed:  # a failed test has said enough
        book.close()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: Any) -> Iterator[None]:
    outcome: Any = yield
    if call.when == "call":
        item.report_call = outcome.get_result()  # type: ignore[attr-defined]
