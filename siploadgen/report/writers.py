"""Files of a run: run.json, intervals, histograms, failures, summary, JUnit, the HTML report."""

import json
import math
import os
import re
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from siploadgen.errors import UsageError
from siploadgen.model.errors import nearest
from siploadgen.report import exports, summary
from siploadgen.report.intervals import table
from siploadgen.units import NANOS, host_port

if TYPE_CHECKING:
    from siploadgen.figures import Array, Datagram, Figures
    from siploadgen.report.histogram import HlogWriter
    from siploadgen.report.history import History
    from siploadgen.report.metrics import Names

FILES = {"json": "run.json", "ndjson": "intervals.ndjson", "hlog": "hist.hlog",
         "errors": "errors.ndjson", "md": "summary.md", "junit": "junit.xml", "html": "report.html"}
KINDS = (*FILES, "csv", "summary")
# Octets of the latest datagrams that each engine keeps for whoever reads of failures.
TAPE, TAPE_OF_PCAP = 1 << 24, 1 << 26
MESSAGES = 10  # failures of each class whose messages stand in errors.ndjson
WHOLE = ("lateness", "receive_delay")  # latencies that are not told apart by phase
# names of what is not in a run directory by itself
_ALONE = {"csv": "intervals.csv", "pcap": "failed.pcap"}
_SUFFIXES = (".json", ".xml", ".md", ".ndjson", ".hlog", ".html", ".csv", ".txt", ".pcap")
_STREAMS = ("ndjson", "hlog", "errors")
_GITHUB = "GITHUB_STEP_SUMMARY"

# Digest credentials can be attacked offline; nothing of them is kept.
_CREDENTIALS = re.compile(r"^((?:Proxy-)?Authorization[ \t]*:)[^\r\n]*(?:\r?\n[ \t]+[^\r\n]*)*",
                          re.IGNORECASE | re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Output:
    """One thing to write: its kind, and where (`-`: standard output)."""

    kind: str
    path: str


def default_path(kind: str) -> str:
    """Write `KIND=PATH` for a kind alone, with the name that it has in a run directory.

    >>> default_path("junit"), default_path("run1/")
    ('junit=junit.xml', 'run1/')
    """
    known = kind in (*KINDS, "hgrm", "pcap")
    return f"{kind}={FILES.get(kind, _ALONE.get(kind, kind))}" if known else kind


def parse_outputs(texts: Sequence[str]) -> list[Output]:
    """Read `--out DIR` (everything into one folder) and `--out KIND=PATH`.

    Raises UsageError for kinds that there are not, and for a folder that is a file.
    """
    outputs: list[Output] = []
    for text in texts:
        kind, equals, path = text.partition("=")
        if text == "github":
            kind, equals, path = "github", "=", os.environ.get(_GITHUB, "")
            if not path:
                raise UsageError(f"--out github: {_GITHUB} is not set, so this is no job of "
                                 "GitHub; write github=FILE")
        if equals and re.fullmatch(r"[a-z]+", kind):
            if kind not in KINDS and not exports.is_kind(kind):
                known = (*KINDS, *exports.kinds())
                raise UsageError(f'--out "{text}": unknown kind "{kind}" '
                                 f"({nearest(kind, known)})")
            if not path or (path == "-" and (kind == "hlog" or kind not in KINDS)):
                raise UsageError(f'--out "{text}": a file name is missing')
            outputs.append(Output(kind, path))
        elif text in KINDS or not text or (text.isalpha() and exports.is_kind(text)):
            raise UsageError(f'--out "{text}": write a folder such as run1/, or KIND=PATH')
        elif Path(text).suffix in _SUFFIXES:
            raise UsageError(f'--out "{text}": for one file write KIND={text}; kinds: '
                             f"{', '.join(KINDS)}")
        elif Path(text).exists() and not Path(text).is_dir():
            raise UsageError(f'--out "{text}": a file is there; name a folder')
        else:
            outputs += [Output(name, str(Path(text) / file)) for name, file in FILES.items()]
    on_stdout = [output.kind for output in outputs if output.path == "-"]
    if len(on_stdout) > 1:
        raise UsageError(f"--out: only one kind can go to -, not {' and '.join(on_stdout)}")
    return outputs


def as_json(value: Any) -> str:
    """Text of a result: indented, keys in the order of the result, no NaN."""
    return json.dumps(value, indent=2, allow_nan=False) + "\n"


def clean_message(message: bytes | str) -> str:
    """Text of a SIP message without credentials."""
    text = message.decode("utf-8", "backslashreplace") if isinstance(message, bytes) else message
    return _CREDENTIALS.sub(r"\1 (left out)", text)


def clean_octets(message: bytes) -> bytes:
    r"""Blank the credentials of a SIP message, which stays as long as it is.

    >>> clean_octets(b"Authorization: Digest username=x, response=y\r\nMax-Forwards: 70\r\n")
    b'Authorization: (left out)                   \r\nMax-Forwards: 70\r\n'
    """
    def blank(found: re.Match[str]) -> str:
        head, length = found[1], len(found[0])
        cleaned = f"{head} (left out)"
        return (cleaned if len(cleaned) <= length else head).ljust(length)

    return _CREDENTIALS.sub(blank, message.decode("latin-1")).encode("latin-1")


def tape_octets(outputs: Sequence[Output]) -> int:
    """Say how much of its latest datagrams an engine has to keep for these outputs.

    >>> tape_octets(parse_outputs(["json=run.json"])), tape_octets(parse_outputs(["pcap=x.pcap"]))
    (0, 67108864)
    """
    kinds = {output.kind for output in outputs}
    if "pcap" in kinds:
        return TAPE_OF_PCAP
    return TAPE if kinds & {"errors", "html"} else 0


def _message(one: "Datagram") -> dict[str, Any]:
    return {"at_s": round(one.at_ns / NANOS, 6), "sent": one.sent, "peer": host_port(one.peer),
            "text": clean_message(one.octets)}


def _plain(value: Any) -> Any:
    """Make a failure's values fit for JSON, messages without credentials."""
    if isinstance(value, bytes | str):
        return clean_message(value)
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, bool | int) or value is None:
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return int(value)


