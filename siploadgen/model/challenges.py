"""The kinds of digest challenges that the answering side gives (RFC 7616, 8760)."""

from collections.abc import Mapping

from siploadgen.core.program import ChallengeFlag

ALGORITHMS = ("md5", "sha-256", "sha-512-256")  # as DigestAlgorithm counts, from 1
QOPS: Mapping[str, int] = {
    "auth": ChallengeFlag.CHALLENGE_AUTH,
    "auth-int": ChallengeFlag.CHALLENGE_AUTH_INT,
    "auth,auth-int": ChallengeFlag.CHALLENGE_AUTH | ChallengeFlag.CHALLENGE_AUTH_INT,
    "none": 0,
}


def challenge_kinds() -> dict[str, int]:
    """Every kind of challenge by its name: algorithm, then qop unless that is `auth`.

    >>> challenge_kinds()["md5"], challenge_kinds()["sha-256-sess.auth-int"]
    (9, 22)
    """
    kinds = {}
    for number, algorithm in enumerate(ALGORITHMS, 1):
        for form, session in (("", 0), ("-sess", int(ChallengeFlag.CHALLENGE_SESSION))):
            for qop, flags in QOPS.items():
                name = algorithm + form + ("" if qop == "auth" else f".{qop}")
                kinds[name] = number | session | flags
    return kinds
