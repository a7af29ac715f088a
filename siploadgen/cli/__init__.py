"""The `siploadgen` command: one file for each verb, loaded when it is asked for."""

import gc
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from siploadgen.errors import Exit, SiploadgenError

# numpy's linear algebra would start a thread for each core, which spins; none of it is used here.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command; an error that somebody can act on becomes one line on stderr."""
    # What is imported stays; looking for garbage among it would take a quarter of a short run.
    gc.disable()
    try:
        from siploadgen.cli.app import app

        app(args=None if arguments is None else list(arguments), prog_name="siploadgen")
    except SiploadgenError as error:
        sys.stderr.write(f"siploadgen: {error}\n")
        sys.exit(int(error.exit_code))
    except BrokenPipeError:
        # Whoever read our output has gone; nothing is left to say.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(int(Exit.INTERNAL))
    finally:
        gc.enable()
        if arguments is None:
            gc.freeze()  # the process ends: what it holds goes back to the system with it
    sys.exit(int(Exit.OK))
