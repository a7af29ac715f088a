r"""siploadgen: a SIP load generator whose numbers can be trusted.

What other programs may import stands here and is loaded when it is first used.

>>> from siploadgen import parse
>>> lines = ["OPTIONS sip:a SIP/2.0", "Via: SIP/2.0/UDP h;branch=z9hG4bKx", "Max-Forwards: 70",
...          "From: <sip:a>;tag=1", "To: <sip:b>", "Call-ID: c", "CSeq: 7 OPTIONS", "", ""]
>>> parse("\r\n".join(lines).encode()).cseq.number
7
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from siploadgen.message import Message, ParseError, parse

__version__ = "0.1.0"
__all__ = ["Message", "ParseError", "__version__", "parse"]

_HOMES = {"Message": "message", "ParseError": "message", "parse": "message"}


def __getattr__(name: str) -> Any:
    """Import a public name from its module, the first time that it is asked for."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
