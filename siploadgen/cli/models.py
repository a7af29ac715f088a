"""`siploadgen models`: the built-in call models."""

from typing import Annotated

import typer

from siploadgen.cli.options import find_model
from siploadgen.cli.verbs import Verb, new_app

app = new_app(help="The built-in call models, one line each.", invoke_without_command=True)


@app.callback(invoke_without_command=True)
def models(context: typer.Context) -> None:
    """List the built-in call models."""
    if context.invoked_subcommand is not None:
        return
    from siploadgen.model.builtin import MODELS

    width = max(len(name) for name in MODELS)
    for name, model in MODELS.items():
        typer.echo(f"{name:<{width}}  {model.summary}")


@app.command("show", cls=Verb)
def models_show(name: Annotated[str, typer.Argument(metavar="NAME")]) -> None:
    """Print a model's settings and source."""
    model = find_model(name)
    typer.echo(f"# {model.name}: {model.summary}\n# settings (--set NAME=VALUE):")
    width = max((len(setting) for setting in model.settings), default=0)
    for setting, about in model.settings.items():
        typer.echo(f"#   {setting:<{width}}  {about.help} (default: {about.default or 'none'})")
    typer.echo(f"\n{model.source.rstrip()}")
