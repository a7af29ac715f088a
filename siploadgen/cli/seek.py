"""A search for the highest rate from its words to its report: for the command and the library."""

import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from siploadgen import units
from siploadgen.capacity import form
from siploadgen.capacity.mlr import MlrSearch
from siploadgen.capacity.play import Player, StoppedError
from siploadgen.capacity.rfc7502 import RATE, Rfc7502Search
from siploadgen.capacity.search import Search, Trial
from siploadgen.capacity.step import StepSearch
from siploadgen.cli.load import is_count
from siploadgen.cli.options import find_model
from siploadgen.cli.trials import Maker
from siploadgen.errors import Exit, TargetError, UsageError
from siploadgen.report.thresholds import Threshold, parse_threshold

GOAL = "failed: rate == 0"
BASELINE_SHARE = 4.0  # of the rate found: the testbed is not asked for more
# RFC 7502 6.7: the registrations outlive the test, and none is taken back.
REGISTRATION_SETTINGS = {"expires": "3600", "remove": "no"}


class Stops(Protocol):
    """Whoever may stop a search: it is told what to stop now."""

    subject: Any


@dataclass(frozen=True, slots=True)
class Words:
    """A way to search, in the words of the options of `capacity`."""

    method: str = "mlr"
    most: str = "20k"
    least: str = "1/s"
    start: str | None = None
    step: str = "100/s"
    precision: str = "1%"
    trial: str = "5s"
    trial_sum: str | None = None
    exceed: str = "33.4%"
    attempts: str = "50k"
    increase: str = "0.10"

    def search(self, highest: float | None = None) -> Search:
        """Make the search, up to another highest rate if one is given. Raises UsageError."""
        most = units.parse_rate(self.most, "--max")
        return make_search(self, most if highest is None else min(most, highest))


@dataclass(slots=True)
class Quest:
    """Everything that a search needs; mistakes raise UsageError when it is made.

    `play` gives the object of capacity.json, None when not even one trial was over. `show` gets a
    line for each trial.
    """

    maker: Maker
    words: Words
    goals: Sequence[str]
    limit_values: Mapping[str, float]
    benchmark: str = "auto"
    wait: str = "5m"
    settle: str = "1s"
    retries: int = 2
    no_baseline: bool = False
    notes: str = ""
    folder: Path | None = None
    show: Callable[[str], None] = lambda _: None
    _seeking: Search = field(init=False)
    _parsed: list[Threshold] = field(init=False)
    _what: str = field(init=False)
    _settle_ns: int = field(init=False)
    _wait_ns: int = field(init=False)

    def __post_init__(self) -> None:
        self._parsed = [parse_threshold(text) for text in self.goals]
        self._seeking = self.words.search()
        self._what = _benchmark(self.benchmark, self.maker.model.name)
        self._settle_ns = units.parse_duration(self.settle, "--settle")
        self._wait_ns = units.parse_duration(self.wait, "--wait")
        if self._what != form.SESSION and self.maker.model.name == "register":
            self.maker.settings = {**REGISTRATION_SETTINGS, **self.maker.settings}

    def play(self, stops: Stops) -> dict[str, Any] | None:
        """Carry the search out, and the one of the testbed beside it."""
        maker, seeking, what = self.maker, self._seeking, self._what
        player = Player(
            maker.trial, self._parsed, self.limit_values,
            None if self.folder is None else self.folder / "trials",
            settle_ns=self._settle_ns, retries=self.retries, show=self.show)
        stops.subject = player
        waited_s = None
        made_up = what != form.SESSION and maker.users is None
        with tempfile.TemporaryDirectory(prefix="siploadgen-") as name:
            scratch = Path(name)
            fault, baseline = "", None
            try:
                if what == form.REREGISTRATION:
                    waited_s = self._register_first(player, scratch)
                elif made_up:
                    player.make = _new_users(maker, scratch)
                finding = player.find(seeking)
            except (TargetError, StoppedError) as error:
                fault = str(error)
                finding = replace(seeking.finding(), state="unfinished")
            wanted = maker.target is not None and not self.no_baseline
            if wanted and finding.rate and finding.state != "unfinished":
                baseline = self._baseline(player, finding.rate, scratch if made_up else None, stops)
        if not player.results:
            return None
        code = form.exit_code(finding)
        if fault and not player.stopped:
            code = Exit.NO_ANSWER
        return form.report_data(
            what=what, finding=finding, search=seeking.describe(), goals=self.goals,
            rows=player.rows, results=player.results, baseline=baseline, notes=self.notes,
            code=code, waited_s=waited_s, fault=fault, options={
                "settle_s": self._settle_ns / units.NANOS, "retries": self.retries,
                "baseline": baseline is not None})

    def _register_first(self, player: Player, scratch: Path) -> float:
        """Register the users that all trials register again; return how long was waited, in s.

        Each keeps one Contact, so that later REGISTERs refresh the binding (RFC 3261 10.2.4).
        """
        first, maker = self._seeking.ask(), self.maker
        assert first is not None
        if maker.users is None:
            said = self._seeking.describe()
            count = said.get("N") or min(
                float(str(said["most_per_s"])) * first.duration_s, 100_000)
            maker.users = write_users(scratch / "users.csv", f"r{int(time.time()):x}u",
                                      int(float(str(count))))
        maker.settings.setdefault("contacts", "<sip:{user}@192.0.2.1:5060>")
        rate = min(first.rate, 100.0) if first.attempts else first.rate
        total = _rows(maker)
        told = player.play(Trial(rate, total / rate, total))
        player.rows[-1]["kind"] = "first"
        if told.answer != "met":
            raise TargetError(f"the first registrations, at {units.format_rate(rate)}, did not "
                              f"meet the goals: {player.rows[-1]['why']}; lower --start")
        self.show(f"waiting {units.format_duration(self._wait_ns)} before the users register again")
        until = time.monotonic_ns() + self._wait_ns
        while time.monotonic_ns() < until and not player.stopped:
            time.sleep(min(0.2, max(0.0, (until - time.monotonic_ns()) / units.NANOS)))
        return self._wait_ns / units.NANOS

    def _baseline(self, player: Player, rate: float, scratch: Path | None,
                  stops: Stops) -> dict[str, Any]:
        """Search once more, against the embedded answerer: there our own limit is the end."""
        self.show("the testbed alone, against the embedded answerer:")
        search = self.words.search(rate * BASELINE_SHARE)
        alone = replace(self.maker, target=None, dns=None, local=None)
        own = replace(player, rows=[], results=[], own_limit=True, retries=1,
                      folder=None if self.folder is None else self.folder / "baseline")
        own.make = alone.trial if scratch is None else _new_users(alone, scratch)
        stops.subject = own
        finding = own.find(search)
        return {"answer": form.answer_text(finding, f"{self._what} of the testbed"),
                **form.finding_data(finding), "search": search.describe(), "trials": own.rows}


