"""Hooks by name: which function is meant, and what is said when none can be."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from siploadgen.model.errors import ModelError
from siploadgen.model.hooks import named, resolve


def maker(value: int) -> Callable[[Any], dict[str, int]]:
    def made(_: Any) -> dict[str, int]:
        return {"n": value}
    return made


def answer_of(name: str) -> Any:
    return resolve(name)({}, 0, 0, b"")


def test_functions_that_differ_have_names_that_differ() -> None:
    one, other, again = named(maker(1)), named(maker(2)), named(maker(1))
    first, second = named(lambda _: {"n": 3}), named(lambda _: {"n": 4})
    assert one == again
    assert len({one, other, first, second}) == 4
    assert [answer_of(name)["n"] for name in (one, other, first, second)] == [1, 2, 3, 4]
    same_line = [named(made) for made in (lambda _: {"n": 5}, lambda _: {"n": 6})]
    assert [answer_of(name)["n"] for name in same_line] == [5, 6]


def test_an_object_that_can_be_called_is_a_hook() -> None:
    class Asks:
        def __init__(self, value: int) -> None:
            self.value = value

        def __call__(self, _: Any) -> dict[str, int]:
            return {"n": self.value}

    assert [answer_of(named(Asks(value)))["n"] for value in (1, 2)] == [1, 2]


def test_files_of_one_name_in_two_folders_are_two(tmp_path: Path) -> None:
    names = []
    for number in (1, 2):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "hooks.py").write_text(f"def ask(call):\n    return {{'n': {number}}}\n")
        names.append(named("hooks.py:ask", folder))
    assert [answer_of(name)["n"] for name in names] == [1, 2]
    assert named("hooks.py:ask", tmp_path / "1") == names[0]


@pytest.mark.parametrize(("text", "name", "told"), [
    ("", "hooks.py", "names no function"),
    ("", "hooks.py:ask", "has no function ask"),
    ("def asks(call): pass", "hooks.py:ask", 'did you mean "asks"'),
    ("x = 1\ny = 1 / 0", "hooks.py:ask", r"hooks.py:2: ZeroDivisionError"),
    ("x = 1\n\nif", "hooks.py:ask", r"hooks.py:3: SyntaxError"),
    ("", "none.py:ask", "none.py: No such file"),
    ("", "no.such.module:ask", "No module named"),
])
def test_names_of_nothing(tmp_path: Path, text: str, name: str, told: str) -> None:
    (tmp_path / "hooks.py").write_text(text)
    with pytest.raises(ModelError, match=told):
        named(name, tmp_path)


def test_what_is_no_function_is_refused() -> None:
    with pytest.raises(ModelError, match="5 is no function"):
        named(5)  # type: ignore[arg-type]
