"""Collects a run while it goes on, and makes its result: the object that becomes run.json."""

import os
import platform
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from siploadgen import __version__
from siploadgen.core.counters import Counter
from siploadgen.errors import Exit, InternalError
from siploadgen.figures import Figures, RunRecord, Sample, Series
from siploadgen.ladder import draw, of_failure
from siploadgen.report import ceiling, limits, metrics, rfc6076
from siploadgen.report.limits import Judge
from siploadgen.report.metrics import Names
from siploadgen.report.summary import SCHEMA
from siploadgen.report.thresholds import Meter, Threshold
from siploadgen.units import NANOS


class Writer(Protocol):
    """Whatever keeps intervals and failures as they come."""

    def interval(self, row: Mapping[str, Any], figures: Figures) -> None:
        """Keep one interval: its row, and what happened in it."""

    def failures(self, failures: Sequence[Mapping[str, Any]]) -> None:
        """Keep failures."""


class View(Protocol):
    """Whatever shows the run to somebody; `live` says that it wants every tick."""

    live: bool

    def tick(self, sample: Sample) -> None:
        """Show the latest sample."""

    def interval(self, row: Mapping[str, Any]) -> None:
        """Show an interval that is over."""


@dataclass(slots=True)
class Collector:
    """An observer of a run: judges and measures each interval, and hands it to writers and view."""

    names: Names
    judge: Judge
    meter: Meter
    program: Any
    view: View | None = None
    writers: list[Writer] = field(default_factory=list)
    answering: bool = False
    _before: Sample | None = None

    @property
    def live(self) -> bool:
        """True when every tick is wanted, not only the intervals."""
        return self.view is not None and self.view.live

    def tick(self, sample: Sample) -> None:
        """Look at a sample, several times a second."""
        if self.view is not None:
            self.view.tick(sample)

    def interval(self, sample: Sample) -> bool:
        """Close the interval that ends with this sample; True: a threshold stops the run."""
        before = self._before
        start_ns = before.elapsed_ns if before else 0
        length_s = (sample.elapsed_ns - start_ns) / NANOS
        if length_s <= 0:
            return False
        figures = sample.figures - before.figures if before else sample.figures
        engines = [after - was for after, was in zip(sample.engines, before.engines, strict=True)
                   ] if before else list(sample.engines)
        answerer = sample.answerer
        if before and answerer and before.answerer:
            answerer = answerer - before.answerer
        self._before = sample
        raw = figures
        state, broken = self.judge.interval(start_ns / NANOS, figures, engines, answerer, length_s)
        self.meter.interval(figures, length_s)
        if sample.state in ("running", "paused"):  # what ends already needs no stop
            self.meter.judge(sample.figures, sample.elapsed_ns / NANOS)
        figures = self.names.whole(figures)
        row = self._row(sample, figures, engines, start_ns / NANOS, length_s)
        row["verdict"] = {"state": state, "rules": [rule.as_json() for rule in broken]}
        for writer in self.writers:
            writer.interval(row, raw)
        if self.view is not None:
            self.view.interval(row)
        return self.meter.stopped is not None

    def failures(self, failures: list[dict[str, Any]]) -> None:
        """Name the numbers of traced failures and hand them to the writers."""
        for failure in failures:
            outcome = failure.get("outcome")
            if isinstance(outcome, int):
                failure["outcome"] = self.names.outcome(outcome)
            pc = failure.get("pc")
            if isinstance(pc, int) and 0 <= pc < len(self.program.code):
                failure["step"] = self.program.step_name(pc)
            failure["diagram"] = draw(of_failure(failure["role"], failure["ladder"]))
        if failures:
            for writer in self.writers:
                writer.failures(failures)

    def _row(
        self,
        sample: Sample,
        figures: Figures,
        engines: Sequence[Figures],
        start_s: float,
        length_s: float,
    ) -> dict[str, Any]:
        counted = self._calls(figures)
        counted["in_progress"] = self._calls(sample.figures)["in_progress"]
        busy = [share for engine in engines if (share := metrics.loop_busy(engine)) is not None]
        said = metrics.messages(figures)
        return {
            "t_s": round(start_s, 6), "length_s": round(length_s, 6), "state": sample.state,
            "rate_factor": sample.factor,
            "calls": counted,
            "rate": _rates(counted, length_s),
            "messages": {**said, "sent": sum(said["sent"].values()),
                         "received": sum(said["received"].values())},
            "metrics": metrics.latencies(figures, self.names),
            "rfc6076": rfc6076.ratios(figures),
            "generator": {
                "loop_busy": max(busy, default=None),
                "receive_drops": figures.udp.get("receive_drops", 0),
                "send_errors": figures.udp.get("send_errors", 0),
                "late_starts": int(figures.counters[Counter.COUNT_LATE_STARTS]),
            },
        }

    def _calls(self, figures: Figures) -> dict[str, Any]:
        if self.answering:
            return metrics.answered_calls(figures, self.names)
        return metrics.calls(figures, self.names)

    def result(
        self,
        record: RunRecord,
        *,
        head: Mapping[str, Any],
        strict: bool = False,
        load_s: float | None = None,
    ) -> dict[str, Any]:
        """Make the result of a finished run.

        `head` holds what the plan knows: scenario, target, plan, command; `load_s` is how long the
        load is when it is not cut short. Raises InternalError when
        the figures contradict each other.
        """
        if record.problems:
            raise InternalError("the figures do not add up: " + "; ".join(record.problems[:5]))
        sample = record.last
        raw = sample.figures
        figures = raw.measured(self.names.series)
        cut = record.interrupted or self.meter.stopped is not None
        length_s = record.load_ns / NANOS if load_s is None or cut else load_s
        counted = self._calls(figures)
        fault = metrics.calls_imbalance(counted)
        if fault:
            raise InternalError(f"the figures do not add up: {fault}")
        verdict = self.judge.verdict(figures, sample.engines, sample.answerer, length_s)
        thresholds, stopped = self.meter.results(raw, length_s), self.meter.stopped
        silence = None if self.answering else limits.never_answered(figures)
        if self.answering:
            code = Exit.OK
        else:
            code = limits.exit_code(
                verdict=verdict["state"], strict=strict, interrupted=record.interrupted,
                silent=silence is not None, thresholds=thresholds, calls=counted)
        rate, said, about = _rates(counted, length_s), metrics.messages(figures), environment()
        quoted = None if self.answering else ceiling.quote(
            said["sent"], rate["started_per_s"], about)
        result: dict[str, Any] = {
            "schema": SCHEMA,
            **head,
            "target": self._target(head["target"], record),
            "started_at": datetime.fromtimestamp(record.started_at, UTC).isoformat(
                timespec="milliseconds"),
            "elapsed_s": round(record.elapsed_ns / NANOS, 6),
            "load_s": round(length_s, 6),
            "interrupted": record.interrupted,
            "verdict": {**verdict, "strict": strict, "limit": None if self.answering
                        else limits.at_its_end(verdict["state"], verdict["rules"], counted, said,
                                               silence), "stopped_by": None if stopped is None
                        else stopped.as_json()},
            "calls": counted,
            "rate": rate,
            "messages": said,
            "metrics": metrics.latencies(figures, self.names),
            "rfc6076": rfc6076.ratios(figures),
            "attempts": rfc6076.attempts(figures),
            **(metrics.parts(raw, self.names) if self.names.series else {}),
            "steps": metrics.steps(figures, self.program),
            "counters": {name: int(value) for name, value in zip(
                self.names.counters, figures.user_counters, strict=False)},
            "generator": {**self._generator(record), "ceiling": quoted},
            "thresholds": thresholds,
            "environment": about,
            "exit_code": int(code),
        }
        if silence is not None:
            result["never_answered"] = silence
        if record.hook_failures:
            result["hook_failures"] = list(record.hook_failures)
        if sample.answerer is not None:
            result["answerer"] = self._answerer(sample.answerer)
        return result

    @staticmethod
    def _target(target: Mapping[str, Any] | None, record: RunRecord) -> dict[str, Any] | None:
        """Add to what the plan knows of the target how many calls went to each of its servers."""
        return None if target is None else {
            **target, "addresses": [asdict(one) for one in record.targets]}

    def _generator(self, record: RunRecord) -> dict[str, Any]:
        sample = record.last
        busy = [share for engine in sample.engines
                if (share := metrics.loop_busy(engine)) is not None]
        lateness = sample.figures.histograms[metrics.HIST_LATENESS]
        late = metrics.percentile_s(lateness, 99)
        counters = sample.figures.counters
        sockets = record.sockets
        return {
            "cpu_user_s": round(record.cpu_user_s, 3),
            "cpu_system_s": round(record.cpu_system_s, 3),
            "cores": len(sample.engines),
            "loop_busy": max(busy, default=None),
            "send_late_p99_us": None if late is None else round(late * 1e6),
            "late_starts": int(counters[Counter.COUNT_LATE_STARTS]),
            "receive_drops": sample.figures.udp.get("receive_drops", 0),
            "gso": bool(sockets) and all(bool(facts.get("gso")) for facts in sockets),
            "gso_group": min((int(facts.get("gso_group", 1)) for facts in sockets), default=1),
            "gro": bool(sockets) and all(bool(facts.get("gro")) for facts in sockets),
            "kernel_timestamps": bool(sockets) and all(
                bool(facts.get("timestamps")) for facts in sockets),
            "receive_buffer": min((int(facts.get("receive_buffer", 0)) for facts in sockets),
                                  default=0),
            "slab_full": int(counters[Counter.COUNT_SLAB_FULL]),
            "linger_cut": int(counters[Counter.COUNT_LINGER_CUT]),
            "trace_dropped": int(counters[Counter.COUNT_TRACE_DROPPED]),
            "local": [f"{host}:{port}" for host, port in record.local],
            "udp": dict(sample.figures.udp),
            "memory": dict(record.memory),
        }

    @staticmethod
    def _answerer(figures: Figures) -> dict[str, Any]:
        """Return what the embedded answerer counted, kept apart from the caller's figures."""
        started = int(figures.counters[Counter.COUNT_ANSWERED])
        return {
            "calls": started, "in_progress": started - int(figures.answered_outcomes.sum()),
            "messages": metrics.messages(figures), "loop_busy": metrics.loop_busy(figures),
            "udp": dict(figures.udp),
        }