class Outputs:
    """Everything that a run writes: streams while it goes on, documents at its end."""

    def __init__(self, outputs: Sequence[Output], names: "Names", started_at: float) -> None:
        """Make folders and see that files can be written, before anything is sent.

        A run that cannot begin leaves the files of the one before as they are. Raises UsageError.
        """
        self.paths: list[str] = []
        self._streams = [output for output in outputs if output.kind in _STREAMS]
        self._started_at = started_at
        self._begun = False
        self._fresh: list[Path] = []  # files that were not there before
        self._documents = [output for output in outputs
                           if output.kind in KINDS and output.kind not in _STREAMS]
        self._names = names
        self._ndjson: list[TextIO] = []
        self._errors: list[TextIO] = []
        self._hlogs: list[HlogWriter] = []
        self._exports: list[exports.Export] = []
        self._kept: Counter[Any] = Counter()  # failures with their datagrams, by class
        kinds = {output.kind for output in outputs}
        self._history = _new_history() if "html" in kinds else None
        self._spool = (tempfile.TemporaryFile("w+", encoding="utf-8")  # noqa: SIM115
                       if "csv" in kinds else None)
        for output in outputs:
            try:
                if output.kind in KINDS and output.path != "-":
                    self._touch(output.path)
            except OSError as error:
                self.close()
                raise UsageError(f"--out {output.path}: {error.strerror}") from None
        for output in outputs:  # files first: what listens is closed only by `close`
            if output.kind not in KINDS:
                self._open_export(output)

    def _touch(self, name: str) -> None:
        path = Path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = not path.exists()
        path.open("a", encoding="utf-8").close()
        self.paths.append(name)
        if fresh:
            self._fresh.append(path)

    def _begin(self) -> None:
        """Open the streams: the run has begun."""
        if self._begun:
            return
        self._begun = True
        for output in self._streams:
            if output.kind == "ndjson":
                self._ndjson.append(_open(output.path))
            elif output.kind == "errors":
                self._errors.append(_open(output.path))
            elif output.kind == "hlog":
                self._hlogs.append(_open_hlog(output.path, self._started_at))

    def _open_export(self, output: Output) -> None:
        try:
            self._exports.append(exports.open_export(output.kind, output.path, self._names))
        except UsageError:
            self.close()
            raise
        self.paths.append(self._exports[-1].place or output.path)

    def interval(self, row: Mapping[str, Any], figures: "Figures") -> None:
        """Append one interval to the streams."""
        self._begin()
        for file in self._ndjson:
            file.write(json.dumps(row, allow_nan=False) + "\n")
            file.flush()
        if self._spool is not None:
            self._spool.write(json.dumps(row, allow_nan=False) + "\n")
        for export in self._exports:
            export.interval(row, figures)
        if not self._hlogs and self._history is None:
            return
        tagged = dict(self._tagged(figures))
        for log in self._hlogs:
            for tag, counts in tagged.items():
                log.write(tag, counts, row["t_s"], row["length_s"])
        if self._history is not None:
            self._history.add(row, tagged)

    def _tagged(self, figures: "Figures") -> Iterator[tuple[str, "Array"]]:
        """Yield the histograms that are not empty: `srd`, and `srd.PHASE` of several phases."""
        for tag, part in self._parts(figures):
            for name in self._names.latencies():
                counts = self._names.counts(part, name)
                if counts.any() and not (tag and name in WHOLE):
                    yield name + tag, counts

    def _parts(self, figures: "Figures") -> Iterator[tuple[str, "Figures"]]:
        """Yield the whole, and each phase with its tag where there is more than one."""
        yield "", self._names.whole(figures)
        phases = list(dict.fromkeys(one.phase for one in self._names.series))
        for phase in phases if len(phases) > 1 else ():
            yield f".{phase}", self._names.part(figures, phase=phase)

    def failures(self, failures: Sequence[Mapping[str, Any]]) -> None:
        """Append failures, times in seconds from the start of the run."""
        self._begin()
        for failure in failures:
            row = {}
            for name, value in failure.items():
                if name in ("due", "ended"):
                    row[f"{name}_s"] = None if value is None else round(value / 1e9, 6)
                elif name == "datagrams":
                    kind = failure.get("outcome")
                    self._kept[kind] += 1
                    if self._kept[kind] <= MESSAGES:
                        row["messages"] = [_message(one) for one in value]
                else:
                    row[name] = _plain(value)
            for file in self._errors:
                file.write(json.dumps(row) + "\n")
            if self._history is not None:
                self._history.failure(row)
        for file in self._errors:
            file.flush()
        for export in self._exports:
            export.failures(failures)

    def finish(self, result: Mapping[str, Any]) -> None:
        """Write the documents and close the streams."""
        self._begin()
        for export in self._exports:
            export.finish(result)
        self.close()
        self._exports = []
        texts: dict[str, str] = {}
        for output in self._documents:
            text = texts.setdefault(output.kind, self._text(output.kind, result))
            if output.path == "-":
                sys.stdout.write(text)
                sys.stdout.flush()
            else:
                Path(output.path).write_text(text, encoding="utf-8")
        if self._spool is not None:
            self._spool.close()

    def _text(self, kind: str, result: Mapping[str, Any]) -> str:
        """Return the text of a document."""
        if kind == "html" and self._history is not None:
            from siploadgen.report.html import page  # and its libraries, for whoever wants it

            return page(result, self._history)
        if kind == "csv" and self._spool is not None:
            spool = self._spool

            def rows() -> Iterator[dict[str, Any]]:
                spool.seek(0)
                return map(json.loads, spool)

            return table(rows)
        return render(kind, result)

    def close(self) -> None:
        """Close the streams; files of a run that never began go."""
        if not self._begun:
            for path in self._fresh:
                path.unlink(missing_ok=True)
            self._fresh = []
        for file in (*self._ndjson, *self._errors):
            if file is not sys.stdout:
                file.close()
        for log in self._hlogs:
            log.close()
        for export in self._exports:
            export.close()
        self._ndjson, self._errors, self._hlogs = [], [], []


