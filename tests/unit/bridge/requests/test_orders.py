"""Reading bodies: the shapes that clients of every age send, durations, and what is refused naming the
field."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from cerebro.bridge.errors import ApiError
from cerebro.bridge.intents import Authorize, Client
from cerebro.bridge.requests import devices, fields, routers
from cerebro.bridge.requests import orders as requests
from support.orders import BAD_BODIES, IP, MAC, NOW, at


def read(**fields: Any) -> Authorize:
    return requests.authorize(
        {"pedidoId": "P-1", "deviceToken": "t-1", **fields}, NOW, "trace"
    )


@pytest.mark.parametrize(
    "fields",
    [
        {"ip": IP, "mac": MAC},
        {"ipAtual": IP, "macAtual": MAC.lower().replace(":", "-")},
        {"contexto": {"ip": IP, "mac": MAC}},
        {"contexto": {"ipAtual": f" {IP} ", "macAtual": MAC.replace(":", "")}},
        {"ipAtual": IP, "plano": {"mac": MAC, "minutos": 5}},
        {"ip": IP, "contexto": None, "dispositivo": {"mac": MAC}},
    ],
)
def test_a6_the_address_is_found_in_any_shape(fields: dict[str, Any]) -> None:
    assert read(**fields).client == Client(mac=MAC, ip=IP)


def test_the_rich_shape_of_an_older_client_is_understood() -> None:
    order = requests.authorize(
        {
            "pedidoId": "P-9",
            "orderCode": "or_1",
            "token": "t-9",
            "plano": "1h",
            "planoMinutos": 60,
            "expiresAt": "2026-01-02T13:00:00.000Z",
            "ipAtual": IP,
            "macAtual": MAC,
            "modo": "PAGO",
            "router": {
                "host": "10.0.0.1",
                "user": "u",
                "pass": "p",
                "port": 8728,
                "secure": False,
            },
            "contexto": {"deviceId": "d-1", "mikId": "R1"},
        },
        NOW,
        "trace",
    )
    assert (order.order_id, order.mik_id, order.token, order.type) == (
        "P-9",
        "R1",
        "t-9",
        "Paid",
    )
    assert (order.expires_at, order.duration) == (at(3600), None)


@pytest.mark.parametrize(
    ("fields", "minutes"),
    [
        ({"planoMinutos": 60}, 60),
        ({"plano": {"minutos": 30, "perfil": "x"}}, 30),
        ({"minutes": "45"}, 45),
        ({"tempo": 90_000}, 1.5),
        ({"planoMinutos": 10, "tempo": 90_000}, 10),
    ],
)
def test_a5_a_duration_is_read_under_each_of_its_names(
    fields: dict[str, Any], minutes: float
) -> None:
    assert read(**fields).duration == timedelta(minutes=minutes)


def test_a5_expires_at_comes_before_a_duration() -> None:
    order = read(expiresAt="2026-01-02T13:00:00Z", planoMinutos=10)
    assert (order.expires_at, order.duration) == (at(3600), None)
    assert read(expiresAt="9000-01-01T01:00:00+02:00").expires_at == datetime(
        8999, 12, 31, 23, tzinfo=UTC
    )
    assert read(expiresAt=round(at(60).timestamp() * 1000)).expires_at == at(
        60
    )


@pytest.mark.parametrize(
    "unused",
    [{"planoMinutos": 0}, {"plano": {"minutos": 0}}, {"tempo": -1}],
    ids=str,
)
def test_a5_a_duration_that_is_not_used_refuses_no_order(
    unused: dict[str, Any],
) -> None:
    order = read(expiresAt="2026-01-02T13:00:00Z", **unused)
    assert (order.type, order.expires_at, order.duration) == (
        "Paid",
        at(3600),
        None,
    )
    with pytest.raises(ApiError, match="must be a positive number"):
        read(**unused)
    trial = read(modo="TRIAL", expiresAt="2026-01-03T12:00:00Z", **unused)
    assert (trial.expires_at, trial.duration) == (at(7200), None), (
        "a trial has 120 minutes at most all the same"
    )


@pytest.mark.parametrize(
    ("fields", "minutes"),
    [
        ({}, 5),
        ({"planoMinutos": 0}, 5),
        ({"planoMinutos": None}, 5),
        ({"trialMinutes": 7}, 7),
        ({"planoMinutos": 120}, 120),
        ({"planoMinutos": 121}, 120),
        ({"planoMinutos": 10_000}, 120),
        ({"planoMinutos": 600_000_000}, 120),
        ({"trialMinutes": 0, "tempo": 600_000}, 10),
    ],
)
@pytest.mark.parametrize(
    "named", [{"pedidoId": "trial:6f1c"}, {"modo": "trial"}]
)
def test_a5_trials_are_five_minutes_and_at_most_120(
    named: dict[str, str], fields: dict[str, Any], minutes: float
) -> None:
    order = read(**named, **fields)
    assert (order.type, order.duration) == (
        "Trial",
        timedelta(minutes=minutes),
    )
    assert (order.warning is not None) == (
        (fields.get("planoMinutos") or 0) > 120
    )


def test_a1_a_trial_without_an_order_is_that_of_its_token() -> None:
    """Case of an older dashboard, which makes a token for each trial and names no order."""
    trial = {"deviceToken": "t-1", "modo": "TRIAL"}
    order = requests.authorize(trial, NOW, "trace")
    assert (order.order_id, order.type) == ("trial:t-1", "Trial")
    named = {**trial, "pedidoId": "P-1"}
    assert requests.authorize(named, NOW, "trace").order_id == "P-1"
    for other in (
        {**trial, "sessionId": "s-1"},
        {**trial, "deviceToken": "t" * 128},
        {"deviceToken": "t-1"},
        {"modo": "TRIAL", "ip": IP},
    ):
        assert requests.authorize(other, NOW, "trace").order_id is None


def test_a5_a_trial_with_a_fixed_end_is_cut_to_120_minutes() -> None:
    order = read(modo="TRIAL", expiresAt="2026-01-03T12:00:00Z")
    assert order.expires_at == at(7200)
    assert order.warning


@pytest.mark.parametrize(
    "value",
    [-1, 0, "abc", True, [], {}, "1e999", 10**400, 10**9, "nan", "-5"],
    ids=str,
)
def test_a5_what_is_no_positive_number_is_refused_naming_the_field(
    value: object,
) -> None:
    with pytest.raises(ApiError, match="planoMinutos") as caught:
        read(planoMinutos=value)
    assert (caught.value.status, caught.value.code) == (400, "invalid_payload")


@pytest.mark.parametrize(
    ("fields", "code", "word"),
    [
        ({"macAtual": "AA:BB"}, "invalid_mac", "macAtual"),
        ({"mac": "zz:zz:zz:zz:zz:zz"}, "invalid_mac", "mac"),
        ({"ip": "10.0.0.256"}, "invalid_ip", "ip"),
        ({"ipAtual": "fe80::1"}, "invalid_ip", "ipAtual"),
        ({"pedidoId": 5}, "invalid_payload", "pedidoId must be string"),
        ({"pedidoId": "x" * 129}, "invalid_payload", "pedidoId"),
        ({"pedidoId": "a\u0000b"}, "invalid_payload", "pedidoId"),
        ({"pedidoId": "\ud800"}, "invalid_payload", "pedidoId"),
        ({"mikId": ["R1"]}, "invalid_payload", "mikId must be string"),
        ({"expiresAt": "tomorrow"}, "invalid_payload", "expiresAt"),
        ({"expiresAt": "2026-01-02T13:00:00"}, "invalid_payload", "expiresAt"),
        ({"expiresAt": 1e30}, "invalid_payload", "expiresAt"),
        ({"expiresAt": True}, "invalid_payload", "expiresAt"),
        (
            {"expiresAt": "8999-12-31T23:59:59-05:00"},
            "invalid_payload",
            "expiresAt",
        ),
        (
            {"expiresAt": "1970-01-01T00:00:00+01:00"},
            "invalid_payload",
            "expiresAt",
        ),
        (
            {"expiresAt": "9999-12-31T23:59:59-14:00"},
            "invalid_payload",
            "expiresAt",
        ),
        (
            {"expiresAt": "0001-01-01T00:00:00+14:00"},
            "invalid_payload",
            "expiresAt",
        ),
        ({"deviceToken": None}, "invalid_payload", "deviceToken required"),
    ],
    ids=str,
)
def test_a_bad_field_is_named(
    fields: dict[str, Any], code: str, word: str
) -> None:
    with pytest.raises(ApiError, match=word) as caught:
        read(**fields)
    assert (caught.value.status, caught.value.code) == (400, code)


@pytest.mark.parametrize("body", BAD_BODIES, ids=range(len(BAD_BODIES)))
def test_what_is_no_json_object_is_invalid_json(body: bytes) -> None:
    with pytest.raises(ApiError) as caught:
        fields.parse_body(body)
    assert (caught.value.status, caught.value.code) == (400, "INVALID_JSON")


def test_a_revoke_needs_something_to_go_by() -> None:
    with pytest.raises(ApiError, match="ip or mac required for revoke"):
        requests.revoke({"mikId": "R1"}, NOW, "")
    assert requests.revoke(
        {"mikId": "R1", "ip": IP}, NOW, ""
    ).client == Client(ip=IP)


@pytest.mark.parametrize("missing", ["ip", "mac", "mikId"])
def test_a_hello_needs_router_ip_and_mac(missing: str) -> None:
    fields = {"mikId": "R1", "ip": IP, "mac": MAC}
    del fields[missing]
    with pytest.raises(ApiError, match=f"{missing} required"):
        devices.hello(fields, NOW, "", "new")


def test_a_hello_without_a_token_gets_one() -> None:
    assert (
        devices.hello(
            {"mikId": "R1", "ip": IP, "mac": MAC}, NOW, "", "new"
        ).token
        == "new"
    )


def test_a3_an_order_may_be_any_text() -> None:
    assert read(pedidoId="pão-é-ç-€ 🙂").order_id == "pão-é-ç-€ 🙂"


@pytest.mark.parametrize(
    "fields",
    [
        {"ip": f"::ffff:{IP}"},
        {"ipAtual": f"::FFFF:{IP}"},
        {"contexto": {"ip": "::ffff:0a05:320a"}},
        {"dispositivo": {"ipAtual": f"0:0:0:0:0:ffff:{IP}"}},
    ],
)
def test_t12_an_ipv4_mapped_address_is_the_ipv4_address(
    fields: dict[str, Any],
) -> None:
    assert read(**fields).client == Client(ip=IP)


def test_t12_a_tunnel_may_be_named_by_ipv4_mapped_addresses() -> None:
    tunnel = routers.bootstrap(
        {
            "deviceId": "r-1",
            "tunnelIp": "::ffff:10.8.0.7",
            "allowedIps": "::ffff:10.8.0.7/128, ::ffff:192.168.88.0/120",
        }
    )
    assert tunnel.tunnel_ip == "10.8.0.7"
    assert tunnel.networks == ("10.8.0.7/32", "192.168.88.0/24")


@pytest.mark.parametrize("ip", ["fe80::1", "2001:db8::1", "10.5.50", "::"])
def test_t12_any_other_ipv6_address_is_refused(ip: str) -> None:
    with pytest.raises(ApiError) as caught:
        read(ip=ip)
    assert (caught.value.status, caught.value.code) == (400, "invalid_ip")


@pytest.mark.parametrize(
    "mac",
    [
        "00:00:00:00:00:00",
        "02:00:00:00:00:00",
        "FF:FF:FF:FF:FF:FF",
        "01-00-5e-00-00-fb",
        "33:33:00:00:00:01",
    ],
)
def test_t4_a_mac_that_can_be_no_client_is_refused(mac: str) -> None:
    for body in ({"mac": mac, "ip": IP}, {"contexto": {"macAtual": mac}}):
        with pytest.raises(ApiError) as caught:
            read(**body)
        assert (caught.value.status, caught.value.code) == (400, "invalid_mac")


@pytest.mark.parametrize(
    "ip",
    [
        "0.0.0.0",
        "127.0.0.1",
        "169.254.10.1",
        "224.0.0.251",
        "255.255.255.255",
        "::ffff:127.0.0.1",
    ],
)
def test_t4_an_address_that_can_be_no_client_is_refused(ip: str) -> None:
    for body in ({"mac": MAC, "ip": ip}, {"dispositivo": {"ipAtual": ip}}):
        with pytest.raises(ApiError) as caught:
            read(**body)
        assert (caught.value.status, caught.value.code) == (400, "invalid_ip")
