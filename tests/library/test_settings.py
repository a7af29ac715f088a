"""Settings of `Run.add`: those of `Setting`, other arguments of `@call`, the answering side's."""

import doctest

import pytest

import siploadgen.library
import siploadgen.loads
from siploadgen import Run, Setting, UsageError, call, samples, shared_calls, uniform
from siploadgen.errors import ScenarioError

TEN = shared_calls(10, concurrency=2)


@call(hold="20ms", times=1, size=Setting("1", "messages of a round", "count"))
def ask(c):
    for _ in range(c.v.times * c.v.size):
        c.options()
        c.expect(200)
    c.pause(c.v.hold)


def sent(run):
    return run.execute().to_dict()["messages"]["sent"]


@pytest.mark.loopback
def test_arguments_of_call_are_changed_for_one_workload_alone():
    assert sent(Run().add(ask, TEN, times=3, size=2, hold=uniform("1ms", "2ms"), name="many")
                .add(ask, TEN, name="plain")
                .add({ask: 1}, TEN, times=2, name="two")) == {"OPTIONS": 60 + 10 + 20}
    assert ask.values["times"] == 1


@pytest.mark.loopback
def test_a_mix_gives_a_setting_to_those_that_have_it():
    result = Run().add({ask: 1, "call": 1}, TEN, hold=uniform("1ms", "2ms")).execute()
    assert result.calls["succeeded"] == 10
    messages = result.to_dict()["messages"]["sent"]
    assert messages["OPTIONS"] + messages["INVITE"] == 10


@pytest.mark.loopback
def test_the_embedded_answerer_takes_settings_of_its_side():
    result = Run().add("call", shared_calls(4, concurrency=4), ring="200ms", hold="1ms").execute()
    assert result.metric("setup").p(50) > 0.19


def test_what_a_setting_cannot_be():
    with pytest.raises(UsageError, match=r'ask: there is no setting tims \(did you mean "times"'):
        Run().add(ask, TEN, tims=2)
    with pytest.raises(ScenarioError, match=r"test_settings\.py:\d+: TypeError"):
        Run().add(ask, TEN, times="two").prepared()
    with pytest.raises(UsageError, match="of the answering side"):
        Run("sip:127.0.0.1:9").add("call", TEN, ring="1s")
    with pytest.raises(UsageError, match=r"b: the answerer has ring=1s already, not 2s"):
        Run().add("call", TEN, ring="1s", name="a").add("call", TEN, ring="2s", name="b")
    with pytest.raises(UsageError, match="hold: samples"):
        Run().add("call", TEN, hold=samples(["1s", "2s"]))


@pytest.mark.loopback
@pytest.mark.parametrize("module", [siploadgen.loads, siploadgen.library])
def test_examples(module):
    found = doctest.testmod(module)
    assert found.attempted
    assert not found.failed
