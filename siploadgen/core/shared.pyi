"""Variables of users and of the run, shared by all engines of a run."""

class Shared:
    """The variables of users and run that a program has, all 0 or empty, for one run.

    `shared` are the program's (name, "number" or "text"); those of `user.` have a place for each of
    `rows` users. Memory of users that nothing was written to costs nothing.
    """

    names: tuple[tuple[str, str], ...]
    def __init__(self, shared: tuple[tuple[str, str], ...], rows: int) -> None: ...
    def value(self, name: str, row: int = 0) -> int | bytes:
        """Return what a variable holds now; ValueError: there is none of that name.

        IndexError: no such user.
        """
