"""A Hub's key and its Secret: an interface that has its key waits for no API server. The server is a few lines."""

from __future__ import annotations

import asyncio
from typing import cast

import pytest

from cerebro.agent.hubs import keys
from cerebro.agent.hubs.keys import HubKeys
from cerebro.kube.client.api import KubeApi
from cerebro.kube.client.errors import KubeError
from cerebro.kube.client.secrets import Secret
from cerebro.wireguard.keys import generate_private_key
from support.hub_node import Secrets, a_hub

OURS, OTHER = generate_private_key(), generate_private_key()
HUB = a_hub()


class Server(Secrets):
    """Has a Secret, and can hang or fail."""

    def __init__(self, private_key: str | None) -> None:
        super().__init__(private_key)
        self.answers = asyncio.Event()
        self.answers.set()
        self.error: KubeError | None = None
        self.told = 0
        self.keys = HubKeys(cast("KubeApi", self), self._tell)

    def _tell(self) -> None:
        self.told += 1

    async def get_secret(self, namespace: str, name: str) -> Secret:
        await self.answers.wait()
        if self.error is not None:
            raise self.error
        return await super().get_secret(namespace, name)


@pytest.fixture(autouse=True)
def _hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "_PATIENCE", 0.01)


async def test_an_interface_with_its_key_waits_for_no_api_server() -> None:
    """Case S8: with a server that never answers each pass has the key at once."""
    server = Server(OURS)
    server.answers.clear()
    for _ in range(3):
        key = await server.keys.settle(HUB, OURS)
        assert (key.private_key, key.trouble) == (OURS, None)
    server.keys.close()


async def test_e3_what_is_wrong_about_the_secret_is_said_at_the_first_pass_and_wakes_when_it_changes() -> (
    None
):
    server = Server(OTHER)
    key = await server.keys.settle(HUB, OURS)
    assert key.private_key == OURS
    assert key.trouble is not None
    assert key.trouble.reason == "KeyMismatch"
    server.private_key = OURS
    await server.keys.settle(HUB, OURS)
    await asyncio.sleep(0.01)
    assert server.told == 1
    assert (await server.keys.settle(HUB, OURS)).trouble is None
    await asyncio.sleep(0.01)
    assert server.told == 1


@pytest.mark.parametrize("how", ["hangs", "fails"])
async def test_e16_an_interface_that_was_made_anew_has_its_key_again_without_the_api_server(
    how: str,
) -> None:
    server = Server(OURS)
    await server.keys.settle(HUB, OURS)
    if how == "hangs":
        server.answers.clear()
    else:
        server.error = KubeError("away")
    key = await server.keys.settle(HUB, None)
    assert (key.private_key, key.trouble) == (OURS, None)


async def test_e3_the_secret_counts_for_an_interface_without_a_key() -> None:
    """As a person deleted it to have the Secret's."""
    server = Server(OTHER)
    await server.keys.settle(HUB, OURS)
    assert (await server.keys.settle(HUB, None)).private_key == OTHER


async def test_e3_no_key_is_made_up_while_the_secret_cannot_be_read() -> None:
    server = Server(OURS)
    server.error = KubeError("away")
    key = await server.keys.settle(HUB, None)
    assert key.private_key is None
    assert key.trouble is not None
    assert key.trouble.reason == "SecretNotRead"


async def test_e3_a_key_that_was_only_rehearsed_is_not_remembered() -> None:
    server = Server(None)
    await server.keys.settle(HUB, None, create=False)
    server.error = KubeError("away")
    key = await server.keys.settle(HUB, None, create=False)
    assert key.private_key is None
