"""The recorder: what it makes of a model, and how it refuses."""

import inspect
import re
from pathlib import Path

import pytest

from siploadgen.compile.assemble import compile_scenarios
from siploadgen.compile.listing import listing
from siploadgen.core.program import Op
from siploadgen.model import scenario as tree
from siploadgen.model.errors import ModelError
from siploadgen.model.python import CallModel, answer, call, load_models
from siploadgen.model.recorder import Recorder, parse_what
from siploadgen.model.settings import Setting
from siploadgen.model.target import address_of, parse_target
from siploadgen.model.values import Fixed, lognormal

TARGET = "sip:127.0.0.1:5060"


def record(body, *, role=tree.Role.CALLER, method="", **settings):
    recorder = Recorder("test", role=role, method=method, settings=settings,
                        target=parse_target(TARGET))
    body(recorder)
    return recorder.scenario()


def ops(body, **settings):
    program = compile_scenarios(record(body, **settings))
    return [Op(int(op)).name.removeprefix("OP_") for op in program.code["op"]]


def failure(body, **more):
    """The error of a model, and the text of the line that it points to."""
    with pytest.raises(ModelError) as caught:
        compile_scenarios(record(body, **more))
    file, _, line = caught.value.place.partition(":")
    assert file == "test_python.py"
    lines = inspect.getsource(inspect.getmodule(body)).splitlines()
    return caught.value, lines[int(line) - 1].strip()


def test_the_body_runs_once_and_at_recording():
    runs = []

    @call()
    def model(c):
        runs.append(c)
        c.end()

    assert isinstance(model, CallModel)
    assert not runs
    model.record()
    assert len(runs) == 1


def test_optional_and_mandatory_expectations_make_one_wait():
    def body(c):
        c.invite()
        c.expect(optional=100).optional(180, 183, stop="srd")
        c.expect(200).otherwise(end="failed")
        c.ack()

    scenario = record(body)
    waits = [step for step in scenario.steps if isinstance(step, tree.Await)]
    assert len(waits) == 1
    assert [(case.then, len(case.steps)) for case in waits[0].cases] == [
        (tree.Then.STAY, 0), (tree.Then.STAY, 1), (tree.Then.GO_ON, 0), (tree.Then.GO_ON, 1)]


def test_two_mandatory_expectations_are_two_waits():
    assert ops(lambda c: (c.options(), c.expect(200), c.expect("BYE"))).count("AWAIT") == 2


def test_otherwise_comes_last_wherever_it_was_written():
    def body(c):
        c.options()
        c.expect(200).otherwise(end="failed").ends(486, end="busy")

    cases = record(body).steps[1].cases
    assert [case.matches[0].low for case in cases] == [200, 486, 200]


def test_a_pause_of_nothing_is_left_out():
    assert ops(lambda c: c.pause("0s")) == ["END"]
    assert ops(lambda c: c.pause(c.v.hold), hold=Fixed(0)) == ["END"]
    assert ops(lambda c: c.pause(c.v.hold), hold=lognormal("1s", 0.5)) == ["PAUSE", "END"]


def test_a_condition_before_an_end_or_a_jump_is_one_instruction():
    def body(c):
        c.set("n", 1)
        c.label("top")
        with c.if_(c.v.n == 1):
            c.end("failed")
        with c.if_(c.v.n == 2):
            c.jump("top")

    assert ops(body) == ["SET", "JUMP_IF", "JUMP_IF", "END", "END"]


@pytest.mark.parametrize(("condition", "text"), [
    (lambda v: v == 3, "n != 3"), (lambda v: v != 3, "n == 3"), (lambda v: v < 3, "n >= 3"),
    (lambda v: v <= 3, "n > 3"), (lambda v: v > 3, "n <= 3"), (lambda v: v >= 3, "n < 3")])
def test_a_block_is_jumped_over_when_the_condition_does_not_hold(condition, text):
    def body(c):
        c.set("n", 1)
        with c.if_(condition(c.v.n)):
            c.count("yes")

    compiled = listing(compile_scenarios(record(body)))
    assert re.search(rf"JUMP_IF +{re.escape(text)} +→ 3", compiled)


