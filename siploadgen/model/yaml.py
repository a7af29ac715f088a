"""Call models in YAML: steps that drive the same recorder as Python's.

Each step is a mapping; the first of its keys that names a step says what it is, the others say how.
`STEPS` lists them: the reader, the checks and the JSON Schema of editors all come from it.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from siploadgen.model import scenario as tree
from siploadgen.model.errors import ModelError, nearest
from siploadgen.model.located import Fault, FileError, path_text, place, plain
from siploadgen.model.python import CallModel
from siploadgen.model.recorder import Recorder, Variable, Wait, placed_at
from siploadgen.model.scenario import Place
from siploadgen.model.settings import Setting, literal
from siploadgen.model.values import parse_distribution, parse_duration_ns

Node: TypeAlias = Mapping[str, Any]
Steps: TypeAlias = Sequence[Any]

# how the arguments of a step are written
TEXT, WORDS, FLAG, COUNT, HEADERS, STEPS_, ANY, VALUE = (
    "text", "words", "flag", "count", "headers", "steps", "any", "value")
_CONDITION = re.compile(r"\s*([A-Za-z_]\w*)\s*(==|!=|<=|>=|<|>)\s*(\S+)\s*")
_WHOLE = re.compile(r"\{([A-Za-z_]\w*)\}")
_FIELD = re.compile(r"\{\{|\}\}|\{([A-Za-z_]\w*)\}")
_PARAMETERS = {  # of distributions as mappings, in the order in which texts have them
    "fixed": ("value",), "uniform": ("low", "high"), "normal": ("mean", "deviation"),
    "lognormal": ("mean", "sigma"), "exponential": ("mean",), "weibull": ("scale", "shape"),
    "pareto": ("least", "shape"), "gamma": ("scale", "shape"), "samples": ("file",),
}
_CASE = {"stop": WORDS, "start": WORDS, "optional": FLAG, "end": TEXT, "ok": FLAG, "do": STEPS_,
         "then": TEXT, "authenticate": ANY, "method": TEXT, "leg": TEXT}
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
    "expect": StepForm("cases", {"within": TEXT, "late": ANY, "method": TEXT, "leg": TEXT},
                       "wait for a response, a request or an event"),
    "pause": StepForm(VALUE, {"on": "cases", "leg": TEXT}, "a time, a variable, a distribution"),
    "start": StepForm(WORDS, {}, "start stopwatches"),
    "stop": StepForm(WORDS, {}, "stop stopwatches"),
    "set": StepForm("assign", {}, "set variables"),
    "add": StepForm("assign", {}, "add to variables"),
    "mul": StepForm("assign", {}, "multiply variables by a number"),
    "text": StepForm("assign", {"escaped": FLAG}, "set text variables"),
    "extract": StepForm("assign", {"reg_id": COUNT}, "numbers out of the message last received"),
    "capture": StepForm("assign", {"leg": TEXT}, "texts out of the message last received"),
    "if": StepForm("condition", {"then": STEPS_, "else": STEPS_}, "steps under a condition"),
    "loop": StepForm(ANY, {"do": STEPS_}, "repeat: a number, a condition, or forever"),
    "chance": StepForm(TEXT, {"do": STEPS_}, "steps with a probability, such as 3%"),
    "label": StepForm(TEXT, {}, "name this point"),
    "jump": StepForm(TEXT, {"when": TEXT, "anew": FLAG}, "go on at a label"),
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
    "bind": StepForm("assign", {"into": TEXT}, "do the REGISTER as a registrar does"),
    "knows": StepForm(WORDS, {}, "event packages"),
    "supports": StepForm(WORDS, {}, "option tags"),
}
CALL_KEYS = ("variables", "steps", "columns", "description")
ANSWER_KEYS = ("method", "user", *CALL_KEYS)


def call_models(node: Any, file: str, role: tree.Role = tree.Role.CALLER,
                section: str = "calls") -> dict[str, CallModel]:
    """Read the entries of `calls:` or `answers:`. FileError with all faults of their form.

    What only shows when the steps are recorded is told by `CallModel.record`, all at once.
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
        if model is not None:
            models[model.name] = model
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
        player = _Player(self._root, self._file, [*self._at, "steps"], steps)

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
            if isinstance(step, str) and step in ("resend", "leave", "binding", "end"):
                continue
            if not isinstance(step, dict) or not step:
                self._fault(here, "not a step", "write it as `send: INVITE`")
                continue
            kinds = [key for key in step if key in STEPS]
            kind = next((key for key in kinds if key == next(iter(step))), None)
            if kind is None:
                first = str(next(iter(step)))
                self._fault([*here, first], f"there is no step {first}", nearest(first, STEPS))
                continue
            form = STEPS[kind]
            self._argument(step[kind], form.own, [*here, kind])
            for key, value in step.items():
                if key == kind:
                    continue
                if key not in form.more:
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
            case "assign":
                if not isinstance(value, dict) or not value:
                    self._fault(path, "not a mapping", "write it as {name: value}")
            case "headers":
                if not isinstance(value, dict):
                    self._fault(path, "not a mapping of headers",
                                "write headers: {Subject: load}")
            case "flag":
                if not isinstance(value, bool):
                    self._fault(path, f"{value!r} is neither true nor false", "write true or false")
            case "count":
                if isinstance(value, bool) or not isinstance(value, int):
                    self._fault(path, f"{value!r} is no whole number", "write a number")
            case "text":
                if isinstance(value, dict | list) or value is None:
                    self._fault(path, "not a text", "write one word or a quoted text")
            case "words":
                if isinstance(value, dict) or value is None:
                    self._fault(path, "not a list of names", "write names between blanks")

    def _cases(self, cases: Any, path: list[str | int]) -> None:
        if not isinstance(cases, dict) or not cases:
            self._fault(path, "no cases", "write expect: {200: {}}")
            return
        for pattern, action in cases.items():
            here = [*path, pattern]
            if isinstance(action, dict):
                for key, value in action.items():
                    if key not in _CASE:
                        self._fault([*here, str(key)], "unknown key of a case",
                                    nearest(str(key), _CASE))
                    else:
                        self._argument(value, _CASE[key], [*here, key])
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
        return Setting(inner.default, str(value.get("help", "")),
                       str(value.get("kind", inner.kind)))
    if isinstance(value, bool):
        return Setting("yes" if value else "no", kind="flag")
    if isinstance(value, int):
        return Setting(str(int(value)), kind="count")
    text = value_text(value)
    try:
        parse_distribution(text)
    except ModelError:
        if isinstance(value, dict):
            raise
        return Setting(text)
    return Setting(text, kind="distribution")


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


