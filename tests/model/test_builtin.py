"""The doors of the built-in models: settings, errors, sources."""

import pytest

from siploadgen.compile.listing import template_text
from siploadgen.core.program import Op, TemplateFlag, TemplateKind
from siploadgen.model.builtin import (
    ANSWERERS,
    MODELS,
    build_answerer,
    build_caller,
    parse_refusals,
)
from siploadgen.model.errors import ModelError

TARGET = "sip:127.0.0.1:5060"


def test_every_model_has_help_for_every_setting():
    for name, model in MODELS.items():
        assert model.name == name
        assert model.summary.endswith(".")
        assert model.summary[:-1] in model.source
        compile(model.source, name, "exec")
        for setting, what in model.settings.items():
            assert what.help, setting
            what.read(what.default, setting)


def test_the_source_holds_the_functions_that_are_called():
    assert "def give_up(" in MODELS["call"].source
    assert "def _registration(" in MODELS["register"].source
    assert "def check_credentials(" in MODELS["options"].source


def test_settings_of_the_answering_side_are_settings_of_some_model():
    known = {name for model in MODELS.values() for name in model.settings}
    assert {name for side in ANSWERERS for name in side.settings} <= known


def test_both_sides_take_the_same_settings():
    settings = {"hold": "1s", "ring": "2s", "ring_limit": "9s", "realm": "r"}
    build_caller("call", target_uri=TARGET, settings=settings)
    build_answerer(settings=settings)


@pytest.mark.parametrize(("model", "settings", "text"), [
    ("cal", {}, 'there is no model cal (did you mean "call"?)'),
    ("call", {"hol": "1s"}, 'unknown setting hol (did you mean "hold"?)'),
    ("call", {"hold": "soon"}, "setting hold: 'soon' is not a duration"),
    ("call", {"ring": "soon"}, "setting ring: 'soon' is not a duration"),
    ("call", {"sdp": "g712"}, "setting sdp: there is no session description g712"),
    ("call", {"to": "bob"}, "setting to: 'bob' is not a URI"),
    ("register", {"refresh_at": "uniform(50%,190%)"}, "setting refresh_at"),
    ("register", {"hold": "1s"}, "unknown setting hold"),
])
def test_faults_of_the_caller(model, settings, text):
    with pytest.raises(ModelError) as caught:
        build_caller(model, target_uri=TARGET, settings=settings)
    assert text in str(caught.value)


def test_a_faulty_target():
    with pytest.raises(ModelError, match="is not a SIP URI"):
        build_caller("call", target_uri="http://x")


@pytest.mark.parametrize(("arguments", "text"), [
    ({"challenge": "md4"}, 'there is no challenge md4 (did you mean "md5"?)'),
    ({"reject": "486"}, "'486' is not a share of refusals"),
    ({"reject": "200:3%"}, "not a share of refusals"),
    ({"reject": "486:60%,503:50%"}, "more than 100%"),
    ({"answer_after": "late"}, "setting answer_after"),
    ({"settings": {"rign": "1s"}}, 'unknown setting rign (did you mean "ring"?)'),
    ({"settings": {"no_answer": "x"}}, "setting no_answer"),
])
def test_faults_of_the_answerer(arguments, text):
    with pytest.raises(ModelError) as caught:
        build_answerer(**arguments)
    assert text in str(caught.value)


def test_mixes_of_refusals():
    assert parse_refusals("") == ()
    assert parse_refusals(" 486:3% , no_answer:0.5%,503:0%") == ((486, 0.03), ("no_answer", 0.005))


def test_answer_after_wins_over_ring():
    program = build_answerer(answer_after="3s", settings={"ring": "7s"})
    values = program.operands["value"].tolist()
    assert 3_000_000_000 in values
    assert 7_000_000_000 not in values


def test_an_answer_at_once_does_not_pause():
    def pauses(ring):
        program = build_answerer(settings={"ring": ring})
        return int((program.code["op"] == Op.OP_PAUSE).sum())

    # until the answer and until the INVITE expires, and the like of the callee of DTMF
    assert pauses("1s") > pauses("0s")


def test_only_the_methods_asked_for_are_challenged():
    def checks(methods):
        program = build_answerer(challenge="md5", settings={"challenge_methods": methods})
        return int((program.code["op"] == Op.OP_CHALLENGE_CHECK).sum())

    own = ("answer-auth", "answer-transfer-target")  # challenged always, its BYE too; and never

    def sides(*methods):
        return 2 + sum(one.method in methods and one.name not in own for one in ANSWERERS)

    assert checks("INVITE,REGISTER") == sides("INVITE", "REGISTER")
    assert checks("REGISTER") == sides("REGISTER")
    assert checks("INVITE, OPTIONS, REGISTER") == sides("INVITE", "OPTIONS", "REGISTER")


def test_columns_make_the_caller_one_of_the_users():
    program = build_caller("call", target_uri="sip:h", columns=("user", "password"))
    assert program.columns == ("user", "password")
    invite = next(n for n, row in enumerate(program.templates)
                  if row["kind"] == TemplateKind.TEMPLATE_REQUEST)
    assert "From: <sip:{user}@h>;tag={local_tag}\r\n" in template_text(program, invite)
    assert not program.templates["flags"][invite] & TemplateFlag.TEMPLATE_FIXED_LENGTH


def test_braces_in_a_password_are_no_field():
    program = build_caller("call", target_uri="sip:h",
                           settings={"user": "u", "password": "a{user}b"})
    texts = [template_text(program, n) for n, row in enumerate(program.templates)
             if row["kind"] == TemplateKind.TEMPLATE_TEXT]
    assert "a{user}b" in texts
    assert program.columns == ()


def test_register_always_works_on_users():
    assert build_caller("register", target_uri=TARGET).columns == ("user", "password")


def test_the_domain_can_differ_from_the_target():
    program = build_caller("register", target_uri="sip:h", settings={"domain": "example.org"})
    assert template_text(program, 0).startswith("REGISTER sip:example.org SIP/2.0\r\n")
    assert "To: <sip:{user}@example.org>\r\n" in template_text(program, 0)
