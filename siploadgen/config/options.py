"""What a configuration may say: the options of `run` and `answer`, as pydantic models.

The models are made from the options of the commands, so that whatever a command takes a file may
hold; what a text must look like is said here, by the name of the option.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, Field, StrictBool, create_model

from siploadgen.config.fields import (
    ArrivalWord,
    CountWord,
    DurationWord,
    LimitTable,
    LingerWord,
    ListenWord,
    LocalWord,
    OutWord,
    RampWord,
    RateWord,
    SettingTable,
    ShareWord,
    ThresholdWord,
    Word,
    WorkersWord,
)
from siploadgen.config.schema import Strict

Kind: TypeAlias = Literal["flag", "number", "text", "choice", "list", "table"]


@dataclass(frozen=True, slots=True)
class Option:
    """An option of a command: its long name with underscores, and what it takes."""

    name: str
    kind: Kind
    choices: tuple[str, ...] = ()
    least: int | None = None
    most: int | None = None
    help: str = ""


_TEXT: Mapping[str, Any] = {
    **dict.fromkeys(("duration", "warmup", "graceful_stop", "coalesce", "t1", "t2", "t4",
                     "retry_after", "oc_validity"), DurationWord),
    **dict.fromkeys(("rate", "rate_limit"), RateWord),
    **dict.fromkeys(("calls", "max_calls"), CountWord),
    "linger": LingerWord, "workers": WorkersWord, "arrival": ArrivalWord, "local": LocalWord,
    "listen": ListenWord, "drop": ShareWord,
}
_NUMBERS: Mapping[str, tuple[int, int]] = {"gso_group": (1, 64)}
_ITEMS: Mapping[str, Any] = {"ramp": RampWord, "threshold": ThresholdWord, "out": OutWord}


def _type(option: Option) -> Any:
    match option.kind:
        case "flag":
            return StrictBool
        case "choice":
            return Literal[option.choices]
        case "number":
            least, most = _NUMBERS.get(option.name, (option.least, option.most))
            return Annotated[int, Field(strict=True, ge=least, le=most)]
        case "table":
            return LimitTable if option.name == "limit" else SettingTable
        case "list":
            return list[_ITEMS.get(option.name, Word)]  # type: ignore[misc]
    return _TEXT.get(option.name, Word)


def options_model(title: str, options: Sequence[Option], **more: Any) -> type[BaseModel]:
    """Make the model of a table of options; `more` are further fields.

    >>> model = options_model("Options", [Option("rate", "text"), Option("self", "flag")])
    >>> model.model_validate({"rate": "2k", "self": True}).model_dump(by_alias=True)
    {'rate': '2k', 'self': True}
    """
    fields: dict[str, Any] = {
        f"option_{one.name}": (_type(one), Field(default=None, alias=one.name,
                                                 description=one.help))
        for one in options}
    return create_model(title, __base__=Strict, **fields, **more)


def config_model(run: Sequence[Option], answer: Sequence[Option]) -> type[BaseModel]:
    """Make the model of a whole file: options of `run`, and the tables `answer` and `profiles`."""
    of_run = options_model("Profile", [one for one in run if one.name != "profile"])
    of_answer = options_model("Answer", answer)
    return options_model(
        "Configuration", run,
        option_answer=(of_answer, Field(default=None, alias="answer",
                                        description="options of `answer`")),
        option_profiles=(dict[str, of_run], Field(  # type: ignore[valid-type]
            default={}, alias="profiles", description="options that --profile NAME puts over "
                                                      "those of files")))


def config_schema(run: Sequence[Option], answer: Sequence[Option]) -> dict[str, Any]:
    """JSON Schema of `siploadgen.toml`, for editors."""
    found = config_model(run, answer).model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **found,
            "title": "A configuration of siploadgen"}
