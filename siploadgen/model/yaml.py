"""Call models in YAML: steps that drive the same recorder as Python's.

Each step is a mapping; the first of its keys that names a step says what it is, the others say how.
`STEPS` lists them: the reader, the checks and the JSON Schema of editors all come from it.
"""

import inspect
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from siploadgen.core.program import Outcome
from siploadgen.model import scenario as tree
from siploadgen.model.errors import ModelError, nearest
from siploadgen.model.located import Fault, FileError, path_text, place, plain
from siploadgen.model.python import CallModel
from siploadgen.model.recorder import Recorder, Variable, Wait, placed_at
from siploadgen.model.scenario import Place
from siploadgen.model.settings import KINDS, Setting, Share, literal
from siploadgen.model.values import (
    SHARE_UNIT,
    ColumnRef,
    Fixed,
    VariableRef,
    format_duration,
    parse_distribution,
    parse_share_distribution,
)

Node: TypeAlias = Mapping[str, Any]
Steps: TypeAlias = Sequence[Any]

# how the arguments of a step are written
TEXT, WORDS, FLAG, COUNT, HEADERS, STEPS_, ANY, VALUE = (
    "text", "words", "flag", "count", "headers", "steps", "any", "value")
_CONDITION = re.compile(
    r"\s*\{?((?:user\.|run\.)?[A-Za-z_]\w*)\}?\s*(==|!=|<=|>=|<|>)\s*(\S.*?)\s*")
_ALONE = re.compile(r"\s*(not\s+)?\{?((?:user\.|run\.)?[A-Za-z_]\w*)\}?\s*")
_NAME = re.compile(r"[A-Za-z_][\w.-]*")
_NUMBER = re.compile(r"-?\d+")
_BARE = ("resend", "leave", "binding", "end")  # steps that one word says
# outcomes that the engine counts itself, and that no model can call a success
_FAILURES = frozenset(one.name.removeprefix("OUTCOME_").lower() for one in Outcome
                      if Outcome.OUTCOME_SUCCEEDED < one < Outcome.OUTCOME_USER)
_WHOLE = re.compile(r"\{((?:user\.|run\.)?[A-Za-z_]\w*)\}")
_FIELD = re.compile(r"\{\{|\}\}|\{([A-Za-z_]\w*)\}")
_PARAMETERS = {  # of distributions as mappings, in the order in which texts have them
    "fixed": ("value",), "uniform": ("low", "high"), "normal": ("mean", "deviation"),
    "lognormal": ("mean", "sigma"), "exponential": ("mean",), "weibull": ("scale", "shape"),
    "pareto": ("least", "shape"), "gamma": ("scale", "shape"), "samples": ("file",),
}
_CASE = {"stop": WORDS, "start": WORDS, "optional": FLAG, "end": TEXT, "ok": FLAG, "do": STEPS_,
         "then": TEXT, "authenticate": "credentials", "method": TEXT, "leg": TEXT}
_LATE = {"stop": WORDS, "start": WORDS, "end": TEXT, "ok": FLAG, "do": STEPS_}
_CREDENTIALS = {"user": TEXT, "password": TEXT, "attempts": COUNT, "cache": FLAG, "end": TEXT,
                "ok": FLAG}
_MESSAGE = {"sdp": TEXT, "body": TEXT, "file": TEXT, "content_type": TEXT, "headers": HEADERS,
            "leg": TEXT}
_REQUEST = {**_MESSAGE, "to": TEXT, "from": TEXT, "start": WORDS, "user": TEXT, "supported": WORDS,
            "contact": TEXT, "early": FLAG, "expires": ANY, "domain": TEXT}


@dataclass(frozen=True, slots=True)
class StepForm:
    """A step: what stands behind its own key, and its further keys."""

    own: str
    more: Mapping[str, str] = field(default_factory=dict)
    help: str = ""


STEPS: Mapping[str, StepForm] = {
    "send": StepForm(TEXT, _REQUEST, "a request: INVITE, ACK, BYE, or any other method"),
    "raw": StepForm(TEXT, {"leg": TEXT, "start": WORDS}, "a whole message with {fields}"),
    "respond": StepForm(COUNT, {**_MESSAGE, "reason": TEXT, "method": TEXT, "reliable": FLAG},
                        "an answer to the request last received"),
    "expect": StepForm("expected", {"within": TEXT, "late": "late", "stop": WORDS, "method": TEXT,
                                    "leg": TEXT},
                       "wait for a response, a request or an event"),
    "pause": StepForm(VALUE, {"on": "cases", "leg": TEXT}, "a time, a variable, a distribution"),
    "start": StepForm(WORDS, {}, "start stopwatches"),
    "stop": StepForm(WORDS, {}, "stop stopwatches"),
    "set": StepForm("assign", {}, "set variables"),
    "add": StepForm("assign", {"into": TEXT}, "add to variables"),
    "sub": StepForm("assign", {}, "subtract from variables"),
    "mul": StepForm("assign", {}, "multiply variables by a number"),
    "div": StepForm("assign", {}, "divide variables by a whole number"),
    "mod": StepForm("assign", {}, "leave the rest of such a division"),
    "text": StepForm("assign", {"escaped": FLAG}, "set text variables"),
    "extract": StepForm("assign", {"reg_id": COUNT}, "numbers out of the message last received"),
    "capture": StepForm("assign", {"leg": TEXT}, "texts out of the message last received"),
    "find": StepForm(TEXT, {"in": TEXT, "into": WORDS, "numbers": WORDS, "any_case": FLAG},
                     "what a POSIX regular expression finds, into variables"),
    "hook": StepForm(TEXT, {"sets": WORDS, "texts": WORDS, "within": TEXT, "end": TEXT, "ok": FLAG},
                     "ask a Python function, file.py:name, which sets variables"),
    "if": StepForm("condition", {"then": STEPS_, "else": STEPS_}, "steps under a condition"),
    "loop": StepForm("times", {"do": STEPS_}, "repeat: a number, a condition, or forever"),
    "chance": StepForm(TEXT, {"do": STEPS_}, "steps with a probability, such as 3%"),
    "label": StepForm(TEXT, {}, "name this point"),
    "jump": StepForm(TEXT, {"when": "condition", "anew": FLAG}, "go on at a label"),
    "authenticate": StepForm(TEXT, {"user": TEXT, "password": TEXT, "attempts": COUNT,
                                    "leg": TEXT},
                             "answer the challenge in later requests; else go to that label"),
    "resend": StepForm(FLAG, {"leg": TEXT}, "send the last request again, as a new one"),
    "redirect": StepForm(TEXT, {"leg": TEXT}, "send the last request again, to another URI"),
    "route": StepForm(TEXT, {"leg": TEXT}, "send later requests to the host of this URI"),
    "datagram": StepForm(TEXT, {"leg": TEXT}, "octets that are no message"),
    "binding": StepForm(FLAG, {"again": FLAG, "leg": TEXT}, "a STUN Binding request"),
    "leave": StepForm(FLAG, {"leg": TEXT}, "leave the dialog without a word"),
    "count": StepForm(ANY, {}, "add to a counter"),
    "end": StepForm(TEXT, {"ok": FLAG}, "end the call with this outcome"),
    "challenge": StepForm("assign", {"do": STEPS_}, "steps for missing or wrong credentials"),
    "bind": StepForm("assign", {"into": TEXT},
                     "do the REGISTER as a registrar does; the variable gets its status"),
    "knows": StepForm(WORDS, {}, "event packages"),
    "supports": StepForm(WORDS, {}, "option tags"),
}
CALL_KEYS = ("variables", "steps", "columns", "description")
ANSWER_KEYS = ("method", "user", *CALL_KEYS)


