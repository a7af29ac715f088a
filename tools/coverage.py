"""Line coverage of the compiled core: gcov's counts, by line of the .pyx and .pxd files.

coverage.py ROOT [PERCENT]: ROOT is a tree built with SLG_BUILD=cov whose tests have run. Exit 1
when less than PERCENT of all lines (default 0: only report) were reached.
"""

from __future__ import annotations

import gzip
import json
import re
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

LINE = re.compile(r'^ *#line (\d+) "([^"]+)"', re.M)


def known(root: Path) -> dict[str, set[int]]:
    """Lines by source that Cython made code of; what gcov lists beside them is Cython's own."""
    lines: dict[str, set[int]] = defaultdict(set)
    for source in (root / "build").rglob("*.c"):
        for number, name in LINE.findall(source.read_text(encoding="utf-8")):
            lines[name].add(int(number))
    return lines


def counts(root: Path) -> dict[str, dict[int, int]]:
    """Executions by line for each Cython source; inline functions are summed over their users."""
    lines: dict[str, dict[int, int]] = defaultdict(lambda: defaultdict(int))
    code = known(root)
    with tempfile.TemporaryDirectory() as scratch:
        for data in sorted((root / "build").rglob("*.gcda")):
            subprocess.run(["gcov", "--json-format", str(data.resolve())], cwd=scratch,
                           check=True, capture_output=True)
        for report in Path(scratch).glob("*.gcov.json.gz"):
            for file in json.loads(gzip.decompress(report.read_bytes()))["files"]:
                if file["file"].endswith((".pyx", ".pxd")):
                    for line in file["lines"]:
                        if line["line_number"] in code[file["file"]]:
                            lines[file["file"]][line["line_number"]] += line["count"]
    return lines


def main() -> int:
    root = Path(sys.argv[1])
    limit = float(sys.argv[2]) if len(sys.argv) > 2 else 0.0
    reached = total = 0
    for name, lines in sorted(counts(root).items()):
        hit = sum(count > 0 for count in lines.values())
        missed = [number for number, count in sorted(lines.items()) if count == 0]
        print(f"{name:48} {hit:5}/{len(lines):<5} {100 * hit / len(lines):5.1f} %"
              f"  missed: {missed[:12]}{' ...' if len(missed) > 12 else ''}")
        reached += hit
        total += len(lines)
    share = 100 * reached / total if total else 0.0
    print(f"{'all':48} {reached:5}/{total:<5} {share:5.1f} %")
    return int(share < limit)


if __name__ == "__main__":
    sys.exit(main())
