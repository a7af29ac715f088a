"""The registrar: RFC 3261 10.3, 3327, 3608, 5626, 5627."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from siploadgen.compile.assemble import compile_scenarios
from siploadgen.compile.program import Program
from siploadgen.core.engine import Engine
from siploadgen.model.errors import ModelError
from siploadgen.model.python import answer
from tests.engine.drive import SECOND, Bench, Sent, answerer, answering, ask, only

AOR = "<sip:alice@example.com>"
PHONE = "<sip:alice@192.0.2.20>"
DESK = "<sip:alice@192.0.2.30:5062;transport=udp>"
URN = "urn:uuid:00000000-0000-1000-8000-000A95A0E128"
INSTANCE = f'+sip.instance="<{URN}>"'
ROOM = {"max_instances": 20_000, "max_transactions": 80_000}


class Registrar:
    """A bench whose requests differ in CSeq and branch, as those of a user do."""

    def __init__(self, *, now: int = 0, **settings: str) -> None:
        self.bench = answerer(settings=settings, merge=False, **ROOM)
        self.requests = 0
        self.last = ""

    def ask(self, contact: str = "", *, expires: int | None = 3600, to: str = AOR,
            cseq: int = 0, call_id: str = "one", headers: tuple[str, ...] = (),
            via: tuple[str, ...] = ()) -> Sent:
        self.requests += 1
        given = [*headers, *([] if expires is None else [f"Expires: {expires}"])]
        branch = f"z9hG4bK{self.requests}"
        self.last = ask("REGISTER", uri="sip:example.com", to=to, contact=contact,
                        cseq=cseq or self.requests, call_id=call_id, headers=given, branch=branch,
                        from_=f"{AOR};tag=f", via=[f"SIP/2.0/UDP 192.0.2.20;branch={branch}", *via]
                        if via else ())
        return only(self.bench.feed(self.last))

    def bindings(self, to: str = AOR) -> list[str]:
        """What a fetch lists (10.2.3)."""
        sent = self.ask(expires=None, to=to, call_id="fetch")
        assert sent.status == 200
        return sorted(sent.headers("Contact"))

    def done(self) -> None:
        """Every instance has ended, and the bindings are sound."""
        self.bench.drain()


@pytest.fixture
def registrar() -> Registrar:
    return Registrar()


def left(sent: Sent) -> list[int]:
    return sorted(int(re.search(r";expires=(\d+)", one)[1])  # type: ignore[index]
                  for one in sent.headers("Contact"))


# --- bindings: RFC 3261 10.3 ---

def test_a_binding_stays_and_is_listed_with_the_time_that_is_left(registrar: Registrar) -> None:
    assert registrar.ask(PHONE, expires=60).headers("Contact") == [f"{PHONE};expires=60"]
    registrar.bench.wait(20 * SECOND)
    assert registrar.bindings() == [f"{PHONE};expires=40"]
    registrar.bench.wait(40 * SECOND)
    assert registrar.bindings() == []
    registrar.done()


def test_a_refresh_begins_anew(registrar: Registrar) -> None:
    registrar.ask(PHONE, expires=60)
    registrar.bench.wait(50 * SECOND)
    assert left(registrar.ask(PHONE, expires=70)) == [70]
    registrar.bench.wait(30 * SECOND)
    assert registrar.bindings() == [f"{PHONE};expires=40"]


def test_several_contacts_have_times_of_their_own(registrar: Registrar) -> None:
    """10.2.1: q is kept, the parameter beats the header, a URI need not be sip:."""
    sent = registrar.ask(f"{PHONE};q=0.7;expires=30, <mailto:alice@example.com>;q=0.1", expires=90)
    assert sorted(sent.headers("Contact")) == [
        "<mailto:alice@example.com>;q=0.1;expires=90", f"{PHONE};q=0.7;expires=30"]
    assert len(registrar.ask(DESK).headers("Contact")) == 3
    registrar.bench.wait(31 * SECOND)
    assert len(registrar.bindings()) == 2
    registrar.done()


def test_who_asks_for_no_time_gets_that_of_the_registrar() -> None:
    registrar = Registrar(default_expires="120", max_expires="600")
    assert left(registrar.ask(PHONE, expires=None)) == [120]
    assert left(registrar.ask(PHONE, expires=7200)) == [600]
    assert left(registrar.ask(PHONE + ";expires=never", expires=60)) == [600]
    assert left(registrar.ask(PHONE, headers=("Expires: soon",), expires=None)) == [600]


@pytest.mark.parametrize(("expires", "status"), [(59, 423), (60, 200), (0, 200)])
def test_too_brief_an_interval_is_423(expires: int, status: int) -> None:
    registrar = Registrar(min_expires="60")
    sent = registrar.ask(PHONE, expires=expires)
    assert sent.status == status
    assert sent.headers("Min-Expires") == (["60"] if status == 423 else [])


def test_an_hour_is_never_too_brief() -> None:
    """10.3 step 7."""
    registrar = Registrar(min_expires="7200")
    assert registrar.ask(PHONE, expires=3600).status == 200
    assert registrar.ask(PHONE, expires=3599).status == 423


def test_one_contact_is_removed(registrar: Registrar) -> None:
    registrar.ask(f"{PHONE}, {DESK}")
    assert registrar.ask(PHONE, expires=0).headers("Contact") == [f"{DESK};expires=3600"]
    assert registrar.ask(f"{DESK};expires=0").headers("Contact") == []
    registrar.done()


def test_all_contacts_are_removed(registrar: Registrar) -> None:
    registrar.ask(f"{PHONE}, {DESK}")
    assert registrar.ask("*", expires=60).status == 400
    assert len(registrar.bindings()) == 2
    assert registrar.ask("*", expires=0).headers("Contact") == []
    assert registrar.bindings() == []
    registrar.done()


def test_removal_of_all_obeys_the_order_of_requests(registrar: Registrar) -> None:
    """10.3 step 6: one that is older than a binding of its Call-ID changes nothing."""
    registrar.ask(PHONE, cseq=5)
    registrar.ask(DESK, cseq=9, call_id="two")
    assert registrar.ask("*", expires=0, cseq=4).status == 500
    assert len(registrar.bindings()) == 2
    assert registrar.ask("*", expires=0, cseq=4, call_id="three").status == 200
    assert registrar.bindings() == []


@pytest.mark.parametrize("expires", [0, 60])
def test_an_old_cseq_changes_nothing(registrar: Registrar, expires: int) -> None:
    """10.3 step 7: all of the request or nothing."""
    registrar.ask(PHONE, cseq=5)
    assert registrar.ask(f"{DESK}, {PHONE}", cseq=5, expires=expires).status == 500
    assert registrar.bindings() == [f"{PHONE};expires=3600"]
    assert registrar.ask(PHONE, cseq=1, call_id="another").status == 200
    registrar.done()


def test_a_repeated_request_gets_the_same_answer(registrar: Registrar) -> None:
    sent = registrar.ask(PHONE, expires=60)
    registrar.bench.wait(3 * SECOND)
    assert only(registrar.bench.feed(registrar.last)).data == sent.data
    assert registrar.bindings() == [f"{PHONE};expires=57"]


@pytest.mark.parametrize(("one", "other", "same"), [
    ("<sip:alice@h>", "<sip:alice@H>", True),
    ("<sip:alice@h>", "<sip:Alice@h>", False),
    ("<sip:alice@h>", "<SIP:%61lice@h>", True),
    ("<sip:alice@h>", "<sips:alice@h>", False),
    ("<sip:alice@h>", "<sip:alice@h:5060>", False),
    ("<sip:alice@h>", "<sip:alice@h;transport=udp>", False),
    ("<sip:alice@h;transport=UDP>", "<sip:alice@h;transport=udp>", True),
    ("<sip:alice@h>", "<sip:alice@h;maddr=192.0.2.1>", False),
    ("<sip:alice@h>", "<sip:alice@h;ttl=1>", False),
    ("<sip:alice@h>", "<sip:alice@h;new=1>", True),
    ("<sip:alice@h;new=1>", "<sip:alice@h;new=2>", False),
    ("<sip:alice@h;a=1;b=2>", "<sip:alice@h;b=2;a=1>", True),
    ("<sip:alice@h>", "<sip:h>", False),
    ("<sip:alice:a@h>", "<sip:alice:b@h>", False),
    ("<sip:alice@h?Subject=x>", "<sip:alice@h>", False),
    ("<sip:alice@[2001:db8::1]:5062>", "<sip:alice@[2001:DB8::1]:5062>", True),
    ("<tel:+12015550123>", "<tel:+12015550123>", True),
    ("<tel:+12015550123>", "<tel:+12015550124>", False),
])
def test_contacts_are_compared_as_uris(registrar: Registrar, one: str, other: str,
                                       same: bool) -> None:
    """19.1.4."""
    registrar.ask(one)
    assert len(registrar.ask(other).headers("Contact")) == (1 if same else 2)
    registrar.done()


@pytest.mark.parametrize(("one", "other", "same"), [
    ("<sip:alice@example.com>", "sip:alice@EXAMPLE.com", True),
    ("<sip:alice@example.com>", '"Alice" <sip:alice@example.com;user=phone>', True),
    ("<sip:alice@example.com>", "<sip:%61lice@example.com>", True),
    ("<sip:alice@example.com>", "<sip:ALICE@example.com>", False),
    ("<sip:alice@example.com>", "<sip:alice@example.org>", False),
    ("<sip:alice@example.com>", "<sips:alice@example.com>", False),
    ("<sip:alice@example.com>", "<sip:alice@example.com:5062>", False),
])
def test_the_address_of_record_is_canonical(registrar: Registrar, one: str, other: str,
                                            same: bool) -> None:
    """10.3 step 5."""
    registrar.ask(PHONE, to=one)
    assert len(registrar.bindings(other)) == same


def test_a_third_party_registers(registrar: Registrar) -> None:
    """10.2: From is who asks, To whose registration it is."""
    registrar.ask(PHONE, to="<sip:bob@example.com>")
    assert len(registrar.bindings("<sip:bob@example.com>")) == 1
    assert registrar.bindings() == []


@pytest.mark.parametrize("to", ["<tel:+12015550123>", "<mailto:alice@example.com>"])
def test_only_sip_addresses_are_registered(registrar: Registrar, to: str) -> None:
    assert registrar.ask(PHONE, to=to).status == 400


@pytest.mark.parametrize("contact", [f"{PHONE}, <broken", f"{PHONE}, ;q=1"])
def test_a_malformed_contact_changes_nothing(registrar: Registrar, contact: str) -> None:
    assert registrar.ask(contact).status == 400
    assert registrar.bindings() == []


def test_the_same_contact_twice_is_one_binding(registrar: Registrar) -> None:
    assert left(registrar.ask(f"{PHONE};expires=5, {PHONE};expires=9")) == [9]
    assert left(registrar.ask(f"{PHONE};expires=0, {PHONE};expires=7")) == [7]
    registrar.done()


# --- room ---

def test_a_full_store_refuses_and_finds_room_again() -> None:
    registrar = Registrar(bindings="4")
    for number in range(4):
        assert registrar.ask(PHONE, to=f"<sip:{number}@h>", expires=60).status == 200
    refused = registrar.ask(PHONE, to="<sip:4@h>")
    assert (refused.status, refused.headers("Contact")) == (503, [])
    assert registrar.bench.count("bindings_full") == 1
    assert registrar.ask(PHONE, to="<sip:0@h>", expires=60).status == 200
    # what has run out makes room, though nobody asks for it any more
    registrar.bench.wait(61 * SECOND)
    for number in range(4):
        assert registrar.ask(PHONE, to=f"<sip:new{number}@h>").status == 200
    registrar.done()


def test_a_request_that_does_not_fit_is_not_done_by_halves() -> None:
    registrar = Registrar(bindings="1")
    assert registrar.ask(f"{PHONE}, {DESK}").status == 503
    assert registrar.bindings() == []
    assert registrar.ask(PHONE).status == 200


def test_one_address_has_a_bound_of_its_own(registrar: Registrar) -> None:
    for number in range(128):
        assert registrar.ask(f"<sip:a@192.0.2.20:{number + 1}>").status == 200
    assert registrar.ask("<sip:a@192.0.2.21>").status == 503
    assert len(registrar.bindings()) == 128
    registrar.done()


@pytest.mark.parametrize("contact", [
    f"<sip:{'a' * 1100}@h>", f"<sip:a@h>;x={'b' * 1100}",
    ", ".join(f"<sip:{number}@h>" for number in range(65))])
def test_what_is_too_long_is_513(registrar: Registrar, contact: str) -> None:
    assert registrar.ask(contact).status == 513
    assert registrar.bindings() == []


def test_many_addresses(registrar: Registrar) -> None:
    for number in range(2000):
        registrar.ask(f"<sip:{number}@192.0.2.20>", to=f"<sip:user{number}@h>")
    for number in range(0, 2000, 2):
        registrar.ask(f"<sip:{number}@192.0.2.20>", to=f"<sip:user{number}@h>", expires=0)
    assert registrar.bindings("<sip:user500@h>") == []
    assert registrar.bindings("<sip:user501@h>") == ["<sip:501@192.0.2.20>;expires=3600"]
    registrar.done()


# --- Path and Service-Route ---

@pytest.mark.parametrize("knows", [True, False])
def test_the_path_comes_back_to_who_knows_it(registrar: Registrar, knows: bool) -> None:
    """RFC 3327 5.3."""
    path = ("Path: <sip:edge.example.com;lr>", "Path: <sip:inner.example.com;lr>")
    sent = registrar.ask(PHONE, headers=(*path, *(("Supported: gruu, path",) if knows else ())))
    assert sent.status == 200
    assert [f"Path: {one}" for one in sent.headers("Path")] == (list(path) if knows else [])


def test_a_path_that_is_too_long(registrar: Registrar) -> None:
    path = f"Path: <sip:{'e' * 990}.example.com;lr>"
    assert registrar.ask(PHONE, headers=(path,)).status == 513


def test_the_service_route_is_told() -> None:
    """RFC 3608 5."""
    registrar = Registrar(service_route="<sip:home.example.com;lr>")
    assert registrar.ask(PHONE).header("Service-Route") == "<sip:home.example.com;lr>"
    assert registrar.ask("*", expires=60).headers("Service-Route") == []


# --- GRUU: RFC 5627 ---

GRUU = ("Supported: gruu",)


def gruus(sent: Sent) -> tuple[str, str]:
    contact = sent.header("Contact")
    found = [re.search(rf';{name}-gruu="([^"]*)"', contact) for name in ("pub", "temp")]
    return found[0][1], found[1][1]  # type: ignore[index]


def test_an_instance_gets_its_gruus(registrar: Registrar) -> None:
    first = gruus(registrar.ask(f"{PHONE};{INSTANCE}", headers=GRUU))
    second = gruus(registrar.ask(f"{PHONE};{INSTANCE}", headers=GRUU))
    assert first[0] == second[0] == f"sip:alice@example.com;gr={URN}"
    assert first[1] != second[1]
    assert re.fullmatch(r"sip:tgruu\.[0-9a-f]{16}@example\.com;gr", second[1])
    again = only(registrar.bench.feed(registrar.last))
    assert gruus(again) == second


@pytest.mark.parametrize(("contact", "headers"), [
    (PHONE, GRUU), (f"{PHONE};{INSTANCE}", ()), (f'{PHONE};+sip.instance=""', GRUU)])
def test_others_get_none(registrar: Registrar, contact: str, headers: tuple[str, ...]) -> None:
    assert "gruu" not in registrar.ask(contact, headers=headers).header("Contact")


# --- outbound: RFC 5626 ---

OUTBOUND = ("Supported: path, outbound",)


def test_a_new_flow_replaces_the_one_with_its_number() -> None:
    registrar = Registrar(flow_timer="120")
    sent = registrar.ask(f"{PHONE};{INSTANCE};reg-id=1", headers=OUTBOUND)
    assert sent.header("Require") == "outbound"
    assert sent.header("Flow-Timer") == "120"
    registrar.ask(f"{PHONE};{INSTANCE};reg-id=2", headers=OUTBOUND)
    sent = registrar.ask(f"{DESK};{INSTANCE};reg-id=1", headers=OUTBOUND, call_id="rebooted")
    assert sorted(one.partition(">")[0] + ">" for one in sent.headers("Contact")) == [PHONE, DESK]
    sent = registrar.ask(f"{DESK};{INSTANCE};reg-id=2", headers=OUTBOUND, expires=0)
    assert [";reg-id=1" in one for one in sent.headers("Contact")] == [True]
    registrar.done()


def test_a_reg_id_alone_means_nothing(registrar: Registrar) -> None:
    registrar.ask(f"{PHONE};reg-id=1", headers=OUTBOUND)
    sent = registrar.ask(f"{PHONE};reg-id=2", headers=OUTBOUND)
    assert len(sent.headers("Contact")) == 1
    assert sent.headers("Require") == []


def test_one_flow_at_a_time(registrar: Registrar) -> None:
    assert registrar.ask(f"{PHONE};{INSTANCE};reg-id=1, {DESK}", headers=OUTBOUND).status == 400
    assert registrar.ask(f"{PHONE};{INSTANCE};reg-id=1, {DESK};expires=0",
                         headers=OUTBOUND).status == 200


@pytest.mark.parametrize(("via", "path", "status"), [
    ((), "", 200),
    (("SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKp",), "", 439),
    (("SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKp",), "<sip:edge;lr;ob>", 200),
    (("SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKp",), "<sip:inner;lr;ob>, <sip:edge;lr>", 439),
    (("SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKp",), "<sip:inner;lr>, <sip:edge;lr;ob>", 200),
])
def test_the_first_hop_must_keep_flows(registrar: Registrar, via: tuple[str, ...], path: str,
                                       status: int) -> None:
    headers = (*OUTBOUND, *((f"Path: {path}",) if path else ()))
    assert registrar.ask(f"{PHONE};{INSTANCE};reg-id=1", headers=headers, via=via).status == status
    assert registrar.ask(PHONE, via=via).status == 200


# --- programs ---

def bound(**settings: int):
    @answer("REGISTER")
    def one(c) -> None:
        c.bind("verdict", **{"bindings": 10, **settings})
        c.respond(200)
    return one.record()


def test_a_program_has_one_registrar() -> None:
    program = compile_scenarios(bound(), bound())
    assert dict(program.registrar)["bindings"] == 10
    assert Program.from_bytes(program.to_bytes()).registrar == program.registrar
    with pytest.raises(ModelError, match="two registrars with different settings"):
        compile_scenarios(bound(), bound(bindings=11))


@pytest.mark.parametrize("settings", [{"bindings": 0}, {"bindings": 2**24},
                                      {"min_expires": -1}, {"max_expires": 2**32}])
def test_settings_that_cannot_be(settings: dict[str, int]) -> None:
    with pytest.raises(ModelError, match=next(iter(settings))):
        bound(**settings)


def test_a_program_without_a_registrar_cannot_bind() -> None:
    program = replace(compile_scenarios(bound()), registrar=())
    with pytest.raises(ValueError, match="leads nowhere"):
        Engine(program, local=("192.0.2.10", 5070))


# --- who does not answer at once ---

def test_an_answer_that_waits_lists_the_bindings() -> None:
    def later(c) -> None:
        c.bind("verdict", bindings=10)
        c.pause("1s")
        c.respond(200)

    bench: Bench = answering("REGISTER", later)
    assert bench.feed(ask("REGISTER", contact=PHONE)) == []
    assert only(bench.wait(SECOND)).headers("Contact") == [f"{PHONE};expires=3600"]
    bench.drain()
