"""Load tests as tests: fixtures of pytest. Nothing of siploadgen is imported before one is used."""

import os
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

if TYPE_CHECKING:
    from siploadgen.library import Result, Run
    from siploadgen.model.python import CallModel

MARK = "siploadgen_answerer"
_OPTIONS = ("answer_after", "reject", "challenge")  # as options of `siploadgen answer`


class Embedded(NamedTuple):
    """An answerer on loopback: what it is called by, and its address and port."""

    target: str
    address: tuple[str, int]


def pytest_configure(config: pytest.Config) -> None:
    """Say which marks there are."""
    config.addinivalue_line(
        "markers", f"{MARK}(*models, **settings): what the embedded answerer of `{MARK}` does: "
        "models of @answer that come first, settings, answer_after, reject, challenge")


@pytest.fixture
def siploadgen_answerer(request: pytest.FixtureRequest) -> Iterator[Embedded]:
    """Give an answerer on a free port of loopback, which goes on until the test is over.

    `@pytest.mark.siploadgen_answerer(ring="20ms", reject="486:3%")` says what it does. Raises
    UsageError for a setting that there is not.
    """
    mark = request.node.get_closest_marker(MARK)
    answerer = _answerer(mark.args if mark else (), dict(mark.kwargs) if mark else {})
    answerer.start()
    try:
        host, port = answerer.addresses[0]
        yield Embedded(f"sip:{host}:{port}", (host, port))
    finally:
        answerer.stop()


def _answerer(models: "tuple[CallModel, ...]", given: dict[str, Any]) -> Any:
    from siploadgen.cli.options import model_errors
    from siploadgen.config.job import setting_text
    from siploadgen.model.builtin import build_answerer
    from siploadgen.run.answer import Answerer, AnswerPlan
    from siploadgen.run.worker import open_socket

    texts = {name: setting_text(value) for name, value in given.items()}
    options: dict[str, Any] = {name: texts.pop(name) for name in _OPTIONS if name in texts}
    with model_errors(usage=True):
        program = build_answerer(settings=texts, first=models, **options)
    plan = AnswerPlan(program, run_id=int.from_bytes(os.urandom(4), "big") or 1)
    return Answerer(plan, [open_socket(("127.0.0.1", 0), MARK)])


@pytest.fixture
def siploadgen_run(request: pytest.FixtureRequest) -> "Callable[..., Run]":
    """Make runs that fail the test, with their report, when they should.

    `siploadgen_run(...)` takes the arguments of `siploadgen.Run`; without a target the run calls
    `siploadgen_answerer`. The test fails when the verdict is `invalid`, when a threshold does not
    hold, and without thresholds when a call failed or nobody answered.
    """
    from siploadgen.library import Run, Running, Snapshot

    class CheckedRunning(Running):
        """A run that goes on."""

        def wait(self) -> "Result":
            """Wait for the end, and fail the test if it must."""
            result = super().wait()
            fault = _fault(result)
            if fault:
                pytest.fail(f"{fault}\n\n{result}", pytrace=False)
            return result

    class CheckedRun(Run):
        """A run to be."""

        def start(self, progress: "Callable[[Snapshot], None] | None" = None, *,
                  outputs: "Sequence[str]" = ()) -> Running:
            """Begin the run."""
            return CheckedRunning(self, progress, outputs)

    def make(target: str | None = None, **options: Any) -> Run:
        if target is None:
            target = request.getfixturevalue("siploadgen_answerer").target
        return CheckedRun(target, **{"name": request.node.name, **options})

    return make


def _fault(result: "Result") -> str:
    """Why the test fails; empty: it does not."""
    from siploadgen.errors import Exit
    from siploadgen.report.summary import deciding

    if result.exit_code == Exit.NO_ANSWER:
        return "load test: nobody answered"
    if result.verdict == "invalid" or result.exit_code == Exit.INVALID:
        rules = ", ".join(f"{rule['name']} is {rule['value']:g}, limit {rule['limit']:g}"
                          for rule in result.to_dict()["verdict"]["rules"] if not rule["ok"])
        return (f"load test: the run is {result.verdict}, its numbers may not be the target's: "
                f"{rules}")
    missed = [row for row in deciding(result.thresholds) if not row["ok"]]
    if missed:
        return "load test: " + ", ".join(
            f"{row['expression']} does not hold, it is {row['value']}" for row in missed)
    if not result.ok and not result.interrupted:
        return "load test: calls failed, were not started or did not end"
    return ""
