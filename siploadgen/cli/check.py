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
    if program.hooks:
        from siploadgen.run.hooks import hook_cost_s

        cost = hook_cost_s()
        for name, _, _ in program.hooks:
            typer.echo(f"{model}: hook {name}: Python answers it, {cost * 1e6:.0f} us a call on "
                       "this host besides its own time; all hooks together at most "
                       f"{1 / cost:,.0f}/s")


app = single(check, Layered)
