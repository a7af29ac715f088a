"""`siploadgen compare`: whether the new run is worse than the old one."""

import sys
from typing import Annotated, Any, Literal

import typer

from siploadgen import units
from siploadgen.cli.verbs import Verb, single
from siploadgen.errors import UsageError

_SIDES = ("--base", "--new")


class Compare(Verb):
    """A verb with options that take several words: `--base A/ B/ --new C/ D/`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the words."""
        return super().parse_args(ctx, spread(args))


def spread(words: list[str]) -> list[str]:
    """Repeat an option for each of its words, up to the next option.

    >>> spread(["--base", "a", "b", "-o", "md", "--new", "c"])
    ['--base', 'a', '--base', 'b', '-o', 'md', '--new', 'c']
    """
    result: list[str] = []
    side, given = "", 0
    for word in words:
        if word in _SIDES:
            side, given = word, 0
        elif word.startswith("-") and len(word) > 1:
            side = ""
        elif side:
            result += [side] if given else []
            given += 1
        result.append(word)
    return result


def compare(
    runs: Annotated[list[str] | None, typer.Argument(
        metavar="BASE NEW", help="Two folders of --out.")] = None,
    base: Annotated[list[str] | None, typer.Option(
        "--base", metavar="RUN...", help="Several runs of the one side.")] = None,
    new: Annotated[list[str] | None, typer.Option(
        "--new", metavar="RUN...", help="Several runs of the other side.")] = None,
    tolerance: Annotated[list[str] | None, typer.Option(
        "--tolerance", "-t", metavar="FIGURE: AMOUNT",
        help="How much worse a figure may be, such as 'srd.p99: 5%', 'setup.avg: 2ms', "
             "'calls.succeeded: 1%', 'calls.failed: 0.1pp'. Repeatable.")] = None,
    output: Annotated[Literal["text", "md", "json"], typer.Option(
        "--output", "-o", help="What to print.")] = "text",
    confidence: Annotated[str, typer.Option(
        "--confidence", metavar="SHARE", help="Of all verdicts together.")] = "95%",
    drift: Annotated[str, typer.Option(
        "--drift", metavar="SHARE",
        help="By how much equal runs differ, where too few are given to see it.")] = "1%",
    same_host: Annotated[bool, typer.Option(
        "--same-host", help="Refuse runs of different hosts.")] = False,
    anyway: Annotated[bool, typer.Option(
        "--anyway", help="Compare invalid runs, and runs of different loads.")] = False,
    seed: Annotated[int, typer.Option(
        "--seed", min=0, max=2**32 - 1, help="Of the resampling.")] = 1,
) -> None:
    """Compare two runs, or two sets of runs; exit code 90 when the new one is worse."""
    sides = _sides(runs or [], base or [], new or [])
    from siploadgen.report.compare import compare as compare_all
    from siploadgen.report.compare_text import render

    found = compare_all(
        sides[0], sides[1], tolerance or [], anyway=anyway, same_host=same_host,
        confidence=units.parse_share(confidence, "--confidence"),
        drift=units.parse_share(drift, "--drift"), seed=seed)
    sys.stdout.write(render(output, found))
    if found.exit_code:
        raise typer.Exit(found.exit_code)


def _sides(runs: list[str], base: list[str], new: list[str]) -> tuple[list[str], list[str]]:
    if runs and (base or new):
        raise UsageError(f"{runs[0]}: name two runs, or sets by --base and --new, not both")
    if base or new:
        if not base or not new:
            raise UsageError(f"{'--new' if base else '--base'} is missing: what to compare "
                             f"{(base or new)[0]} with")
        return base, new
    if len(runs) != 2:
        raise UsageError(f"{len(runs)} runs: name two, or sets by --base A/ B/ --new C/ D/")
    return [runs[0]], [runs[1]]


app = single(compare, Compare)
