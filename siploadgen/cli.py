"""The `siploadgen` command. Heavy imports stay inside the commands that need them."""

import contextlib
import os
import signal
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any, Literal, NoReturn, Protocol

# numpy's linear algebra would start a thread for each core, which spins; none of it is used here.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import typer

from siploadgen import __version__, units
from siploadgen.errors import (
    Exit,
    ScenarioError,
    SiploadgenError,
    UsageError,
)

if TYPE_CHECKING:
    from siploadgen.load.arrivals import RateShape
    from siploadgen.load.rows import Rows
    from siploadgen.report.collect import Collector
    from siploadgen.report.live import Quiet
    from siploadgen.run.answer import Answerer
    from siploadgen.run.plan import RunPlan, Tuning

app = typer.Typer(
    name="siploadgen", help="A SIP load generator whose numbers can be trusted.",
    context_settings={"help_option_names": ["-h", "--help"]}, no_args_is_help=True,
    pretty_exceptions_enable=False, rich_markup_mode=None)

DEFAULT_RATE = "10/s"
DEFAULT_DURATION = "10s"
MOST_GENERATED_USERS = 100_000
ANSWER_STOP = "5s"
# The caller may let messages wait, as the kernel has stamped them; whatever waits at the answering
# side is time that somebody else measures.
DEFAULT_GSO_GROUP = 32
DEFAULT_T1, DEFAULT_T2, DEFAULT_T4 = "500ms", "4s", "5s"
_SCENARIO_FILES = (".yaml", ".yml", ".xml", ".py")
_LOAD, _TARGET, _OUTPUT, _HOST = "Load", "Target", "Output", "Host"
_TIMERS = "Timers (RFC 3261)"


class SignalError(SiploadgenError):
    """A signal came before there was a run to stop."""

    exit_code = Exit.INTERRUPTED


class Stoppable(Protocol):
    """What a signal stops."""

    def stop(self) -> None:
        """Ask for an end; again: at once."""


