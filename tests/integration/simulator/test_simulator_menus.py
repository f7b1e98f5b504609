"""Verbs and menus over a raw connection."""

import pytest

from integration.simulator.conftest import Connect, MakeRouter
from integration.simulator.wire import Wire
from simulator import Router

BINDING = "/ip/hotspot/ip-binding"
LIST = "/ip/firewall/address-list"
MAC = "=mac-address=aa:bb:cc:00:00:0"


async def column(wire: Wire, path: str, name: str, *words: str) -> list[str]:
    rows = (
        await wire.ask(f"{path}/print", f"=.proplist=.id,{name}", *words)
    ).rows
    return [row.get(name, "-") for row in rows]


async def added(wire: Wire, path: str, *words: str) -> str:
    answer = await wire.ask(f"{path}/add", *words)
    assert answer.ret is not None, answer
    return answer.ret


@pytest.mark.parametrize(
    ("version", "empty"), [("7.21.5", True), ("7.18", True), ("7.17.2", False)]
)
async def test_an_empty_print(
    make_router: MakeRouter, connect: Connect, version: str, empty: bool
) -> None:
    """Point 11."""
    wire = await (await connect(await make_router(version=version))).login()
    answer = await wire.ask(f"{BINDING}/print")
    assert (answer.rows, answer.empty) == ([], empty)


async def test_unknown_menus_and_verbs(
    wire: Wire, make_router: MakeRouter, connect: Connect
) -> None:
    """Points 12, 13, 44."""
    prefix = (None, "no such command prefix")
    assert (await wire.ask("/ip/foo/print")).traps == [
        ("0", "no such command or directory (foo)"),
        prefix,
    ]
    assert (await wire.ask(f"{BINDING}/frobnicate")).traps == [
        ("0", "no such command")
    ]
    assert (await wire.ask(f"{BINDING}/unset", "=.id=*1")).traps == [
        ("0", "no such command")
    ]
    single = await (
        await connect(await make_router(double_trap=False, chr=True))
    ).login()
    assert (await single.ask("/ip/foo/print")).traps == [
        ("0", "no such command or directory (foo)")
    ]
    assert (await single.ask("/system/routerboard/print")).traps == [prefix]
    assert (await wire.ask("/system/routerboard/print")).rows[0][
        "serial-number"
    ] == "HEX0SIMULATED"
    assert (await wire.ask("ip address print")).traps == [
        ("0", "no such command or directory (ip)")
    ]


async def test_proplist(wire: Wire) -> None:
    """Point 14."""
    await added(wire, BINDING, f"{MAC}1", "=comment=x")
    await added(wire, BINDING, f"{MAC}2")
    assert (
        await wire.ask(f"{BINDING}/print", "=.proplist=comment,nonsense")
    ).rows == [{"comment": "x"}, {}]


async def test_attributes_come_in_a_seeded_order(
    make_router: MakeRouter, connect: Connect
) -> None:
    """Point 15."""
    orders = []
    for seed in (1, 1, 2):
        wire = await (await connect(await make_router(seed=seed))).login()
        orders.append(
            [list(row) for row in (await wire.ask("/user/group/print")).rows]
        )
    assert orders[0] == orders[1] != orders[2]


async def test_count_only(wire: Wire) -> None:
    """Point 19."""
    for number in range(3):
        await added(
            wire,
            LIST,
            "=list=a" if number else "=list=b",
            f"=address=10.0.0.{number}",
        )
    assert (await wire.ask(f"{LIST}/print", "=count-only=")).ret == "3"
    answer = await wire.ask(f"{LIST}/print", "=count-only=", "?list=a")
    assert (answer.ret, answer.rows, answer.empty) == ("2", [], False)


async def test_ids_are_not_reused_and_name_rows(wire: Wire) -> None:
    """Points 21, 22."""
    first = await added(wire, LIST, "=list=a", "=address=10.0.0.1")
    await wire.ask(f"{LIST}/remove", f"=numbers={first}")
    ids = [
        await added(wire, LIST, "=list=a", f"=address=10.0.0.{n}")
        for n in range(3)
    ]
    assert first not in ids
    assert all(i.startswith("*") and int(i[1:], 16) >= 0 for i in ids)
    await wire.ask(f"{LIST}/set", f"=.id={ids[0]},{ids[2]}", "=comment=c")
    assert await column(wire, LIST, "comment") == ["c", "-", "c"]
    await added(wire, "/ip/hotspot/user", "=name=u1")
    assert (
        await wire.ask("/ip/hotspot/user/set", "=.id=u1", "=comment=by name")
    ).traps == []
    assert (
        await wire.ask(f"{LIST}/remove", f"=.id={ids[1]},{ids[1]}")
    ).traps == [("0", "no such item")]
    assert (await wire.ask(f"{LIST}/set", "=.id=0", "=comment=x")).traps == [
        ("0", "no such item")
    ]
    assert (await wire.ask(f"{LIST}/remove", "=.id=")).traps == [
        ("0", "no such item")
    ]