def call_models(node: Any, file: str, role: tree.Role = tree.Role.CALLER,
                section: str = "calls") -> dict[str, CallModel]:
    """Read the entries of `calls:` or `answers:`. FileError with all their faults.

    Each is recorded once with its defaults; what other settings bring about is told by
    `CallModel.record`.
    """
    entries = node.get(section) or {}
    faults: list[Fault] = []
    models: dict[str, CallModel] = {}
    if not isinstance(entries, dict):
        line, column = place(node, [section])
        raise FileError([Fault(file, line, column, section, "not a mapping of names",
                               f"write {section}: {{name: {{steps: [...]}}}}")])
    for name in entries:
        reader = _Reader(node, file, [section, str(name)], faults)
        model = reader.model(entries[name], str(name), role)
        if model is None:
            continue
        models[model.name] = model
        try:
            model.record(target="sip:127.0.0.1:5060")
        except FileError as error:
            faults += error.faults
        except ModelError as error:
            where = [section, str(name)]
            faults.append(Fault(file, *place(node, where), path_text(where), error.message,
                                error.mend))
    if faults:
        raise FileError(faults)
    return models


class _Reader:
    """Checks the form of one entry and makes a model of it."""

    def __init__(self, root: Any, file: str, at: list[str | int], faults: list[Fault]) -> None:
        self._root, self._file, self._at, self._faults = root, file, at, faults

    def _fault(self, path: Sequence[str | int], message: str, mend: str = "") -> None:
        whole = [*self._at, *path]
        line, column = place(self._root, whole)
        self._faults.append(Fault(self._file, line, column, path_text(whole), message, mend))

    def model(self, entry: Any, name: str, role: tree.Role) -> CallModel | None:
        keys = CALL_KEYS if role is tree.Role.CALLER else ANSWER_KEYS
        before = len(self._faults)
        if not isinstance(entry, dict):
            self._fault([], "not a mapping", "write steps: [...] below it")
            return None
        for key in entry:
            if key not in keys:
                self._fault([key], "unknown key", nearest(str(key), keys))
        method = str(entry.get("method", ""))
        if role is tree.Role.ANSWERER and not method:
            self._fault([], "no method", "say which request starts it: method: INVITE")
        settings = self._variables(entry.get("variables") or {})
        steps = entry.get("steps")
        if not isinstance(steps, list) or not steps:
            self._fault(["steps"] if "steps" in entry else [], "no steps",
                        "write a list: steps: [- send: INVITE ...]")
            return None
        self._steps(steps, ["steps"])
        if len(self._faults) > before:
            return None
        line, _ = place(self._root, self._at)
        player = _Player(self._root, self._file, [*self._at, "steps"], steps, settings)

        def play(recorder: Recorder) -> None:
            player.play(recorder)

        play.__doc__ = str(entry.get("description", ""))
        columns = entry.get("columns") or ()
        return CallModel(name, play, role, method, settings, {},
                         tuple(columns.split() if isinstance(columns, str) else columns),
                         Place(self._file, line), str(entry.get("user", "")))

    def _variables(self, node: Any) -> dict[str, Setting]:
        if not isinstance(node, dict):
            self._fault(["variables"], "not a mapping", "write variables: {hold: 30s}")
            return {}
        found = {}
        for name, value in node.items():
            path = ["variables", str(name)]
            if not _NAME.fullmatch(str(name)):
                self._fault(path, f"{name!r} is no name", "write letters, digits and _; a text "
                                                          "with commas must be in quotes")
                continue
            try:
                setting = setting_of(value)
                setting.read(setting.default, str(name))
                found[str(name)] = setting
            except ModelError as error:
                self._fault(path, error.message, error.mend)
        return found

    def _steps(self, steps: Any, path: list[str | int]) -> None:
        if not isinstance(steps, list):
            self._fault(path, "not a list of steps", "write each step behind a dash")
            return
        for number, step in enumerate(steps):
            here = [*path, number]
            if isinstance(step, str):
                if step in STEPS and step not in _BARE:
                    self._fault(here, f"{step} of what?", f"write `{step}: ...`")
                elif step not in _BARE:
                    self._fault(here, f"there is no step {step}", nearest(step, STEPS))
                continue
            if not isinstance(step, dict) or not step:
                self._fault(here, "not a step", "write it as `send: INVITE`")
                continue
            kind = str(next(iter(step)))
            if kind not in STEPS:
                self._fault([*here, kind], f"there is no step {kind}", nearest(kind, STEPS))
                continue
            form = STEPS[kind]
            self._argument(step[kind], form.own, [*here, kind])
            for key, value in step.items():
                if key == kind:
                    continue
                if key not in form.more and key in STEPS:
                    self._fault([*here, str(key)], f"two steps in one: {kind} and {key}",
                                "begin each step with a dash of its own")
                elif key not in form.more:
                    self._fault([*here, str(key)], f"unknown key of {kind}",
                                nearest(str(key), form.more) if form.more else "it has no others")
                else:
                    self._argument(value, form.more[key], [*here, key])

    def _argument(self, value: Any, kind: str, path: list[str | int]) -> None:
        match kind:
            case "steps":
                self._steps(value, path)
            case "cases":
                self._cases(value, path)
            case "expected":
                self._expected(value, path)
            case "late":
                self._late(value, path)
            case "credentials":
                if isinstance(value, dict):
                    self._keys(value, _CREDENTIALS, path, "authenticate")
                elif value is not True:
                    self._fault(path, f"{value!r} is no credentials",
                                "write {user: NAME, password: TEXT}, or true for the columns")
            case "assign":
                if not isinstance(value, dict) or not value:
                    self._fault(path, "not a mapping", "write it as {name: value}")
            case "headers":
                self._headers(value, path)
            case "flag":
                if not isinstance(value, bool):
                    self._fault(path, f"{value!r} is neither true nor false", "write true or false")
            case "count":
                if isinstance(value, bool) or not isinstance(value, int):
                    self._fault(path, f"{value!r} is no whole number", "write a number")
            case "text":
                if isinstance(value, dict | list) or value is None:
                    self._fault(path, "not a text", "write one word or a quoted text")
            case "times":
                if isinstance(value, dict | list | float) or value is None:
                    self._fault(path, "not a number of times", "write 3, forever, or n < 5")
            case "words":
                if isinstance(value, dict) or value is None or (isinstance(value, list) and any(
                        isinstance(one, dict | list) or one is None for one in value)):
                    self._fault(path, "not a list of names", "write names between blanks")

    def _headers(self, value: Any, path: list[str | int]) -> None:
        one_by_one = isinstance(value, list)
        for number, part in enumerate(value if one_by_one else [value]):
            here = [*path, number] if one_by_one else path
            if not isinstance(part, dict):
                self._fault(here, "not a mapping of headers", "write headers: {Subject: load}")
                continue
            for name, text in part.items():
                if isinstance(text, dict | list):
                    self._fault([*here, str(name)], "not a text",
                                "write a header of several values as a list of mappings")

    def _keys(self, node: Any, known: Mapping[str, str], path: list[str | int], what: str) -> None:
        for key, value in node.items():
            if key not in known:
                self._fault([*path, str(key)], f"unknown key of {what}", nearest(str(key), known))
            else:
                self._argument(value, known[key], [*path, key])

    def _expected(self, value: Any, path: list[str | int]) -> None:
        if isinstance(value, list) and value and not any(isinstance(one, dict) for one in value):
            for number, one in enumerate(value):
                self._argument(one, TEXT, [*path, number])
        elif isinstance(value, dict | list):
            self._cases(value, path)
        else:
            self._argument(value, TEXT, path)

    def _late(self, value: Any, path: list[str | int]) -> None:
        if isinstance(value, list):
            self._steps(value, path)
        elif isinstance(value, dict):
            self._keys(value, _LATE, path, "late")
        elif not isinstance(value, str):
            self._fault(path, "nothing is done late", "write late: {end: NAME}, or steps")

    def _cases(self, cases: Any, path: list[str | int]) -> None:
        if isinstance(cases, list) and cases:
            for number, one in enumerate(cases):
                self._cases(one, [*path, number])
            return
        if not isinstance(cases, dict) or not cases:
            self._fault(path, "no cases", "write expect: {200: {}}")
            return
        for pattern, action in cases.items():
            here = [*path, pattern]
            if isinstance(action, dict):
                self._keys(action, _CASE, here, "a case")
            elif isinstance(action, list):
                self._steps(action, here)
            elif action not in (None, "optional", "authenticate"):
                self._fault(here, f"{action!r} is nothing that a case does",
                            "write optional, authenticate, or {stop: NAME, end: NAME, do: [...]}")


