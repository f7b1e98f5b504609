"""What a full store costs a request (case Z3): signed orders a second on `/relay/action`, with no nonce in the
store and with a million.

Two bridges serve the same objects, one with an empty store and one with a full one, and take turns of a
hundred requests, so that what else the machine does meets both alike. The order is open already, and all
requests bear the time at which it was signed first: nothing is written to the API server or to the router, so
what is measured is the way from the signature to the answer, and the store. The median rates of three rounds
are printed with their ratio, and only the ratio is asserted: within a tenth.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import os
import sqlite3
import statistics
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import httpx
import pytest

from bench.relay import Relay, running
from integration.bridge.caller import Caller
from integration.bridge.process import BridgeProcess
from local.settings import NAMESPACE

ACTION = "/relay/action"
NONCES = 1_000_000
A_DAY = 86_400_000
CHUNK = 20_000
"""Rows of a transaction: the bridge may write between two of them."""
ROUNDS = 3
TURNS = 12
REQUESTS = 100
SIDE_BY_SIDE = 8
WITHIN = 0.1


@pytest.mark.timeout(1200)
async def test_a_million_nonces_cost_a_request_nothing(tmp_path: Path) -> None:
    async with (
        running(tmp_path) as relay,
        _further_bridge(relay, tmp_path) as (
            http,
            store,
        ),
    ):
        await asyncio.to_thread(_fill, store)
        pair = (relay.http, http)
        await _rates(relay, pair)  # warms up
        rounds = [await _rates(relay, pair) for _ in range(ROUNDS)]

    empty, full = zip(*rounds, strict=True)
    ratio = statistics.median(full) / statistics.median(empty)
    print()
    for name, rates in (("no nonce", empty), (f"{NONCES:,} nonces", full)):
        shown = " ".join(f"{rate:7.1f}" for rate in rates)
        print(f"  {name:20} {shown} requests a second")
    print(f"  ratio of the medians {ratio:5.3f}")
    assert ratio == pytest.approx(1, abs=WITHIN)


@asynccontextmanager
async def _further_bridge(
    relay: Relay, folder: Path
) -> AsyncIterator[tuple[httpx.AsyncClient, Path]]:
    """Start another bridge beside that of the relay; give a client of it, and its store."""
    account = relay.plane.account_kubeconfig("cerebro-operator", NAMESPACE)
    environment = {
        **os.environ,
        **relay.settings.relay_environment(),
        "KUBECONFIG": str(account),
    }
    process = BridgeProcess(folder, environment, NAMESPACE)
    try:
        async with (
            Caller(process) as caller,
            httpx.AsyncClient(base_url=process.url, timeout=10.0) as http,
        ):
            await caller.until_complete()
            yield http, process.store
    finally:
        process.kill()


async def _rates(
    relay: Relay, bridges: tuple[httpx.AsyncClient, ...]
) -> tuple[float, ...]:
    """Let bridges take turns, and return the answers a second of each."""
    stamp = str(int(time.time() * 1000))
    for http in bridges:
        first = await _send(relay, http, stamp)
        assert first.status_code == 200, first.text

    seconds = [0.0 for _ in bridges]
    for _ in range(TURNS):
        for number, http in enumerate(bridges):
            start = time.monotonic()
            await _burst(relay, http, stamp)
            seconds[number] += time.monotonic() - start

    return tuple(TURNS * REQUESTS / each for each in seconds)


async def _burst(relay: Relay, http: httpx.AsyncClient, stamp: str) -> None:
    """Send the order many times."""
    turns = iter(range(REQUESTS))

    async def caller() -> None:
        for _ in turns:
            answer = await _send(relay, http, stamp)
            assert answer.status_code == 200, answer.text

    await asyncio.gather(*(caller() for _ in range(SIDE_BY_SIDE)))


async def _send(
    relay: Relay, http: httpx.AsyncClient, stamp: str
) -> httpx.Response:
    """Send the order, signed at that time, with a nonce of its own."""
    payload = {
        "pedidoId": "order-1",
        "mikId": relay.router,
        "ipAtual": "10.77.0.2",
        "macAtual": "AA:BB:CC:DD:EE:01",
    }
    action = {"action": "AUTHORIZE_BY_PEDIDO", "payload": payload}
    body = json.dumps(action).encode()
    nonce, digest = uuid.uuid4().hex, hashlib.sha256(body).hexdigest()
    message = "\n".join(("POST", ACTION, stamp, nonce, digest)).encode()
    secrets = relay.settings.secrets
    key = secrets["RELAY_API_SECRET"].encode()
    headers = {
        "x-relay-token": secrets["RELAY_TOKEN"],
        "x-relay-ts": stamp,
        "x-relay-nonce": nonce,
        "x-relay-signature": hmac.new(
            key, message, hashlib.sha256
        ).hexdigest(),
    }
    return await http.post(ACTION, content=body, headers=headers)


def _fill(store: Path) -> None:
    """Put nonces into the store of the running bridge."""
    until = int(time.time() * 1000) + A_DAY
    with closing(sqlite3.connect(store, timeout=60)) as db:
        for _ in range(NONCES // CHUNK):
            rows = [(uuid.uuid4().hex, until) for _ in range(CHUNK)]
            db.executemany("INSERT INTO nonces VALUES (?, ?)", rows)
            db.commit()
