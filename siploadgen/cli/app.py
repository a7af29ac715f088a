"""The root of the command."""

from typing import Annotated

import typer

from siploadgen import __version__
from siploadgen.cli.verbs import Verbs

app = typer.Typer(
    name="siploadgen", help="A SIP load generator whose numbers can be trusted.", cls=Verbs,
    context_settings={"help_option_names": ["-h", "--help"]}, no_args_is_help=True,
    pretty_exceptions_enable=False, rich_markup_mode=None)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"siploadgen {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[bool, typer.Option(
        "--version", callback=_version, is_eager=True, help="Print the version.")] = False,
) -> None:
    """Generate SIP load, and answer it."""
