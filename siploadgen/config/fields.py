"""Values of scenario files: texts as on the command line, read into numbers."""

from collections.abc import Callable
from typing import Annotated, Any, TypeAlias, TypeVar

from pydantic import BeforeValidator, WithJsonSchema

from siploadgen import units
from siploadgen.errors import UsageError
from siploadgen.load.arrivals import Arrival, parse_arrival
from siploadgen.load.feeds import Pick, parse_pick
from siploadgen.model.errors import ModelError
from siploadgen.model.yaml import value_text

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


Duration: TypeAlias = Annotated[int, BeforeValidator(_read(units.parse_duration)),
                                _text("30s", "1h30m")]
Rate: TypeAlias = Annotated[float, BeforeValidator(_read(units.parse_rate, float)),
                            _text("500/s", "1.8M/h")]
Count: TypeAlias = Annotated[int, BeforeValidator(_read(units.parse_count)), _text("10k")]
Process: TypeAlias = Annotated[Arrival, BeforeValidator(_read(parse_arrival, Arrival)),
                               _text("uniform", "poisson", "batch(10)")]
Picked: TypeAlias = Annotated[Pick, BeforeValidator(_read(parse_pick, Pick)),
                              _text("sequential", "unique", "random", "zipf(1)")]
Time: TypeAlias = Annotated[str, BeforeValidator(_distribution),
                            WithJsonSchema({"type": ["string", "number", "object"],
                                            "examples": ["5s", "exponential(30s)"]})]
