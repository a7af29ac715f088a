"""`siploadgen answer`: answer calls, until stopped."""

import math
import os
import sys
import time
from typing import Annotated, Any, Literal

import typer

from siploadgen import units
from siploadgen.cli.layered import LayeredAnswer
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
    OutOption,
    SeedOption,
    SetOption,
    T1Option,
    T2Option,
    T4Option,
    UiOption,
    WorkersOption,
    command_line,
    model_errors,
    open_settings,
    parse_settings,
    parse_tuning,
)
from siploadgen.cli.output import finish, make_view
from siploadgen.cli.signals import Signals
from siploadgen.cli.verbs import single
from siploadgen.errors import UsageError

MOST_LINES = 1_000_000
MILLI = units.NANOS // 1000


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
    challenge: Annotated[
        Literal["md5", "md5-sess", "sha-256", "sha-256-sess", "sha-512-256", "sha-512-256-sess"]
        | None, typer.Option("--challenge", help="Ask for digest credentials.")] = None,
    rate_limit: Annotated[str | None, typer.Option(
        "--rate-limit", metavar="RATE", help="New calls above it get 503.")] = None,
    lines: Annotated[str | None, typer.Option(
        "--lines", metavar="N",
        help="Calls at once, by one engine; others get 503, as many as Erlang B says.")] = None,
    retry_after: Annotated[str, typer.Option(
        "--retry-after", metavar="TIME",
        help="What a 503 of the answerer asks for, in whole seconds; 0: nothing.")] = "1s",
    oc: Annotated[str, typer.Option(
        "--oc", metavar="loss:SHARE|rate:RATE",
        help="Overload control for callers that take it (RFC 7339, RFC 7415), such as loss:50% "
             "or rate:200/s.")] = "",
    oc_validity: Annotated[str, typer.Option(
        "--oc-validity", metavar="TIME",
        help="How long --oc is in force after an answer; 0: it ends.")] = "500ms",
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
    compact: CompactOption = False,
    graceful_stop: GracefulStopOption = "5s",
    seed: SeedOption = 1,
    limit: LimitOption = None,
) -> None:
    """Answer calls, until stopped by Ctrl-C or SIGTERM."""
    signals = Signals()
    with signals.caught():
        from siploadgen.model.builtin import build_answerer
        from siploadgen.report import limits
        from siploadgen.report.collect import make_collector
        from siploadgen.report.writers import Outputs, parse_outputs, tape_octets
        from siploadgen.run.answer import Answerer, AnswerPlan, AnswerRunner
        from siploadgen.run.plan import available_cores, choose_workers
        from siploadgen.run.worker import open_socket

        outputs = parse_outputs(out or ())
        if ui == "rich":
            raise UsageError("--ui rich: only `run` has a live table; choose line, json or none")
        chosen = parse_settings(settings)
        address = units.parse_listen(listen)
        address = units.resolve(address[0], address[1], "--listen")
        per_s = 0.0 if rate_limit is None else units.parse_rate(rate_limit, "--rate-limit")
        if rate_limit is not None and per_s == 0:
            raise UsageError("--rate-limit: must be above 0")
        line_count = 0 if lines is None else units.parse_count(lines, "--lines")
        if lines is not None and not 0 < line_count <= MOST_LINES:
            raise UsageError(f"--lines: from 1 to {MOST_LINES:,}")
        if line_count:  # a group of lines is one group: engines share nothing
            if workers not in ("auto", "1"):
                raise UsageError(f"--workers {workers}: one engine has the lines; write "
                                 "--workers 1, or leave it out")
            workers = "1"
        retry_after_ns = units.parse_duration(retry_after, "--retry-after")
        if retry_after_ns % units.NANOS or retry_after_ns >= 2**32 * units.NANOS:
            raise UsageError(f"--retry-after {retry_after}: whole seconds (RFC 3261 20.33)")
        control = parse_control(oc)
        validity_ns = units.parse_duration(oc_validity, "--oc-validity")
        if validity_ns >= 2**32 * MILLI:
            raise UsageError(f"--oc-validity {oc_validity}: below 2**32 ms")
        count = choose_workers(workers, per_s or math.inf, available_cores(), embedded=False)
        if address[1] and address[1] + count - 1 > 65535:
            raise UsageError(f"--listen {listen}: no room for {count} ports")
        share = units.parse_share(drop, "--drop")
        stop_ns = units.parse_duration(graceful_stop, "--graceful-stop")
        limit_values = limits.parse_limits(limit or ())
        plan = AnswerPlan(
            _answer_program(build_answerer, chosen, answer_after, reject, challenge or "",
                            compact),
            seed=seed, drop_share=share, rate_limit=per_s, lines=line_count,
            retry_after_s=retry_after_ns // units.NANOS, oc=control,
            oc_validity_ms=validity_ns // MILLI,
            tuning=parse_tuning(gso=gso, gso_group=gso_group, linger=linger, coalesce=coalesce,
                                t1=t1, t2=t2, t4=t4, tape=tape_octets(outputs)),
            run_id=int.from_bytes(os.urandom(4), "big") or 1)
        sockets = [open_socket((address[0], address[1] + number if address[1] else 0), "--listen")
                   for number in range(count)]
        answerer = Answerer(plan, sockets)
        collector = make_collector(plan.program, limit_values=limit_values, answering=True)
        files = Outputs(outputs, collector.names, time.time())
        collector.writers.append(files)
        view = make_view("none" if ui == "auto" else ui, collector, "", 0, 0)
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
                     "lines": line_count or None,
                     "retry_after_s": plan.retry_after_s, "oc": oc,
                     "oc_validity_s": plan.oc_validity_ms / 1000,
                     "workers": count, "seed": seed, **plan.tuning.report()},
            "command": command_line(sys.argv[1:]),
        }
        finish(collector.result(record, head=head), files, outputs, ui)


def parse_control(text: str) -> tuple[str, int]:
    """Read --oc: the algorithm, and its percent or requests a second; empty: none.

    >>> parse_control("loss:50%"), parse_control("rate:200/s")
    (('loss', 50), ('rate', 200))
    """
    name, _, value = text.partition(":")
    if not text:
        return "", 0
    if name == "loss" and value:
        return name, round(units.parse_share(value, "--oc loss") * 100)
    if name == "rate" and value:
        per_s = round(units.parse_rate(value, "--oc rate"))
        if per_s < 2**32:
            return name, per_s
    raise UsageError(f'--oc "{text}": write loss:SHARE or rate:RATE, such as loss:50% or '
                     "rate:200/s")


def _answer_program(
    build: Any, settings: dict[str, str], answer_after: str, reject: str, challenge: str,
    compact: bool,
) -> Any:
    with model_errors(usage=True):
        return build(settings=settings, answer_after=answer_after, reject=reject,
                     challenge=challenge, compact=compact)


app = single(answer, LayeredAnswer)
