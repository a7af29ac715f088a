"""`siploadgen inspect`: a job as it was read, or every value with the layer that it came from."""

import importlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal

import typer
from typer.main import get_command

from siploadgen.cli.layered import Layered, Resolved, long_name
from siploadgen.cli.load import DEFAULT_DURATION, DEFAULT_RATE
from siploadgen.cli.options import is_secret
from siploadgen.cli.verbs import single
from siploadgen.errors import UsageError

LEFT_OUT = "(left out)"
WIDEST = 48  # what is wider pushes the rest of its row to the right
HEAD = ("name", "value", "layer", "place")
_OF_URI = re.compile(r"(sips?:[^\s:@;?>\"]*):[^\s@;?>\"]*@", re.IGNORECASE)
_FIELD = re.compile(r"\{[\w.]+\}")


class Inspect(Layered):
    """The verb with the options of `run` beside its own; those of `run` end in `ctx.obj`."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Return its own parameters, then those of `run`."""
        own = super().get_params(ctx)
        names = {one.name for one in own}
        return [*own, *(one for one in run_command().get_params(ctx) if one.name not in names)]

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the words; the function gets its own alone."""
        left = super().parse_args(ctx, args)
        own = {one.name for one in self.params}
        ctx.params = {name: value for name, value in ctx.params.items() if name in own}
        return left


def inspect(
    context: typer.Context,
    model: Annotated[str | None, typer.Argument(
        metavar="[MODEL|FILE]", help="Built-in call model, or a scenario file.")] = None,
    resolved: Annotated[bool, typer.Option(
        "--resolved", help="Every value, the layer that it came from, and the place.")] = False,
    output: Annotated[Literal["text", "json"], typer.Option(
        "--output", "-o", help="How to print it.")] = "text",
) -> None:
    """Print a job as it was read, or every value with its layer; passwords are left out."""
    found: Resolved = context.obj
    if resolved:
        rows = [*option_rows(found), *job_rows(found)]
        values = [dict(zip(HEAD, row, strict=True)) for row in rows]
        typer.echo(json.dumps({"model": model, "values": values}, indent=2, ensure_ascii=False)
                   if output == "json" else table([HEAD, *rows]))
        return
    if model is None:
        raise UsageError("name a model or a scenario file, or give --resolved")
    job = cleaned(job_tree(found.model))
    typer.echo(json.dumps(job, indent=2, ensure_ascii=False) if output == "json" else
               as_yaml(job).rstrip("\n"))


def run_command() -> Any:
    """Return the command of `run`."""
    return get_command(importlib.import_module("siploadgen.cli.run").app)


# --- values ---


def option_rows(resolved: Resolved) -> Iterator[tuple[str, Any, str, str]]:
    """Name, value, layer and place of every option of `run`; entries of tables one by one."""
    from siploadgen.config.layers import DEFAULT, LOAD, TABLES

    given = resolved.values
    counted = any(given.get(name, [_NONE])[0].value for name in ("calls", "ramp"))
    for parameter in run_command().params:
        name = long_name(parameter)
        if parameter.param_type_name == "argument" or name == "help":
            continue
        rows = given.get(name, [])
        for one in rows:
            title = f"{name}.{one.key}" if name in TABLES else name
            hidden = name in TABLES and is_secret(one.key)
            yield title, LEFT_OUT if hidden else cleaned(one.value), one.layer, one.place
        if not rows:
            default = parameter.default
            if name == "rate":
                default = DEFAULT_RATE
            elif name == "duration" and not counted:
                default = DEFAULT_DURATION
            if name in LOAD and any(one.value is None for one in given.get("rate", [])):
                continue
            yield name, default, DEFAULT, ""


def job_rows(resolved: Resolved) -> Iterator[tuple[str, Any, str, str]]:
    """Name, value, layer and place of what a scenario file says of its scenarios."""
    from siploadgen.config.layers import LOAD, SCENARIO
    from siploadgen.model.located import place, plain

    job, given = resolved.model, resolved.values
    root = getattr(job, "root", None)
    if root is None:
        return
    asked = any(one.value is not None for name in LOAD for one in given.get(name, []))
    settings = {one.key for one in given.get("set", [])}
    profiled = job.profiled()
    for scenario, entry in plain(root.get("scenarios") or {}).items():
        from siploadgen.config.schema import EXECUTORS, WorkEntry

        executor = EXECUTORS.get(str(entry.get("executor")))
        of_load = {"executor", *(executor.model_fields if executor else ())}
        for key, value in entry.items():
            if asked and key in of_load:
                continue  # the load is that of the options
            if key in settings and key not in of_load and key not in WorkEntry.model_fields:
                continue
            path = ["scenarios", scenario, key]
            inside = any(one == path[: len(one)] or path == one[: len(path)] for one in profiled)
            line, column = place(root, path)
            yield (".".join(path), LEFT_OUT if is_secret(key) else cleaned(value),
                   f"profile {job.profile}" if inside else SCENARIO, f"{job.path}:{line}:{column}")


class _Nothing:
    value = None


_NONE: Any = _Nothing()


def table(rows: Sequence[Sequence[Any]]) -> str:
    """Text of rows in columns; what is not given is a dash, a list has blanks between its items.

    >>> print(table([("name", "value", "layer", "place"), ("seed", 1, "default", "")]))
    name  value  layer    place
    seed  1      default
    """
    texts = [[_cell(cell) if column == 1 else str(cell) for column, cell in enumerate(row)]
             for row in rows]
    widths = [min(max(len(row[column]) for row in texts), WIDEST) for column in range(len(HEAD))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)
                               ).rstrip() for row in texts)


def _cell(value: Any) -> str:
    if value is None or value in ("", []):
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        return " ".join(value)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


# --- jobs ---


def job_tree(model: Any) -> dict[str, Any]:
    """Return a job as plain mappings and lists: a file without aliases and the profiles in it."""
    from siploadgen.model.located import plain

    if getattr(model, "root", None) is not None:
        return {key: value for key, value in plain(model.root).items()
                if key != "profiles" and not key.startswith("x-")}
    works = model.works if hasattr(model, "works") else ()
    named = {work.name: model.model(work.calls[0][0]) for work in works} or {model.name: model}
    return {"version": 1, "scenarios": {name: {"call": name, "settings": {
        key: setting.default for key, setting in one.settings.items()}}
        for name, one in named.items()}}


def cleaned(value: Any) -> Any:
    """Return a value without passwords: those of their names, of URIs, and credentials.

    >>> cleaned({"password": "x", "to": "sip:anna:secret@host", "user": "{user}"})
    {'password': '(left out)', 'to': 'sip:anna:(left out)@host', 'user': '{user}'}
    """
    if isinstance(value, Mapping):
        return {key: LEFT_OUT if _hides(str(key)) and _secret(one) else cleaned(one)
                for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [cleaned(one) for one in value]
    if isinstance(value, str):
        from siploadgen.report.writers import clean_message

        return _OF_URI.sub(rf"\1:{LEFT_OUT}@", clean_message(value))
    return value


def _hides(name: str) -> bool:
    return is_secret(name) or name.lower() in ("authorization", "proxy-authorization")


def _secret(value: Any) -> bool:
    """Tell whether a value of such a name is one: not a column, nor nothing."""
    return value not in ("", None) and not (
        isinstance(value, str) and _FIELD.fullmatch(value))


def as_yaml(tree: Any) -> str:
    """Text of a job in YAML 1.2, in one style."""
    import io

    from ruamel.yaml import YAML

    writer = YAML(typ="safe", pure=True)
    writer.default_flow_style = False
    writer.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    writer.allow_unicode = True
    writer.width = 100
    text = io.StringIO()
    writer.dump(tree, text)
    return text.getvalue()


app = single(inspect, Inspect)
