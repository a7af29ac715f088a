#!/usr/bin/env bash
# fuzzers.sh LIMIT: build both libFuzzer harnesses in build/fuzz and run them; LIMIT is seconds for
# each, or -runs=N. Needs clang: without it nothing is fuzzed (with CI=true: a failure).
# fuzzers.sh --build: build them only. fuzzers.sh --can: is there a clang that can?
set -euo pipefail
cd "$(dirname "$0")/.."
clang=${CLANG:-clang}
can() {
    echo 'int LLVMFuzzerTestOneInput(const char *data, long size) { return data[size] & 0; }' |
        "$clang" -x c -fsanitize=fuzzer,address -o /dev/null - 2>/dev/null
}
if [ "$1" = --can ]; then can; exit; fi
if ! can; then
    echo "fuzz: no clang with libFuzzer: apt-get install clang (not fuzzed)" >&2
    [ "${CI:-}" != true ]
    exit
fi
tools/mirror.sh fuzz
export PYTHON=$PWD/.venv/bin/python CC=$clang FUZZ_OUT=$PWD/build/fuzz-found
cd build/fuzz
echo "fuzz: building for $("$clang" --version | sed -n 1p)"
SLG_BUILD=fuzz "$PYTHON" setup.py -q build_ext --inplace --parallel "${SLG_JOBS:-2}" >build.log 2>&1 ||
    { cat build.log >&2; exit 1; }
[ "$1" = --build ] || exec tests/fuzz/run.sh "$1"
