"""Make docs/examples/kamailio-capacity.md: Kamailio's capacity on this host, by two methods.

A stateful, record-routing Kamailio with one worker stands on one core together with the answering
side behind it, the generator on another. Arguments go to both searches, such as --limit.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

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
    """Run both searches and write the page."""
    cores = sorted(os.sched_getaffinity(0))
    pages = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        port = free_port()
        command = [*TOOL, "answer", "--listen", f"udp:127.0.0.1:{port}", "--workers", "1"]
        with running(command, folder / "answer.log", cwd=ROOT, cores={cores[-1]}) as answering:
            wait_until_bound(port, answering)
            with kamailio(folder, "proxy", target=port, cores={cores[-1]}) as proxy:
                os.sched_setaffinity(0, {cores[0]})
                for search in SEARCHES:
                    page = folder / "report.md"
                    done = subprocess.run(
                        [*TOOL, "capacity", "call", "-t", f"127.0.0.1:{proxy}", *GOALS, *search,
                         "--notes", NOTES, "--out", f"md={page}", *sys.argv[1:]], cwd=ROOT)
                    print("exit code", done.returncode)
                    if not page.exists():
                        sys.exit(done.returncode)
                    pages.append(page.read_text().replace(str(folder), "DIR"))
    text = "# Kamailio's capacity\n\n" + "\n".join((
        "Two searches of `tools/kamailio_capacity.py`, whose text says what stands where.",
        f"The host had {os.cpu_count()} cores. {' '.join(sys.argv[1:])}".strip())) + "\n\n"
    text += "\n".join(page.replace("\n## ", "\n### ").replace("# Session", "## Session", 1)
                      for page in pages)
    out = ROOT / "docs" / "examples" / "kamailio-capacity.md"
    out.parent.mkdir(exist_ok=True)
    out.write_text(text)


if __name__ == "__main__":
    main()
