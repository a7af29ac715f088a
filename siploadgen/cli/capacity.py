"""`siploadgen capacity`: find the highest rate that meets the goals."""

import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from siploadgen import units
from siploadgen.cli.options import (
    DEFAULT_T1,
    DEFAULT_T2,
    DEFAULT_T4,
    LimitOption,
    LingerOption,
    ModelArgument,
    ProfileOption,
    SeedOption,
    SetOption,
    T1Option,
    T2Option,
    T4Option,
    WorkersOption,
    find_model,
    parse_settings,
)
from siploadgen.cli.signals import Signals
from siploadgen.cli.trials import LayeredTrials, Maker, folder_of, parse_reports, write_reports
from siploadgen.cli.verbs import single
from siploadgen.errors import Exit, TargetError, UsageError

if TYPE_CHECKING:
    from siploadgen.capacity.search import Search, Trial

GOAL = "failed: rate == 0"
BASELINE_SHARE = 4.0  # of the rate found: the testbed is not asked for more
# RFC 7502 6.7: the registrations outlive the test, and none is taken back.
REGISTRATION_SETTINGS = {"expires": "3600", "remove": "no"}


def capacity(
    context: typer.Context,
    model: ModelArgument,  # noqa: ARG001
    target: Annotated[str | None, typer.Option(
        "--target", "-t", metavar="URI",
        help="Where calls go: sip:host:port, or host[:port].")] = None,
    embedded: Annotated[bool, typer.Option(
        "--self", help="The embedded answerer: the testbed alone (RFC 7502 6.1).")] = False,
    goal: Annotated[list[str] | None, typer.Option(
        "--goal", "-T", metavar="EXPRESSION",
        help=f"Threshold that a trial has to keep, such as 'srd: p(99) < 200ms'. Repeatable. "
             f"Default '{GOAL}'.")] = None,
    method: Annotated[Literal["mlr", "rfc7502", "step"], typer.Option(
        "--method", help="mlr: short trials first, then longer ones; rfc7502: section 4.10 to the "
                         "letter; step: up until one misses.")] = "mlr",
    most: Annotated[str, typer.Option(
        "--max", metavar="RATE", help="Highest rate to try.")] = "20k",
    least: Annotated[str, typer.Option(
        "--min", metavar="RATE", help="mlr: lowest rate to try.")] = "1/s",
    start: Annotated[str | None, typer.Option(
        "--start", metavar="RATE",
        help="Rate of the first trial; r of RFC 7502. Default 100/s; mlr: --max / 64.")] = None,
    step: Annotated[str, typer.Option(
        "--step", metavar="RATE", help="step: what each trial adds.")] = "100/s",
    precision: Annotated[str, typer.Option(
        "--precision", metavar="SHARE", help="mlr: how far the bounds may be apart.")] = "1%",
    trial: Annotated[str, typer.Option(
        "--trial", metavar="TIME",
        help="Length of a trial; mlr: of the last ones, the first take a fifth.")] = "5s",
    trial_sum: Annotated[str | None, typer.Option(
        "--trial-sum", metavar="TIME",
        help="mlr: trials of one rate that decide, together. Default three.")] = None,
    exceed: Annotated[str, typer.Option(
        "--exceed", metavar="SHARE",
        help="mlr: share of that time whose trials may miss.")] = "33.4%",
    attempts: Annotated[str, typer.Option(
        "--attempts", metavar="N", help="rfc7502: N, sessions attempted in each trial.")] = "50k",
    increase: Annotated[str, typer.Option(
        "--increase", metavar="W", help="rfc7502: w, from above 0 to 1.")] = "0.10",
    benchmark: Annotated[Literal["auto", "session", "registration", "re-registration"],
                         typer.Option("--benchmark",
                                      help="What is measured; auto: by the model.")] = "auto",
    wait: Annotated[str, typer.Option(
        "--wait", metavar="TIME",
        help="re-registration: time after the registrations; RFC 7502 asks for 5m to 10m."
    )] = "5m",
    settle: Annotated[str, typer.Option(
        "--settle", metavar="TIME", help="Rest between trials.")] = "1s",
    retries: Annotated[int, typer.Option(
        "--retries", min=0, max=20,
        help="How often a trial that the generator spoilt is played again.")] = 2,
    no_baseline: Annotated[bool, typer.Option(
        "--no-baseline", help="Leave out the search against the embedded answerer.")] = False,
    notes: Annotated[str, typer.Option(
        "--notes", metavar="TEXT", help="About the target and its backend, for the form.")] = "",
    seed: SeedOption = 1,
    workers: WorkersOption = "auto",
    settings: SetOption = None,
    profile: ProfileOption = "",  # noqa: ARG001
    users: Annotated[str | None, typer.Option(
        "--users", metavar="FILE|N", help="Users of the calls.")] = None,
    out: Annotated[list[str] | None, typer.Option(
        "--out", metavar="DIR|KIND=PATH",
        help="Write the report: a folder (with run.json of each trial), or one kind (text, md, "
             "json) to a file or `-`. Repeatable.")] = None,
    linger: LingerOption = "auto",
    t1: T1Option = DEFAULT_T1,
    t2: T2Option = DEFAULT_T2,
    t4: T4Option = DEFAULT_T4,
    local: Annotated[str | None, typer.Option(
        "--local", metavar="ADDRESS[:PORT]", help="Where calls come from.")] = None,
    graceful_stop: Annotated[str | None, typer.Option(
        "--graceful-stop", metavar="TIME",
        help="How long calls may take to end. Default 64*T1 and a second.")] = None,
    limit: LimitOption = None,
    dns: Annotated[str | None, typer.Option(
        "--dns", metavar="SERVER[:PORT]", help="Name server that knows the target.")] = None,
    may_load: Annotated[bool, typer.Option(
        "--i-may-load-this-target",
        help="Needed for a target outside loopback and private networks.")] = False,
) -> None:
    """Find the highest rate that meets the goals, and report it in the form of RFC 7502."""
    signals = Signals()
    with signals.caught():
        from siploadgen.capacity import form
        from siploadgen.capacity.play import Player, StoppedError, default_limits
        from siploadgen.report.thresholds import parse_threshold

        chosen = context.obj.model
        if embedded == (target is not None):
            raise UsageError("give either -t/--target URI or --self"
                             + (", not both" if embedded else ""))
        goals = goal or [
            str(one.value) for one in context.obj.values.get("threshold", ())] or [GOAL]
        parsed = [parse_threshold(text) for text in goals]
        reports = parse_reports(out, "capacity")
        values = default_limits(limit or ())
        top = units.parse_rate(most, "--max")

        def search(highest: float) -> "Search":
            return make_search(
                method, most=highest, least=least, start=start, step=step, precision=precision,
                trial=trial, trial_sum=trial_sum, exceed=exceed, attempts=attempts,
                increase=increase)

        seeking = search(top)
        what = _benchmark(benchmark, chosen.name)
        asked = parse_settings(settings)
        if what != form.SESSION and chosen.name == "register":
            asked = {**REGISTRATION_SETTINGS, **asked}
        maker = Maker(
            chosen, target, asked, users, seed=seed, workers=workers, local=local, dns=dns,
            linger=linger, t1=t1, t2=t2, t4=t4, may_load=may_load,
            graceful_stop_ns=None if graceful_stop is None
            else units.parse_duration(graceful_stop, "--graceful-stop"))
        folder = folder_of(reports)
        player = Player(
            maker.trial, parsed, values, None if folder is None else folder / "trials",
            settle_ns=units.parse_duration(settle, "--settle"), retries=retries, show=_say)
        signals.subject = player
        waited_s = None
        with tempfile.TemporaryDirectory(prefix="siploadgen-") as scratch:
            fault, baseline = "", None
            try:
                if what == form.REREGISTRATION:
                    waited_s = _register_first(player, maker, seeking, scratch, users, wait)
                elif what == form.REGISTRATION and users is None:
                    player.make = _new_users(maker, Path(scratch))
                finding = player.find(seeking)
            except (TargetError, StoppedError) as error:
                fault = str(error)
                finding = replace(seeking.finding(), state="unfinished")
            if not embedded and not no_baseline and finding.rate and finding.state != "unfinished":
                alone = replace(maker, target=None, dns=None, local=None)
                baseline = _baseline(player, alone, search(
                    min(top, finding.rate * BASELINE_SHARE)), what, folder,
                    Path(scratch) if what != form.SESSION and users is None else None, signals)
        if not player.results:
            raise typer.Exit(int(Exit.INTERRUPTED))
        code = form.exit_code(finding)
        if fault and not player.stopped:
            code = Exit.NO_ANSWER
        data = form.report_data(
            what=what, finding=finding, search=seeking.describe(), goals=goals, rows=player.rows,
            results=player.results, baseline=baseline, notes=notes, code=code, waited_s=waited_s,
            fault=fault)
        write_reports(data, reports, form.RENDER)
    raise typer.Exit(int(code))


