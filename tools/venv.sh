#!/usr/bin/env bash
# venv.sh EXTRA: makes .venv with everything that building and running needs: an interpreter, a
# compiler and headers from the system (installed by apt when we may), packages, those of EXTRA (of
# pyproject.toml: report, dev) among them, from whatever index pip is configured to use.
set -euo pipefail
cd "$(dirname "$0")/.."
venv=${VENV:-.venv}
python=${PYTHON:-python3}

say() { printf 'siploadgen: %s\n' "$*" >&2; }

compiler() {  # the one that setup.py will use
    if [ -n "${CC:-}" ]; then echo "${CC%% *}"; return; fi
    "$python" -c 'import sysconfig; print((sysconfig.get_config_var("CC") or "cc").split()[0])' \
        2>/dev/null || echo cc
}

has_header() {  # has_header HEADER: does the compiler find it?
    printf '#include <%s>\n' "$1" | "$(compiler)" -E -x c - >/dev/null 2>&1
}

missing_packages() {  # one Debian package a line
    if ! command -v "$python" >/dev/null; then
        printf 'python3\npython3-venv\npython3-dev\n'
    else
        "$python" -c 'import venv, ensurepip' 2>/dev/null || echo python3-venv
        "$python" - <<'PY' || echo python3-dev
import pathlib, sys, sysconfig
sys.exit(not pathlib.Path(sysconfig.get_paths()["include"], "Python.h").exists())
PY
    fi
    if ! command -v "$(compiler)" >/dev/null; then
        printf 'gcc\nlibc6-dev\nlibssl-dev\n'
    else
        has_header stdio.h || echo libc6-dev
        has_header openssl/evp.h || echo libssl-dev
    fi
}

mapfile -t missing < <(missing_packages | sort -u)
if [ "${#missing[@]}" -gt 0 ]; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        say "installing ${missing[*]}"
        export DEBIAN_FRONTEND=noninteractive
        apt-get update -qq
        apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
    else
        say "needs packages that are not installed: apt-get install ${missing[*]}"
        exit 1
    fi
fi

"$python" - <<'PY' || { say "needs Python 3.11 or newer (set PYTHON=python3.x)"; exit 1; }
import sys
sys.exit(sys.version_info < (3, 11))
PY

# A folder left by an interpreter that is gone is made anew; a good one is kept.
"$venv/bin/python" -c '' 2>/dev/null || "$python" -m venv --clear "$venv"
# Without --no-compile half of the time goes into modules that nobody imports.
pip=("$venv/bin/python" -m pip install -qq --disable-pip-version-check --no-compile)
"${pip[@]}" "setuptools>=77" "Cython~=3.3"
# The compiled modules are built in place by `make build`; this installs the rest and the command.
SLG_BUILD=none "${pip[@]}" --no-build-isolation -e ".[${1:-report}]"
