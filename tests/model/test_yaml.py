"""Calls in YAML: the recorder of Python under them, and faults with their places."""

from pathlib import Path

import pytest

from siploadgen.compile.assemble import compile_scenarios
from siploadgen.model import scenario as tree
from siploadgen.model.located import FileError, load, place
from siploadgen.model.python import answer, call
from siploadgen.model.settings import Setting
from siploadgen.model.values import lognormal
from siploadgen.model.yaml import STEPS, call_models, setting_of, steps_schema, value_text

TARGET = "sip:127.0.0.1:5060"
COLUMNS = ("user", "password")


def model_of(text, section="calls", role=tree.Role.CALLER):
    found = call_models(load(text, "calls.yaml"), "calls.yaml", role, section)
    (one,) = found.values()
    return one


def faults_of(text):
    with pytest.raises(FileError) as caught:
        model_of(text).record(target=TARGET)
    return str(caught.value).splitlines()


@call(name="basic", columns=COLUMNS, hold=lognormal("30s", 0.6))
def basic(c):
    c.invite("sip:bob@{target.host}", sdp="g711", start="srd setup")
    c.expect(optional=100).auth(401, 407).optional(180, 183, stop="srd")
    c.expect(200, stop="srd setup", within="32s").ends(486, 603, end="busy").otherwise(end="failed")
    c.ack()
    with c.pause(c.v.hold).on("BYE"):
        c.respond(200)
        c.end("unexpected")
    c.bye(start="sdd")
    c.expect(200, stop="sdd")


BASIC = """
calls:
  basic:
    variables: { hold: { lognormal: { mean: 30s, sigma: 0.6 } } }
    columns: user password
    steps:
      - send: INVITE
        to: "sip:bob@{target.host}"
        sdp: g711
        start: srd setup
      - expect: { 100: optional, 401|407: authenticate, 180|183: { stop: srd, optional: true } }
      - expect: { 200: { stop: srd setup }, 486|603: { end: busy }, else: { end: failed } }
        within: 32s
      - send: ACK
      - pause: "{hold}"
        on: { BYE: [respond: 200, end: unexpected] }
      - send: BYE
        start: sdd
      - expect: { 200: { stop: sdd } }
"""


@call(name="flow", rounds=Setting("3", kind="count"))
def flow(c):
    c.set("n", 0)
    with c.loop(3):
        c.add("n", 1)
        c.mul("n", 0.5)
        with c.chance("10%"):
            c.count("lucky")
    c.label("again")
    c.register(expires=300, user="bob", headers={"X-Rounds": "3"})
    wait = c.expect("2xx", within="64*T1").optional(100)
    with wait.on(423):
        c.extract("least", "min_expires")
        with c.if_(c.v.least < 0):
            c.end("rejected")
        with c.else_():
            c.resend()
    with wait.on_late():
        c.end("late")
    c.capture("etag", "SIP-ETag")
    with c.if_text("etag", ""):
        c.text("etag", "none")
    with c.if_header("Require", "outbound"):
        c.binding()
        c.expect("binding", within="1s")
    c.jump("again", when=c.v.n < 5)
    c.datagram("\r\n\r\n")
    c.end("done", ok=True)


FLOW = r"""
calls:
  flow:
    variables: { rounds: 3 }
    steps:
      - set: { n: 0 }
      - loop: "{rounds}"
        do:
          - add: { n: 1 }
          - mul: { n: 0.5 }
          - chance: 10%
            do: [count: lucky]
      - label: again
      - send: REGISTER
        user: bob
        expires: 300
        headers: { X-Rounds: "{rounds}" }
      - expect:
          2xx: {}
          100: optional
          423:
            do:
              - extract: { least: min_expires }
              - if: least < 0
                then: [end: rejected]
                else: [resend]
            then: stay
        within: 64*T1
        late: [end: late]
      - capture: { etag: SIP-ETag }
      - if: { text: etag, is: "" }
        then: [text: { etag: none }]
      - if: { header: Require, has: outbound }
        then:
          - binding
          - expect: { binding: {} }
            within: 1s
      - jump: again
        when: n < 5
      - datagram: "\r\n\r\n"
      - end: done
        ok: true
"""


@pytest.mark.parametrize(("python", "yaml"), [(basic, BASIC), (flow, FLOW)])
def test_both_languages_give_one_program(python, yaml):
    columns = python.columns
    one = compile_scenarios(python.record(target=TARGET, columns=columns))
    other = compile_scenarios(model_of(yaml).record(target=TARGET, columns=columns))
    assert one.digest == other.digest


def test_answers_give_one_program():
    @answer("INVITE", name="pick-up")
    def pick_up(c):
        c.respond(180)
        c.pause("1s")
        c.respond(200, sdp="g711")
        c.expect("ACK", within="64*T1")
        c.expect("BYE")
        c.respond(200)

    yaml = """
answers:
  pick-up:
    method: INVITE
    steps:
      - respond: 180
      - pause: 1s
      - respond: 200
        sdp: g711
      - expect: { ACK: {} }
        within: 64*T1
      - expect: { BYE: {} }
      - respond: 200
"""
    other = model_of(yaml, "answers", tree.Role.ANSWERER)
    assert compile_scenarios(pick_up.record()).digest == compile_scenarios(other.record()).digest


