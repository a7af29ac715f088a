"""Ladders as text and as mermaid."""

from siploadgen.ladder import Ladder, Rung, draw, mermaid, of_failure

MS = 1_000_000
THREE = Ladder(("a", "bb", "c"), (
    Rung(0, 0, 1, "INVITE"), Rung(0, 0, None, "starts srd; 50 #1"),
    Rung(2 * MS, 2, 0, "200 INVITE"), Rung(3 * MS, 1, 1, "BYE")))


def test_arrows_reach_from_lifeline_to_lifeline():
    assert draw(THREE) == """\
            a                    bb                c
   0.000 s  |-- INVITE --------->|                 |
            | starts srd; 50 #1  |                 |
   0.002 s  |<----------------------- 200 INVITE --|
   0.003 s  |                    | BYE to itself   |
"""


def test_every_text_has_its_room():
    long = "x" * 70
    ladder = Ladder(("a", "b", "c"), (Rung(0, 0, None, long), Rung(0, 1, 2, long),
                                      Rung(0, 2, 0, long), Rung(0, 2, None, long)))
    lines = draw(ladder).splitlines()[1:]
    assert all(long in line for line in lines)
    ends = {tuple(n for n, sign in enumerate(line) if sign in "|") for line in lines}
    assert len({places[0] for places in ends}) == 1
    assert all(line.startswith(" " * 12 + "|") or line[10:13] == "  |" for line in lines)


def test_mermaid_takes_nothing_for_its_own():
    lines = mermaid(THREE).splitlines()
    assert lines[:4] == ["sequenceDiagram", "    participant p0 as a", "    participant p1 as bb",
                         "    participant p2 as c"]
    assert lines[4:] == ["    p0->>p1: INVITE", "    Note over p0: starts srd#59; 50 #35;1",
                         "    p2-->>p0: 200 INVITE", "    p1->>p1: BYE"]


def test_json_names_the_lifelines():
    found = THREE.as_json()
    assert found["lifelines"] == ["a", "bb", "c"]
    assert found["rungs"][1] == {"at_s": 0.0, "at": "a", "note": "starts srd; 50 #1"}
    assert found["rungs"][2] == {"at_s": 0.002, "from": "c", "to": "a", "message": "200 INVITE"}


def test_a_failure_has_a_ladder():
    found = of_failure("answerer", [
        {"at_s": 0.0, "what": "received", "method": "INVITE", "status": None},
        {"at_s": 0.5, "what": "sent", "method": "INVITE", "status": 180},
        {"at_s": 32.0, "what": "timeout", "method": None, "status": None},
        {"at_s": 33.0, "what": "transport", "method": "BYE", "status": None}])
    assert found.lifelines == ("answerer", "peer")
    assert [(one.source, one.target, one.text) for one in found.rungs] == [
        (1, 0, "INVITE"), (0, 1, "180 INVITE"), (0, None, "the time to wait is over"),
        (0, None, "BYE could not be delivered")]
