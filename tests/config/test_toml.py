"""TOML with places."""

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from siploadgen.config.toml import parse, table
from siploadgen.model.located import FileError

TEXT = '''# [not] = "a table"
rate = "2k" # x = 1
threshold = [
  "a ] b",  # [ in a comment
  'c',
]
[set]
"h o" = """
x = 1
\\""" ["""
limit.a = 1
  [profiles . ci]
  set = { hold = "2s", n = [1, {x = 3}] }
[[rows]]
k = 1979-05-27T07:32:00Z
[[rows]]
k = -2.5e3
'''


@pytest.mark.parametrize(("path", "place"), [
    (("rate",), (2, 1)), (("threshold",), (3, 1)), (("threshold", 0), (4, 3)),
    (("threshold", 1), (5, 3)), (("set",), (7, 2)), (("set", "h o"), (8, 1)),
    (("set", "limit", "a"), (11, 7)), (("profiles", "ci"), (12, 15)),
    (("profiles", "ci", "set", "hold"), (13, 11)),
    (("profiles", "ci", "set", "n", 1, "x"), (13, 33)),
    (("rows", "k"), (15, 1)), (("profiles", "ci", "nothing"), (12, 15)), (("nothing",), (1, 1)),
])
def test_places(path, place):
    assert parse(TEXT, "x.toml").place(path) == place


def test_lines_of_windows():
    assert parse("a = 1\r\nb = 2\r\n", "x.toml").place(["b"]) == (2, 1)


def test_tables():
    document = parse("[tool.x]\na = 1\n", "x.toml")
    assert table(document, ()) == document.data
    assert table(document, ("tool", "x")) == {"a": 1}
    assert table(document, ("tool", "y")) is None
    with pytest.raises(FileError, match=r"x\.toml:2:1 tool\.x\.a: no table"):
        table(document, ("tool", "x", "a"))


@pytest.mark.parametrize(("text", "said"), [
    ("a = b", "x.toml:1:5: invalid value (put texts in quotes)"),
    ("a = [1\n\n", "x.toml:1:7: unclosed array (look for a bracket that is not closed)"),
    ("a = 1\na = 2", "x.toml:2:6: cannot overwrite a value (leave one of the keys out)"),
    ('a = "\\q"', "x.toml:1:8: unescaped '\\' in a string (write the text in single quotes, or the "
                  "backslash twice)"),
    ("[" * 9000, "x.toml"), ("a = " + "[" * 9000, "x.toml"),
])
def test_what_is_no_toml(text, said):
    with pytest.raises(FileError) as caught:
        parse(text, "x.toml")
    assert str(caught.value).startswith(said)


def paths(node, path=()):
    """Every path of keys in a tree."""
    for key, value in node.items():
        yield (*path, key)
        if isinstance(value, dict):
            yield from paths(value, (*path, key))


WORDS = st.sampled_from(["a", "b-c", '"d e"', "'f.g'", '"h\\"i"', "1"])
VALUES = st.sampled_from(["1", '"x # y"', "'''\n= [\n'''", '"""a\\"""b"""', "[1, [2], '3]']",
                          "{k = 1, m = {n = '}'}}", "true", "[\n # c ]\n {q = 1},\n]", '""', "''"])


@given(st.lists(st.one_of(
    st.tuples(st.lists(WORDS, min_size=1, max_size=3), VALUES),
    st.tuples(st.lists(WORDS, min_size=1, max_size=2), st.none()))))
def test_every_key_has_the_place_where_it_stands(entries):
    text = "".join((f"[{' . '.join(keys)}]  # t\n" if value is None else
                    f"  {'.'.join(keys)} = {value}\n") for keys, value in entries)
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return
    document = parse(text, "x.toml")
    lines = text.split("\n")
    for path in paths(data):
        assert path in document.places, path
        line, column = document.place(path)
        rest = lines[line - 1][column - 1:]
        name = path[-1]
        assert rest.startswith((name, f'"{name}', f"'{name}", '"h\\"i"')), (path, rest)
