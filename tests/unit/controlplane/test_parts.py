"""The control plane's pure parts: versions, which archive to fetch, whose rights go where, API paths."""

from typing import Any

import pytest

from controlplane import apply, binaries, fetch, golang, proxy

GO_MOD = "module x\n\nrequire (\n\tgo.etcd.io/etcd/server/v3 v3.6.8\n\tk8s.io/kubernetes v1.36.3 // indirect\n)\n"


def test_versions_come_from_go_mod() -> None:
    assert binaries.version_of("k8s.io/kubernetes", GO_MOD) == "v1.36.3"
    assert binaries.version_of("go.etcd.io/etcd/server/v3", GO_MOD) == "v3.6.8"
    with pytest.raises(ValueError, match=r"no k8s\.io/other"):
        binaries.version_of("k8s.io/other", GO_MOD)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("go version go1.26.8 linux/amd64", (1, 26)),
        ("go1.9", (1, 9)),
        ("devel", (0, 0)),
    ],
)
def test_go_versions_are_read(text: str, expected: tuple[int, int]) -> None:
    assert golang.go_version(text) == expected


def archive(
    version: str, machine: str = "linux-amd64"
) -> dict[str, dict[str, str]]:
    return {
        f"envtest-{version}-{machine}.tar.gz": {
            "hash": f"hash-{version}",
            "selfLink": f"link-{version}",
        }
    }


def test_the_newest_archive_of_the_same_line_is_chosen() -> None:
    names = (
        "v1.35.9",
        "v1.36.0",
        "v1.36.2",
        "v1.36.10",
        "v1.37.0",
        "v1.36.1-rc.0",
    )
    index = {"releases": {name: archive(name) for name in names}}
    assert fetch.choose(index, "v1.36.3", "linux", "amd64") == (
        "link-v1.36.2",
        "hash-v1.36.2",
        "v1.36.2",
    )
    with pytest.raises(fetch.FetchError, match="darwin/arm64"):
        fetch.choose(index, "v1.36.3", "darwin", "arm64")


def test_rights_are_moved_to_the_namespace_and_the_rest_is_left_out() -> None:
    subjects = [
        {"kind": "ServiceAccount", "name": "a", "namespace": "cerebro-system"},
        {"kind": "Group", "name": "g"},
    ]
    documents: list[dict[str, Any]] = [
        {
            "kind": "Deployment",
            "metadata": {"name": "operator", "namespace": "cerebro-system"},
        },
        {
            "kind": "Role",
            "metadata": {"name": "a", "namespace": "cerebro-system"},
            "rules": [],
        },
        {
            "kind": "ClusterRoleBinding",
            "metadata": {"name": "a"},
            "subjects": subjects,
        },
    ]
    role, binding = apply.rights_in("elsewhere", documents)
    assert role["metadata"] == {"name": "a", "namespace": "elsewhere"}
    assert binding["metadata"] == {"name": "a-elsewhere"}
    assert binding["subjects"] == [
        {**subjects[0], "namespace": "elsewhere"},
        subjects[1],
    ]
    assert documents[1]["metadata"] == {
        "name": "a",
        "namespace": "cerebro-system",
    }


@pytest.mark.parametrize(
    ("method", "path", "query", "expected"),
    [
        (
            "GET",
            "/api/v1/namespaces/x/secrets",
            {},
            ("secrets", "", "", True, False, False),
        ),
        (
            "GET",
            "/api/v1/namespaces/x/secrets/s",
            {},
            ("secrets", "s", "", False, False, False),
        ),
        (
            "GET",
            "/api/v1/namespaces",
            {},
            ("namespaces", "", "", True, False, False),
        ),
        (
            "GET",
            "/apis/g/v1/sessions",
            {"watch": "true"},
            ("sessions", "", "", False, True, False),
        ),
        (
            *("PATCH", "/apis/g/v1/namespaces/x/sessions/s/status", {}),
            ("sessions", "s", "status", False, False, True),
        ),
        ("GET", "/readyz", {}, ("", "", "", False, False, False)),
    ],
)
def test_api_paths_are_understood(
    method: str,
    path: str,
    query: dict[str, str],
    expected: tuple[str, str, str, bool, bool, bool],
) -> None:
    asked = proxy.parse(method, path, query)
    assert (
        asked.resource,
        asked.name,
        asked.subresource,
        asked.list,
        asked.watch,
        asked.write,
    ) == expected
