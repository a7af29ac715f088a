"""`siploadgen overload`: sweep the offered rate past the knee and back."""

import sys
import time
from pathlib import Path
from typing import Annotated

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
    UiOption,
    WorkersOption,
    parse_settings,
)
from siploadgen.cli.output import make_view
from siploadgen.cli.signals import Signals
from siploadgen.cli.trials import LayeredTrials, Maker, folder_of, parse_reports, write_reports
from siploadgen.cli.verbs import single
from siploadgen.errors import Exit, UsageError

MOST_LEVELS = 50


def overload(
    context: typer.Context,
    model: ModelArgument,  # noqa: ARG001
    target: Annotated[str | None, typer.Option(
        "--target", "-t", metavar="URI",
        help="Where calls go: sip:host:port, or host[:port].")] = None,
    embedded: Annotated[bool, typer.Option(
        "--self", help="Call the embedded answerer.")] = False,
    low: Annotated[str, typer.Option(
        "--from", metavar="RATE", help="Lowest level, which the target carries.")] = "100/s",
    high: Annotated[str, typer.Option(
        "--to", metavar="RATE", help="Highest level, which it does not.")] = "1k",
    levels: Annotated[int, typer.Option(
        "--levels", min=2, max=MOST_LEVELS, help="Levels on the way up.")] = 10,
    level: Annotated[str, typer.Option(
        "--level", metavar="TIME", help="Length of a level.")] = "5s",
    rest: Annotated[str, typer.Option(
        "--rest", metavar="TIME", help="Time at the lowest level at the end.")] = "10s",
    seed: SeedOption = 1,
    workers: WorkersOption = "auto",
    settings: SetOption = None,
    profile: ProfileOption = "",  # noqa: ARG001
    users: Annotated[str | None, typer.Option(
        "--users", metavar="FILE|N", help="Users of the calls.")] = None,
    out: Annotated[list[str] | None, typer.Option(
        "--out", metavar="DIR|KIND=PATH",
        help="Write the report: a folder (with run.json), or one kind (text, md, json, html) "
             "to a file or `-`. Repeatable.")] = None,
    ui: UiOption = "auto",
    linger: LingerOption = "auto",
    t1: T1Option = DEFAULT_T1,
    t2: T2Option = DEFAULT_T2,
    t4: T4Option = DEFAULT_T4,
    local: Annotated[str | None, typer.Option(
        "--local", metavar="ADDRESS[:PORT]", help="Where calls come from.")] = None,
    limit: LimitOption = None,
    dns: Annotated[str | None, typer.Option(
        "--dns", metavar="SERVER[:PORT]", help="Name server that knows the target.")] = None,
    may_load: Annotated[bool, typer.Option(
        "--i-may-load-this-target",
        help="Needed for a target outside loopback and private networks.")] = False,
) -> None:
    """Raise the offered rate in stairs past what the target carries, and lower it again.

    Reports goodput at each level, the collapse point, and the recovery time.
    """
    signals = Signals()
    with signals.caught():
        from siploadgen.capacity import overload as curves
        from siploadgen.capacity.page import overload_page
        from siploadgen.load.executors import RampingArrivalRate, RateStage
        from siploadgen.report.collect import make_collector
        from siploadgen.report.limits import parse_limits
        from siploadgen.report.writers import Outputs, parse_outputs
        from siploadgen.run.runner import Runner

        chosen = context.obj.model
        if embedded == (target is not None):
            raise UsageError("give either -t/--target URI or --self"
                             + (", not both" if embedded else ""))
        first, last = units.parse_rate(low, "--from"), units.parse_rate(high, "--to")
        if not 0 < first < last:
            raise UsageError("--from: above 0 and below --to")
        length_ns, rest_ns = (units.parse_duration(level, "--level"),
                              units.parse_duration(rest, "--rest"))
        if length_ns < units.NANOS or rest_ns < units.NANOS:
            raise UsageError("--level and --rest: at least 1s")
        reports = parse_reports(out, "overload")
        steps = curves.sweep(first, last, levels, length_ns / units.NANOS, rest_ns / units.NANOS)
        shape = RampingArrivalRate(first, [
            RateStage(one.rate_per_s, round(one.length_s * units.NANOS), "step", one.phase)
            for one in steps])
        maker = Maker(chosen, target, parse_settings(settings), users, seed=seed, workers=workers,
                      local=local, dns=dns, linger=linger, t1=t1, t2=t2, t4=t4, may_load=may_load)
        ready = maker.shaped(shape)
        plan = ready.plan
        collector = make_collector(plan.program, limit_values=parse_limits(limit or ()),
                                   series=plan.series)
        seconds = curves.Seconds(collector.names)
        folder = folder_of(reports)
        files = Outputs(parse_outputs([] if folder is None else [str(Path(folder) / "run")]),
                        collector.names, time.time())
        collector.writers += [files, seconds]
        view = make_view(ui, collector, f"{plan.name} to {plan.target_uri}", plan.total_calls,
                         plan.duration_ns)
        collector.view = view
        runner = Runner(plan, observer=collector, answerer=ready.answerer)
        try:
            if ready.answerer is not None:
                ready.answerer.start()
            signals.subject = runner
            view.control(runner)
            with view:
                record = runner.run()
        finally:
            if ready.answerer is not None:
                ready.answerer.stop()
            files.close()
        result = collector.result(record, head=ready.head,
                                  load_s=None if record.interrupted else ready.load_s)
        files.finish(result)
        if "never_answered" in result:
            sys.stderr.write(f"no answer from {plan.target_uri}: {result['never_answered']}\n")
            raise typer.Exit(int(Exit.NO_ANSWER))
        found = curves.levels_of(steps, result["phases"], seconds.spoilt)
        curve = curves.analyse(found, steps, seconds.rows, plan.program.pauses_ns / units.NANOS)
        code = Exit.OK
        if record.interrupted:
            code = Exit.INTERRUPTED
        elif curve.limited_per_s is not None:
            code = Exit.INVALID
        data = curves.report_data(result, found, curve, seconds.rows, int(code))
        write_reports(data, reports, {**curves.RENDER, "html": overload_page})
    raise typer.Exit(int(code))


app = single(overload, LayeredTrials)