def setting_of(value: Any) -> Setting:
    """Read a variable of a scenario file: a value, a distribution, or {value, kind, help}.

    >>> setting_of({"lognormal": {"mean": "30s", "sigma": 0.6}}).default
    'lognormal(30s,0.6)'
    >>> setting_of(5).kind, setting_of("2s").kind, setting_of(True).kind, setting_of("bob").kind
    ('count', 'distribution', 'flag', 'text')
    """
    if isinstance(value, dict) and "value" in value:
        extra = [key for key in value if key not in ("value", "kind", "help")]
        if extra:
            raise ModelError(f"unknown key {extra[0]}",
                             mend=nearest(str(extra[0]), ["value", "kind", "help"]))
        inner = setting_of(value["value"])
        kind = str(value.get("kind", inner.kind))
        if kind not in KINDS:
            raise ModelError(f"there is no kind {kind}", mend=nearest(kind, KINDS))
        return Setting(inner.default, str(value.get("help", "")), kind)
    if isinstance(value, bool):
        return Setting("yes" if value else "no", kind="flag")
    if isinstance(value, int):
        return Setting(str(int(value)), kind="count")
    text = "" if value is None else value_text(value)
    try:
        parse_distribution(text)
    except ModelError:
        if isinstance(value, dict):
            raise
    else:
        return Setting(text, kind="distribution")
    if "%" in text:
        try:
            parse_share_distribution(text)
        except ModelError:
            return Setting(text)
        return Setting(text, kind="shares")
    if text.partition("(")[0] in _PARAMETERS and text.endswith(")"):
        return Setting(text, kind="distribution")  # whose fault its reader tells
    return Setting(text)


def value_text(value: Any) -> str:
    """Write a time or a distribution, which may be a mapping, as a text.

    >>> value_text({"uniform": {"low": "1s", "high": "3s"}}), value_text({"exponential": "2s"})
    ('uniform(1s,3s)', 'exponential(2s)')
    """
    if not isinstance(value, dict):
        return str(plain(value))
    name = str(next(iter(value), ""))
    if len(value) != 1 or name not in _PARAMETERS:
        raise ModelError(f"{name or 'this'} is no distribution", mend=nearest(name, _PARAMETERS))
    inner = value[name]
    if isinstance(inner, list):
        return f"{name}({','.join(str(one) for one in inner)})"
    if not isinstance(inner, dict):
        return f"{name}({inner})"
    wanted = _PARAMETERS[name]
    for key in inner:
        if key not in wanted:
            raise ModelError(f"{name} has no {key}", mend=nearest(str(key), wanted))
    missing = [key for key in wanted if key not in inner]
    if missing:
        raise ModelError(f"{name} without {missing[0]}", mend=f"it needs {', '.join(wanted)}")
    return f"{name}({','.join(str(inner[key]) for key in wanted)})"


class _StopError(Exception):
    """What follows would only be told wrong."""


