"""IPv6 past the hotspot (rule B12, case S9): set-ups of a router, with what is told, what passes, and what our rule
changes.

Real: the client, sockets, the loop of a Device, simulated routers that announce addresses and filter IPv6 by their
own rows. Faked: the API server and the tunnel's packets, see `live_devices`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from cerebro.agent.devices.config.reading import (
    configuration_prints,
    tables_of,
)
from cerebro.routeros.client.command import Reply
from cerebro.routeros.client.connection import connect
from cerebro.routeros.client.session import RouterSession
from cerebro.routeros.configuration.desired import Configuration
from cerebro.routeros.configuration.ipv6 import ipv6_comment, ipv6_part
from cerebro.routeros.configuration.plan import configuration_plan
from cerebro.routeros.ipv6.leaks import ipv6_leaks, ipv6_to_shut
from cerebro.routeros.ipv6.reading import (
    Ipv6Reading,
    ipv6_prints,
    ipv6_reading,
)
from integration.device.managed import (
    a_router,
    has_device,
    has_hub,
    paste,
    plan,
    tunnel,
    warnings,
)
from simulator import Router, Simulator
from support.live_devices import live_devices
from support.tunnels import Carried

MAC, IP = "AA:BB:CC:00:00:01", "10.5.50.9"
FILTER = "/ipv6/firewall/filter"
OURS = ipv6_comment("main")

ANNOUNCED = "/ipv6 address add address=2001:db8:7::1/64 interface=bridge"
PRIVATE = "/ipv6 address add address=fd00::1/64 interface=bridge"
LIKE_MIKROTIKS = """
/interface list add name=LAN
/ipv6 firewall filter
add chain=forward action=accept connection-state=established,related,untracked
add chain=forward action=drop connection-state=invalid
add chain=forward action=drop src-address-list=bad_ipv6
add chain=forward action=drop protocol=icmpv6 hop-limit=equal:1
add chain=forward action=accept protocol=icmpv6
add chain=forward action=accept protocol=udp dst-port=500,4500
add chain=forward action=accept ipsec-policy=in,ipsec
add chain=forward action=drop in-interface-list=!LAN
"""
DHCP = """
/ipv6 pool add name=guests prefix=2001:db8:9::/64 prefix-length=64
/ipv6 dhcp-server add name=guests interface=bridge address-pool=guests
"""
IN_LAN = "/interface list member add list=LAN interface=bridge"
ON_VLAN = """
/interface vlan add name=vlan20 interface=bridge vlan-id=20
/ip hotspot set [find] interface=vlan20
"""

SET_UPS: dict[str, tuple[str, list[str]]] = {
    "no IPv6": ("/ipv6 settings set disable-ipv6=yes\n" + ANNOUNCED, []),
    "link-local only": ("", []),
    "announced on the hotspot's bridge": (ANNOUNCED, ["bridge"]),
    "a prefix written by hand": (
        "/ipv6 nd prefix add prefix=2001:db8:7::/64 interface=bridge",
        ["bridge"],
    ),
    "announced to others only": (
        "/ipv6 address add address=2001:db8:7::1/64 interface=ether5",
        [],
    ),
    "no router advertisements": (
        ANNOUNCED + "\n/ipv6 nd set [find] disabled=yes",
        [],
    ),
    "DHCPv6": (DHCP, ["bridge"]),
    "DHCPv6 for others": (DHCP.replace("=bridge", "=ether5"), []),
    "a hotspot on a VLAN of the bridge": (
        ON_VLAN + ANNOUNCED.replace("=bridge", "=vlan20"),
        ["vlan20"],
    ),
    "a hotspot on a VLAN, addresses on the bridge": (ON_VLAN + ANNOUNCED, []),
    "a bridge behind a VLAN": (
        "/interface vlan add name=vlan20 interface=ether2 vlan-id=20\n"
        "/interface bridge port add interface=vlan20 bridge=bridge\n"
        + ANNOUNCED.replace("=bridge", "=vlan20"),
        ["bridge"],
    ),
    "closed by a rule": (
        ANNOUNCED
        + "\n/ipv6 firewall filter add chain=forward in-interface=bridge action=drop",
        [],
    ),
    "a rule for the bridge's port, which stops nothing": (
        "/interface bridge port add interface=ether2 bridge=bridge\n"
        + ANNOUNCED
        + "\n/ipv6 firewall filter add chain=forward in-interface=ether2 action=drop",
        ["bridge"],
    ),
    "MikroTik's own rules, a guest bridge": (ANNOUNCED + LIKE_MIKROTIKS, []),
    "MikroTik's own rules, a bridge of the LAN": (
        ANNOUNCED + LIKE_MIKROTIKS + IN_LAN,
        ["bridge"],
    ),
    "a rule that accepts before the one that drops": (
        ANNOUNCED
        + "\n/ipv6 firewall filter add chain=forward in-interface=bridge action=accept"
        + "\n/ipv6 firewall filter add chain=forward action=drop",
        ["bridge"],
    ),
    "private addresses": (
        PRIVATE,
        [],
    ),
    "private addresses, translated": (
        PRIVATE
        + "\n/ipv6 firewall nat add chain=srcnat out-interface=ether1 action=masquerade",
        ["bridge"],
    ),
    "no hotspot that runs": (
        ANNOUNCED + "\n/ip hotspot set [find] disabled=yes",
        [],
    ),
}


@asynccontextmanager
async def set_up(kind: str) -> AsyncIterator[tuple[Router, RouterSession]]:
    """Run a router that is set up like that, with a phone behind its hotspot, and a connection to it."""
    async with Simulator() as simulator:
        router = await simulator.add_router("r")
        await paste(router, SET_UPS[kind][0])
        router.network.move_in(MAC, IP)
        login = [("cerebro", "secret")]
        async with await connect("127.0.0.1", router.port, login) as session:
            yield router, session


async def read(session: RouterSession) -> Ipv6Reading:
    return ipv6_reading(await session.run_all(ipv6_prints()))


async def shut(session: RouterSession, interfaces: tuple[str, ...]) -> int:
    """Have our rules for these interfaces on the router; return how many commands that took."""
    wanted = Configuration(tunnel(), (ipv6_part(interfaces, "main"),))
    replies = await session.run_all(configuration_prints(wanted))
    tables = tables_of(wanted, replies)
    assert not isinstance(tables, str)

    plan = configuration_plan(wanted, tables)
    ours = [each for each in plan.commands if each.path == FILTER]
    answers = await session.run_all(ours)
    assert all(isinstance(answer, Reply) for answer in answers)
    return len(ours)


def rules(router: Router) -> list[tuple[str | None, str]]:
    """Return the filter rules in their order: comment, and what each does."""
    return [
        (
            row.get("comment"),
            f"{row['chain']} {row.get('in-interface', '')} {row['action']}",
        )
        for row in router.show(FILTER)
    ]


def online(router: Router) -> bool:
    """Return whether the phone reaches the internet over IPv6."""
    return router.network.packet_ipv6(MAC).forwarded


@pytest.mark.parametrize("kind", SET_UPS)
async def test_s9_a_leak_is_named_and_nobody_is_alarmed_for_nothing(
    kind: str,
) -> None:
    """What is told is what happens to a packet."""
    leaks = SET_UPS[kind][1]
    async with set_up(kind) as (router, session):
        assert ipv6_leaks(await read(session)) == leaks
        if kind != "no hotspot that runs":
            assert online(router) is bool(leaks)


@pytest.mark.parametrize("kind", SET_UPS)
async def test_s9_our_rule_shuts_a_leak_and_nothing_else(kind: str) -> None:
    """It is written where no person's rule stops phones, and goes again without a trace."""
    leaks = SET_UPS[kind][1]
    async with set_up(kind) as (router, session):
        before = rules(router)
        ipv6 = router.network.ipv6
        elsewhere = {name: ipv6.passes(name) for name in ("ether5", "ether6")}

        interfaces = ipv6_to_shut(await read(session), OURS)
        assert interfaces is not None
        assert set(leaks) <= set(interfaces)
        assert await shut(session, interfaces) == len(interfaces)

        assert ipv6_leaks(await read(session)) == []
        if kind != "no hotspot that runs":
            assert not online(router)
        assert before == rules(router)[len(interfaces) :]
        assert elsewhere == {name: ipv6.passes(name) for name in elsewhere}

        # What is wanted does not hang on what was written.
        assert ipv6_to_shut(await read(session), OURS) == interfaces
        assert await shut(session, interfaces) == 0

        assert await shut(session, ()) == len(interfaces)
        assert rules(router) == before


