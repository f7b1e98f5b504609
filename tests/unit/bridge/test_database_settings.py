"""Which database and query the environment names, and what a person reads who named them wrongly."""

from __future__ import annotations

from pathlib import Path

import pytest

from cerebro.bridge.settings import BridgeSettings
from cerebro.runtime.settings import SettingsError, load

PASSWORD = "postgres-password-0123456789"
URL = f"postgresql://relay:{PASSWORD}@db:5433/portal"
QUERY = "SELECT paid FROM orders WHERE code = %(order_id)s"


def read(monkeypatch: pytest.MonkeyPatch, **variables: str) -> BridgeSettings:
    basic = {
        "RELAY_TOKEN": "t",
        "RELAY_ALLOW_UNSIGNED": "all",
        "CEREBRO_NAMESPACE": "default",
    }
    for name, value in {**basic, **variables}.items():
        monkeypatch.setenv(name, value)
    return load(BridgeSettings)


def test_without_a_query_no_database_is_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert not read(monkeypatch).database_warnings()
    settings = read(monkeypatch, DATABASE_URL=URL)
    assert settings.order_query is None
    (warning,) = settings.database_warnings()
    assert warning.endswith("is ignored: CEREBRO_ORDER_QUERY is not set")


@pytest.mark.parametrize("name", ["RELAY_DATABASE_URL", "DATABASE_URL"])
def test_the_old_relays_names_count(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    settings = read(
        monkeypatch,
        **{name: URL},
        CEREBRO_ORDER_QUERY=QUERY,
        RELAY_DB_POOL_SIZE="7",
        RELAY_DB_IDLE_MS="1500",
        RELAY_DB_SSL="false",
    )
    address = settings.database
    assert address is not None
    assert (address.url, address.tls) == (URL, False)
    assert (address.pool_size, address.idle_for) == (7, 1.5)
    (warning,) = settings.database_warnings()
    assert warning.startswith("RELAY_DB_SSL is off")


def test_by_default_the_certificate_is_verified_and_nobody_is_let_in_unchecked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Defect 66 of the old relay."""
    settings = read(
        monkeypatch, RELAY_DATABASE_URL=URL, CEREBRO_ORDER_QUERY=QUERY
    )
    address = settings.database
    assert address is not None
    assert (address.tls, address.pool_size, address.idle_for) == (True, 5, 30)
    assert settings.order_query_away == "refuse"


def test_options_of_other_drivers_are_left_out_and_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings = read(
        monkeypatch,
        RELAY_DATABASE_URL=f"{URL}?schema=public&options=-csearch_path%3Dshop&sslmode=require",
        CEREBRO_ORDER_QUERY=QUERY,
        CEREBRO_ORDER_QUERY_AWAY="Allow",
    )
    address = settings.database
    assert address is not None
    assert address.url == f"{URL}?options=-csearch_path%3Dshop"
    allowed, ignored = settings.database_warnings()
    assert allowed.startswith("CEREBRO_ORDER_QUERY_AWAY is allow")
    assert ignored.endswith("do nothing: schema, sslmode")
    assert PASSWORD not in repr(address) + repr(settings) + ignored


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        (
            {"RELAY_DATABASE_URL": f"mysql://relay:{PASSWORD}@db/portal"},
            "RELAY_DATABASE_URL: must be postgresql://",
        ),
        (
            {"DATABASE_URL": f"postgresql://relay:{PASSWORD}#1@db/portal"},
            "DATABASE_URL: must be postgresql://",
        ),
        (
            {"CEREBRO_ORDER_QUERY": QUERY},
            "CEREBRO_ORDER_QUERY: needs RELAY_DATABASE_URL",
        ),
        (
            {"CEREBRO_ORDER_QUERY": "SELECT true AS paid"},
            r"CEREBRO_ORDER_QUERY: must name %\(order_id\)s",
        ),
        (
            {"CEREBRO_ORDER_QUERY": "SELECT %(pedidoId)s"},
            "CEREBRO_ORDER_QUERY: has no parameter pedidoId: there are order_id",
        ),
        (
            {"CEREBRO_ORDER_QUERY": f"{QUERY} AND plan LIKE 'a%'"},
            "CEREBRO_ORDER_QUERY: a percent sign .* twice, %%",
        ),
        (
            {"CEREBRO_ORDER_QUERY": "SELECT $1 AS paid WHERE %(order_id)"},
            "CEREBRO_ORDER_QUERY: a percent sign",
        ),
        (
            {
                "DATABASE_URL": URL,
                "CEREBRO_ORDER_QUERY": QUERY,
                "CEREBRO_DATABASE_CA": "/no/such/file",
            },
            "CEREBRO_DATABASE_CA: must be a file that exists",
        ),
        (
            {
                "DATABASE_URL": URL,
                "CEREBRO_ORDER_QUERY": QUERY,
                "CEREBRO_DATABASE_CA": str(Path(__file__)),
                "RELAY_DB_SSL": "false",
            },
            "CEREBRO_DATABASE_CA: needs RELAY_DB_SSL=true",
        ),
        ({"RELAY_DB_POOL_SIZE": "0"}, "RELAY_DB_POOL_SIZE: "),
        ({"RELAY_DB_IDLE_MS": "soon"}, "RELAY_DB_IDLE_MS: "),
        ({"CEREBRO_ORDER_QUERY_TIMEOUT": "60"}, "CEREBRO_ORDER_QUERY_TIMEOUT"),
        ({"CEREBRO_ORDER_QUERY_AWAY": "hope"}, "CEREBRO_ORDER_QUERY_AWAY: "),
    ],
)
def test_a_value_that_cannot_be_used_ends_the_start_with_its_variable(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], message: str
) -> None:
    with pytest.raises(SettingsError, match=message) as caught:
        read(monkeypatch, **variables)
    assert PASSWORD not in str(caught.value)


def test_a_percent_sign_may_be_written_twice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    query = f"{QUERY} AND plan LIKE 'a%%' AND router = %(router_id)s"
    settings = read(monkeypatch, DATABASE_URL=URL, CEREBRO_ORDER_QUERY=query)
    assert settings.order_query == query
