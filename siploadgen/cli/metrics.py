"""`siploadgen metrics`: what the numbers of a report mean."""

import textwrap
from typing import Annotated

import typer

from siploadgen.cli.verbs import single
from siploadgen.errors import UsageError

WIDTH = 100


def metrics(
    name: Annotated[str | None, typer.Argument(
        metavar="[NAME]", help="A metric, such as scr, rfc6076.srd or INVITE.2xx.")] = None,
) -> None:
    """Define the metrics: all of them in a line each, or one."""
    from siploadgen.report.definitions import DEFINITIONS, find, names

    if name is None:
        head = ("metric", "unit", "defined by", "what it is")
        rows = [(one.name, one.unit, one.source, one.brief) for one in DEFINITIONS]
        widths = [max(len(row[place]) for row in (head, *rows)) for place in range(3)]
        for row in (head, *rows):
            typer.echo("  ".join((*(cell.ljust(width) for cell, width in zip(
                row[:3], widths, strict=True)), row[3])))
        return
    found = find(name)
    if not found:
        from siploadgen.model.errors import nearest

        raise UsageError(f'there is no metric "{name}" ({nearest(name, list(names()))})')
    for number, one in enumerate(found):
        typer.echo(("\n" if number else "") + f"{one.name} ({one.unit}; {one.source})")
        typer.echo(textwrap.fill(f"{one.brief}.", WIDTH))
        if one.text:
            typer.echo("\n" + textwrap.fill(one.text, WIDTH))


app = single(metrics)
