"""Layers of configuration: who may say what an option is, and who says it in the end.

From the bottom: defaults, the file of the user, that of the project, the scenario file, a profile,
the environment, the command line. What is found nowhere costs nothing: pydantic is loaded only for
files and variables that there are.
"""

import contextlib
import difflib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from siploadgen import units
from siploadgen.errors import UsageError
from siploadgen.model.errors import nearest
from siploadgen.model.located import Fault, FileError

if TYPE_CHECKING:
    from pydantic import ValidationError

    from siploadgen.config.options import Option
    from siploadgen.config.toml import Document

DEFAULT, USER, PROJECT = "default", "user file", "project file"
SCENARIO, ENVIRONMENT, COMMAND = "scenario file", "environment", "command line"
PREFIX = "SIPLOADGEN_"
PROJECT_FILE, PYPROJECT = "siploadgen.toml", "pyproject.toml"
TABLES = ("set", "limit")  # merged name by name
ADDED = ("threshold",)  # what one layer says holds beside what another says
# What the executors of a scenario file say together, whatever layers below say.
LOAD = ("rate", "duration", "calls", "ramp", "warmup", "arrival")
RIVALS = {"target": "self", "self": "target"}
_TRUE, _FALSE = ("1", "true", "yes", "on"), ("0", "false", "no", "off")
_MENDS = {"bool_type": "write true or false, without quotes",
          "int_type": "write a whole number, without quotes",
          "list_type": 'write a list, such as ["..."]', "dict_type": "write a table"}


@dataclass(frozen=True, slots=True)
class Given:
    """A value, who gave it, and where. `key` is the name in a table; None: as by default."""

    name: str
    value: Any  # a word of the command line, a list of them, a number, or true and false
    layer: str
    place: str
    key: str = ""


@dataclass(slots=True)
class Sources:
    """What files and the environment say, layer by layer."""

    user: list[Given] = field(default_factory=list)
    project: list[Given] = field(default_factory=list)
    profiles: dict[str, list[Given]] = field(default_factory=dict)
    environment: list[Given] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Known:
    """The options of the commands that can be configured."""

    run: "Sequence[Option]"
    answer: "Sequence[Option]"


def user_file(environ: Mapping[str, str] = os.environ) -> Path | None:
    """Return the file of the user, if there is one; a relative XDG_CONFIG_HOME counts as none."""
    folder = Path(environ.get("XDG_CONFIG_HOME", ""))
    try:
        if not folder.is_absolute():
            folder = Path.home() / ".config"
        path = folder / "siploadgen" / "config.toml"
        return path if path.is_file() else None
    except (OSError, RuntimeError):  # no home, or one that cannot be looked into
        return None


def project_file(folder: Path) -> tuple[Path, tuple[str, ...]] | None:
    """Return the file of the project, found from a folder upwards, and the path to its table.

    FileError: two in one folder, or a pyproject.toml that cannot be read.
    """
    for here in (folder, *folder.parents):
        own, shared = here / PROJECT_FILE, here / PYPROJECT
        second = _has_table(shared)
        if own.is_file():
            if second:
                raise FileError([Fault(_shown(own), 0, 0, "", "pyproject.toml beside it has "
                                       "[tool.siploadgen]", "keep one of the two")])
            return own, ()
        if second:
            return shared, ("tool", "siploadgen")
    return None


def _has_table(path: Path) -> bool:
    try:
        if not path.is_file() or b"siploadgen" not in path.read_bytes():
            return False
    except OSError:
        return False
    from siploadgen.config import toml

    return toml.table(toml.load(_shown(path)), ("tool", "siploadgen")) is not None


def _shown(path: Path) -> str:
    """Name of a file: short where it is below the working directory."""
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


def read_sources(section: str, known: Callable[[], Known],
                 environ: Mapping[str, str] = os.environ) -> Sources:
    """Read files and environment for `run` or `answer`. FileError with everything wrong."""
    found = Sources()
    faults: list[Fault] = []
    project = None
    try:
        project = project_file(Path.cwd())
    except FileError as error:
        faults += error.faults
    mine = user_file(environ)
    for layer, file, prefix in ((USER, mine, ()), (PROJECT, *(project or (None, ())))):
        if file is None:
            continue
        from siploadgen.config import toml

        try:
            document = toml.load(_shown(file))
            read = _read_document(document, prefix, known())
        except FileError as error:
            faults += error.faults
            continue
        rows = _givens(read, section, layer, document, prefix)
        (found.user if layer == USER else found.project).extend(rows)
        for name in read.get("profiles") or {} if section == "run" else ():
            found.profiles.setdefault(name, []).extend(_givens(
                read["profiles"][name], "", f"profile {name}", document,
                (*prefix, "profiles", name)))
    variables = {name: text for name, text in environ.items() if name.startswith(PREFIX) and text}
    if variables:
        found.environment = _read_environment(variables, section, known(), faults)
    if faults:
        raise FileError(faults)
    return found


