"""Texts of the messages that siploadgen writes itself, complete but for their `{fields}`.

Which headers a message must have: RFC 3261 8.1.1, 8.2.6 and 20, table 2 and 3.
"""

import re
from collections.abc import Mapping

from siploadgen.model.errors import ModelError

# what every scenario takes: an INVITE in the call is answered, if only by 488
METHODS = ("INVITE", "ACK", "BYE", "CANCEL", "OPTIONS")
IN_DIALOG = ("INFO", "UPDATE", "PRACK", "REFER", "NOTIFY")  # what some take besides
ELSEWHERE = ("REGISTER", "SUBSCRIBE", "PUBLISH", "MESSAGE")  # served outside of calls
# option tags that one of our scenarios or another knows (RFC 3261 20.37)
SUPPORTED = ("100rel", "timer", "norefersub", "replaces", "tdialog")
PRODUCT = "siploadgen"

REASONS = {
    100: "Trying", 180: "Ringing", 181: "Call Is Being Forwarded", 182: "Queued",
    183: "Session Progress", 200: "OK", 202: "Accepted", 204: "No Notification",
    300: "Multiple Choices", 301: "Moved Permanently", 302: "Moved Temporarily", 305: "Use Proxy",
    380: "Alternative Service", 400: "Bad Request", 401: "Unauthorized", 402: "Payment Required",
    403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed", 406: "Not Acceptable",
    407: "Proxy Authentication Required", 408: "Request Timeout", 410: "Gone",
    412: "Conditional Request Failed", 413: "Request Entity Too Large", 414: "Request-URI Too Long",
    415: "Unsupported Media Type", 416: "Unsupported URI Scheme", 420: "Bad Extension",
    421: "Extension Required", 422: "Session Interval Too Small", 423: "Interval Too Brief",
    439: "First Hop Lacks Outbound Support",
    480: "Temporarily Unavailable", 481: "Call/Transaction Does Not Exist", 482: "Loop Detected",
    483: "Too Many Hops", 484: "Address Incomplete", 485: "Ambiguous", 486: "Busy Here",
    487: "Request Terminated", 488: "Not Acceptable Here", 489: "Bad Event",
    491: "Request Pending", 493: "Undecipherable", 500: "Server Internal Error",
    501: "Not Implemented", 502: "Bad Gateway", 503: "Service Unavailable",
    504: "Server Time-out", 505: "Version Not Supported", 513: "Message Too Large",
    600: "Busy Everywhere", 603: "Decline", 604: "Does Not Exist Anywhere",
    606: "Not Acceptable",
}

_G711 = """\
v=0
o=- 1 1 IN {sdp_address}
s=-
c=IN {sdp_address}
t=0 0
m=audio 6000 RTP/AVP 0 8
a=sendrecv
"""
_G729 = """\
v=0
o=- 1 1 IN {sdp_address}
s=-
c=IN {sdp_address}
t=0 0
m=audio 6000 RTP/AVP 18
a=fmtp:18 annexb=no
a=sendrecv
"""
# name in `sdp=` -> session description
SESSIONS: Mapping[str, str] = {"g711": _G711, "g729": _G729}

_ORIGIN = re.compile(r"^(o=\S+ \S+ )(\d+)", re.MULTILINE)
_FLOW = re.compile(r"^a=(?:sendrecv|sendonly|recvonly|inactive)\b", re.MULTILINE)


def session_version(session: str) -> int:
    """Version in the origin line of a session description, 1 when it is no number.

    >>> session_version("g711")
    1
    """
    found = _ORIGIN.search(SESSIONS.get(session, session))
    return int(found[2]) if found else 1


def session_changing(session: str) -> str:
    """Write a description whose direction and version are `{flow}` and `{version}`.

    With another direction the version is one higher (RFC 3264 8).
    """
    text = _ORIGIN.sub(r"\1{version}", SESSIONS.get(session, session), count=1)
    if _FLOW.search(text):
        return _FLOW.sub("a={flow}", text)
    return re.sub(r"^m=", "a={flow}\nm=", text, count=1, flags=re.MULTILINE)


# headers of ours that one of the same name takes the place of
NEEDED = frozenset({"via", "from", "to", "call-id", "cseq", "content-length"})
REPLACED = frozenset({"max-forwards", "user-agent", "server", "allow", "contact"})
# Methods whose request carries a Contact (RFC 3261 8.1.1.8, RFC 3311, 3515, 6665)
WITH_CONTACT = frozenset(
    {"INVITE", "SUBSCRIBE", "REFER", "UPDATE", "NOTIFY", "REGISTER", "OPTIONS"})
# Methods whose 2xx carries one (RFC 3261 12.1.1, 3311 5.2, 6665 4.2.1.1)
CONTACT_IN_2XX = frozenset({"INVITE", "SUBSCRIBE", "REFER", "UPDATE", "NOTIFY"})
# Requests that say what their sender can do (RFC 3261 13.2.1)
WITH_ALLOW = frozenset({"INVITE", "UPDATE"})
ALLOW_IN_2XX = frozenset({"INVITE", "OPTIONS", "UPDATE"})

