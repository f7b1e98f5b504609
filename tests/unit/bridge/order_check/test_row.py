"""What the answer to the order query says (A5, A6, A13)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from ipaddress import IPv4Address, IPv4Interface, IPv6Address

import pytest

from cerebro.bridge.intents import Client
from cerebro.bridge.order_check.row import (
    CheckedOrder,
    QueryError,
    check_columns,
    read_row,
)

BOOLEAN, TEXT, TIMESTAMP, TIMESTAMPTZ, INET = 16, 25, 1114, 1184, 869
END = datetime(2026, 1, 2, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    "types",
    [
        {"paid": BOOLEAN},
        {"paid": BOOLEAN, "expires_at": TIMESTAMPTZ, "ip": INET, "mac": 829},
        {"paid": BOOLEAN, "ip": TEXT, "mac": 1043, "another": 17},
    ],
)
def test_columns_that_can_be_used(types: dict[str, int]) -> None:
    check_columns(types)


@pytest.mark.parametrize(
    ("types", "message"),
    [
        ({"status": TEXT}, "no column paid"),
        ({"paid": TEXT}, "column paid must be a boolean"),
        (
            {"paid": BOOLEAN, "expires_at": TIMESTAMP},
            "expires_at must be a timestamp with time zone; .* at time zone",
        ),
        ({"paid": BOOLEAN, "ip": 23}, "column ip must be a inet or text"),
        ({"paid": BOOLEAN, "mac": BOOLEAN}, "column mac must be"),
    ],
)
def test_a_column_that_cannot_be_used_is_named(
    types: dict[str, int], message: str
) -> None:
    with pytest.raises(QueryError, match=message):
        check_columns(types)


@pytest.mark.parametrize(
    ("row", "known"),
    [
        ({"paid": True}, CheckedOrder(True)),
        ({"paid": False}, CheckedOrder(False)),
        ({"paid": None}, CheckedOrder(False)),
        (
            {
                "paid": True,
                "expires_at": END.astimezone(timezone(timedelta(hours=-3))),
            },
            CheckedOrder(True, END),
        ),
        (
            {
                "paid": True,
                "ip": IPv4Address("10.5.50.9"),
                "mac": "aa-bb-cc-dd-ee-01",
            },
            CheckedOrder(
                True,
                client=Client(ip="10.5.50.9", mac="AA:BB:CC:DD:EE:01"),
            ),
        ),
        (
            {"paid": True, "ip": IPv4Interface("10.5.50.9/24"), "mac": None},
            CheckedOrder(True, client=Client(ip="10.5.50.9")),
        ),
        (
            {"paid": True, "ip": " ::ffff:10.5.50.9/128 ", "mac": ""},
            CheckedOrder(True, client=Client(ip="10.5.50.9")),
        ),
    ],
)
def test_a_row_is_read(row: dict[str, object], known: CheckedOrder) -> None:
    assert read_row(row) == known


@pytest.mark.parametrize(
    "row",
    [
        {"ip": None, "mac": None},
        {"ip": "0.0.0.0", "mac": "00:00:00:00:00:00"},
        {"ip": IPv6Address("fd00::9"), "mac": "02:00:00:00:00:00"},
        {"ip": "phone", "mac": "phone"},
    ],
)
def test_a13_what_can_be_no_client_is_none(row: dict[str, object]) -> None:
    assert not read_row({"paid": True, **row}).client


@pytest.mark.parametrize(
    "end", [datetime(1969, 1, 1, tzinfo=UTC), datetime(9999, 1, 1, tzinfo=UTC)]
)
def test_an_end_out_of_bounds_is_an_error_of_the_query(end: datetime) -> None:
    with pytest.raises(QueryError, match="expires_at"):
        read_row({"paid": True, "expires_at": end})