# --- files ---


def _read_document(document: "Document", prefix: tuple[str, ...], known: Known) -> dict[str, Any]:
    """Check a whole file. FileError with all its faults."""
    from pydantic import ValidationError

    from siploadgen.config import toml
    from siploadgen.config.options import config_model

    try:
        read = config_model(known.run, known.answer).model_validate(
            toml.table(document, prefix) or {})
    except ValidationError as error:
        raise FileError(_faults(error, document, prefix, known)) from None
    return read.model_dump(by_alias=True, exclude_unset=True)


def _faults(error: "ValidationError", document: "Document", prefix: tuple[str, ...],
            known: Known) -> Iterator[Fault]:
    for one in error.errors(include_url=False):
        steps: list[str | int] = list(one["loc"])
        message, mend = _told(one)
        if one["type"] == "extra_forbidden":
            if len(steps) == 1:
                names = [*(option.name for option in known.run), "answer", "profiles"]
            else:
                names = [option.name for option in
                         (known.answer if steps[0] == "answer" else known.run)
                         if option.name != "profile"]
            message, mend = "unknown key", nearest(str(steps[-1]), names)
        word = message.partition(":")[0]  # of a table: its readers name the key
        if steps and steps[-1] in TABLES and ": " in message:
            steps, message = [*steps, word], message.partition(": ")[2]
        yield document.fault((*prefix, *steps), message, mend)


def _told(error: Any) -> tuple[str, str]:
    message = str(error["msg"]).removeprefix("Value error, ")
    return message[:1].lower() + message[1:], _MENDS.get(error["type"], "")


def _givens(read: Mapping[str, Any], section: str, layer: str, document: "Document",
            prefix: tuple[str, ...]) -> list[Given]:
    if section == "answer":
        read, prefix = read.get("answer") or {}, (*prefix, "answer")
    folder = Path(document.file).parent
    found = []
    for name, value in read.items():
        if value is None or (section == "run" and name in ("answer", "profiles")):
            continue
        word = _beside(value, folder) if name == "users" else value
        found += [replace(one, place=_place(document, (*prefix, name, *steps)))
                  for one, steps in _entries(name, word, layer)]
    return found


def _place(document: "Document", path: Sequence[str | int]) -> str:
    line, column = document.place(path)
    return f"{document.file}:{line}:{column}"


def _entries(name: str, value: Any, layer: str,
             place: str = "") -> Iterator[tuple[Given, tuple[str | int, ...]]]:
    """Take apart what is merged: each entry of a table, each threshold, with the path to it."""
    if name in TABLES:
        for key, text in value.items():
            yield Given(name, text, layer, place, key), (key,)
    elif name in ADDED:
        for number, text in enumerate(value):
            yield Given(name, text, layer, place), (number,)
    else:
        yield Given(name, value, layer, place), ()


def _beside(users: str, folder: Path) -> str:
    """Return the path of a file that is named relative to the file that names it."""
    if (folder / users).exists():
        return str(folder / users)
    with contextlib.suppress(UsageError):
        units.parse_count(users)
        return users
    return str(folder / users)


# --- the environment ---


def _read_environment(variables: Mapping[str, str], section: str, known: Known,
                      faults: list[Fault]) -> list[Given]:
    """Read the variables of a command.

    A name that is none is a fault when it is nearly one; others belong to other programs.
    """
    from pydantic import ValidationError

    from siploadgen.config.options import options_model

    names = {section: {f"{PREFIX}{f'{section}_' if section == 'answer' else ''}{one.name}".upper():
                       one for one in options}
             for section, options in (("run", known.run), ("answer", known.answer))}
    model = options_model("Environment", [*names[section].values()])
    every = {**names["run"], **names["answer"]}
    found: list[Given] = []
    for variable, text in sorted(variables.items()):
        if variable not in every:
            word = variable.removeprefix(PREFIX)
            close = difflib.get_close_matches(word, [one.removeprefix(PREFIX) for one in every],
                                              n=1, cutoff=0.75)
            if close:
                faults.append(_fault(variable, "there is no such option",
                                     f'did you mean "{PREFIX}{close[0]}"?'))
            continue
        if variable not in names[section]:
            continue
        option = every[variable]
        try:
            read = model.model_validate({option.name: _typed(option, text)})
        except (ValidationError, ValueError) as error:
            told = _reasons(error)
            faults += [_fault(variable, *one) for one in told]
            continue
        value = read.model_dump(by_alias=True, exclude_unset=True)[option.name]
        found += [one for one, _ in _entries(option.name, value, ENVIRONMENT, variable)]
    return found


