"""How the store comes to its Redis: TLS, passwords, versions, and a Redis that is not there."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from cerebro.bridge.errors import ApiError
from cerebro.bridge.store.base import StoreVersionError
from cerebro.bridge.store.redis import store as store_module
from cerebro.bridge.store.redis.store import RedisStore
from support.redis_server import (
    KEEPS_ALL,
    KEEPS_NOTHING,
    PASSWORD,
    RedisServer,
)


def make_certificate(folder: Path) -> tuple[Path, Path]:
    """Make a certificate of 127.0.0.1 that is its own authority."""
    certificate, key = folder / "cert.pem", folder / "key.pem"
    command = (
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=redis"
        f" -addext subjectAltName=IP:127.0.0.1 -keyout {key} -out {certificate}"
    )
    subprocess.run(command.split(), check=True, capture_output=True)
    return certificate, key


async def test_tls_is_spoken_and_the_certificate_verified(
    tmp_path: Path,
) -> None:
    certificate, key = make_certificate(tmp_path)
    files = ("--tls-cert-file", str(certificate), "--tls-key-file", str(key))
    server = RedisServer(
        tmp_path,
        *KEEPS_NOTHING,
        *files,
        *("--tls-ca-cert-file", str(certificate), "--tls-auth-clients", "no"),
        tls=True,
    )
    trusted = RedisStore(replace(server.address, ca=certificate), "test")
    await trusted.open()
    assert await trusted.use_nonce("n" * 8, 0, 1000, 1000)
    await trusted.close()

    stranger = RedisStore(server.address, "test")
    await stranger.engine.open()
    with pytest.raises(ApiError) as refused:
        await stranger.backlog()
    assert "certificate" in refused.value.text
    await stranger.engine.close()
    server.stop()


async def test_a_wrong_password_ends_the_start_and_is_in_no_text(
    tmp_path: Path,
) -> None:
    server = RedisServer(tmp_path, *KEEPS_NOTHING)
    wrong = replace(server.address, password="wrong-password-0123")
    store = RedisStore(wrong, "test")
    with capture_logs() as logs, pytest.raises(ApiError) as refused:
        await store.open()
    assert "AuthenticationError" in refused.value.text
    texts = f"{refused.value.text} {logs} {wrong!r} {wrong}"
    assert "wrong-password-0123" not in texts
    assert PASSWORD not in texts
    server.stop()


async def test_a_redis_that_is_not_there_ends_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_module, "OPEN_WITHIN", 0.1)
    server = RedisServer(tmp_path, *KEEPS_NOTHING)
    server.stop()
    store = RedisStore(server.address, "test")
    with pytest.raises(ApiError) as refused:
        await store.open()
    assert refused.value.code == "store_unavailable"


async def test_a_store_of_a_newer_release_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = RedisServer(tmp_path, *KEEPS_NOTHING)
    newer = RedisStore(server.address, "test")
    with monkeypatch.context() as patch:
        patch.setattr(store_module, "VERSION", 99)
        await newer.open()
        await newer.close()
    with pytest.raises(StoreVersionError, match="RELAY_NAMESPACE"):
        await RedisStore(server.address, "test").open()
    other = RedisStore(server.address, "other")
    await other.open()
    await other.close()
    server.stop()


@pytest.mark.parametrize(
    ("options", "warned"),
    [
        (KEEPS_ALL, False),
        (KEEPS_NOTHING, True),
        ((*KEEPS_ALL, "--maxmemory-policy", "allkeys-lru"), True),
    ],
)
async def test_a_redis_that_forgets_by_its_settings_is_warned_of(
    tmp_path: Path, options: tuple[str, ...], warned: bool
) -> None:
    server = RedisServer(tmp_path, *options)
    store = RedisStore(server.address, "test")
    with capture_logs() as logs:
        await store.open()
        await store.close()
    assert [log["log_level"] for log in logs] == ["warning"] * warned
    server.stop()