def _rates(counted: Mapping[str, Any], length_s: float) -> dict[str, float | None]:
    """Return numbers a second; due times that lay ahead when the run was stopped are left out."""
    counts = {"due": counted["due"] - counted["not_started"].get("stopped", 0),
              "started": counted["started"], "succeeded": counted["succeeded"]}
    return {f"{name}_per_s": round(count / length_s, 3) if length_s > 0 else None
            for name, count in counts.items()}


def environment() -> dict[str, Any]:
    """Describe the host and the versions, as far as they matter to the numbers."""
    cpu = platform.machine()
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                cpu = line.partition(":")[2].strip()
                break
    except OSError:
        pass
    return {"version": __version__, "python": platform.python_version(),
            "kernel": f"{platform.system()} {platform.release()}", "cpu": cpu,
            "cores": len(os.sched_getaffinity(0)),
            "implementation": sys.implementation.name}


def make_collector(
    program: Any,
    *,
    thresholds: Sequence[Threshold] = (),
    limit_values: Mapping[str, float] | None = None,
    bounded: bool = False,
    answering: bool = False,
    series: Sequence[Series] = (),
) -> Collector:
    """Make the collector of one run. Raises UsageError for thresholds that it cannot measure."""
    names = Names.of(program, tuple(series))
    values = limits.parse_limits([]) if limit_values is None else limit_values
    return Collector(names, Judge(values, bounded), Meter(thresholds, names), program,
                     answering=answering)