def test_steps_carry_their_lines():
    recorded = model_of(BASIC).record(target=TARGET, columns=COLUMNS)
    assert [str(step.place) for step in recorded.steps if isinstance(step, tree.Send)] == [
        "calls.yaml:7", "calls.yaml:14", "calls.yaml:17"]


def test_settings_of_a_file_can_be_changed():
    recorded = model_of(BASIC).record(target=TARGET, settings={"hold": "2s"}, columns=COLUMNS)
    pauses = [step for step in recorded.steps if isinstance(step, tree.Pause)]
    assert pauses[0].duration.value == 2_000_000_000


def test_all_faults_of_the_form_are_told_at_once():
    assert faults_of("""
calls:
  a:
    variables: { hold: { lognorml: { mean: 30s, sigma: 0.6 } } }
    steps:
      - sned: INVITE
      - expect: { 100: optional, 180: { stp: srd } }
        witin: 32s
  b: { stesp: [] }
""") == [
        'calls.yaml:4:18 calls.a.variables.hold: lognorml is no distribution '
        '(did you mean "lognormal"?)',
        'calls.yaml:6:9 calls.a.steps[0].sned: there is no step sned (did you mean "send"?)',
        'calls.yaml:7:41 calls.a.steps[1].expect[180].stp: unknown key of a case '
        '(did you mean "stop"?)',
        'calls.yaml:8:9 calls.a.steps[1].witin: unknown key of expect (did you mean "within"?)',
        "calls.yaml:9:3 calls.b: no steps (write a list: steps: [- send: INVITE ...])",
        'calls.yaml:9:8 calls.b.stesp: unknown key (did you mean "steps"?)',
    ]


def test_all_faults_of_the_meaning_are_told_at_once():
    assert faults_of("""
calls:
  c:
    steps:
      - send: BYE
      - send: INVITE
        sdp: g712
      - expect: { 700: {} }
      - pause: 2 parsecs
      - if: n is 3
        then: [end]
""") == [
        "calls.yaml:5:9 calls.c.steps[0].send: BYE outside of a dialog (expect a 2xx to an INVITE "
        "before it (RFC 3261 15))",
        "calls.yaml:6:9 calls.c.steps[1].send: there is no session description g712 "
        '(did you mean "g729"?)',
        "calls.yaml:8:19 calls.c.steps[2].expect[700]: 700 is not a range of statuses "
        "(statuses go from 100 to 699 (RFC 3261 7.2))",
        "calls.yaml:9:9 calls.c.steps[3].pause: '2 parsecs' is not a duration "
        "(write it as 250ms, 30s or 1h30m)",
        "calls.yaml:10:9 calls.c.steps[4].if: 'n is 3' is no condition (write it as `n >= 3`)",
    ]


@pytest.mark.parametrize(("text", "message"), [
    ("a: [1", "x.yaml:1:6: expected"), ("a: 1\na: 2", "x.yaml:2:1: the key a stands twice"),
    ("- a", "x.yaml:1:1: the file is no mapping"), ("a: b: c", "x.yaml:1:5: mapping values"),
])
def test_what_is_no_yaml(text, message):
    with pytest.raises(FileError) as caught:
        load(text, "x.yaml")
    assert str(caught.value).startswith(message)


def test_yaml_means_what_it_says():
    found = load("port: 05060\ntime: 1:30\nno: no\nyes: yes", "x")
    assert (found["port"], found["time"], found["no"], found["yes"]) == (5060, "1:30", "no", "yes")
    assert place(found, ["time"]) == (2, 1)


def test_every_step_is_played_and_in_the_schema():
    from siploadgen.model.yaml import _Player

    assert all(hasattr(_Player, f"_step_{name}") for name in STEPS)
    kinds = {one["required"][0] for one in steps_schema()["items"]["anyOf"] if "required" in one}
    assert kinds == set(STEPS)


def test_every_step_has_a_row_in_the_docs():
    page = (Path(__file__).parents[2] / "docs" / "yaml.md").read_text()
    assert not [name for name in STEPS if f"| `{name}`" not in page]


@pytest.mark.parametrize(("value", "text"), [
    ("2s", "2s"), ({"uniform": {"high": "3s", "low": "1s"}}, "uniform(1s,3s)"),
    ({"gamma": {"scale": "1s", "shape": 2}}, "gamma(1s,2)"), ({"fixed": "1s"}, "fixed(1s)"),
])
def test_distributions_as_mappings(value, text):
    assert value_text(value) == text


def test_variables_have_kinds():
    assert setting_of({"value": "5", "kind": "count", "help": "so many"}) == Setting(
        "5", "so many", "count")
