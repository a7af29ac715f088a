"""How long an INVITE takes to be built from its template, beside what the kernel takes to send it.

    python benchmarks/micro/stamp.py            prints one line of JSON

The INVITE is that of the built-in model `call`, with SDP and all fields at their usual lengths;
filling in the fields' places is not part of it, copying their text is. Sending is send_cost.c:
64 datagrams of the same length for each sendmmsg on loopback (`send_ns`), and as one message that
the kernel cuts up (`gso_ns`), the way siploadgen sends by default. Batches of building and sending
take turns; `*_ns` is the best batch and `*_ns_median` the middle one. `ratio` is send_ns by
build_ns, `ratio_gso` the same for gso_ns.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from siploadgen.core.program import Field, TemplateKind
from siploadgen.core.sip.stamp import Stamper
from siploadgen.model.builtin import build_caller
from siploadgen.model.methods import Method

SOURCE = Path(__file__).with_name("send_cost.c")
SETS = 5
BATCHES = 8
TIMES = 100_000
SENDS = 2_000  # of 64
VALUES: dict[int, bytes] = {
    Field.FIELD_BRANCH: b"0123456789abcdef01234567",
    Field.FIELD_CALL_ID: b"89abcdef0123456701234567@127.0.0.1",
    Field.FIELD_LOCAL_TAG: b"89abcdef0123456701234567",
    Field.FIELD_TOKEN: b"89abcdef0123456701234567",
    Field.FIELD_CSEQ: b"1000",
    Field.FIELD_LOCAL: b"127.0.0.1:5070",
    Field.FIELD_OWN_ADDRESS: b"127.0.0.1:5070",
    Field.FIELD_LOCAL_HOST: b"127.0.0.1",
    Field.FIELD_AUTHORIZATION: b"",  # before any challenge
    Field.FIELD_SDP_ADDRESS: b"IP4 127.0.0.1",
}


def invite() -> tuple[Stamper, int]:
    """The stamper and the number of the INVITE's template."""
    program = build_caller("call", target_uri="sip:service@127.0.0.1:5060")
    kinds = zip(program.templates["kind"], program.templates["method"], strict=True)
    return Stamper(program), list(kinds).index((TemplateKind.TEMPLATE_REQUEST, Method.INVITE))


def build(stamper: Stamper, number: int) -> list[float]:
    """ns for each message, of every batch."""
    times = []
    for _ in range(BATCHES):
        start = time.perf_counter_ns()
        stamper.repeat(number, VALUES, TIMES)
        times.append((time.perf_counter_ns() - start) / TIMES)
    return times


def compiled(folder: Path) -> Path:
    compiler = shutil.which(os.environ.get("CC", "cc"))
    if compiler is None:
        sys.exit("stamp: no C compiler: apt-get install gcc")
    program = folder / "send_cost"
    subprocess.run([compiler, "-O2", "-std=gnu11", "-Wall", "-Wextra", str(SOURCE), "-o",
                    str(program)], check=True)
    return program


def send(program: Path, octets: int, segment: bool) -> tuple[float, float]:
    """ns for a datagram: the best batch and the middle one."""
    done = subprocess.run([str(program), str(octets), str(SENDS), str(int(segment))],
                          capture_output=True, text=True, timeout=60)
    if done.returncode:
        sys.exit(f"stamp: send_cost: {done.stderr.strip() or done.stdout.strip()}")
    figures = json.loads(done.stdout)
    return figures["ns"], figures["ns_median"]


def main() -> None:
    stamper, number = invite()
    octets = stamper.repeat(number, VALUES, 1)
    ours: list[float] = []
    plain: list[tuple[float, float]] = []
    cut: list[tuple[float, float]] = []
    with tempfile.TemporaryDirectory() as folder:
        program = compiled(Path(folder))
        for _ in range(SETS):
            ours += build(stamper, number)
            plain.append(send(program, octets, segment=False))
            cut.append(send(program, octets, segment=True))
    best = {"build": min(ours), "send": min(one for one, _ in plain),
            "gso": min(one for one, _ in cut)}
    middle = {"build": statistics.median(ours), "send": statistics.median(m for _, m in plain),
              "gso": statistics.median(m for _, m in cut)}
    print(json.dumps({
        "benchmark": "stamp", "octets": octets, "machine": platform.machine(),
        "python": platform.python_version(),
        **{f"{what}_ns": round(value, 1) for what, value in best.items()},
        **{f"{what}_ns_median": round(value, 1) for what, value in middle.items()},
        "mb_per_s": round(octets / best["build"] * 1000),
        "mb_per_s_median": round(octets / middle["build"] * 1000),
        "ratio": round(best["send"] / best["build"], 1),
        "ratio_median": round(middle["send"] / middle["build"], 1),
        "ratio_gso": round(best["gso"] / best["build"], 1),
        "ratio_gso_median": round(middle["gso"] / middle["build"], 1),
    }))


if __name__ == "__main__":
    main()