class _Player:
    """Plays the steps of one entry to a recorder."""

    def __init__(self, root: Any, file: str, at: list[str | int], steps: Steps,
                 settings: Mapping[str, Setting]) -> None:
        self._root, self._file, self._at, self._steps = root, file, at, steps
        self._settings = settings
        self._faults: list[Fault] = []
        self._c: Any = None
        self._texts: dict[str, str] = {}
        self._labels: set[str] = set()
        self._jumps: list[tuple[str, list[str | int]]] = []
        self._clocks: tuple[str, ...] = ()  # that run from the first request on

    def play(self, recorder: Recorder) -> None:
        """Record everything; FileError with all faults."""
        self._c, self._faults, self._labels, self._jumps = recorder, [], set(), []
        self._texts = _setting_texts(recorder)
        self._texts |= {name: format_duration(getattr(recorder.v, name))
                        for name, one in self._settings.items() if one.kind == "duration"}
        self._clocks = _unstarted(self._steps)
        try:
            self._do(self._steps, self._at)
            recorder.scenario()
        except _StopError:
            pass
        except ModelError as error:
            line = error.place.rpartition(":")[2]
            self._faults.append(Fault(self._file, int(line) if line.isdigit() else 0, 1,
                                      path_text(self._at[:-1]), error.message, error.mend))
        else:
            for label, path in self._jumps:
                if label not in self._labels:
                    self._fault(path, f"there is no label {label}", nearest(label, self._labels))
        if self._faults:
            raise FileError(self._faults)

    def _fault(self, path: list[str | int], message: str, mend: str) -> None:
        line, column = place(self._root, path)
        self._faults.append(Fault(self._file, line, column, path_text(path), message, mend))

    @contextmanager
    def _placed(self, path: list[str | int]) -> Iterator[list[ModelError]]:
        """Record at a place; a fault there is kept, and also given back in the list."""
        raised: list[ModelError] = []
        line, _ = place(self._root, path)
        depth = self._c.depth
        try:
            with placed_at(Place(self._file, line)):
                yield raised
        except ModelError as error:
            self._c.depth = depth  # no block stays open
            raised.append(error)
            self._fault(path, error.message, error.mend)

    def _do(self, steps: Steps, path: list[str | int]) -> None:
        for number, step in enumerate(steps):
            here = [*path, number]
            if isinstance(step, str):
                step = {step: "succeeded" if step == "end" else True}  # noqa: PLW2901
            kind = str(next(iter(step)))
            more = {str(key): value for key, value in step.items() if key != kind}
            with self._placed([*here, kind] if kind in self._node(here) else here) as raised:
                getattr(self, f"_step_{kind}")(step[kind], more, here)
            if raised and kind in ("send", "raw", "expect"):
                method = str(plain(step[kind])).partition(" ")[0]
                self._stand_in(kind, method, str(more.get("leg", "")))

    def _stand_in(self, kind: str, method: str, leg: str) -> None:
        """Record something plain in place of what was refused, because what follows builds on it.

        _StopError: that is refused as well.
        """
        try:
            if kind == "expect":
                self._c.expect("2xx", leg=leg)
            elif method == "ACK":
                self._c.ack(leg=leg)
            elif method != "CANCEL":
                self._c.send(method, leg=leg)
        except ModelError:
            if kind != "expect":
                return  # a BYE without a dialog, say: what follows need not need it
            raise _StopError from None

    def _node(self, path: list[str | int]) -> Any:
        node = self._root
        for step in path:
            node = node[step]
        return node if isinstance(node, dict) else {}

    # --- what the arguments mean ---

    def _text(self, value: Any) -> str:
        """Put the settings into a text; other fields stay for the engine."""
        def known(match: re.Match[str]) -> str:
            name = match[1]
            if name in self._settings and name not in self._texts:
                raise ModelError(f"{{{name}}} cannot stand in a text",
                                 mend="texts hold numbers, fixed times and texts")
            return self._texts.get(name, match[0]) if name else match[0]

        return _FIELD.sub(known, str(plain(value)))

    def _value(self, value: Any) -> Any:
        """Read a number, a time, a distribution, or {a setting, a column or a variable}."""
        if isinstance(value, str) and (whole := _WHOLE.fullmatch(value.strip())):
            return self._named(whole[1])
        if isinstance(value, bool) or value is None or isinstance(value, float | list):
            raise ModelError(f"{plain(value)} is no time", mend="write 2s or {hold}")
        if isinstance(value, int):
            return int(value)
        text = self._text(value_text(value))
        return self._c.elapsed if text == "elapsed" else text

    def _named(self, name: str) -> Any:
        if name == "elapsed":
            return self._c.elapsed
        if name not in self._settings and name in self._c.columns:
            return ColumnRef(name)
        value = getattr(self._c.v, name)
        return value.value if isinstance(value, Share) else value

    def _variable(self, name: Any) -> str:
        """Check the name of a variable that is to be set."""
        text = str(name)
        if text in self._settings:
            raise ModelError(f"{text} is a setting, which no call can change",
                             mend="take another name")
        if not _NAME.fullmatch(text):
            raise ModelError(f"{text!r} is no name", mend="write letters, digits and _")
        return text

    def _number(self, value: Any) -> int:
        found = self._value(value)
        if isinstance(found, bool) or not isinstance(found, int):
            raise ModelError(f"{plain(value)} is no whole number",
                             mend="write a number, or {a setting that is one}")
        return found

    def _condition(self, text: Any) -> tree.Condition | bool:
        """Read `n >= 3`, `n` or `not n`; what is asked of a setting is known already."""
        if isinstance(text, bool):
            return text
        alone = _ALONE.fullmatch(str(text))
        match = _CONDITION.fullmatch(str(text))
        if alone is not None:
            name, how = alone[2], tree.Compare.EQ if alone[1] else tree.Compare.NE
            right = ""
        elif match is not None:
            name, how, right = match[1], tree.Compare(match[2]), match[3]
        else:
            raise ModelError(f"{text!r} is no condition", mend="write it as `n >= 3`")
        if name in self._settings:
            return self._known(name, how, right)
        subject: Any = name
        if name in (one.value for one in tree.Pseudo):
            subject = tree.Pseudo(name)
        return tree.Condition(subject, how, self._compared(right) if right else 0)

    def _compared(self, text: str) -> int | ColumnRef | VariableRef:
        """Read what a variable is compared with: a number, a time, {another variable}."""
        value = int(text) if _NUMBER.fullmatch(text) else self._value(text)
        if isinstance(value, Variable) and isinstance(value.subject, str):
            return VariableRef(value.subject)
        if isinstance(value, ColumnRef):
            return value
        if isinstance(value, str):
            value = parse_distribution(value)
        if isinstance(value, Fixed):
            value = value.value
        if isinstance(value, bool) or not isinstance(value, int):
            raise ModelError(f"{text} is no number", mend="compare with a number, a time, a "
                                                          "setting that is one, or {a variable}")
        return value

    def _known(self, name: str, how: tree.Compare, right: str) -> bool:
        """Compare a setting, whose value is known when the call is recorded."""
        value = getattr(self._c.v, name)
        if not right:
            return (value not in (0, False, "", b"", Fixed(0))) is (how is tree.Compare.NE)
        text = right.strip("\"'")
        other = text if isinstance(value, str) else self._settings[name].read(text, name)
        if how in (tree.Compare.EQ, tree.Compare.NE):
            return bool(value == other) is (how is tree.Compare.EQ)
        if isinstance(value, Fixed) and isinstance(other, Fixed):
            value, other = value.value, other.value
        if not isinstance(value, int) or not isinstance(other, int):
            raise ModelError(f"{name} is no number", mend="ask it with == or !=")
        return bool({tree.Compare.LT: value < other, tree.Compare.LE: value <= other,
                     tree.Compare.GT: value > other, tree.Compare.GE: value >= other}[how])

    def _outcome(self, name: Any, ok: Any) -> str:
        """Check the name of an outcome that is to be a success."""
        text = self._text(name)
        if ok and text in _FAILURES:
            raise ModelError(f"the outcome {text} is a failure everywhere",
                             mend="take a name of your own for a success")
        return text

    def _message(self, more: Mapping[str, Any]) -> dict[str, Any]:
        """Arguments that all messages take."""
        found: dict[str, Any] = {}
        if "file" in more and "body" in more:
            raise ModelError("body and file are both given", mend="leave one of them out")
        for key, value in more.items():
            if key == "headers":
                parts = value if isinstance(value, list) else [value]
                found[key] = tuple((str(name), None if text is None else self._text(text))
                                   for part in parts for name, text in part.items())
            elif key == "file":
                found["body"] = self._octets(value)
            elif key in ("start", "supported"):
                found[key] = tuple(self._text(one) for one in _words(value))
            elif key in ("early", "reliable"):
                found[key] = bool(value)
            else:
                found["from_" if key == "from" else key] = self._text(value)
        return found

    def _octets(self, name: Any) -> bytes:
        """Read a file that stands beside this one."""
        file = Path(self._file).parent / self._text(name)
        try:
            return file.read_bytes()
        except OSError as error:
            raise ModelError(f"{name}: {error.strerror}", mend="name a file that can be read, "
                                                               "from this one's folder") from None

    # --- steps ---

    def _step_send(self, method: Any, more: dict[str, Any], here: list[str | int]) -> None:
        name = self._text(method)
        given = self._message({key: value for key, value in more.items() if key != "expires"})
        if "expires" in more:
            if name == "REGISTER":
                given["expires"] = self._expires(more["expires"])
            else:
                given["headers"] = (*given.get("headers", ()),
                                    ("Expires", self._text(more["expires"])))
        if self._clocks and name not in ("ACK", "CANCEL"):
            given["start"] = (*given.get("start", ()), *self._clocks)
            self._clocks = ()
        simple = {"ACK": "ack", "CANCEL": "cancel", "PRACK": "prack", "REGISTER": "register"}
        record = getattr(self._c, simple.get(name, "send"))
        known = inspect.signature(record).parameters
        for key in [key for key in given if key not in known]:
            word = "file" if key == "body" and "file" in more else key.rstrip("_")
            self._fault([*here, word], f"{name} has no {word}",
                        nearest(word, [one.rstrip("_") for one in known if one != "method"]))
            del given[key]
        if name in simple:
            record(**given)
        else:
            record(name, **given)

    def _expires(self, value: Any) -> Any:
        if value is None or isinstance(value, int):
            return value
        whole = _WHOLE.fullmatch(str(value).strip())
        if whole and whole[1] not in self._texts:
            return Variable(whole[1])
        return self._text(value)

    def _step_raw(self, text: Any, more: dict[str, Any], _: list[str | int]) -> None:
        self._c.raw(self._text(text), leg=str(more.get("leg", "")),
                    start=_words(more.get("start", ())))

    def _step_respond(self, status: Any, more: dict[str, Any], _: list[str | int]) -> None:
        self._c.respond(int(status), **self._message(more))

    def _step_expect(self, expected: Any, more: dict[str, Any], here: list[str | int]) -> None:
        given = {"within": self._text(more.get("within", "")),
                 "method": str(more.get("method", "")), "leg": str(more.get("leg", ""))}
        listed = expected if isinstance(expected, list) else [expected]
        if not any(isinstance(one, dict) for one in listed):
            what, method = _what("|".join(str(plain(one)) for one in listed))
            if method:
                given["method"] = method
            wait = self._c.expect(*what, stop=_words(more.get("stop", ())), **given)
        elif "stop" in more:
            raise ModelError("stop beside several cases", mend="write it in the case that it is of")
        else:
            wait = self._c.expect(**given)
            self._cases(wait, expected, [*here, "expect"])
        if "late" in more:
            with self._placed([*here, "late"]):
                if not given["within"]:
                    raise ModelError("late without within", mend="say after what time: within: 32s")
                self._late(wait, more["late"], [*here, "late"])

    def _late(self, wait: Wait, late: Any, path: list[str | int]) -> None:
        action: dict[str, Any] = {"end": late} if isinstance(late, str) else (
            {"do": late} if isinstance(late, list) else late)
        with wait.on_late():
            self._inside(action, path if isinstance(late, list) else [*path, "do"])

    def _inside(self, action: Node, path: list[str | int]) -> None:
        """Record what a case does: its clocks, its steps, its end."""
        self._c.stop(*_words(action.get("stop", ())))
        self._c.start(*_words(action.get("start", ())))
        self._do(action.get("do") or [], path)
        if action.get("end") is not None:
            ok = bool(action.get("ok", False))
            self._c.end(self._outcome(action["end"], ok), ok=ok)

    def _step_pause(self, value: Any, more: dict[str, Any], here: list[str | int]) -> None:
        if isinstance(value, int) and not isinstance(value, bool) and value:
            raise ModelError(f"{value} has no unit", mend=f"write {value}s or {value}ms")
        wait = self._c.pause(self._value(value), leg=str(more.get("leg", "")))
        if "on" in more:
            self._cases(wait, more["on"], [*here, "on"], pause=True)

    def _cases(self, wait: Wait, cases: Any, path: list[str | int], pause: bool = False) -> None:
        if isinstance(cases, list):
            for number, one in enumerate(cases):
                self._cases(wait, one, [*path, number], pause)
            return
        for pattern, action in cases.items():
            here = [*path, pattern]
            with self._placed(here) as raised:
                self._case(wait, str(pattern), action, here, pause)
            if raised and not pause:  # what should be waited for is not there: this stands for it
                try:
                    wait.on("2xx", then="go on")
                except ModelError:
                    wait.on("timeout", then="go on")

    def _case(self, wait: Wait, pattern: str, given: Any, here: list[str | int],
              pause: bool) -> None:
        action: dict[str, Any] = (
            {"do": given} if isinstance(given, list) else {given: True} if isinstance(given, str)
            else given or {})
        path = here if isinstance(given, list) else [*here, "do"]
        ok, end = bool(action.get("ok", False)), action.get("end")
        if "ok" in action and end is None:
            raise ModelError("ok without end", mend="name the outcome: end: refused")
        if pattern == "late":
            raise ModelError("late is no case", mend="write it beside expect, with within:")
        if pattern == "else":
            if end is None or set(action) - {"end", "ok"}:
                raise ModelError("else has an end, and nothing else",
                                 mend="write else: {end: failed}")
            wait.otherwise(end=self._outcome(end, ok), ok=ok)
            return
        what, method = _what(pattern)
        method = method or str(action.get("method", ""))
        if action.get("authenticate"):
            self._authenticated(wait, what, action)
            return
        stay = bool(action.get("optional")) or pause
        then = str(action.get("then", "stay" if stay else "go on"))
        if then not in ("stay", "go on"):
            raise ModelError(f"then: {then} means nothing", mend="write stay or go on")
        if then == "stay" and not set(action) & {"do", "end", "leg"}:
            wait.optional(*what, stop=_words(action.get("stop", ())),
                          start=_words(action.get("start", ())), method=method)
            return
        with wait.on(*what, then=then, method=method, leg=action.get("leg")):
            self._inside(action, path)

    def _authenticated(self, wait: Wait, what: list[Any], action: Node) -> None:
        if set(action) - {"authenticate", "optional", "end", "ok"}:
            raise ModelError("a case that authenticates has no steps or clocks of its own",
                             mend="write {authenticate: {user: NAME, password: TEXT}}")
        if not all(isinstance(one, int) for one in what):
            raise ModelError("a challenge is one status or several", mend="write 401|407")
        found: dict[str, Any] = {"user": self._text("{user}"),
                                 "password": self._text("{password}")}
        given = {key: action[key] for key in ("end", "ok") if key in action}
        if isinstance(action["authenticate"], dict):
            given |= action["authenticate"]
        found |= {str(key): plain(value) if isinstance(value, bool | int) else self._text(value)
                  for key, value in given.items()}
        wait.auth(*what, **found)

    def _step_start(self, clocks: Any, _: Any, __: Any) -> None:
        self._c.start(*_words(clocks))

    def _step_stop(self, clocks: Any, _: Any, __: Any) -> None:
        self._c.stop(*_words(clocks))

    def _step_set(self, values: Node, _: Any, here: list[str | int]) -> None:
        self._change("set", values, here)

    def _step_add(self, values: Node, more: dict[str, Any], here: list[str | int]) -> None:
        into = {"into": self._variable(more["into"])} if "into" in more else {}
        self._change("add", values, here, **into)

    def _step_sub(self, values: Node, _: Any, here: list[str | int]) -> None:
        self._change("sub", values, here)

    def _step_div(self, values: Node, _: Any, here: list[str | int]) -> None:
        self._change("div", values, here)

    def _step_mod(self, values: Node, _: Any, here: list[str | int]) -> None:
        self._change("mod", values, here)

    def _change(self, how: str, values: Node, here: list[str | int], **more: str) -> None:
        """Do the same to several variables."""
        for name, value in values.items():
            with self._placed([*here, how, name]):
                getattr(self._c, how)(self._variable(name), self._value(value), **more)

    def _step_mul(self, values: Node, _: Any, here: list[str | int]) -> None:
        for name, value in values.items():
            with self._placed([*here, "mul", name]):
                self._c.mul(self._variable(name), self._factor(value))

    def _factor(self, value: Any) -> float | Share | Variable:
        """Read a number or a share, which may be a distribution, {a setting} or {a variable}."""
        if isinstance(value, int | float) and not isinstance(value, bool):
            return float(value)
        text = str(value).strip()
        if whole := _WHOLE.fullmatch(text):
            setting = getattr(self._c.v, whole[1])
            if isinstance(setting, Share | int | float):
                return setting
            if isinstance(setting, Variable):
                return setting
            raise ModelError(f"{text} is no number and no share", mend="write 0.5, or 50%")
        try:
            return float(text)
        except ValueError:
            return Share(parse_share_distribution(text))

    def _step_text(self, values: Node, more: dict[str, Any], here: list[str | int]) -> None:
        for name, value in values.items():
            with self._placed([*here, "text", name]):
                self._c.text(self._variable(name), "" if value is None else self._text(value),
                             escaped=bool(more.get("escaped", False)))

    def _step_extract(self, values: Node, more: dict[str, Any], here: list[str | int]) -> None:
        for name, what in values.items():
            with self._placed([*here, "extract", name]):
                self._c.extract(self._variable(name), self._text(what),
                                reg_id=int(more.get("reg_id", 0)))

    def _step_capture(self, values: Node, more: dict[str, Any], here: list[str | int]) -> None:
        for name, what in values.items():
            with self._placed([*here, "capture", name]):
                self._c.capture(self._variable(name), self._text(what),
                                leg=str(more.get("leg", "")))

    def _step_if(self, condition: Any, more: dict[str, Any], here: list[str | int]) -> None:
        if "then" not in more and "else" not in more:
            raise ModelError("if without steps", mend="write then: [steps]")
        block = self._if(condition)
        if isinstance(block, bool):  # a setting: only one of them is recorded
            key = "then" if block else "else"
            self._do(more.get(key) or [], [*here, key])
            return
        with block:
            self._do(more.get("then") or [], [*here, "then"])
        if "else" in more:
            with self._c.else_():
                self._do(more["else"], [*here, "else"])

    def _if(self, condition: Any) -> Any:
        if not isinstance(condition, dict):
            found = self._condition(condition)
            return found if isinstance(found, bool) else self._c.if_(found)
        words = {str(key): "" if value is None or value is True else str(value)
                 for key, value in condition.items()}
        if words.keys() <= {"header", "has"} and "header" in words:
            return self._c.if_header(self._text(words["header"]),
                                     self._text(words.get("has", "")))
        if "find" in words:
            return self._if_found(condition)
        if words.keys() == {"body"}:
            return self._c.if_body(self._text(words["body"]))
        if words.keys() == {"text", "is"}:
            return self._c.if_text(words["text"], self._text(words["is"]))
        raise ModelError("no condition", mend="write `n >= 3`, {header: NAME, has: ITEM}, "
                                              "{body: BEGIN}, {text: NAME, is: TEXT}, or "
                                              "{find: PATTERN, in: body}")

    def _if_found(self, condition: Mapping[str, Any]) -> Any:
        known = ("find", *STEPS["find"].more)
        for key in condition:
            if key not in known:
                raise ModelError(f"unknown key {key} of a pattern", mend=nearest(str(key), known))
        return self._c.if_found(str(condition["find"]), **self._finding(condition))

    def _finding(self, more: Mapping[str, Any]) -> dict[str, Any]:
        """Arguments of a search besides its pattern."""
        return {"where": str(more.get("in", "message")),
                "into": tuple(self._variable(one) for one in _words(more.get("into", ()))),
                "numbers": _words(more.get("numbers", ())),
                "any_case": bool(more.get("any_case", False))}

    def _step_find(self, pattern: Any, more: dict[str, Any], _: list[str | int]) -> None:
        self._c.find(str(pattern), **self._finding(more))

    def _step_hook(self, function: Any, more: dict[str, Any], _: list[str | int]) -> None:
        self._c.folder = str(Path(self._file).parent)
        sets, texts = (tuple(self._variable(one) for one in _words(more.get(kind, ())))
                       for kind in ("sets", "texts"))
        self._c.hook(str(function), sets=sets, texts=texts,
                     within=self._text(more.get("within", "5s")),
                     end=self._outcome(more.get("end", "hook_failed"), more.get("ok", False)),
                     ok=bool(more.get("ok", False)))

    def _step_loop(self, times: Any, more: dict[str, Any], here: list[str | int]) -> None:
        value: Any = times
        if isinstance(times, str) and (whole := _WHOLE.fullmatch(times.strip())):
            value = getattr(self._c.v, whole[1])
            if value is not None and type(value) is not int:
                raise ModelError(f"{times} is no number of times",
                                 mend="write 3, forever, n < 5 or {a setting that is a number}")
        if value is None or (isinstance(value, str) and value == "forever"):
            wanted: Any = None
        elif isinstance(value, int) and not isinstance(value, bool):
            wanted = int(value)
        else:
            wanted = self._condition(value)
            if wanted is False:
                return
            wanted = None if wanted is True else wanted
        with self._c.loop(wanted):
            self._do(more.get("do", []), [*here, "do"])

    def _step_chance(self, share: Any, more: dict[str, Any], here: list[str | int]) -> None:
        value: Any = str(plain(share))
        if whole := _WHOLE.fullmatch(value.strip()):
            value = self._named(whole[1])
            value = str(value.value / SHARE_UNIT) if isinstance(value, Fixed) else value
        if not isinstance(value, str | float):
            raise ModelError(f"{share} is no share", mend="write it as 3% or 0.03")
        with self._c.chance(str(value)):
            self._do(more.get("do", []), [*here, "do"])

    def _step_label(self, name: Any, _: Any, __: Any) -> None:
        label = self._text(name)
        if label in self._labels:
            raise ModelError(f"there are two labels {label}", mend="give it another name")
        self._labels.add(label)
        self._c.label(label)

    def _step_jump(self, label: Any, more: dict[str, Any], here: list[str | int]) -> None:
        name = self._text(label)
        when = self._condition(more["when"]) if "when" in more else True
        self._jumps.append((name, [*here, "jump"]))
        if when is not False:
            self._c.jump(name, None if when is True else when, anew=bool(more.get("anew", False)))

    def _step_authenticate(self, label: Any, more: dict[str, Any],
                           here: list[str | int]) -> None:
        self._jumps.append((str(label), [*here, "authenticate"]))
        self._c.authenticate(self._text(more.get("user", "{user}")),
                             self._text(more.get("password", "{password}")), str(label),
                             attempts=int(more.get("attempts", 2)), leg=str(more.get("leg", "")))

    def _step_resend(self, _: Any, more: dict[str, Any], __: Any) -> None:
        self._c.resend(leg=str(more.get("leg", "")))

    def _step_redirect(self, uri: Any, more: dict[str, Any], _: Any) -> None:
        self._c.redirect(self._text(uri), leg=str(more.get("leg", "")))

    def _step_route(self, uri: Any, more: dict[str, Any], _: Any) -> None:
        self._c.route(self._text(uri), leg=str(more.get("leg", "")))

    def _step_datagram(self, text: Any, more: dict[str, Any], _: Any) -> None:
        self._c.datagram(self._text(text), leg=str(more.get("leg", "")))

    def _step_binding(self, _: Any, more: dict[str, Any], __: Any) -> None:
        self._c.binding(again=bool(more.get("again", False)), leg=str(more.get("leg", "")))

    def _step_leave(self, _: Any, more: dict[str, Any], __: Any) -> None:
        self._c.leave(leg=str(more.get("leg", "")))

    def _step_count(self, what: Any, _: Any, here: list[str | int]) -> None:
        if not isinstance(what, dict):
            self._c.count(self._text(what))
            return
        for name, amount in what.items():
            with self._placed([*here, "count", name]):
                self._c.count(self._text(name), self._number(amount))

    def _step_end(self, outcome: Any, more: dict[str, Any], _: Any) -> None:
        ok = bool(more.get("ok", False))
        self._c.end(self._outcome(outcome, ok), ok=ok)

    def _step_challenge(self, values: Node, more: dict[str, Any], here: list[str | int]) -> None:
        given = {str(key): plain(value) if isinstance(value, bool) else self._text(value)
                 for key, value in values.items()}
        realm, kind, proxy = given.get("realm"), given.get("kind"), given.get("proxy", False)
        block = self._challenge(given)
        if "do" not in more and not kind:
            raise ModelError("a challenge of no kind", mend="write kind: md5, or do: [steps]")
        with block:
            if "do" in more:
                self._do(more["do"], [*here, "do"])
                return
            self._c.respond(407 if proxy else 401, headers={
                "Proxy-Authenticate" if proxy else "WWW-Authenticate":
                    f'Digest realm="{realm}", {{challenge.{kind}}}'})
            self._c.end("challenged", ok=True)

    def _challenge(self, given: dict[str, Any]) -> Any:
        known = ("password", "realm", "kind", "proxy", "life")
        for key in given:
            if key not in known:
                raise ModelError(f"challenge has no {key}", mend=nearest(key, known))
        if "password" not in given or "realm" not in given:
            raise ModelError("challenge needs a password and a realm", mend="give both")
        return self._c.challenge(given.pop("password"), **given)

    def _step_bind(self, values: Node, more: dict[str, Any], here: list[str | int]) -> None:
        known = [name for name, one in inspect.signature(self._c.bind).parameters.items()
                 if one.kind is inspect.Parameter.KEYWORD_ONLY]
        given = {}
        for key, value in values.items():
            with self._placed([*here, "bind", key]):
                if key not in known:
                    raise ModelError(f"bind has no {key}", mend=nearest(str(key), known))
                given[str(key)] = self._number(value)
        if "bindings" not in values:
            raise ModelError("bind without bindings", mend="say how many there is room for")
        if len(given) == len(values):
            self._c.bind(self._variable(more.get("into", "verdict")), **given)

    def _step_knows(self, names: Any, _: Any, __: Any) -> None:
        self._c.knows(*_words(names))

    def _step_supports(self, names: Any, _: Any, __: Any) -> None:
        self._c.supports(*_words(names))


