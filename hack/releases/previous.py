"""The release before this one, for tests of neighbouring releases: which commit
it is, and its files.

It is the newest tag `v*` that HEAD descends from. Before the first tag, it is
the commit in the file `PREVIOUS` beside this one.
"""

import subprocess
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PINNED = Path(__file__).with_name("PREVIOUS")
_PARTS = ("crds", "deploy", "operator")
_LOCK = Path("deploy") / "image" / "requirements.lock"
_TIMEOUT = 120.0


class NoHistoryError(RuntimeError):
    """This checkout has no history that goes back so far: it is shallow, or no
    git repository. The message says which.
    """


class NoPreviousError(RuntimeError):
    """The whole history is there, and the commit is not in it; the message
    says what to mend.
    """


@dataclass(frozen=True)
class Release:
    """A release whose files lie in a folder."""

    name: str
    """Its tag, or a short commit; for people."""

    root: Path
    """Has `operator`, `crds` and `deploy`, as the repository had them."""

    environment: Mapping[str, str]
    """What is added to the environment of a process, so that it runs this
    release's code with the libraries that are installed here.
    """

    @property
    def crds(self) -> Path:
        """Return the folder of its CRDs."""
        return self.root / "crds"

    @property
    def base(self) -> Path:
        """Return the folder of its kustomize base, with accounts and rights."""
        return self.root / "deploy" / "base"

    @property
    def chart(self) -> Path:
        """Return the folder of its Helm chart."""
        return self.root / "deploy" / "chart"


THIS = Release("this release", ROOT, {})
"""The files of this checkout, as they are."""


def previous_commit(
    repository: Path = ROOT, pinned: Path = PINNED
) -> tuple[str, str]:
    """Return name and commit of the release before HEAD.

    Raises NoHistoryError and NoPreviousError.
    """
    tag = _newest_tag(repository)
    name = tag or pinned.read_text().strip()

    try:
        commit = _git(
            repository, "rev-parse", "--verify", f"{name}^{{commit}}"
        )
    except NoHistoryError:
        shallow = _git(repository, "rev-parse", "--is-shallow-repository")
        if shallow == "true":
            raise NoHistoryError(
                f"this clone is shallow and has no {name}: git fetch --unshallow"
            ) from None

        raise NoPreviousError(
            f"{pinned} names {name}, which is no commit of this repository: name one that is"
        ) from None

    return tag or commit[:12], commit


def unpack_previous(
    folder: Path, repository: Path = ROOT, pinned: Path = PINNED
) -> Release:
    """Write the files of the release before HEAD into `folder`; return it.

    Raises NoHistoryError and NoPreviousError.
    """
    name, commit = previous_commit(repository, pinned)
    listed = _git(repository, "ls-tree", "--name-only", commit).splitlines()
    parts = [part for part in _PARTS if part in listed]
    archive = _run(repository, "archive", "--format=tar", commit, *parts)

    with tarfile.open(fileobj=BytesIO(archive)) as tar:
        tar.extractall(folder)  # noqa: S202 - what git made of our own files

    code = {"PYTHONPATH": str(folder / "operator")}
    return Release(name, folder, code)


def other_libraries(release: Release, repository: Path = ROOT) -> list[str]:
    """Return the libraries of a release's image that are others than here, as
    `name==version`: its code runs here without them.
    """
    return sorted(_locked(release.root / _LOCK) - _locked(repository / _LOCK))


def _newest_tag(repository: Path) -> str | None:
    """Return the newest tag of a release that HEAD descends from and is not;
    a candidate such as v1.2.0-rc.1 is older than v1.2.0.
    """
    tags = _git(
        repository,
        "-c",
        "versionsort.suffix=-",
        "tag",
        "--list",
        "v[0-9]*",
        "--merged=HEAD",
        "--no-contains=HEAD",
        "--sort=-version:refname",
    )
    return tags.splitlines()[0] if tags else None


def _locked(path: Path) -> set[str]:
    lines = path.read_text().splitlines()
    return {
        line.partition(" ")[0]
        for line in lines
        if "==" in line and not line.startswith((" ", "#"))
    }


def _git(repository: Path, *words: str) -> str:
    return _run(repository, *words).decode().strip()


def _run(repository: Path, *words: str) -> bytes:
    """Run git; return its output. Raises NoHistoryError with git's words."""
    command = ["git", "-C", str(repository), *words]
    try:
        done = subprocess.run(
            command, capture_output=True, timeout=_TIMEOUT, check=False
        )
    except FileNotFoundError:
        raise NoHistoryError("git is not installed") from None

    if done.returncode:
        said = done.stderr.decode(errors="replace").strip()
        raise NoHistoryError(f"git {words[0]}: {said}")

    return done.stdout