async def test_old_spelling_of_no_such_item(
    make_router: MakeRouter, connect: Connect
) -> None:
    """Point 22."""
    wire = await (
        await connect(await make_router(old_no_such_item=True))
    ).login()
    assert (await wire.ask(f"{LIST}/remove", "=.id=*77")).traps == [
        ("0", "no such item (4)")
    ]


@pytest.mark.parametrize(
    ("words", "trap"),
    [
        ([f"{LIST}/add", "=address=1.1.1.1"], (None, "missing =list=")),
        (
            [f"{LIST}/add", "=list=a", "=address=1.1.1.1", "=colour=red"],
            (None, "unknown parameter colour"),
        ),
        (
            [f"{LIST}/add", "=list=a", "=address=1.1.1.1", "=dynamic=yes"],
            (None, "unknown parameter dynamic"),
        ),
        (
            [f"{LIST}/add", "=list=a", "=address=1.1.1.999"],
            ("1", "value of address expects range of ip addresses"),
        ),
        ([f"{LIST}/set", "=comment=x"], (None, "missing =.id=")),
        (
            [f"{BINDING}/add", f"{MAC}1", "=type=open"],
            ("1", "input does not match any value of type"),
        ),
        (
            [f"{BINDING}/add", f"{MAC}1", "=server=nowhere"],
            ("1", "input does not match any value of server"),
        ),
        (
            [f"{BINDING}/add", "=mac-address=phone"],
            ("1", "invalid value of mac-address, mac address required"),
        ),
        (
            [f"{BINDING}/add", f"{MAC}1", "=bypassed=yes"],
            (None, "unknown parameter bypassed"),
        ),
        (
            ["/user/add", "=name=x", "=group=nobody"],
            ("1", "input does not match any value of group"),
        ),
        (
            ["/system/identity/print", "=detail="],
            (None, "unknown parameter detail"),
        ),
        (["/ip/hotspot/user/unset", "=.id=*1"], ("0", "no such command")),
    ],
)
async def test_refusals(
    wire: Wire, words: list[str], trap: tuple[str | None, str]
) -> None:
    """Points 13, 23, 24."""
    assert (await wire.ask(*words)).traps == [trap]


async def test_a_removed_target_leaves_its_id(wire: Wire) -> None:
    """Point 24."""
    server = await added(
        wire, "/ip/hotspot", "=name=hs2", "=interface=ether5", "=disabled=no"
    )
    await added(wire, BINDING, f"{MAC}1", "=server=hs2")
    assert await column(wire, BINDING, "server", "?server=hs2") == ["hs2"]
    await wire.ask("/ip/hotspot/remove", f"=.id={server}")
    assert await column(wire, BINDING, "server") == [server]
    await added(wire, "/ip/hotspot", "=name=hs2", "=interface=ether5")
    assert await column(wire, BINDING, "server") == [server]


async def test_order_and_move(wire: Wire) -> None:
    """Point 25."""
    ids = {
        n: await added(wire, BINDING, f"{MAC}{n}", f"=comment={n}")
        for n in "123"
    }
    ids["4"] = await added(
        wire, BINDING, f"{MAC}4", "=comment=4", f"=place-before={ids['2']}"
    )

    async def order() -> str:
        return "".join(await column(wire, BINDING, "comment"))

    async def move(what: str, *words: str) -> str:
        numbers = ",".join(ids[n] for n in what)
        answer = await wire.ask(
            f"{BINDING}/move", f"=numbers={numbers}", *words
        )
        assert answer.traps == []
        return await order()

    assert await order() == "1423"
    assert await move("31", f"=destination={ids['4']}") == "3142"
    assert await move("1") == "3421"
    assert await move("3", "=destination=*999") == "4213"
    answer = await wire.ask(
        f"{BINDING}/move", f"=.id={ids['1']}", f"=destination={ids['1']}"
    )
    assert answer.traps == [
        (None, "failure: can not move object before itself")
    ]
    assert (await wire.ask(f"{BINDING}/move", "=.id=*999")).traps == [
        ("0", "no such item")
    ]
    assert (await wire.ask(f"{BINDING}/move")).traps == [
        (None, "missing =.id=")
    ]
    answer = await wire.ask(
        f"{BINDING}/set", f"=.id={ids['1']}", f"=place-before={ids['2']}"
    )
    assert answer.traps == [(None, "unknown parameter place-before")]


