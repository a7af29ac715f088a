"""Digest in every form: one caller asks four servers, each with an algorithm of its own."""

from siploadgen import answer, call

ALGORITHMS = ("md5", "md5-sess", "sha-256", "sha-512-256-sess")


@call(columns="user password")
def asks_all(c):
    """OPTIONS, 401, OPTIONS, 200: once for each algorithm, on a leg of its own."""
    for algorithm in ALGORITHMS:
        c.options(f"sip:{algorithm}@{{target.host}}:{{target.port}}", start="options",
                  leg=algorithm)
        c.expect(200, stop="options", leg=algorithm).auth(401)


def server(algorithm):
    """Make a server that challenges by this algorithm."""
    @answer("OPTIONS", user=algorithm, name=f"challenges-{algorithm}")
    def model(c):
        """401 to whom does not know the password."""
        with c.challenge("secret", realm="lab", kind=algorithm):
            c.respond(401, headers={
                "WWW-Authenticate": f'Digest realm="lab", {{challenge.{algorithm}}}'})
            c.end("challenged", ok=True)
        c.respond(200)
    return model


globals().update({f"server_{number}": server(algorithm)
                  for number, algorithm in enumerate(ALGORITHMS)})
