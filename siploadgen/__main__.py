"""`python -m siploadgen`: the same as the `siploadgen` command."""

from siploadgen.cli import main

if __name__ == "__main__":
    main()
