"""`subscribe-mwi`: a telephone that waits for messages in its voice box."""

from siploadgen.model.builtin.bodies import SUMMARY, message_summary
from siploadgen.model.builtin.parts import challenged, identity
from siploadgen.model.builtin.subscriber import SUBSCRIBER, subscription
from siploadgen.model.errors import ModelError
from siploadgen.model.python import call
from siploadgen.model.recorder import Recorder
from siploadgen.model.settings import Setting

WAYS = ("no", "yes", "check-sync")


@call(
    name="subscribe-mwi",
    send_unsolicited=Setting("no", "send a NOTIFY that nobody subscribed to, and nothing else: "
                             "yes (message-summary) or check-sync"),
    **SUBSCRIBER,
)
def subscribe_mwi_model(c: Recorder) -> None:
    """Watch a voice box: SUBSCRIBE for message-summary, its NOTIFYs, and the end (RFC 3842)."""
    if c.v.send_unsolicited not in WAYS:
        raise ModelError(f"setting send_unsolicited: there is no {c.v.send_unsolicited}",
                         mend=f"write {', '.join(WAYS)}")
    if c.v.send_unsolicited == "no":
        subscription(c, "message-summary", SUMMARY)
        return
    user, password, from_uri = identity(c)
    account = c.v.to or from_uri or (c.target.uri("service") if c.target else "")
    if c.v.send_unsolicited == "check-sync":  # what makes telephones read their settings anew
        c.send("NOTIFY", account, from_=from_uri, start="notify",
               headers={"Event": "check-sync", "Subscription-State": "terminated"})
    else:
        c.send("NOTIFY", account, from_=from_uri, start="notify", content_type=SUMMARY,
               headers={"Event": "message-summary", "Subscription-State": "active"},
               body=message_summary(account))
    challenged(c, c.expect("2xx", stop="notify").optional(100), user, password)
