"""The command with simulated engines: `-m tests.run.fake_cli WORLD-AS-JSON ARGUMENTS...`."""

import json
import sys

from siploadgen import cli
from siploadgen.run import answer, runner
from tests.run.fake_engine import World


def install(world: World) -> None:
    runner.compiled_engine = world.engine
    answer.compiled_engine = World().engine


if __name__ == "__main__":
    install(World(**json.loads(sys.argv.pop(1))))
    cli.main(sys.argv[1:])
