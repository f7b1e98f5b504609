"""Which release is the previous one, and how its code is run."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from releases.previous import (
    NoHistoryError,
    NoPreviousError,
    Release,
    other_libraries,
    previous_commit,
    unpack_previous,
)


class Repository:
    """A repository of git, in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.pinned = folder / "PREVIOUS"
        self._made = 0
        self.git("init", "--quiet", "--initial-branch=main")

    def git(self, *words: str) -> str:
        who = ("-c", "user.name=t", "-c", "user.email=t@example.org")
        return subprocess.run(
            ["git", "-C", str(self.folder), *who, *words],
            check=True,
            capture_output=True,
            text=True,
        ).stdout.strip()

    def commit(self, *tags: str) -> str:
        """Make a commit with these tags; return it."""
        self._made += 1
        message = f"work {self._made}"
        self.git("commit", "--quiet", "--allow-empty", "--message", message)
        for tag in tags:
            self.git("tag", tag)

        return self.git("rev-parse", "HEAD")

    def previous(self) -> tuple[str, str]:
        return previous_commit(self.folder, self.pinned)


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path)


def test_the_previous_release_is_the_newest_tag_before_head(
    repository: Repository,
) -> None:
    repository.commit("v0.9.0")
    wanted = repository.commit("v0.10.0", "v0.10.0-rc.1", "nightly")
    repository.git("switch", "--quiet", "--create", "elsewhere")
    repository.commit("v0.11.0")
    repository.git("switch", "--quiet", "main")
    repository.commit()
    assert repository.previous() == ("v0.10.0", wanted)

    # A release's own tests look at the one before it.
    repository.commit("v1.0.0")
    assert repository.previous() == ("v0.10.0", wanted)


def test_before_the_first_tag_it_is_the_commit_in_the_file(
    repository: Repository,
) -> None:
    wanted = repository.commit()
    repository.commit("v0.1.0")
    repository.pinned.write_text(f"{wanted}\n")
    assert repository.previous() == (wanted[:12], wanted)

    repository.pinned.write_text("1" * 40)
    with pytest.raises(NoPreviousError, match="name one that is"):
        repository.previous()


def test_without_history_it_says_what_is_missing(
    repository: Repository, tmp_path: Path
) -> None:
    first = repository.commit()
    repository.commit()
    shallow = tmp_path / "shallow"
    address = f"file://{repository.folder}"
    repository.git("clone", "--quiet", "--depth=1", address, str(shallow))
    repository.pinned.write_text(first)

    with pytest.raises(NoHistoryError, match="shallow"):
        previous_commit(shallow, repository.pinned)

    bare = tmp_path / "unpacked"
    bare.mkdir()
    (bare / ".git").write_text("gitdir: nowhere\n")
    with pytest.raises(NoHistoryError, match="not a git repository"):
        previous_commit(bare, repository.pinned)


def test_its_code_runs_by_its_environment(previous: Release) -> None:
    script = "import cerebro.agent.main; print(cerebro.agent.main.__file__)"
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=os.environ | previous.environment,
        check=True,
        capture_output=True,
        text=True,
    )

    assert Path(done.stdout.strip()).is_relative_to(previous.root)
    assert list(previous.crds.glob("*.yaml"))
    assert (previous.base / "kustomization.yaml").exists()
    assert (previous.chart / "Chart.yaml").exists()


def test_libraries_that_it_had_and_are_not_here_are_named(
    repository: Repository, tmp_path: Path
) -> None:
    lock = repository.folder / "deploy" / "image" / "requirements.lock"
    lock.parent.mkdir(parents=True)
    lock.write_text("attrs==1 \\\n    --hash=sha256:0\nkopf==1 \\\n")
    repository.pinned.write_text("HEAD")
    repository.git("add", ".")
    repository.commit()
    release = unpack_previous(
        tmp_path / "release", repository.folder, repository.pinned
    )
    lock.write_text("attrs==1 \\\n    --hash=sha256:1\nkopf==2 \\\n")

    assert other_libraries(release, repository.folder) == ["kopf==1"]
