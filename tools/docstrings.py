"""What the site makes of docstrings: their examples are code, and `c.v` stays what it is."""

import re
from typing import Any

import griffe

# An example: from its first prompt to the next empty line.
EXAMPLE = re.compile(r"(?:^>>> .*\n?)(?:^.+\n?)*", re.M)


class Examples(griffe.Extension):
    """Puts examples into fences."""

    def on_object(self, *, obj: Any, **_: Any) -> None:
        """Change the docstring of whatever was read."""
        if obj.docstring is not None:
            text = EXAMPLE.sub(lambda found: f"\n```python\n{found.group().rstrip()}\n```\n\n",
                               obj.docstring.value)
            obj.docstring.value = text