def make_search(
    method: str, *, most: float, least: str, start: str | None, step: str, precision: str,
    trial: str, trial_sum: str | None, exceed: str, attempts: str, increase: str,
) -> "Search":
    """Make the search of a method from the words of its options. Raises UsageError."""
    from siploadgen.capacity.mlr import MlrSearch
    from siploadgen.capacity.rfc7502 import RATE, Rfc7502Search
    from siploadgen.capacity.step import StepSearch

    first = None if start is None else units.parse_rate(start, "--start")
    length_s = units.parse_duration(trial, "--trial") / units.NANOS
    if length_s <= 0:
        raise UsageError("--trial: must be longer than 0")
    if method == "rfc7502":
        if first is not None and first != int(first):
            raise UsageError(f"--start {start}: a whole number of sessions a second")
        try:
            return Rfc7502Search(attempts=units.parse_count(attempts, "--attempts"),
                                 rate=RATE if first is None else int(first), increase=increase,
                                 most=most)
        except ValueError:
            raise UsageError(f'--increase "{increase}": write a number such as 0.10') from None
    if method == "step":
        return StepSearch(start=first or 100.0, step=units.parse_rate(step, "--step"), most=most,
                          duration_s=length_s)
    whole = None if trial_sum is None else units.parse_duration(
        trial_sum, "--trial-sum") / units.NANOS
    return MlrSearch(
        most=most, least=units.parse_rate(least, "--min"), start=first,
        width=units.parse_share(precision, "--precision"), initial_s=length_s / 5,
        final_s=length_s, sum_s=whole, exceed=units.parse_share(exceed, "--exceed"))


