"""Templates: text to segments, and the messages that come of them."""

import itertools
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from siploadgen.compile.assemble import compile_scenarios
from siploadgen.compile.listing import template_text
from siploadgen.compile.template import (
    FIELDS,
    Scope,
    ack_failure_text,
    cancel_text,
    compile_message,
    compile_text,
    field_name,
)
from siploadgen.core.program import Field, TemplateFlag, TemplateKind
from siploadgen.model.builtin import build_answerer, build_caller
from siploadgen.model.errors import ModelError
from siploadgen.model.messages import SESSIONS, request_text, response_text
from siploadgen.model.python import call
from tests.compile.reference import Leg, Message, stamp

LEG = Leg("0123456789abcdef01234567", "89abcdef0123456789abcdef", cseq=1000, invite_cseq=1000,
          branch="0" * 24, invite_branch="1" * 24, remote_tag="r1", remote_uri="sip:s@h:1")


def joined(parts):
    out = ""
    for part in parts:
        if part.field is Field.FIELD_LITERAL:
            out += part.literal.decode().replace("{", "{{").replace("}", "}}")
        else:
            out += field_name(part)
    return out


plain = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="{}\r\n"), max_size=20)
body_fields = st.sampled_from(["{call_id}", "{local_tag}", "{token}", "{local}", "{local_host}"])
head_fields = st.sampled_from([f"{{{name}}}" for name in FIELDS if name != "content_length"])
piece = st.one_of(plain, st.just("{{"), st.just("}}"))


@given(st.lists(st.one_of(piece, head_fields)))
def test_parts_joined_again_give_the_text(pieces):
    text = "".join(pieces)
    parts = compile_text(text, Scope()).parts
    assert joined(parts) == text
    for before, after in itertools.pairwise(parts):
        assert not before.field == after.field == Field.FIELD_LITERAL
    assert all(part.literal or part.field is not Field.FIELD_LITERAL for part in parts)


@given(st.lists(st.one_of(piece, head_fields)), st.lists(st.one_of(piece, body_fields)))
def test_a_message_is_split_before_its_body(head, body):
    head_text, body_text = "X " + "".join(head), "".join(body)
    parts = compile_message(f"{head_text}\r\nL: {{content_length}}\r\n\r\n{body_text}", Scope())
    assert joined(parts.parts[parts.body:]) == body_text
    literal = not re.search(r"(?<!\{)\{(?!\{)", body_text.replace("{{", "").replace("}}", ""))
    octets = len(body_text.replace("{{", "{").replace("}}", "}").encode())
    length = str(octets) if literal else "{content_length}"
    assert joined(parts.parts[:parts.body]) == f"{head_text}\r\nL: {length}\r\n\r\n"


def test_line_ends_become_crlf():
    assert compile_message("A\nB: 1\n\nx\ny", Scope()).parts[0].literal == b"A\r\nB: 1\r\n\r\n"


def test_what_is_known_is_folded():
    scope = Scope({"target.host": "h"}, {"n": 3}.get, column={"user": 1}.get)
    parts = compile_text("a{target.host}b{n}{user}", scope).parts
    assert [(part.field, part.arg, part.literal) for part in parts] == [
        (Field.FIELD_LITERAL, 0, b"ahb"), (Field.FIELD_VARIABLE, 3, b""),
        (Field.FIELD_COLUMN, 1, b"")]


@pytest.mark.parametrize(("text", "message"), [
    ("{calid}", "nothing is called {calid}"),
    ("a { b", "a single { in the text"),
    ("a } b", "a single } in the text"),
    ("{}", "a single { in the text"),
])
def test_faulty_texts(text, message):
    with pytest.raises(ModelError, match=re.escape(message)):
        compile_text(text, Scope())


def test_a_wrong_name_is_answered_with_the_nearest():
    with pytest.raises(ModelError, match='did you mean "call_id"'):
        compile_text("{calid}", Scope())


def test_a_message_needs_an_empty_line():
    with pytest.raises(ModelError, match="no empty line"):
        compile_message("INVITE sip:a SIP/2.0\r\nVia: x\r\n", Scope())