async def test_s9_rules_of_two_hotspots_come_to_rest_in_front() -> None:
    async with set_up("announced on the hotspot's bridge") as (
        router,
        session,
    ):
        await paste(
            router,
            f"{FILTER} add chain=forward action=accept comment=mine\n"
            "/ip hotspot add name=second interface=vlan20\n"
            + ANNOUNCED.replace("=bridge", "=vlan20"),
        )
        assert ipv6_leaks(await read(session)) == ["bridge", "vlan20"]
        both = ("bridge", "vlan20")
        assert await shut(session, both) == 2
        assert await shut(session, both) == 0
        assert [comment for comment, _ in rules(router)][:2] == [OURS, OURS]
        assert ipv6_leaks(await read(session)) == []

        # Somebody puts a rule before them, and spoils another.
        await paste(
            router,
            f"{FILTER} add chain=forward action=accept place-before=[find where in-interface=bridge comment={OURS}]",
        )
        await paste(
            router,
            f"{FILTER} set [find where in-interface=vlan20 comment={OURS}] action=accept",
        )
        assert ipv6_leaks(await read(session)) == ["bridge", "vlan20"]
        assert await shut(session, both) == 3
        assert await shut(session, both) == 0
        assert ipv6_leaks(await read(session)) == []
        assert [comment for comment, _ in rules(router)][:2] == [OURS, OURS]


