"""The documents say what is there: commands, options, links, paths."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.tidy.source import ROOT, files

DOCUMENTS = files(".md")
VERBS = re.compile(r"^\s*\$?\s*(?:\.venv/bin/)?siploadgen ([a-z]+)\b", re.M)
FENCED = re.compile(r"^```[^\n]*\n(.*?)^```", re.M | re.S)
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")


def ids(path: Path) -> str:
    return str(path.relative_to(ROOT))


def targets() -> set[str]:
    makefile = (ROOT / "Makefile").read_text()
    return set(re.findall(r"^([a-z][a-z ]*):", makefile, re.M)) | {
        word for line in re.findall(r"^([a-z][a-z ]+):", makefile, re.M) for word in line.split()}


def anchors(text: str) -> set[str]:
    """Link names of the headings, as the usual renderers make them."""
    heads = re.findall(r"^#+ (.*)$", text, re.M)
    return {re.sub(r"[^\w\- ]", "", head.lower()).strip().replace(" ", "-") for head in heads}


@pytest.mark.parametrize("path", DOCUMENTS, ids=ids)
def test_make_targets_exist(path: Path) -> None:
    blocks = "\n".join(FENCED.findall(path.read_text()))
    inline = "\n".join(re.findall(r"`(make [a-z]+)", path.read_text()))
    named = set(re.findall(r"^\s*\$?\s*make ([a-z]+)", blocks + "\n" + inline, re.M))
    assert named <= targets()


@pytest.mark.parametrize("path", DOCUMENTS, ids=ids)
def test_links_resolve(path: Path) -> None:
    broken = []
    for link in LINK.findall(path.read_text()):
        if re.match(r"[a-z]+:", link):
            continue
        name, _, anchor = link.partition("#")
        target = (path.parent / name) if name else path
        if not target.exists() or (anchor and anchor not in anchors(target.read_text())):
            broken.append(link)
    assert not broken


def test_readme_has_the_two_commands() -> None:
    readme = (ROOT / "README.md").read_text()
    assert "make demo" in readme
    assert "make test" in readme
    assert (ROOT / ".ci" / "run").stat().st_mode & 0o111


def test_the_architecture_names_files_that_exist() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text()
    paths = set(re.findall(r"`((?:ext|siploadgen|tests|benchmarks|docs|tools)/[\w./-]*)`", text))
    assert paths
    assert not [path for path in sorted(paths) if not (ROOT / path).exists()]


def verbs() -> list[str]:
    blocks = [block for path in DOCUMENTS for block in FENCED.findall(path.read_text())]
    return sorted({verb for block in blocks for verb in VERBS.findall(block)})


def help_of(verb: str) -> str:
    done = subprocess.run([sys.executable, "-m", "siploadgen", verb, "-h"], capture_output=True,
                          text=True, timeout=60, cwd=ROOT, check=False,
                          env={**os.environ, "COLUMNS": "200", "NO_COLOR": "1", "TERM": "dumb"})
    assert done.returncode == 0, done.stderr
    return done.stdout


def options() -> list[tuple[str, str]]:
    """(verb, option) for each option in a section of docs/usage.md that is about a command."""
    usage = (ROOT / "docs" / "usage.md").read_text()
    sections = re.findall(r"^## `siploadgen (\w+)`\n(.*?)(?=^## )", usage, re.M | re.S)
    return [(verb, option) for verb, text in sections
            for row in re.findall(r"^\| (`-.*?) \|", text, re.M)
            for option in re.findall(r"`(--?[a-z][a-z0-9-]*)", row)]


@pytest.mark.parametrize("verb", verbs())
def test_documented_commands_exist(verb: str) -> None:
    help_of(verb)


@pytest.mark.parametrize("verb", sorted({verb for verb, _ in options()}))
def test_documented_options_exist(verb: str) -> None:
    shown = set(re.findall(r"(?<![\w-])--?[a-zA-Z][\w-]*", help_of(verb)))
    assert {option for of, option in options() if of == verb} <= shown