def test_ends_of_one_outcome_are_shared():
    def body(c):
        c.options()
        c.expect(200, within="1s").ends(486, 487, end="busy").ends(600, end="busy")
        c.options()
        c.expect(200, within="1s").ends(486, end="busy")

    assert ops(body).count("END") == 3  # succeeded, busy, timeout


def test_in_a_dialog_requests_go_to_the_remote_target():
    def body(c):
        c.options()
        c.expect(200)
        c.invite()
        c.expect(200)
        c.ack()
        c.send("INFO")
        c.expect(200)

    sends = [step for step in record(body).steps if isinstance(step, tree.Send)]
    assert [send.in_dialog for send in sends] == [False, False, True, True]
    assert sends[3].text.startswith("INFO {request_uri} SIP/2.0\r\n")
    assert "{routes}" in sends[3].text
    assert "{remote_tag}" in sends[3].text


def test_the_answering_side_names_its_parties_by_fields():
    def body(c):
        c.respond(200, sdp="g711")
        c.expect("ACK")
        c.bye()
        c.expect(200)

    sends = [step for step in record(body, role=tree.Role.ANSWERER, method="INVITE").steps
             if isinstance(step, tree.Send)]
    assert "From: {local_party}\r\nTo: {remote_party}\r\n" in sends[1].text


def test_credentials_have_a_place_only_where_challenges_are_answered():
    def without(c):
        c.options()
        c.expect(200)

    def with_(c):
        c.options()
        c.expect(200).auth(user="a", password="b")

    assert "{authorization}" not in record(without).steps[0].text
    assert "{authorization}" in record(with_).steps[0].text


def test_responses_answer_the_request_last_received():
    def body(c):
        c.respond(180)
        c.respond(200)
        c.expect("BYE").optional("ACK")
        c.respond(200)

    sends = [step for step in record(body, role=tree.Role.ANSWERER, method="INVITE").steps
             if isinstance(step, tree.Send)]
    assert [(send.status, send.method) for send in sends] == [
        (180, "INVITE"), (200, "INVITE"), (200, "BYE")]


def test_legs_are_numbered():
    def body(c):
        c.options(leg="a")
        c.expect(200, leg="a")
        c.options(leg="b")
        c.expect(200, leg="b")

    scenario = record(body)
    assert scenario.legs == 2
    program = compile_scenarios(scenario)
    assert list(program.matchers["leg"]) == [0, 1]
    assert [int(row["b"]) for row in program.code if row["op"] == Op.OP_SEND] == [0, 1]


def test_settings_are_read_by_their_kind():
    @call(hold=Setting("2s", kind="distribution"), n=Setting("3", kind="count"), plain=7)
    def model(c):
        c.pause(c.v.hold)
        c.set("k", c.v.n + c.v.plain)

    steps = model.record(settings={"hold": "exponential(1s)"}).steps
    assert steps[0].duration.mean == 1e9
    assert steps[1].value == Fixed(10)


@pytest.mark.parametrize(("kind", "text"), [
    ("duration", "2"), ("distribution", "nope(1)"), ("share", "120%"), ("count", "-1"),
    ("count", "x"), ("flag", "maybe"), ("times", "often"), ("uri", "bob"), ("uri", "sip:a b"),
    ("session", "g712"), ("text", "a\r\nb"), ("shares", "uniform(90%,50%)")])
def test_faulty_settings_name_the_setting(kind, text):
    with pytest.raises(ModelError, match=r"^setting it: ") as caught:
        Setting("", kind=kind).read(text, "it")
    assert caught.value.mend


def test_weights_of_a_mix_add_up():
    from dataclasses import replace

    scenarios = [replace(record(lambda c: c.end()), name=str(n), weight=1) for n in range(7)]
    program = compile_scenarios(*scenarios)
    assert int(program.entries["weight"].sum()) == 1_000_000
    assert len(set(program.entries["weight"].tolist())) <= 2


def test_answer_rows_come_in_order():
    @answer("INVITE")
    def one(c):
        c.respond(486)

    @answer("REGISTER")
    def two(c):
        c.respond(200)

    program = compile_scenarios(one.record(), two.record())
    assert program.answers["method"].tolist() == [1, 5]
    assert program.answers["entry"].tolist() == [0, 1]
    assert program.entries["role"].tolist() == [1, 1]


