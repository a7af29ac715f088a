"""How verbs are found, and how their words are read without loading what a plain word needs not."""

import importlib
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

# Verb and module, in the order of the help.
VERBS: Mapping[str, str] = MappingProxyType({
    name: f"siploadgen.cli.{name}"
    for name in ("run", "answer", "capacity", "overload", "new", "check", "show", "inspect", "plan",
                 "report", "compare", "metrics", "selftest", "doctor", "models")})


class Group(TyperGroup):
    """A group of verbs, whose own plain words are taken as they are."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Return the options before the verb."""
        return _eased(super().get_params(ctx))


class Verbs(Group):
    """The verbs of the command. The module of each is imported when the verb is looked at."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002
        """Name the verbs."""
        return list(VERBS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002
        """Return a verb; None when there is none of that name."""
        # A name that is none: all are loaded, for typer to suggest one that is near.
        for name in (cmd_name,) if cmd_name in VERBS else VERBS:
            if name not in self.commands:
                command = get_command(importlib.import_module(VERBS[name]).app)
                command.name = name
                self.commands[name] = command
        return self.commands.get(cmd_name)


class Verb(TyperCommand):
    """A command whose plain words are taken as they are."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Return arguments and options."""
        return _eased(super().get_params(ctx))


def _eased(parameters: list[Any]) -> list[Any]:
    """Let plain words of these parameters be taken as they are.

    Typer reads every parameter by a pydantic adapter; loading pydantic and building the adapters
    takes longer than a short run. What a parameter says of its type decides whether a word is
    plain; any other goes typer's own way, which also words the error.
    """
    for parameter in parameters:
        if "get_runtime_param" not in vars(parameter) and hasattr(parameter, "get_runtime_param"):
            vars(parameter)["get_runtime_param"] = _Reader(parameter.get_runtime_param).itself
    return parameters


class _Reader:
    """Reads the values of one parameter."""

    def __init__(self, own: Callable[[], Any]) -> None:
        self._own = own

    def itself(self) -> "_Reader":
        """Return this reader, where typer would build its own."""
        return self

    def coerce(self, value: Any, param: Any, ctx: typer.Context) -> Any:
        """Return the value of a word, of a list of words, or of a default."""
        try:
            return plain(value, param)
        except LookupError:
            return self._own().coerce(value, param=param, ctx=ctx)


def plain(value: Any, param: Any) -> Any:
    """Read a value that needs no more than a look. Raises LookupError for any other.

    Words are ASCII here: pydantic refuses those that are no Unicode.
    """
    if value is None:
        return () if param.multiple or param.nargs == -1 else None
    kind = param.type_descriptor
    if param.multiple or param.nargs == -1:
        if kind.annotation == list[str] and all(_is_word(word) for word in value):
            return value
    elif kind.choices is not None:
        if _is_word(value) and value in kind.choices:
            return value
    elif kind.annotation is str:
        if _is_word(value):
            return value
    elif kind.annotation is bool:
        if isinstance(value, bool):
            return value
    elif kind.annotation is int:
        number = int(value) if _is_word(value) and value.isdigit() else value
        low, high = kind.parameter_info.min, kind.parameter_info.max
        if type(number) is int and (low is None or low <= number) and (
                high is None or number <= high):
            return number
    raise LookupError


def _is_word(value: Any) -> bool:
    return isinstance(value, str) and value.isascii()


def single(function: Callable[..., None], verb: type[Verb] = Verb) -> typer.Typer:
    """Make the app of a verb that is one function."""
    app = new_app()
    app.command(cls=verb)(function)
    return app


def new_app(**attributes: Any) -> typer.Typer:
    """Make an app that is a verb, or has verbs of its own."""
    return typer.Typer(cls=Group, context_settings={"help_option_names": ["-h", "--help"]},
                       add_completion=False, rich_markup_mode=None, **attributes)
