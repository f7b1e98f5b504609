"""Peers in thousands: their keys and addresses, and the calls for all of them to the API server."""

from __future__ import annotations

import asyncio
import base64
import secrets
import ssl
from collections.abc import AsyncIterator, Coroutine, Iterable
from typing import Any

import httpx

from cerebro.kube.client.api import KubeApi
from cerebro.resources import PEER
from controlplane.server import ControlPlane
from integration.agent.relay import Object

_AT_ONCE = 16


def a_key() -> str:
    return base64.b64encode(secrets.token_bytes(32)).decode()


def address_of(number: int) -> str:
    high, low = divmod(number, 250)
    return f"10.64.{high + 1}.{low + 1}/32"


def condition(name: str) -> Object:
    words = {
        "status": "True",
        "reason": "Applied",
        "message": "the peer is on the interface",
    }
    return {
        "type": name,
        **words,
        "observedGeneration": 1,
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }


def says_applied(peer: Object) -> bool:
    conditions = peer.get("status", {}).get("conditions", [])
    return any(
        one["type"] == "Applied" and one["status"] == "True"
        for one in conditions
    )


async def at_once(calls: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Await them all, a few at once."""
    left = iter(calls)

    async def work() -> None:
        for call in left:
            await call

    await asyncio.gather(*(work() for _ in range(_AT_ONCE)))


async def all_peers(api: KubeApi, namespace: str) -> AsyncIterator[Object]:
    async for one in api.list_objects(PEER, namespace):
        yield one


def administrator(plane: ControlPlane) -> httpx.Client:
    trusted = ssl.create_default_context(cafile=str(plane.credentials.ca))
    headers = {"Authorization": f"Bearer {plane.credentials.admin_token}"}
    return httpx.Client(
        base_url=plane.url, verify=trusted, headers=headers, timeout=60
    )