def make_search(words: Words, most: float) -> Search:
    """Make the search of a method. Raises UsageError."""
    first = None if words.start is None else units.parse_rate(words.start, "--start")
    length_s = units.parse_duration(words.trial, "--trial") / units.NANOS
    if length_s <= 0:
        raise UsageError("--trial: must be longer than 0")
    if words.method == "rfc7502":
        if first is not None and first != int(first):
            raise UsageError(f"--start {words.start}: a whole number of sessions a second")
        try:
            return Rfc7502Search(attempts=units.parse_count(words.attempts, "--attempts"),
                                 rate=RATE if first is None else int(first),
                                 increase=words.increase, most=most)
        except ValueError:
            raise UsageError(
                f'--increase "{words.increase}": write a number such as 0.10') from None
    if words.method == "step":
        return StepSearch(start=first or 100.0, step=units.parse_rate(words.step, "--step"),
                          most=most, duration_s=length_s)
    if words.method != "mlr":
        raise UsageError(f'--method "{words.method}": choose mlr, rfc7502 or step')
    whole = None if words.trial_sum is None else units.parse_duration(
        words.trial_sum, "--trial-sum") / units.NANOS
    return MlrSearch(
        most=most, least=units.parse_rate(words.least, "--min"), start=first,
        width=units.parse_share(words.precision, "--precision"), initial_s=length_s / 5,
        final_s=length_s, sum_s=whole, exceed=units.parse_share(words.exceed, "--exceed"))


def _benchmark(asked: str, model: str) -> str:
    """Return the name of the benchmark of RFC 7502. Raises UsageError."""
    if asked == "auto":
        return form.REGISTRATION if model == "register" else form.SESSION
    if asked == "re-registration" and model != "register":
        raise UsageError("--benchmark re-registration: with the model register")
    return {"session": form.SESSION, "registration": form.REGISTRATION,
            "re-registration": form.REREGISTRATION}[asked]


def write_users(path: Path, prefix: str, count: int) -> str:
    """Write a file of made-up users whose names begin with `prefix`; return its name."""
    rows = (f"{prefix}{number:06},secret\n" for number in range(1, count + 1))
    with path.open("w", encoding="utf-8") as file:
        file.write("user,password\n")
        file.writelines(rows)
    return str(path)


def _count(trial: Trial) -> int:
    return trial.attempts or max(round(trial.rate * trial.duration_s), 1)


def _new_users(maker: Maker, folder: Path) -> Callable[[Trial], Any]:
    """Return a maker of trials whose addresses of record were never registered before."""
    played = 0

    def make(trial: Trial) -> Any:
        nonlocal played
        played += 1
        path = folder / "users.csv"
        prefix = f"r{int(time.time()):x}t{played}u"
        return replace(maker, users=write_users(path, prefix, _count(trial))).trial(trial)

    return make


def _rows(maker: Maker) -> int:
    """Return the number of users."""
    from siploadgen.load.rows import read_csv

    assert maker.users is not None
    if is_count(maker.users):
        return units.parse_count(maker.users)
    return read_csv(maker.users, ("user", "password"), maker.seed).count


def say(text: str) -> None:
    """Write a line to standard error."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def own_ceiling(model: str, limit_values: dict[str, float], *, most: float, trial_s: float,
                workers: str, seed: int, stops: Stops, settings: dict[str, str] | None = None,
                ) -> tuple[Any, Sequence[dict[str, Any]]]:
    """Find what this host generates honestly of a model against the embedded answerer."""
    maker = Maker(find_model(model), None, settings or {}, seed=seed, workers=workers)
    player = Player(maker.trial, [parse_threshold(GOAL)], limit_values, settle_ns=0, retries=1,
                    own_limit=True, show=say)
    stops.subject = player
    finding = player.find(MlrSearch(most=most, start=min(1000.0, most), width=0.05,
                                    initial_s=trial_s / 2, final_s=trial_s, sum_s=2 * trial_s,
                                    exceed=0.5))
    return finding, player.results
