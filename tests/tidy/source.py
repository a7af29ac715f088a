"""The project's own text files, for the tests in this folder."""

from __future__ import annotations

from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CORE = ROOT / "ext" / "siploadgen" / "core"
PACKAGE = ROOT / "siploadgen"
NOT_OURS = {"build", "dist", "out", "__pycache__"}


@cache
def files(*suffixes: str) -> list[Path]:
    """Every file of the tree with one of the suffixes; generated and hidden folders left out."""
    found = []
    pending = [ROOT]
    while pending:
        for entry in pending.pop().iterdir():
            if entry.name in NOT_OURS or entry.name.endswith(".egg-info"):
                continue
            if entry.is_dir():
                if not entry.name.startswith(".") and not entry.is_symlink():
                    pending.append(entry)
            elif entry.suffix in suffixes:
                found.append(entry)
    return sorted(found)


def where(path: Path, line: int) -> str:
    """`path:line`, relative to the project."""
    return f"{path.relative_to(ROOT)}:{line}"