class _Player:
    """Plays the steps of one entry to a recorder."""

    def __init__(self, root: Any, file: str, at: list[str | int], steps: Steps) -> None:
        self._root, self._file, self._at, self._steps = root, file, at, steps
        self._faults: list[Fault] = []
        self._c: Any = None
        self._texts: dict[str, str] = {}

    def play(self, recorder: Recorder) -> None:
        """Record everything; FileError with all faults."""
        self._c, self._faults = recorder, []
        self._texts = _setting_texts(recorder)
        self._do(self._steps, self._at)
        try:
            recorder.scenario()
        except ModelError as error:
            line = error.place.rpartition(":")[2]
            self._faults.append(Fault(self._file, int(line) if line.isdigit() else 0, 1,
                                      path_text(self._at[:-1]), error.message, error.mend))
        if self._faults:
            raise FileError(self._faults)

    @contextmanager
    def _placed(self, path: list[str | int]) -> Iterator[None]:
        """Record at a place; a fault there is kept, and the next step goes on."""
        line, column = place(self._root, path)
        try:
            with placed_at(Place(self._file, line)):
                yield
        except ModelError as error:
            self._faults.append(Fault(self._file, line, column, path_text(path), error.message,
                                      error.mend))

    def _do(self, steps: Steps, path: list[str | int]) -> None:
        for number, step in enumerate(steps):
            here = [*path, number]
            if isinstance(step, str):
                step = {step: "succeeded" if step == "end" else True}  # noqa: PLW2901
            kind = str(next(iter(step)))
            more = {str(key): value for key, value in step.items() if key != kind}
            with self._placed([*here, kind] if kind in self._node(here) else here):
                getattr(self, f"_step_{kind}")(step[kind], more, here)

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
            return self._texts.get(name, match[0]) if name else match[0]

        return _FIELD.sub(known, str(plain(value)))

    def _value(self, value: Any) -> Any:
        """Read a time: a text, a distribution, or {a setting or a variable}."""
        if isinstance(value, str) and (whole := _WHOLE.fullmatch(value.strip())):
            return getattr(self._c.v, whole[1])
        if isinstance(value, bool):
            raise ModelError(f"{value} is no time", mend="write 2s or {hold}")
        if isinstance(value, int):
            return int(value)
        return value_text(value)

    def _condition(self, text: Any) -> tree.Condition:
        match = _CONDITION.fullmatch(str(text))
        if match is None:
            raise ModelError(f"{text!r} is no condition", mend="write it as `n >= 3`")
        name, how, right = match.groups()
        subject: Any = name
        if name in (one.value for one in tree.Pseudo):
            subject = tree.Pseudo(name)
        try:
            constant = int(right)
        except ValueError:
            constant = parse_duration_ns(self._text(right))
        return tree.Condition(subject, tree.Compare(how), constant)

    def _message(self, more: Mapping[str, Any]) -> dict[str, Any]:
        """Arguments that all messages take."""
        found: dict[str, Any] = {}
        for key, value in more.items():
            if key == "headers":
                found[key] = {str(name): None if text is None else self._text(text)
                              for name, text in value.items()}
            elif key == "file":
                with open_file(str(value)) as data:
                    found["body"] = data
            elif key in ("start", "supported"):
                found[key] = _words(value)
            elif key in ("early", "reliable"):
                found[key] = bool(value)
            else:
                found["from_" if key == "from" else key] = self._text(value)
        return found

    # --- steps ---

    def _step_send(self, method: Any, more: dict[str, Any], _: list[str | int]) -> None:
        name = str(method)
        given = self._message({key: value for key, value in more.items() if key != "expires"})
        if "expires" in more:
            if name == "REGISTER":
                given["expires"] = self._expires(more["expires"])
            else:
                given.setdefault("headers", {})["Expires"] = self._text(more["expires"])
        simple = {"ACK": "ack", "BYE": "bye", "CANCEL": "cancel", "PRACK": "prack",
                  "REGISTER": "register"}
        if name in simple:
            self._call(getattr(self._c, simple[name]), given, name)
        else:
            self._call(self._c.send, {"method": name, **given}, name)

    def _expires(self, value: Any) -> Any:
        if value is None or isinstance(value, int):
            return value
        whole = _WHOLE.fullmatch(str(value).strip())
        if whole and whole[1] not in self._texts:
            return Variable(whole[1])
        return self._text(value)

    @staticmethod
    def _call(method: Callable[..., None], given: Mapping[str, Any], name: str) -> None:
        try:
            method(**given)
        except TypeError:
            import inspect

            known = inspect.signature(method).parameters
            wrong = next((key for key in given if key not in known), "")
            raise ModelError(f"{name} has no {wrong.rstrip('_')}",
                             mend=nearest(wrong, known)) from None

    def _step_raw(self, text: Any, more: dict[str, Any], _: list[str | int]) -> None:
        self._c.raw(self._text(text), leg=str(more.get("leg", "")),
                    start=_words(more.get("start", ())))

    def _step_respond(self, status: Any, more: dict[str, Any], _: list[str | int]) -> None:
        self._c.respond(int(status), **self._message(more))

    def _step_expect(self, cases: Any, more: dict[str, Any], here: list[str | int]) -> None:
        wait = self._c.expect(within=self._text(more.get("within", "")),
                              method=str(more.get("method", "")), leg=str(more.get("leg", "")))
        self._cases(wait, cases, [*here, "expect"])
        late = more.get("late")
        if isinstance(late, list):
            with wait.on_late():
                self._do(late, [*here, "late"])
        elif isinstance(late, dict):
            wait.late(end=str(late.get("end", "late")), ok=bool(late.get("ok", False)))
        elif late is not None:
            wait.late(end=str(late))

    def _step_pause(self, value: Any, more: dict[str, Any], here: list[str | int]) -> None:
        wait = self._c.pause(self._value(value), leg=str(more.get("leg", "")))
        if "on" in more:
            self._cases(wait, more["on"], [*here, "on"], pause=True)

    def _cases(self, wait: Wait, cases: Any, path: list[str | int], pause: bool = False) -> None:
        for pattern, action in cases.items():
            here = [*path, pattern]
            with self._placed(here):
                self._case(wait, str(pattern), action, here, pause)

    def _case(self, wait: Wait, pattern: str, action: Any, here: list[str | int],
              pause: bool) -> None:
        what = [int(one) if one.isdigit() else one
                for one in (part.strip() for part in pattern.split("|"))]
        if action == "optional":
            wait.optional(*what)
            return
        do: Steps | None = None
        if isinstance(action, list):
            action, do = {}, action
            path = here
        else:
            path = [*here, "do"]
            action = {"authenticate": True} if action == "authenticate" else action or {}
            do = action.get("do")
        stop, start = _words(action.get("stop", ())), _words(action.get("start", ()))
        method, end = str(action.get("method", "")), action.get("end")
        if what == ["else"]:
            wait.otherwise(end=str(end or "failed"), ok=bool(action.get("ok", False)))
        elif action.get("authenticate"):
            given = action["authenticate"]
            given = {} if given is True else {
                str(key): plain(value) if isinstance(value, bool | int) else self._text(value)
                for key, value in given.items()}
            wait.auth(*[int(one) for one in what], **given)
        elif end is not None and do is None:
            wait.ends(*what, end=str(end), ok=bool(action.get("ok", False)), method=method)
        elif do is None and not pause and action.get("optional"):
            wait.optional(*what, stop=stop, start=start, method=method)
        elif do is None and not pause:
            wait.takes(*what, stop=stop, start=start)
        else:
            then = str(action.get("then", "stay" if action.get("optional") or pause else "go on"))
            with wait.on(*what, then=then, method=method, leg=action.get("leg")):
                self._c.stop(*stop)
                self._c.start(*start)
                self._do(do or [], path)
                if end is not None:
                    self._c.end(str(end), ok=bool(action.get("ok", False)))

    def _step_start(self, clocks: Any, _: Any, __: Any) -> None:
        self._c.start(*_words(clocks))

    def _step_stop(self, clocks: Any, _: Any, __: Any) -> None:
        self._c.stop(*_words(clocks))

    def _step_set(self, values: Node, _: Any, __: Any) -> None:
        for name, value in values.items():
            self._c.set(str(name), self._value(value))

    def _step_add(self, values: Node, _: Any, __: Any) -> None:
        for name, value in values.items():
            self._c.add(str(name), self._value(value))

    def _step_mul(self, values: Node, _: Any, __: Any) -> None:
        for name, value in values.items():
            self._c.mul(str(name), float(value))

    def _step_text(self, values: Node, more: dict[str, Any], _: Any) -> None:
        for name, value in values.items():
            self._c.text(str(name), self._text(value), escaped=bool(more.get("escaped", False)))

    def _step_extract(self, values: Node, more: dict[str, Any], _: Any) -> None:
        for name, what in values.items():
            self._c.extract(str(name), str(what), reg_id=int(more.get("reg_id", 0)))

    def _step_capture(self, values: Node, more: dict[str, Any], _: Any) -> None:
        for name, what in values.items():
            self._c.capture(str(name), str(what), leg=str(more.get("leg", "")))

    def _step_if(self, condition: Any, more: dict[str, Any], here: list[str | int]) -> None:
        with self._if(condition):
            self._do(more.get("then", []), [*here, "then"])
        if "else" in more:
            with self._c.else_():
                self._do(more["else"], [*here, "else"])

    def _if(self, condition: Any) -> Any:
        if not isinstance(condition, dict):
            return self._c.if_(self._condition(condition))
        words = {str(key): str(value) for key, value in condition.items()}
        if words.keys() <= {"header", "has"} and "header" in words:
            return self._c.if_header(words["header"], words.get("has", ""))
        if words.keys() == {"body"}:
            return self._c.if_body(words["body"])
        if words.keys() == {"text", "is"}:
            return self._c.if_text(words["text"], self._text(words["is"]))
        raise ModelError("no condition", mend="write `n >= 3`, {header: NAME, has: ITEM}, "
                                              "{body: BEGIN}, or {text: NAME, is: TEXT}")

    def _step_loop(self, times: Any, more: dict[str, Any], here: list[str | int]) -> None:
        value: Any = times
        if isinstance(times, str) and (whole := _WHOLE.fullmatch(times.strip())):
            value = getattr(self._c.v, whole[1])
        if value in (None, "forever"):
            wanted: Any = None
        elif isinstance(value, int) and not isinstance(value, bool):
            wanted = int(value)
        else:
            wanted = self._condition(value)
        with self._c.loop(wanted):
            self._do(more.get("do", []), [*here, "do"])

    def _step_chance(self, share: Any, more: dict[str, Any], here: list[str | int]) -> None:
        with self._c.chance(self._text(share)):
            self._do(more.get("do", []), [*here, "do"])

    def _step_label(self, name: Any, _: Any, __: Any) -> None:
        self._c.label(str(name))

    def _step_jump(self, label: Any, more: dict[str, Any], _: Any) -> None:
        when = self._condition(more["when"]) if "when" in more else None
        self._c.jump(str(label), when, anew=bool(more.get("anew", False)))

    def _step_authenticate(self, label: Any, more: dict[str, Any], _: Any) -> None:
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

    def _step_count(self, what: Any, _: Any, __: Any) -> None:
        if isinstance(what, dict):
            for name, amount in what.items():
                self._c.count(str(name), int(amount))
        else:
            self._c.count(str(what))

    def _step_end(self, outcome: Any, more: dict[str, Any], _: Any) -> None:
        self._c.end(str(outcome), ok=bool(more.get("ok", False)))

    def _step_challenge(self, values: Node, more: dict[str, Any], here: list[str | int]) -> None:
        given = {str(key): plain(value) if isinstance(value, bool | int) else self._text(value)
                 for key, value in values.items()}
        with self._challenge(given):
            self._do(more.get("do", []), [*here, "do"])

    def _challenge(self, given: dict[str, Any]) -> Any:
        known = ("password", "realm", "kind", "proxy", "life")
        for key in given:
            if key not in known:
                raise ModelError(f"challenge has no {key}", mend=nearest(key, known))
        if "password" not in given or "realm" not in given:
            raise ModelError("challenge needs a password and a realm", mend="give both")
        return self._c.challenge(given.pop("password"), **given)

    def _step_bind(self, values: Node, more: dict[str, Any], _: Any) -> None:
        given = {str(key): int(value) for key, value in values.items()}
        self._call(lambda **all_: self._c.bind(str(more.get("into", "verdict")), **all_), given,
                   "bind")

    def _step_knows(self, names: Any, _: Any, __: Any) -> None:
        self._c.knows(*_words(names))

    def _step_supports(self, names: Any, _: Any, __: Any) -> None:
        self._c.supports(*_words(names))


