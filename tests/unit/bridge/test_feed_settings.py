"""The settings of the feed, by the old relay's names (contract 4)."""

from __future__ import annotations

from pathlib import Path

import pytest

from cerebro.bridge.feed_settings import OLD_EVENTS_FILE, FeedSettings
from cerebro.runtime.settings import SettingsError, load

URL = "https://backend.example/events"
NAMES = (
    *("BACKEND_EVENTS_URL", "BACKEND_ACK_URL", "BACKEND_HMAC_SECRET"),
    *("BACKEND_REQUIRE_HMAC", "BACKEND_ACK_RETRIES"),
    *("BACKEND_ACK_RETRY_DELAY_MS", "CEREBRO_EVENTS_FILE"),
    "CEREBRO_POLL_INTERVAL",
)


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> type[FeedSettings]:
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
    return FeedSettings


def given(monkeypatch: pytest.MonkeyPatch, **values: str) -> FeedSettings:
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    return load(FeedSettings)


@pytest.mark.usefixtures("read")
def test_without_anything_there_is_no_feed() -> None:
    settings = load(FeedSettings)
    assert (settings.has_feed, settings.feed_file) == (False, None)
    assert settings.feed_warnings() == []


@pytest.mark.usefixtures("read")
def test_the_old_relays_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = given(monkeypatch, BACKEND_EVENTS_URL=URL)
    assert (settings.ack_retries, settings.ack_retry_delay_ms) == (2, 500)
    assert (settings.poll_interval, settings.feed_secret) == (3.0, None)
    warnings = " ".join(settings.feed_warnings())
    assert "BACKEND_HMAC_SECRET" in warnings
    assert "BACKEND_ACK_URL" in warnings


@pytest.mark.usefixtures("read")
def test_where_only_acks_have_an_address_the_old_file_is_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings = given(monkeypatch, BACKEND_ACK_URL=URL)
    assert (settings.has_feed, settings.feed_file) == (True, OLD_EVENTS_FILE)
    named = given(monkeypatch, CEREBRO_EVENTS_FILE="/var/events.json")
    assert named.feed_file == Path("/var/events.json")
    over_http = given(monkeypatch, BACKEND_EVENTS_URL=URL)
    assert over_http.feed_file is None
    assert any("EVENTS_FILE" in text for text in over_http.feed_warnings())


@pytest.mark.usefixtures("read")
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("BACKEND_EVENTS_URL", "backend.example/events"),
        ("BACKEND_EVENTS_URL", "ftp://backend.example/"),
        ("BACKEND_EVENTS_URL", "http://"),
        ("BACKEND_EVENTS_URL", "http://[::1/"),
        ("BACKEND_ACK_URL", "http://backend.example:99999/"),
        ("BACKEND_ACK_RETRIES", "-1"),
        ("BACKEND_ACK_RETRY_DELAY_MS", "soon"),
        ("BACKEND_REQUIRE_HMAC", "perhaps"),
        ("CEREBRO_POLL_INTERVAL", "0"),
    ],
)
def test_what_cannot_be_used_is_named(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    with pytest.raises(SettingsError, match=name):
        given(monkeypatch, **{name: value})


@pytest.mark.usefixtures("read")
def test_a_required_secret_must_be_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(SettingsError, match="BACKEND_HMAC_SECRET: must be"):
        given(monkeypatch, BACKEND_REQUIRE_HMAC="1")
    settings = given(monkeypatch, BACKEND_HMAC_SECRET="key")
    assert settings.feed_secret == "key"
