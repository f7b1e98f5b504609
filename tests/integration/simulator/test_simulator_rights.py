"""Users, groups, policies, sessions."""

from integration.simulator.conftest import Connect, MakeRouter
from integration.simulator.wire import Wire
from simulator import Router, SimulatorControl
from simulator.rights import POLICIES

DENIED = [(None, "not enough permissions (9)")]


async def limited(
    router: Router, control: SimulatorControl, connect: Connect, policy: str
) -> Wire:
    await control.add_row(
        router.name, "/user/group", name="some", policy=policy
    )
    await control.add_row(
        router.name, "/user", name="u", password="p", group="some"
    )
    return await (await connect(router)).login("u", "p")


async def test_policies_are_needed(
    router: Router, control: SimulatorControl, connect: Connect
) -> None:
    """Point 39."""
    wire = await limited(router, control, connect, "api,read")
    assert (await wire.ask("/ip/hotspot/host/print")).traps == []
    binding = ["/ip/hotspot/ip-binding/add", "=mac-address=aa:bb:cc:00:00:01"]
    assert (await wire.ask(*binding)).traps == DENIED
    assert (
        await wire.ask("/ping", "=address=1.1.1.1", "=count=1")
    ).traps == DENIED
    assert (await wire.ask("/system/reboot")).traps == DENIED
    await control.set_row(
        router.name, "/user/group", "some", policy="api,read,write"
    )
    wire = await (await connect(router)).login("u", "p")
    assert (await wire.ask(*binding)).traps == []
    assert (
        await wire.ask("/user/add", "=name=x", "=group=full")
    ).traps == DENIED


async def test_without_read_nothing_is_shown(
    router: Router, control: SimulatorControl, connect: Connect
) -> None:
    wire = await limited(router, control, connect, "api,write")
    assert (await wire.ask("/ip/hotspot/host/print")).traps == DENIED


async def test_without_api_there_is_no_login(
    router: Router, control: SimulatorControl, connect: Connect
) -> None:
    """Reference 1.6."""
    await control.add_row(
        router.name, "/user/group", name="noapi", policy="read,write"
    )
    await control.add_row(
        router.name, "/user", name="u", password="p", group="noapi"
    )
    await control.add_row(
        router.name,
        "/user",
        name="far",
        password="p",
        group="full",
        address="10.9.0.0/16",
    )
    wire = await connect(router)
    for user in ("u", "far"):
        answer = await wire.ask("/login", f"=name={user}", "=password=p")
        assert answer.traps == [(None, "access denied")]


async def test_secrets_are_masked(
    router: Router, control: SimulatorControl, connect: Connect
) -> None:
    """Point 38."""
    await control.add_row(
        router.name, "/ip/hotspot/user", name="guest", password="hidden"
    )
    wire = await limited(router, control, connect, "api,read")
    (row,) = (await wire.ask("/ip/hotspot/user/print", "?name=guest")).rows
    assert row["password"] == "*****"
    full = await (await connect(router)).login()
    (row,) = (await full.ask("/ip/hotspot/user/print", "?name=guest")).rows
    assert row["password"] == "hidden"
    assert all(
        "password" not in row for row in (await full.ask("/user/print")).rows
    )


async def test_group_policies_are_one_list_with_negations(wire: Wire) -> None:
    """Point 39."""
    groups = {
        row["name"]: row["policy"].split(",")
        for row in (await wire.ask("/user/group/print")).rows
    }
    for words in groups.values():
        names = [word.removeprefix("!") for word in words]
        assert set(names) == set(POLICIES)
        assert names != list(POLICIES), "the order is not fixed"
    assert "!write" in groups["read"]
    assert not any(word.startswith("!") for word in groups["full"])
    assert (await wire.ask("/user/group/remove", "=.id=full")).traps == [
        (None, "failure: group has some users")
    ]
    assert (
        await wire.ask("/user/add", "=name=cerebro", "=group=full")
    ).traps == [(None, "failure: user with the same name already exists")]


async def test_the_session_after_the_last_is_refused(
    make_router: MakeRouter, control: SimulatorControl, connect: Connect
) -> None:
    """Point 40."""
    router = await make_router()
    wires = [await (await connect(router)).login() for _ in range(20)]
    one_more = await connect(router)
    assert await one_more.texts() == ["closed"]
    rows = (await wires[0].ask("/ip/service/print", "?dynamic=true")).rows
    assert len(rows) == 20
    assert all(row["name"] == "api" for row in rows)
    assert len((await wires[0].ask("/user/active/print")).rows) == 20
    await wires[0].ask("/ip/service/set", "=.id=api", "=max-sessions=21")
    await (await connect(router)).login()


async def test_sessions_leave_and_can_be_ended(
    router: Router, wire: Wire, connect: Connect
) -> None:
    other = await (await connect(router)).login()
    rows = (
        await wire.ask("/user/active/print", "=.proplist=.id,via,name")
    ).rows
    assert [(row["via"], row["name"]) for row in rows] == [
        ("api", "cerebro")
    ] * 2
    await wire.ask("/user/active/remove", f"=.id={rows[1]['.id']}")
    assert await other.texts() == ["closed"]
    assert len((await wire.ask("/user/active/print")).rows) == 1
    assert len(router.sessions) == 1


async def test_before_7_19_there_are_no_dynamic_services(
    make_router: MakeRouter, connect: Connect
) -> None:
    """Point 40."""
    wire = await (await connect(await make_router(version="7.18.2"))).login()
    rows = (await wire.ask("/ip/service/print")).rows
    assert len(rows) == 8
    assert all("dynamic" not in row for row in rows)
