"""How the answering side refuses calls: the mix that `--reject` names, and where it sends them."""

from siploadgen.model.errors import ModelError
from siploadgen.model.values import parse_share

NO_ANSWER = "no_answer"  # in a mix of refusals: let it ring


def parse_refusals(text: str) -> tuple[tuple[int | str, float], ...]:
    """Read a mix of refusals: statuses and their shares; `no_answer` lets calls ring.

    >>> parse_refusals("486:3%,503:1%")
    ((486, 0.03), (503, 0.01))
    """
    found: list[tuple[int | str, float]] = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        status, colon, share = part.partition(":")
        valid = status == NO_ANSWER or (
            status.isdecimal() and len(status) == 3 and 300 <= int(status) <= 699)
        if not colon or not valid:
            raise ModelError(f"{part!r} is not a share of refusals",
                             mend="write it as 486:3%,503:1%, statuses from 300 to 699")
        found.append((status if status == NO_ANSWER else int(status), parse_share(share)))
    if sum(share for _, share in found) > 1 + 1e-9:
        raise ModelError(f"{text!r}: the shares add up to more than 100%", mend="lower them")
    return tuple(one for one in found if one[1] > 0)


def parse_contacts(text: str) -> str:
    """Read the users that a call is sent on to, and write the Contacts.

    >>> parse_contacts("busy;q=0.1 moved")
    '<sip:busy@{local}>;q=0.1, <sip:moved@{local}>'
    """
    found = []
    for word in text.split():
        user, semicolon, parameters = word.partition(";")
        if not user or set(word) & set('<>,"{}@'):
            raise ModelError(f"{word!r} is no user to send calls to",
                             mend="write it as moved;q=0.9")
        found.append(f"<sip:{user}@{{local}}>{semicolon}{parameters}")
    if not found:
        raise ModelError("nobody to send calls to", mend="name a user")
    return ", ".join(found)