def test_an_answer_can_be_bound_to_a_user():
    @answer("INVITE", user="bob")
    def bob(c):
        c.respond(200)

    program = compile_scenarios(bob.record())
    offset, length = (int(program.answers[name][0]) for name in ("user_offset", "user_length"))
    assert program.text[offset:offset + length] == b"bob"


def test_what_can_be_waited_for():
    assert parse_what(range(300, 400), "X") == tree.OnResponse(300, 399, "X")
    assert parse_what("4xx", "X") == tree.OnResponse(400, 499, "X")
    assert parse_what("200-299", "X") == tree.OnResponse(200, 299, "X")
    assert parse_what("cancel", "") is tree.OnEvent.CANCEL
    for faulty in (99, 700, "7xx", "300-200", "2-9x", "BYE ME", "", "x y", range(0)):
        with pytest.raises(ModelError):
            parse_what(faulty, "X")


@pytest.mark.parametrize(("uri", "address"), [
    ("sip:bob@h:5060;transport=tcp", "sip:bob@h"), ("sip:h:5060", "sip:h"), ("sip:h", "sip:h"),
    ("sip:bob@[::1]:5060", "sip:bob@[::1]"), ("sips:a;b@h?x=y", "sips:a;b@h"),
    ("tel:+1201", "tel:+1201"), ("tel:7;phone-context=+1;ext=5", "tel:7;phone-context=+1;ext=5"),
    ("sip:+1-201@h:5060;user=phone;transport=udp;lr", "sip:+1-201@h;user=phone"),
    ("sip:{callee.user}@{target.host}:{target.port}",
                                 "sip:{callee.user}@{target.host}")])
def test_ports_and_parameters_do_not_belong_into_from_and_to(uri, address):
    assert address_of(uri) == address


@pytest.mark.parametrize(("text", "uri", "transport"), [
    ("sip:h", "sip:s@h", "UDP"), ("h:5070", "sip:s@h:5070", "UDP"), ("sip:u@h", "sip:u@h", "UDP"),
    ("sips:h", "sips:s@h", "TLS"), ("sip:[::1]:5;transport=TCP", "sip:s@[::1]:5;transport=TCP",
                                    "TCP")])
def test_targets(text, uri, transport):
    target = parse_target(text)
    assert target.uri("s") == uri
    assert target.transport == transport


@pytest.mark.parametrize("text", ["", "http://h", "sip:", "sip:h:99999", "sip:a b", "sip:h:x",
                                  "sip:h;transport=pigeon"])
def test_faulty_targets(text):
    with pytest.raises(ModelError):
        parse_target(text)


# --- errors: the fault, the line, the mend ---


def _unknown_field(c):
    c.send("MESSAGE", headers={"X": "{calid}"})  # here


def _bye_first(c):
    c.bye()  # here


def _only_optional(c):
    c.options()
    c.expect(optional=100)  # here
    c.pause("1s")


def _only_optional_at_the_end(c):
    c.options()
    c.expect(optional=100)  # here


def _never_set(c):
    c.jump("x", when=c.v.n == 1)  # here
    c.label("x")


def _no_label(c):
    c.label("again")
    c.jump("agian")  # here


def _label_twice(c):
    c.label("again")
    c.label("again")  # here


def _no_session(c):
    c.invite(sdp="g712")  # here


def _both_bodies(c):
    c.invite(sdp="g711", body="x")  # here


def _python_if(c):
    c.set("n", 1)
    if c.v.n:  # here
        c.end()


def _no_condition(c):
    with c.if_("n == 1"):  # here
        c.end()


def _compare_variables(c):
    c.set("n", 1)
    c.jump("x", when=c.v.n == "m")  # here


def _cancel_nothing(c):
    c.options()
    c.cancel()  # here


def _respond_to_nothing(c):
    c.respond(200)  # here


def _no_status(c):
    c.options()
    c.expect(99)  # here


def _status_of_nothing(c):
    c.expect(200)  # here


def _unknown_method(c):
    c.expect("XLOAD")  # here


def _bad_method(c):
    c.send("A B")  # here


def _bad_uri(c):
    c.options("bob")  # here


def _bad_duration(c):
    c.pause("5 parsecs")  # here


def _bad_name(c):
    c.start("my clock")  # here


def _bad_outcome(c):
    c.end("so so")  # here


def _success_and_failure(c):
    with c.chance(0.5):
        c.end("done", ok=True)
    c.end("done")  # here