async def test_s9_manage_config_shuts_ipv6_and_keeps_it_shut() -> None:
    async with live_devices(Carried()) as live:
        router = await a_router(live, "r")
        await paste(router, ANNOUNCED + LIKE_MIKROTIKS + IN_LAN)
        router.network.move_in(MAC, IP)
        has_hub(live, router)
        has_device(live, router, manageConfig=False)
        await live.until_ready("Device", "r", "IPv6PastHotspot")
        assert "in-interface=bridge action=reject" in warnings(live, router)
        assert "manageConfig: true" in warnings(live, router)
        assert online(router)

        has_device(live, router)
        await live.until(lambda: not online(router), "IPv6 is shut")
        await live.until_ready("Device", "r", "Equal")
        assert "IPv6" not in warnings(live, router)
        assert rules(router)[0] == (OURS, "forward bridge reject")

        # Repaired like each row of ours.
        await paste(router, f"{FILTER} remove [find where comment={OURS}]")
        assert online(router)
        await live.until(lambda: not online(router), "IPv6 is shut again")

        # It goes with the field, and the leak is named again.
        has_device(live, router, manageConfig=False)
        await live.until(lambda: online(router), "the rule goes")
        await live.until_ready("Device", "r", "IPv6PastHotspot")


async def test_s9_the_plan_of_a_dry_run_shuts_ipv6_when_it_is_pasted() -> None:
    async with live_devices(Carried()) as live:
        router = await a_router(live, "r")
        await paste(router, ANNOUNCED + LIKE_MIKROTIKS + IN_LAN)
        router.network.move_in(MAC, IP)
        has_hub(live, router)
        has_device(live, router, dryRun=True)
        await live.until(lambda: OURS in str(plan(live, "r")), "a plan")
        assert online(router)

        await paste(router, "\n".join(plan(live, "r")))
        assert not online(router)
        assert rules(router)[0] == (OURS, "forward bridge reject")