def _words(value: Any) -> tuple[str, ...]:
    return tuple(value.split()) if isinstance(value, str) else tuple(str(one) for one in value)


def _what(text: str) -> tuple[list[Any], str]:
    """Take `180|183` and `2xx/PRACK` apart: what is waited for, and of which request."""
    found: list[Any] = []
    methods = set()
    for part in text.split("|"):
        what, _, method = part.strip().partition("/")
        found.append(int(what) if what.isdigit() else what)
        methods.add(method)
    if len(methods) > 1:
        raise ModelError(f"{text}: responses to several requests in one case",
                         mend="write a case for each")
    return found, methods.pop()


def _unstarted(steps: Any) -> tuple[str, ...]:
    """Names of the clocks that are stopped and nowhere started, in their order."""
    stops: dict[str, None] = {}
    starts: set[str] = set()

    def walk(node: Any) -> None:
        if isinstance(node, list):
            for one in node:
                walk(one)
        elif isinstance(node, dict):
            for key, value in node.items():
                if key == "stop" and isinstance(value, str | list):
                    stops.update(dict.fromkeys(_words(value)))
                elif key == "start" and isinstance(value, str | list):
                    starts.update(_words(value))
                elif key not in ("headers", "set", "add", "text", "capture", "extract"):
                    walk(value)

    walk(steps)
    return tuple(name for name in stops if name not in starts)


