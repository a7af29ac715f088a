#!/usr/bin/env bash
# fuzz.sh PYTHON SECONDS: the property tests again and again with fresh random examples, under the
# sanitizers, until the time is up. A failure prints its seed and its smallest example.
set -euo pipefail
python=$1
until=$((SECONDS + $2))
here=$(cd "$(dirname "$0")" && pwd)
round=0
while [ "$SECONDS" -lt "$until" ]; do
    round=$((round + 1))
    echo "fuzz: round $round"
    "$here/sanitized.sh" "$python" -m pytest -q -x -p no:cacheprovider --timeout 3600 \
        --hypothesis-profile fuzz --hypothesis-seed "$RANDOM" \
        -m 'not loopback and not interop' tests --ignore=tests/tidy --ignore=tests/interop
done
