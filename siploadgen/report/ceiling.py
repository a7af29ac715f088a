"""The host's honest ceiling, as `selftest` left it in the user's cache, and how much a run used.

The file is `siploadgen/selftest.json` in `$XDG_CACHE_HOME`, or in `~/.cache`.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

SCHEMA = "siploadgen/selftest/1"
# The model that stands for a run, by the request that it sends most.
MODELS = {"INVITE": "call", "REGISTER": "register", "OPTIONS": "options"}
HOST = ("cpu", "cores", "version")  # what must be as it was, for a ceiling to hold


def cache_file() -> Path:
    """Return where `selftest` keeps what it found."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    folder = Path(base) if os.path.isabs(base) else Path.home() / ".cache"
    return folder / "siploadgen" / "selftest.json"


def write_ceilings(ceilings: Mapping[str, Mapping[str, Any]], date: str,
                   environment: Mapping[str, Any]) -> Path:
    """Keep ceilings by model. Raises OSError."""
    path = cache_file()
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps({"schema": SCHEMA, "date": date, "environment": dict(environment),
                       "ceilings": {name: dict(one) for name, one in ceilings.items()}}, indent=1)
    partial = path.with_suffix(f".{os.getpid()}")
    partial.write_text(text + "\n", encoding="utf-8")
    partial.replace(path)
    return path


def read_ceilings(environment: Mapping[str, Any]) -> tuple[str, dict[str, float]]:
    """Return the date, and calls a second by model; nothing of another host or version."""
    try:
        data = json.loads(cache_file().read_text(encoding="utf-8"))
        if data["schema"] != SCHEMA or any(
                data["environment"][name] != environment[name] for name in HOST):
            return "", {}
        return str(data["date"]), {name: float(one["rate_per_s"])
                                   for name, one in data["ceilings"].items() if one["rate_per_s"]}
    except (OSError, ValueError, KeyError, TypeError, RuntimeError):  # none, or not ours
        return "", {}


def quote(sent: Mapping[str, int], started_per_s: float | None,
          environment: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return `generator.ceiling` of run.json: the ceiling of the model that this run is most like.

    None without a selftest on this host, with this version; or when nothing was started.
    """
    kind = max(MODELS, key=lambda method: sent.get(method, 0))
    if not sent.get(kind) or not started_per_s:
        return None
    date, found = read_ceilings(environment)
    rate = found.get(MODELS[kind])
    if rate is None:
        return None
    return {"model": MODELS[kind], "rate_per_s": rate, "date": date,
            "used": round(started_per_s / rate, 4)}
