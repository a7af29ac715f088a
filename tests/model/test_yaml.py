"""Calls in YAML: the recorder of Python under them, and faults with their places."""

from pathlib import Path

import jsonschema
import pytest

from siploadgen.compile.assemble import compile_scenarios
from siploadgen.model import scenario as tree
from siploadgen.model.located import FileError, load, place, plain
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


def price(_):
    """What both of the next ask."""
    return {"cents": 7}


def test_what_calls_compute_and_keep_is_one_program():
    @call(columns=("user",))
    def language(c):
        c.add("run.calls", 1, into="number")
        c.add("user.calls", 1)
        c.options(start="answered")
        c.expect("2xx", stop="answered")
        c.find("([a-z]+)=([0-9]+)", "X-Price.2", into="unit cents", numbers="cents", any_case=True)
        c.hook(f"{__file__}:price", sets="cents", within="2s", end="unpriced")
        c.sub("cents", 1)
        c.mul("cents", c.v.number)
        c.div("cents", 3)
        c.mod("cents", 100)
        with c.if_(c.v.cents >= c.v.number):
            c.end("dear", ok=True)
        with c.if_found("^a", "{unit}"):
            c.end("odd")

    yaml = f"""
calls:
  language:
    columns: user
    steps:
      - add: {{ run.calls: 1 }}
        into: number
      - add: {{ user.calls: 1 }}
      - send: OPTIONS
      - expect: 2xx
        stop: answered
      - find: '([a-z]+)=([0-9]+)'
        in: X-Price.2
        into: unit cents
        numbers: cents
        any_case: true
      - hook: {__file__}:price
        sets: cents
        within: 2s
        end: unpriced
      - sub: {{ cents: 1 }}
      - mul: {{ cents: "{{number}}" }}
      - div: {{ cents: 3 }}
      - mod: {{ cents: 100 }}
      - if: cents >= {{number}}
        then: [{{ end: dear, ok: true }}]
      - if: {{ find: "^a", in: "{{unit}}" }}
        then: [end: odd]
"""
    one = compile_scenarios(language.record(target=TARGET))
    other = compile_scenarios(model_of(yaml).record(target=TARGET))
    assert one.digest == other.digest
    assert {one[0] for one in one.shared} == {"run.calls", "user.calls"}


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


def sent(steps, settings=None, variables="{}", columns=()):
    """Texts of what a call sends."""
    model = model_of(f"calls: {{a: {{variables: {variables}, steps: [{steps}]}}}}")
    recorded = model.record(target=TARGET, settings=settings or {}, columns=columns)
    return [step.text for step in recorded.steps if isinstance(step, tree.Send)]


def recorded(steps, variables="{}", settings=None, columns=()):
    """Steps that are recorded of a call."""
    model = model_of(f"calls: {{a: {{variables: {variables}, steps: [{steps}]}}}}")
    return model.record(target=TARGET, settings=settings or {}, columns=columns).steps


def test_settings_stand_in_texts():
    variables = "{n: 5, hold: 1500ms, who: bob, on: true, long: {value: 2m, kind: duration}}"
    (text,) = sent('{send: OPTIONS, to: "sip:{who}@h", '
                   'headers: {X: "{n} {hold} {on} {long} {user}"}}', variables=variables,
                   settings={"n": "7"}, columns=("user",))
    assert text.startswith("OPTIONS sip:bob@h SIP/2.0")
    assert "X: 7 1.5s yes 2m {user}" in text


def test_a_header_may_come_twice_and_be_taken_out():
    (text,) = sent("{send: OPTIONS, headers: [{A: 1}, {A: 2}, {User-Agent: null}]}")
    assert "A: 1\r\nA: 2\r\n" in text
    assert "User-Agent" not in text


def test_a_body_comes_from_a_file_beside(tmp_path):
    (tmp_path / "body.bin").write_bytes(b"\x00\xff")
    path = tmp_path / "calls.yaml"
    text = "calls: {a: {steps: [{send: MESSAGE, file: body.bin, content_type: a/b}]}}"
    (model,) = call_models(load(text, str(path)), str(path)).values()
    scenario = model.record(target=TARGET)
    assert dict(scenario.constants)["octets.0"] if "octets.0" in dict(scenario.constants) else (
        scenario.steps[0].text.encode(errors="surrogateescape").endswith(b"\x00\xff"))


