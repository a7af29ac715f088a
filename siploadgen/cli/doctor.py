"""`siploadgen doctor`: examine this host."""

import typer

from siploadgen.cli.verbs import single


def doctor() -> None:
    """Examine this host: limits, buffers, ports, clock; and what mends each."""
    from siploadgen.run.doctor import examine

    findings = examine()
    width = max(len(finding.name) for finding in findings)
    for finding in findings:
        typer.echo(f"{'ok  ' if finding.ok else 'mend'}  {finding.name:<{width}}  {finding.found}")
        if not finding.ok:
            typer.echo(f"      {'':<{width}}  {finding.mend}")


app = single(doctor)
