"""Golden Markdown: a fenced `sip` block is a message, the `fields` block behind it is its trace.

The lines of a message are joined by CRLF, one after the last line too; `\\xHH` is that octet, and a
backslash is `\\x5c`. Run this file to write the traces anew, and read the difference.
"""

from __future__ import annotations

import re
from pathlib import Path

from siploadgen.core.sip.parse import Parsed, ParseFault, ParseStatus

FOLDER = Path(__file__).parent.parent / "golden"
BLOCK = re.compile(r"^## ([^\n]+)\n(.*?)^```sip\n(.*?)^```\n\n```fields\n(.*?)^```\n", re.M | re.S)


def octets(block: str) -> bytes:
    text = block.replace("\n", "\r\n").encode()
    return re.sub(rb"\\x([0-9a-f]{2})", lambda match: bytes([int(match[1], 16)]), text)


def shown(value: object) -> str:
    if isinstance(value, bytes):
        return value.decode("latin-1").encode("unicode_escape").decode()
    return str(value)


def trace(data: bytes) -> str:
    """What the parser says of a datagram, one fact a line; what is empty or zero is left out."""
    parsed = Parsed(data)
    status = parsed.validate()
    fields = parsed.fields()
    lines = [f"outcome: {ParseStatus(parsed.outcome).name[6:].lower()}"]
    if fields["error"]:
        fault = ParseFault(fields["error"]).name[6:].lower().replace("_", " ")
        lines.append(f"fault: {fault} at {fields['error_at']}, refused with {status}")
    for key, value in fields.items():
        if key in ("error", "error_at", "via", "is_request"):
            continue
        if value:
            lines.append(f"{key}: {shown(value)}")
    for key, value in fields["via"].items():
        if value:
            lines.append(f"via.{key}: {shown(value)}")
    lines += [f"header {number}: {shown(name)} = {shown(value)}"
              for number, name, value in parsed.headers()]
    return "".join(line + "\n" for line in lines)


def cases() -> list[tuple[str, str, str]]:
    """(file and title, message block, trace block) of every golden message."""
    return [(f"{path.stem}: {title}", message, expected)
            for path in sorted(FOLDER.glob("*.md"))
            for title, _, message, expected in BLOCK.findall(path.read_text())]


def write() -> None:
    for path in FOLDER.glob("*.md"):
        path.write_text(BLOCK.sub(
            lambda match: (f"## {match[1]}\n{match[2]}```sip\n{match[3]}```\n\n"
                           f"```fields\n{trace(octets(match[3]))}```\n"), path.read_text()))


if __name__ == "__main__":
    write()
