"""The script that a person pastes into a router: what it makes there, and that no name can leave its string.

The console that it is pasted into is `console.py` and `console_router.py`, which share no code with ours.
"""

from __future__ import annotations

import string
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cerebro.resources import Device, Hub
from cerebro.routeros.bootstrap import NotReadyError, Tunnel, script, tunnel_of
from cerebro.routeros.console import quote
from support.console import Text, parse, texts, walk
from support.console_router import ConsoleRouter

HUB_KEY = "h" * 42 + "A="
HAND_BACK = ('kubectl patch device r1 -p \'{"spec":{"publicKey":"', "\"}}'")
INTERFACE = "cerebro-main"
MARKER = "cerebro:main:tunnel"

hostile = st.text(
    alphabet=st.one_of(
        st.sampled_from("\"\\$[](){};#=?/:\n\r\t\0 'é€😀\x7f\x1b"),
        st.characters(exclude_categories=["Cs"]),
    ),
    min_size=1,
    max_size=40,
)


def hub(*, status: dict[str, Any] | None = None, **spec: Any) -> Hub:
    return Hub.model_validate(
        {
            "kind": "Hub",
            "metadata": {"name": "hub-1"},
            "spec": {
                "nodeName": "node-1",
                "addresses": ["10.8.0.1/16"],
                "endpoint": "192.0.2.1:51820",
                **spec,
            },
            "status": {"publicKey": HUB_KEY} if status is None else status,
        }
    )


def device(*, status: dict[str, Any] | None = None, **spec: Any) -> Device:
    api = {"credentialsSecretRef": {"name": "router"}}
    fields = {
        "hubRef": {"name": "hub-1"},
        "tunnelAddress": "10.8.0.7",
        "api": api,
        **spec,
    }
    return Device.model_validate(
        {
            "kind": "Device",
            "metadata": {"name": "r1"},
            "spec": fields,
            "status": status or {},
        }
    )


def tunnel(
    one: Hub | None = None, other: Device | None = None, **more: Any
) -> Tunnel:
    return tunnel_of(
        one or hub(), other or device(), **{"installation": "main", **more}
    )


def pasted(
    lines: list[str], router: ConsoleRouter | None = None
) -> ConsoleRouter:
    router = router or ConsoleRouter()
    router.paste(lines)
    assert router.failed == []
    return router


def only(router: ConsoleRouter, menu: str) -> dict[str, Any]:
    rows = router.tables[menu]
    assert len(rows) == 1, rows
    return rows[0]


def subset(row: dict[str, Any], **expected: str) -> None:
    wanted = {
        name.replace("_", "-"): value for name, value in expected.items()
    }
    assert {name: row.get(name) for name in wanted} == wanted


@given(hostile)
def test_a_quoted_text_is_one_string_of_exactly_that_text(text: str) -> None:
    assert set(quote(text)) <= set(string.printable) - set("\t\r\n\x0b\x0c?")
    (command,) = parse(f":put {quote(text)}")
    assert command.arguments == ((None, Text(text, quoted=True)),)


@given(router_id=hostile, before=hostile, after=hostile)
def test_names_cannot_break_out_of_the_script(
    router_id: str, before: str, after: str
) -> None:
    """Every value arrives as it was, and there are as many commands, of the same names, as with tame ones."""
    one = hub(endpoint="vpn.example.net:51820")
    tame = list(walk(parse("\n".join(script(tunnel(one), HAND_BACK)))))
    lines = script(tunnel(one, device(routerID=router_id)), (before, after))
    parsed = parse("\n".join(lines))
    commands = list(walk(parsed))
    assert [command.name for command in commands] == [
        command.name for command in tame
    ]
    assert [set(command.named()) for command in commands] == [
        set(command.named()) for command in tame
    ]
    router = pasted(lines)
    comment = only(router, "/interface/wireguard")["comment"]
    assert comment == f"{MARKER} {router_id}"
    key = only(router, "/interface/wireguard")["public-key"]
    assert router.printed[-1] == before + key + after
    assert before in set(texts(parsed[-1]))


