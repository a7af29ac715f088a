"""What a run needs before its first datagram: everything checked, programs built."""

import math
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from siploadgen import units
from siploadgen.cli.load import is_count, load_executor, load_rows
from siploadgen.cli.options import command_line, model_errors, open_settings
from siploadgen.errors import UsageError

if TYPE_CHECKING:
    from siploadgen.run.answer import Answerer
    from siploadgen.run.plan import RunPlan, Tuning


@dataclass(slots=True)
class Prepared:
    """Everything that is ready before the first datagram."""

    plan: "RunPlan"
    answerer: "Answerer | None"
    head: dict[str, Any]
    load_s: float | None  # length of the load when the number of calls ends it


def prepare(
    model: Any,
    *,
    target: str | None,
    rate: str | None,
    duration: str | None,
    calls: str | None,
    max_calls: str | None,
    arrival: str,
    ramp: Sequence[str] | None,
    warmup: str | None,
    seed: int,
    workers: str,
    settings: dict[str, str],
    users: str | None,
    tuning: "Tuning",
    local: str | None,
    graceful_stop_ns: int,
    may_load: bool,
    dns: str | None,
    obey_overload: bool,
    compact: bool,
    learn_contact: bool,
    each: bool = False,
    answering: Mapping[str, str] | None = None,
    shaped: Any = None,
) -> Prepared:
    """Check everything and build the programs; only sockets of the answerer are opened.

    With `each` the load of the command line is that of every scenario of a file. `answering` are
    settings that the embedded answerer has besides `settings`. `shaped` is an executor that stands
    for the load options.
    """
    from siploadgen.model.builtin import build_answerer
    from siploadgen.run.answer import Answerer, AnswerPlan
    from siploadgen.run.plan import RunPlan, available_cores, choose_workers
    from siploadgen.run.worker import local_address, open_socket

    job = model if hasattr(model, "works") else None  # a scenario file; its module costs time
    asked = shaped is not None or any(
        given is not None for given in (rate, duration, calls, warmup, *(ramp or ())))
    executor = shaped or load_executor(rate, duration, calls, ramp, arrival=arrival,
                                       max_calls=max_calls, warmup=warmup)
    if job is not None:
        job = _with_load(job, executor if asked else None, each)
        peaks = [(one.executor or executor).peak_rate for one in job.works]
        peak = sum(math.inf if one is None else one for one in peaks)
    else:
        peak = executor.peak_rate
    engines = choose_workers(workers, peak, available_cores(), embedded=target is None)
    run_id = int.from_bytes(os.urandom(4), "big") or 1
    sock = found = None
    if target is None:
        if dns is not None:
            raise UsageError("--dns: with --self there is no name to ask for")
        sock = open_socket(("127.0.0.1", 0), "--self")
        address: tuple[str, int] = sock.getsockname()[:2]
        uri = f"sip:{units.host_port(address)}"
    else:
        from siploadgen.run.targets import find_target

        found = find_target(target, dns=dns, local=local, may_load=may_load, seed=seed)
        address, uri = found.address, found.uri
    try:
        here = units.parse_local(local) if local else (local_address(address), 0)
        here = units.resolve(here[0], here[1], "--local")
        built = (_built_in if job is None else _built_job)(
            model if job is None else job, uri, executor, users, settings, seed, compact)
        plan = RunPlan(
            name=model.name, program=built.program, target_uri=uri, target=address, local=here,
            workloads=built.workloads, seed=seed,
            max_calls=executor.max_calls, workers=engines, rows=built.rows,
            settings=settings, graceful_stop_ns=graceful_stop_ns, tuning=tuning,
            run_id=run_id, obey_overload=obey_overload, learn_contact=learn_contact, found=found)
        answerer = None
        if sock is not None:
            with model_errors(usage=True):
                answers = tuple(job.answers.values()) if job is not None else ()
                other = build_answerer(settings={**(answering or {}), **settings}, compact=compact,
                                       first=answers,
                                       strict=job is None)
            # a call that is transferred is answered by three instances, all at once in a burst
            instances = 4 * plan.engine_arguments(0, 0)["max_instances"] * engines
            answerer = Answerer(AnswerPlan(
                other, seed=seed, tuning=replace(tuning, coalesce_ns=0, tape=0),
                run_id=run_id ^ 0xFFFFFFFF, max_instances=min(instances, 1_048_576)), [sock])
    except BaseException:
        if sock is not None:
            sock.close()
        raise
    return Prepared(plan, answerer, plan_head(plan, answerer is not None), _load_s(plan))


def _load_s(plan: "RunPlan") -> float | None:
    """Return the length of a load that its number of calls ends; None for others.

    A uniform schedule of N calls is as long as N gaps, though its last call is due after N - 1.
    """
    executor: Any = plan.workloads[0].executor
    count, shape = getattr(executor, "calls", None), getattr(executor, "shape", None)
    if len(plan.workloads) > 1 or count is None or shape is None:
        return None
    if count <= shape.total and len(shape.stages) == 1:
        return float(count / shape.mean)
    return None


