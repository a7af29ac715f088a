#!/usr/bin/env bash
# run.sh [SECONDS]: fuzz the parser with libFuzzer under ASan and UBSan. What is found interesting is
# kept in build/fuzz/found from run to run; a crash leaves its input in build/fuzz and fails.
# PYTHON chooses the interpreter (with Cython), CC another clang.
set -euo pipefail
seconds=${1:-60}
cd "$(dirname "$0")/../.."
python=${PYTHON:-python3}
clang=${CC:-clang}
command -v "$clang" >/dev/null || { echo "fuzz: no $clang: apt-get install clang" >&2; exit 1; }
out=build/fuzz
mkdir -p "$out/siploadgen/core/sip" "$out/found" "$out/seeds"
for package in siploadgen siploadgen/core siploadgen/core/sip; do : > "$out/$package/__init__.py"; done

setting() { "$python" -c "import sysconfig; print(sysconfig.get_config_var('$1') or '')"; }
include=$("$python" -c 'import sysconfig; print(sysconfig.get_paths()["include"])')
suffix=$(setting EXT_SUFFIX)
libdir=$(setting LIBDIR)
flags=(-g -O1 -fno-omit-frame-pointer -std=gnu11 -Iext/c "-I$include" -DSLG_DEBUG=1
       -fno-sanitize-recover=all -Wno-unused-function -Wno-unreachable-code -Wno-deprecated-declarations)

module() { # source, module file without its suffix
    "$python" -m cython -3 -I ext -X boundscheck=False -X wraparound=False -X cdivision=True \
        -X initializedcheck=False -o "$2.c" "$1"
    "$clang" "${flags[@]}" -fsanitize=fuzzer-no-link,address,undefined -fPIC -shared \
        -o "$2$suffix" "$2.c"
}
for name in tokens validate parse; do
    module "ext/siploadgen/core/sip/$name.pyx" "$out/siploadgen/core/sip/$name"
done
module tests/fuzz/slg_fuzz_entry.pyx "$out/slg_fuzz_entry"
"$clang" "${flags[@]}" -fsanitize=fuzzer,address,undefined -rdynamic -o "$out/parse" \
    tests/fuzz/harness.c "-L$libdir" "-Wl,-rpath,$libdir" "-lpython$(setting LDVERSION)"

cp tests/corpus/*.sip tests/torture/*.dat "$out/seeds/"
PYTHONPATH=. "$python" - "$out/seeds" <<'SEEDS' || echo "fuzz: no golden seeds (not built)"
import sys
from pathlib import Path

from tests.sip.golden import cases, octets

for number, (_, message, _) in enumerate(cases()):
    Path(sys.argv[1], f"golden-{number}").write_bytes(octets(message))
SEEDS
PYTHONPATH="$PWD/$out" ASAN_OPTIONS=detect_leaks=0 "$out/parse" "$out/found" "$out/seeds" \
    -dict=tests/fuzz/sip.dict -max_len=4096 -timeout=10 -max_total_time="$seconds" \
    -artifact_prefix="$out/" -print_final_stats=1
