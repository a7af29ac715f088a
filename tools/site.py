"""Hooks of mkdocs: pages that stand outside docs/, and links as they are in the repository.

In the repository a link leads to a file. On the site it leads to the page of that file; what has no
page (sources, folders of files) stays as text.
"""

import os
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[1]
# Files of the repository outside docs/, and their pages.
OUTSIDE = {
    "README.md": "index.md",
    "ARCHITECTURE.md": "architecture.md",
    "CHANGELOG.md": "changelog.md",
    "scenarios/README.md": "scenarios.md",
    "benchmarks/README.md": "benchmark-suite.md",
}
HOME = {page: source for source, page in OUTSIDE.items()}
LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)\s]+)\)")
FENCE = re.compile(r"^```.*?^```", re.M | re.S)


def on_files(files: Files, config: Any) -> Files:
    """Add the pages that stand outside."""
    for source, page in OUTSIDE.items():
        files.append(File.generated(config, page, content=(ROOT / source).read_text()))
    return files


def page_of(source: str) -> str | None:
    """Page of a file of the repository."""
    if source in OUTSIDE:
        return OUTSIDE[source]
    return source.removeprefix("docs/") if source.startswith("docs/") else None


def turned(link: str, source: str, page: str) -> str | None:
    """Turn a link of a file into one of its page; None: it leads to no page."""
    if re.match(r"[a-z]+:|#", link):
        return link
    name, mark, anchor = link.partition("#")
    target = os.path.normpath(Path(source).parent / name)
    if (ROOT / target).is_dir() and (ROOT / target / "README.md").exists():
        target += "/README.md"
    found = page_of(target)
    if found is None:
        return None
    return os.path.relpath(found, Path(page).parent) + mark + anchor


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:  # noqa: ARG001
    """Turn the links of a page; code is left alone."""
    name = page.file.src_uri
    source = HOME.get(name, f"docs/{name}")

    def turn(match: re.Match[str]) -> str:
        shown, text, link = match.groups()
        target = turned(link, source, name)
        return text if target is None else f"{shown}[{text}]({target})"

    parts, at = [], 0
    for fence in FENCE.finditer(markdown):
        parts += [LINK.sub(turn, markdown[at:fence.start()]), fence.group()]
        at = fence.end()
    return "".join([*parts, LINK.sub(turn, markdown[at:])])
