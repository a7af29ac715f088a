"""Plays the pages of the documents: files are written, Python is run, commands are typed.

A page is played from top to bottom in a folder of its own:

* a block below a line that ends in `NAME`: is written to the file NAME;
* a block of `python` without a file is run;
* in a block of `console` what follows `$ ` is typed into one shell, which lives as long as the page
  (`> ` goes on with it); it has to succeed, unless `echo $?` comes next. The other lines have to be
  in what it prints, in this order; `...` stands for anything.
* steps of a GitHub workflow are commands as well.

No other block is allowed, so nothing on these pages is only there to be read.
"""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ruamel.yaml import YAML

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"^(?:`(?P<file>[^`\n]+)`:\n\n)?```(?P<kind>\w*)\n(?P<text>.*?)^```",
                   re.M | re.S)
END = "@@@ end "
# A page is about siploadgen, not about how quiet the machine is that tests it.
LIMITS = ("late_start_p99=1h", "attained=0%", "receive_delay_p99=1h", "loop_busy=100%",
          "retransmitted_own_fault=100%", "invalid_intervals=1000000")


@dataclass(frozen=True)
class Block:
    """A block of a page."""

    line: int
    kind: str
    file: str
    text: str


def blocks(page: Path) -> list[Block]:
    """All blocks between fences."""
    text = page.read_text()
    found = [Block(text.count("\n", 0, match.start()) + 1, match["kind"], match["file"] or "",
                   match["text"]) for match in BLOCK.finditer(text)]
    assert len(found) == text.count("\n```") // 2 + text.startswith("```"), page
    return found


class Player:
    """Plays one page."""

    def __init__(self, page: Path, folder: Path) -> None:
        self.page, self.folder = page, folder
        self.commands = 0
        scripts = folder / ".bin"
        scripts.mkdir()
        self._script(scripts / "siploadgen", "-m siploadgen \"$@\"", limits=True)
        self._script(scripts / "pytest", "-m pytest -p no:cacheprovider \"$@\"")
        self._script(scripts / "pip", "-m pip \"$@\"")
        self._script(scripts / "python", "\"$@\"")
        self.environment = {
            **os.environ, "PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT), "PYTEST_ADDOPTS": "-p siploadgen.pytest_plugin",
            "GITHUB_STEP_SUMMARY": "job.md", "NO_COLOR": "1", "TERM": "dumb"}

    @staticmethod
    def _script(path: Path, arguments: str, limits: bool = False) -> None:
        more = "".join(f' --limit "{limit}"' for limit in LIMITS) if limits else ""
        choose = f'[ "$1" = run ] && set -- "$@"{more}\n' if limits else ""
        path.write_text(f"#!/bin/sh\n{choose}exec {sys.executable} {arguments}\n")
        path.chmod(0o755)

    def play(self) -> None:
        """Play all blocks; AssertionError says which line of the page is wrong."""
        with subprocess.Popen(
                ["bash", "--noprofile", "--norc"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT, text=True, cwd=self.folder, env=self.environment,
                start_new_session=True) as shell:
            try:
                for block in blocks(self.page):
                    self._block(block, shell)
            finally:
                os.killpg(shell.pid, signal.SIGKILL)

    def _block(self, block: Block, shell: "subprocess.Popen[str]") -> None:
        where = f"{self.page.relative_to(ROOT)}:{block.line}"
        if block.file:
            file = self.folder / block.file
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(block.text)
            for step in workflow(block):
                self._type(shell, step, [], where, must=True)
        elif block.kind == "python":
            self._python(block)
        else:
            assert block.kind == "console", f"{where}: a block that nobody runs"
            typed = list(commands(block.text))
            for number, (command, shown) in enumerate(typed):
                asked = number + 1 < len(typed) and typed[number + 1][0] == "echo $?"
                self._type(shell, command, shown, where, must=not asked)

    def _python(self, block: Block) -> None:
        file = self.folder / f"block{block.line}.py"  # a model's source is read from its file
        file.write_text(block.text)
        before = Path.cwd()
        os.chdir(self.folder)
        try:
            exec(compile(block.text, str(file), "exec"), {"__name__": "page"})
        finally:
            os.chdir(before)

    def _type(self, shell: "subprocess.Popen[str]", command: str, shown: list[str], where: str,
              must: bool) -> None:
        assert shell.stdin is not None
        assert shell.stdout is not None
        self.commands += 1
        # the status of the command stays what `$?` says
        shell.stdin.write(f"{command}\nslg_rc=$?; printf '\\n{END}%d\\n' $slg_rc; "
                          f"(exit $slg_rc)\n")
        shell.stdin.flush()
        said = []
        while (line := shell.stdout.readline()) and not line.startswith(END):
            said.append(line.rstrip("\n"))
        text = "\n".join(said)
        assert line, f"{where}: {command}\nthe shell has gone\n{text}"
        assert not must or int(line.removeprefix(END)) == 0, f"{where}: {command}\n{line}{text}"
        left = iter(" ".join(one.split()) for one in said)
        for wanted in shown:
            pattern = re.compile(".*".join(re.escape(part)
                                           for part in " ".join(wanted.split()).split("...")))
            assert any(pattern.fullmatch(one) for one in left), \
                f"{where}: {command}\nis to print {wanted!r}, and printed\n{text}"


def commands(text: str) -> Iterator[tuple[str, list[str]]]:
    """Each command of a block of `console`, with what is shown of its output."""
    command, shown = "", []
    for line in text.splitlines():
        if line.startswith("$ "):
            if command:
                yield command, shown
            command, shown = line[2:], []
        elif line.startswith("> ") or (command.endswith("\\") and not shown):
            command += "\n" + line.removeprefix("> ")
        else:
            assert command, f"{line!r} stands before any command"
            shown.append(line.strip())
    if command:
        yield command, shown


def workflow(block: Block) -> Iterator[str]:
    """Commands of a GitHub workflow."""
    if ".github/workflows/" in block.file:
        for job in YAML(typ="safe").load(block.text)["jobs"].values():
            yield from (step["run"] for step in job["steps"] if "run" in step)
