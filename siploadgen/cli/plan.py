"""`siploadgen plan`: what a run would do, and whether this host can do it."""

from typing import TYPE_CHECKING, Annotated

import typer

from siploadgen import units
from siploadgen.cli.layered import Layered
from siploadgen.cli.options import (
    DEFAULT_GSO_GROUP,
    DEFAULT_T1,
    DEFAULT_T2,
    DEFAULT_T4,
    ModelArgument,
    ProfileOption,
    SetOption,
    WorkersOption,
    model_errors,
    parse_settings,
    parse_tuning,
)
from siploadgen.cli.prepare import prepare
from siploadgen.cli.verbs import single
from siploadgen.errors import Exit

if TYPE_CHECKING:
    from siploadgen.load.planning import PhaseLoad, RunLoad
    from siploadgen.run.host import Need

ANYWHERE = "sip:127.0.0.1:5060"  # a plan sends nothing


def plan(
    context: typer.Context,
    model: ModelArgument,  # noqa: ARG001
    rate: Annotated[str | None, typer.Option("--rate", "-r", metavar="RATE",
                                             help="Calls started: 500/s, 2k, 1.8M/h.")] = None,
    duration: Annotated[str | None, typer.Option("--duration", "-d", metavar="TIME",
                                                 help="Length of the load.")] = None,
    calls: Annotated[str | None, typer.Option("--calls", metavar="N",
                                              help="Number of calls.")] = None,
    ramp: Annotated[list[str] | None, typer.Option(
        "--ramp", metavar="TO/s:TIME", help="Go on to a rate within a time. Repeatable.")] = None,
    workers: WorkersOption = "auto",
    settings: SetOption = None,
    profile: ProfileOption = "",  # noqa: ARG001
    users: Annotated[str | None, typer.Option("--users", metavar="FILE|N",
                                              help="Users of the calls.")] = None,
    challenged: Annotated[bool, typer.Option(
        "--challenged", help="Reckon with a challenge for each call.")] = False,
) -> None:
    """Reckon messages, bandwidth, open calls and memory, and whether this host can do it."""
    ready = prepare(
        context.obj.model, target=ANYWHERE, rate=rate, duration=duration, calls=calls,
        max_calls=None, arrival="uniform", ramp=ramp, warmup=None, seed=1, workers=workers,
        settings=parse_settings(settings), users=users, local=None,
        tuning=parse_tuning(gso="auto", gso_group=DEFAULT_GSO_GROUP, linger="auto", coalesce="0s",
                            t1=DEFAULT_T1, t2=DEFAULT_T2, t4=DEFAULT_T4),
        graceful_stop_ns=0, may_load=True, dns=None, obey_overload=False, compact=False,
        learn_contact=False)
    from siploadgen.run.host import needs, planned_load, this_host

    with model_errors(usage=True):
        load = planned_load(ready.plan, challenged=challenged,
                            answers=tuple(getattr(context.obj.model, "answers", {}).values()))
    wanted = needs(load, ready.plan.workers, this_host(), ready.plan.tuning)
    for line in [*_load_lines(load), "", *_need_lines(wanted)]:
        typer.echo(line)
    if not all(need.ok for need in wanted):
        typer.echo("this host cannot do it as it is", err=True)
        raise typer.Exit(int(Exit.INVALID))


def _load_lines(load: "RunLoad") -> list[str]:
    """Write a table with a row for each phase."""
    head = ("scenario", "phase", "length", "calls", "calls/s", "messages/s", "Mbit/s", "open calls",
            "Erlang")
    rows: list[tuple[str, ...]] = [head]
    for work in load.workloads:
        rows += [(work.name, *_phase(phase)) for phase in work.phases]
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    lines = ["  ".join(cell.ljust(width) if column < 2 else cell.rjust(width)
                       for column, (cell, width) in enumerate(zip(row, widths, strict=True)))
             for row in rows]
    for work in load.workloads:
        cost = work.cost
        lines.append(f"{work.name}: {cost.sent:g} messages sent and {cost.received:g} received for "
                     f"a call that succeeds, {cost.hold_ns / units.NANOS:g} s long")
        lines += [f"{work.name}: {note}" for note in cost.notes]
    return lines


def _phase(phase: "PhaseLoad") -> tuple[str, ...]:
    from siploadgen.load.arrivals import FOREVER_NS

    length = "?" if phase.end_ns >= FOREVER_NS else units.format_duration(
        phase.end_ns - phase.start_ns)
    bits = None if phase.bits_per_s is None else phase.bits_per_s / 1e6
    return (phase.name, length, *(_number(value) for value in (
        phase.calls, phase.peak_rate, phase.messages_per_s, bits, phase.open_calls,
        phase.erlangs)))


def _number(value: float | None) -> str:
    if value is None:
        return "?"
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _need_lines(wanted: "list[Need]") -> list[str]:
    lines = []
    for need in wanted:
        text = (f"{'ok  ' if need.ok else 'FAIL'}  {need.name}: {_number(need.needed)} of "
                f"{_number(need.available)} {need.unit}")
        lines.append(text.rstrip() + ("" if need.ok else f"; {need.mend}"))
    return lines


app = single(plan, Layered)
