"""`siploadgen capacity`: find the highest rate that meets the goals."""

from typing import Annotated, Literal

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
    parse_settings,
)
from siploadgen.cli.signals import Signals
from siploadgen.cli.trials import LayeredTrials, Maker, folder_of, parse_reports, write_reports
from siploadgen.cli.verbs import single
from siploadgen.errors import Exit, UsageError


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
        help="Threshold that a trial has to keep, such as 'srd: p(99) < 200ms'. Repeatable. "
             "Default 'failed: rate == 0'.")] = None,
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
        help="Write the report: a folder (with run.json of each trial), or one kind (text, "
             "md, json, html) to a file or `-`. Repeatable.")] = None,
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
        from siploadgen.capacity import form, page
        from siploadgen.capacity.play import default_limits
        from siploadgen.cli.seek import GOAL, Quest, Words, say

        if embedded == (target is not None):
            raise UsageError("give either -t/--target URI or --self"
                             + (", not both" if embedded else ""))
        reports = parse_reports(out, "capacity")
        maker = Maker(
            context.obj.model, target, parse_settings(settings), users, seed=seed, workers=workers,
            local=local, dns=dns, linger=linger, t1=t1, t2=t2, t4=t4, may_load=may_load,
            graceful_stop_ns=None if graceful_stop is None
            else units.parse_duration(graceful_stop, "--graceful-stop"))
        quest = Quest(
            maker, Words(method, most, least, start, step, precision, trial, trial_sum, exceed,
                         attempts, increase),
            goal or [str(one.value) for one in context.obj.values.get("threshold", ())] or [GOAL],
            default_limits(limit or ()), benchmark=benchmark, wait=wait, settle=settle,
            retries=retries, no_baseline=no_baseline, notes=notes, folder=folder_of(reports),
            show=say)
        data = quest.play(signals)
        if data is None:
            raise typer.Exit(int(Exit.INTERRUPTED))
        write_reports(data, reports, {**form.RENDER, "html": page.capacity_page})
    raise typer.Exit(data["exit_code"])



app = single(capacity, LayeredTrials)
