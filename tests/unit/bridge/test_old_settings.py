"""Each setting of the old relay does what the page of settings says, or the page says what has its place (F5).

The names are those of the contract's section 4, in both versions of the old relay.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from starlette.requests import Request

from cerebro.bridge import environment
from cerebro.bridge.endpoints import identity
from cerebro.bridge.endpoints.base import BridgeState
from cerebro.bridge.endpoints.health import (
    HealthEndpoints,
    RelayHealthAnswer,
)
from cerebro.bridge.endpoints.status import IdentityAnswer, StatusEndpoints
from cerebro.bridge.errors import ApiError
from cerebro.bridge.feed_settings import FeedSettings
from cerebro.bridge.http.answers import Call
from cerebro.bridge.http.connections import Connections
from cerebro.bridge.http.connections import config as connection_config
from cerebro.bridge.http.signature import (
    Form,
    Policy,
    SignedRequest,
    sign,
    verify,
)
from cerebro.bridge.settings import BridgeSettings
from cerebro.bridge.store.redis.store import RedisStore
from cerebro.cli import settings_page
from cerebro.runtime import floors
from cerebro.runtime.settings import SettingsError, load
from support.old_settings import NEW, OLD
from support.orders import NOW

TESTS = Path(__file__).parents[2]
NOW_MS = 1_767_139_200_000
HERE = "unit/bridge/test_old_settings.py"
TESTED = {
    "RELAY_DATABASE_URL": (
        "unit/bridge/test_database_settings.py",
        "RELAY_DATABASE_URL",
    ),
    "DATABASE_URL": ("unit/bridge/test_database_settings.py", "DATABASE_URL"),
    "RELAY_DB_SSL": ("unit/bridge/test_database_settings.py", "RELAY_DB_SSL"),
    "RELAY_DB_POOL_SIZE": (
        "unit/bridge/test_database_settings.py",
        "RELAY_DB_POOL_SIZE",
    ),
    "RELAY_DB_IDLE_MS": (
        "unit/bridge/test_database_settings.py",
        "RELAY_DB_IDLE_MS",
    ),
    "RELAY_TOKEN": ("unit/bridge/http/test_access.py", "relay_token"),
    "RELAY_TOKEN_TOOLS": (
        "unit/bridge/http/test_access.py",
        "relay_token_tools",
    ),
    "RELAY_TOKEN_EXEC": (
        "unit/bridge/http/test_access.py",
        "relay_token_exec",
    ),
    "RELAY_TOKEN_HEALTH": (
        "unit/bridge/http/test_access.py",
        "relay_token_health",
    ),
    "METRICS_TOKEN": ("unit/bridge/http/test_access.py", "metrics_token"),
    "RELAY_INTERNAL_TOKEN": (
        "unit/bridge/http/test_internal.py",
        "relay_internal_token",
    ),
    "RELAY_INTERNAL_WHITELIST": (
        "unit/bridge/http/test_internal.py",
        "internal_whitelist",
    ),
    "RELAY_API_SECRET": (
        "integration/bridge/test_bridge_refusals.py",
        "RELAY_API_SECRET",
    ),
    "RELAY_STRICT_SECURITY": (
        "unit/bridge/http/test_access.py",
        "strict_security",
    ),
    "RELAY_RATE_LIMIT": (
        "unit/runtime/test_settings.py",
        "RELAY_RATE_LIMIT",
    ),
    "RATE_LIMIT_PER_ROUTER": (
        "unit/runtime/test_settings.py",
        "RATE_LIMIT_PER_ROUTER",
    ),
    "RELAY_DRY_RUN": (
        "integration/bridge/test_bridge_refusals.py",
        "RELAY_DRY_RUN",
    ),
    "RELAY_LOG_LEVEL": ("unit/runtime/test_settings.py", "RELAY_LOG_LEVEL"),
    "BACKEND_EVENTS_URL": (
        "integration/bridge/test_bridge_events.py",
        "backend.environment",
    ),
    "BACKEND_ACK_URL": (
        "integration/bridge/test_bridge_events.py",
        "backend.environment",
    ),
    "BACKEND_HMAC_SECRET": (
        "unit/bridge/test_feed_settings.py",
        "BACKEND_HMAC_SECRET",
    ),
    "BACKEND_REQUIRE_HMAC": (
        "unit/bridge/test_feed_settings.py",
        "BACKEND_REQUIRE_HMAC",
    ),
    "BACKEND_ACK_RETRIES": ("unit/bridge/backend/test_acks.py", "retries"),
    "BACKEND_ACK_RETRY_DELAY_MS": (
        "unit/bridge/backend/test_acks.py",
        "quick",
    ),
    "RELAY_STORE": ("unit/bridge/test_store_settings.py", "RELAY_STORE"),
    "REDIS_URL": ("unit/bridge/test_store_settings.py", "REDIS_URL"),
    "REDIS_HOST": ("unit/bridge/test_store_settings.py", "REDIS_HOST"),
    "REDIS_PORT": ("unit/bridge/test_store_settings.py", "REDIS_PORT"),
    "REDIS_PASSWORD": (
        "unit/bridge/test_store_settings.py",
        "REDIS_PASSWORD",
    ),
    "RELAY_NAMESPACE": (HERE, "test_each_namespace_has_its_own_names"),
    "RELAY_TS_SKEW_MS": (HERE, "test_the_window_of_each_form"),
    "HMAC_WINDOW_MS": (HERE, "test_the_window_of_each_form"),
    "RELAY_NONCE_TTL_MS": (HERE, "test_a_nonce_is_remembered"),
    "RELAY_RATE_WINDOW_MS": (HERE, "test_a_limit_counts_within_its_window"),
    "RELAY_RETRY_NOW_COOLDOWN_MS": (HERE, "test_a_retry_is_taken_once_in"),
    "PORT": (HERE, "test_it_listens_where_it_is_told"),
    "BIND_HOST": (HERE, "test_it_listens_where_it_is_told"),
    "RELAY_VERSION": (HERE, "test_the_version_is_shown"),
    "RELAY_BUILD_VERSION": (HERE, "test_the_version_is_shown"),
    "RELAY_BUILD_SHA": (HERE, "test_the_version_is_shown"),
    "RELAY_OFFLINE_MAX_AGE_SEC": (HERE, "test_f5_a_new_device_has"),
    "MIKROTIK_PORT": (HERE, "test_f5_a_new_device_has"),
    "MIKROTIK_TIMEOUT_MS": (HERE, "test_f5_a_new_device_has"),
    "CB_FAILURE_THRESHOLD": (HERE, "test_f5_a_new_device_has"),
    "CB_RECOVERY_TIMEOUT_MS": (HERE, "test_f5_a_new_device_has"),
    "RELAY_PAID_CLIENTS_LIST": (HERE, "test_f5_a_new_device_has"),
    "RELAY_PAID_BINDING_TYPE": (HERE, "test_f5_a_new_device_has"),
}
"""The test of each setting that is read: its file, and a word of it that only this test has."""


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in environment.known_variables():
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> Callable[..., BridgeSettings]:
    """Call it with variables for the settings that a bridge reads then."""

    def settings(**variables: str) -> BridgeSettings:
        basic = {
            "RELAY_TOKEN": "token",
            "RELAY_API_SECRET": "secret",
            "CEREBRO_NAMESPACE": "relay",
        }
        for name, value in {**basic, **variables}.items():
            monkeypatch.setenv(name, value)

        return load(BridgeSettings)

    return settings


@pytest.mark.parametrize("name", [*OLD, *NEW])
def test_f5_each_setting_of_the_old_relay_is_read_or_replaced(
    name: str,
) -> None:
    if name not in environment.known_variables():
        assert environment.REPLACED[name]
        assert f"| `{name}` |" in settings_page.render()
        return

    file, word = TESTED[name]
    assert word in (TESTS / file).read_text("utf-8"), file


@pytest.mark.parametrize("name", environment.REPLACED)
def test_f5_what_is_replaced_is_warned_of_with_its_replacement(
    name: str,
) -> None:
    said = " ".join(environment.warnings({name: "value"}))
    assert (environment.REPLACED[name] in said) == (
        name not in environment.known_variables()
    )


def test_f5_a_name_that_nobody_knows_is_warned_of() -> None:
    (said,) = environment.warnings({"RELAY_TOKNE": "value", "HOME": "/root"})
    assert said.startswith("RELAY_TOKNE is set, and is no setting")
    assert "value" not in said


@pytest.mark.parametrize(
    ("name", "value", "raised"),
    [
        ("RELAY_TS_SKEW_MS", "0", 1_000),
        ("HMAC_WINDOW_MS", "5", 1_000),
        ("RELAY_RATE_WINDOW_MS", "100", 1_000),
        ("RELAY_RETRY_NOW_COOLDOWN_MS", "0", 1_000),
        ("RELAY_NONCE_TTL_MS", "1", 1_000),
        ("RELAY_ANSWER_TIMEOUT_MS", "1", 100),
        ("BACKEND_ACK_RETRY_DELAY_MS", "0", 10),
        ("MIKROTIK_TIMEOUT_MS", "500", 1_000),
        ("CB_RECOVERY_TIMEOUT_MS", "0", 1_000),
    ],
)
def test_f5_a_value_below_its_bound_is_raised_with_a_warning(
    read: Callable[..., BridgeSettings], name: str, value: str, raised: int
) -> None:
    settings = read(**{name: value})
    fields = BridgeSettings.model_fields.items()
    (field,) = [key for key, one in fields if one.validation_alias == name]
    assert getattr(settings, field) == raised
    (said,) = environment.warnings({name: value})
    assert (
        said == f"{name} is raised to {raised}: a smaller value cannot be used"
    )
    assert environment.warnings({name: str(raised)}) == []


def test_f5_each_bound_of_the_old_relays_times_is_one_that_raises() -> None:
    times = {
        name
        for name in environment.known_variables()
        if name.endswith("_MS") and name in {*OLD, *NEW}
    }
    assert times <= floors.floors_of(BridgeSettings).keys()
    assert floors.floors_of(FeedSettings) == {"BACKEND_ACK_RETRY_DELAY_MS": 10}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("RELAY_TS_SKEW_MS", "-1"),
        ("RELAY_TS_SKEW_MS", "soon"),
        ("RELAY_RATE_WINDOW_MS", "9999999"),
        ("RELAY_RATE_LIMIT", "0"),
        ("RATE_LIMIT_PER_ROUTER", "many"),
        ("RELAY_INTERNAL_WHITELIST", "somewhere"),
        ("RELAY_STRICT_SECURITY", "perhaps"),
        ("RELAY_DRY_RUN", "perhaps"),
        ("RELAY_LOG_LEVEL", "LOUD"),
        ("PORT", "99999"),
        ("MIKROTIK_PORT", "0"),
        ("CB_FAILURE_THRESHOLD", "0"),
        ("RELAY_OFFLINE_MAX_AGE_SEC", "-1"),
        ("RELAY_PAID_BINDING_TYPE", "blocked"),
    ],
)
def test_a_wrong_value_ends_the_start_and_is_named(
    read: Callable[..., BridgeSettings], name: str, value: str
) -> None:
    with pytest.raises(SettingsError, match=name):
        read(**{name: value})


def test_the_window_of_each_form(read: Callable[..., BridgeSettings]) -> None:
    settings = read(RELAY_TS_SKEW_MS="1000", HMAC_WINDOW_MS="9000")
    assert settings.secret is not None
    policy = Policy(settings.secret, settings.ts_skew_ms, settings.window_b_ms)
    unsigned = SignedRequest("GET", b"/", b"", str(NOW_MS), "n" * 32, None)
    windows: tuple[tuple[Form, int], ...] = (("A", 1_000), ("B", 9_000))
    for form, window in windows:
        digits = sign(form, settings.secret, unsigned)
        signed = SignedRequest("GET", b"/", b"", str(NOW_MS), "n" * 32, digits)
        assert verify(signed, policy, NOW_MS + window).form == form
        with pytest.raises(ApiError, match="x-relay-ts"):
            verify(signed, policy, NOW_MS + window + 1)
    assert read(HMAC_WINDOW_MS="").window_b_ms == 1_000


def test_a_nonce_is_remembered_for_its_time_and_for_twice_the_window(
    read: Callable[..., BridgeSettings],
) -> None:
    assert read(RELAY_NONCE_TTL_MS="500000").nonce_memory_ms == 500_000
    settings = read(RELAY_NONCE_TTL_MS="1000")
    assert settings.nonce_memory_ms == 2 * settings.ts_skew_ms
    assert any("RELAY_NONCE_TTL_MS" in said for said in settings.warnings())


def test_a_limit_counts_within_its_window(
    read: Callable[..., BridgeSettings],
) -> None:
    settings = read(RELAY_RATE_WINDOW_MS="2000", RELAY_RATE_LIMIT="1")
    endpoints = identity.IdentityEndpoints(_service(settings))
    limiter = endpoints._limiter
    limiter.check("r1", 0.0)
    with pytest.raises(ApiError, match="calls"):
        limiter.check("r1", 1.9)
    limiter.check("r1", 4.0)


async def test_a_retry_is_taken_once_in_its_cooldown(
    read: Callable[..., BridgeSettings], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = read(RELAY_RETRY_NOW_COOLDOWN_MS="5000")
    taken: list[str] = []
    counts: list[int] = []

    async def retry_now(sid: str, *_: object) -> None:
        taken.append(sid)

    stub = SimpleNamespace(retry_now=retry_now)
    monkeypatch.setattr(identity, "IdentityService", lambda _: stub)
    endpoints = identity.IdentityEndpoints(_service(settings))
    for at in (0.0, 4.9, 10.0):
        call = Call(b'{"sid":"s"}', at, NOW, "t", internal=True)
        scope = {"type": "http", "state": {"call": call}}
        with suppress(ApiError):
            await endpoints.retry_now(Request(scope))
        counts.append(len(taken))
    assert counts == [1, 1, 2]


def test_it_listens_where_it_is_told(
    read: Callable[..., BridgeSettings],
) -> None:
    settings = read(BIND_HOST="192.0.2.1", PORT="8080")
    bounds = Connections(head_timeout=1, body_timeout=1, limit=8)
    host, port = settings.bind_host, settings.port
    made = connection_config(None, bounds, host=host, port=port, drain=1)
    assert (made.host, made.port) == ("192.0.2.1", 8080)
    before = read(BIND_HOST="", PORT="")
    assert (before.bind_host, before.port) == ("127.0.0.1", 3001)


async def test_the_version_is_shown(
    read: Callable[..., BridgeSettings],
) -> None:
    settings = read(
        RELAY_VERSION="3.1", RELAY_BUILD_VERSION="3", RELAY_BUILD_SHA="abc"
    )
    shown = await _identity(settings)
    assert shown.version == "3.1"
    state = BridgeState(ready=True, healthy=True, store_failure=None)
    endpoints = HealthEndpoints(_service(settings), lambda: state)
    health = await endpoints.relay_health(cast("Any", None))
    assert isinstance(health, RelayHealthAnswer)
    assert (health.build.version, health.build.sha) == ("3", "abc")
    assert (await _identity(read(RELAY_VERSION=""))).version == "3"


def test_each_namespace_has_its_own_names(
    read: Callable[..., BridgeSettings],
) -> None:
    settings = read(RELAY_NAMESPACE="bus")
    assert settings.relay_namespace == "bus"
    store = RedisStore(settings.redis, settings.relay_namespace)
    assert "bus" in repr(vars(store))


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, {}),
        ({"RELAY_OFFLINE_MAX_AGE_SEC": "90"}, {"offlineAfter": "1m30s"}),
        ({"RELAY_OFFLINE_MAX_AGE_SEC": "0"}, {"offlineAfter": "168h"}),
        (
            {"MIKROTIK_PORT": "8729", "MIKROTIK_TIMEOUT_MS": "5000"},
            {"api": {"port": 8729, "timeout": "5s"}},
        ),
        (
            {
                "CB_FAILURE_THRESHOLD": "3",
                "CB_RECOVERY_TIMEOUT_MS": "90000",
            },
            {
                "circuitBreaker": {
                    "failureThreshold": 3,
                    "recoveryTime": "1m30s",
                }
            },
        ),
        (
            {
                "RELAY_PAID_CLIENTS_LIST": "paid",
                "RELAY_PAID_BINDING_TYPE": "regular",
            },
            {"access": {"addressList": "paid", "bindingType": "regular"}},
        ),
    ],
)
def test_f5_a_new_device_has_the_old_relays_settings(
    read: Callable[..., BridgeSettings],
    variables: dict[str, str],
    expected: dict[str, Any],
) -> None:
    settings = read(**variables)
    assert settings.with_device_defaults({}) == expected
    said: dict[str, Any] = {"api": {"port": 1}, "offlineAfter": "2s"}
    completed = settings.with_device_defaults(said)
    assert completed["api"]["port"] == 1
    assert completed["offlineAfter"] == "2s"


def test_the_page_says_what_each_bound_does() -> None:
    """The page names every variable that the bridge reads."""
    page = settings_page.render()
    names = set(re.findall(r"`([A-Z][A-Z0-9_]+)`", page))
    assert environment.known_variables() <= names
    assert "raised" in page


async def _identity(settings: BridgeSettings) -> IdentityAnswer:
    nothing: Any = None
    endpoints = StatusEndpoints(_service(settings), nothing, nothing)
    shown = await endpoints.identity(nothing)
    assert isinstance(shown, IdentityAnswer)

    return shown


def _service(settings: BridgeSettings) -> Any:
    """Stand in for the service, of which only the settings are read."""
    return SimpleNamespace(settings=settings)