async def test_unset_and_comment(wire: Wire) -> None:
    """Point 26."""
    path = "/ip/hotspot/walled-garden/ip"
    row = await added(
        wire, path, "=src-address-list=paid", "=protocol=tcp", "=comment=x"
    )
    await wire.ask(f"{path}/unset", f"=.id={row}", "=value-name=protocol")
    await wire.ask(
        f"{path}/set", f"=.id={row}", "=!src-address-list=", "=comment="
    )
    (shown,) = (await wire.ask(f"{path}/print")).rows
    assert shown == {".id": row, "action": "accept", "disabled": "false"}
    await wire.ask(f"{path}/comment", f"=numbers={row}", "=comment=y")
    assert await column(wire, path, "comment") == ["y"]


async def test_defaults_and_booleans(wire: Wire) -> None:
    """Points 17, 27."""
    await added(
        wire,
        "/ip/hotspot/user",
        "=name=u",
        "=limit-uptime=01:30:00",
        "=disabled=yes",
    )
    (row,) = (await wire.ask("/ip/hotspot/user/print", "?name=u")).rows
    assert row["profile"] == "default"
    assert row["server"] == "all"
    assert row["disabled"] == "true"
    assert row["limit-uptime"] == "1h30m"
    assert "limit-bytes-in" not in row
    assert "comment" not in row


async def test_address_list_duplicates(wire: Wire) -> None:
    """Points 13, 29."""
    twin = ["=list=a", "=address=10.10.10.10"]
    await added(wire, LIST, *twin)
    refused = [(None, "failure: already have such entry")]
    assert (
        await wire.ask(f"{LIST}/add", "=list=a", "=address=10.10.10.10/32")
    ).traps == refused
    assert (
        await wire.ask(f"{LIST}/add", *twin, "=comment=other")
    ).traps == refused
    assert (
        await wire.ask(f"{LIST}/add", *twin, "=timeout=1h")
    ).traps == refused
    disabled = await added(wire, LIST, *twin, "=disabled=yes")
    assert (
        await wire.ask(f"{LIST}/enable", f"=.id={disabled}")
    ).traps == refused
    await added(wire, LIST, "=list=a", "=address=10.10.10.0/24")


async def test_address_list_timeouts(wire: Wire, router: Router) -> None:
    """Point 30."""
    row = await added(
        wire, LIST, "=list=a", "=address=10.0.0.1", "=timeout=1h"
    )
    (shown,) = (await wire.ask(f"{LIST}/print")).rows
    assert shown["dynamic"] == "true"
    answer = await wire.ask(f"{LIST}/add", "=list=a", "=address=10.0.0.1")
    assert answer.traps == [(None, "failure: already have such entry")]
    assert shown["timeout"] == "1h" or shown["timeout"].startswith("59m5")
    router.clock.advance(1800)
    assert (await column(wire, LIST, "timeout"))[0].startswith(
        "29m5"
    ) or await column(wire, LIST, "timeout") == ["30m"]
    await wire.ask(f"{LIST}/set", f"=.id={row}", "=timeout=2h")
    router.clock.advance(7000)
    assert len(await column(wire, LIST, "timeout")) == 1
    router.clock.advance(201)
    assert await column(wire, LIST, "timeout") == []
    await added(wire, LIST, "=list=a", "=address=10.0.0.1")
    (static,) = (await wire.ask(f"{LIST}/print")).rows
    assert static["dynamic"] == "false"
    assert "timeout" not in static


async def test_bindings(wire: Wire) -> None:
    """Point 31."""
    row = await added(wire, BINDING, f"{MAC}1")
    refused = [(None, "failure: such client already exists")]
    assert (
        await wire.ask(
            f"{BINDING}/add",
            "=mac-address=AA-BB-CC-00-00-01",
            "=type=bypassed",
        )
    ).traps == refused
    assert (await wire.ask(f"{BINDING}/print")).rows == [
        {".id": row, "mac-address": "AA:BB:CC:00:00:01", "disabled": "false"}
    ]
    await wire.ask(f"{BINDING}/set", f"=.id={row}", "=type=bypassed")
    (shown,) = (await wire.ask(f"{BINDING}/print")).rows
    assert (shown["type"], shown["bypassed"]) == ("bypassed", "true")
    await added(wire, BINDING, "=address=10.0.0.1-10.0.0.9")
    assert (
        await wire.ask(f"{BINDING}/add", "=address=10.0.0.1-10.0.0.9")
    ).traps == refused
    await added(wire, BINDING, f"{MAC}1", "=server=hotspot1")


