"""Connections out of kubeconfig files and service accounts."""

import base64
from pathlib import Path
from typing import Any

import pytest
import yaml

from cerebro.kube.client import connection
from cerebro.kube.client.connection import ConfigError


def kubeconfig(folder: Path, **user: Any) -> Path:
    path = folder / "config"
    config = {
        "current-context": "here",
        "contexts": [
            {
                "name": "here",
                "context": {"cluster": "c", "user": "u", "namespace": "ns"},
            }
        ],
        "clusters": [
            {"name": "c", "cluster": {"server": "https://127.0.0.1:6443/"}}
        ],
        "users": [{"name": "u", "user": user}],
    }
    path.write_text(yaml.safe_dump(config))
    return path


def test_a_token_is_taken_and_never_shown(tmp_path: Path) -> None:
    made = connection.load(kubeconfig(tmp_path, token="hush"))
    assert made.headers() == {"Authorization": "Bearer hush"}
    assert (made.server, made.namespace) == ("https://127.0.0.1:6443", "ns")
    assert "hush" not in repr(made)


def test_a_rotated_token_file_is_read_again(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("one\n")
    made = connection.load(kubeconfig(tmp_path, tokenFile="token"))
    assert made.headers() == {"Authorization": "Bearer one"}
    (tmp_path / "token").write_text("two")
    assert made.headers() == {"Authorization": "Bearer two"}
    (tmp_path / "token").unlink()
    with pytest.raises(ConfigError, match="token file"):
        made.headers()


def test_kubeconfig_from_the_environment_goes_before_the_service_account(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig(tmp_path, token="x")))
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    assert connection.load().server == "https://127.0.0.1:6443"


def test_a_service_account(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "fd00::1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "6443")
    (tmp_path / "token").write_text("t")
    (tmp_path / "namespace").write_text("cerebro-system\n")
    made = connection.load(service_account=tmp_path)
    assert (made.server, made.namespace) == (
        "https://[fd00::1]:6443",
        "cerebro-system",
    )
    assert made.headers() == {"Authorization": "Bearer t"}


def test_without_anything_the_message_says_what_to_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    with pytest.raises(ConfigError, match="set KUBECONFIG"):
        connection.load(service_account=tmp_path)


@pytest.mark.parametrize(
    ("user", "message"),
    [
        (
            {"exec": {"command": "aws"}},
            r"users\[\].user.exec is not supported",
        ),
        (
            {"client-certificate-data": "%%%"},
            "client-certificate-data is not base64",
        ),
        (
            {"client-certificate": "absent.pem"},
            "client-certificate: No such file",
        ),
    ],
)
def test_what_cannot_be_used_is_named(
    tmp_path: Path, user: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        connection.load(kubeconfig(tmp_path, **user))


def test_a_wrong_ca_is_named(tmp_path: Path) -> None:
    path = kubeconfig(tmp_path, token="x")
    config = yaml.safe_load(path.read_text())
    config["clusters"][0]["cluster"]["certificate-authority-data"] = (
        base64.b64encode(b"nonsense").decode()
    )
    path.write_text(yaml.safe_dump(config))
    with pytest.raises(
        ConfigError, match=r"CA certificate of https://127\.0\.0\.1:6443"
    ):
        connection.load(path).ssl_context()
