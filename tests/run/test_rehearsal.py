"""What a call costs by the plan is what two engines in the simulator count."""

import pytest

from siploadgen.compile.assemble import compile_scenarios
from siploadgen.load.executors import ConstantArrivalRate
from siploadgen.load.feeds import Feed
from siploadgen.load.rows import generated_users
from siploadgen.model.builtin import MODELS, build_caller
from siploadgen.model.python import answer, call
from siploadgen.run.host import planned_load
from siploadgen.run.plan import RunPlan, Workload
from siploadgen.units import NANOS
from tests.matrix import users
from tests.sim.helpers import TARGET, Trial
from tests.sim.network import ANSWERER, CALLER, Weather
from tests.sim.test_models import listen


def cost(program, *, table=None, settings=None, **arguments):
    """Cost of a call of a plan with this program."""
    feeds = (Feed("users", table),) if table else ()
    plan = RunPlan("x", program, TARGET, ANSWERER, (CALLER[0], 0),
                   (Workload("calls", ConstantArrivalRate(100.0, 60 * NANOS), feeds=feeds),),
                   rows=(table,) if table else (), settings=settings or {})
    return planned_load(plan, **arguments).workloads[0].cost


def built(model, settings=None, **arguments):
    columns = MODELS[model].caller.columns
    program = build_caller(model, target_uri=TARGET, settings=settings)
    table = generated_users(program.columns, users(model)) if columns and program.columns else None
    return cost(program, table=table, settings=settings, **arguments)


@pytest.mark.parametrize("model", MODELS)
def test_messages_are_those_that_the_simulator_counts(model):
    trial = Trial(model, calls=20, users=users(model))
    network = trial.network(1, Weather())
    ear = listen(network)[CALLER]
    network.run()
    found = built(model)
    assert (found.sent, found.received) == (ear.said.total() / 20, ear.heard.total() / 20)
    assert found.notes == ()
    # digits of addresses and lengths are not the same for all calls
    assert found.sent_octets == pytest.approx(ear.octets_said / 20, rel=0.02)
    assert found.received_octets == pytest.approx(ear.octets_heard / 20, rel=0.02)
    assert found.invites == ear.said["INVITE"] / 20
    assert found.transactions == sum(
        count for both in (ear.said, ear.heard) for name, count in both.items()
        if name.isalpha() and name != "ACK") / 20


def test_means_of_what_is_drawn_are_exact_where_the_course_is_plain():
    found = built("call", {"hold": "exponential(60s)"})
    assert (found.sent, found.hold_ns) == (3, 60 * NANOS)


def test_answers_of_ones_own_come_first():
    @call(name="asks")
    def asks(c):
        c.invite(sdp="g711")
        c.expect(486).optional(180).optional(183)

    @answer("INVITE", name="refuses")
    def refuses(c):
        c.respond(183)
        c.respond(486)
        c.end("was_busy", ok=True)

    program = compile_scenarios(asks.record(target=TARGET))
    guessed = cost(program)
    found = cost(program, answers=[refuses])
    assert guessed.received
    assert found.received == 2


def test_a_call_that_fails_with_the_built_in_answers_is_reckoned_along_its_course():
    @call(name="odd")
    def odd(c):
        c.options()
        c.expect(499)

    found = cost(compile_scenarios(odd.record(target=TARGET)))
    assert (found.sent, found.received) == (1, 1)
    assert "guessed" in found.notes[-1]


def test_a_challenge_is_answered_by_who_can():
    table = generated_users(("user", "password"), 50)
    program = build_caller("register", target_uri=TARGET, columns=table.names)
    plain, asked = cost(program, table=table), cost(program, table=table, challenged=True)
    assert (plain.sent, asked.sent) == (2, 3)
    assert cost(build_caller("options", target_uri=TARGET), challenged=True).sent == 1