def _new_history() -> "History":
    from siploadgen.report.history import History  # and numpy, for whoever has histograms

    return History()


def _open(path: str) -> TextIO:
    return sys.stdout if path == "-" else Path(path).open("w", encoding="utf-8")


def _open_hlog(path: str, started_at: float) -> "HlogWriter":
    from siploadgen.report.histogram import HlogWriter  # and numpy, for whoever has histograms

    return HlogWriter(path, started_at)


def junit(result: Mapping[str, Any]) -> str:
    """JUnit XML: one test case for each threshold, one for the verdict, one for the calls."""
    from xml.etree import ElementTree

    name = result["scenario"]["name"]
    cases: list[tuple[str, str | None]] = []
    warnings: dict[str, str] = {}  # by the name of the case
    verdict = result["verdict"]
    broken = [rule for rule in verdict["rules"] if not rule["ok"]]
    strict = verdict.get("strict") and verdict["state"] == "suspect"
    cases.append(("run validity", None if verdict["state"] != "invalid" and not strict else
                  f"{verdict['state']}: " + ", ".join(summary.rule_text(rule) for rule in broken)))
    for threshold in result["thresholds"]:
        state = summary.threshold_state(threshold)
        said = f"measured {summary.number_text(threshold['value'])}"
        if threshold.get("stopped"):
            said = summary.stop_text(result)
        cases.append((threshold["expression"], said if state == "FAIL" else None))
        if state == "WARN":
            warnings[threshold["expression"]] = f"warning: {said}"
    counted = result["calls"]
    if "never_answered" in result:
        cases.append(("target answers", result["never_answered"]))
    elif not summary.deciding(result["thresholds"]) and result["plan"].get("role") != "answerer":
        bad = sum(counted["failed"].values()) + sum(counted["not_started"].values()) \
            + counted["in_progress"]
        cases.append(("every call ends as planned", None if not bad else
                      f"{bad} of {counted['due']} did not: {summary.failed_text(counted)}"))
    failures = sum(fault is not None for _, fault in cases)
    suite = ElementTree.Element("testsuite", {
        "name": f"siploadgen {name}", "tests": str(len(cases)), "failures": str(failures),
        "errors": "0", "time": f"{result['elapsed_s']:.3f}", "timestamp": result["started_at"]})
    for title, fault in cases:
        case = ElementTree.SubElement(suite, "testcase",
                                      {"classname": f"siploadgen.{name}", "name": title})
        if fault is not None:
            ElementTree.SubElement(case, "failure", {"message": fault}).text = fault
        if title in warnings:
            ElementTree.SubElement(case, "system-out").text = warnings[title]
    ElementTree.indent(suite)
    return ElementTree.tostring(suite, encoding="unicode", xml_declaration=True) + "\n"


_RENDER: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "json": as_json, "md": summary.markdown, "junit": junit, "summary": summary.plain}


def render(kind: str, result: Mapping[str, Any]) -> str:
    """Text of a result as json, md, junit or summary."""
    return _RENDER[kind](result)
