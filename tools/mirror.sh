#!/usr/bin/env bash
# mirror.sh KIND: a copy of the tree in build/KIND, where that kind of build (asan, debug, cov) is
# made in place beside its own Python files, so that switching never disturbs the release build.
# Times are kept, so a second call rebuilds only what changed; files that are gone here go there.
set -euo pipefail
cd "$(dirname "$0")/.."
to=build/$1
mkdir -p "$to"
find "$to" -path "$to/build" -prune -o -type f ! -name '*.so' ! -name '*.gc*' -exec rm -f {} +
tar --exclude=./build --exclude=./.venv --exclude=./.git --exclude=./out --exclude='*.so' \
    --exclude=__pycache__ --exclude='.*_cache' --exclude=.hypothesis -cf - . | tar -C "$to" -xf -
# The generated C is the same for every kind of build.
[ ! -d build/cython ] || { mkdir -p "$to/build" && cp -au build/cython "$to/build/"; }
