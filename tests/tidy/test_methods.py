"""docs/methods.md names every built-in model, and only tests that exist."""

from __future__ import annotations

import re

import pytest

from siploadgen.model.builtin import ANSWERERS, MODELS
from siploadgen.model.recorder import Recorder
from tests.tidy.source import ROOT

TEXT = (ROOT / "docs" / "methods.md").read_text()
ROWS = [[cell.strip() for cell in line.strip("|").split(" | ")]
        for line in TEXT.splitlines() if line.startswith("| ") and "`" in line]
HEADS = ["method or mechanism", "model", "tests", "peer", "RFC"]
NAMED = sorted(set(re.findall(r"`(tests/[\w/]+\.py(?:::\w+)?)`", TEXT)))


SETTINGS = {name for one in (*MODELS.values(), *ANSWERERS) for name in one.settings}
STEPS = {name for name in vars(Recorder) if not name.startswith("_")}
OPTIONS = set(re.findall(r"`(--[\w-]+)`", (ROOT / "docs" / "usage.md").read_text()))
# the mechanisms of INVITE calls, whatever the model: each has a row
NUMBERED = {f"{letter}{number}" for letter, last in zip("MIABC", (20, 14, 2, 5, 5), strict=True)
            for number in range(1, last + 1)}


def test_every_model_is_in_the_table_and_only_what_there_is() -> None:
    named = {name for row in ROWS for name in re.findall(r"`([^`]+)`", row[1])}
    assert named >= set(MODELS)
    assert named - set(MODELS) <= SETTINGS | STEPS | OPTIONS


def test_every_mechanism_has_a_row() -> None:
    found: set[str] = set()
    for row in ROWS:
        for first, last in re.findall(r"([MIABC]\d+)(?: to ([MIABC]\d+))?(?=[,)])", row[0]):
            low, high = int(first[1:]), int((last or first)[1:])
            found |= {f"{first[0]}{number}" for number in range(low, high + 1)}
    assert found == NUMBERED


def test_every_setting_named_is_one_of_its_model() -> None:
    for row in ROWS:
        model, _, settings = row[1].partition(" (")
        for name in re.findall(r"`(\w+)`", settings):
            assert name in MODELS[model.strip("`")].settings, f"{row[0]}: {name}"


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_a_row_says_everything(row: list[str]) -> None:
    assert len(row) == len(HEADS)
    for head, cell in zip(HEADS, row, strict=True):
        assert cell, f"{row[0]}: no {head}"
    assert re.search(r"`tests/", row[2])
    assert re.match(r"\d{4}", row[4])


@pytest.mark.parametrize("name", NAMED)
def test_a_named_test_exists(name: str) -> None:
    file, _, function = name.partition("::")
    path = ROOT / file
    assert path.exists()
    assert not function or re.search(rf"^def {function}\(", path.read_text(), re.M)
