"""A file system of a few megabytes, which a test fills and empties."""

from __future__ import annotations

import os
import shutil
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest

SIZE = "64m"
PAGE = bytes(4096)


class SmallDisk:
    """A file system of its own in a folder, in memory. Mounted at once; `close` it at the end.

    Where nothing may be mounted the test fails in CI and is skipped elsewhere.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._ballast = folder / "ballast"
        folder.mkdir()

        mounted = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", folder],
            capture_output=True,
            text=True,
            check=False,
        )

        if mounted.returncode != 0:
            reason = f"a small file system cannot be mounted: {mounted.stderr}"
            if os.environ.get("CI") == "true":
                pytest.fail(reason)
            pytest.skip(reason)

    def fill(self) -> None:
        """Leave no page free."""
        with (
            self._ballast.open("ab", buffering=0) as file,
            suppress(OSError),
        ):
            while True:
                file.write(PAGE)

        assert shutil.disk_usage(self.folder).free == 0

    def empty(self) -> None:
        """Give all that `fill` took back."""
        self._ballast.unlink(missing_ok=True)

    def close(self) -> None:
        """Unmount it, although somebody may still have a file open."""
        subprocess.run(["umount", "--lazy", self.folder], check=True)
