"""Who says what an option is: seven layers, from defaults to the command line."""

import json
import os
from pathlib import Path

import pytest

from siploadgen.cli.layered import known_options, options_of
from siploadgen.config import layers

NAMES = ("default", "user file", "project file", "scenario file", "profile ci", "environment",
         "command line")
FILE = """version: 1
target: sip:10.0.0.5
{more}
calls:
  basic:
    variables: {{ hold: 1s }}
    steps:
      - send: OPTIONS
        start: options
      - expect: {{ 200: {{ stop: options }} }}
profiles: {{ ci: {{ {profile} }} }}
"""


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A project, with a folder below to work in, and a home."""
    for name in os.environ:
        if name.startswith(layers.PREFIX):
            monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home"))
    for folder in ("home/siploadgen", "project/below"):
        (tmp_path / folder).mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "project" / "below")
    return tmp_path


def user(place: Path, text: str) -> None:
    (place / "home" / "siploadgen" / "config.toml").write_text(text)


def project(place: Path, text: str, name: str = "siploadgen.toml") -> None:
    (place / "project" / name).write_text(text)


def scenario(more: str = "", profile: str = "") -> None:
    Path("calls.yaml").write_text(FILE.format(more=more, profile=profile))


def values(command, *arguments: str) -> dict[str, list[tuple[object, str, str]]]:
    """What `inspect --resolved` says: by name, each value with its layer and its place."""
    done = command("inspect", *arguments, "--resolved", "-o", "json")
    assert done.code == 0, done
    found: dict[str, list[tuple[object, str, str]]] = {}
    for row in json.loads(done.out)["values"]:
        found.setdefault(row["name"], []).append((row["value"], row["layer"], row["place"]))
    return found


OPTIONS = {  # name: values from default to command line
    "seed": (1, 2, 3, 4, 5, 6, 7), "t1": ("500ms", "2ms", "3ms", "4ms", "5ms", "6ms", "7ms"),
    "gso_group": (32, 2, 3, 4, 5, 6, 7),
    "coalesce": ("0s", "2us", "3us", "4us", "5us", "6us", "7us"),
    "graceful_stop": ("30s", "2s", "3s", "4s", "5s", "6s", "7s"),
    "workers": ("auto", "2", "3", "4", "5", "6", "7"),
    "linger": ("auto", "2s", "3s", "4s", "5s", "6s", "7s"),
    "dns": (None, "10.0.0.2", "10.0.0.3", "10.0.0.4", "10.0.0.5", "10.0.0.6", "10.0.0.7"),
    "max_calls": (None, "2", "3", "4", "5", "6", "7"),
    "ui": ("auto", "none", "line", "json", "none", "line", "json"),
    "compact": (False, True, True, True, True, True, True),
}


@pytest.mark.parametrize("top", range(7))
@pytest.mark.parametrize("name", OPTIONS)
def test_the_highest_layer_wins(command, place, monkeypatch, name, top):
    of = OPTIONS[name]
    toml = [json.dumps(value) for value in of]
    if top >= 1:
        user(place, f"{name} = {toml[1]}\n")
    if top >= 2:
        project(place, f"{name} = {toml[2]}\n")
    scenario(f"{name}: {toml[3]}" if top >= 3 else "", f"{name}: {toml[4]}" if top >= 4 else "")
    if top >= 5:
        monkeypatch.setenv(f"SIPLOADGEN_{name.upper()}", str(of[5]))
    words = []
    if top >= 6:
        words = [f"--{name.replace('_', '-')}", *([] if of[6] is True else [str(of[6])])]
    [(value, layer, where)] = values(command, "calls.yaml", "--profile", "ci", *words)[name]
    assert (value, layer) == (of[top], NAMES[top])
    assert where == ("", f"{place}/home/siploadgen/config.toml:1:1",
                     f"{place}/project/siploadgen.toml:1:1", "calls.yaml:3:1",
                     f"calls.yaml:11:{where.rpartition(':')[2]}", f"SIPLOADGEN_{name.upper()}",
                     f"--{name.replace('_', '-')}")[top]


@pytest.mark.parametrize(("name", "default"), [
    ("seed", "1"), ("t1", "500ms"), ("workers", "auto"), ("coalesce", "0s"), ("gso-group", "32"),
    ("graceful-stop", "30s"), ("linger", "auto"), ("ui", "auto"), ("contact", "local")])
def test_a_default_on_the_command_line_counts_as_given(command, place, name, default):
    scenario("seed: 9\nt1: 9ms\nworkers: 2\ncoalesce: 9us\ngso_group: 9\ngraceful_stop: 9s\n"
             "linger: 9s\nui: none\ncontact: learned")
    found = values(command, "calls.yaml", f"--{name}", default)
    [(value, layer, _)] = found[name.replace("-", "_")]
    assert (str(value), layer) == (default, "command line")


def test_a_run_obeys(command, place, monkeypatch):
    project(place, 'self = true\nduration = "100ms"\nrate = "100/s"\n[set]\nhold = "0s"\n'
                   '[profiles.ci]\nseed = 5\n')
    quick = ("--ui", "none", "--limit", "late_start_p99=10s", "--limit", "receive_delay_p99=10s",
             "--limit", "loop_busy=100%", "--out", "json=-")
    result = json.loads(command("run", "call", *quick).out)
    assert (result["plan"]["rate_per_s"], result["plan"]["duration_s"]) == (100.0, 0.1)
    assert (result["target"]["embedded"], result["plan"]["seed"]) == (True, 1)
    assert result["scenario"]["settings"] == {"hold": "0s"}
    monkeypatch.setenv("SIPLOADGEN_RATE", "200/s")
    result = json.loads(command("run", "call", *quick, "--profile", "ci", "-d", "50ms").out)
    assert (result["plan"]["rate_per_s"], result["plan"]["duration_s"]) == (200.0, 0.05)
    assert result["plan"]["seed"] == 5


def test_tables_are_merged_and_thresholds_added(command, place, monkeypatch):
    user(place, '[set]\nhold = "1s"\nring = "1s"\n[limit]\nloop_busy = "50%"\n')
    project(place, 'threshold = ["srd: p(99) < 1s"]\n[set]\nhold = "2s"\n')
    monkeypatch.setenv("SIPLOADGEN_THRESHOLD", "srd: p(50) < 1s\nfailed: rate < 1%")
    found = values(command, "call", "--set", "ring=3s", "-T", "setup: p(99) < 1s warn", "--limit",
                   "attained=90%")
    assert [one[:2] for one in found["set.hold"]] == [("2s", "project file")]
    assert [one[:2] for one in found["set.ring"]] == [("3s", "command line")]
    assert [one[:2] for one in found["threshold"]] == [
        ("srd: p(99) < 1s", "project file"), ("srd: p(50) < 1s", "environment"),
        ("failed: rate < 1%", "environment"), ("setup: p(99) < 1s warn", "command line")]
    assert [one[1] for one in found["limit.loop_busy"] + found["limit.attained"]] == [
        "user file", "command line"]
    result = json.loads(command("run", "call", "--self", "--ui", "none", "-d", "50ms", "--limit",
                                "late_start_p99=10s", "--out", "json=-", "--set", "hold=0s").out)
    assert result["scenario"]["settings"] == {"hold": "0s", "ring": "1s"}
    assert len(result["thresholds"]) == 3
    limits = {rule["name"]: rule["limit"] for rule in result["verdict"]["rules"]}
    assert (limits["loop_busy"], limits["late_start_p99"]) == (0.5, 10.0)


@pytest.mark.parametrize(("below", "words", "target", "itself"), [
    ('target = "sip:10.0.0.9"', (), "sip:10.0.0.5", False),  # the scenario file is above it
    ("self = true", (), "sip:10.0.0.5", False),
    ("", ("--self",), None, True),
    ("self = true", ("-t", "10.0.0.7"), "10.0.0.7", False),
    ("self = false", (), "sip:10.0.0.5", False),
])
def test_target_and_self_exclude_each_other_by_layer(command, place, below, words, target, itself):
    project(place, below + "\n")
    scenario()
    found = values(command, "calls.yaml", *words)
    assert (found["target"][0][0], found["self"][0][0]) == (target, itself)


def test_both_on_one_layer_are_an_error(command, place):
    project(place, 'self = true\ntarget = "sip:10.0.0.5"\n')
    done = command("run", "call")
    assert done.code == 2
    assert "not both" in done.err


def test_the_load_of_a_scenario_file_comes_before_that_of_files_below(command, place, monkeypatch):
    project(place, 'rate = "7/s"\nduration = "7s"\n')
    load = ("scenarios: { load: { call: basic, executor: constant-arrival-rate, rate: 3/s, "
            "duration: 3s } }")
    scenario(load)
    found = values(command, "calls.yaml")
    assert found["rate"][0][:2] == (None, "scenario file")
    assert found["scenarios.load.rate"][0] == ("3/s", "scenario file", "calls.yaml:3:68")
    monkeypatch.setenv("SIPLOADGEN_RATE", "9/s")
    found = values(command, "calls.yaml")
    assert found["rate"][0][:2] == ("9/s", "environment")
    assert "scenarios.load.rate" not in found
    monkeypatch.delenv("SIPLOADGEN_RATE")
    scenario()  # says nothing of a load
    assert values(command, "calls.yaml")["rate"][0][:2] == ("7/s", "project file")
    scenario("warmup: 4s")
    assert values(command, "calls.yaml")["warmup"][0][:2] == ("4s", "scenario file")


def test_profiles_of_all_files(command, place):
    user(place, "[profiles.ci]\nseed = 2\nt1 = \"2ms\"\nt2 = \"2s\"\n")
    project(place, "[profiles.ci]\nseed = 3\nt1 = \"3ms\"\n[profiles.night]\nseed = 8\n")
    scenario("seed: 9\nt2: 9s", "seed: 4")
    found = values(command, "calls.yaml", "--profile", "ci")
    assert [found[name][0][0] for name in ("seed", "t1", "t2")] == [4, "3ms", "2s"]
    assert {found[name][0][1] for name in ("seed", "t1", "t2")} == {"profile ci"}
    found = values(command, "calls.yaml", "--profile", "night")  # the file need not know it
    assert found["seed"][0][:2] == (8, "profile night")
    assert values(command, "call", "--profile", "night")["seed"][0][0] == 8
    for model in ("calls.yaml", "call"):
        done = command("inspect", model, "--resolved", "--profile", "nigt")
        assert done.code == 104
        assert 'did you mean "night"?' in done.err


def test_a_file_may_name_the_profile(command, place, monkeypatch):
    project(place, 'profile = "ci"\n[profiles.ci]\nseed = 3\n[profiles.night]\nseed = 8\n')
    assert values(command, "call")["seed"][0][0] == 3
    monkeypatch.setenv("SIPLOADGEN_PROFILE", "night")
    assert values(command, "call")["seed"][0][0] == 8
    assert values(command, "call", "--profile", "ci")["seed"][0][0] == 3


def test_places_of_what_a_profile_says(command, place):
    load = ("scenarios: { load: { call: basic, executor: constant-arrival-rate, rate: 3/s, "
            "duration: 3s } }")
    scenario(load, "scenarios.load.rate: 9/s, target.uri: sip:10.0.0.9")
    found = values(command, "calls.yaml", "--profile", "ci")
    assert found["scenarios.load.rate"][0] == ("9/s", "profile ci", "calls.yaml:11:19")
    assert found["scenarios.load.duration"][0][1] == "scenario file"
    scenario(load, "scenarios.load.raet: 9/s")
    done = command("check", "calls.yaml", "--profile", "ci")
    assert done.err == ('siploadgen: calls.yaml:11:19 scenarios.load.raet: unknown key '
                        '(did you mean "rate"?)\n')


def test_settings_of_files_are_for_models_that_know_them(command, place):
    project(place, '[set]\nexpires = "9"\nsdp = "g729"\n[profiles.ci]\nset.sdp = "g711"\n')
    found = values(command, "register")
    assert found["set.expires"][0][0] == "9"
    assert "set.sdp" not in found
    done = command("inspect", "register", "--resolved", "--profile", "ci")
    assert (done.code, "5:5 set.sdp: no call has such a setting" in done.err) == (104, True)


def test_users_are_looked_for_beside_the_file_that_names_them(command, place):
    (place / "project" / "users.csv").write_text("user,password\nalice,a\n")
    project(place, 'users = "users.csv"\n')
    assert values(command, "register")["users"][0][0] == str(place / "project" / "users.csv")
    project(place, 'users = "20"\n')
    assert values(command, "register")["users"][0][0] == "20"
    project(place, 'users = "nobody.csv"\n')
    done = command("run", "register", "--self")
    assert (done.code, str(place / "project" / "nobody.csv") in done.err) == (104, True)


def test_pyproject(command, place):
    project(place, '[project]\nname = "siploadgen-tests"\n', "pyproject.toml")
    assert values(command)["rate"][0][1] == "default"
    project(place, '[tool.siploadgen]\nrate = "5/s"\n', "pyproject.toml")
    assert values(command)["rate"][0] == (
        "5/s", "project file", f"{place}/project/pyproject.toml:2:1")
    Path("siploadgen.toml").write_text('rate = "6/s"\n')  # nearer
    assert values(command)["rate"][0] == ("6/s", "project file", "siploadgen.toml:1:1")
    Path("siploadgen.toml").unlink()
    project(place, "this is no TOML, and nobody's business\n", "pyproject.toml")
    assert values(command)["rate"][0][1] == "default"


def test_a_home_of_the_standard(tmp_path):
    config = tmp_path / ".config" / "siploadgen" / "config.toml"
    config.parent.mkdir(parents=True)
    config.write_text("")
    assert layers.user_file({"XDG_CONFIG_HOME": str(tmp_path / ".config")}) == config
    assert layers.user_file({"XDG_CONFIG_HOME": str(tmp_path)}) is None


@pytest.mark.parametrize("home", ["", "relative/path"])
def test_without_xdg_it_is_dot_config(tmp_path, monkeypatch, home):
    monkeypatch.setenv("HOME", str(tmp_path))
    config = tmp_path / ".config" / "siploadgen" / "config.toml"
    config.parent.mkdir(parents=True)
    config.write_text("")
    assert layers.user_file({"XDG_CONFIG_HOME": home} if home else {}) == config


def test_answer_has_options_of_its_own(command, place, monkeypatch):
    project(place, 'seed = 3\n[answer]\nlisten = "udp:127.0.0.1:1"\nreject = "200:3%"\n')
    done = command("answer")
    assert (done.code, "200:3%" in done.err) == (2, True)  # it was read, and is wrong
    monkeypatch.setenv("SIPLOADGEN_ANSWER_REJECT", "486:3%")
    monkeypatch.setenv("SIPLOADGEN_REJECT", "486:3%")  # no option of `run`: somebody else's
    monkeypatch.setenv("SIPLOADGEN_ANSWER_OC", "nonsense")
    assert '--oc "nonsense"' in command("answer").err


@pytest.mark.parametrize("name", ["SIPLOADGEN_CORPUS", "SIPLOADGEN_SERVICE_HOST", "SIPLOADGEN_PORT",
                                  "SIPLOADGEN_PORT_5060_UDP_ADDR"])
def test_variables_of_others_are_left_alone(command, place, monkeypatch, name):
    monkeypatch.setenv(name, "x")
    assert values(command)["rate"][0][1] == "default"


@pytest.mark.parametrize(("text", "value"), [("1", True), ("yes", True), ("ON", True),
                                             ("false", False), ("0", False), ("no", False)])
def test_flags_of_the_environment(command, place, monkeypatch, text, value):
    project(place, "compact = true\n")
    monkeypatch.setenv("SIPLOADGEN_COMPACT", text)
    assert values(command)["compact"][0][:2] == (value, "environment")


def test_an_empty_variable_says_nothing(command, place, monkeypatch):
    monkeypatch.setenv("SIPLOADGEN_RATE", "")
    assert values(command)["rate"][0][1] == "default"


def test_every_option_of_run_has_a_variable_and_a_key(command, place, monkeypatch):
    """Whatever `run` takes can be configured: a new option needs nothing more."""
    samples = {"flag": "yes", "number": "2", "choice": None, "table": "loop_busy=1%",
               "list": "srd: p(99) < 1s", "text": "10"}
    special = {"arrival": "poisson", "target": "10.0.0.1", "local": "10.0.0.1", "ramp": "5/s:1s",
               "out": "run1/", "set": "hold=2s", "self": "", "profile": ""}
    wanted = set()
    timed = ("duration", "warmup", "linger", "coalesce", "t1", "t2", "t4", "graceful_stop")
    for one in options_of("run"):
        text = special.get(one.name, "10s" if one.name in timed else
                           samples[one.kind] or one.choices[-1])
        if text:
            monkeypatch.setenv(f"SIPLOADGEN_{one.name.upper()}", text)
            wanted.add(one.name)
    assert len(wanted) > 25
    found = values(command, "call")
    assert {name.partition(".")[0] for name, rows in found.items()
            if rows[0][1] == "environment"} == wanted


def test_known_options_have_no_verb_of_their_own():
    known = known_options()
    assert {"rate", "self", "i_may_load_this_target"} <= {one.name for one in known.run}
    assert {"listen", "oc_validity"} <= {one.name for one in known.answer}
    assert not {"help", "model"} & {one.name for one in (*known.run, *known.answer)}


def test_help_needs_no_configuration(command, place):
    project(place, "raet = 3\n")
    assert command("run", "--help").code == 0
    assert command("run", "call", "--self").code == 104


@pytest.mark.parametrize("verb", ["check", "show", "plan"])
def test_other_verbs_see_the_same(command, place, verb):
    project(place, '[profiles.ci]\nset.hold = "never"\n')
    assert command(verb, "call").code == 0
    done = command(verb, "call", "--profile", "ci")
    assert done.code != 0
    assert "never" in done.err


def test_a_plan_is_that_of_the_run(command, place):
    project(place, 'rate = "70/s"\nduration = "10s"\n')
    assert " 700 " in command("plan", "call", "--set", "hold=0s").out
