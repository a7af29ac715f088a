"""`siploadgen report`: print the report of a run that is over."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from siploadgen.cli.verbs import single
from siploadgen.errors import ScenarioError, UsageError


def report(
    run_path: Annotated[str, typer.Argument(metavar="RUN", help="A folder of --out, or its "
                                                                "run.json.")],
    output: Annotated[str, typer.Option(
        "--output", "-o", metavar="summary|md|json|junit", help="What to print.")] = "summary",
) -> None:
    """Print the report of a run that is over."""
    from siploadgen.report.summary import SCHEMA
    from siploadgen.report.writers import render

    if output == "html":
        raise UsageError("-o html: not supported in this version; choose summary, md, json or "
                         "junit")
    if output not in ("summary", "md", "json", "junit"):
        raise UsageError(f'-o "{output}": choose summary, md, json or junit')
    path = Path(run_path)
    path = path / "run.json" if path.is_dir() else path
    try:
        result = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ScenarioError(f"{path}: {error.strerror}") from None
    except ValueError as error:
        raise ScenarioError(f"{path}: not JSON ({error})") from None
    if not isinstance(result, dict) or result.get("schema") != SCHEMA:
        raise ScenarioError(f"{path}: not a result of this version (schema {SCHEMA})")
    try:
        text = render(output, result)
    except (KeyError, TypeError) as error:
        raise ScenarioError(f"{path}: incomplete: {error}") from None
    sys.stdout.write(text)


app = single(report)