def test_a_hubs_key_and_endpoint_are_quoted_too() -> None:
    odd = 'x"; /system/reset-configuration; :put "'
    router = pasted(script(tunnel(hub(status={"publicKey": odd})), HAND_BACK))
    assert only(router, "/interface/wireguard/peers")["public-key"] == odd


def test_an_empty_router_gets_its_tunnel() -> None:
    router = pasted(script(tunnel(other=device(routerID="R 1")), HAND_BACK))
    interface = only(router, "/interface/wireguard")
    subset(
        interface,
        name=INTERFACE,
        mtu="1420",
        comment=f"{MARKER} R 1",
        disabled="no",
    )
    subset(
        only(router, "/interface/wireguard/peers"),
        interface=INTERFACE,
        public_key=HUB_KEY,
        allowed_address="10.8.0.0/16",
        endpoint_address="192.0.2.1",
        endpoint_port="51820",
        persistent_keepalive="25s",
        comment=MARKER,
    )
    subset(
        only(router, "/ip/address"),
        address="10.8.0.7/16",
        network="10.8.0.0",
        interface=INTERFACE,
        comment=MARKER,
    )
    rule = only(router, "/ip/firewall/filter")
    subset(
        rule,
        chain="input",
        action="accept",
        src_address="10.8.0.1",
        in_interface=INTERFACE,
    )
    subset(rule, protocol="tcp", dst_port="8728", comment=MARKER)
    assert router.tables["/system/scheduler"] == []
    assert router.tables["/ip/route"] == []
    assert router.printed[-1] == interface["public-key"].join(HAND_BACK)


def test_no_private_key_is_asked_for_or_printed() -> None:
    text = "\n".join(script(tunnel(reset_endpoint=True), HAND_BACK))
    assert "private" not in text.replace(
        "The router makes its own key pair", ""
    )
    assert "preshared" not in text


@pytest.mark.parametrize(
    "endpoint",
    ["192.0.2.1:51820", "vpn.example.net:13231", "[2001:db8::1]:51820"],
)
@pytest.mark.parametrize("address", ["10.8.0.7", "10.9.0.7", "fd00::7"])
def test_pasted_twice_is_pasted_once(endpoint: str, address: str) -> None:
    one = hub(
        endpoint=endpoint,
        addresses=["10.8.0.1/16", "10.9.0.1/24", "fd00::1/64"],
    )
    lines = script(
        tunnel(one, device(tunnelAddress=address), reset_endpoint=True),
        HAND_BACK,
    )
    router = pasted(lines)
    before = router.plain()
    pasted(lines, router)
    assert router.plain() == before
    assert router.printed[-1] in router.printed[:-1]


def test_pasted_again_after_a_change_it_changes_what_is_there() -> None:
    router = pasted(script(tunnel(), HAND_BACK))
    key = only(router, "/interface/wireguard")["public-key"]
    changed = hub(
        endpoint="[2001:db8::1]:4000",
        addresses=["10.9.0.1/24"],
        mtu=1380,
        status={"publicKey": "n" * 43 + "="},
    )
    pasted(
        script(tunnel(changed, device(tunnelAddress="10.9.0.8")), HAND_BACK),
        router,
    )
    subset(only(router, "/interface/wireguard"), mtu="1380", public_key=key)
    subset(
        only(router, "/interface/wireguard/peers"),
        public_key="n" * 43 + "=",
        endpoint_address="2001:db8::1",
        endpoint_port="4000",
        allowed_address="10.9.0.0/24",
    )
    subset(
        only(router, "/ip/address"), address="10.9.0.8/24", network="10.9.0.0"
    )
    subset(only(router, "/ip/firewall/filter"), src_address="10.9.0.1")


