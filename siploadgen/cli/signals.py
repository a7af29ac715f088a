"""SIGINT and SIGTERM: before a run they end the program, during it they stop the run."""

import contextlib
import signal
from collections.abc import Iterator
from types import FrameType
from typing import Protocol

from siploadgen.errors import Exit, SiploadgenError


class SignalError(SiploadgenError):
    """A signal came before there was a run to stop."""

    exit_code = Exit.INTERRUPTED


class Stoppable(Protocol):
    """What a signal stops."""

    def stop(self) -> None:
        """Ask for an end; again: at once."""


class Signals:
    """Both signals, for one `subject`: None as long as there is nothing to stop."""

    def __init__(self) -> None:
        self.subject: Stoppable | None = None

    def __call__(self, _number: int, _frame: FrameType | None) -> None:
        """Handle a signal."""
        if self.subject is None:
            raise SignalError("stopped before the start")
        self.subject.stop()

    @contextlib.contextmanager
    def caught(self) -> Iterator[None]:
        """Catch both signals for a while."""
        before = {number: signal.signal(number, self)
                  for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
