"""Values of scenario files: texts as on the command line, read into numbers."""

from collections.abc import Callable, Mapping
from typing import Annotated, Any, TypeAlias, TypeVar

from pydantic import BeforeValidator, WithJsonSchema

from siploadgen import units
from siploadgen.errors import UsageError
from siploadgen.load.arrivals import Arrival, parse_arrival, parse_ramp
from siploadgen.load.feeds import Pick, parse_pick
from siploadgen.model.errors import ModelError, nearest
from siploadgen.model.yaml import value_text
from siploadgen.report.limits import LIMITS, parse_limits
from siploadgen.report.thresholds import parse_threshold
from siploadgen.report.writers import KINDS, default_path, parse_outputs

Value = TypeVar("Value")


def _read(parse: Callable[[str], Value], *kinds: type[Value]) -> Callable[[Any], Value]:
    """Make pydantic's validator of a reader of texts."""
    def read(value: Any) -> Value:
        if isinstance(value, kinds):
            return value
        if isinstance(value, bool | dict | list) or value is None:
            raise ValueError("write it as a text")
        try:
            return parse(str(value))
        except UsageError as error:
            text = str(error)
            raise ValueError(text.partition(": ")[2] or text) from None

    return read


def _distribution(value: Any) -> str:
    from siploadgen.model.values import parse_distribution

    try:
        text = value_text(value)
        parse_distribution(text)
    except ModelError as error:
        raise ValueError(f"{error.message} ({error.mend})") from None
    return text


def _text(*examples: str) -> WithJsonSchema:
    return WithJsonSchema({"type": ["string", "number"], "examples": list(examples)})


_NUMBER = r"([0-9]+(\.[0-9]*)?|\.[0-9]+)"
DURATION_JSON: dict[str, Any] = {
    "anyOf": [{"const": 0}, {"type": "string",
                             "pattern": rf"^\s*(0+|({_NUMBER}(ns|us|µs|ms|s|m|h|d))+)\s*$"}],
    "examples": ["30s", "1h30m"]}
RATE_JSON: dict[str, Any] = {
    "anyOf": [{"type": "number", "minimum": 0},
              {"type": "string", "pattern": rf"^\s*{_NUMBER}[kKMG]?(/1?[smh])?\s*$"}],
    "examples": ["500/s", "1.8M/h"]}
COUNT_JSON: dict[str, Any] = {
    "anyOf": [{"type": "integer", "minimum": 0},
              {"type": "string", "pattern": rf"^\s*{_NUMBER}[kKMG]?\s*$"}],
    "examples": ["10k"]}
SHARE_JSON: dict[str, Any] = {
    "anyOf": [{"enum": [0, 1]}, {"type": "string", "pattern": rf"^\s*([01]|{_NUMBER}%)\s*$"}],
    "examples": ["3%"]}

Duration: TypeAlias = Annotated[int, BeforeValidator(_read(units.parse_duration)),
                                WithJsonSchema(DURATION_JSON)]
Rate: TypeAlias = Annotated[float, BeforeValidator(_read(units.parse_rate, float)),
                            WithJsonSchema(RATE_JSON)]
Count: TypeAlias = Annotated[int, BeforeValidator(_read(units.parse_count)),
                             WithJsonSchema(COUNT_JSON)]
Process: TypeAlias = Annotated[Arrival, BeforeValidator(_read(parse_arrival, Arrival)),
                               _text("uniform", "poisson", "batch(10)")]
Picked: TypeAlias = Annotated[Pick, BeforeValidator(_read(parse_pick, Pick)),
                              _text("sequential", "unique", "random", "zipf(1)")]
Time: TypeAlias = Annotated[str, BeforeValidator(_distribution),
                            WithJsonSchema({"type": ["string", "number", "object"],
                                            "examples": ["5s", "exponential(30s)"]})]


# --- words: texts that are checked and stay as the command line has them ---


def _said(error: UsageError, text: str) -> ValueError:
    """Leave out of a message what its place says already."""
    message, quoted = str(error), f'"{text}": '
    return ValueError(quoted + message.partition(quoted)[2] if quoted in message
                      else message.partition(": ")[2] or message)


def _word(parse: Callable[[str], object] | None = None) -> BeforeValidator:
    """Make a reader of texts and numbers."""
    def read(value: Any) -> str:
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise ValueError("write it as a text")
        text = str(value)
        if parse is not None:
            try:
                parse(text)
            except UsageError as error:
                raise _said(error, text) from None
        return text

    return BeforeValidator(read)