def test_a_body_holds_no_header_fields():
    with pytest.raises(ModelError, match=r"\{echo\} cannot stand in a body"):
        compile_message("A\r\n\r\n{echo}", Scope())


# --- companions ---

INVITE = request_text("INVITE", uri="sip:b@h;x={n}", from_value="<sip:a@h>;tag={local_tag}",
                      to_value="<sip:b@h>", headers=(("Route", "<sip:p;lr>"), ("Subject", "s")),
                      body=SESSIONS["g711"], content_type="application/sdp")


def test_cancel_is_the_invite_without_what_does_not_belong():
    lines = cancel_text(INVITE).split("\r\n")
    assert lines == [
        "CANCEL sip:b@h;x={n} SIP/2.0",
        "Via: SIP/2.0/UDP {local};rport;branch=z9hG4bK{branch}",
        "Route: <sip:p;lr>",
        "Max-Forwards: 70",
        "From: <sip:a@h>;tag={local_tag}",
        "To: <sip:b@h>",
        "Call-ID: {call_id}",
        "CSeq: {cseq} CANCEL",
        "Content-Length: 0", "", ""]


def test_ack_for_a_failure_gives_the_parties_of_the_response():
    assert ack_failure_text(INVITE).split("\r\n") == [
        "ACK sip:b@h;x={n} SIP/2.0",
        "Via: SIP/2.0/UDP {local};rport;branch=z9hG4bK{branch}",
        "Route: <sip:p;lr>",
        "Max-Forwards: 70",
        "{echo_parties}CSeq: {cseq} ACK",
        "Content-Length: 0", "", ""]


def test_companions_of_a_reinvite_keep_its_request_uri_and_routes():
    text = request_text("INVITE", uri="{request_uri}", from_value="f", to_value="t", routes=True)
    for companion in (cancel_text(text), ack_failure_text(text)):
        lines = companion.split("\r\n")
        assert lines[0].split()[1] == "{initial_uri}"
        assert lines[2].startswith("{routes}Max-Forwards")


def test_compact_names_are_known():
    text = "INVITE sip:b SIP/2.0\nv: V\nf: F\nt: T\ni: I\nSubject: t\n\n"
    assert [line for line in cancel_text(text).split("\r\n") if ": " in line][:5] == [
        "v: V", "Max-Forwards: 70", "f: F", "t: T", "i: I"]


# --- whole messages ---


def templates(program):
    for number, row in enumerate(program.templates):
        if row["kind"] != TemplateKind.TEMPLATE_TEXT:
            yield number, row


def test_the_invite_has_what_it_must_and_a_usual_size():
    program = build_caller("call", target_uri="sip:127.0.0.1:5060")
    number = next(n for n, row in templates(program) if row["ack"] != 0xFFFF)
    data = stamp(program, number, LEG)
    message = Message(data)
    assert message.start == "INVITE sip:service@127.0.0.1:5060 SIP/2.0"
    assert message.get("Via") == f"SIP/2.0/UDP 127.0.0.1:5070;rport;branch=z9hG4bK{'0' * 24}"
    assert message.get("Max-Forwards") == "70"
    assert message.get("From") == f"<sip:caller@127.0.0.1>;tag={LEG.token}"
    assert message.get("To") == "<sip:service@127.0.0.1>"
    assert message.get("Call-ID") == LEG.call_id
    assert message.get("CSeq") == "1000 INVITE"
    assert message.get("Contact") == f"<sip:{LEG.token}@127.0.0.1:5070>"
    assert message.get("Content-Type") == "application/sdp"
    assert message.body.startswith("v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\n")
    assert "m=audio 6000 RTP/AVP 0 8\r\n" in message.body
    assert 500 <= len(data) <= 650


