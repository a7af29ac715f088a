"""`siploadgen new`: a scenario file to begin with."""

from importlib import resources
from pathlib import Path
from typing import Annotated

import typer

from siploadgen.cli.verbs import single
from siploadgen.errors import UsageError

TEMPLATES = {
    "call": "one call, with stages and thresholds",
    "register": "registrations held up, and calls once all are there",
    "answer": "calls out and calls in",
}


def new(
    file: Annotated[str, typer.Argument(
        metavar="FILE",
        help="File to write: .yaml or .py; .json: the JSON Schema of scenario files.")],
    template: Annotated[str, typer.Option(
        "--template", metavar="NAME",
        help="; ".join(f"{name}: {what}" for name, what in TEMPLATES.items()))] = "call",
) -> None:
    """Write a commented scenario file to begin with."""
    from siploadgen.model.errors import nearest

    suffix = Path(file).suffix
    if suffix == ".json":
        _write(file, _schema(), "write `# yaml-language-server: $schema=FILE` above a scenario "
                                "file, for an editor that knows it")
        return
    if suffix not in (".yaml", ".yml", ".py"):
        raise UsageError(f"{file}: a scenario file ends in .yaml, .yml or .py")
    if template not in TEMPLATES:
        raise UsageError(f'--template "{template}": there is none ({nearest(template, TEMPLATES)})')
    source = resources.files("siploadgen") / "templates" / (
        template + (".py.txt" if suffix == ".py" else ".yaml"))
    if not source.is_file():
        raise UsageError(f"--template {template}: there is none in Python; write a .yaml file")
    _write(file, source.read_text(encoding="utf-8"),
           f"try `siploadgen check {file}` and `siploadgen run {file} --self`")


def _schema() -> str:
    import json

    from siploadgen.config.schema import file_schema

    return json.dumps(file_schema(), indent=2) + "\n"


def _write(file: str, text: str, hint: str) -> None:
    """Write a file that is not there yet."""
    try:
        with Path(file).open("x", encoding="utf-8") as target:
            target.write(text)
    except FileExistsError:
        raise UsageError(f"{file}: is there already; choose another name") from None
    except OSError as error:
        raise UsageError(f"{file}: {error.strerror}") from None
    typer.echo(f"{file}: written; {hint}", err=True)


app = single(new)
