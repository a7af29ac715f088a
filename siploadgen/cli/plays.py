"""What `show` plays: the calls of a model or a file, each against its answering side."""

from dataclasses import replace
from typing import Any

from siploadgen.cli.load import load_rows
from siploadgen.cli.options import model_errors
from siploadgen.errors import ScenarioError
from siploadgen.run.play import Play, play

TARGET = ("127.0.0.1", 5060)
LOCAL = ("127.0.0.1", 5061)
# Which built-in model asks for what a file answers.
CALLERS = {"INVITE": "call", "OPTIONS": "options", "REGISTER": "register", "MESSAGE": "message",
           "SUBSCRIBE": "subscribe-presence", "PUBLISH": "publish", "REFER": "refer",
           "INFO": "info-dtmf"}


def plays(model: Any, settings: dict[str, str], seed: int = 1) -> list[Play]:
    """Play each call model of a built-in model or a file once. Errors as of `check`."""
    if not hasattr(model, "works"):
        return [_built_in(model.name, settings, seed)]
    if not model.works:
        return [_answered(model, one, settings, seed) for one in model.answers.values()]
    return _of_file(model, settings, seed)


def _built_in(name: str, settings: dict[str, str], seed: int, first: Any = (),
              about: tuple[str, ...] = ()) -> Play:
    from siploadgen.load.executors import ConstantCalls
    from siploadgen.load.feeds import Feed
    from siploadgen.model.builtin import build_answerer, build_caller
    from siploadgen.run.plan import Workload

    with model_errors(usage=False):
        program = build_caller(name, target_uri=_uri(TARGET), settings=settings)
        answering = build_answerer(settings=settings, first=first, strict=not first)
    rows = load_rows(None, program.columns, 1, settings, seed)
    workload = Workload(name, ConstantCalls(1, 1), feeds=(Feed("users", rows),) if rows else ())
    return _played(program, answering, workload, (rows,) if rows else (), TARGET, seed, len(first),
                   ("the embedded answerer answers" if not first else "", *about))


def _answered(model: Any, answer: Any, settings: dict[str, str], seed: int) -> Play:
    """Play an answering side of a file that calls nobody: a built-in model calls it."""
    caller = CALLERS.get(answer.method)
    if caller is None:
        raise ScenarioError(f"{answer.place}: {answer.name} answers {answer.method}, which no "
                            "built-in model sends first; give the file a call that does")
    given = dict(settings)
    if answer.user and caller != "register":
        given["to"] = f"sip:{answer.user}@{TARGET[0]}:{TARGET[1]}"
    return _built_in(caller, given, seed, tuple(model.answers.values()),
                     (f"the built-in model {caller} calls {answer.name}",))


def _of_file(model: Any, settings: dict[str, str], seed: int) -> list[Play]:
    from siploadgen.config.job import build
    from siploadgen.load.executors import ConstantCalls
    from siploadgen.model.builtin import build_answerer

    uri = model.target or _uri(TARGET)
    one_call = ConstantCalls(1, 1)
    answers = tuple(model.answers.values())
    with model_errors(usage=False):
        # Rows are needed before the columns that want them are known.
        built = build(model, uri, one_call, settings=settings)
        have = {name for rows in built.rows for name in rows.names}
        rows = None
        if not have.issuperset(built.program.columns) and not built.rows:
            rows = load_rows(None, built.program.columns, 1, settings, seed)
            built = build(model, uri, one_call, settings=settings, users=rows)
        answering = build_answerer(settings=settings, first=answers, strict=False)
    assumed = ("the answers of the file and the embedded answerer answer" if answers
               else "the embedded answerer answers")
    found = []
    for workload in built.workloads:
        for entry, _ in workload.entries:
            alone = replace(workload, executor=one_call, entries=((entry, 1.0),), start_after="")
            found.append(_played(built.program, answering, alone, built.rows, _address(uri), seed,
                                 len(answers), (assumed, "users are made up" if rows else "")))
    return found


def _played(program: Any, answering: Any, workload: Any, rows: tuple[Any, ...],
            target: tuple[str, int], seed: int, own: int, assumed: tuple[str, ...]) -> Play:
    import numpy as np

    from siploadgen.run.plan import RunPlan
    from siploadgen.run.streams import Stream

    plan = RunPlan("show", program, _uri(target), target, LOCAL, (workload,), seed=seed, rows=rows)
    starts = Stream(plan, 0).starts(np.zeros(1, np.uint64))
    done = play(program, answering, starts, rows=rows or None, local=LOCAL, target=target,
                seed=seed, own=own)
    always = ("a datagram takes 1 ms and none is lost",)
    return replace(done, assumed=(*filter(None, assumed), *always, *done.assumed))


def _uri(address: tuple[str, int]) -> str:
    return f"sip:{address[0]}:{address[1]}"


def _address(uri: str) -> tuple[str, int]:
    """Return where the target is played to be: the address that its URI has, if it has one."""
    import ipaddress

    from siploadgen.model.target import parse_target

    target = parse_target(uri)
    try:
        ipaddress.IPv4Address(target.host)
    except ValueError:
        return TARGET
    return target.host, target.port or TARGET[1]
