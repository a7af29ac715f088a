"""`show`: one call of every model and of every scenario file, played."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from siploadgen.cli import plays as playing
from siploadgen.cli.options import find_model
from siploadgen.errors import ScenarioError
from siploadgen.model.builtin import MODELS
from siploadgen.run.play import Play

ROOT = Path(__file__).parents[2]
FILES = sorted(str(path.relative_to(ROOT)) for path in (
    *(ROOT / "scenarios").iterdir(), *(ROOT / "siploadgen/templates").iterdir())
    if path.suffix in (".yaml", ".py"))
# It watches on one leg what it does on another: no peer of ours tells.
TOLD_ELSEWHERE = "publish_and_watch.py"


@pytest.mark.parametrize("name", [*MODELS, *FILES])
def test_it_can_be_shown(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    for one in plays(name, {}):
        assert one.ok is not name.endswith(TOLD_ELSEWHERE), one.outcome
        assert one.messages
        arrows = [rung for rung in one.ladder.rungs if rung.target is not None]
        assert len(arrows) == len(one.messages)
        last = [rung.text for rung in one.ladder.rungs if rung.source == 0 and rung.target is None]
        assert last[-1] == f"ends: {one.outcome}"
        assert len(one.ladder.lifelines) > 1
        json.dumps(one.as_json())


def test_the_ladder_of_a_call() -> None:
    (one,) = plays("call", {"hold": "2s", "ring": "1s"})
    assert one.ladder.lifelines == ("caller", "service")
    assert [(rung.at_ns // 1_000_000, rung.source, rung.target, rung.text)
            for rung in one.ladder.rungs] == [
        (0, 0, None, "starts srd, setup"), (0, 0, 1, "INVITE"), (1, 1, 0, "180 INVITE"),
        (1, 1, None, "pause 1 s"), (2, 0, None, "stops srd: 2 ms"), (1001, 1, 0, "200 INVITE"),
        (1002, 0, None, "stops setup: 1.002 s"), (1002, 0, 1, "ACK"), (1002, 0, None, "pause 2 s"),
        (3002, 0, None, "starts sdd"), (3002, 0, 1, "BYE"), (3003, 1, 0, "200 BYE"),
        (3004, 0, None, "stops sdd: 2 ms"), (3004, 0, None, "ends: succeeded")]
    assert one.messages[0].data.startswith(b"INVITE sip:service@127.0.0.1:5060 SIP/2.0\r\n")
    assert "the embedded answerer answers" in one.assumed


def test_each_leg_has_a_lifeline() -> None:
    (one,) = plays("transfer-attended", {})
    assert one.ladder.lifelines == ("caller", "transferee", "transfer-target")
    crossed = {(rung.source, rung.target) for rung in one.ladder.rungs
               if rung.target is not None}
    assert crossed == {(0, 1), (1, 0), (0, 2), (2, 0), (1, 2), (2, 1)}


def test_a_seed_is_a_call(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    first, again = (plays("scenarios/chances.yaml", {}, seed=3)[0] for _ in range(2))
    assert first == again
    ways = {tuple(rung.text for rung in plays("scenarios/chances.yaml", {}, seed=seed)[0]
                  .ladder.rungs if rung.text.startswith("chance")) for seed in range(8)}
    assert len(ways) > 1


def plays(name: str, settings: dict[str, str], seed: int = 1) -> list[Play]:
    return playing.plays(find_model(name), settings, seed)


def write(folder: Path, text: str) -> str:
    path = folder / "file.yaml"
    path.write_text(text)
    return str(path)


def test_what_nobody_answers_is_said(tmp_path: Path) -> None:
    name = write(tmp_path, """
version: 1
calls:
  odd:
    steps:
      - send: INFO
      - expect: { 200: {} }
scenarios:
  odd: { call: odd }
""")
    (one,) = plays(name, {})
    assert not one.ok
    assert any("no answering side takes INFO" in text for text in one.assumed)


def test_answers_alone_are_called(tmp_path: Path) -> None:
    text = """
version: 1
answers:
  busy:
    method: %s
    steps:
      - respond: 486
scenarios: {}
"""
    (one,) = plays(write(tmp_path, text % "INVITE"), {})
    assert any("the built-in model call calls busy" in text for text in one.assumed)
    assert "486 INVITE" in [rung.text for rung in one.ladder.rungs]
    with pytest.raises(ScenarioError, match="no built-in model sends first"):
        plays(write(tmp_path, text % "PRACK"), {})


def test_a_call_without_end_is_hung_up() -> None:
    (one,) = plays("register", {"refreshes": "always", "expires": "60"})
    assert any("told to hang up" in text for text in one.assumed)
    assert 400 <= len(one.messages) < 420
    assert one.ok
