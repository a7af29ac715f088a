"""The committed diagrams are those that the table gives."""

import importlib.util
from pathlib import Path
from xml.etree import ElementTree

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "docs" / "transactions"


def drawings() -> dict[str, str]:
    spec = importlib.util.spec_from_file_location("draw_tx", ROOT / "tools" / "draw_tx.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.drawings()


def test_the_diagrams_are_up_to_date() -> None:
    drawn = drawings()
    assert {path.name for path in FOLDER.glob("*.svg")} == set(drawn)
    for name, text in drawn.items():
        assert (FOLDER / name).read_text(encoding="utf-8") == text, (
            f"{name} is out of date: run tools/draw_tx.py"
        )


def test_the_diagrams_are_well_formed() -> None:
    for name, text in drawings().items():
        assert ElementTree.fromstring(text).tag.endswith("svg"), name
