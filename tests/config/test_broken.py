"""Broken configurations and data, through the command: the place, the mend, exit code 104.

What is said of each file in `broken/layers` and `broken/sqlite` stands beside it, and is written
anew by SIPLOADGEN_GOLDEN=write. All files that come broken with the tests go through the command
here once.
"""

import hashlib
import os
import re
import shutil
import sqlite3
from pathlib import Path

import pytest

from siploadgen.load import sources

TESTS = Path(__file__).resolve().parents[1]
HERE = TESTS / "config" / "broken"
LAYERS = sorted(path for path in (HERE / "layers").iterdir() if path.suffix in (".toml", ".env"))
SQLITE = sorted((HERE / "sqlite").glob("*.yaml"))
SCENARIOS = sorted(path for folder in (HERE, TESTS / "model" / "broken")
                   for path in folder.iterdir() if path.suffix in (".yaml", ".py"))
TABLES = sorted(path for path in (TESTS / "load" / "broken").iterdir()
                if path.suffix in (".csv", ".ndjson"))
PLACE = re.compile(r"(siploadgen: )?\S+?(:\d+){0,2}[: ]")


def told(done) -> str:
    assert done.code == 104, done
    assert done.out == ""
    assert "Traceback" not in done.err
    return done.err


def golden(path: Path, text: str) -> None:
    expected = path.with_name(path.name + ".txt")
    if os.environ.get("SIPLOADGEN_GOLDEN") == "write":
        expected.write_text(text)
    assert text == expected.read_text()
    for line in text.splitlines():
        assert PLACE.match(line), line


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty working directory, with an empty home."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home"))
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "work"


@pytest.mark.parametrize("path", LAYERS, ids=lambda path: path.name)
def test_layers(command, folder, monkeypatch, path):
    if path.suffix == ".env":
        for line in path.read_text().splitlines():
            monkeypatch.setenv(*line.split("=", 1))
    else:
        kind = path.name.split(".")[1]
        target = {"user": folder.parent / "home" / "siploadgen" / "config.toml",
                  "pyproject": folder / "pyproject.toml"}.get(kind, folder / "siploadgen.toml")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
    text = told(command("run", "call", "--self"))
    golden(path, text.replace(str(folder.parent), ""))


def test_two_files_in_one_folder(command, folder):
    (folder / "siploadgen.toml").write_text("rate = 5\n")
    (folder / "pyproject.toml").write_text("[tool.siploadgen]\nrate = 6\n")
    assert told(command("run", "call", "--self")) == (
        "siploadgen: siploadgen.toml: pyproject.toml beside it has [tool.siploadgen] "
        "(keep one of the two)\n")


def test_faults_of_all_files_at_once(command, folder, monkeypatch):
    home = folder.parent / "home" / "siploadgen"
    home.mkdir(parents=True)
    (home / "config.toml").write_text("sede = 1\n")
    (folder / "siploadgen.toml").write_text("raet = 5\n")
    monkeypatch.setenv("SIPLOADGEN_SEED", "x")
    text = told(command("run", "call", "--self"))
    assert [word in text for word in ("sede", "raet", "SIPLOADGEN_SEED")] == [True] * 3


def garbage(count: int) -> bytes:
    """Octets without a pattern: what an encrypted file looks like."""
    return b"".join(hashlib.sha256(bytes([n])).digest() for n in range(count // 32))


@pytest.mark.parametrize("path", SQLITE, ids=lambda path: path.stem)
def test_sqlite(command, folder, monkeypatch, path):
    shutil.copy(path, folder)
    base = folder / "users.db"
    connection = sqlite3.connect(base)
    try:
        if path.with_suffix(".sql").exists():
            connection.executescript(path.with_suffix(".sql").read_text())
        match path.stem:
            case "not-a-database":
                base.write_text("user,password\n" * 100)
            case "encrypted":
                base.write_bytes(garbage(8192))
            case "cut-off":
                base.write_bytes(base.read_bytes()[:4096])
            case "locked":
                monkeypatch.setattr(sources, "LOCK_WAIT_S", 0.0)
                connection.isolation_level = None
                connection.execute("BEGIN EXCLUSIVE")
        text = told(command("check", path.name))
    finally:
        connection.close()
    golden(path, text)


@pytest.mark.parametrize("path", SCENARIOS,
                         ids=lambda path: f"{path.parent.parent.name} {path.name}")
def test_scenario_files(command, monkeypatch, path):
    monkeypatch.chdir(path.parent)
    text = told(command("check", path.name))
    assert text.startswith(f"siploadgen: {path.name}:"), text


@pytest.mark.parametrize("path", TABLES, ids=lambda path: path.name)
def test_tables(command, folder, path):
    shutil.copy(path, folder)
    fields = ", fields: [user, password]" if path.stem == "fields" else ""
    source = (f"users: {{ table: {{ {path.suffix[1:]}: {path.name}{fields} }} }}\n"
              "scenarios: { o: { call: options")
    if path.name.startswith("trace"):
        source = ("scenarios: { o: { call: options, executor: replay, "
                  f"file: {path.name}")
    (folder / "calls.yaml").write_text(f"version: 1\n{source} }} }}\n")
    text = told(command("check", "calls.yaml"))
    assert text.startswith("siploadgen: calls.yaml:"), text
    assert f"{path.name}:" in text


def test_there_are_many():
    kinds = {"YAML": [one for one in SCENARIOS if one.suffix == ".yaml"],
             "Python": [one for one in SCENARIOS if one.suffix == ".py"],
             "CSV": TABLES, "SQLite": SQLITE, "configuration": LAYERS}
    assert all(len(files) >= 5 for files in kinds.values())
    assert sum(map(len, kinds.values())) >= 140