def test_settings_decide_what_is_recorded():
    steps = "if: n > 3, then: [count: many], else: [count: few]"
    for n, counter in (("3", "few"), ("4", "many")):
        (count,) = recorded(f"{{{steps}}}", "{n: 1}", {"n": n})
        assert count.counter == counter
    yes = recorded('{if: mode == fast, then: [count: a]}, {if: on, then: [count: b]}, '
                   '{if: not on, then: [count: c]}', "{mode: fast, on: true}")
    assert [step.counter for step in yes] == ["a", "b"]


@pytest.mark.parametrize(("text", "condition"), [
    ("n >= 3", tree.Condition("n", tree.Compare.GE, 3)),
    ('"{n} < 3s"', tree.Condition("n", tree.Compare.LT, 3_000_000_000)),
    ("n == -1", tree.Condition("n", tree.Compare.EQ, -1)),
    ("n", tree.Condition("n", tree.Compare.NE, 0)),
    ("not n", tree.Condition("n", tree.Compare.EQ, 0)),
    ("stopping", tree.Condition(tree.Pseudo.STOPPING, tree.Compare.NE, 0)),
    ("status < 300", tree.Condition(tree.Pseudo.STATUS, tree.Compare.LT, 300)),
    ('"n > {most}"', tree.Condition("n", tree.Compare.GT, 9)),
    ("{header: Require, has: 100rel}", tree.HasHeader("Require", "100rel")),
    ("{body: m=audio}", tree.HasLine("m=audio")), ('{body: ""}', tree.HasLine("")),
    ('{text: t, is: "{most}"}', tree.SameText("t", "9")),
])
def test_conditions(text, condition):
    (step,) = recorded(f"{{if: {text}, then: [end]}}", "{most: 9}")
    assert step.condition == condition


def test_values():
    steps = recorded('{set: {a: 5, b: 2s, c: elapsed, d: "{row}", e: "{x}", f: 64*T1}}, '
                     '{mul: {a: 0.5, b: 50%, c: "{part}"}}', "{part: 'uniform(50%,90%)'}",
                     columns=("row",))
    names = [type(step.value).__name__ for step in steps]
    assert names == ["Fixed", "Fixed", "Elapsed", "ColumnRef", "VariableRef", "TimesT1",
                     "Fixed", "Fixed", "Uniform"]


def test_clocks_that_nothing_starts_run_from_the_first_request():
    steps = recorded("{send: OPTIONS}, {expect: 200, stop: answer}, {send: OPTIONS, start: more}, "
                     "{expect: {200: {stop: more}}}")
    assert [step.clock for step in steps if isinstance(step, tree.ClockStart)] == ["answer", "more"]
    assert isinstance(steps[0], tree.ClockStart)


def test_expectations_in_every_form():
    head = "{send: INVITE}, "
    for form in ("200|202", "[200, 202]", "{200|202: {}}", "[{200|202: {}}]", "{200|202: null}"):
        wait = recorded(f"{head}{{expect: {form}}}")[1]
        assert [one.matches for one in wait.cases] == [
            (tree.OnResponse(200, 200, "INVITE"), tree.OnResponse(202, 202, "INVITE"))]
    first = "{send: INVITE}, {expect: 200}, {send: ACK}, {send: INVITE, leg: b}, "
    cases = ("{2xx/BYE: optional}, {BYE: {leg: b, do: [{respond: 200, leg: b}]}}, "
             "{BYE: [respond: 200]}, {200: {method: INVITE, start: x, then: go on}}")
    wait = recorded(f"{first}{{expect: [{cases}]}}")[4]
    assert [(one.matches[0], one.leg, one.then) for one in wait.cases] == [
        (tree.OnResponse(200, 299, "BYE"), 0, tree.Then.STAY),
        (tree.OnRequest("BYE"), 1, tree.Then.GO_ON), (tree.OnRequest("BYE"), 0, tree.Then.GO_ON),
        (tree.OnResponse(200, 200, "INVITE"), 0, tree.Then.GO_ON)]


def test_two_expectations_with_optional_cases_alone_are_one_wait():
    steps = recorded("{send: INVITE}, {expect: {100: optional}}, {expect: {200: {}}, within: 3s}")
    assert len(steps) == 2
    assert len(steps[1].cases) == 2


@pytest.mark.parametrize("late", ["{end: x}", "x", "[{end: x}]", "{do: [{end: x}]}"])
def test_late(late):
    wait = recorded(f"{{send: OPTIONS}}, {{expect: 200, within: 3s, late: {late}}}")[1]
    assert [step.outcome for step in wait.late] == ["x"]