def test_the_routers_own_entries_stay_as_they_are() -> None:
    """An old relay's tunnel, addresses and rules of others are neither changed nor taken over."""
    router = ConsoleRouter()
    router.put(
        "/interface/wireguard",
        name="wg-relay",
        comment="managed-by-relay",
        public_key="old",
    )
    router.put(
        "/interface/wireguard/peers",
        interface="wg-relay",
        public_key="other",
        comment="vps-peer",
    )
    router.put(
        "/ip/address",
        address="10.200.0.7/32",
        interface="wg-relay",
        comment="tunnel",
    )
    router.put(
        "/ip/firewall/filter",
        chain="input",
        action="drop",
        comment="drop all else",
    )
    before = router.plain()
    pasted(script(tunnel(), HAND_BACK), router)
    for menu, rows in before.items():
        assert [row for row in router.tables[menu] if row in rows] == rows, (
            menu
        )


def test_the_rule_stands_before_every_other_rule_of_the_input_chain() -> None:
    """Defect 38: appended at the end it would stand behind the drop; dynamic rules stay in front."""
    router = ConsoleRouter()
    menu = "/ip/firewall/filter"
    router.put(
        menu,
        chain="forward",
        action="passthrough",
        dynamic="yes",
        comment="dummy",
    )
    router.put(menu, chain="input", action="jump", dynamic="yes", comment="hs")
    router.put(menu, chain="forward", action="accept", comment="fwd")
    router.put(menu, chain="input", action="drop", comment="drop")
    lines = script(tunnel(), HAND_BACK)
    expected = ["dummy", "hs", "fwd", MARKER, "drop"]
    pasted(lines, router)
    assert [row["comment"] for row in router.tables[menu]] == expected
    router.tables[menu].append(router.tables[menu].pop(3))
    pasted(lines, router)
    assert [row["comment"] for row in router.tables[menu]] == expected, (
        "a rule that slid behind comes forward"
    )


@pytest.mark.parametrize(
    ("address", "disabled", "after"),
    [
        ("", "yes", ("10.8.0.1/32", "no")),
        ("", "no", ("", "no")),
        ("192.168.88.0/24", "no", ("192.168.88.0/24,10.8.0.1/32", "no")),
        ("192.168.88.0/24", "yes", ("192.168.88.0/24,10.8.0.1/32", "no")),
        ("10.8.0.1/32", "no", ("10.8.0.1/32", "no")),
        ("10.8.0.1", "no", ("10.8.0.1", "no")),
        ("110.8.0.1/32", "no", ("110.8.0.1/32,10.8.0.1/32", "no")),
        ("10.8.0.1/24", "no", ("10.8.0.1/24,10.8.0.1/32", "no")),
    ],
)
@pytest.mark.parametrize("as_list", [False, True])
def test_the_api_service_admits_the_hub_and_shuts_nobody_out(
    address: str, disabled: str, after: tuple[str, str], as_list: bool
) -> None:
    router = ConsoleRouter()
    service = router.tables["/ip/service"][0]
    value = (
        [part for part in address.split(",") if part] if as_list else address
    )
    service.update({"address": value, "disabled": disabled})
    lines = script(tunnel(), HAND_BACK)
    pasted(lines, router)
    found = service["address"]
    assert (
        ",".join(found) if isinstance(found, list) else found,
        service["disabled"],
    ) == after
    said = [line for line in router.printed if "open to all addresses" in line]
    assert len(said) == (1 if (address, disabled) == ("", "no") else 0)


def test_another_port_of_the_service_is_said() -> None:
    router = ConsoleRouter()
    pasted(
        script(
            tunnel(
                other=device(
                    api={"credentialsSecretRef": {"name": "x"}, "port": 9000}
                )
            ),
            HAND_BACK,
        ),
        router,
    )
    assert any(
        "9000" in line and "spec.api.port" in line for line in router.printed
    )
    assert only(router, "/ip/firewall/filter")["dst-port"] == "9000"