@pytest.mark.parametrize("settings", [{}, {"user": "u"}, {"ring_limit": "9s", "hold": "1s"}])
def test_every_message_is_well_formed(settings):
    LEG.echo = "Via: v\r\nFrom: f\r\nTo: t\r\nCall-ID: c\r\nCSeq: 1 X\r\n"
    LEG.parties = "From: f\r\nTo: t\r\nCall-ID: c\r\n"
    LEG.contacts = "Contact: <sip:x>;expires=1\r\n"
    programs = [build_caller("call", target_uri="sip:h", settings=settings)]
    programs += [build_caller(model, target_uri="sip:h") for model in ("register", "options")]
    programs += [build_answerer(challenge="md5", reject="486:1%,no_answer:1%", settings=settings)]
    row = {"user": "u", "password": "p"}
    for program in programs:
        for number, template in templates(program):
            message = Message(stamp(program, number, LEG, row=row, variables=[7] * 24,
                                    texts=["uac"] * 8))
            for name in ("Via", "From", "To", "Call-ID", "CSeq", "Content-Length"):
                message.get(name)
            if template["kind"] != TemplateKind.TEMPLATE_RESPONSE:
                assert message.get("Max-Forwards") == "70"


def test_fixed_length_says_the_truth():
    """Templates so marked have one length whatever the leg has learnt, others not always."""
    program = build_caller("call", target_uri="sip:127.0.0.1:5060", settings={"ring_limit": "9s"})
    long = Leg("f" * 24, "e" * 24, cseq=9999, invite_cseq=9999, branch="2" * 24,
               invite_branch="3" * 24, remote_tag="long-" * 9, remote_uri="sip:" + "h" * 50,
               routes="Route: <sip:p;lr>\r\n", parties="From: f\r\nTo: t\r\nCall-ID: c\r\nX: y\r\n")
    short = Leg("0" * 24, "1" * 24, cseq=1000, invite_cseq=1000, branch="4" * 24,
                invite_branch="5" * 24, parties="From: f\r\nTo: t\r\nCall-ID: c\r\n")
    fixed = {}
    for number, row in templates(program):
        same = len(stamp(program, number, long)) == len(stamp(program, number, short))
        fixed[int(row["kind"]), int(row["method"])] = bool(
            row["flags"] & TemplateFlag.TEMPLATE_FIXED_LENGTH)
        assert same or not row["flags"] & TemplateFlag.TEMPLATE_FIXED_LENGTH
    assert fixed[TemplateKind.TEMPLATE_REQUEST, 1]  # INVITE
    assert fixed[TemplateKind.TEMPLATE_CANCEL, 4]
    assert not fixed[TemplateKind.TEMPLATE_ACK, 2]
    assert not fixed[TemplateKind.TEMPLATE_REQUEST, 3]  # BYE


def test_content_length_is_a_number_when_the_body_is_known():
    @call()
    def message(c):
        c.send("MESSAGE", body="häl\nlo")

    program = compile_scenarios(message.record(target="sip:h"))
    text = template_text(program, 0)
    assert "Content-Length: 8\r\n" in text
    assert text.endswith("\r\n\r\nhäl\r\nlo")
    assert int(program.templates[0]["body"]) == int(program.templates[0]["count"]) - 1


def test_a_response_echoes_and_marks_the_dialog():
    assert "Contact: " in response_text(180, "INVITE")
    assert "Contact: " not in response_text(100, "INVITE")
    assert "Contact: " not in response_text(486, "INVITE")
    assert "Contact: " not in response_text(200, "BYE")
    assert "{contacts}Server" in response_text(200, "REGISTER")
    assert "Allow: " in response_text(200, "OPTIONS")
    assert "Allow: " in response_text(405, "PUBLISH")
    assert response_text(299, "BYE").startswith("SIP/2.0 299 \r\n")


def test_the_contact_names_a_transport_that_is_not_udp():
    for transport, end in (("udp", ">"), ("tcp", ";transport=tcp>")):
        program = build_answerer(transport=transport)
        text = next(template_text(program, number) for number, template in templates(program)
                    if template["status"] == 180)
        assert f"Contact: <sip:{{token}}@{{own_address}}{end}\r\n" in text


def test_the_transport_stands_in_the_via():
    program = build_caller("options", target_uri="sip:h;transport=tcp")
    assert "Via: SIP/2.0/TCP {local}" in template_text(program, 0)
    assert template_text(program, 0).startswith("OPTIONS sip:service@h;transport=tcp SIP/2.0\r\n")
