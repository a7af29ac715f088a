"""Rows of user data: files, made-up users, errors with their place."""

import numpy as np
import pytest

from siploadgen.errors import ScenarioError
from siploadgen.load.rows import column_names, generated_users, read_csv, rows_from_columns


def write(tmp_path, text, name="users.csv"):
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def table(rows):
    return [[rows.cell(c, r).decode() for c in range(len(rows.names))] for r in range(rows.count)]


def test_a_header_names_the_columns(tmp_path):
    path = write(tmp_path, "# users\npassword,user,domain\ns1,alice,example.com\n\n s2 , bob,x\n")
    rows = read_csv(path, ["user", "password"])
    assert rows.names == ("user", "password")
    assert table(rows) == [["alice", "s1"], ["bob", "s2"]]
    assert rows.blobs == [b"alicebob", b"s1s2"]
    assert [list(o) for o in rows.offsets] == [[0, 5, 8], [0, 2, 4]]
    assert all(o.dtype == np.uint32 for o in rows.offsets)


@pytest.mark.parametrize("text", [
    "SEQUENTIAL\nalice;s1\nbob;s2\n", "SEQUENTIAL,\nalice,s1,more\nbob,s2,x\n",
    "sequential\r\nalice;s1\r\n#x\r\nbob;s2\r\n",
])
def test_first_lines_of_sipp(tmp_path, text):
    assert table(read_csv(write(tmp_path, text), ["user", "password"])) == [
        ["alice", "s1"], ["bob", "s2"]]


def test_random_order_is_seeded(tmp_path):
    path = write(tmp_path, "RANDOM\n" + "\n".join(f"u{i}" for i in range(100)))
    a, b, c = (table(read_csv(path, ["user"], seed)) for seed in (1, 1, 2))
    assert a == b != c
    assert sorted(a) == sorted(c)


def test_quotes_separators_synonyms_and_marks(tmp_path):
    path = write(tmp_path, '\ufeffusername;secret\n"a;b";"say ""hi"""\n')
    assert table(read_csv(path, ["user", "password"])) == [["a;b", 'say "hi"']]


@pytest.mark.parametrize(("text", "message"), [
    ("", "users.csv:1: empty"),
    ("user,password\n", "users.csv:1: no rows"),
    ("usr,password\na,b\n", 'users.csv:1: no column "user".*did you mean it to be "usr"'),
    ("x,password\na,b\n", r'no column "user".*\(columns: x, password\)'),
    ("user,password\na,b\nc\n", "users.csv:3: 1 columns where 2"),
    ("user,password\na,b,c\n", "users.csv:2: 3 columns where 2"),
    ("SEQUENTIAL\na;b\nc\n", "users.csv:3: 1 columns where 2"),
    ("user,user\na,b\n", 'users.csv:1: two columns are named "user"'),
    ("user,password\na,\x01b\n", "users.csv:2: a control character"),
    ('user,password\n"a,b\n', "users.csv:2: "),
    (b"user,password\na,\xff\n", "users.csv:2: not UTF-8"),
    ("USER\na;b\n", "users.csv:1: USER"),
])
def test_errors_name_the_line(tmp_path, text, message):
    with pytest.raises(ScenarioError, match=message):
        read_csv(write(tmp_path, text), ["user", "password"])


def test_passwords_are_not_shown(tmp_path):
    rows = read_csv(write(tmp_path, "user,password\na,topsecret\n"), ["user", "password"])
    assert "topsecret" not in repr(rows)
    with pytest.raises(ScenarioError) as error:
        read_csv(write(tmp_path, "user,password\na,topsecret,b\n"), ["user", "password"])
    assert "topsecret" not in str(error.value)


def test_missing_file(tmp_path):
    with pytest.raises(ScenarioError, match=r"none\.csv: No such file"):
        read_csv(tmp_path / "none.csv", ["user"])


def test_generated_users():
    rows = generated_users(["user", "password", "callee.user"], 3)
    assert table(rows)[0] == ["user000001", "secret", "callee_user000001"]
    assert table(rows)[2] == ["user000003", "secret", "callee_user000003"]
    assert generated_users(["password"], 2, "pw").blobs == [b"pwpw"]


def test_empty_cells_and_no_columns():
    rows = rows_from_columns(["a"], [["", "x", ""]])
    assert [rows.cell(0, r) for r in range(3)] == [b"", b"x", b""]
    assert rows_from_columns([], []).count == 0


def test_column_names(tmp_path):
    assert column_names(write(tmp_path, "UserName,Secret,x\na,b,c\n")) == ("user", "password", "x")
    assert column_names(write(tmp_path, "RANDOM\na;b;c\n")) == ("user", "password", "field2")