def test_tls_means_the_other_service() -> None:
    api = {"credentialsSecretRef": {"name": "x"}, "tls": {"mode": "Verify"}}
    router = ConsoleRouter()
    router.tables["/ip/service"][1].update(disabled="yes")
    pasted(script(tunnel(other=device(api=api)), HAND_BACK), router)
    assert router.tables["/ip/service"][1]["address"] == "10.8.0.1/32"
    assert router.tables["/ip/service"][0]["address"] == ""
    assert only(router, "/ip/firewall/filter")["dst-port"] == "8729"


@pytest.mark.parametrize("action", ["drop", "reject"])
def test_s9_ipv6_past_a_hotspot_is_printed_and_not_changed(
    action: str,
) -> None:
    """Case S9: the firewall is a person's; the line that shuts it is printed."""
    router = ConsoleRouter()
    router.put("/ip/hotspot", interface="bridge", disabled="no")
    router.put("/ip/hotspot", interface="guests", disabled="yes")
    for interface, link_local in (
        ("bridge", "no"),
        ("bridge", "yes"),
        ("guests", "no"),
    ):
        router.put(
            "/ipv6/address",
            interface=interface,
            disabled="no",
            link_local=link_local,
        )

    pasted(script(tunnel(), HAND_BACK), router)
    told = [line for line in router.printed if "IPv6" in line]
    assert len(told) == 1
    assert told[0].endswith("action=reject in-interface=bridge")
    assert router.tables["/ipv6/firewall/filter"] == []

    router.put(
        "/ipv6/firewall/filter",
        chain="forward",
        action=action,
        in_interface="bridge",
        disabled="no",
    )
    router.printed.clear()
    pasted(script(tunnel(), HAND_BACK), router)
    assert not [line for line in router.printed if "IPv6" in line]


def test_ipv6_and_the_hubs_other_networks() -> None:
    one = hub(
        endpoint="[2001:db8::1]:51820",
        addresses=["10.8.0.1/16", "fd00::1/64", "fd01::1/64"],
    )
    router = pasted(
        script(tunnel(one, device(tunnelAddress="fd00::7")), HAND_BACK)
    )
    peer = only(router, "/interface/wireguard/peers")
    subset(
        peer,
        endpoint_address="2001:db8::1",
        endpoint_port="51820",
        allowed_address="fd00::/64,fd01::/64",
    )
    subset(only(router, "/ipv6/address"), address="fd00::7/64", advertise="no")
    subset(
        only(router, "/ipv6/route"), dst_address="fd01::/64", gateway=INTERFACE
    )
    subset(only(router, "/ipv6/firewall/filter"), src_address="fd00::1")
    assert (
        router.tables["/ip/address"]
        == router.tables["/ip/firewall/filter"]
        == []
    )


@pytest.mark.parametrize(
    ("one", "expected"),
    [
        (hub(), False),
        (hub(endpoint="vpn.example.net:51820"), True),
        (hub(nodeName=None), True),
        (hub(endpoint="[2001:db8::1]:51820"), False),
    ],
)
def test_e4_the_scheduler_is_for_endpoints_that_may_move(
    one: Hub, expected: bool
) -> None:
    router = pasted(script(tunnel(one), HAND_BACK))
    assert bool(router.tables["/system/scheduler"]) is expected
    assert (
        tunnel(one, reset_endpoint=not expected).reset_endpoint is not expected
    )


@pytest.mark.parametrize(
    ("handshake", "again"),
    [
        (None, True),
        ("0s", True),
        ("4m2s", True),
        ("1h", True),
        ("3m", False),
        ("25s", False),
    ],
)
def test_e4_the_scheduler_sets_the_endpoint_again_when_no_handshake_succeeds(
    handshake: str | None, again: bool
) -> None:
    router = pasted(
        script(tunnel(hub(endpoint="vpn.example.net:51820")), HAND_BACK)
    )
    peer = only(router, "/interface/wireguard/peers")
    peer.update({"last-handshake": handshake, "endpoint-address": "elsewhere"})
    task = only(router, "/system/scheduler")
    subset(task, interval="1m", start_time="startup", comment=MARKER)
    pasted([task["on-event"]], router)
    assert peer["endpoint-address"] == (
        "vpn.example.net" if again else "elsewhere"
    )