def test_pauses_go_on_after_what_comes_meanwhile():
    cases = "MESSAGE: [respond: 200], 1xx: optional, INFO: {do: [respond: 200], then: go on}"
    pause = recorded(f"{{send: OPTIONS}}, {{expect: 200}}, {{pause: 3s, on: {{{cases}}}}}")[2]
    assert [one.then.value for one in pause.cases] == ["stay", "stay", "go on"]


def test_a_challenge_without_steps_asks_and_ends():
    yaml = """
answers:
  a:
    method: INVITE
    steps:
      - challenge: {kind: md5, realm: r, password: p}
      - respond: 200
"""
    model = model_of(yaml, "answers", tree.Role.ANSWERER)
    check = model.record().steps[0]
    assert [type(one).__name__ for one in check.failed] == ["Send", "End"]
    assert 'WWW-Authenticate: Digest realm="r", {challenge.md5}' in check.failed[0].text


def test_parts_that_aliases_name(tmp_path):
    from siploadgen.config.job import load_job

    path = tmp_path / "a.yaml"
    path.write_text("x-part: &part {end: fine, ok: true}\ncalls: {a: {steps: [*part]}}\n")
    assert load_job(str(path)).calls["a"].record(target=TARGET).steps[0].outcome == "fine"
    path.write_text("parts: &part {end: fine, ok: true}\ncalls: {a: {steps: [*part]}}\n")
    with pytest.raises(FileError, match="1:1 parts: unknown key"):
        load_job(str(path))


def test_places_of_what_was_merged():
    found = load("b: &b {x: 1}\nc:\n  <<: *b\n  y: 2\n", "x")
    assert place(found, ["c", "x"]) == (1, 8)
    assert place(found, ["c", "y"]) == (4, 3)


@pytest.mark.parametrize(("text", "message"), [
    ("a: &a [1, {b: *a}]", ""),
    ("a: !!python/object:os.x {}", "1:1 a: the tag !!python/object:os.x"),
    ("[1]: 2", "1:1: "), ("null: 2", "1:1: nothing is no key"), ("a: \x01", "1:4: the character"),
    ("a: 1\na: 2\nb: {c: 1, c: 2}", "2:1: the key a stands twice"),
    ("a: " + "[" * 300 + "]" * 300, ": nested too deeply"),
    ("a: &a [1,1,1,1,1,1,1,1,1,1]\n" + "".join(
        f"{after}: &{after} [{','.join([f'*{name}'] * 10)}]\n"
        for name, after in zip("abcdef", "bcdefg", strict=True)), "1:1: its aliases stand for"),
])
def test_what_yaml_can_say_and_nobody_means(text, message):
    if not message:
        load(text, "x")
        return
    with pytest.raises(FileError) as caught:
        load(text, "x.yaml")
    assert message in str(caught.value)


def test_all_faults_of_all_entries_are_told_at_once():
    assert [line.partition(" ")[2] for line in faults_of("""
calls:
  a: {steps: [sned: INVITE]}
  b: {steps: [{send: INVITE, sdp: g712}, {expect: {20O: {}}}, {jump: nowhere}]}
""")] == [
        'calls.a.steps[0].sned: there is no step sned (did you mean "send"?)',
        'calls.b.steps[0].send: there is no session description g712 (did you mean "g729"?)',
        "calls.b.steps[1].expect.20O: '20O' is not a range of statuses (statuses go from 100 to "
        "699 (RFC 3261 7.2))",
        "calls.b.steps[2].jump: there is no label nowhere (there are none)",
    ]


def test_the_schema_of_a_file_takes_what_the_reader_takes():
    from siploadgen.config.schema import file_schema

    jsonschema.Draft202012Validator.check_schema(file_schema())
    validator = jsonschema.Draft202012Validator(file_schema())
    root = Path(__file__).parents[2]
    files = [*(root / "scenarios").glob("*.yaml"), *(root / "siploadgen/templates").glob("*.yaml"),
             *(root / "tests/model/twins").glob("*.yaml")]
    for file in files:
        validator.validate(plain(load(file.read_text(), file.name)))
    assert len(files) > 60
    for text in ("calls: {a: {steps: [sned: x]}}", "calls: {a: {steps: [{send: x, tp: y}]}}",
                 "calls: {a: {steps: [expect: {200: {stp: x}}]}}", "answers: {a: {steps: [end]}}",
                 "cals: {}", "calls: {a: {steps: []}}"):
        assert not validator.is_valid(plain(load(text, "x"))), text


def test_variables_have_kinds():
    assert setting_of({"value": "5", "kind": "count", "help": "so many"}) == Setting(
        "5", "so many", "count")