def _benchmark(asked: str, model: str) -> str:
    """Return the name of the benchmark of RFC 7502. Raises UsageError."""
    from siploadgen.capacity import form

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


def _count(trial: "Trial") -> int:
    return trial.attempts or max(round(trial.rate * trial.duration_s), 1)


def _new_users(maker: Maker, folder: Path) -> "Callable[[Trial], Any]":
    """Return a maker of trials whose addresses of record were never registered before."""
    played = 0

    def make(trial: "Trial") -> Any:
        nonlocal played
        played += 1
        path = folder / "users.csv"
        prefix = f"r{int(time.time()):x}t{played}u"
        return replace(maker, users=write_users(path, prefix, _count(trial))).trial(trial)

    return make


def _register_first(player: Any, maker: Maker, search: "Search", scratch: str, users: str | None,
                    wait: str) -> float:
    """Register the users that all trials register again; return how long was waited, in s.

    Each keeps one Contact, so that later REGISTERs refresh the binding (RFC 3261 10.2.4).
    """
    from siploadgen.capacity.search import Trial

    first = search.ask()
    assert first is not None
    if users is None:
        said = search.describe()
        count = said.get("N") or min(
            float(str(said["most_per_s"])) * first.duration_s, 100_000)
        maker.users = write_users(Path(scratch) / "users.csv", f"r{int(time.time()):x}u",
                                  int(float(str(count))))
    maker.settings.setdefault("contacts", "<sip:{user}@192.0.2.1:5060>")
    rate = min(first.rate, 100.0) if first.attempts else first.rate
    total = _rows(maker)
    told = player.play(Trial(rate, total / rate, total))
    player.rows[-1]["kind"] = "first"
    if told.answer != "met":
        raise TargetError(f"the first registrations, at {units.format_rate(rate)}, did not meet "
                          f"the goals: {player.rows[-1]['why']}; lower --start")
    waiting_ns = units.parse_duration(wait, "--wait")
    _say(f"waiting {units.format_duration(waiting_ns)} before the users register again")
    until = time.monotonic_ns() + waiting_ns
    while time.monotonic_ns() < until and not player.stopped:
        time.sleep(min(0.2, max(0.0, (until - time.monotonic_ns()) / units.NANOS)))
    return waiting_ns / units.NANOS


def _rows(maker: Maker) -> int:
    """Return the number of users."""
    from siploadgen.cli.load import is_count
    from siploadgen.load.rows import read_csv

    assert maker.users is not None
    if is_count(maker.users):
        return units.parse_count(maker.users)
    return read_csv(maker.users, ("user", "password"), maker.seed).count


def _baseline(player: Any, maker: Maker, search: "Search", what: str, folder: Path | None,
              scratch: Path | None, signals: Signals) -> dict[str, Any]:
    """Search once more, against the embedded answerer: there the generator's limit is the end."""
    from siploadgen.capacity import form

    _say("the testbed alone, against the embedded answerer:")
    own = replace(player, rows=[], results=[], own_limit=True, retries=1,
                  folder=None if folder is None else folder / "baseline")
    own.make = maker.trial if scratch is None else _new_users(maker, scratch)
    signals.subject = own
    finding = own.find(search)
    return {"answer": form.answer_text(finding, f"{what} of the testbed"),
            **form.finding_data(finding), "search": search.describe(), "trials": own.rows}


def _say(text: str) -> None:
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def own_ceiling(model: str, limit_values: dict[str, float], *, most: float, trial_s: float,
                workers: str, seed: int, signals: Signals, settings: dict[str, str] | None = None,
                ) -> tuple[Any, Sequence[dict[str, Any]]]:
    """Find what this host generates honestly of a model against the embedded answerer."""
    from siploadgen.capacity.mlr import MlrSearch
    from siploadgen.capacity.play import Player
    from siploadgen.report.thresholds import parse_threshold

    maker = Maker(find_model(model), None, settings or {}, seed=seed, workers=workers)
    player = Player(maker.trial, [parse_threshold(GOAL)], limit_values, settle_ns=0, retries=1,
                    own_limit=True, show=_say)
    signals.subject = player
    finding = player.find(MlrSearch(most=most, start=min(1000.0, most), width=0.05,
                                    initial_s=trial_s / 2, final_s=trial_s, sum_s=2 * trial_s,
                                    exceed=0.5))
    return finding, player.results


app = single(capacity, LayeredTrials)
