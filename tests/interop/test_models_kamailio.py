"""Every built-in model through a record-routing Kamailio, read by tshark.

One proxy, one answering side and one capture for all of them: each model calls from a port of its
own, so that what is wrong on the wire names its model.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import pytest

from siploadgen.model.builtin import MODELS
from tests.interop.peers import HOST, capture, free_port, kamailio, nothing_malformed
from tests.interop.recount import Seen, misuse, read
from tests.interop.tool import answering, calling, hang_up, nothing_lost
from tests.matrix import arguments, plan

pytestmark = [pytest.mark.interop, pytest.mark.timeout(300)]

CALLS = 100
TOGETHER = 4  # models that run at the same time
PROXIED = [name for name in MODELS if not plan(name).no_proxy]


@dataclass(frozen=True, slots=True)
class Evidence:
    """What all runs left behind. A run that did not come to its end has its exception instead."""

    reports: dict[str, dict[str, Any] | Exception]
    callers: dict[str, int]
    answerer: dict[str, Any]
    answerer_port: int
    proxy_port: int
    messages: list[Seen]
    malformed: list[str]
    dropped: int


@pytest.fixture(scope="module")
def evidence(tmp_path_factory: pytest.TempPathFactory, peers: dict[str, str]) -> Evidence:
    folder = tmp_path_factory.mktemp("models")
    reports: dict[str, dict[str, Any] | Exception] = {}
    with answering(folder, "--gso", "off", "--workers", "1") as answerer:
        with (kamailio(folder, "proxy", target=answerer.port) as proxy,
              capture(folder, proxy, answerer.port) as taken):
            # after the others have theirs, which could otherwise be one of these
            port = free_port(len(PROXIED))
            callers = {name: port + i for i, name in enumerate(PROXIED)}
            for first in range(0, len(PROXIED), TOGETHER):
                with ExitStack() as stack:
                    tools = {name: stack.enter_context(calling(
                        folder, proxy, "--rate", "200/s", "--calls", str(CALLS), "--workers", "1",
                        "--gso", "off", "--local", f"{HOST}:{callers[name]}", *arguments(name),
                        model=name, name=name)) for name in PROXIED[first:first + TOGETHER]}
                    for name, tool in tools.items():
                        try:
                            reports[name] = tool.finish(60)
                        except Exception as error:  # told by the test of this model
                            reports[name] = error
        answered = hang_up(answerer)
    ports = (proxy, answerer.port)
    return Evidence(reports, callers, answered, answerer.port, proxy, read(taken.file, ports),
                    nothing_malformed(taken), taken.dropped)


@pytest.mark.parametrize("name", PROXIED)
def test_a_model_works_through_the_recording_proxy(name: str, evidence: Evidence) -> None:
    report = evidence.reports[name]
    if isinstance(report, Exception):
        raise report
    nothing_lost(report, CALLS)
    port = evidence.callers[name]
    assert misuse(evidence.messages, port) == []
    if plan(name).leaves_proxy:
        return
    sent = [message for message in evidence.messages
            if message.source == port and message.target == evidence.proxy_port]
    # not only the first request: what belongs to a dialog comes back to the proxy by its route
    assert {message.method for message in sent if not message.status} == {
        method for method, count in report["messages"]["sent"].items()
        if count and not method[0].isdigit()}


def test_the_answering_side_keeps_the_rules(evidence: Evidence) -> None:
    assert misuse(evidence.messages, evidence.answerer_port) == []
    assert evidence.answerer["messages"]["malformed"] == 0
    assert evidence.answerer["calls"]["in_progress"] == 0
    assert evidence.answerer["calls"]["failed"] == {}


def test_nothing_on_the_wire_is_malformed(evidence: Evidence) -> None:
    assert evidence.dropped == 0
    assert evidence.malformed == []
