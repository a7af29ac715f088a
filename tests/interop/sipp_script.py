"""SIPp scenarios written in short: one line for a message, instead of fifteen of XML."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from xml.sax.saxutils import quoteattr

VIA = "Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]"
HERE = "Contact: <sip:sipp@[local_ip]:[local_port]>"
OFFER = ("v=0\no=sipp 7 {version} IN IP4 [local_ip]\ns=-\nc=IN IP4 [local_ip]\nt=0 0\n"
         "m=audio 6000 RTP/AVP 0\na=rtpmap:0 PCMU/8000")


def sdp(version: int = 1) -> str:
    """A session description; the version counts its changes."""
    return OFFER.format(version=version)


def _message(lines: Sequence[str], headers: Sequence[str], body: str) -> str:
    kind = (["Content-Type: application/sdp"]
            if body and not any(one.startswith("Content-Type") for one in headers) else [])
    text = "\n".join([*lines, *headers, *kind, "Content-Length: [len]", "", body])
    return f"<![CDATA[\n\n{text}\n\n]]>"


def ask(method: str, cseq: int, *headers: str, user: str = "[service]", body: str = "",
        opens: bool = False) -> str:
    """A request of the caller, in the dialog unless it `opens` one."""
    to = f"<sip:{user}@[remote_ip]:[remote_port]>"
    uri = to[1:-1] if opens else "[next_url]"
    number = f"{cseq} {method}"
    again = "" if method == "ACK" else ' retrans="500"'
    return f"<send{again}>" + _message(
        [f"{method} {uri} SIP/2.0", VIA, "Max-Forwards: 70",
         "From: <sip:sipp@[local_ip]:[local_port]>;tag=c[pid]x[call_number]",
         f"To: {to}{'' if opens else '[peer_tag_param]'}", "Call-ID: [call_id]",
         f"CSeq: {number}", HERE], headers, body) + "</send>"


def answer(status: str, *headers: str, tag: bool = False, body: str = "",
           again: bool = False, kept: bool = False) -> str:
    """A response to the request last received, or to that which was kept; `tag`: it has none."""
    via, from_, to, cseq = (
        (f"{name}:[${name.lower()}]" if kept else f"[last_{name}:]")
        for name in ("Via", "From", "To", "CSeq"))
    return f"<send{' retrans=' + quoteattr('500') if again else ''}>" + _message(
        [f"SIP/2.0 {status}", via, from_, f"{to}{';tag=a[pid]x[call_number]' if tag else ''}",
         "Call-ID: [call_id]", cseq, HERE], headers, body) + "</send>"


def recv(what: str | int, *, header: tuple[str, str] | None = None, body: str = "",
         optional: bool = False, routes: bool = False, keep: bool = False) -> str:
    """Wait for a request or a status, with such a header or body (regular expressions).

    `keep` keeps the request for an answer that comes after others.
    """
    kind = "response" if isinstance(what, int) else "request"
    flags = (' optional="true"' if optional else "") + (' rrs="true"' if routes else "")
    tests = ([f'search_in="hdr" header={quoteattr(header[0] + ":")} '
              f'regexp={quoteattr(header[1])}'] if header else []) + (
        [f'search_in="body" regexp={quoteattr(body)}'] if body else [])
    inside = "".join(f'<ereg {test} check_it="true" assign_to="seen"/>' for test in tests)
    if keep:
        inside += "".join(f'<ereg search_in="hdr" header="{name}:" regexp=".*" check_it="true" '
                          f'assign_to="{name.lower()}"/>' for name in ("Via", "From", "To", "CSeq"))
    return f'<recv {kind}="{what}"{flags}>{f"<action>{inside}</action>" if inside else ""}</recv>'


def pause(milliseconds: int) -> str:
    """Wait; a message that comes meanwhile is unexpected."""
    return f'<pause milliseconds="{milliseconds}"/>'


def script(folder: Path, name: str, *steps: str) -> Path:
    """Write the scenario; its file."""
    seen = '<Reference variables="seen"/>' if 'assign_to="seen"' in "".join(steps) else ""
    path = folder / f"{name}.xml"
    path.write_text('<?xml version="1.0" encoding="UTF-8"?>\n'
                    f'<scenario name="{name}">\n' + "\n".join([*steps, seen]) + "\n</scenario>\n")
    return path
