"""Runs from Python: what is called, when, with which data; and the result as an object.

>>> from siploadgen.loads import shared_calls
>>> result = Run(seed=42).add("call", shared_calls(10, concurrency=2), hold="10ms").execute()
>>> result.calls["succeeded"], result.metric("srd").p(99) < 5
(10, True)
"""

import contextlib
import signal
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from html import escape
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from siploadgen.cli.options import model_errors, parse_tuning
from siploadgen.cli.prepare import prepare
from siploadgen.config.job import Job, Work, setting_text
from siploadgen.config.schema import File, UsersEntry
from siploadgen.errors import UsageError
from siploadgen.figures import RunRecord, Sample
from siploadgen.load.executors import Executor
from siploadgen.load.sources import Table
from siploadgen.loads import Users
from siploadgen.model import scenario as tree
from siploadgen.model.builtin import MODELS, Model
from siploadgen.model.errors import nearest
from siploadgen.model.python import CallModel
from siploadgen.model.values import Distribution, Samples, describe_value
from siploadgen.report import histogram, metrics, summary
from siploadgen.report.collect import Collector, make_collector
from siploadgen.report.limits import parse_limits
from siploadgen.report.thresholds import parse_threshold
from siploadgen.report.writers import Outputs, parse_outputs, tape_octets
from siploadgen.run.runner import Runner
from siploadgen.units import NANOS, parse_duration


@dataclass(frozen=True, slots=True)
class Latency:
    """A distribution of times; what it gives is in seconds."""

    name: str
    counts: NDArray[np.int64]  # HDR buckets of microseconds, three digits

    @property
    def count(self) -> int:
        """Values."""
        return int(self.counts.sum())

    def p(self, percent: float) -> float:
        """Percentile in seconds; NaN without values. Raises ValueError beyond 0 to 100."""
        if not 0 <= percent <= 100:
            raise ValueError(f"percentile {percent}: from 0 to 100")
        value = metrics.percentile_s(self.counts, percent)
        return float("nan") if value is None else value

    @property
    def mean(self) -> float:
        """Mean in seconds."""
        return float(histogram.mean(self.counts)) / 1e6

    @property
    def max(self) -> float:
        """Highest value in seconds."""
        return float(histogram.maximum(self.counts)) / 1e6


