"""The built-in call models, each in a file of its own: what `siploadgen models show` prints.

A model is a caller and what happens when its requests arrive. One program serves the requests of
all models; which answering side takes a request is said by its method and by the user part of its
Request-URI, so that `sip:busy@host` is busy beside ordinary calls.
"""

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from siploadgen.model import challenges
from siploadgen.model.builtin.answer_auth import answer_auth
from siploadgen.model.builtin.answer_busy import answer_busy, answer_options_busy
from siploadgen.model.builtin.answer_call import answer_call
from siploadgen.model.builtin.answer_cancel import answer_cancel
from siploadgen.model.builtin.answer_fork import answer_fork
from siploadgen.model.builtin.answer_info import answer_info
from siploadgen.model.builtin.answer_message import answer_message
from siploadgen.model.builtin.answer_no_answer import answer_no_answer
from siploadgen.model.builtin.answer_notify import answer_notify
from siploadgen.model.builtin.answer_options import answer_options
from siploadgen.model.builtin.answer_publish import answer_publish
from siploadgen.model.builtin.answer_redirect import answer_redirect
from siploadgen.model.builtin.answer_refer import answer_refer
from siploadgen.model.builtin.answer_register import answer_register
from siploadgen.model.builtin.answer_subscribe import answer_subscribe
from siploadgen.model.builtin.answer_transfer_target import answer_transfer_target
from siploadgen.model.builtin.answer_transferee import answer_transferee
from siploadgen.model.builtin.call import call_model
from siploadgen.model.builtin.call_auth import call_auth
from siploadgen.model.builtin.call_busy import call_busy
from siploadgen.model.builtin.call_cancel import call_cancel
from siploadgen.model.builtin.call_delayed_offer import call_delayed_offer
from siploadgen.model.builtin.call_forked import call_forked
from siploadgen.model.builtin.call_hold import call_hold
from siploadgen.model.builtin.call_no_answer import call_no_answer
from siploadgen.model.builtin.call_redirect import call_redirect
from siploadgen.model.builtin.call_reliable import call_reliable
from siploadgen.model.builtin.call_session_timer import call_session_timer
from siploadgen.model.builtin.call_update import call_update
from siploadgen.model.builtin.info_dtmf import info_dtmf_model
from siploadgen.model.builtin.keepalive import keepalive_model
from siploadgen.model.builtin.message import message_model
from siploadgen.model.builtin.options import options_model
from siploadgen.model.builtin.publish import publish_model
from siploadgen.model.builtin.refer import refer_model
from siploadgen.model.builtin.refusals import NO_ANSWER, parse_refusals
from siploadgen.model.builtin.register import register_model
from siploadgen.model.builtin.register_call import register_call
from siploadgen.model.builtin.register_outbound import register_outbound
from siploadgen.model.builtin.register_storm import register_storm
from siploadgen.model.builtin.subscribe_mwi import subscribe_mwi_model
from siploadgen.model.builtin.subscribe_presence import subscribe_presence_model
from siploadgen.model.builtin.transfer_attended import transfer_attended_model
from siploadgen.model.builtin.transfer_blind import transfer_blind_model
from siploadgen.model.errors import ModelError, nearest
from siploadgen.model.python import CallModel
from siploadgen.model.settings import Setting, read_settings
from siploadgen.model.values import Distribution

if TYPE_CHECKING:  # numpy, which a list of the models does not need
    from siploadgen.compile.program import Program

__all__ = ["ANSWERERS", "MODELS", "Model", "build_answerer", "build_caller", "parse_refusals"]

ALGORITHMS = tuple(name + form for name in challenges.ALGORITHMS for form in ("", "-sess"))


@dataclass(frozen=True, slots=True)
class Model:
    """A built-in model: what callers do, and what the embedded answerer does."""

    caller: CallModel
    answerer: CallModel
    others: tuple[CallModel, ...] = ()  # further answering sides that it meets

    @property
    def name(self) -> str:
        """What `siploadgen run` calls it."""
        return self.caller.name

    @property
    def summary(self) -> str:
        """One sentence."""
        return self.caller.summary

    @property
    def settings(self) -> Mapping[str, Setting]:
        """Settings of both sides."""
        return {name: one for side in (*self.others, self.answerer, self.caller)
                for name, one in side.settings.items()}

    @property
    def source(self) -> str:
        """Text of the functions that make the model, those that they call included."""
        found: dict[str, Callable[..., Any]] = {}
        for side in (self.caller, self.answerer, *self.others):
            _collect(side.function, found)
        return "\n\n".join(inspect.getsource(one).rstrip() + "\n" for one in found.values())


def _collect(function: Callable[..., Any], found: dict[str, Callable[..., Any]]) -> None:
    """Add a function, and those of the built-in models that it calls."""
    found[function.__name__] = function
    for name in function.__code__.co_names:
        inner = function.__globals__.get(name)
        if (inspect.isfunction(inner) and inner.__module__.startswith(__name__)
                and name not in found):
            _collect(inner, found)


MODELS: dict[str, Model] = {one.name: one for one in (
    Model(register_model, answer_register),
    Model(register_call, answer_register, (answer_call,)),
    Model(register_outbound, answer_register),
    Model(register_storm, answer_register),
    Model(options_model, answer_options),
    Model(call_model, answer_call),
    Model(call_busy, answer_busy),
    Model(call_no_answer, answer_no_answer),
    Model(call_cancel, answer_cancel),
    Model(call_redirect, answer_redirect),
    Model(call_auth, answer_auth),
    Model(call_delayed_offer, answer_call),
    Model(call_reliable, answer_call),
    Model(call_update, answer_call),
    Model(call_hold, answer_call),
    Model(call_session_timer, answer_call),
    Model(call_forked, answer_fork),
    Model(transfer_blind_model, answer_transferee),
    Model(transfer_attended_model, answer_transferee),
    Model(subscribe_presence_model, answer_subscribe),
    Model(subscribe_mwi_model, answer_subscribe, (answer_notify,)),
    Model(publish_model, answer_publish),
    Model(message_model, answer_message),
    Model(info_dtmf_model, answer_info),
    Model(refer_model, answer_refer),
    Model(keepalive_model, answer_options),
)}

