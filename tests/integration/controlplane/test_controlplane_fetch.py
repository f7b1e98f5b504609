"""Fetching ready-built programs, from a server on loopback that stands for the two on the internet."""

import hashlib
import io
import tarfile
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml

from controlplane import fetch

PROGRAMS = ("etcd", "kube-apiserver", "kubectl")


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def site(tmp_path: Path) -> Iterator[str]:
    (tmp_path / "site").mkdir()
    handler = partial(Quiet, directory=str(tmp_path / "site"))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def publish(folder: Path, site: str, *, digest: str | None = None) -> None:
    """Put an index and an archive there, as envtest's publishers do."""
    system, machine = fetch.machine_name()
    name = f"envtest-v1.36.0-{system}-{machine}.tar.gz"
    with tarfile.open(folder / name, "w:gz") as tar:
        for program in PROGRAMS:
            content = f"#!/bin/sh\necho {program}\n".encode()
            member = tarfile.TarInfo(f"controller-tools/envtest/{program}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    told = digest or hashlib.sha512((folder / name).read_bytes()).hexdigest()
    index = {
        "releases": {
            "v1.36.0": {name: {"hash": told, "selfLink": f"{site}/{name}"}}
        }
    }
    (folder / "index.yaml").write_text(yaml.safe_dump(index))


def test_an_archive_is_unpacked_and_the_missing_manager_is_no_error(
    tmp_path: Path, site: str
) -> None:
    publish(tmp_path / "site", site)
    target = tmp_path / "target"
    target.mkdir()
    fetch.envtest_archive(
        target, "v1.36.3", index=f"{site}/index.yaml", releases=site
    )
    assert sorted(path.name for path in target.iterdir()) == sorted(PROGRAMS)
    assert all(path.stat().st_mode & 0o111 for path in target.iterdir())


def test_the_controller_manager_comes_from_the_release_folder(
    tmp_path: Path, site: str
) -> None:
    system, machine = fetch.machine_name()
    if system != "linux":
        pytest.skip("Kubernetes publishes server programs for Linux only")
    publish(tmp_path / "site", site)
    release = tmp_path / "site" / "v1.36.0" / "bin" / "linux" / machine
    release.mkdir(parents=True)
    (release / "kube-controller-manager").write_bytes(b"manager")
    (release / "kube-controller-manager.sha256").write_text(
        hashlib.sha256(b"manager").hexdigest()
    )
    target = tmp_path / "target"
    target.mkdir()
    fetch.envtest_archive(
        target, "v1.36.3", index=f"{site}/index.yaml", releases=site
    )
    assert (target / "kube-controller-manager").read_bytes() == b"manager"


def test_an_archive_with_another_checksum_is_refused(
    tmp_path: Path, site: str
) -> None:
    publish(tmp_path / "site", site, digest="0" * 128)
    target = tmp_path / "target"
    target.mkdir()
    with pytest.raises(fetch.FetchError, match="SHA-512"):
        fetch.envtest_archive(
            target, "v1.36.3", index=f"{site}/index.yaml", releases=site
        )
    assert list(target.iterdir()) == []


def test_without_the_internet_the_error_says_where_it_tried(
    tmp_path: Path, site: str
) -> None:
    with pytest.raises(fetch.FetchError, match=r"index\.yaml"):
        fetch.envtest_archive(
            tmp_path, "v1.36.3", index=f"{site}/index.yaml", releases=site
        )
