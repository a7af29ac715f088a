"""SIPp scenarios, written step by step.

A scene is a list of steps: `took` waits for a request and `got` for a response, `say` answers and
`ask` sends a request, `rest` waits. What is received is kept under the name of its method, so that
a response can be sent to any open request and a request of the called side finds its dialog.
"""

from __future__ import annotations

import re
from pathlib import Path

SDP = """v=0
o=sipp {session} {version} IN IP4 [local_ip]
s=-
c=IN IP4 [local_ip]
t=0 0
m=audio 6000 RTP/AVP 0
a={flow}
"""
_MY_TAG = "s[pid]x[call_number]"
_VIA = "Via: SIP/2.0/UDP [local_ip]:[local_port];branch={branch}"
_ME = "<sip:sipp@[local_ip]:[local_port]>"


def sdp(flow: str = "sendrecv", version: int = 1) -> str:
    """Describe a session."""
    return SDP.format(session=7, version=version, flow=flow)


def _checks(has: tuple[str, ...], lacks: tuple[str, ...]) -> str:
    """Demand that the message has these texts (regular expressions) and lacks those."""
    found = [f'<ereg regexp="{one}" search_in="msg" check_it="true" assign_to="seen"/>'
             for one in has]
    found += [f'<ereg regexp="{one}" search_in="msg" check_it_inverse="true" assign_to="seen"/>'
              for one in lacks]
    return "".join(found).replace("&", "&amp;")


def _kept(name: str, *headers: str) -> str:
    return "".join(f'<ereg regexp=".*" search_in="hdr" header="{header}:" check_it="true" '
                   f'assign_to="{name}{header}"/>' for header in headers)


def _awaited(optional: bool, within_ms: int) -> str:
    return ' optional="true"' if optional else f' timeout="{within_ms}"'


def took(method: str, *has: str, lacks: tuple[str, ...] = (), optional: bool = False,
         within_ms: int = 8000) -> str:
    """Wait for a request and keep what answers to it need."""
    name = method.lower()
    keep = _kept(name, "Via", "CSeq")
    if method == "INVITE":
        keep += _kept("peer", "From", "To", "Contact") \
            + '<ereg regexp="sip:[^>;]*" search_in="hdr" header="Contact:" assign_to="target"/>'
    return (f'<recv request="{method}"{_awaited(optional, within_ms)}>'
            f"<action>{keep}{_checks(has, lacks)}</action></recv>")


def got(status: int, *has: str, lacks: tuple[str, ...] = (), optional: bool = False,
        within_ms: int = 8000, keep: str = "") -> str:
    """Wait for a response; the first one with a Contact says where the dialog is.

    `keep` names a header whose value is `[$keptNAME]` from then on.
    """
    return (f'<recv response="{status}" rrs="true"{_awaited(optional, within_ms)}>'
            f"<action>{_checks(has, lacks)}{_kept('kept', keep) if keep else ''}</action></recv>")


def back(method: str, *has: str, within_ms: int = 8000) -> str:
    """Wait for a request of the side that was called."""
    return (f'<recv request="{method}" timeout="{within_ms}">'
            f"<action>{_checks(has, ())}</action></recv>")


def rest(milliseconds: int) -> str:
    """Wait."""
    return f'<pause milliseconds="{milliseconds}"/>'


def _message(lines: list[str], body: str, repeats: bool) -> str:
    if body:
        lines.append("Content-Type: application/sdp")
    text = "\n".join([*lines, "Content-Length: [len]", "", body])
    again = ' retrans="500"' if repeats else ""
    return f"<send{again}><![CDATA[\n\n{text}\n]]></send>"


def say(status: int, to: str = "INVITE", *headers: str, body: str = "", tag: str = _MY_TAG,
        repeats: bool = False) -> str:
    """Answer the request of that method; a 2xx to an INVITE with `repeats` until the ACK."""
    name = to.lower()
    lines = [f"SIP/2.0 {status} Scene", f"Via:[${name}Via]", "From:[$peerFrom]",
             f"To:[$peerTo];tag={tag}", "[last_Call-ID:]", f"CSeq:[${name}CSeq]"]
    if status < 400:
        lines.append(f"Contact: {_ME}")
    return _message([*lines, *headers], body, repeats)


def say_last(status: int, *headers: str, body: str = "") -> str:
    """Answer the request received last, within a dialog."""
    return _message([f"SIP/2.0 {status} Scene", "[last_Via:]", "[last_From:]", "[last_To:]",
                     "[last_Call-ID:]", "[last_CSeq:]", f"Contact: {_ME}", *headers], body, False)


def ask(method: str, cseq: int, *headers: str, body: str = "", user: str = "anybody",
        dialog: bool = False, branch: str = "[branch]", repeats: bool | None = None,
        name: str = "", uri: str = "") -> str:
    """Send a request of the calling side; in the dialog when that is made."""
    place = f"sip:{user}@[remote_ip]:[remote_port]"
    uri = uri or ("[next_url]" if dialog else place)
    lines = [f"{method} {uri} SIP/2.0", _VIA.format(branch=branch), "Max-Forwards: 70",
             f"From: <sip:sipp@[local_ip]>;tag={_MY_TAG}",
             f"To: <{place}>{'[peer_tag_param]' if dialog else ''}", "Call-ID: [call_id]",
             f"CSeq: {cseq} {name or method}"]
    if method not in ("ACK", "BYE", "CANCEL", "PRACK"):
        lines.append(f"Contact: {_ME}")
    return _message([*lines, *headers], body, method != "ACK" if repeats is None else repeats)


def ask_back(method: str, cseq: int, *headers: str, body: str = "") -> str:
    """Send a request of the called side, in the dialog that the INVITE opened."""
    lines = [f"{method} [$target] SIP/2.0", _VIA.format(branch="[branch]"), "Max-Forwards: 70",
             f"From:[$peerTo];tag={_MY_TAG}", "To:[$peerFrom]", "[last_Call-ID:]",
             f"CSeq: {cseq} {method}", f"Contact: {_ME}"]
    return _message([*lines, *headers], body, method != "ACK")


def scene(folder: Path, name: str, *steps: str) -> Path:
    """Write a scenario file."""
    body = "\n".join(steps)
    named = sorted(set(re.findall(r'assign_to="(\w+)"', body)))
    reference = f'<Reference variables="{",".join(named)}"/>' if named else ""
    file = folder / f"{name}.xml"
    file.write_text(f'<?xml version="1.0" encoding="UTF-8"?>\n<scenario name="{name}">\n'
                    f"{body}\n{reference}\n</scenario>\n")
    return file
