"""Make docs/examples/kamailio-capacity.md and .html: Kamailio's capacity here, by two methods.

A stateful, record-routing Kamailio with one worker stands on one core together with the answering
side behind it, the generator on another. Arguments go to both searches, such as --limit; the HTML
page is that of the first.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from siploadgen.capacity.form import as_markdown  # noqa: E402
from siploadgen.capacity.page import capacity_page  # noqa: E402
from tests.interop.peers import free_port, kamailio, running, wait_until_bound  # noqa: E402

GOALS = ("--goal", "failed: rate == 0", "--goal", "srd: p(99) < 200ms")
NOTES = "stateful record-routing proxy, one UDP worker on one core, no database; UAS on that core"
SEARCHES = (
    ("--method", "mlr", "--max", "8k", "--start", "500", "--trial", "2s",
     "--precision", "2%"),
    ("--method", "rfc7502", "--attempts", "1000", "--start", "500", "--max", "8k"),
)
TOOL = [sys.executable, "-m", "siploadgen"]


def main() -> None:
    """Run both searches and write the pages."""
    cores = sorted(os.sched_getaffinity(0))
    found = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        port = free_port()
        command = [*TOOL, "answer", "--listen", f"udp:127.0.0.1:{port}", "--workers", "1"]
        with running(command, folder / "answer.log", cwd=ROOT, cores={cores[-1]}) as answering:
            wait_until_bound(port, answering)
            with kamailio(folder, "proxy", target=port, cores={cores[-1]}) as proxy:
                os.sched_setaffinity(0, {cores[0]})
                for search in SEARCHES:
                    report = folder / "report.json"
                    done = subprocess.run(
                        [*TOOL, "capacity", "call", "-t", f"127.0.0.1:{proxy}", *GOALS, *search,
                         "--notes", NOTES, "--out", f"json={report}", *sys.argv[1:]], cwd=ROOT)
                    print("exit code", done.returncode)
                    if not report.exists():
                        sys.exit(done.returncode)
                    found.append(json.loads(report.read_text().replace(str(folder), "DIR")))
    text = "# Kamailio's capacity\n\n" + "\n".join((
        "Two searches of `tools/kamailio_capacity.py`, whose text says what stands where.",
        f"The host had {os.cpu_count()} cores." + (
            f" Arguments: `{' '.join(sys.argv[1:])}`." if sys.argv[1:] else ""),
        "The first of them as a page, with charts: [kamailio-capacity.html]"
        "(kamailio-capacity.html).")) + "\n\n"
    text += "\n".join(as_markdown(one).replace("\n## ", "\n### ").replace(
        "# Session", "## Session", 1) for one in found)
    out = ROOT / "docs" / "examples"
    out.mkdir(exist_ok=True)
    (out / "kamailio-capacity.md").write_text(text)
    (out / "kamailio-capacity.html").write_text(capacity_page(found[0]))


if __name__ == "__main__":
    main()
