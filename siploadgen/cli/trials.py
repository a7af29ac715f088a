"""What verbs that play several runs have in common: how each is prepared, where reports go."""

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from siploadgen.cli.layered import Layered, Resolved
from siploadgen.cli.options import DEFAULT_GSO_GROUP, parse_tuning
from siploadgen.cli.prepare import Prepared, prepare
from siploadgen.errors import UsageError
from siploadgen.units import NANOS

if TYPE_CHECKING:
    from siploadgen.capacity.search import Trial

KINDS = {"text": "txt", "md": "md", "json": "json", "html": "html"}
Render = Mapping[str, Callable[[Mapping[str, Any]], str]]


class LayeredTrials(Layered):
    """A verb of several runs: it takes the options of `run` that it has, but its reports."""

    def _resolve(self, given: dict[str, Any]) -> Resolved:
        resolved = super()._resolve(given)
        resolved.values.pop("out", None)  # what is to be written of a run
        return resolved


@dataclass(slots=True)
class Maker:
    """Prepares run after run of one model; without a target against the embedded answerer."""

    model: Any
    target: str | None
    settings: dict[str, str]
    users: str | None = None
    seed: int = 1
    workers: str = "auto"
    local: str | None = None
    dns: str | None = None
    linger: str = "auto"
    t1: str = "500ms"
    t2: str = "4s"
    t4: str = "5s"
    may_load: bool = False
    # None: as long as a request may stay unanswered, so that every call that fails says so itself.
    graceful_stop_ns: int | None = None

    def trial(self, trial: "Trial") -> Prepared:
        """Prepare a trial."""
        calls = None if trial.attempts is None else str(trial.attempts)
        return self._prepare(
            rate=f"{trial.rate:f}", calls=calls,
            duration=f"{round(trial.duration_s * NANOS)}ns" if calls is None else None)

    def shaped(self, executor: Any) -> Prepared:
        """Prepare a run of an executor."""
        return self._prepare(shaped=executor)

    def _prepare(self, rate: str | None = None, calls: str | None = None,
                 duration: str | None = None, shaped: Any = None) -> Prepared:
        tuning = parse_tuning(gso="auto", gso_group=DEFAULT_GSO_GROUP, linger=self.linger,
                              coalesce="0s", t1=self.t1, t2=self.t2, t4=self.t4)
        stop_ns = 64 * tuning.t1_ns + NANOS if self.graceful_stop_ns is None \
            else self.graceful_stop_ns
        return prepare(
            self.model, target=self.target, rate=rate, duration=duration, calls=calls,
            max_calls=None, arrival="uniform", ramp=None, warmup=None, seed=self.seed,
            workers=self.workers, settings=dict(self.settings), users=self.users,
            tuning=tuning, local=self.local, graceful_stop_ns=stop_ns, may_load=self.may_load,
            dns=self.dns, obey_overload=False, compact=False, learn_contact=False, shaped=shaped)


def parse_reports(texts: Sequence[str] | None, name: str) -> dict[str, tuple[str, Path | None]]:
    """Read --out: a folder (all kinds), or KIND=PATH; path and, for a folder, the folder.

    >>> parse_reports(["md=report.md"], "capacity")
    {'report.md': ('md', None)}
    """
    found: dict[str, tuple[str, Path | None]] = {}
    for text in texts or ():
        kind, equals, path = text.partition("=")
        if equals and kind.isalpha():
            if kind not in KINDS or not path:
                raise UsageError(f'--out "{text}": write DIR, or KIND=PATH with one of '
                                 f"{', '.join(KINDS)}")
            found[path] = (kind, None)
        elif not text or (Path(text).exists() and not Path(text).is_dir()):
            raise UsageError(f'--out "{text}": name a folder, or write KIND=PATH')
        else:
            for each, ending in KINDS.items():
                found[str(Path(text) / f"{name}.{ending}")] = (each, Path(text))
    if sum(path == "-" for path in found) > 1:
        raise UsageError("--out: only one kind can go to -")
    return found


def folder_of(reports: Mapping[str, tuple[str, Path | None]]) -> Path | None:
    """Return the folder that is to have everything; None without one."""
    return next((folder for _, folder in reports.values() if folder is not None), None)


def save_reports(data: Mapping[str, Any], reports: Mapping[str, tuple[str, Path | None]],
                 render: Render) -> None:
    """Write the files, and what goes to `-` to standard output. Raises UsageError."""
    for path, (kind, _) in reports.items():
        text = render[kind](data)
        if path == "-":
            sys.stdout.write(text)
            continue
        try:
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            Path(path).write_text(text, encoding="utf-8")
        except OSError as error:
            raise UsageError(f"--out {path}: {error.strerror}") from None


def write_reports(data: Mapping[str, Any], reports: Mapping[str, tuple[str, Path | None]],
                  render: Render) -> None:
    """Write the files, and the brief text to standard output unless data goes there."""
    save_reports(data, reports, render)
    stream = sys.stderr if "-" in reports else sys.stdout
    stream.write(render["brief"](data))
    stream.flush()
