"""Template to octets."""

from collections.abc import Iterable
from typing import Self, final

from siploadgen.compile.program import Program
from siploadgen.load.rows import Rows

@final
class Stamper:
    """The templates of a program, for tests and benchmarks.

    `rows` holds the program's columns. ValueError when an index of the program leads nowhere, or
    when the rows have other columns.

    The methods take the number of a template, and raise ValueError when there is none, when a
    field that it needs has no value, when there is no such row, and when there are fewer variables
    than the program has. `values` is keyed by siploadgen.core.program.Field; what the template
    does not need is passed over; FIELD_TEXT stands for every text variable. Without `variables` all
    of them are 0.
    """

    def __new__(cls, program: Program, rows: Rows | None = None) -> Self: ...
    def stamp(
        self,
        template: int,
        values: dict[int, bytes],
        *,
        row: int = 0,
        variables: Iterable[int] | None = None,
        room: int = 65507,
    ) -> bytes:
        """Return the octets of a message; ValueError when `room` octets do not hold them."""
    def needs(self, template: int) -> int:
        """Return the fields of a template: bit f for Field f."""
    def repeat(
        self,
        template: int,
        values: dict[int, bytes],
        times: int,
        *,
        row: int = 0,
        variables: Iterable[int] | None = None,
    ) -> int:
        """Stamp a message `times` (1 or more) times into one place; return the octets of one."""
