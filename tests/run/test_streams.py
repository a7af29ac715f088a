"""Starts of a workload: which call model, which rows."""

import numpy as np
import pytest

from siploadgen.errors import ScenarioError
from siploadgen.load.executors import Replay
from siploadgen.model.builtin import build_answerer
from siploadgen.run.plan import RunPlan, Workload
from siploadgen.run.streams import OpenStream
from siploadgen.units import NANOS


def replayed(tmp_path, text):
    """The starts of a file, of a program with several entries."""
    path = tmp_path / "trace.csv"
    path.write_text(text)
    executor = Replay(path)
    program = build_answerer()
    feed = executor.feed()
    entries = tuple((entry, 1.0) for entry in (2, 0, 1))
    work = Workload("calls", executor, entries, feeds=(feed,) if feed else ())
    plan = RunPlan("x", program, "sip:127.0.0.1:5060", ("127.0.0.1", 5060), ("127.0.0.1", 0),
                   (work,), rows=(feed.rows,) if feed else ())
    stream = OpenStream(plan, 0)
    stream.origin_ns = 0
    return stream.take(100 * NANOS), program.scenarios


def test_a_replayed_file_names_the_model_of_each_call(tmp_path):
    names = build_answerer().scenarios
    starts, _ = replayed(tmp_path, f"at,call\n0,{names[1]}\n1,{names[2]}\n1.5,{names[0]}\n"
                                   f"2,{names[1]}\n")
    assert starts["entry"].tolist() == [1, 2, 0, 1]
    assert starts["due"].tolist() == [0, NANOS, 3 * NANOS // 2, 2 * NANOS]


def test_a_model_that_nobody_knows_is_told_before_the_run(tmp_path):
    name = build_answerer().scenarios[1]
    with pytest.raises(ScenarioError, match=rf'trace\.csv:3: no call model "{name}x"; did you'):
        replayed(tmp_path, f"at,call\n0,{name}\n1,{name}x\n")


def test_without_names_a_file_is_a_mix(tmp_path):
    starts, _ = replayed(tmp_path, "".join(f"{at / 100}\n" for at in range(300)))
    assert np.bincount(starts["entry"]).min() > 60