def _reasons(error: ValueError) -> list[tuple[str, str]]:
    if hasattr(error, "errors"):  # pydantic's
        return [_told(one) for one in error.errors(include_url=False)]
    return [(str(error), "")]


def _fault(variable: str, message: str, mend: str = "") -> Fault:
    return Fault(ENVIRONMENT, 0, 0, variable, message, mend)


def _typed(option: "Option", text: str) -> Any:
    """Return what a file would hold in the place of a text. Raises ValueError."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    match option.kind:
        case "flag":
            word = text.strip().lower()
            if word not in (*_TRUE, *_FALSE):
                raise ValueError(f'"{text}": write yes or no')
            return word in _TRUE
        case "number":
            return int(text) if text.strip().isdecimal() else text
        case "list":
            return lines
        case "table":
            pairs = [line.partition("=") for line in lines]
            if any(not equals or not name.strip() for name, equals, _ in pairs):
                raise ValueError("write NAME=VALUE, each on a line of its own")
            return {name.strip(): value.strip() for name, _, value in pairs}
    return text


# --- scenario files ---


def of_job(job: Any) -> list[Given]:
    """Return what a scenario file says of options, and what the profile in it does."""
    from siploadgen.model.located import place
    from siploadgen.report.writers import default_path

    file = job.file
    if job.root is None:
        return []
    profiled = job.profiled()

    def given(name: str, value: Any, path: Sequence[str | int], key: str = "") -> Given:
        line, column = place(job.root, path)
        steps = [str(step) for step in path]
        inside = any(one == steps[: len(one)] or steps == one[: len(steps)] for one in profiled)
        layer = f"profile {job.profile}" if inside else SCENARIO
        return Given(name, value, layer, f"{job.path}:{line}:{column}", key)

    found = []
    for key in file.model_fields_set:
        value = getattr(file, key)
        if key == "outputs":
            found.append(given("out", [default_path(kind) for kind in value], [key]))
        elif key == "limits":
            found += [given("limit", str(one), [key, name], name) for name, one in value.items()]
        elif key == "target" and value is not None:
            found.append(given(key, job.target, [key]))
        elif key in OF_FILES and value is not None:
            word = value if isinstance(value, bool) or key in ("seed", "gso_group") else str(value)
            found.append(given(key, word, [key]))
    found += [given("threshold", text, path)
              for text, path in zip(job.thresholds, job.threshold_paths, strict=True)]
    whole = [work for work in job.works if work.executor is not None]
    if whole or len(job.works) > 1:
        one = (whole or job.works)[0].name
        found += [given(name, None, ["scenarios", one]) for name in LOAD]
    elif "warmup" in file.model_fields_set:
        warmup = str(job.root["warmup"])
        found.append(given("warmup", warmup, ["warmup"]))
    return found


# Keys of a scenario file that are options of the same name.
OF_FILES = ("seed", "workers", "local", "gso", "gso_group", "linger", "coalesce", "t1", "t2", "t4",
            "graceful_stop", "max_calls", "compact", "contact", "obey_overload", "strict", "dns",
            "ui")


# --- who wins ---


def settle(layers: Iterable[Sequence[Given]]) -> dict[str, list[Given]]:
    """Return what holds of layers from low to high: one value of an option, or what is merged.

    >>> low = [Given("rate", "1k", USER, "x"), Given("set", "2s", USER, "x", "hold")]
    >>> high = [Given("rate", "2k", COMMAND, "--rate"), Given("set", "1", COMMAND, "--set", "n")]
    >>> {name: [one.value for one in rows] for name, rows in settle([low, high]).items()}
    {'rate': ['2k'], 'set': ['2s', '1']}
    """
    found: dict[str, list[Given]] = {}
    for layer in layers:
        before = dict(found)
        for one in layer:
            if one.name in TABLES:
                rest = [other for other in found.get(one.name, []) if other.key != one.key]
                found[one.name] = [*rest, one]
            elif one.name in ADDED:
                found[one.name] = [*found.get(one.name, []), one]
            else:
                found[one.name] = [one]
        for name, rival in RIVALS.items():
            mine = next((one for one in layer if one.name == name and one.value), None)
            if mine is not None and not any(one.name == rival for one in layer) \
                    and rival in before:
                del found[rival]
    return found