def _setting_texts(recorder: Recorder) -> dict[str, str]:
    """Find what stands for each setting in a text: for texts, numbers, times, yes and no."""
    settings: Mapping[str, Any] = vars(recorder.v)["_settings"]
    found = {}
    for name, value in settings.items():
        if isinstance(value, bool):
            found[name] = "yes" if value else "no"
        elif isinstance(value, int):
            found[name] = str(value)
        elif isinstance(value, Fixed):
            found[name] = format_duration(value.value)
        elif isinstance(value, str):
            # What it holds itself is no field, but for a URI or a text that was meant to have some.
            found[name] = value if "{" in value else literal(value)
    return found


def steps_schema() -> dict[str, Any]:
    """JSON Schema of a list of steps, for editors; it refers to itself as `#/$defs/steps`.

    >>> sorted(steps_schema()["$defs"])
    ['case', 'cases', 'credentials', 'steps']
    """
    scalar = {"type": ["string", "number"]}
    steps, cases = {"$ref": "#/$defs/steps"}, {"$ref": "#/$defs/cases"}
    headers = {"type": "object", "additionalProperties": {"type": ["string", "number", "null"]}}
    forms: dict[str, Any] = {
        TEXT: scalar, FLAG: {"type": "boolean"}, COUNT: {"type": "integer"},
        WORDS: {"anyOf": [{"type": "string"}, {"type": "array", "items": scalar}]},
        HEADERS: {"anyOf": [headers, {"type": "array", "items": headers}]},
        STEPS_: steps, ANY: {}, VALUE: {"anyOf": [scalar, {"type": "object", "maxProperties": 1}]},
        "cases": cases, "assign": {"type": "object", "minProperties": 1},
        "condition": {"type": ["string", "boolean", "object"]},
        "times": {"type": ["integer", "string"]},
        "credentials": {"anyOf": [{"const": True}, {"$ref": "#/$defs/credentials"}]},
        "expected": {"anyOf": [scalar, {"type": "array", "items": scalar}, cases]},
    }

    def mapping(keys: Mapping[str, str]) -> dict[str, Any]:
        return {"type": "object", "additionalProperties": False,
                "properties": {key: forms[kind] for key, kind in keys.items()}}

    forms["late"] = {"anyOf": [{"type": "string"}, steps, mapping(_LATE)]}
    kinds = [{
        "type": "object", "required": [name], "additionalProperties": False,
        "properties": {name: {**forms[form.own], "description": form.help},
                       **{key: forms[kind] for key, kind in form.more.items()}},
    } for name, form in STEPS.items()]
    found = {"type": "array", "items": {"anyOf": [*kinds, {"enum": list(_BARE)}]}}
    some = {"type": "object", "minProperties": 1,
            "additionalProperties": {"$ref": "#/$defs/case"}}
    return {**found, "minItems": 1, "$defs": {
        "steps": found, "credentials": mapping(_CREDENTIALS),
        "cases": {"anyOf": [some, {"type": "array", "items": some}]},
        "case": {"anyOf": [{"enum": ["optional", "authenticate", None]}, steps, mapping(_CASE)]},
    }}


def entry_schema(role: tree.Role) -> dict[str, Any]:
    """JSON Schema of an entry of `calls:` or `answers:`; its steps are `#/$defs/steps`.

    >>> entry_schema(tree.Role.ANSWERER)["required"]
    ['steps', 'method']
    """
    words = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}
    about: dict[str, Any] = {
        "description": {"type": "string"}, "columns": words, "user": {"type": "string"},
        "method": {"type": "string", "description": "the request that begins it, such as INVITE"},
        "variables": {"type": "object", "description": "settings that --set changes"},
        "steps": {"allOf": [{"$ref": "#/$defs/steps"}], "minItems": 1},
    }
    keys = CALL_KEYS if role is tree.Role.CALLER else ANSWER_KEYS
    return {"type": "object", "additionalProperties": False,
            "required": ["steps", *(["method"] if role is tree.Role.ANSWERER else [])],
            "properties": {key: about[key] for key in keys}}
