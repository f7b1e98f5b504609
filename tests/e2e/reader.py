"""A person who does what the pages say: at a shell of the cluster's administrator, and at a router's terminal."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from helm import binaries as helm
from integration.agent.router import Router
from support.pages import ROOT, Block, blocks

_COPIED = ("deploy", "crds", "docs")


class Reader:
    """One shell, at the root of a copy of the repository; `own` has what the person writes for a page's words."""

    def __init__(self, folder: Path, own: Mapping[str, str]) -> None:
        self._own = own
        self._root = folder / "cerebro"
        self._variables = folder / "variables"
        self._variables.touch(mode=0o600)
        self.run: set[Block] = set()
        """What was done so far."""
        for name in _COPIED:
            shutil.copytree(ROOT / name, self._root / name)

    def does(self, page: str, section: str) -> str:
        """Run the commands of a section; return what they print."""
        return "".join(
            self.types(self._to_do(block))
            for block in self._blocks(page, section, "sh")
        )

    def does_at(self, router: Router, page: str, section: str) -> None:
        """Type the commands of a section into a router's terminal."""
        for block in self._blocks(page, section, "routeros"):
            for line in self._to_do(block).splitlines():
                _at_terminal(router, line)

    def types(self, text: str) -> str:
        """Run commands in the shell; return what they print. Fails with their errors."""
        script = f"set -a; source {self._variables}\n{text}\nexport -p > {self._variables}"
        programs = f"{os.environ['PATH']}:{helm.ensure().parent}"
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script],
            cwd=self._root,
            env={**os.environ, "PATH": programs},
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        assert done.returncode == 0, f"{text}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def _blocks(self, page: str, section: str, language: str) -> list[Block]:
        listed = [
            block
            for block in blocks(f"docs/{page}")
            if block.section == section
            and block.language == language
            and not block.mark
        ]
        assert listed, f"{page} has no {language} in {section!r}"
        return listed

    def _to_do(self, block: Block) -> str:
        self.run.add(block)
        text = block.text
        for theirs, own in self._own.items():
            text = text.replace(theirs, own)

        return text


def _at_terminal(router: Router, line: str) -> None:
    """Carry out a line such as `/menu/add name=value`; no other verb stands on a page."""
    command, *words = shlex.split(line)
    menu, _, verb = command.rpartition("/")
    assert verb == "add", line
    router.add(menu, **dict(word.split("=", 1) for word in words))
