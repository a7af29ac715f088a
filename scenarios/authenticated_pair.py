"""Digest in every form: a model for each algorithm, asked by an answering side of its own."""

from siploadgen import answer, call

ALGORITHMS = ("md5", "md5-sess", "sha-256", "sha-512-256-sess")


def caller(algorithm):
    """A caller that a server challenges by this algorithm."""
    @call(name=f"ask-{algorithm}", columns="user password")
    def model(c):
        """OPTIONS, 401, OPTIONS, 200."""
        c.options(f"sip:{algorithm}@{{target.host}}:{{target.port}}", start="options")
        c.expect(200, stop="options").auth(401)
    return model


def server(algorithm):
    """A server that challenges by this algorithm."""
    @answer("OPTIONS", user=algorithm, name=f"challenges-{algorithm}")
    def model(c):
        """401 to whom does not know the password."""
        with c.challenge("secret", realm="lab", kind=algorithm):
            c.respond(401, headers={
                "WWW-Authenticate": f'Digest realm="lab", {{challenge.{algorithm}}}'})
            c.end("challenged", ok=True)
        c.respond(200)
    return model


models = {algorithm: (caller(algorithm), server(algorithm)) for algorithm in ALGORITHMS}
globals().update({f"{side}_{number}": model for number, pair in enumerate(models.values())
                  for side, model in zip(("caller", "server"), pair, strict=True)})
