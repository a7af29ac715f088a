"""A conversation in messages: question and reply, each a MESSAGE of its own, some rounds long."""

from siploadgen import Setting, answer, call


@call(rounds=Setting("4", "questions", "count"),
      think=Setting("exponential(3s)", "time from an answer to the next question", "distribution"))
def conversation(c):
    """MESSAGE, 200, and a while to think."""
    with c.loop(c.v.rounds):
        c.add("round", 1)
        c.send("MESSAGE", "sip:oracle@{target.host}:{target.port}", start="message",
               body="question {round}", headers={"Subject": "round {round}"})
        c.expect("2xx", stop="message")
        c.pause(c.v.think)


@answer("MESSAGE", user="oracle")
def oracle(c):
    """Take the question; one in four gets 202, for later."""
    with c.if_body("question"):
        with c.chance("25%"):
            c.respond(202)
            c.end("stored", ok=True)
        c.respond(200)
        c.end()
    c.respond(415, headers={"Accept": "text/plain"})
    c.end("no_question")
