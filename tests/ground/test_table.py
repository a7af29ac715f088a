"""The record table against a dict of lists."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from siploadgen.core.table import RecordTable

# Few distinct low halves, so that runs of colliding entries form, wrap round the end and are cut.
KEYS = st.builds(lambda high, low: high << 32 | low, st.integers(0, 3),
                 st.sampled_from([0, 1, 2, 60, 61, 62, 63, 64, 127, 2**32 - 1]))
STEPS = st.lists(st.tuples(st.sampled_from(["add", "remove"]), KEYS, st.integers(0, 5)),
                 max_size=80)


@given(STEPS)
def test_it_behaves_like_a_dict_of_lists(steps: list[tuple[str, int, int]]) -> None:
    table = RecordTable(30)
    model: list[tuple[int, int]] = []
    for what, key, value in steps:
        if what == "add":
            if len(model) == 30:
                with pytest.raises(OverflowError):
                    table.add(key, value)
                continue
            table.add(key, value)
            model.append((key & 0xFFFFFFFF, value))
        else:
            entry = (key & 0xFFFFFFFF, value)
            assert table.remove(key, value) == (entry in model)
            if entry in model:
                model.remove(entry)
        assert len(table) == len(model)
        for low in {low for low, _ in model} | {key & 0xFFFFFFFF}:
            assert sorted(table.find(low)) == sorted(v for k, v in model if k == low)


def test_an_empty_table_finds_nothing() -> None:
    table = RecordTable(1)
    assert table.find(5) == []
    assert table.remove(5, 0) is False