@contextmanager
def open_file(name: str) -> Iterator[bytes]:
    """Octets of a file that a step names."""
    from siploadgen.model.settings import read_file

    yield read_file(name)


def _words(value: Any) -> tuple[str, ...]:
    return tuple(value.split()) if isinstance(value, str) else tuple(str(one) for one in value)


def _setting_texts(recorder: Recorder) -> dict[str, str]:
    """Find what stands for each setting in a text: for texts, numbers, yes and no."""
    settings: Mapping[str, Any] = vars(recorder.v)["_settings"]
    found = {}
    for name, value in settings.items():
        if isinstance(value, bool):
            found[name] = "yes" if value else "no"
        elif isinstance(value, int):
            found[name] = str(value)
        elif isinstance(value, str):
            # What it holds itself is no field, but for a URI or a text that was meant to have some.
            found[name] = value if "{" in value else literal(value)
    return found


def steps_schema() -> dict[str, Any]:
    """JSON Schema of a list of steps, for editors."""
    forms: dict[str, Any] = {
        TEXT: {"type": ["string", "number"]}, WORDS: {"type": ["string", "array"]},
        FLAG: {"type": "boolean"}, COUNT: {"type": "integer"}, HEADERS: {"type": "object"},
        STEPS_: {"$ref": "#/$defs/steps"}, ANY: {}, VALUE: {}, "cases": {"type": "object"},
        "assign": {"type": "object"}, "condition": {"type": ["string", "object"]},
    }
    kinds = [{
        "type": "object", "required": [name], "additionalProperties": False,
        "properties": {name: {**forms[form.own], "description": form.help},
                       **{key: forms[kind] for key, kind in form.more.items()}},
    } for name, form in STEPS.items()]
    return {"type": "array", "minItems": 1,
            "items": {"anyOf": [*kinds, {"enum": ["resend", "leave", "binding", "end"]}]}}
