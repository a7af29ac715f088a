"""Tables of data: every kind of source, what is made of it, and what is said of broken ones.

The files in `broken/` each have one fault; `broken/messages.txt` holds what is said of each, and is
written anew by SIPLOADGEN_GOLDEN=write.
"""

import os
import sqlite3
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from siploadgen.errors import ScenarioError, SiploadgenError
from siploadgen.load.executors import Replay
from siploadgen.load.rows import Rows, read_csv
from siploadgen.load.sources import (
    array_rows,
    csv_table,
    iterable_rows,
    ndjson_rows,
    read_table,
    sqlite_rows,
)

BROKEN = Path(__file__).parent / "broken"
MESSAGES = BROKEN / "messages.txt"


def write(tmp_path, name, text):
    path = tmp_path / name
    path.write_text(text)
    return path


def table(rows: Rows, *names):
    columns = [rows.names.index(name) for name in names or rows.names]
    return [[rows.cell(c, r).decode() for c in columns] for r in range(rows.count)]


def base(tmp_path, *statements):
    path = tmp_path / "users.db"
    with sqlite3.connect(path) as connection:
        for statement in statements:
            connection.execute(statement)
    connection.close()
    return path


USERS = ("CREATE TABLE users (name TEXT, password TEXT, line INTEGER)",
         "INSERT INTO users VALUES ('alice', 'a', 1), ('bob', NULL, 2)")


def test_csv_columns_have_any_names(tmp_path):
    path = write(tmp_path, "routes.csv", "Prefix;Länge\n49;2\n1;1\n")
    read = read_table(path)
    assert read.rows.names == ("prefix", "länge")
    assert table(read.rows) == [["49", "2"], ["1", "1"]]
    assert (read.pick, read.origin) == ("sequential", str(path))


def test_csv_fields_choose_and_name(tmp_path):
    path = write(tmp_path, "users.csv", "x,username,secret\n1,alice,a\n2,bob,b\n")
    assert read_table(path, ["user", "password"]).rows.names == ("user", "password")
    assert table(read_table(path, ["password", "x"]).rows) == [["a", "1"], ["b", "2"]]
    bare = write(tmp_path, "bare.csv", "alice,a\nbob,b\n")
    assert read_table(bare, header=False).rows.names == ("field0", "field1")
    named = read_table(bare, ["user", "password"], header=False).rows
    assert table(named, "user", "password") == [["alice", "a"], ["bob", "b"]]
    with pytest.raises(ScenarioError, match=r"bare\.csv:1: 2 columns, and 1 fields"):
        read_table(bare, ["user"], header=False)


def test_other_words_for_user_and_password(tmp_path):
    rows = read_table(write(tmp_path, "users.csv", "caller,secret\nalice,a\n")).rows
    assert rows.names == ("caller", "secret", "user", "password")
    assert table(rows, "user", "password") == [["alice", "a"]]
    assert rows.blobs[2] is rows.blobs[0]
    both = read_table(write(tmp_path, "both.csv", "user,number\nalice,1\n")).rows
    assert both.names == ("user", "number")


@pytest.mark.parametrize(("first", "pick"), [
    ("SEQUENTIAL", "sequential"), ("RANDOM", "random"), ("USER", "unique"), ("random;", "random")])
def test_files_of_sipp(tmp_path, first, pick):
    path = write(tmp_path, "inf.csv", f"{first}\nalice;a;x\nbob;b;y\n")
    read = csv_table(path)
    assert read.pick == pick
    assert read.rows.names == ("user", "password", "field2")
    assert table(read.rows) == [["alice", "a", "x"], ["bob", "b", "y"]]
    assert csv_table(path, ["user", "domain", "auth"]).rows.names[:3] == ("user", "domain", "auth")


def test_printf_of_sipp(tmp_path):
    text = "SEQUENTIAL,PRINTF=5,PRINTFOFFSET=100,PRINTFMULTIPLE=10\nu%06d;100%%\nv%d;%-4d|\n"
    rows = csv_table(write(tmp_path, "inf.csv", text)).rows
    assert table(rows) == [["u000100", "100%"], ["v110", "110 |"], ["u000120", "100%"],
                           ["v130", "130 |"], ["u000140", "100%"]]
    assert read_csv(tmp_path / "inf.csv", ["user"]).count == 5


def test_a_header_may_begin_with_user(tmp_path):
    assert csv_table(write(tmp_path, "u.csv", "USER,PASSWORD\na,b\n")).rows.names == (
        "user", "password")


def test_ndjson(tmp_path):
    path = write(tmp_path, "users.ndjson",
                 '{"user": "alice", "line": 1, "vip": true}\n\n'
                 '{"line": 2.5, "vip": null, "user": "b\\u00f6b"}\n')
    rows = read_table(path).rows
    assert rows.names == ("user", "line", "vip")
    assert table(rows) == [["alice", "1", "true"], ["böb", "2.5", ""]]
    assert table(ndjson_rows(path, ["line"])) == [["1"], ["2.5"]]


def test_sqlite(tmp_path):
    path = base(tmp_path, *USERS)
    rows = read_table(path).rows
    assert rows.names == ("name", "password", "line")
    assert table(rows) == [["alice", "a", "1"], ["bob", "", "2"]]
    query = "SELECT name AS user, line * 10 AS line FROM users ORDER BY line DESC"
    assert table(read_table(path, query=query).rows) == [["bob", "20"], ["alice", "10"]]
    assert table(sqlite_rows(path, "users", fields=["line"])) == [["1"], ["2"]]