class Result:
    """What a run left: `to_dict()` is run.json (see its schema in the package)."""

    def __init__(self, data: dict[str, Any], collector: Collector, record: RunRecord) -> None:
        self._data, self._names, self._figures = data, collector.names, record.last.figures

    @property
    def calls(self) -> Mapping[str, Any]:
        """Counts: due, started, not_started by cause, succeeded, failed by class, in_progress."""
        return self._data["calls"]  # type: ignore[no-any-return]

    @property
    def verdict(self) -> str:
        """`valid`, `suspect` or `invalid`."""
        return str(self._data["verdict"]["state"])

    @property
    def exit_code(self) -> int:
        """What the command would exit with."""
        return int(self._data["exit_code"])

    @property
    def ok(self) -> bool:
        """Whether everything was as it should."""
        return self.exit_code == 0

    @property
    def interrupted(self) -> bool:
        """Whether the run was stopped before its end."""
        return bool(self._data["interrupted"])

    @property
    def thresholds(self) -> Sequence[Mapping[str, Any]]:
        """Each with expression, value, limit and ok."""
        return self._data["thresholds"]  # type: ignore[no-any-return]

    def metric(self, name: str, *, scenario: str | None = None,
               phase: str | None = None) -> Latency:
        """Return a latency: of all measured phases, or of one, or of one scenario.

        Raises KeyError that names the nearest: no such metric, scenario or phase.
        """
        known = self._names.latencies()
        for what, value, names in (
                ("metric", name, list(known)),
                ("scenario", scenario, [one.workload for one in self._names.series]),
                ("phase", phase, [one.phase for one in self._names.series])):
            if value is not None and value not in names:
                raise KeyError(f"there is no {what} {value} ({nearest(value, names)})")
        part = self._names.part(self._figures, scenario, phase)
        return Latency(name, self._names.counts(part, name))

    def to_dict(self) -> dict[str, Any]:
        """Return the object of run.json."""
        return self._data

    def save(self, *outputs: str) -> None:
        """Write documents: `DIR/`, or `json=PATH`, `md=PATH`, `junit=PATH`.

        Raises UsageError: no such kind, or a place that cannot be written.
        """
        files = Outputs(parse_outputs(outputs), self._names, time.time())
        files.close()
        files.finish(self._data)

    def __str__(self) -> str:
        return summary.plain(self._data, [])

    def _repr_html_(self) -> str:
        return f"<pre>{escape(str(self))}</pre>"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A run as it stands; `elapsed` in seconds."""

    elapsed: float
    planned: int
    due: int
    started: int
    succeeded: int
    failed: int
    open: int
    factor: float
    state: str  # running, paused, draining, stopping, ended


class _Watcher:
    """Keeps the latest sample, and hands snapshots on once a second."""

    live = True

    def __init__(self, collector: Collector, progress: Callable[[Snapshot], None] | None) -> None:
        self._names, self._progress = collector.names, progress
        self.latest: Sample | None = None

    def tick(self, sample: Sample) -> None:
        """Keep a sample."""
        self.latest = sample

    def interval(self, row: Mapping[str, Any]) -> None:  # noqa: ARG002
        """Tell whoever wants to know."""
        if self._progress is not None:
            self._progress(self.snapshot())

    def snapshot(self) -> Snapshot:
        """Say how the run stands."""
        if self.latest is None:
            return Snapshot(0.0, 0, 0, 0, 0, 0, 0, 1.0, "running")
        sample = self.latest
        counted = metrics.calls(sample.figures, self._names)
        return Snapshot(sample.elapsed_ns / NANOS, sample.planned, counted["due"],
                        counted["started"], counted["succeeded"], sum(counted["failed"].values()),
                        counted["in_progress"], sample.factor, sample.state)


class Running:
    """A run that goes on in a thread; leaving its `with` block waits for its end."""

    def __init__(self, run: "Run", progress: Callable[[Snapshot], None] | None,
                 outputs: Sequence[str] = ()) -> None:
        wanted = parse_outputs(outputs)
        ready = run.prepared(tape=tape_octets(wanted))
        thresholds = [parse_threshold(text) for text in run.thresholds]
        self._collector = make_collector(ready.plan.program, thresholds=thresholds,
                                         limit_values=run.limits,
                                         bounded=ready.plan.max_calls is not None,
                                         series=ready.plan.series)
        self._watcher = self._collector.view = _Watcher(self._collector, progress)
        self._files = Outputs(wanted, self._collector.names, time.time())
        self._collector.writers.append(self._files)
        self._ready, self._strict = ready, run.strict
        self._runner = Runner(ready.plan, observer=self._collector, answerer=ready.answerer)
        self._result: Result | None = None
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._go, name="siploadgen run", daemon=True)
        self._thread.start()

    def _go(self) -> None:
        answerer = self._ready.answerer
        try:
            try:
                if answerer is not None:
                    answerer.start()
                record = self._runner.run()
            finally:
                if answerer is not None:
                    answerer.stop()
                self._files.close()
            self._result = Result(
                self._collector.result(record, head=self._ready.head, strict=self._strict,
                                       load_s=self._ready.load_s),
                self._collector, record)
            self._files.finish(self._result.to_dict())
        except BaseException as error:  # a thread has nobody to raise to
            self._error = error

    def rate(self, factor: float) -> float:
        """Play the load `factor` times as fast as planned; in force within three seconds.

        Gives the factor that is in force then.
        """
        return self._runner.scale(factor)

    def pause(self) -> None:
        """Start no new calls; due times move on meanwhile."""
        self._runner.pause(True)

    def resume(self) -> None:
        """Go on."""
        self._runner.pause(False)

    def drain(self) -> None:
        """Start no more calls, and let those that are open hang up."""
        self._runner.stop()

    def stop(self) -> None:
        """End at once."""
        self._runner.abort()

    def snapshot(self) -> Snapshot:
        """Say how the run stands."""
        return self._watcher.snapshot()

    def wait(self) -> Result:
        """Wait for the end. In the main thread Ctrl-C drains the run, a second one stops it.

        Raises what made the run end without a result (a defect, or no memory).
        """
        with self._interrupts():
            while self._thread.is_alive():
                self._thread.join(0.1)
        if self._error is not None:
            raise self._error
        assert self._result is not None
        return self._result

    @contextlib.contextmanager
    def _interrupts(self) -> Any:
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = signal.signal(signal.SIGINT, lambda *_: self._runner.stop())
        try:
            yield
        finally:
            if before is not None:  # None: one that Python did not set and cannot set again
                signal.signal(signal.SIGINT, before)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        if kind is not None:
            self.stop()
        self.wait()


def setting_word(title: str, word: str, value: Any) -> str:
    """Write the value of a setting as `--set` has it."""
    if isinstance(value, Samples):
        raise UsageError(f"{title}: {word}: samples of Python are for models of Python; write "
                         'them to a file and give "samples(FILE)"')
    if isinstance(value, Distribution):
        return describe_value(value, lambda ns: f"{round(ns)}ns")
    return setting_text(value)


def _caller(model: CallModel | Model) -> CallModel:
    return model.caller if isinstance(model, Model) else model


class Run:
    """A run to be: workloads are added, then it is executed.

    Times are texts (`30s`, `500ms`). Without a target it calls the embedded answerer; one outside
    loopback and private networks needs `may_load`. `limits` are those of the verdict's rules, and
    `strict` makes a suspect run an invalid one. Mistakes raise UsageError or ScenarioError
    when they are made, or at the latest before the first datagram.

    >>> from siploadgen.loads import shared_calls
    >>> run = Run(seed=7).add("options", shared_calls(20, concurrency=2))
    >>> run.execute().calls["succeeded"]
    20
    """

    def __init__(
        self, target: str | None = None, *, seed: int = 1, workers: int | str = "auto",
        local: str | None = None, graceful_stop: str = "30s", gso: str = "auto",
        gso_group: int = 32, linger: str = "auto", coalesce: str = "0s", t1: str = "500ms",
        t2: str = "4s", t4: str = "5s", dns: str | None = None, obey_overload: bool = False,
        compact: bool = False, contact: str = "local", may_load: bool = False, name: str = "run",
        strict: bool = False, limits: Mapping[str, str | float] | None = None,
    ) -> None:
        self.thresholds: list[str] = []
        self.strict = strict
        self.limits = parse_limits([f"{rule}={value}" for rule, value in (limits or {}).items()])
        self._tuning = parse_tuning(gso=gso, gso_group=gso_group, linger=linger,
                                    coalesce=coalesce, t1=t1, t2=t2, t4=t4)
        if contact not in ("local", "learned"):
            raise UsageError(f'contact "{contact}": write local or learned')
        self._options: dict[str, Any] = {
            "target": target, "seed": seed, "workers": str(workers), "local": local,
            "graceful_stop_ns": parse_duration(graceful_stop, "graceful_stop"), "dns": dns,
            "obey_overload": obey_overload, "compact": compact,
            "learn_contact": contact == "learned", "may_load": may_load}
        self._answering: dict[str, str] = {}  # settings of the embedded answerer
        self._job = Job(name, File(), {}, {}, (), {})

    def add(
        self, model: "CallModel | str | Mapping[CallModel | str, float]", executor: Executor, *,
        users: Users | None = None, callees: Users | None = None, name: str = "",
        start_after: str = "", **settings: Any,
    ) -> Self:
        """Add a workload: a call model, the name of a built-in one, or several with weights.

        Further arguments are settings of its calls: those of a built-in model, also of its
        answering side while that is embedded (`hold="2s"`, `ring="1s"`), or what stands in
        `@call(...)`. `callees` are never the row of the caller; `start_after` is `NAME.ready` or
        `NAME.done`. Raises UsageError: an unknown model or setting, a name twice.
        """
        mix = model if isinstance(model, Mapping) else {model: 1.0}
        title = name or next((one if isinstance(one, str) else one.name for one in mix), "")
        known = {word for one in mix for word in self._words(one)}
        for word in settings:
            if word not in known:
                raise UsageError(f"{title}: there is no setting {word} ({nearest(word, known)})")
        calls = dict(self._job.calls)
        chosen: list[tuple[str, float]] = []
        for one, weight in mix.items():
            key = one if isinstance(one, str) else one.name
            if isinstance(one, CallModel):
                if one.role is not tree.Role.CALLER:
                    raise UsageError(f"{one.name} answers; give it to answer(...)")
                if calls.setdefault(key, one) is not one:
                    raise UsageError(f"two call models are named {one.name}; rename one")
                values = {word: settings[word] for word in settings if word in one.values}
                if values:  # a call of its own, under a name that no other can have
                    key = f"{key} {len(self._job.works)}"
                    calls[key] = one.with_values(values)
            chosen.append((key, float(weight)))
        if users is None:
            users = next((one.users for one in mix if isinstance(one, CallModel)
                          and isinstance(one.users, Users)), None)
        tables = dict(self._job.tables)
        given = [self._table(f"{title}.{what}", one, tables)
                 for what, one in (("users", users), ("callees", callees))]
        if users is not None and callees is users:
            given[1] = given[0]
        work = Work(title, tuple(chosen), executor, given[0], given[1], start_after,
                    self._texts(title, [calls.get(key) or MODELS[key] for key, _ in chosen],
                                settings))
        self._job = replace(self._job, calls=calls, tables=tables,
                            works=(*self._job.works, work))
        return self

    def _texts(self, title: str, models: Iterable[CallModel | Model], settings: Mapping[str, Any]
               ) -> dict[str, str]:
        """Write settings as texts; keep those of the answering side for the embedded answerer."""
        texts = {word: setting_word(title, word, value) for word, value in settings.items()
                 if any(word in one.settings for one in models)}
        mine = {word for one in models for word in _caller(one).settings}
        theirs = {word for one in models if isinstance(one, Model) for word in one.settings
                  if word not in one.caller.settings or word in one.answerer.settings}
        for word in texts.keys() & theirs:
            if word not in mine and self._options["target"] is not None:
                raise UsageError(f"{title}: {word} is of the answering side, which is the target's")
            if self._answering.setdefault(word, texts[word]) != texts[word] and word not in mine:
                raise UsageError(f"{title}: the answerer has {word}={self._answering[word]} "
                                 f"already, not {texts[word]}")
        return {word: text for word, text in texts.items() if word in mine}

    @staticmethod
    def _words(model: CallModel | str) -> Iterable[str]:
        """Names of what can be set. Raises UsageError."""
        if isinstance(model, CallModel):
            return (*model.settings, *model.values)
        if model not in MODELS:
            raise UsageError(f"there is no call model {model} ({nearest(model, MODELS)})")
        return MODELS[model].settings

    @staticmethod
    def _table(name: str, given: Users | None,
               tables: dict[str, tuple[Table, UsersEntry]]) -> str:
        if given is None:
            return ""
        entry = UsersEntry.model_validate({
            "exhaust": given.exhaust, **({"pick": given.pick} if given.pick else {})})
        tables[name] = (given.table, entry)
        return name

    def answer(self, model: CallModel) -> Self:
        """Add what becomes of requests that come in (and to the embedded answerer).

        Raises UsageError: the model calls.
        """
        if model.role is not tree.Role.ANSWERER:
            raise UsageError(f"{model.name} calls; give it to add(...)")
        self._job = replace(self._job, answers={**self._job.answers, model.name: model})
        return self

    def threshold(self, *expressions: str) -> Self:
        """Add what must hold: `srd{phase=busy}: p(99) < 150ms`. Raises UsageError."""
        for text in expressions:
            parse_threshold(text)
            self.thresholds.append(text)
        return self

    @property
    def job(self) -> Job:
        """What was added so far, as a scenario file would say it."""
        return self._job

    def prepared(self, tape: int = 0) -> Any:
        """Check everything and open the answerer's socket. Raises UsageError, ScenarioError.

        `tape`: octets of its latest datagrams that each engine keeps for its failures.
        """
        if not self._job.works:
            raise UsageError("nothing to do; add(...) a call model and an executor")
        with model_errors(usage=False):
            return prepare(
                self._job, rate=None, duration=None, calls=None, max_calls=None,
                arrival="uniform", ramp=None, warmup=None, settings={}, users=None,
                answering=self._answering, tuning=replace(self._tuning, tape=tape),
                **self._options)

    def start(self, progress: Callable[[Snapshot], None] | None = None, *,
              outputs: Sequence[str] = ()) -> Running:
        """Begin the run and come back at once; `progress` is called once a second, in a thread.

        `outputs` are those of `siploadgen run --out` (`run1/`, `pcap=failed.pcap`,
        `prometheus=:9464`): written while the run goes on and at its end, with the intervals and
        the messages of failed calls, which a result does not keep.

        Raises UsageError and ScenarioError, before the first datagram.
        """
        return Running(self, progress, outputs)

    def execute(self, progress: Callable[[Snapshot], None] | None = None, *,
                outputs: Sequence[str] = ()) -> Result:
        """Run to the end. Ctrl-C, in the main thread, gives the result so far.

        `outputs` as those of `start`. Raises UsageError and ScenarioError, before the first
        datagram.
        """
        return self.start(progress, outputs=outputs).wait()
