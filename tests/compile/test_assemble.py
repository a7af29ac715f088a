"""Random trees of steps: the compiled code does what the tree says."""

import random
from types import SimpleNamespace

from hypothesis import given
from hypothesis import strategies as st

from siploadgen.compile.assemble import compile_scenarios
from siploadgen.core.program import Op
from siploadgen.model import scenario as tree
from siploadgen.model.values import Fixed, VariableRef
from tests.compile.reference import Instance

COMPARES = {
    tree.Compare.EQ: lambda a, b: a == b, tree.Compare.NE: lambda a, b: a != b,
    tree.Compare.LT: lambda a, b: a < b, tree.Compare.LE: lambda a, b: a <= b,
    tree.Compare.GT: lambda a, b: a > b, tree.Compare.GE: lambda a, b: a >= b,
}
SMALL = st.integers(-3, 3)
NAMES = st.sampled_from(["a", "b"])
VALUES = st.one_of(SMALL.map(Fixed), NAMES.map(VariableRef))
CONDITIONS = st.builds(tree.Condition, NAMES, st.sampled_from(list(COMPARES)), SMALL)
LEAVES = st.one_of(
    st.builds(tree.Count, st.sampled_from(["x", "y"]), SMALL),
    st.builds(tree.Change, st.just(tree.Arithmetic.SET), NAMES, VALUES),
    st.builds(tree.Change, st.just(tree.Arithmetic.ADD), NAMES, SMALL.map(Fixed)),
    st.builds(tree.End, st.sampled_from(["succeeded", "rejected", "odd"])),
)


def blocks(steps):
    return st.lists(steps, max_size=4).map(tuple)


def loop(depth, rounds, steps):
    """A loop that ends: rounds are counted in a variable of its own."""
    name = f"round_{depth}"
    return (tree.Change(tree.Arithmetic.SET, name, Fixed(0)),
            tree.Loop(tree.Condition(name, tree.Compare.LT, rounds),
                      (*steps, tree.Change(tree.Arithmetic.ADD, name, Fixed(1)))))


@st.composite
def trees(draw, depth=0):
    steps = []
    for _ in range(draw(st.integers(0, 4))):
        kind = draw(st.integers(0, 5 if depth < 3 else 1))
        if kind <= 1:
            steps.append(draw(LEAVES))
        elif kind == 2:
            steps.append(tree.If(draw(CONDITIONS), draw(trees(depth + 1)), draw(trees(depth + 1))))
        elif kind == 3:
            steps.append(tree.If(draw(CONDITIONS), draw(trees(depth + 1))))
        elif kind == 4:
            steps += loop(depth, draw(st.integers(0, 2)), draw(trees(depth + 1)))
        else:
            steps.append(tree.Chance(draw(st.sampled_from([0.0, 1.0])), draw(trees(depth + 1))))
    return tuple(steps)


class _EndedError(Exception):
    pass


def walk(steps, variables, counted):
    """What the tree says, step by step."""
    for step in steps:
        match step:
            case tree.Count(counter, amount):
                counted.append((counter, amount))
            case tree.Change(how, name, value):
                number = (variables[value.name] if isinstance(value, VariableRef) else value.value)
                variables[name] = number + (
                    variables[name] if how is tree.Arithmetic.ADD else 0)
            case tree.If(condition, yes, no):
                walk(yes if holds(condition, variables) else no, variables, counted)
            case tree.Loop(condition, inner):
                while holds(condition, variables):
                    walk(inner, variables, counted)
            case tree.Chance(share, inner):
                walk(inner if share else (), variables, counted)
            case tree.End(outcome):
                raise _EndedError(outcome)


def holds(condition, variables):
    return COMPARES[condition.compare](variables[condition.subject], condition.other)


@given(trees())
def test_code_does_what_the_tree_says(steps):
    steps = (tree.Change(tree.Arithmetic.SET, "a", Fixed(0)),
             tree.Change(tree.Arithmetic.SET, "b", Fixed(0)), *steps)
    scenario = tree.Scenario("random", tree.Role.CALLER, steps)
    program = compile_scenarios(scenario)
    counted, outcome = [], "succeeded"
    try:
        walk(steps, dict.fromkeys(["a", "b", *(f"round_{n}" for n in range(4))], 0), counted)
    except _EndedError as ended:
        outcome = str(ended)
    world = SimpleNamespace(instances=[], random=random.Random(1), now=0, stopping=False)
    instance = Instance(world, program, 0, "caller")
    instance.run(instance.pc)
    assert (instance.counted, instance.outcome) == (counted, outcome)
    assert compile_scenarios(scenario).digest == program.digest
    assert list(program.code["op"]).count(Op.OP_END) <= 3 + str(steps).count("End(")
