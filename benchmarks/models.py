"""Every built-in model at one rate, against the answering side, caller and answerer on a core each.

One line for each model: calls, failures, messages sent again, CPU for a call, verdict.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks" / "versus_sipp")]

from common import (  # noqa: E402
    ANSWERER_CORES,
    CALLER_CORES,
    SETTLE_S,
    cpu_so_far,
    figure,
    note,
    scratch,
    tool,
)

from siploadgen.model.builtin import MODELS  # noqa: E402
from tests.matrix import arguments  # noqa: E402


def measure(name: str, rate: float, seconds: float) -> bool:
    """Run one model, print its figure; True when no call was lost."""
    with (scratch() as folder,
          tool.answering(folder, "--workers", "1", cores=ANSWERER_CORES) as answerer):
        before = cpu_so_far(answerer.process.pid)
        with tool.calling(folder, answerer.port, "--rate", f"{rate:g}/s", "--duration",
                          f"{seconds:g}s", "--workers", "1", *arguments(name), model=name,
                          hurried=True, cores=CALLER_CORES) as caller:
            report = caller.finish(seconds + SETTLE_S)
        answering_s = cpu_so_far(answerer.process.pid) - before
        answered = tool.hang_up(answerer)
    calls, verdict = report["calls"], report["verdict"]
    due = max(calls["due"], 1)
    engines = report["generator"]
    cpu_us = (engines["cpu_user_s"] + engines["cpu_system_s"]) / due * 1e6
    failed = calls["due"] - calls["succeeded"]
    again = (report["messages"]["retransmitted"], answered["messages"]["retransmitted"])
    broken = [rule["name"] for rule in verdict["rules"] if not rule["ok"]]
    note(f"{name:20} {calls['due']:7} calls, {failed} failed, again {again[0]}+{again[1]}, "
         f"CPU {cpu_us:6.1f}+{answering_s / due * 1e6:.1f} us, {verdict['state']} "
         f"{' '.join(broken)}")
    figure(f"models.{name}", round(cpu_us, 2), "us", rate=rate, seconds=seconds,
           calls=calls["due"], failed=failed, failures=calls["failed"],
           retransmitted=again[0], answerer_retransmitted=again[1],
           answerer_cpu_us=round(answering_s / due * 1e6, 2), verdict=verdict["state"],
           broken=broken, exit_code=report["exit_code"])
    return failed == 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", default=",".join(MODELS), help="comma separated")
    parser.add_argument("--rate", type=float, default=1000)
    parser.add_argument("--seconds", type=float, default=30)
    options = parser.parse_args()
    if (os.cpu_count() or 1) < 2:
        note("one core only: the figures mean nothing")
    good = [measure(name, options.rate, options.seconds) for name in options.models.split(",")]
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
