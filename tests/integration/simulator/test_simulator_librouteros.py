"""librouteros, synchronous, as its users use it."""

import asyncio
from collections.abc import Callable

import librouteros
import pytest
from librouteros.exceptions import MultiTrapError, TrapError
from librouteros.query import And, Key, Or

from integration.simulator.conftest import MakeRouter
from simulator import Router


def open_api(
    router: Router, password: str = "secret", method: str = "plain"
) -> librouteros.Api:
    return librouteros.connect(
        "127.0.0.1",
        port=router.port,
        username="cerebro",
        password=password,
        encoding="utf-8",
        login_method=getattr(librouteros.login, method),
        timeout=60,
    )


async def with_api(
    router: Router, scenario: Callable[[librouteros.Api], None]
) -> None:
    """Run a synchronous scenario beside the router's event loop."""

    def run() -> None:
        api = open_api(router)
        try:
            scenario(api)
        finally:
            api.close()

    await asyncio.to_thread(run)


async def test_login(router: Router) -> None:
    with pytest.raises(
        TrapError, match=r"invalid user name or password \(6\)"
    ):
        await asyncio.to_thread(open_api, router, "wrong")
    await with_api(router, lambda api: None)


async def test_legacy_login(make_router: MakeRouter) -> None:
    router = await make_router(legacy_login=True, version="6.42")
    with pytest.raises(TrapError, match="cannot log in"):
        await asyncio.to_thread(open_api, router, "wrong", "token")
    api = await asyncio.to_thread(open_api, router, "secret", "token")
    assert await asyncio.to_thread(
        lambda: tuple(api.path("system", "identity"))
    ) == ({"name": "MikroTik"},)
    await asyncio.to_thread(api.close)


async def test_add_set_print_remove(router: Router) -> None:

    def scenario(api: librouteros.Api) -> None:
        bindings = api.path("ip", "hotspot", "ip-binding")
        row = bindings.add(
            **{
                "mac-address": "aa:bb:cc:00:00:01",
                "type": "bypassed",
                "comment": "café",
            }
        )
        bindings.update(**{".id": row, "disabled": True})
        assert tuple(
            bindings.select(".id", "mac-address", "comment", "disabled")
        ) == (
            {
                ".id": row,
                "mac-address": "AA:BB:CC:00:00:01",
                "comment": "café",
                "disabled": True,
            },
        )
        bindings.remove(row)
        assert tuple(bindings) == ()

    await with_api(router, scenario)


async def test_queries(router: Router) -> None:

    def scenario(api: librouteros.Api) -> None:
        entries = api.path("ip", "firewall", "address-list")
        for number in range(1, 6):
            entries.add(
                list=f"l{number % 2}",
                address=f"10.0.0.{number}",
                disabled=number == 5,
            )
        where = entries.select("address").where
        name, address, disabled = Key("list"), Key("address"), Key("disabled")

        def found(*query: object) -> list[str]:
            return [row["address"].rpartition(".")[2] for row in where(*query)]

        assert found(name == "l1") == ["1", "3", "5"]
        assert found(name != "l1") == ["2", "4"]
        assert found(name == "l1", disabled == False) == ["1", "3"]  # noqa: E712 - builds a query
        assert found(Or(address == "10.0.0.1", address == "10.0.0.2")) == [
            "1",
            "2",
        ]
        assert found(And(name == "l0", address > "10.0.0.2")) == ["4"]
        assert found(address.In("10.0.0.2", "10.0.0.5", "10.9.9.9")) == [
            "2",
            "5",
        ]

    await with_api(router, scenario)


async def test_traps(router: Router) -> None:

    def scenario(api: librouteros.Api) -> None:
        entries = api.path("ip", "firewall", "address-list")
        entries.add(list="a", address="10.0.0.1")
        with pytest.raises(TrapError) as caught:
            entries.add(list="a", address="10.0.0.1/32")
        assert (caught.value.message, caught.value.category) == (
            "failure: already have such entry",
            None,
        )
        with pytest.raises(TrapError, match="no such item"):
            entries.remove("*99")
        with pytest.raises(MultiTrapError) as several:
            tuple(api.path("ip", "nonsense"))
        assert [trap.message for trap in several.value.traps] == [
            "no such command or directory (nonsense)",
            "no such command prefix",
        ]
        assert len(tuple(entries)) == 1, "the connection is usable"

    await with_api(router, scenario)


async def test_big_words_and_many_rows(router: Router) -> None:

    def scenario(api: librouteros.Api) -> None:
        bindings = api.path("ip", "hotspot", "ip-binding")
        text = "x" * 0x200001
        bindings.add(address="10.0.0.1", comment=text)
        assert next(iter(bindings.select("comment")))["comment"] == text

    rows = router.tables["/ip/firewall/address-list"]
    for number in range(5000):
        rows.add(
            {"list": "a", "address": f"10.7.{number >> 8}.{number & 255}"}
        )
    await with_api(router, scenario)
    await with_api(
        router,
        lambda api: _expect(
            len(
                tuple(api.path("ip", "firewall", "address-list").select(".id"))
            ),
            5000,
        ),
    )


def _expect(actual: int, wanted: int) -> None:
    assert actual == wanted
