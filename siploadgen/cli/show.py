"""`siploadgen show`: what a model sends, as one call that is played."""

from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from siploadgen.cli.layered import Layered
from siploadgen.cli.options import (
    ModelArgument,
    ProfileOption,
    SeedOption,
    SetOption,
    compiled,
    parse_settings,
)
from siploadgen.cli.verbs import single
from siploadgen.errors import UsageError

if TYPE_CHECKING:
    from siploadgen.run.play import Play


def show(
    context: typer.Context,
    model: ModelArgument,  # noqa: ARG001
    settings: SetOption = None,
    profile: ProfileOption = "",  # noqa: ARG001
    seed: SeedOption = 1,
    listing: Annotated[bool, typer.Option("--listing", help="Print the compiled program.")] = False,
    output: Annotated[Literal["text", "mermaid", "json"], typer.Option(
        "--output", "-o", help="The ladder and the messages, a mermaid diagram, or everything as "
                               "JSON.")] = "text",
) -> None:
    """Play one call in virtual time and print its ladder and its messages."""
    if listing:
        from siploadgen.compile import listing as listings

        if output != "text":
            raise UsageError(f"--listing: text alone; leave out -o {output}")
        typer.echo(listings.listing(compiled(context.obj.model, settings)).rstrip("\n"))
        return
    from siploadgen.cli.plays import plays

    found = plays(context.obj.model, parse_settings(settings), seed)
    typer.echo(_text(found, output).rstrip("\n"))


def _text(found: "list[Play]", output: str) -> str:
    if output == "json":
        import json

        return json.dumps({"schema": "siploadgen/show/1",
                           "calls": [one.as_json() for one in found]}, indent=2)
    if output == "mermaid":
        from siploadgen.ladder import mermaid

        return "\n".join(f"%% {one.name}: {one.outcome}\n{mermaid(one.ladder)}" for one in found)
    return "\n".join(_drawn(one) for one in found)


def _drawn(one: "Play") -> str:
    from siploadgen.ladder import draw, seconds

    lines = [f"{one.name}: {one.outcome}"]
    lines += [f"assumed: {text}" for text in one.assumed]
    parts = ["\n".join(lines), draw(one.ladder).rstrip("\n")]
    names: Any = one.ladder.lifelines
    for message in one.messages:
        head = (f"--- {message.number}  {seconds(message.at_ns)}  {names[message.source]} -> "
                f"{names[message.target]}  {message.name}")
        if message.repeats:
            parts.append(f"{head} (as message {message.repeats})")
        else:
            text = message.data.decode("utf-8", "backslashreplace").replace("\r\n", "\n")
            parts.append(f"{head}\n{text.rstrip()}")
    return "\n\n".join(parts) + "\n"


app = single(show, Layered)
