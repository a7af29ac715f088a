"""`subscribe-mwi`: a telephone that waits for messages in its voice box."""

from siploadgen.model.builtin.bodies import SUMMARY, message_summary
from siploadgen.model.builtin.parts import challenged, identity
from siploadgen.model.builtin.subscriber import SUBSCRIBER, subscription
from siploadgen.model.python import call
from siploadgen.model.recorder import Recorder
from siploadgen.model.settings import Setting


@call(
    name="subscribe-mwi",
    send_unsolicited=Setting("no", "send a NOTIFY that nobody subscribed to, and nothing else",
                             "flag"),
    **SUBSCRIBER,
)
def subscribe_mwi_model(c: Recorder) -> None:
    """Watch a voice box: SUBSCRIBE for message-summary, its NOTIFYs, and the end (RFC 3842)."""
    if not c.v.send_unsolicited:
        subscription(c, "message-summary", SUMMARY)
        return
    user, password, from_uri = identity(c)
    account = c.v.to or from_uri or (c.target.uri("service") if c.target else "")
    c.send("NOTIFY", account, from_=from_uri, start="notify", content_type=SUMMARY,
           headers={"Event": "message-summary", "Subscription-State": "active"},
           body=message_summary(account))
    challenged(c, c.expect("2xx", stop="notify").optional(100), user, password)
