"""`call-auth`: a call to somebody who always asks for credentials."""

from siploadgen.model.builtin.call import call_model
from siploadgen.model.builtin.parts import IDENTITY, hang_up, identity, talk
from siploadgen.model.python import call
from siploadgen.model.recorder import Recorder
from siploadgen.model.settings import Setting


@call(
    name="call-auth",
    wrong=Setting("no", "prove it with a wrong password: to be refused is then what is expected",
                  "flag"),
    hold=call_model.settings["hold"],
    sdp=call_model.settings["sdp"],
    to=Setting("", "URI to call; the target, user `auth`, when empty", "uri"),
    **{**IDENTITY, "user": Setting("alice", IDENTITY["user"].help)},
)
def call_auth(c: Recorder) -> None:
    """Make a call with credentials: INVITE, 401, INVITE, 200, ACK, hold, BYE."""
    user, proof, from_uri = identity(c)
    c.invite(c.v.to, sdp=c.v.sdp, from_=from_uri, start="srd setup", user="auth")
    answered = c.expect(optional=100).optional("101-199", stop="srd")
    if c.v.wrong:
        answered.auth(user=user, password="wrong", end="refused", ok=True)
        with answered.on("2xx"):
            hang_up(c, "wrong_accepted", ok=False)
    else:
        answered.auth(user=user, password=proof, cache=c.v.cache_nonce)
    c.expect("2xx", stop="srd setup")
    talk(c, user, proof)