@pytest.mark.parametrize(("arguments", "words"), [
    ({"table": "user"}, 'users.db: no table "user"; did you mean "users"'),
    ({}, "users.db: which table.*choose one: empty, users"),
    ({"query": "SELECT nam FROM users"}, r'query: no such column: nam \(did you mean "name"\?\)'),
    ({"query": "SELECT name FROM usrs"}, r'query: no such table: usrs \(did you mean "users"\?\)'),
    ({"query": "SELEC"}, "query: near"),
    ({"query": "DELETE FROM users"}, "query: .*readonly"),
    ({"table": "empty"}, 'table "empty": no rows'),
    ({"table": "users", "query": "SELECT 1"}, "not both"),
    ({"table": "users", "fields": ["pasword"]},
     'table "users": no column "pasword"; did you mean "password"'),
    ({"query": "SELECT x'ff' AS user"}, 'row 1: column "user" is not UTF-8'),
    ({"query": "SELECT 'a' AS user UNION ALL SELECT char(10)"},
     'row [12]: a control character in column "user"'),
])
def test_sqlite_that_cannot_be_read(tmp_path, arguments, words):
    path = base(tmp_path, *USERS, "CREATE TABLE empty (a)")
    with pytest.raises(ScenarioError, match=words):
        sqlite_rows(path, **arguments)
    assert sqlite_rows(path, "users").count == 2


def test_files_that_are_no_sqlite(tmp_path):
    with pytest.raises(ScenarioError, match=r"nothing\.db: no such file"):
        sqlite_rows(tmp_path / "nothing.db")
    with pytest.raises(ScenarioError, match=r"text\.db: file is not a database"):
        sqlite_rows(write(tmp_path, "text.db", "user,password\n" * 100))


def test_rows_of_python():
    rows = read_table([{"user": "alice", "line": 1}, {"line": 2, "user": "bob"}]).rows
    assert table(rows) == [["alice", "1"], ["bob", "2"]]
    generated = ((f"u{i}", i) for i in range(3))
    assert table(read_table(generated, ["user", "line"]).rows) == [
        ["u0", "0"], ["u1", "1"], ["u2", "2"]]
    assert table(iterable_rows(["a", "b"], ["user"])) == [["a"], ["b"]]


def test_arrays():
    arrays = {"user": np.array(["a", "b"]), "line": np.array([1, 2], np.uint8),
              "share": np.array([0.5, 1])}
    assert table(read_table(arrays).rows) == [["a", "1", "0.5"], ["b", "2", "1.0"]]
    structured = np.array([(b"a", 1), (b"b", 2)], [("user", "S4"), ("line", "i4")])
    assert table(array_rows(structured, ["line", "user"])) == [["1", "a"], ["2", "b"]]


@pytest.mark.parametrize(("build", "words"), [
    (lambda: read_table(5), "int is no table"),
    (lambda: read_table([]), "no rows"),
    (lambda: read_table([("a", "b")]), "row 1: columns without names"),
    (lambda: read_table([("a", "b"), ("c",)], ["x", "y"]), "row 2: 1 columns where 2"),
    (lambda: read_table([{"a": 1}, {"b": 1}]), 'row 2: "b" is not a column of the first row'),
    (lambda: read_table([{"a": 1}, ("b",)]), "row 2: tuple is no mapping"),
    (lambda: read_table([{"a": [1]}]), 'row 1: column "a" is a list'),
    (lambda: read_table([{"a": "x"}, {"a": "y\r\n"}]), "row 2: a control character"),
    (lambda: read_table([{"a": "x"}], ["b"]), 'no column "b"'),
    (lambda: read_table({"a": [1, 2], "b": [1]}), 'column "b": 1 rows where "a" has 2'),
    (lambda: read_table({"a": [[1, 2]]}), "an array of 2 dimensions"),
    (lambda: read_table({}), "no rows"),
])
def test_python_data_that_is_no_table(build, words):
    with pytest.raises(ScenarioError, match=words):
        build()


@given(st.lists(st.fixed_dictionaries({
    "user": st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"])),
    "line": st.integers()}), min_size=1, max_size=20))
def test_what_goes_in_comes_out(items):
    assert table(read_table(items).rows, "user", "line") == [
        [item["user"], str(item["line"])] for item in items]


def message(path: Path) -> str:
    """What is said of a broken file, with its name alone."""
    try:
        if path.stem.startswith("trace"):
            trace = Replay(path).trace
            trace.model_of(np.arange(len(trace.times_ns), dtype=np.uint64), ["basic"])
        else:
            read_table(path, ["user", "password"] if path.stem == "fields" else None)
    except SiploadgenError as error:
        return str(error).replace(str(path), path.name)
    return f"{path.name}: nothing is wrong"


def test_messages_of_broken_files():
    files = sorted(path for path in BROKEN.iterdir() if path.suffix in (".csv", ".ndjson"))
    assert len(files) >= 20
    found = "".join(message(path) + "\n" for path in files)
    if os.environ.get("SIPLOADGEN_GOLDEN") == "write":
        MESSAGES.write_text(found)
    assert found == MESSAGES.read_text()
    for path, line in zip(files, found.splitlines(), strict=True):
        assert line.startswith(f"{path.name}:")