@dataclass(frozen=True, slots=True)
class _Built:
    program: Any
    workloads: tuple[Any, ...]
    rows: tuple[Any, ...]


def _built_in(model: Any, uri: str, executor: Any, users: str | None, settings: dict[str, str],
              seed: int, compact: bool) -> _Built:
    """Build the one workload of a built-in model."""
    from siploadgen.load.feeds import Feed
    from siploadgen.load.rows import column_names
    from siploadgen.model.builtin import build_caller
    from siploadgen.run.plan import Workload

    columns = column_names(users) if users and not is_count(users) else (
        ("user", "password") if users else ())
    with model_errors(usage=True):
        program = build_caller(model.name, target_uri=uri, settings=settings, columns=columns,
                               compact=compact)
    rows = load_rows(users, program.columns, executor.total, settings, seed)
    feeds = (Feed("users", rows),) if rows else ()
    return _Built(program, (Workload(model.name, executor, feeds=feeds),),
                  (rows,) if rows else ())


def _built_job(job: Any, uri: str, executor: Any, users: str | None, settings: dict[str, str],
               seed: int, compact: bool) -> Any:
    """Build what a scenario file says."""
    from siploadgen.config.job import build
    from siploadgen.load.rows import column_names

    known = {name for work in job.works for call, _ in work.calls
             for name in job.model(call).settings}
    known |= {name for one in job.answers.values() for name in one.settings}
    for name in settings:
        if name not in known:
            from siploadgen.model.errors import nearest

            raise UsageError(f"--set {name}: no call has such a setting ({nearest(name, known)})")
    rows = None
    if users is not None:
        columns = ("user", "password") if is_count(users) else column_names(users)
        rows = load_rows(users, columns, executor.total, settings, seed)
    with model_errors(usage=False):
        return build(job, uri, executor, settings=settings, compact=compact, users=rows)


def _with_load(job: Any, executor: Any, each: bool) -> Any:
    """Put the load of the command line in the place of the file's, if some was given."""
    if executor is None:
        return job
    if len(job.works) != 1 and not each:
        names = ", ".join(work.name for work in job.works)
        raise UsageError(f"--rate, --duration, --calls, --ramp: for a file with one scenario, this "
                         f"one has {len(job.works)} ({names}); change it there, or by a profile")
    return replace(job, works=tuple(replace(work, executor=executor) for work in job.works))


def plan_head(plan: "RunPlan", embedded: bool) -> dict[str, Any]:
    """Return what the plan knows of the result: scenario, target, plan, command."""
    from siploadgen.compile.listing import likeness

    length_s = plan.duration_ns / units.NANOS
    described = [one.executor.describe() for one in plan.workloads]
    rate = sum(row.get("rate_per_s") or math.inf for row in described)
    return {
        "scenario": {"name": plan.name, "digest": plan.program.digest,
                     "likeness": likeness(plan.program, plan.target_uri),
                     "settings": open_settings(plan.settings)},
        "target": {"uri": plan.target_uri, "transport": "udp",
                   "address": units.host_port(plan.target), "embedded": embedded,
                   "left_out": list(plan.found.location.left_out) if plan.found else []},
        "plan": {
            "role": "caller", "rate_per_s": _finite(rate),
            "peak_rate_per_s": _finite(plan.peak_per_s), "duration_s": _finite(length_s),
            "arrival": described[0].get("arrival"), "seed": plan.seed,
            "calls": _calls(plan), "max_calls": described[0]["max_calls"],
            "workers": plan.workers, "users": plan.rows[0].count if plan.rows else None,
            "graceful_stop_s": plan.graceful_stop_ns / units.NANOS,
            "obey_overload": plan.obey_overload, "learn_contact": plan.learn_contact,
            **plan.tuning.report(),
            "stages": [{"from_per_s": stage.rate, "to_per_s": stage.target,
                        "duration_s": None if stage.duration_ns is None
                        else stage.duration_ns / units.NANOS}
                       for stage in getattr(getattr(plan.workloads[0].executor, "shape", None),
                                            "stages", ()) if hasattr(stage, "target")],
            "scenarios": [{"name": one.name, **row, "start_after": one.start_after}
                          for one, row in zip(plan.workloads, described, strict=True)],
        },
        "command": command_line(sys.argv[1:]),
    }


def _finite(number: float) -> float | None:
    return number if math.isfinite(number) else None


def _calls(plan: "RunPlan") -> int | None:
    """Return the number of calls when that ends the run."""
    total = 0
    for one in plan.workloads:
        calls = getattr(one.executor, "calls", None)
        if not isinstance(calls, int):
            return None
        total += calls
    return total