# one-letter names of what we write (RFC 3261 7.3.3; RFC 6665, 3515, 3892, 4028)
COMPACT = {"Allow-Events": "u", "Call-ID": "i", "Contact": "m", "Content-Length": "l",
           "Content-Type": "c", "Event": "o", "From": "f", "Refer-To": "r", "Referred-By": "b",
           "Session-Expires": "x", "Subject": "s", "Supported": "k", "To": "t", "Via": "v"}
# a field such as {echo} may stand before the name, in place of whole lines
_NAMES = re.compile(rf"^((?:\{{\w+\}})*)({'|'.join(COMPACT)}):", re.MULTILINE)


def compact(text: str) -> str:
    """Write a message with short header names; its body stays.

    >>> compact("{echo}Contact: <sip:{token}@{local}>")
    '{echo}m: <sip:{token}@{local}>'
    """
    head, blank, body = text.partition("\r\n\r\n")
    return _NAMES.sub(lambda found: f"{found[1]}{COMPACT[found[2]]}:", head) + blank + body


def via(transport: str) -> str:
    """Write the Via of a request; answers come back to the socket that sent it (RFC 3581)."""
    return f"Via: SIP/2.0/{transport} {{local}};rport;branch=z9hG4bK{{branch}}"


def contact_line(transport: str) -> str:
    """Write the Contact, where requests of the dialog come in; its token carries the leg."""
    parameter = "" if transport == "UDP" else f";transport={transport.lower()}"
    return f"Contact: <sip:{{token}}@{{own_address}}{parameter}>"


def _finish(lines: list[str], headers: tuple[tuple[str, str | None], ...], content_type: str,
            body: str) -> str:
    taken = [name for name, value in headers if value is None]
    for name in taken:
        if name.lower() in NEEDED:
            raise ModelError(f"{name} cannot be taken out", mend="write the message with raw(...)")
    given = {name.lower() for name, _ in headers} & REPLACED | {name.lower() for name in taken}
    if given:
        lines = [line for line in lines if line.partition(":")[0].lower() not in given]
    lines += [f"{name}: {value}" for name, value in headers if value is not None]
    if body:
        lines += [f"Content-Type: {content_type}", "Content-Length: {content_length}"]
    else:
        lines.append("Content-Length: 0")
    text = "".join(f"{line}\r\n" for line in lines) + "\r\n" + body.replace("\r\n", "\n").replace(
        "\n", "\r\n")
    # these two fields bring their own line end, or nothing at all
    for whole in ("{routes}", "{authorization}", "{echo}", "{contacts}"):
        text = text.replace(whole + "\r\n", whole)
    return text


def request_text(
    method: str, *, uri: str, from_value: str, to_value: str, transport: str = "UDP",
    routes: bool = False, authorization: bool = True, contact: bool | None = None,
    supported: tuple[str, ...] = (),
    headers: tuple[tuple[str, str | None], ...] = (), content_type: str = "", body: str = "",
) -> str:
    """Write a request. `from_value` and `to_value` are the whole header values, tags included."""
    lines = [f"{method} {uri} SIP/2.0", via(transport)]
    if routes:
        lines.append("{routes}")
    lines += ["Max-Forwards: 70", f"From: {from_value}", f"To: {to_value}",
              "Call-ID: {call_id}", f"CSeq: {{cseq}} {method}"]
    if method in WITH_CONTACT if contact is None else contact:
        lines.append(contact_line(transport))
    if authorization:
        lines.append("{authorization}")
    lines.append(f"User-Agent: {PRODUCT}")
    if method in WITH_ALLOW:
        lines += ["Allow: {allow}", f"Supported: {', '.join(supported)}".rstrip()]
    return _finish(lines, headers, content_type, body)


def response_text(
    status: int, method: str, *, reason: str = "", transport: str = "UDP",
    contact: bool | None = None, headers: tuple[tuple[str, str | None], ...] = (),
    content_type: str = "", body: str = "",
) -> str:
    """Write a response to `method`; `{echo}` gives back Via ... CSeq and Record-Route."""
    lines = [f"SIP/2.0 {status} {reason or REASONS.get(status, '')}", "{echo}"]
    dialog = method == "INVITE" and 101 <= status <= 199  # RFC 3261 12.1.1
    if (dialog or (method in CONTACT_IN_2XX and 200 <= status <= 299)
            if contact is None else contact):
        lines.append(contact_line(transport))
    if method == "REGISTER" and 200 <= status <= 299:
        lines.append("{contacts}")
    lines.append(f"Server: {PRODUCT}")
    if (method in ALLOW_IN_2XX and 200 <= status <= 299) or status == 405:
        # OPTIONS asks what is answered outside of calls too
        lines.append(f"Allow: {', '.join((*METHODS, *IN_DIALOG, *ELSEWHERE))}"
                     if method == "OPTIONS" else "Allow: {allow}")
        if status != 405:
            lines.append(f"Supported: {', '.join(SUPPORTED)}" if method == "OPTIONS"
                         else "Supported: {supported}")
    if method == "OPTIONS" and 200 <= status <= 299:
        lines += ["Accept: application/sdp", "Allow-Events: presence, message-summary"]
    return _finish(lines, headers, content_type, body)
