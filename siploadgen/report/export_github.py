"""`--out github`: the summary on the page of a GitHub job, and an annotation for what failed."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from siploadgen.errors import UsageError
from siploadgen.report import summary
from siploadgen.report.exports import Base
from siploadgen.report.metrics import Names

_ESCAPES = (("%", "%25"), ("\r", "%0D"), ("\n", "%0A"))


class JobSummary(Base):
    """Appends the summary in Markdown: a step may have several runs."""

    def __init__(self, where: str, names: Names) -> None:  # noqa: ARG002
        self.place = where
        try:
            Path(where).open("a", encoding="utf-8").close()
        except OSError as error:
            raise UsageError(f"--out github={where}: {error.strerror}") from None

    def finish(self, result: Mapping[str, Any]) -> None:
        """Write both."""
        with Path(self.place).open("a", encoding="utf-8") as file:
            file.write(summary.markdown(result) + "\n")
        if os.environ.get("GITHUB_ACTIONS") == "true":
            sys.stderr.write("".join(annotations(result)))


def annotations(result: Mapping[str, Any]) -> list[str]:
    """Return workflow commands: an error for what fails the run, a warning for what does not."""
    name, verdict = result["scenario"]["name"], result["verdict"]
    found = []
    for row in result["thresholds"]:
        state = summary.threshold_state(row)
        if state in ("FAIL", "WARN"):
            found.append((state == "FAIL", f"{row['expression']}: measured "
                                           f"{summary.number_text(row['value'])}"))
    if verdict["state"] != "valid":
        broken = "; ".join(summary.rule_text(rule) for rule in verdict["rules"] if not rule["ok"])
        found.append((verdict["state"] == "invalid" or bool(verdict.get("strict")),
                      f"the run is {verdict['state']}: {broken}"))
    if result["exit_code"] and not any(bad for bad, _ in found):
        found.append((True, summary.headline(result)))
    return [f"::{'error' if bad else 'warning'} title={_escaped(f'siploadgen {name}', title=True)}"
            f"::{_escaped(text)}\n" for bad, text in found]


def _escaped(text: str, title: bool = False) -> str:
    for octet, code in (*_ESCAPES, *(((":", "%3A"), (",", "%2C")) if title else ())):
        text = text.replace(octet, code)
    return text