def _auto(text: str) -> object:
    try:
        return text if text == "auto" else units.parse_duration(text)
    except UsageError:
        raise UsageError(f'linger "{text}": write auto, or a time such as 0s or 5s') from None


def _workers(text: str) -> object:
    if text != "auto" and not 1 <= (int(text) if text.isdecimal() else 0) <= 64:
        raise UsageError(f'workers "{text}": a number from 1 to 64, or auto')
    return text


def _output(text: str) -> object:
    """Read a kind, with or without its path, or a folder that is written as one."""
    if "/" not in text and "=" not in text and default_path(text) == text:
        raise UsageError(f'outputs "{text}": there is no such kind ({nearest(text, KINDS)}); a '
                         "folder ends in /")
    return parse_outputs([default_path(text)])


def entry_text(table: str, name: str, value: Any) -> str:
    """Write a value of a table as the command line has it. Raises ValueError, "NAME: why".

    >>> entry_text("set", "hold", "2s"), entry_text("set", "video", True)
    ('2s', 'yes')
    """
    if not isinstance(value, bool | str | int | float):
        raise ValueError(f"{name}: write a text, a number, true or false")
    text = ("yes" if value else "no") if isinstance(value, bool) else str(value)
    if table == "limit":
        if name not in LIMITS:
            raise ValueError(f"{name}: there is no such limit ({nearest(name, LIMITS)})")
        try:
            parse_limits([f"{name}={text}"])
        except UsageError as error:
            raise ValueError(f"{name}: {_said(error, text)}") from None
    return text


def _table(name: str) -> BeforeValidator:
    """Make a reader of a table of values, such as the settings of a model."""
    def read(value: Any) -> dict[str, str]:
        if not isinstance(value, Mapping):
            raise ValueError(f"write a table, such as [{name}]")
        return {str(key): entry_text(name, str(key), one) for key, one in value.items()}

    return BeforeValidator(read)


_SCALAR = {"type": ["string", "number", "boolean"]}
Word: TypeAlias = Annotated[str, _word(), _text()]
DurationWord: TypeAlias = Annotated[str, _word(units.parse_duration), WithJsonSchema(DURATION_JSON)]
RateWord: TypeAlias = Annotated[str, _word(units.parse_rate), WithJsonSchema(RATE_JSON)]
CountWord: TypeAlias = Annotated[str, _word(units.parse_count), WithJsonSchema(COUNT_JSON)]
ShareWord: TypeAlias = Annotated[str, _word(units.parse_share), WithJsonSchema(SHARE_JSON)]
LingerWord: TypeAlias = Annotated[str, _word(_auto), WithJsonSchema(
    {"anyOf": [{"const": "auto"}, *DURATION_JSON["anyOf"]]})]
WorkersWord: TypeAlias = Annotated[str, _word(_workers), WithJsonSchema(
    {"anyOf": [{"const": "auto"}, {"type": "integer", "minimum": 1, "maximum": 64},
               {"type": "string", "pattern": "^[0-9]+$"}]})]
ArrivalWord: TypeAlias = Annotated[str, _word(parse_arrival), WithJsonSchema(
    {"type": "string", "pattern": r"^\s*(uniform|poisson|batch\(.*\))\s*$"})]
LocalWord: TypeAlias = Annotated[str, _word(units.parse_local), _text("10.0.0.1:5060")]
ListenWord: TypeAlias = Annotated[str, _word(units.parse_listen), _text("udp:127.0.0.1:5060")]
RampWord: TypeAlias = Annotated[str, _word(parse_ramp), _text("2k/s:1m")]
ThresholdWord: TypeAlias = Annotated[str, _word(parse_threshold), _text("srd: p(99) < 150ms")]
OutWord: TypeAlias = Annotated[str, _word(lambda text: parse_outputs([text])),
                               _text("run1/", "junit=junit.xml")]
OutputKind: TypeAlias = Annotated[str, _word(_output), WithJsonSchema(
    {"anyOf": [{"enum": [*KINDS]}, {"type": "string", "pattern": "[/=]"}]})]
SettingTable: TypeAlias = Annotated[dict[str, str], _table("set"), WithJsonSchema(
    {"type": "object", "additionalProperties": _SCALAR})]
LimitTable: TypeAlias = Annotated[dict[str, str], _table("limit"), WithJsonSchema(
    {"type": "object", "properties": dict.fromkeys(LIMITS, _SCALAR),
     "additionalProperties": False})]
