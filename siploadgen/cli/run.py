"""`siploadgen run`: make calls, and report on them."""

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from siploadgen import units
from siploadgen.cli.layered import Layered
from siploadgen.cli.load import DEFAULT_DURATION, DEFAULT_RATE
from siploadgen.cli.options import (
    DEFAULT_GSO_GROUP,
    DEFAULT_T1,
    DEFAULT_T2,
    DEFAULT_T4,
    CoalesceOption,
    CompactOption,
    GracefulStopOption,
    GsoGroupOption,
    GsoOption,
    LimitOption,
    LingerOption,
    ModelArgument,
    OutOption,
    ProfileOption,
    SeedOption,
    SetOption,
    T1Option,
    T2Option,
    T4Option,
    UiOption,
    WorkersOption,
    parse_settings,
    parse_tuning,
)
from siploadgen.cli.output import finish, make_view, words_stream
from siploadgen.cli.prepare import Prepared, prepare
from siploadgen.cli.signals import Signals
from siploadgen.cli.verbs import single
from siploadgen.errors import UsageError

if TYPE_CHECKING:
    from siploadgen.report.collect import Collector


def run(
    context: typer.Context,
    model: ModelArgument,  # noqa: ARG001
    target: Annotated[str | None, typer.Option(
        "--target", "-t", metavar="URI",
        help="Where calls go: sip:host:port, or host[:port].")] = None,
    embedded: Annotated[bool, typer.Option(
        "--self",
        help="Call the embedded answerer: nothing else is needed.")] = False,
    rate: Annotated[str | None, typer.Option(
        "--rate", "-r", metavar="RATE",
        help=f"Calls started: 500/s, 120/m, 1.8M/h, 2k. Default {DEFAULT_RATE}.")] = None,
    duration: Annotated[str | None, typer.Option(
        "--duration", "-d", metavar="TIME",
        help="Length of the load: 250ms, 30s, 1h30m. "
             f"Default {DEFAULT_DURATION}, or as long as the ramps or --calls take.")] = None,
    calls: Annotated[str | None, typer.Option(
        "--calls", metavar="N", help="Start exactly N calls.")] = None,
    max_calls: Annotated[str | None, typer.Option(
        "--max-calls", metavar="N",
        help="Bound on open calls; calls that find no room are counted, not delayed.")] = None,
    arrival: Annotated[str, typer.Option(
        "--arrival", metavar="uniform|poisson|batch(n)",
        help="How calls are spaced.")] = "uniform",
    ramp: Annotated[list[str] | None, typer.Option(
        "--ramp", metavar="TO/s:TIME",
        help="Go on to a rate within a time, then hold it; :step jumps there. Repeatable.")] = None,
    warmup: Annotated[str | None, typer.Option(
        "--warmup", metavar="TIME",
        help="Load before the load, at its first rate: its calls count, but are not measured.")
    ] = None,
    seed: SeedOption = 1,
    workers: WorkersOption = "auto",
    settings: SetOption = None,
    profile: ProfileOption = "",  # noqa: ARG001
    users: Annotated[str | None, typer.Option(
        "--users", metavar="FILE|N",
        help="Users of the calls: a CSV file (SIPp's too), or a number of made-up ones.")] = None,
    debug: Annotated[bool, typer.Option(
        "--debug",
        help="One call, unless --calls, --duration or --ramp say more, and everything about it "
             "printed as it happens: messages, steps, times.")] = False,
    threshold: Annotated[list[str] | None, typer.Option(
        "--threshold", "-T", metavar="EXPRESSION",
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
    compact: CompactOption = False,
    local: Annotated[str | None, typer.Option(
        "--local", metavar="ADDRESS[:PORT]",
        help="Where calls come from; worker i takes port + i.")] = None,
    graceful_stop: GracefulStopOption = "30s",
    strict: Annotated[bool, typer.Option(
        "--strict", help="A suspect run is an invalid one.")] = False,
    limit: LimitOption = None,
    dns: Annotated[str | None, typer.Option(
        "--dns", metavar="SERVER[:PORT]",
        help="Name server that knows the target; otherwise those of the system.")] = None,
    obey_overload: Annotated[bool, typer.Option(
        "--obey-overload",
        help="Leave out calls that the target in overload does not want (RFC 7339, RFC 7415, "
             "Retry-After of a 503); each is counted.")] = False,
    contact: Annotated[Literal["local", "learned"], typer.Option(
        "--contact",
        help="Address in Contact: our own, or for calls behind a NAT the one that the first "
             "response tells in its Via (RFC 3581).")] = "local",
    may_load: Annotated[bool, typer.Option(
        "--i-may-load-this-target",
        help="Needed for a target outside loopback and private networks.")] = False,
) -> None:
    """Make calls, and report on them."""
    signals = Signals()
    with signals.caught():
        from siploadgen.report import limits
        from siploadgen.report.collect import make_collector
        from siploadgen.report.thresholds import parse_threshold
        from siploadgen.report.writers import parse_outputs, tape_octets

        if embedded == (target is not None):
            raise UsageError("give either -t/--target URI or --self"
                             + (", not both" if embedded else ""))
        if debug and not any(given_by_hand(context, name)
                             for name in ("calls", "duration", "ramp")):
            calls, duration, ramp, warmup = "1", None, None, None
        outputs = parse_outputs(out or ())
        thresholds = [parse_threshold(text) for text in threshold or ()]
        # An engine that tells everything is slow; what is late by it says nothing of the target.
        limit_values = limits.parse_limits([*(["late_start_p99=1s"] if debug else []),
                                            *(limit or ())])
        ready = prepare(
            context.obj.model, target=target, rate=rate, duration=duration, calls=calls,
            max_calls=max_calls, arrival=arrival, ramp=ramp, warmup=warmup, seed=seed,
            workers=workers, settings=parse_settings(settings), users=users, local=local,
            tuning=parse_tuning(gso=gso, gso_group=gso_group, linger=linger, coalesce=coalesce,
                                t1=t1, t2=t2, t4=t4, tape=tape_octets(outputs)),
            graceful_stop_ns=units.parse_duration(graceful_stop, "--graceful-stop"),
            may_load=may_load, dns=dns, obey_overload=obey_overload, compact=compact,
            learn_contact=contact == "learned", each=debug)
        collector = make_collector(ready.plan.program, thresholds=thresholds,
                                   limit_values=limit_values, bounded=max_calls is not None,
                                   series=ready.plan.series)
        code = _perform(ready, collector, outputs, ui, strict, signals, debug)
    raise typer.Exit(code)


def given_by_hand(context: typer.Context, name: str) -> bool:
    """Tell whether a parameter stands on the command line, and not in a layer below."""
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def _perform(
    ready: Prepared,
    collector: "Collector",
    outputs: Sequence[Any],
    ui: str,
    strict: bool,
    signals: Signals,
    debug: bool,
) -> int:
    """Run what is prepared, write everything, and return the exit code."""
    from siploadgen.report.writers import Outputs
    from siploadgen.run.runner import Runner

    plan, answerer = ready.plan, ready.answerer
    files = Outputs(outputs, collector.names, time.time())
    collector.writers.append(files)
    view = make_view("none" if debug and ui in ("auto", "rich") else ui, collector,
                     f"{plan.name} to {plan.target_uri}", plan.total_calls, plan.duration_ns)
    collector.view = view
    factory = None
    if debug:
        from siploadgen.cli.debug import Narrator
        from siploadgen.run.debug import debug_engines

        factory = debug_engines(Narrator(words_stream(outputs, ui), plan.workers).tell)
    runner = Runner(plan, observer=collector, answerer=answerer, engine_factory=factory)
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
                              load_s=ready.load_s)
    finish(result, files, outputs, ui)
    return int(result["exit_code"])


app = single(run, Layered)
