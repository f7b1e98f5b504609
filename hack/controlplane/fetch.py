"""Fetches ready-built programs as controller-runtime's envtest does: for a
machine without Go.

The index names each archive with its SHA-512; an archive that does not match
it is refused. The archives hold etcd, kube-apiserver and kubectl. The
controller manager comes from Kubernetes' own release folder, for Linux only;
without it the control plane works, but for garbage collection and deleted
namespaces.
"""

import hashlib
import platform
import tarfile
import tempfile
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from controlplane.progress import Progress

INDEX = "https://raw.githubusercontent.com/kubernetes-sigs/controller-tools/HEAD/envtest-releases.yaml"
RELEASES = "https://dl.k8s.io"
CONNECT_TIMEOUT = 15.0
BLOCK = 1 << 20


class FetchError(RuntimeError):
    """No internet, nothing published for this machine, or a wrong checksum."""


def envtest_archive(
    target: Path, version: str, *, index: str = INDEX, releases: str = RELEASES
) -> None:
    """Fetch the newest published patch release of `version`'s line into
    `target`. Raises FetchError.
    """
    system, machine = machine_name()
    with Progress(
        f"fetching the control plane {version} for {system}/{machine}"
    ) as progress:
        url, digest, published = choose(
            yaml.safe_load(_text(index)), version, system, machine
        )
        with tempfile.NamedTemporaryFile(suffix=".tar.gz") as archive:
            path = Path(archive.name)
            _download(url, path, progress)
            if hashlib.sha512(path.read_bytes()).hexdigest() != digest:
                raise FetchError(
                    f"{url}: the SHA-512 is not the one that the index names"
                )
            _unpack(path, target)
        if system == "linux":
            _controller_manager(
                target, f"{releases}/{published}/bin/linux/{machine}", progress
            )


def machine_name() -> tuple[str, str]:
    """This machine in Go's words, such as ("linux", "amd64")."""
    machine = platform.machine().lower()
    return platform.system().lower(), {
        "x86_64": "amd64",
        "aarch64": "arm64",
    }.get(machine, machine)


def choose(
    index: Mapping[str, Any], version: str, system: str, machine: str
) -> tuple[str, str, str]:
    """(address, SHA-512, version) of the newest archive of that minor release,
    not over `version`.
    """
    wanted = _numbers(version)
    fitting = [
        (numbers, name)
        for name in index.get("releases", {})
        if (numbers := _numbers(name))[:2] == wanted[:2] and numbers <= wanted
    ]
    for _, name in sorted(fitting, reverse=True):
        entry = index["releases"][name].get(
            f"envtest-{name}-{system}-{machine}.tar.gz"
        )
        if entry:
            return entry["selfLink"], entry["hash"], name
    raise FetchError(
        f"envtest publishes nothing of {version}'s line for {system}/{machine}"
    )


def _numbers(version: str) -> tuple[int, ...]:
    parts = version.removeprefix("v").split(".")
    return (
        tuple(int(part) for part in parts)
        if all(part.isdigit() for part in parts)
        else ()
    )


def _controller_manager(target: Path, folder: str, progress: Progress) -> None:
    path = target / "kube-controller-manager"
    try:
        digest = _text(f"{folder}/{path.name}.sha256").strip()
        _download(f"{folder}/{path.name}", path, progress)
    except FetchError:
        path.unlink(missing_ok=True)
        progress.note("without kube-controller-manager: no garbage collection")
        return
    if hashlib.sha256(path.read_bytes()).hexdigest() != digest:
        path.unlink()
        raise FetchError(f"{folder}/{path.name}: wrong SHA-256")
    path.chmod(0o755)


def _text(url: str) -> str:
    with _open(url) as answer:
        return str(answer.read(8 * BLOCK).decode())


def _download(url: str, path: Path, progress: Progress) -> None:
    with _open(url) as answer, path.open("wb") as out:
        total = int(answer.headers.get("Content-Length") or 0) // BLOCK
        done = 0
        try:
            while block := answer.read(BLOCK):
                out.write(block)
                done += 1
                progress.update(done, total)
        except OSError as error:
            raise FetchError(f"{url}: {error}") from error


def _open(url: str) -> Any:
    try:
        return urllib.request.urlopen(url, timeout=CONNECT_TIMEOUT)  # noqa: S310 - fixed https addresses
    except (OSError, urllib.error.URLError) as error:
        raise FetchError(f"{url}: {error}") from error


def _unpack(archive: Path, target: Path) -> None:
    """Take the plain files out of the archive by base name; nothing else, and
    never outside `target`.
    """
    with tarfile.open(archive) as tar:
        for member in tar.getmembers():
            content = tar.extractfile(member) if member.isfile() else None
            if content is not None:
                path = target / Path(member.name).name
                path.write_bytes(content.read())
                path.chmod(0o755)