def _anew_on_condition(c):
    c.set("n", 0)
    c.label("top")
    c.jump("top", when=c.v.n > 1, anew=True)  # here


def _nothing_to_extract(c):
    c.extract("n", "exipres")  # here


def _else_alone(c):
    c.end()
    with c.else_():  # here
        c.end()


def _no_challenge(c):
    c.expect("BYE").auth(401)  # here


def _nothing_to_resend(c):
    c.resend()  # here


def _secret_field(c):
    c.options()
    c.expect(200).auth(user="{call_id}", password="x")  # here


def _too_large(c):
    c.set("n", 2**64)  # here


@pytest.mark.parametrize("body", [
    value for name, value in list(globals().items()) if name.startswith("_") and callable(value)
    and "# here" in inspect.getsource(value)], ids=lambda body: body.__name__[1:])
def test_errors_point_to_the_line_and_say_what_to_do(body):
    error, line = failure(body)
    assert line.endswith("# here")
    assert error.mend
    assert str(error).startswith(error.place + ": ")


def test_messages_name_the_nearest():
    assert 'did you mean "again"' in str(failure(_no_label)[0])
    assert 'did you mean "call_id"' in str(failure(_unknown_field)[0])
    assert 'did you mean "expires"' in str(failure(_nothing_to_extract)[0])


def test_limits_are_told():
    def variables(c):
        for n in range(25):
            c.set(f"v{n}", 0)

    def clocks(c):
        for n in range(9):
            c.start(f"c{n}")

    def legs(c):
        for n in range(9):
            c.options(leg=str(n))

    for body, what in ((variables, "more than 24 variables"), (clocks, "more than 8 clocks"),
                       (legs, "uses 9 legs")):
        with pytest.raises(ModelError, match=what):
            compile_scenarios(record(body))


def _unknown_step(c):
    c.invit()  # here


def _wrong_argument(c):
    c.options()
    c.expect(200, withn="3s")  # here


def _own_fault(c):
    c.options(None + 1)  # here


@pytest.mark.parametrize("body", [_unknown_step, _wrong_argument, _own_fault])
def test_faults_of_the_function_itself_are_told_like_all_others(body):
    with pytest.raises(ModelError) as caught:
        call()(body).record(target=TARGET)
    line = int(caught.value.place.removeprefix("test_python.py:"))
    assert Path(__file__).read_text().splitlines()[line - 1].endswith("# here")


def test_expectations_of_two_legs_make_one_wait():
    def body(c):
        c.options(leg="a")
        c.options(leg="b")
        c.expect(optional=100, leg="a")
        c.expect(200, leg="b")

    wait = record(body).steps[-1]
    assert [case.leg for case in wait.cases] == [0, 1]


def test_models_come_from_files(tmp_path):
    file = tmp_path / "calls.py"
    file.write_text("""from siploadgen.model.python import answer, call

@call()
def ask(c):
    c.options()
    c.expect(200)

@answer("OPTIONS", name="reply")
def _reply(c):
    c.respond(200)
""")
    models = load_models(file)
    assert set(models) == {"ask", "reply"}
    assert len(models["ask"].record(target=TARGET).steps) == 2
    assert str(models["ask"].place) == "calls.py:3"


@pytest.mark.parametrize(("text", "place", "message"), [
    ("x = (", "calls.py:1", "not Python"), ("x = 1", "calls.py", "no call model"),
    ("x = 1\ny = x / 0", "calls.py:2", "ZeroDivisionError")])
def test_files_that_are_no_models(tmp_path, text, place, message):
    file = tmp_path / "calls.py"
    file.write_text(text)
    with pytest.raises(ModelError, match=message) as caught:
        load_models(file)
    assert caught.value.place == place


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(ModelError, match="No such file"):
        load_models(tmp_path / "none.py")


def test_nothing_to_compile():
    with pytest.raises(ModelError, match="no scenario"):
        compile_scenarios()


def test_no_target():
    @call()
    def model(c):
        c.options()

    with pytest.raises(ModelError, match="no target"):
        model.record()


def test_a_scenario_is_started_by_a_known_method():
    @answer("XLOAD")
    def model(c):
        c.respond(200)

    with pytest.raises(ModelError, match="cannot start"):
        compile_scenarios(model.record())
