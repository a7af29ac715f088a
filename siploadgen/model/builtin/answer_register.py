"""The answering side of registrations."""

from siploadgen.model.builtin.parts import CHALLENGE, accepted, check_credentials
from siploadgen.model.python import answer
from siploadgen.model.recorder import Recorder
from siploadgen.model.settings import Setting, literal


@answer(
    "REGISTER",
    name="answer-register",
    min_expires=Setting("0", "answering side: shortest registration in seconds, else 423",
                        "count"),
    max_expires=Setting("86400", "answering side: longest registration in seconds", "count"),
    default_expires=Setting("3600", "answering side: registration of who asks for no time",
                            "count"),
    bindings=Setting("1000000", "answering side: Contacts that each engine has room for", "count"),
    service_route=Setting("", "answering side: Service-Route of its answers (RFC 3608)"),
    flow_timer=Setting("0", "answering side: Flow-Timer in seconds (RFC 5626); 0: none",
                       "count"),
    **CHALLENGE,
)
def answer_register(c: Recorder) -> None:
    """Keep the bindings of addresses of record, as a registrar does (RFC 3261 10.3)."""
    c.supports("path", "outbound", "gruu")
    check_credentials(c)
    c.bind("verdict", bindings=c.v.bindings, min_expires=c.v.min_expires,
           max_expires=c.v.max_expires, default_expires=c.v.default_expires,
           flow_timer=c.v.flow_timer)
    with c.if_(c.v.verdict != 200):
        for status in (400, 423, 439, 500, 503, 513):
            with c.if_(c.v.verdict == status):
                c.respond(status, headers={"Min-Expires": str(c.v.min_expires)} if status == 423
                          else {})
                c.end("refused", ok=True)
    route = {"Service-Route": literal(c.v.service_route)} if c.v.service_route else {}
    c.respond(200, headers={**route, **accepted(c)})
