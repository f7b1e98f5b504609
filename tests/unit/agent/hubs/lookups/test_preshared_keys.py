"""Preshared keys are read beside the passes: none waits for the API server, and the last key counts meanwhile."""

from __future__ import annotations

import asyncio
from typing import cast

import pytest

from cerebro.agent.hubs.lookups.preshared_keys import PresharedKeys
from cerebro.agent.hubs.model import PresharedKey
from cerebro.kube.client.api import KubeApi
from cerebro.kube.client.errors import KubeError, NotFound
from cerebro.kube.client.secrets import Secret
from cerebro.resources.naming import SECRET_TYPE_WIREGUARD
from cerebro.wireguard.keys import generate_private_key

ONE, TWO = generate_private_key(), generate_private_key()


class Server:
    """An API server with Secrets; `hangs` keeps it from answering, `error` is what it answers instead."""

    def __init__(self) -> None:
        self.secrets: dict[str, str] = {}
        self.error: KubeError | None = None
        self.hangs = asyncio.Event()
        self.hangs.set()
        self.asked = 0
        self.told = 0
        self.keys = PresharedKeys(cast("KubeApi", self), "ns", self._tell)

    def _tell(self) -> None:
        self.told += 1

    async def get_secret(self, namespace: str, name: str) -> Secret:
        self.asked += 1
        await self.hangs.wait()
        if self.error is not None:
            raise self.error
        if name not in self.secrets:
            raise NotFound("no such Secret")
        data = {"presharedKey": self.secrets[name].encode()}
        return Secret(namespace, name, "uid", SECRET_TYPE_WIREGUARD, {}, data)

    async def read(self, *, refresh: bool = False) -> PresharedKey:
        """Return what is known of the Secret `psk` once all answers have come."""
        self.keys.look_up({"psk"}, refresh=refresh)
        await self.settle()
        return self.keys.look_up({"psk"}, refresh=False)["psk"]

    async def settle(self) -> None:
        others = asyncio.all_tasks() - {asyncio.current_task()}
        await asyncio.wait(others) if others else None


@pytest.fixture
async def server() -> Server:
    return Server()


async def test_a_key_that_was_never_read_is_not_waited_for(
    server: Server,
) -> None:
    """Case S8: the pass goes on, and the Peer says that its key is not known."""
    server.secrets["psk"] = ONE
    server.hangs.clear()
    known = server.keys.look_up({"psk"}, refresh=True)["psk"]
    assert known.key is None
    assert known.trouble is not None
    assert (known.trouble.reason, known.trouble.looked) == (
        "SecretNotRead",
        False,
    )
    server.hangs.set()
    await server.settle()
    assert server.told == 1
    assert server.keys.look_up({"psk"}, refresh=False)["psk"].key == ONE


async def test_the_last_key_counts_while_the_api_server_hangs(
    server: Server,
) -> None:
    """Case S8; and no second question is asked while one is open."""
    server.secrets["psk"] = ONE
    assert (await server.read()).key == ONE
    server.secrets["psk"] = TWO
    server.hangs.clear()
    for _ in range(5):
        known = server.keys.look_up({"psk"}, refresh=True)["psk"]
        await asyncio.sleep(0)
        assert known == PresharedKey(ONE)
    assert server.asked == 2
    server.hangs.set()
    await server.settle()
    assert server.keys.look_up({"psk"}, refresh=False)["psk"].key == TWO
    assert server.told == 2


async def test_the_last_key_counts_while_the_api_server_is_away(
    server: Server,
) -> None:
    server.secrets["psk"] = ONE
    await server.read()
    server.error = KubeError("away")
    known = await server.read(refresh=True)
    assert known.key == ONE
    assert known.trouble is not None
    assert known.trouble.reason == "SecretNotRead"


async def test_an_error_in_other_words_wakes_nobody(server: Server) -> None:
    """A pass would ask again at once, and so on."""
    for words in ("away since 1 s", "away since 2 s", "away since 3 s"):
        server.error = KubeError(words)
        known = await server.read()
        assert known.trouble is not None
        assert "away" in known.trouble.message
    assert server.told == 1


async def test_a_secret_that_comes_later_is_read_without_a_resync(
    server: Server,
) -> None:
    known = await server.read()
    assert known.trouble is not None
    assert known.trouble.reason == "SecretNotUsable"
    server.secrets["psk"] = ONE
    await server.settle()
    assert (await server.read()).key == ONE


async def test_a_key_that_nobody_names_is_forgotten_and_reads_end(
    server: Server,
) -> None:
    server.secrets["psk"] = ONE
    await server.read()
    server.keys.look_up(set(), refresh=False)
    server.hangs.clear()
    assert server.keys.look_up({"psk"}, refresh=False)["psk"].key is None
    server.keys.close()
    await server.settle()
