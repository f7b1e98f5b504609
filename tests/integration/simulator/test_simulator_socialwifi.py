"""RouterOS-api by socialwifi."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
import routeros_api
from routeros_api.exceptions import RouterOsApiCommunicationError

from integration.simulator.conftest import MakeRouter
from simulator import Router


def run(
    router: Router,
    scenario: Callable[[Any], None],
    password: str = "secret",
    plain: bool = True,
) -> None:
    """Log in, run the scenario with the API object, log out."""
    pool = routeros_api.RouterOsApiPool(
        "127.0.0.1",
        "cerebro",
        password,
        port=router.port,
        plaintext_login=plain,
    )
    try:
        scenario(pool.get_api())
    finally:
        pool.disconnect()


async def test_login(router: Router) -> None:
    with pytest.raises(
        RouterOsApiCommunicationError,
        match=r"invalid user name or password \(6\)",
    ):
        await asyncio.to_thread(run, router, lambda api: None, "wrong")
    await asyncio.to_thread(run, router, lambda api: None)


async def test_legacy_login(make_router: MakeRouter) -> None:
    router = await make_router(legacy_login=True, version="6.42")
    with pytest.raises(RouterOsApiCommunicationError, match="cannot log in"):
        await asyncio.to_thread(run, router, lambda api: None, "wrong", False)
    await asyncio.to_thread(run, router, lambda api: None, "secret", False)
    assert router.counters["logins"] == 1


async def test_add_set_print_remove(router: Router) -> None:

    def scenario(api: Any) -> None:
        bindings = api.get_resource("/ip/hotspot/ip-binding")
        bindings.add(
            mac_address="aa-bb-cc-00-00-01", type="bypassed", comment="c"
        )
        (row,) = bindings.get(mac_address="AA:BB:CC:00:00:01")
        assert (row["type"], row["comment"], row["disabled"]) == (
            "bypassed",
            "c",
            "false",
        )
        bindings.set(id=row["id"], comment="d")
        assert bindings.get(comment="c") == []
        bindings.remove(id=row["id"])

    await asyncio.to_thread(run, router, scenario)
    assert router.show("/ip/hotspot/ip-binding") == []


async def test_an_empty_print_from_before_7_18(
    make_router: MakeRouter,
) -> None:
    router = await make_router(version="7.17")
    await asyncio.to_thread(
        run,
        router,
        lambda api: _empty(api.get_resource("/ip/hotspot/ip-binding").get()),
    )


def _empty(rows: list[Any]) -> None:
    assert rows == []


async def test_commands_in_flight_at_once(make_router: MakeRouter) -> None:
    """It tags every command; here they overtake each other."""
    router = await make_router(reorder_commands=True, seed=3)

    def scenario(api: Any) -> None:
        groups = api.get_resource("/user/group")
        identity = api.get_resource("/system/identity")
        promises = [
            (groups, groups.get_async()),
            (identity, identity.get_async()),
        ] * 1
        promises += [
            (groups, groups.get_async(name="full")) for _ in range(20)
        ]
        counts = [len(promise.get()) for _, promise in promises]
        assert counts == [3, 1] + [1] * 20

    await asyncio.to_thread(run, router, scenario)


async def test_traps(router: Router) -> None:

    def scenario(api: Any) -> None:
        entries = api.get_resource("/ip/firewall/address-list")
        entries.add(list="a", address="10.0.0.1")
        with pytest.raises(
            RouterOsApiCommunicationError, match="already have such entry"
        ):
            entries.add(list="a", address="10.0.0.1")
        with pytest.raises(
            RouterOsApiCommunicationError, match="no such command"
        ):
            api.get_resource("/nonsense").get()
        assert len(entries.get()) == 1

    await asyncio.to_thread(run, router, scenario)
