"""The capacity of a target, from Python: the search of `siploadgen capacity`, and what it finds."""

import signal
import threading
from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import Any

from siploadgen.capacity import form
from siploadgen.capacity.page import capacity_page
from siploadgen.cli.options import find_model
from siploadgen.cli.seek import GOAL, Quest, Words
from siploadgen.cli.trials import Maker, folder_of, parse_reports, save_reports
from siploadgen.errors import TargetError
from siploadgen.library import Run, setting_word
from siploadgen.loads import Users, constant_arrival_rate
from siploadgen.model.python import CallModel
from siploadgen.report.limits import parse_limits
from siploadgen.units import parse_duration

_RENDER = {**form.RENDER, "html": capacity_page}


class Capacity:
    """What a search found. Rates are calls a second; `to_dict()` is capacity.json."""

    def __init__(self, data: dict[str, Any]) -> None:
        self._data = data

    @property
    def state(self) -> str:
        """`found`, `most`, `none`, `limited` or `unfinished`."""
        return str(self._data["state"])

    @property
    def rate(self) -> float | None:
        """Highest rate at which the goals were met; None: at none."""
        return self._data["rate_per_s"]  # type: ignore[no-any-return]

    @property
    def missed(self) -> float | None:
        """Lowest rate at which they were missed; None: at none."""
        return self._data["missed_per_s"]  # type: ignore[no-any-return]

    @property
    def generator_limit(self) -> float | None:
        """Lowest rate at which the generator made the numbers; None: it was not reached."""
        return self._data["generator_limit_per_s"]  # type: ignore[no-any-return]

    @property
    def answer(self) -> str:
        """The answer as a sentence."""
        return str(self._data["answer"])

    @property
    def trials(self) -> Sequence[Mapping[str, Any]]:
        """Every run: kind, rate_per_s, answer, why, due, succeeded, failed, delay_p99_us, ..."""
        return self._data["trials"]  # type: ignore[no-any-return]

    @property
    def form(self) -> Mapping[str, str]:
        """The fields of RFC 7502 5, and what else bears on the numbers."""
        return {row["name"]: row["value"] for row in self._data["form"]}

    @property
    def exit_code(self) -> int:
        """What the command would exit with."""
        return int(self._data["exit_code"])

    @property
    def ok(self) -> bool:
        """Whether there is an answer: the rate, or that all up to the highest are carried."""
        return self.exit_code == 0

    @property
    def report(self) -> str:
        """The report as Markdown."""
        return form.as_markdown(self._data)

    def to_dict(self) -> dict[str, Any]:
        """Return the object of capacity.json."""
        return self._data

    def save(self, *outputs: str) -> None:
        """Write reports: `DIR/`, or `html=PATH`, `md=PATH`, `json=PATH`, `text=PATH`.

        Raises UsageError: no such kind, or a place that cannot be written.
        """
        save_reports(self._data, parse_reports(outputs, "capacity"), _RENDER)

    def __str__(self) -> str:
        return form.as_text(self._data)

    def _repr_html_(self) -> str:
        return f"<pre>{escape(str(self))}</pre>"


class _Stops:
    """Ctrl-C in the main thread ends the search; what is known by then is the result."""

    def __init__(self) -> None:
        self.subject: Any = None
        self._before: Any = None
        self._main = threading.current_thread() is threading.main_thread()

    def _stop(self, *_: Any) -> None:
        if self.subject is None:
            raise KeyboardInterrupt
        self.subject.stop()

    def __enter__(self) -> "_Stops":
        if self._main:
            self._before = signal.signal(signal.SIGINT, self._stop)
        return self

    def __exit__(self, *_: object) -> None:
        if self._main and self._before is not None:
            signal.signal(signal.SIGINT, self._before)


def find_capacity(
    model: "CallModel | str", target: str | None = None, *, goals: str | Sequence[str] = GOAL,
    method: str = "mlr", most: str = "20k", least: str = "1/s", start: str | None = None,
    step: str = "100/s", precision: str = "1%", trial: str = "5s", trial_sum: str | None = None,
    exceed: str = "33.4%", attempts: str = "50k", increase: str = "0.10",
    benchmark: str = "auto", wait: str = "5m", settle: str = "1s", retries: int = 2,
    baseline: bool = False, notes: str = "", users: Users | str | int | None = None,
    seed: int = 1, workers: int | str = "auto", local: str | None = None, dns: str | None = None,
    linger: str = "auto", t1: str = "500ms", t2: str = "4s", t4: str = "5s",
    graceful_stop: str | None = None, limits: Mapping[str, str | float] | None = None,
    may_load: bool = False, out: str | None = None,
    progress: Callable[[str], None] = lambda _: None, **settings: Any,
) -> Capacity:
    """Find the highest rate at which the goals are met, as `siploadgen capacity` does.

    `model` is the name of a built-in model, a scenario file, or a function below `@call`; further
    arguments are its settings. Without a target it is the testbed alone. The other arguments are
    options of the command: `most`, `least` and `out` are its --max, --min and --out DIR; `users`
    of a function are such as `csv_users` makes, else a file or a number. `baseline` searches a
    second time, against the embedded answerer. `progress` gets a line for each run. In the main
    thread Ctrl-C ends the search, and gives what is known.

    Raises UsageError and ScenarioError for mistakes, before the first datagram, and TargetError
    when the search was stopped before one trial was over.

    >>> found = find_capacity("options", method="step", start="20/s", most="20/s", trial="200ms",
    ...                       limits={"late_start_p99": "2s"})
    >>> found.state, found.rate, found.missed, len(found.trials)
    ('most', 20.0, None, 1)
    """
    reports = parse_reports([] if out is None else [out], "capacity")
    chosen: Any
    texts: dict[str, str] = {}
    table: str | None = None
    if isinstance(model, CallModel):
        given = users if isinstance(users, Users) else None
        load = constant_arrival_rate("1/s", "1s")  # every trial has its own in its place
        chosen = Run(target, name=model.name).add(model, load, users=given, **settings).job
    else:
        chosen = find_model(model)
        texts = {word: setting_word(model, word, value) for word, value in settings.items()}
    if users is not None and not isinstance(users, Users):
        table = str(users)
    maker = Maker(
        chosen, target, texts, table, seed=seed, workers=str(workers), local=local, dns=dns,
        linger=linger, t1=t1, t2=t2, t4=t4, may_load=may_load,
        graceful_stop_ns=None if graceful_stop is None
        else parse_duration(graceful_stop, "graceful_stop"))
    quest = Quest(
        maker, Words(method, most, least, start, step, precision, trial, trial_sum, exceed,
                     attempts, increase),
        [goals] if isinstance(goals, str) else list(goals),
        parse_limits([f"{rule}={value}" for rule, value in (limits or {}).items()]),
        benchmark=benchmark, wait=wait, settle=settle, retries=retries, no_baseline=not baseline,
        notes=notes, folder=folder_of(reports), show=progress)
    with _Stops() as stops:
        data = quest.play(stops)
    if data is None:
        raise TargetError("the search was stopped before one trial was over")
    save_reports(data, reports, _RENDER)
    return Capacity(data)