def test_a_hub_that_the_router_dials_already_is_said() -> None:
    router = ConsoleRouter()
    router.put("/interface/wireguard", name="wg-relay")
    router.put(
        "/interface/wireguard/peers", interface="wg-relay", public_key=HUB_KEY
    )
    router.paste(script(tunnel(), HAND_BACK))
    assert len(router.failed) == 1
    assert "already exists" in router.failed[0]
    assert (
        "another interface of this router dials the same hub already"
        in router.printed[-1]
    )


@pytest.mark.parametrize(
    ("one", "other", "words", "of_hub", "pending"),
    [
        (
            hub(endpoint=None),
            device(),
            ["hub-1", "spec.endpoint"],
            True,
            False,
        ),
        (hub(status={}), device(), ["hub-1", "status.publicKey"], True, True),
        (
            hub(),
            device(tunnelAddress=None),
            ["r1", "status.tunnelAddress", "operator"],
            False,
            True,
        ),
        (
            hub(),
            device(tunnelAddress="10.9.0.7"),
            ["10.9.0.7", "10.8.0.1/16"],
            False,
            False,
        ),
        (
            hub(),
            device(tunnelAddress="10.8.0.1"),
            ["10.8.0.1", "Hub's own"],
            False,
            False,
        ),
        (hub(), device(hubRef=None), ["r1", "spec.hubRef"], False, False),
    ],
)
def test_what_is_missing_is_named_with_its_field(
    one: Hub, other: Device, words: list[str], of_hub: bool, pending: bool
) -> None:
    with pytest.raises(NotReadyError) as caught:
        tunnel(one, other)
    assert (caught.value.of_hub, caught.value.pending) == (of_hub, pending)
    assert all(word in str(caught.value) for word in words)


def test_the_conditions_words_are_repeated() -> None:
    condition = {
        "type": "InterfaceUp",
        "status": "False",
        "reason": "NoWireGuard",
        "message": "load the module",
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }
    with pytest.raises(
        NotReadyError,
        match="InterfaceUp is False, NoWireGuard: load the module",
    ):
        tunnel(hub(status={"conditions": [condition]}))


@pytest.mark.parametrize(
    ("reason", "seen", "refused"),
    [
        ("TunnelAddressConflict", 1, True),
        ("TunnelAddressOutsideHub", 1, True),
        ("PeerNameTaken", 1, True),
        ("PoolExhausted", 1, True),
        ("TunnelAddressConflict", 0, False),
        ("HubNotFound", 1, False),
        ("Unreachable", 1, False),
    ],
)
def test_no_script_for_an_address_that_the_operator_says_is_anothers(
    reason: str, seen: int, refused: bool
) -> None:
    """E9: two routers with one address; what was said of an earlier spec, or before there was a Hub, is over."""
    said = {
        "type": "Ready",
        "status": "False",
        "reason": reason,
        "message": "spec.tunnelAddress 10.8.0.7 belongs to Peer r2 already",
        "observedGeneration": seen,
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }
    other = device(status={"conditions": [said]})
    other = other.model_copy(
        update={
            "metadata": other.metadata.model_copy(update={"generation": 1})
        }
    )
    if not refused:
        assert str(tunnel(other=other).address) == "10.8.0.7/16"
        return
    with pytest.raises(
        NotReadyError, match=f"r1 .*{reason}: .*belongs to Peer r2"
    ) as caught:
        tunnel(other=other)
    assert not caught.value.of_hub


def test_an_allocated_address_will_do() -> None:
    found = tunnel(
        other=device(tunnelAddress=None, status={"tunnelAddress": "10.8.3.4"})
    )
    assert str(found.address) == "10.8.3.4/16"
