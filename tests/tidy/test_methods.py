"""docs/methods.md names every built-in model, and only tests that exist."""

from __future__ import annotations

import re

import pytest

from siploadgen.model.builtin import MODELS
from tests.tidy.source import ROOT

TEXT = (ROOT / "docs" / "methods.md").read_text()
ROWS = [[cell.strip() for cell in line.strip("|").split(" | ")]
        for line in TEXT.splitlines() if line.startswith("| ") and "`" in line]
HEADS = ["method or mechanism", "model", "tests", "peer", "RFC"]
NAMED = sorted(set(re.findall(r"`(tests/[\w/]+\.py(?:::\w+)?)`", TEXT)))


def test_every_model_is_in_the_table_and_no_other() -> None:
    # in parentheses stand the settings of the model that make it do so
    named = {name for row in ROWS
             for name in re.findall(r"`([^`]+)`", re.sub(r"\(.*\)", "", row[1]))}
    assert named == set(MODELS)


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
