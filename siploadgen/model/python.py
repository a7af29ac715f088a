"""Call models in Python: a function that runs once, over a recorder, and never again.

    @call(hold=lognormal("30s", 0.6))
    def basic_call(c):
        c.invite(sdp="g711", start="srd")
        c.expect(optional=100).optional(180, 183, stop="srd")
        c.expect(200, within="32s").otherwise(end="failed")
        c.ack()
        c.pause(c.v.hold)
        c.bye()
        c.expect(200)

What each method of the recorder means is said in its docstring. Python's own `if` and `for` work on
settings, which are known when the function runs; what an instance learns later is asked with
`c.if_`, `c.loop` and `c.jump`.
"""

import runpy
import traceback
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeAlias

from siploadgen.errors import ScenarioError
from siploadgen.model import scenario as tree
from siploadgen.model.errors import ModelError
from siploadgen.model.recorder import Recorder, Words, words
from siploadgen.model.scenario import NOWHERE, Place, Scenario
from siploadgen.model.settings import Setting, read_settings
from siploadgen.model.target import parse_target


@dataclass(frozen=True, slots=True, eq=False)
class CallModel:
    """A recorded function with its settings; `record` makes a scenario of it."""

    name: str
    function: Callable[[Recorder], None]
    role: tree.Role
    method: str = ""
    settings: Mapping[str, Setting] = field(default_factory=dict)
    values: Mapping[str, Any] = field(default_factory=dict)
    columns: tuple[str, ...] = ()
    place: Place = NOWHERE
    user: str = ""
    users: Any = None  # the data that it brings along

    @property
    def summary(self) -> str:
        """The first line of the function's docstring."""
        return (self.function.__doc__ or "").strip().partition("\n")[0]

    def with_values(self, values: Mapping[str, Any]) -> "CallModel":
        """Make the same model with more settings that are known already."""
        return replace(self, values={**self.values, **values})

    def record(self, *, target: str = "", settings: Mapping[str, str] | None = None,
               columns: Iterable[str] = (), transport: str = "UDP",
               compact: bool = False) -> Scenario:
        """Run the function once, over a recorder; a target brings its own transport.

        `compact` writes header names with one letter where there is one.
        """
        values = dict(self.values)
        values.update(read_settings(self.settings, settings or {}))
        recorder = Recorder(self.name, role=self.role, method=self.method,
                            target=parse_target(target) if target else None, settings=values,
                            columns=dict.fromkeys((*self.columns, *columns)), place=self.place,
                            user=self.user, transport=transport.upper(),
                            compact=compact)
        try:
            self.function(recorder)
        except (ModelError, ScenarioError):
            raise
        except Exception as error:  # the model's own fault: say where
            raise ModelError(f"{type(error).__name__}: {error}", place=self._fault(error),
                             mend="mend the function of the model") from error
        return recorder.scenario()

    def _fault(self, error: Exception) -> str:
        """Find the last line of the model's own file that led to an error."""
        file = self.function.__code__.co_filename
        lines = [line for frame, line in traceback.walk_tb(error.__traceback__)
                 if frame.f_code.co_filename == file]
        return str(Place(Path(file).name, lines[-1])) if lines else str(self.place)


def load_models(path: str | Path) -> dict[str, CallModel]:
    """Run a Python file and give back the call models that it defines, by name.

    ModelError: the file cannot be read or run, or defines none.
    """
    file = Path(path)
    try:
        found = runpy.run_path(str(file))
    except ModelError:
        raise
    except SyntaxError as error:
        raise ModelError(f"this is not Python: {error.msg}", place=f"{file.name}:{error.lineno}",
                         mend="mend the line") from None
    except OSError as error:
        raise ModelError(f"{file}: {error.strerror}", mend="name a file that can be read") from None
    except Exception as error:
        lines = [line for frame, line in traceback.walk_tb(error.__traceback__)
                 if frame.f_code.co_filename == str(file)]
        raise ModelError(f"{type(error).__name__}: {error}",
                         place=str(Place(file.name, lines[-1] if lines else 0)),
                         mend="mend the file") from error
    models = {value.name: value for value in found.values() if isinstance(value, CallModel)}
    if not models:
        raise ModelError("the file defines no call model", place=file.name,
                         mend="write a function below @call() or @answer(method)")
    return models


Decorator: TypeAlias = Callable[[Callable[[Recorder], None]], CallModel]


def _model(function: Callable[[Recorder], None], name: str, role: tree.Role, method: str,
           columns: Words, values: Mapping[str, Any]) -> CallModel:
    settings = {name: value for name, value in values.items() if isinstance(value, Setting)}
    plain = {name: value for name, value in values.items() if name not in settings}
    code = function.__code__
    return CallModel(name or function.__name__, function, role, method, settings, plain,
                     words(columns), Place(Path(code.co_filename).name, code.co_firstlineno))


def call(*, name: str = "", columns: Words = (), users: Any = None, **values: Any) -> Decorator:
    """Make a function the model of what a caller does.

    `name` is the function's unless given, `columns` the data columns that its texts use; `users`
    (anything with `names`) brings its own. All other arguments are settings: they are found under
    `c.v`; those made with `Setting` can be changed with `--set`.

    >>> @call(hold=Setting("0s", "time between ACK and BYE", "distribution"))
    ... def quick(c):
    ...     '''INVITE, ACK, BYE.'''
    ...     c.invite(sdp="g711")
    ...     c.expect(200)
    ...     c.ack()
    ...     c.pause(c.v.hold)
    ...     c.bye()
    ...     c.expect(200)
    >>> len(quick.record(target="sip:127.0.0.1").steps)
    5
    """
    names = (*words(columns), *getattr(users, "names", ()))
    return lambda function: replace(
        _model(function, name, tree.Role.CALLER, "", names, values), users=users)


def answer(method: str, *, user: str = "", name: str = "", columns: Words = (),
           **values: Any) -> Decorator:
    """Make a function the model of what happens when a request of `method` arrives.

    With `user` only requests whose Request-URI has this user part.

    >>> @answer("OPTIONS")
    ... def capabilities(c):
    ...     c.respond(200)
    >>> capabilities.record().steps[0].status
    200
    """
    return lambda function: replace(
        _model(function, name, tree.Role.ANSWERER, method, columns, values), user=user)
