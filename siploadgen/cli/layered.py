"""Verbs whose options may also stand in files and the environment: see `siploadgen.config.layers`.

Layers below the command line become the defaults of the parameters (click's `default_map`), before
anything is read: so a word on the command line counts as given, whatever the default is.
"""

import importlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from typer.main import get_command

from siploadgen.cli.signals import Signals
from siploadgen.cli.verbs import Verb

if TYPE_CHECKING:
    from siploadgen.config.layers import Given, Known, Sources
    from siploadgen.config.options import Option


@dataclass(slots=True)
class Resolved:
    """What a verb was told: its model, and each value with the layer that it came from."""

    model: Any = None
    values: "dict[str, list[Given]]" = field(default_factory=dict)


class Layered(Verb):
    """A verb with the options of `run`, or some of them."""

    section = "run"

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the words, with the layers below as defaults; `ctx.obj` is what was resolved."""
        if ctx.resilient_parsing:
            return super().parse_args(ctx, args)
        given, _, _ = self.make_parser(ctx).parse_args(args=list(args))
        if given.get("help"):
            return super().parse_args(ctx, args)
        names = {long_name(one): one.name for one in self.get_params(ctx)}
        with Signals().caught():
            resolved = self._resolve({long: given.get(name) for long, name in names.items()})
        ctx.obj = resolved
        below = {name: _word(rows) for name, rows in resolved.values.items()
                 if any(one.value is not None for one in rows)}
        ctx.default_map = {names[name]: word for name, word in below.items() if name in names}
        left = super().parse_args(ctx, args)
        self._add_command(ctx, resolved, names, below)
        return left

    def _resolve(self, given: dict[str, Any]) -> Resolved:
        """Read all layers but the command line, and the model, whose file is one of them."""
        from siploadgen.config import layers

        sources = layers.read_sources(self.section, known_options)
        below = [sources.user, sources.project]
        if self.section == "answer":
            return Resolved(None, layers.settle([*below, sources.environment]))
        said = layers.settle([*below, sources.environment]).get("profile")
        profile = str(given.get("profile") or (said[0].value if said else ""))
        place = "" if given.get("profile") or not said else said_at(said[0])
        resolved = Resolved()
        file: list[Given] = []
        if given.get("model"):
            resolved.model = _model(str(given["model"]), profile, sources, place)
            file = layers.of_job(resolved.model) if hasattr(resolved.model, "works") else []
            _check_settings(resolved.model, sources, profile)
        elif profile:
            _need_profile(profile, sources, place)
        command = [layers.Given(name, True, layers.COMMAND, f"--{name}")
                   for name in layers.RIVALS if given.get(name)]
        resolved.values = layers.settle([
            *below, [one for one in file if one.layer == layers.SCENARIO],
            sources.profiles.get(profile, []),
            [one for one in file if one.layer != layers.SCENARIO], sources.environment, command])
        for one in command:
            resolved.values.pop(one.name, None)
        return resolved

    def _add_command(self, ctx: Any, resolved: Resolved, names: dict[str, str],
                     below: dict[str, Any]) -> None:
        """Note what the command line says; what is merged begins with what layers below say."""
        from siploadgen.config import layers

        for long, name in names.items():
            source = ctx.get_parameter_source(name)
            if source is None or source.name != "COMMANDLINE" or long in ("model", "help"):
                continue
            words = ctx.params[name]
            place = f"--{long.replace('_', '-')}"
            mine = [layers.Given(long, words, layers.COMMAND, place)]
            if long in layers.TABLES:
                mine = [layers.Given(long, value.strip(), layers.COMMAND, place, key.strip())
                        for key, _, value in (word.partition("=") for word in words)]
            elif long in layers.ADDED:
                mine = [layers.Given(long, word, layers.COMMAND, place) for word in words]
            if long in (*layers.TABLES, *layers.ADDED):
                ctx.params[name] = [*below.get(long, []), *words]
            resolved.values.update(layers.settle([resolved.values.get(long, []), mine]))


class LayeredAnswer(Layered):
    """The verb `answer`, whose options have a table of their own."""

    section = "answer"


def long_name(parameter: Any) -> str:
    """Return the name of a parameter in files: its long one, with underscores."""
    if parameter.param_type_name == "argument":
        return str(parameter.name)
    return str(max(parameter.opts, key=len).lstrip("-").replace("-", "_"))


def options_of(verb: str) -> "list[Option]":
    """Return the options of a verb, for the model of a file."""
    from siploadgen.config.options import Option

    command: Any = get_command(importlib.import_module(f"siploadgen.cli.{verb}").app)
    found = []
    for one in command.params:
        if one.param_type_name == "argument" or long_name(one) in ("help", "output", "resolved"):
            continue
        kind = one.type_descriptor
        low, high = kind.parameter_info.min, kind.parameter_info.max
        found.append(Option(
            long_name(one), "table" if one.metavar == "NAME=VALUE" else
            "list" if one.multiple else "flag" if kind.annotation is bool else
            "number" if kind.annotation is int else "choice" if kind.choices else "text",
            tuple(kind.choices or ()), low, high, one.help or ""))
    return found


def known_options() -> "Known":
    """Return all options that can be configured."""
    from siploadgen.config.layers import Known

    return Known(options_of("run"), options_of("answer"))


def _word(rows: "Sequence[Given]") -> Any:
    """Return the value of an option as the command line has it."""
    from siploadgen.config.layers import ADDED, TABLES

    if rows[0].name in TABLES:
        return [f"{one.key}={one.value}" for one in rows]
    return [one.value for one in rows] if rows[0].name in ADDED else rows[0].value


def said_at(one: "Given") -> str:
    """Return the place of a value as messages have it."""
    from siploadgen.config.layers import ENVIRONMENT

    return f"{ENVIRONMENT} {one.place}" if one.layer == ENVIRONMENT else f"{one.place} {one.name}"


def _model(name: str, profile: str, sources: "Sources", place: str) -> Any:
    """Return a model or a job; ScenarioError when there is none, or no such profile."""
    from siploadgen.cli.options import find_model

    model = find_model(name, profile, sources.profiles)
    if profile and getattr(model, "root", None) is None:
        _need_profile(profile, sources, place)
    return model


def _need_profile(profile: str, sources: "Sources", place: str) -> None:
    from siploadgen.errors import ScenarioError
    from siploadgen.model.errors import nearest

    if profile not in sources.profiles:
        raise ScenarioError(f"{place}: " * bool(place) + f"there is no profile {profile} "
                            f"({nearest(profile, sources.profiles)})")


def _check_settings(model: Any, sources: "Sources", profile: str) -> None:
    """Refuse settings that no call has; what files say for others is left out.

    The files of user and project serve many models, so there a setting of any will do.
    """
    from siploadgen.config.layers import ENVIRONMENT
    from siploadgen.errors import ScenarioError
    from siploadgen.model.builtin import MODELS
    from siploadgen.model.errors import nearest

    rows = [*sources.user, *sources.project, *sources.profiles.get(profile, []),
            *sources.environment]
    if not any(one.name == "set" for one in rows):
        return
    known = set(model.settings) if not hasattr(model, "works") else {
        name for work in model.works for call, _ in work.calls
        for name in model.model(call).settings} | {
        name for one in model.answers.values() for name in one.settings}
    anywhere = known | {name for one in MODELS.values() for name in one.settings}
    faults = []
    for one in rows:
        strict = one.layer == ENVIRONMENT or one.layer.startswith("profile")
        if one.name == "set" and one.key not in (known if strict else anywhere):
            faults.append(f"{said_at(one)}.{one.key}: no call has such a setting "
                          f"({nearest(one.key, known)})")
    if faults:
        raise ScenarioError("\n".join(dict.fromkeys(faults)))
    for layer in (sources.user, sources.project):
        layer[:] = [one for one in layer if one.name != "set" or one.key in known]
