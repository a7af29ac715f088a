"""`siploadgen check`: compile a model, and say whether it is valid."""

import typer

from siploadgen.cli.layered import Layered
from siploadgen.cli.options import ModelArgument, ProfileOption, SetOption, compiled
from siploadgen.cli.verbs import single


def check(
    context: typer.Context, model: ModelArgument, settings: SetOption = None,
    profile: ProfileOption = "",  # noqa: ARG001
) -> None:
    """Compile a model, and say whether it is valid."""
    program = compiled(context.obj.model, settings)
    columns = f", columns {', '.join(program.columns)}" if program.columns else ""
    typer.echo(f"{model}: valid, {len(program.code)} instructions, metrics "
               f"{', '.join(program.clocks) or 'none'}{columns}, digest {program.digest[:16]}")


app = single(check, Layered)
