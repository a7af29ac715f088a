"""A notebook: cells that are run by a kernel, one after the other."""

import nbformat
import pytest
from nbclient import NotebookClient

from tests.library.pages import ROOT

CELLS = (
    "from siploadgen import Run, constant_arrival_rate, shared_calls",
    # a kernel's main thread has a running event loop
    "import asyncio; asyncio.get_running_loop().is_running()",
    "Run().add('options', shared_calls(20, concurrency=2), name='of_a_cell').execute()",
    "run = Run().add('options', constant_arrival_rate('50/s', '300s')).start()",
    "run.drain(); result = run.wait(); result.interrupted",
    "results = await asyncio.gather(*(asyncio.to_thread(Run().add('options', shared_calls("
    "n, concurrency=2)).execute) for n in (30, 31)))\n"
    "[one.calls['succeeded'] for one in results]",
)


@pytest.mark.loopback
def test_cells_of_a_notebook(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in CELLS])
    NotebookClient(book, timeout=60, kernel_name="python3").execute()
    shown = [cell["outputs"][-1]["data"] if cell["outputs"] else {} for cell in book.cells]
    assert shown[1]["text/plain"] == "True"
    assert "20 succeeded" in shown[2]["text/html"]
    assert shown[4]["text/plain"] == "True"
    assert shown[5]["text/plain"] == "[30, 31]"
