"""Which store the environment names, and what a person reads who named it wrongly."""

from __future__ import annotations

from pathlib import Path

import pytest

from cerebro.bridge.settings import BridgeSettings
from cerebro.bridge.store_settings import RedisAddress
from cerebro.runtime.settings import SettingsError, load

PASSWORD = "redis-password-0123456789"


def read(monkeypatch: pytest.MonkeyPatch, **variables: str) -> BridgeSettings:
    basic = {
        "RELAY_TOKEN": "t",
        "RELAY_ALLOW_UNSIGNED": "all",
        "CEREBRO_NAMESPACE": "default",
    }
    for name, value in {**basic, **variables}.items():
        monkeypatch.setenv(name, value)
    return load(BridgeSettings)


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (None, "file"),
        ("file", "file"),
        ("sqlite", "sqlite"),
        ("Redis", "redis"),
    ],
)
def test_the_store_is_a_file_unless_it_is_redis(
    monkeypatch: pytest.MonkeyPatch, value: str | None, kind: str
) -> None:
    variables = {} if value is None else {"RELAY_STORE": value}
    assert read(monkeypatch, **variables).store_kind == kind


@pytest.mark.parametrize(
    ("variables", "address"),
    [
        ({}, RedisAddress("127.0.0.1", 6379)),
        (
            {"REDIS_HOST": "redis", "REDIS_PORT": "7000"},
            RedisAddress("redis", 7000),
        ),
        (
            {"REDIS_HOST": "redis", "REDIS_PASSWORD": PASSWORD},
            RedisAddress("redis", 6379, password=PASSWORD),
        ),
        ({"REDIS_URL": "redis://redis"}, RedisAddress("redis", 6379)),
        (
            {"REDIS_URL": "redis://redis:7000/3", "REDIS_HOST": "another"},
            RedisAddress("redis", 7000, 3),
        ),
        (
            {"REDIS_URL": "rediss://me:p%40ss@[::1]:7000/"},
            RedisAddress("::1", 7000, 0, "me", "p@ss", tls=True),
        ),
        (
            {"REDIS_URL": "redis://me@redis", "REDIS_PASSWORD": PASSWORD},
            RedisAddress("redis", 6379, 0, "me", PASSWORD),
        ),
    ],
)
def test_the_redis_is_that_of_the_url_else_of_host_and_port(
    monkeypatch: pytest.MonkeyPatch,
    variables: dict[str, str],
    address: RedisAddress,
) -> None:
    settings = read(monkeypatch, RELAY_STORE="redis", **variables)
    assert settings.redis == address
    assert PASSWORD not in f"{settings!r} {settings.redis!r} {settings.redis}"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("RELAY_STORE", "memory"),
        ("REDIS_URL", f"http://:{PASSWORD}@redis"),
        ("REDIS_URL", f"redis://:{PASSWORD}@"),
        ("REDIS_URL", f"redis://:{PASSWORD}@redis:port"),
        ("REDIS_URL", f"redis://:{PASSWORD}@redis/name"),
        ("REDIS_URL", f"rediss://:{PASSWORD}@redis?ssl_cert_reqs=none"),
        ("REDIS_URL", f"redis://:{PASSWORD}@[redis"),
        ("REDIS_PORT", "0"),
        ("RELAY_NAMESPACE", "with blank"),
        ("CEREBRO_REDIS_CA", "/etc/ca.pem"),
    ],
)
def test_an_error_names_the_variable_and_not_the_value(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    variables = {"RELAY_STORE": "redis", name: value}
    with pytest.raises(SettingsError, match=rf"^{name}: ") as caught:
        read(monkeypatch, **variables)
    assert PASSWORD not in str(caught.value)


def test_the_authorities_of_a_tls_redis_are_a_file_that_exists(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    ca = tmp_path / "ca.pem"
    variables = {
        "RELAY_STORE": "redis",
        "REDIS_URL": "rediss://redis",
        "CEREBRO_REDIS_CA": str(ca),
    }
    with pytest.raises(SettingsError, match=r"^CEREBRO_REDIS_CA: "):
        read(monkeypatch, **variables)
    ca.touch()
    assert read(monkeypatch, **variables).redis.ca == ca


def test_settings_of_a_redis_that_is_not_used_are_warned_of(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings = read(monkeypatch, REDIS_URL="redis://redis")
    assert any("REDIS_URL" in warning for warning in settings.warnings())
