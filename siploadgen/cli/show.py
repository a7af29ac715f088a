"""`siploadgen show`: print what a model sends."""

from typing import Annotated

import typer

from siploadgen.cli.layered import Layered
from siploadgen.cli.options import ModelArgument, ProfileOption, SetOption, compiled
from siploadgen.cli.verbs import single


def show(
    context: typer.Context,
    model: ModelArgument,  # noqa: ARG001
    settings: SetOption = None,
    profile: ProfileOption = "",  # noqa: ARG001
    listing: Annotated[bool, typer.Option("--listing", help="Print the compiled program.")] = False,
) -> None:
    """Print the messages of a model, or the compiled program."""
    from siploadgen.compile import listing as listings

    program = compiled(context.obj.model, settings)
    text = listings.listing(program) if listing else listings.templates_listing(program)
    typer.echo(text.rstrip("\n"))


app = single(show, Layered)
