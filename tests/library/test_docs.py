"""The pages are played as they stand; the site is built, with every public name on it."""

import ast
import inspect
import re
import subprocess
import sys
import textwrap

import pytest

import siploadgen
from tests.library.pages import ROOT, Player, blocks, commands

PAGES = [ROOT / "docs" / "library.md", ROOT / "docs" / "load.md",
         *sorted((ROOT / "docs" / "tutorials").glob("*.md"))]
NAMES = sorted(set(siploadgen.__all__) - {"__version__"})


@pytest.mark.loopback
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_is_played(page, tmp_path):
    Player(page, tmp_path).play()


def test_there_are_blocks():
    assert len(PAGES) == 7
    for page in PAGES:
        assert len(blocks(page)) >= 2, page


@pytest.mark.parametrize(("text", "fault"), [
    ("```console\n$ echo one\ntwo\n```\n", "is to print 'two'"),
    ("```console\n$ echo one two three\none ... three\nfour\n```\n", "is to print 'four'"),
    ("```console\n$ false\n```\n", "@@@ end 1"),
    ("```console\n$ false\n$ echo $?\n0\n```\n", "is to print '0'"),
    ("```yaml\na: 1\n```\n", "nobody runs"),
    ("```python\nassert False, 'said'\n```\n", "said"),
    ("`.github/workflows/x.yml`:\n\n```yaml\njobs: {a: {steps: [{run: false}]}}\n```\n",
     "@@@ end 1"),
])
def test_what_is_wrong_on_a_page_is_found(text, fault, tmp_path, monkeypatch):
    monkeypatch.setattr("tests.library.pages.ROOT", tmp_path)
    page = tmp_path / "page.md"
    page.write_text(text)
    (tmp_path / "folder").mkdir()
    with pytest.raises(AssertionError, match=re.escape(fault)):
        Player(page, tmp_path / "folder").play()


def test_commands_and_what_they_print():
    assert list(commands("$ a \\\n    b\nx\n$ c '\n> d'\n")) == [
        ("a \\\n    b", ["x"]), ("c '\nd'", [])]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The site, built as `make docs` does."""
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run([sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet",
                           "--site-dir", str(folder)], cwd=ROOT, capture_output=True, text=True,
                          timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_every_document_is_a_page(site):
    pages = [path.relative_to(ROOT / "docs").with_suffix("") for path in
             (ROOT / "docs").rglob("*.md")]
    for page in pages:
        place = page.parent if page.name == "README" else page
        assert (site / place / "index.html").is_file(), page
    assert (site / "architecture" / "index.html").is_file()


def test_links_between_the_repository_and_the_site(site):
    home = (site / "index.html").read_text()
    assert 'href="library/"' in home
    assert 'href="../architecture/#the-instruction-set"' in (
        site / "models" / "index.html").read_text()


def test_every_public_name_is_on_the_reference_page(site):
    page = (site / "reference" / "index.html").read_text()
    assert not [name for name in NAMES if f'id="siploadgen.{name}"' not in page]
    # examples are code, and not quotations
    assert "&gt;&gt;&gt;" in page
    assert "<blockquote>" not in page


# --- docstrings ---


def functions(name):
    """A public function, or the public methods of a class."""
    thing = getattr(siploadgen, name)
    if inspect.isfunction(thing):
        return [(name, thing)]
    return [(f"{name}.{word}", one) for word, one in vars(thing).items()
            if inspect.isfunction(one) and not word.startswith("_")]


def raises(function):
    """Whether a function raises an error, itself or by a helper that is known to."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    called = {node.func.id for node in ast.walk(tree)
              if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}
    return any(isinstance(node, ast.Raise) for node in ast.walk(tree)) or bool(called & RAISING)


# Helpers that raise.
RAISING = {"_executor", "csv_table", "ndjson_rows", "sqlite_rows", "read_table", "parse_outputs",
           "parse_threshold", "_shaped", "prepare"}
TIMES = {"duration", "period", "think", "spread", "warmup", "level_duration", "hold"}
UNITS = re.compile(r"seconds|`\d+m?s`|`\d+h`|\"\d+m?s\"|duration|nanoseconds|\bns\b")
ALL = [pair for name in NAMES for pair in functions(name)]


@pytest.mark.parametrize("name", NAMES)
def test_a_public_name_is_described(name):
    thing = getattr(siploadgen, name)
    assert inspect.getdoc(thing)
    assert thing.__doc__, f"{name} has the docstring of its base"


@pytest.mark.parametrize(("name", "function"), ALL, ids=[name for name, _ in ALL])
def test_errors_and_units_are_said(name, function):
    text = inspect.getdoc(function) or ""
    assert text
    if raises(function):
        assert re.search(r"Raises|Error", text), f"{name} does not say what it raises"
    if TIMES & set(inspect.signature(function).parameters):
        assert UNITS.search(text), f"{name} does not say in which unit it takes times"
