"""`siploadgen selftest`: what this host can generate honestly."""

from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from siploadgen import units
from siploadgen.cli.options import LimitOption, SeedOption, WorkersOption
from siploadgen.cli.signals import Signals
from siploadgen.cli.verbs import single
from siploadgen.errors import Exit, UsageError


def selftest(
    model: Annotated[list[str] | None, typer.Option(
        "--model", metavar="call|register|options",
        help="Only this model. Repeatable. Others keep what an earlier selftest found.")] = None,
    most: Annotated[str, typer.Option(
        "--max", metavar="RATE", help="Highest rate to try.")] = "200k",
    trial: Annotated[str, typer.Option(
        "--trial", metavar="TIME", help="Length of a trial.")] = "2s",
    workers: WorkersOption = "auto",
    seed: SeedOption = 1,
    limit: LimitOption = None,
) -> None:
    """Find this host's ceiling for calls, registrations and OPTIONS; later reports quote it.

    Against the embedded answerer, which shares the host: with a target elsewhere there is more.
    """
    signals = Signals()
    with signals.caught():
        from siploadgen.cli.seek import own_ceiling
        from siploadgen.report import ceiling
        from siploadgen.report.collect import environment
        from siploadgen.report.limits import parse_limits

        known = list(ceiling.MODELS.values())
        for name in model or ():
            if name not in known:
                raise UsageError(f"--model {name}: choose of {', '.join(known)}")
        values = parse_limits(limit or ())
        top = units.parse_rate(most, "--max")
        length_s = units.parse_duration(trial, "--trial") / units.NANOS
        about = environment()
        _, before = ceiling.read_ceilings(about)
        found: dict[str, dict[str, Any]] = {
            name: {"rate_per_s": rate} for name, rate in before.items()}
        for name in model or known:
            typer.echo(f"{name}:", err=True)
            finding, results = own_ceiling(name, values, most=top, trial_s=length_s,
                                           workers=workers, seed=seed, stops=signals)
            if finding.state == "unfinished":
                typer.echo("stopped; nothing is kept", err=True)
                raise typer.Exit(int(Exit.INTERRUPTED))
            best = next((one for one in reversed(results)
                         if one["plan"]["rate_per_s"] == finding.rate), None)
            found[name] = {"rate_per_s": finding.rate, "at_least": finding.state == "most",
                           "workers": best["plan"]["workers"] if best else None,
                           "loop_busy": best["generator"]["loop_busy"] if best else None}
            text = "nothing honestly" if finding.rate is None else (
                ("at least " if finding.state == "most" else "")
                + units.format_rate(finding.rate))
            typer.echo(f"{name:<9} {text}")
        try:
            path = ceiling.write_ceilings(
                found, datetime.now(UTC).isoformat(timespec="seconds"), about)
        except OSError as error:
            raise UsageError(f"{ceiling.cache_file()}: {error.strerror}; set XDG_CACHE_HOME to a "
                             "folder that can be written") from None
        typer.echo(f"kept in {path}; later reports quote it", err=True)
        if any(found[name]["rate_per_s"] is None for name in model or known):
            raise typer.Exit(int(Exit.INVALID))


app = single(selftest)
