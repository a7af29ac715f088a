"""The Python of the pages is run as it stands."""

import re
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "library.md"
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)


@pytest.mark.loopback
@pytest.mark.parametrize("number", range(len(BLOCKS)))
def test_a_block_of_the_page(number, tmp_path):
    file = tmp_path / f"block{number}.py"
    file.write_text(BLOCKS[number])
    exec(compile(BLOCKS[number], str(file), "exec"), {"__name__": "page"})


def test_there_are_blocks():
    assert len(BLOCKS) >= 2