class Signals:
    """SIGINT and SIGTERM: before the run they end the program, during it they stop the run."""

    def __init__(self) -> None:
        self.subject: Stoppable | None = None

    def __call__(self, _number: int, _frame: FrameType | None) -> None:
        """Handle a signal."""
        if self.subject is None:
            raise SignalError("stopped before the start")
        self.subject.stop()

    @contextlib.contextmanager
    def caught(self) -> Iterator[None]:
        """Catch both signals for a while."""
        before = {number: signal.signal(number, self)
                  for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


# --- words that several commands share ---

ModelArgument = Annotated[str, typer.Argument(
    metavar="MODEL", help="Built-in call model: call, register, options; see `models`.")]
SetOption = Annotated[list[str] | None, typer.Option(
    "--set", metavar="NAME=VALUE", help="A variable of the model, such as hold=2s. Repeatable.")]
OutOption = Annotated[list[str] | None, typer.Option(
    "--out", metavar="DIR|KIND=PATH", rich_help_panel=_OUTPUT,
    help="Write results: everything into a folder, or one kind (json, ndjson, hlog, errors, md, "
         "junit, summary) to a file or `-`. Repeatable.")]
LimitOption = Annotated[list[str] | None, typer.Option(
    "--limit", metavar="NAME=VALUE", rich_help_panel=_OUTPUT,
    help="Change a limit of the verdict, such as late_start_p99=5ms. Repeatable.")]
GsoOption = Annotated[Literal["auto", "on", "off"], typer.Option(
    "--gso", rich_help_panel=_HOST, help="Send batches by UDP segmentation offload.")]
GsoGroupOption = Annotated[int, typer.Option(
    "--gso-group", metavar="N", rich_help_panel=_HOST,
    help="Most datagrams in one GSO group, 1 to 64.")]
LingerOption = Annotated[str, typer.Option(
    "--linger", metavar="auto|TIME", rich_help_panel=_HOST,
    help="How long finished transactions are remembered; auto: as RFC 3261 says.")]
CoalesceOption = Annotated[str, typer.Option(
    "--coalesce", metavar="TIME", rich_help_panel=_HOST,
    help="Shortest time from one wake-up to the next: received messages wait so long for company, "
         "due times do not. What comes next in a call waits too; 0s for the sharpest latencies.")]
T1Option = Annotated[str, typer.Option(
    "--t1", metavar="TIME", rich_help_panel=_TIMERS,
    help="First repeat of a request; it fails after 64 times T1.")]
T2Option = Annotated[str, typer.Option(
    "--t2", metavar="TIME", rich_help_panel=_TIMERS,
    help="Longest time between repeats, but for INVITE.")]
T4Option = Annotated[str, typer.Option(
    "--t4", metavar="TIME", rich_help_panel=_TIMERS,
    help="How long a message may stay in the network.")]
WorkersOption = Annotated[str, typer.Option(
    "--workers", metavar="N|auto", rich_help_panel=_HOST,
    help="Engines, each with a thread and a port of its own; auto: one for each 10,000 calls/s.")]
UiOption = Annotated[Literal["auto", "rich", "line", "json", "none"], typer.Option(
    "--ui", rich_help_panel=_OUTPUT, help="What to show during the run.")]


def parse_settings(texts: Sequence[str] | None) -> dict[str, str]:
    """Read `NAME=VALUE` pairs of --set."""
    settings = {}
    for text in texts or ():
        name, equals, value = text.partition("=")
        if not equals or not name.strip():
            raise UsageError(f'--set "{text}": write NAME=VALUE')
        settings[name.strip()] = value.strip()
    return settings


def parse_linger(text: str) -> int:
    """Nanoseconds of --linger; -1 for auto."""
    return -1 if text == "auto" else units.parse_duration(text, "--linger")


def is_secret(name: str) -> bool:
    """Tell whether a setting is one that must not be written anywhere."""
    return any(word in name.lower() for word in ("password", "secret", "passwd"))


def open_settings(settings: Mapping[str, str]) -> dict[str, str]:
    """Return the settings that may be written down."""
    return {name: "(left out)" if is_secret(name) else value for name, value in settings.items()}


def command_line(arguments: Sequence[str]) -> list[str]:
    """Return the command that was given, without secrets."""
    clean = []
    for argument in arguments:
        name, equals, _ = argument.removeprefix("--set=").partition("=")
        prefix = "--set=" if argument.startswith("--set=") else ""
        clean.append(f"{prefix}{name}=(left out)" if equals and is_secret(name) else argument)
    return ["siploadgen", *clean]


@contextlib.contextmanager
def model_errors(usage: bool) -> Iterator[None]:
    """Turn what the model floor raises into errors with exit codes.

    With `usage`, faults without a place in a file are the command line's.
    """
    from siploadgen.model.errors import ModelError

    try:
        yield
    except ModelError as error:
        kind = UsageError if usage and not error.place else ScenarioError
        raise kind(str(error)) from None


def find_model(name: str) -> Any:
    """Return a built-in model; ScenarioError when there is none of that name."""
    from siploadgen.model.builtin import MODELS
    from siploadgen.model.errors import nearest

    if name in MODELS:
        return MODELS[name]
    if name.endswith(_SCENARIO_FILES) or "/" in name:
        raise ScenarioError(f"{name}: scenario files are not supported in this version; use a "
                            f"built-in model: {', '.join(MODELS)}")
    raise ScenarioError(f'there is no model "{name}" ({nearest(name, MODELS)})')


def load_shape(
    rate: str | None, duration: str | None, calls: str | None, ramps: Sequence[str] | None
) -> tuple["RateShape", int | None]:
    """Return the rate shape and the number of calls that the load options ask for.

    Without --duration the run ends with its ramps, or with its --calls, or after 10 s. With
    --duration that is the length of the whole run, ramps included.
    """
    from siploadgen.load.arrivals import RateShape, Stage, constant, parse_ramp, ramping

    per_s = units.parse_rate(rate or DEFAULT_RATE, "--rate")
    count = None if calls is None else units.parse_count(calls, "--calls")
    if count == 0:
        raise UsageError("--calls: at least 1")
    length_ns = None if duration is None else units.parse_duration(duration, "--duration")
    if length_ns == 0:
        raise UsageError("--duration: must be longer than 0")
    if ramps:
        stages = ramping(per_s, [parse_ramp(text) for text in ramps], length_ns)
        if length_ns is None and count is not None and stages[-1].target > 0:
            stages += (Stage(stages[-1].target, stages[-1].target, None),)
        return RateShape(stages), count
    if per_s == 0:
        raise UsageError("--rate: must be above 0")
    if length_ns is None and count is None:
        length_ns = units.parse_duration(DEFAULT_DURATION)
    return RateShape(constant(per_s, length_ns)), count


def load_rows(
    users: str | None, columns: Sequence[str], count: float, settings: Mapping[str, str], seed: int
) -> "Rows | None":
    """Return the users of a run: from a file, or made up where the model needs some."""
    from siploadgen.load.rows import generated_users, read_csv

    if not columns:
        return None
    if users is not None and not _is_count(users):
        return read_csv(users, columns, seed)
    wanted = units.parse_count(users, "--users") if users else int(
        min(max(count, 1), MOST_GENERATED_USERS))
    if wanted < 1:
        raise UsageError("--users: at least 1")
    return generated_users(columns, wanted, settings.get("password", "secret"))


def _is_count(text: str) -> bool:
    with contextlib.suppress(UsageError):
        units.parse_count(text)
        return not Path(text).exists()
    return False


def check_gso(gso: str) -> bool:
    """Return whether to use GSO; UsageError when `on` is asked for and the kernel has none."""
    if gso == "on":
        from siploadgen.run import doctor

        finding = doctor.check_offload("UDP GSO", doctor.UDP_SEGMENT, 0)
        if not finding.ok:
            raise UsageError(f"--gso on: {finding.found}; {finding.mend}")
    return gso != "off"


def parse_tuning(
    *, gso: str, gso_group: int, linger: str, coalesce: str, t1: str, t2: str, t4: str
) -> "Tuning":
    """Read the options that steer the engines. Raises UsageError that names the option."""
    from siploadgen.run.plan import Tuning

    return Tuning(
        linger_ns=parse_linger(linger), gso=check_gso(gso), gso_group=gso_group,
        coalesce_ns=units.parse_duration(coalesce, "--coalesce"),
        t1_ns=units.parse_duration(t1, "--t1"), t2_ns=units.parse_duration(t2, "--t2"),
        t4_ns=units.parse_duration(t4, "--t4"))


@dataclass(slots=True)
class Prepared:
    """Everything that is ready before the first datagram."""

    plan: "RunPlan"
    answerer: "Answerer | None"
    head: dict[str, Any]
    load_s: float | None  # length of the load when the number of calls ends it


# --- run ---


@app.command()
def run(
    model: ModelArgument,
    target: Annotated[str | None, typer.Option(
        "--target", "-t", metavar="URI", rich_help_panel=_TARGET,
        help="Where calls go: sip:host:port, or host[:port].")] = None,
    embedded: Annotated[bool, typer.Option(
        "--self", rich_help_panel=_TARGET,
        help="Call the embedded answerer: nothing else is needed.")] = False,
    rate: Annotated[str | None, typer.Option(
        "--rate", "-r", metavar="RATE", rich_help_panel=_LOAD,
        help=f"Calls started: 500/s, 120/m, 1.8M/h, 2k. Default {DEFAULT_RATE}.")] = None,
    duration: Annotated[str | None, typer.Option(
        "--duration", "-d", metavar="TIME", rich_help_panel=_LOAD,
        help="Length of the load: 250ms, 30s, 1h30m. "
             f"Default {DEFAULT_DURATION}, or as long as the ramps or --calls take.")] = None,
    calls: Annotated[str | None, typer.Option(
        "--calls", metavar="N", rich_help_panel=_LOAD, help="Start exactly N calls.")] = None,
    max_calls: Annotated[str | None, typer.Option(
        "--max-calls", metavar="N", rich_help_panel=_LOAD,
        help="Bound on open calls; calls that find no room are counted, not delayed.")] = None,
    arrival: Annotated[str, typer.Option(
        "--arrival", metavar="uniform|poisson|batch(n)", rich_help_panel=_LOAD,
        help="How calls are spaced.")] = "uniform",
    ramp: Annotated[list[str] | None, typer.Option(
        "--ramp", metavar="TO/s:TIME", rich_help_panel=_LOAD,
        help="Go on to a rate within a time, then hold it; :step jumps there. Repeatable.")] = None,
    seed: Annotated[int, typer.Option(
        "--seed", min=0, max=2**32 - 1, rich_help_panel=_LOAD,
        help="The same seed makes the same due times and data.")] = 1,
    workers: WorkersOption = "auto",
    settings: SetOption = None,
    users: Annotated[str | None, typer.Option(
        "--users", metavar="FILE|N", rich_help_panel=_LOAD,
        help="Users of the calls: a CSV file (SIPp's too), or a number of made-up ones.")] = None,
    threshold: Annotated[list[str] | None, typer.Option(
        "--threshold", "-T", metavar="EXPRESSION", rich_help_panel=_OUTPUT,
        help="What must hold, such as 'srd: p(99) < 150ms'. Repeatable.")] = None,
    out: OutOption = None,
    ui: UiOption = "auto",
    gso: GsoOption = "auto",
    gso_group: GsoGroupOption = DEFAULT_GSO_GROUP,
    linger: LingerOption = "auto",
    coalesce: CoalesceOption = "0s",
    t1: T1Option = DEFAULT_T1,
    t2: T2Option = DEFAULT_T2,
    t4: T4Option = DEFAULT_T4,
    local: Annotated[str | None, typer.Option(
        "--local", metavar="ADDRESS[:PORT]", rich_help_panel=_HOST,
        help="Where calls come from; worker i takes port + i.")] = None,
    graceful_stop: Annotated[str, typer.Option(
        "--graceful-stop", metavar="TIME", rich_help_panel=_LOAD,
        help="How long open calls may take to end.")] = "30s",
    strict: Annotated[bool, typer.Option(
        "--strict", rich_help_panel=_OUTPUT, help="A suspect run is an invalid one.")] = False,
    limit: LimitOption = None,
    dns: Annotated[str | None, typer.Option(
        "--dns", metavar="SERVER[:PORT]", rich_help_panel=_TARGET,
        help="Name server that knows the target; otherwise those of the system.")] = None,
    may_load: Annotated[bool, typer.Option(
        "--i-may-load-this-target", rich_help_panel=_TARGET,
        help="Needed for a target outside loopback and private networks.")] = False,
) -> None:
    """Make calls, and report on them."""
    signals = Signals()
    with signals.caught():
        from siploadgen.report import limits
        from siploadgen.report.collect import make_collector
        from siploadgen.report.thresholds import parse_threshold
        from siploadgen.report.writers import parse_outputs

        chosen = find_model(model)
        if embedded == (target is not None):
            raise UsageError("give either -t/--target URI or --self"
                             + (", not both" if embedded else ""))
        outputs = parse_outputs(out or ())
        thresholds = [parse_threshold(text) for text in threshold or ()]
        limit_values = limits.parse_limits(limit or ())
        ready = _prepare(
            chosen, target=target, rate=rate, duration=duration, calls=calls, max_calls=max_calls,
            arrival=arrival, ramp=ramp, seed=seed, workers=workers,
            settings=parse_settings(settings), users=users, local=local,
            tuning=parse_tuning(gso=gso, gso_group=gso_group, linger=linger, coalesce=coalesce,
                                t1=t1, t2=t2, t4=t4),
            graceful_stop_ns=units.parse_duration(graceful_stop, "--graceful-stop"),
            may_load=may_load, dns=dns)
        collector = make_collector(ready.plan.program, thresholds=thresholds,
                                   limit_values=limit_values, bounded=max_calls is not None)
        code = _perform(ready, collector, outputs, ui, strict, signals)
    raise typer.Exit(code)


def _prepare(
    model: Any,
    *,
    target: str | None,
    rate: str | None,
    duration: str | None,
    calls: str | None,
    max_calls: str | None,
    arrival: str,
    ramp: Sequence[str] | None,
    seed: int,
    workers: str,
    settings: dict[str, str],
    users: str | None,
    tuning: "Tuning",
    local: str | None,
    graceful_stop_ns: int,
    may_load: bool,
    dns: str | None,
) -> Prepared:
    """Check everything and build the programs; only sockets of the answerer are opened."""
    from siploadgen.load.arrivals import parse_arrival
    from siploadgen.load.rows import column_names
    from siploadgen.model.builtin import build_answerer, build_caller
    from siploadgen.run.answer import Answerer, AnswerPlan
    from siploadgen.run.plan import RunPlan, available_cores, choose_workers
    from siploadgen.run.targets import find_target
    from siploadgen.run.worker import local_address, open_socket

    shape, count = load_shape(rate, duration, calls, ramp)
    process = parse_arrival(arrival)
    bound = None if max_calls is None else units.parse_count(max_calls, "--max-calls")
    engines = choose_workers(workers, shape.peak, available_cores(), embedded=target is None)
    run_id = int.from_bytes(os.urandom(4), "big") or 1
    sock = found = None
    if target is None:
        if dns is not None:
            raise UsageError("--dns: with --self there is no name to ask for")
        sock = open_socket(("127.0.0.1", 0), "--self")
        address: tuple[str, int] = sock.getsockname()[:2]
        uri = f"sip:{units.host_port(address)}"
    else:
        found = find_target(target, dns=dns, local=local, may_load=may_load, seed=seed)
        address, uri = found.address, found.uri
    try:
        here = units.parse_local(local) if local else (local_address(address), 0)
        here = units.resolve(here[0], here[1], "--local")
        columns = column_names(users) if users and not _is_count(users) else (
            ("user", "password") if users else ())
        with model_errors(usage=True):
            program = build_caller(model.name, target_uri=uri, settings=settings, columns=columns)
        total = min(shape.total, float("inf") if count is None else count)
        plan = RunPlan(
            name=model.name, program=program, target_uri=uri, target=address, local=here,
            shape=shape, arrival=process, seed=seed, calls=count, max_calls=bound,
            workers=engines, rows=load_rows(users, program.columns, total, settings, seed),
            settings=settings, graceful_stop_ns=graceful_stop_ns, tuning=tuning,
            run_id=run_id, found=found)
        answerer = None
        if sock is not None:
            with model_errors(usage=True):
                other = build_answerer(settings=settings)
            instances = plan.engine_arguments(0, 0)["max_instances"] * engines
            answerer = Answerer(AnswerPlan(
                other, seed=seed, tuning=replace(tuning, coalesce_ns=0),
                run_id=run_id ^ 0xFFFFFFFF, max_instances=min(instances, 1_048_576)), [sock])
    except BaseException:
        if sock is not None:
            sock.close()
        raise
    # A uniform schedule of N calls is as long as N gaps, though its last call is due after N - 1.
    load_s = None
    if count is not None and count <= shape.total and len(shape.stages) == 1:
        load_s = count / shape.mean
    return Prepared(plan, answerer, _head(plan, answerer is not None), load_s)


def _head(plan: "RunPlan", embedded: bool) -> dict[str, Any]:
    """Return what the plan knows of the result: scenario, target, plan, command."""
    length_s = plan.duration_ns / units.NANOS
    return {
        "scenario": {"name": plan.name, "digest": plan.program.digest,
                     "settings": open_settings(plan.settings)},
        "target": {"uri": plan.target_uri, "transport": "udp",
                   "address": units.host_port(plan.target), "embedded": embedded},
        "plan": {
            "role": "caller", "rate_per_s": plan.shape.mean, "peak_rate_per_s": plan.shape.peak,
            "duration_s": length_s, "arrival": str(plan.arrival), "seed": plan.seed,
            "calls": plan.calls, "max_calls": plan.max_calls, "workers": plan.workers,
            "users": plan.rows.count if plan.rows else None,
            "graceful_stop_s": plan.graceful_stop_ns / units.NANOS,
            **plan.tuning.report(),
            "stages": [{"from_per_s": stage.rate, "to_per_s": stage.target,
                        "duration_s": None if stage.duration_ns is None
                        else stage.duration_ns / units.NANOS} for stage in plan.shape.stages],
        },
        "command": command_line(sys.argv[1:]),
    }


def _make_view(
    ui: str, collector: "Collector", title: str, total_calls: float, duration_ns: float
) -> "Quiet":
    from siploadgen.report import live

    clock = collector.names.clocks[0] if collector.names.clocks else None
    match live.choose_ui(ui, sys.stderr.isatty(), bool(os.environ.get("CI"))):
        case "rich":
            return live.Table(collector.names, collector.judge, title, total_calls=total_calls,
                              duration_ns=duration_ns)
        case "line":
            return live.Lines(clock)
        case "json":
            return live.JsonLines()
    return live.Quiet()


def _perform(
    ready: Prepared,
    collector: "Collector",
    outputs: Sequence[Any],
    ui: str,
    strict: bool,
    signals: Signals,
) -> int:
    """Run what is prepared, write everything, and return the exit code."""
    from siploadgen.report.writers import Outputs
    from siploadgen.run.runner import Runner

    plan, answerer = ready.plan, ready.answerer
    files = Outputs(outputs, collector.names, time.time())
    collector.writers.append(files)
    view = _make_view(ui, collector, f"{plan.name} to {plan.target_uri}", plan.total_calls,
                      plan.duration_ns)
    collector.view = view
    runner = Runner(plan, observer=collector, answerer=answerer)
    try:
        if answerer is not None:
            answerer.start()
        signals.subject = runner
        view.control(runner)
        with view:
            record = runner.run()
    finally:
        if answerer is not None:
            answerer.stop()
        files.close()
    result = collector.result(record, head=ready.head, strict=strict,
                              load_s=None if record.interrupted else ready.load_s)
    _finish(result, files, outputs, ui)
    return int(result["exit_code"])


def _finish(result: dict[str, Any], files: Any, outputs: Sequence[Any], ui: str) -> None:
    """Write the documents and print the summary, which leaves stdout to data."""
    from siploadgen.report import summary

    files.finish(result)
    data = ui == "json" or any(output.path == "-" for output in outputs)
    stream = sys.stderr if data else sys.stdout
    stream.write(summary.plain(result, files.paths))
    stream.flush()


# --- answer ---


@app.command()
def answer(
    listen: Annotated[str, typer.Option(
        "--listen", metavar="udp:ADDRESS:PORT", help="Where to listen; worker i takes port + i.",
    )] = "udp:127.0.0.1:5060",
    answer_after: Annotated[str, typer.Option(
        "--answer-after", metavar="TIME|DISTRIBUTION",
        help="Time from 180 to 200, such as 2s or lognormal(200ms,0.4).")] = "",
    reject: Annotated[str, typer.Option(
        "--reject", metavar="STATUS:SHARE,...",
        help="Calls refused, such as 486:3%,503:1%.")] = "",
    drop: Annotated[str, typer.Option(
        "--drop", metavar="SHARE", help="New requests thrown away, such as 0.5%.")] = "0",
    challenge: Annotated[Literal["md5", "sha-256"] | None, typer.Option(
        "--challenge", help="Ask for digest credentials.")] = None,
    rate_limit: Annotated[str | None, typer.Option(
        "--rate-limit", metavar="RATE", help="New calls above it get 503.")] = None,
    settings: SetOption = None,
    workers: WorkersOption = "1",
    out: OutOption = None,
    ui: UiOption = "none",
    gso: GsoOption = "auto",
    gso_group: GsoGroupOption = DEFAULT_GSO_GROUP,
    linger: LingerOption = "auto",
    coalesce: CoalesceOption = "0s",
    t1: T1Option = DEFAULT_T1,
    t2: T2Option = DEFAULT_T2,
    t4: T4Option = DEFAULT_T4,
    graceful_stop: Annotated[str, typer.Option(
        "--graceful-stop", metavar="TIME", help="How long open calls may take to end.",
    )] = ANSWER_STOP,
    seed: Annotated[int, typer.Option("--seed", min=0, max=2**32 - 1)] = 1,
    limit: LimitOption = None,
) -> None:
    """Answer calls, until stopped by Ctrl-C or SIGTERM."""
    signals = Signals()
    with signals.caught():
        from siploadgen.model.builtin import build_answerer
        from siploadgen.report import limits
        from siploadgen.report.collect import make_collector
        from siploadgen.report.writers import Outputs, parse_outputs
        from siploadgen.run.answer import Answerer, AnswerPlan, AnswerRunner
        from siploadgen.run.plan import choose_workers
        from siploadgen.run.worker import open_socket

        outputs = parse_outputs(out or ())
        if ui == "rich":
            raise UsageError("--ui rich: only `run` has a live table; choose line, json or none")
        chosen = parse_settings(settings)
        address = units.parse_listen(listen)
        address = units.resolve(address[0], address[1], "--listen")
        count = choose_workers(workers, 0, 1, embedded=False)
        if address[1] and address[1] + count - 1 > 65535:
            raise UsageError(f"--listen {listen}: no room for {count} ports")
        share = units.parse_share(drop, "--drop")
        per_s = 0.0 if rate_limit is None else units.parse_rate(rate_limit, "--rate-limit")
        if rate_limit is not None and per_s == 0:
            raise UsageError("--rate-limit: must be above 0")
        stop_ns = units.parse_duration(graceful_stop, "--graceful-stop")
        limit_values = limits.parse_limits(limit or ())
        plan = AnswerPlan(
            _answer_program(build_answerer, chosen, answer_after, reject, challenge or ""),
            seed=seed, drop_share=share, rate_limit=per_s,
            tuning=parse_tuning(gso=gso, gso_group=gso_group, linger=linger, coalesce=coalesce,
                                t1=t1, t2=t2, t4=t4),
            run_id=int.from_bytes(os.urandom(4), "big") or 1)
        sockets = [open_socket((address[0], address[1] + number if address[1] else 0), "--listen")
                   for number in range(count)]
        answerer = Answerer(plan, sockets)
        collector = make_collector(plan.program, limit_values=limit_values, answering=True)
        files = Outputs(outputs, collector.names, time.time())
        collector.writers.append(files)
        view = _make_view("none" if ui == "auto" else ui, collector, "", 0, 0)
        collector.view = view
        runner = AnswerRunner(answerer, observer=collector, graceful_stop_ns=stop_ns)
        signals.subject = runner
        ready = sys.stderr if ui == "json" or any(o.path == "-" for o in outputs) else sys.stdout
        ready.write("listening on " + ", ".join(
            f"udp:{units.host_port(place)}" for place in answerer.addresses) + "\n")
        ready.flush()
        try:
            record = runner.run()
        finally:
            files.close()
        head = {
            "scenario": {"name": "answer", "digest": plan.program.digest,
                         "settings": open_settings(chosen)},
            "target": None,
            "plan": {"role": "answerer", "answer_after": answer_after, "reject": reject,
                     "drop": share, "challenge": challenge or "", "rate_limit_per_s": per_s or None,
                     "workers": count, "seed": seed, **plan.tuning.report()},
            "command": command_line(sys.argv[1:]),
        }
        _finish(collector.result(record, head=head), files, outputs, ui)


def _answer_program(
    build: Any, settings: dict[str, str], answer_after: str, reject: str, challenge: str
) -> Any:
    with model_errors(usage=True):
        return build(settings=settings, answer_after=answer_after, reject=reject,
                     challenge=challenge)


# --- models, check, show, report, doctor ---

models_app = typer.Typer(help="The built-in call models, one line each.",
                         context_settings={"help_option_names": ["-h", "--help"]},
                         invoke_without_command=True, rich_markup_mode=None)
app.add_typer(models_app, name="models")


@models_app.callback(invoke_without_command=True)
def models(context: typer.Context) -> None:
    """List the built-in call models."""
    if context.invoked_subcommand is not None:
        return
    from siploadgen.model.builtin import MODELS

    width = max(len(name) for name in MODELS)
    for name, model in MODELS.items():
        typer.echo(f"{name:<{width}}  {model.summary}")


@models_app.command("show")
def models_show(name: Annotated[str, typer.Argument(metavar="NAME")]) -> None:
    """Print a model's settings and source."""
    model = find_model(name)
    typer.echo(f"# {model.name}: {model.summary}\n# settings (--set NAME=VALUE):")
    width = max((len(setting) for setting in model.settings), default=0)
    for setting, about in model.settings.items():
        typer.echo(f"#   {setting:<{width}}  {about.help} (default: {about.default or 'none'})")
    typer.echo(f"\n{model.source.rstrip()}")


def _compiled(name: str, settings: Sequence[str] | None) -> Any:
    """Return the program of a model for a target that stands for any."""
    from siploadgen.model.builtin import build_caller

    model = find_model(name)
    with model_errors(usage=False):
        return build_caller(model.name, target_uri="sip:127.0.0.1:5060",
                            settings=parse_settings(settings))


@app.command()
def check(model: ModelArgument, settings: SetOption = None) -> None:
    """Compile a model, and say whether it is valid."""
    program = _compiled(model, settings)
    columns = f", columns {', '.join(program.columns)}" if program.columns else ""
    typer.echo(f"{model}: valid, {len(program.code)} instructions, metrics "
               f"{', '.join(program.clocks) or 'none'}{columns}, digest {program.digest[:16]}")


@app.command()
def show(
    model: ModelArgument,
    settings: SetOption = None,
    listing: Annotated[bool, typer.Option("--listing", help="Print the compiled program.")] = False,
) -> None:
    """Print the messages of a model, or the compiled program."""
    from siploadgen.compile import listing as listings

    program = _compiled(model, settings)
    text = listings.listing(program) if listing else listings.templates_listing(program)
    typer.echo(text.rstrip("\n"))


@app.command()
def report(
    run_path: Annotated[str, typer.Argument(metavar="RUN", help="A folder of --out, or its "
                                                                "run.json.")],
    output: Annotated[str, typer.Option(
        "--output", "-o", metavar="summary|md|json|junit", help="What to print.")] = "summary",
) -> None:
    """Print the report of a run that is over."""
    from siploadgen.report.collect import SCHEMA
    from siploadgen.report.writers import render

    if output == "html":
        raise UsageError("-o html: not supported in this version; choose summary, md, json or "
                         "junit")
    if output not in ("summary", "md", "json", "junit"):
        raise UsageError(f'-o "{output}": choose summary, md, json or junit')
    import json

    path = Path(run_path)
    path = path / "run.json" if path.is_dir() else path
    try:
        result = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ScenarioError(f"{path}: {error.strerror}") from None
    except ValueError as error:
        raise ScenarioError(f"{path}: not JSON ({error})") from None
    if not isinstance(result, dict) or result.get("schema") != SCHEMA:
        raise ScenarioError(f"{path}: not a result of this version (schema {SCHEMA})")
    try:
        text = render(output, result)
    except (KeyError, TypeError) as error:
        raise ScenarioError(f"{path}: incomplete: {error}") from None
    sys.stdout.write(text)


@app.command()
def doctor() -> None:
    """Examine this host: limits, buffers, ports, clock; and what mends each."""
    from siploadgen.run.doctor import examine

    findings = examine()
    width = max(len(finding.name) for finding in findings)
    for finding in findings:
        typer.echo(f"{'ok  ' if finding.ok else 'mend'}  {finding.name:<{width}}  {finding.found}")
        if not finding.ok:
            typer.echo(f"      {'':<{width}}  {finding.mend}")


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"siploadgen {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[bool, typer.Option(
        "--version", callback=_version, is_eager=True, help="Print the version.")] = False,
) -> None:
    """Generate SIP load, and answer it."""


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command; an error that somebody can act on becomes one line on stderr."""
    try:
        app(args=None if arguments is None else list(arguments), prog_name="siploadgen")
    except SiploadgenError as error:
        sys.stderr.write(f"siploadgen: {error}\n")
        sys.exit(int(error.exit_code))
    except BrokenPipeError:
        # Whoever read our output has gone; nothing is left to say.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(int(Exit.INTERNAL))
    sys.exit(int(Exit.OK))