# Asked in this order: those for one user come before those for any.
ANSWERERS: tuple[CallModel, ...] = (
    answer_busy,
    answer_options_busy,
    answer_no_answer,
    answer_cancel,
    answer_redirect,
    answer_auth,
    answer_fork,
    answer_info,
    answer_transferee,
    answer_transfer_target,
    answer_call,
    answer_register,
    answer_options,
    answer_subscribe,
    answer_notify,
    answer_publish,
    answer_message,
    answer_refer,
)


def build_caller(model: str, *, target_uri: str, settings: Mapping[str, str] | None = None,
                 columns: Iterable[str] = (), compact: bool = False) -> "Program":
    """Program of a built-in model's calling side.

    `columns` names the columns of the data rows: with a column `user` the calls are made and
    challenges answered in the names of the rows. `compact` writes short header names. ModelError:
    unknown model or setting, bad value.

    >>> build_caller("call", target_uri="sip:127.0.0.1:5060", settings={"hold": "2s"}).scenarios
    ('call',)
    """
    from siploadgen.compile.assemble import compile_scenarios

    if model not in MODELS:
        raise ModelError(f"there is no model {model}", mend=nearest(model, MODELS))
    chosen = MODELS[model]
    given = dict(settings or {})
    read_settings(chosen.settings, given)  # those of the answering side are checked as well
    own = {name: text for name, text in given.items() if name in chosen.caller.settings}
    return compile_scenarios(chosen.caller.record(target=target_uri, settings=own,
                                                  columns=columns, compact=compact))


def build_answerer(*, settings: Mapping[str, str] | None = None, answer_after: str = "",
                   reject: str = "", challenge: str = "", transport: str = "udp",
                   compact: bool = False, first: Iterable[CallModel] = (),
                   strict: bool = True) -> "Program":
    """Program of the answering side: the requests of all models in one answer table.

    Those of `first` come before the built-in ones, or in their place where they take all requests
    of a method. Unless `strict`, settings that nobody knows are
    passed over: they may be those of a caller that is not built in.

    `answer_after` is the time from 180 to 200 (a distribution; the setting `ring` when empty),
    `reject` the mix of refusals, `challenge` the digest algorithm that requests must answer with
    (empty: none), `transport` that of its Contact,
    `compact` writes short header names. Settings of callers are taken and ignored. ModelError as
    `build_caller`.

    >>> ("refused", True) in build_answerer(reject="486:3%").outcomes
    True
    """
    asked = _Asked(tuple(sorted((settings or {}).items())), answer_after, reject, challenge,
                   transport, compact, strict)
    first = tuple(first)
    return _answerer(asked, first) if first else _usual_answerer(asked)


class _Asked(NamedTuple):
    """What `build_answerer` was asked for."""

    settings: tuple[tuple[str, str], ...]
    answer_after: str
    reject: str
    challenge: str
    transport: str
    compact: bool
    strict: bool


@lru_cache(maxsize=64)  # programs do not change: many runs of one process share theirs
def _usual_answerer(asked: _Asked) -> "Program":
    return _answerer(asked, ())


def _answerer(asked: _Asked, first: tuple[CallModel, ...]) -> "Program":
    from siploadgen.compile.assemble import compile_scenarios

    settings, answer_after, reject, challenge, transport, compact, strict = asked
    given = dict(settings)
    known: dict[str, Setting] = {}
    for side in ANSWERERS:
        known.update(side.settings)
    callers = {name for one in MODELS.values() for name in one.caller.settings}
    for name in given:
        if strict and name not in known and name not in callers:
            raise ModelError(f"unknown setting {name}", mend=nearest(name, {*known, *callers}))
    values = read_settings(known, {name: text for name, text in given.items() if name in known})
    if challenge and challenge not in ALGORITHMS:
        raise ModelError(f"there is no challenge {challenge}", mend=nearest(challenge, ALGORITHMS))
    if values["challenge_qop"] not in challenges.QOPS:
        raise ModelError(f"setting challenge_qop: there is no {values['challenge_qop']}",
                         mend=nearest(values["challenge_qop"], challenges.QOPS))
    if values["challenge_status"] not in (401, 407):
        raise ModelError(f"setting challenge_status: {values['challenge_status']} is no challenge",
                         mend="write 401 or 407")
    after: Distribution = values["ring"]
    if answer_after and answer_after not in ("0", "0s"):
        after = known["ring"].read(answer_after, "answer_after")
    refusals = parse_refusals(reject)
    if values["no_answer"]:
        refusals += parse_refusals(f"{NO_ANSWER}:{values['no_answer']}")
    methods = {word.strip() for word in values["challenge_methods"].split(",")}
    scenarios = [side.record(
        settings={name: text for name, text in given.items() if name in side.settings},
        transport=transport, compact=compact) for side in first]
    taken = {side.method for side in first if not side.user}  # nobody else would get these
    for side in ANSWERERS:
        if side.method in taken:
            continue
        known_now = {"answer_after": after, "refusals": refusals,
                     "challenge": challenge if side.method in methods else ""}
        own = {name: text for name, text in given.items() if name in side.settings}
        scenarios.append(side.with_values(known_now).record(settings=own, transport=transport,
                                                          compact=compact))
    return compile_scenarios(*scenarios)
