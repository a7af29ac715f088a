"""What can be wrong with a scenario: the place, the fault and the mend."""

import difflib
from collections.abc import Iterable


class ModelError(ValueError):
    """A scenario, a setting or a template that cannot be compiled.

    `place` is `file:line` of the step (empty when the fault is in a setting), `message` says what
    is wrong and `mend` what to do about it.

    >>> print(ModelError("unknown setting hol", place="calls.py:3", mend='did you mean "hold"?'))
    calls.py:3: unknown setting hol (did you mean "hold"?)
    """

    def __init__(self, message: str, *, place: str = "", mend: str = "") -> None:
        self.message = message
        self.place = place
        self.mend = mend
        text = f"{place}: {message}" if place else message
        super().__init__(f"{text} ({mend})" if mend else text)


class ManyFaultsError(ModelError):
    """Several of them; the text has a line for each.

    >>> print(ManyFaultsError([ModelError("a", place="x.py:2"),
    ...                        ModelError("b", place="x.py:1")]))
    x.py:2: a
    x.py:1: b
    """

    def __init__(self, errors: Iterable[ModelError]) -> None:
        self.errors = tuple(errors)
        super().__init__("\n".join(dict.fromkeys(str(one) for one in self.errors)))
        self.place = self.errors[0].place


def nearest(name: str, known: Iterable[str]) -> str:
    """Say which known name was probably meant, else list them all.

    >>> nearest("hol", ["hold", "ring"])
    'did you mean "hold"?'
    >>> nearest("zzz", ["hold", "ring"])
    'known: hold, ring'
    """
    names = sorted(set(known))
    close = difflib.get_close_matches(name, names, n=1)
    if close:
        return f'did you mean "{close[0]}"?'
    return f"known: {', '.join(names)}" if names else "there are none"