async def test_active_login(wire: Wire, router: Router) -> None:
    """Point 34."""
    login = ["/ip/hotspot/active/login", "=user=u", "=password=p"]
    await added(wire, "/ip/hotspot/user", "=name=u", "=password=p")
    assert (await wire.ask(*login, "=ip=10.5.50.9")).traps == [
        (None, "unknown host IP 10.5.50.9")
    ]
    router.network.move_in("AA:BB:CC:00:00:01", "10.5.50.9")
    assert not router.network.packet("AA:BB:CC:00:00:01").forwarded
    answer = await wire.ask(
        "/ip/hotspot/active/login", "=user=u", "=password=x", "=ip=10.5.50.9"
    )
    assert answer.traps == [(None, "invalid username or password")]
    assert (await wire.ask(*login, "=ip=10.5.50.9")).traps == []
    assert await column(wire, "/ip/hotspot/active", "user") == ["u"]
    assert await column(wire, "/ip/hotspot/host", "authorized") == ["true"]
    assert router.network.packet("AA:BB:CC:00:00:01").forwarded


async def test_singletons(wire: Wire) -> None:
    """Point 46."""
    assert (await wire.ask("/system/identity/set", "=name=gate")).traps == []
    assert (await wire.ask("/system/identity/print")).rows == [
        {"name": "gate"}
    ]
    (row,) = (await wire.ask("/system/resource/print")).rows
    assert row["version"] == "7.21.5 (stable)"
    assert ".id" not in row


async def test_extra_keys(make_router: MakeRouter, connect: Connect) -> None:
    """Point 47."""
    wire = await (await connect(await make_router(extra_keys=True))).login()
    ids = [await added(wire, BINDING, f"{MAC}{n}") for n in (1, 2)]
    rows = (await wire.ask(f"{BINDING}/print")).rows
    assert [row[".nextid"] for row in rows] == [ids[1], "*FFFFFFFF"]
    assert all("about" in row for row in rows)


async def test_device_mode(make_router: MakeRouter, connect: Connect) -> None:
    """Point 43."""
    wire = await (
        await connect(await make_router(device_mode_hotspot=False))
    ).login()
    answer = await wire.ask(
        "/ip/hotspot/add", "=name=hs2", "=interface=ether2"
    )
    assert answer.traps == [(None, "failure: not allowed by device-mode")]


async def test_device_mode_and_license_are_told(
    make_router: MakeRouter, connect: Connect
) -> None:
    wire = await (
        await connect(
            await make_router(device_mode_hotspot=False, license_level="3")
        )
    ).login()
    (mode,) = (await wire.ask("/system/device-mode/print")).rows
    (license_row,) = (await wire.ask("/system/license/print")).rows
    assert (mode["mode"], mode["hotspot"]) == ("home", "false")
    assert license_row["nlevel"] == "3"


async def test_a_full_disk_takes_nothing_and_lets_go(
    make_router: MakeRouter, connect: Connect
) -> None:
    router = await make_router()
    wire = await (await connect(router)).login()
    row = await added(wire, LIST, "=list=a", "=address=10.0.0.1")
    router.options.disk_full = True
    (resource,) = (await wire.ask("/system/resource/print")).rows
    assert resource["free-hdd-space"] == "0"
    answer = await wire.ask(f"{LIST}/add", "=list=a", "=address=10.0.0.2")
    assert answer.traps == [(None, "failure: not enough space on disk")]
    assert (await wire.ask(f"{LIST}/remove", f"=.id={row}")).traps == []


async def test_a_licence_bounds_who_logs_in(
    make_router: MakeRouter, connect: Connect
) -> None:
    router = await make_router(license_level="3")
    wire = await (await connect(router)).login()
    for n in (1, 2):
        router.network.move_in(
            f"aa:bb:cc:00:00:0{n}", f"10.5.50.{n}", dhcp=True
        )
    await wire.ask("/ip/hotspot/user/add", "=name=u1", "=password=p")
    await wire.ask("/ip/hotspot/user/add", "=name=u2", "=password=p")
    login = ["/ip/hotspot/active/login", "=password=p"]
    first = await wire.ask(*login, "=user=u1", "=ip=10.5.50.1")
    second = await wire.ask(*login, "=user=u2", "=ip=10.5.50.2")
    assert first.traps == []
    assert second.traps == [(None, "session limit reached (1)")]


async def test_copy_from_and_make_binding(wire: Wire, router: Router) -> None:
    first = await added(
        wire, LIST, "=list=a", "=address=10.0.0.1", "=comment=c"
    )
    await added(wire, LIST, f"=copy-from={first}", "=address=10.0.0.2")
    assert await column(wire, LIST, "comment") == ["c", "c"]
    router.network.move_in("AA:BB:CC:00:00:01", "10.5.50.9", dhcp=True)
    (host,) = (await wire.ask("/ip/hotspot/host/print")).rows
    assert host["DHCP"] == "true"
    await wire.ask(
        "/ip/hotspot/host/make-binding",
        f"=numbers={host['.id']}",
        "=type=bypassed",
    )
    assert await column(wire, BINDING, "type") == ["bypassed"]
