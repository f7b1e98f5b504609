"""node-routeros, from a small JavaScript program beside this file.

It does not know `!empty` and fails at the first print without rows from 7.18
on, so it never asks for one here.
"""

import asyncio
import json
from typing import Any

import pytest

from integration.simulator.conftest import MakeRouter
from integration.simulator.judges import node_client

DEADLINE = 300.0


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"legacy_login": True, "version": "6.42"},
        {"tag_position": "end", "double_trap": False, "version": "7.17"},
    ],
    ids=["plain", "challenge", "older"],
)
async def test_what_node_routeros_sees(
    make_router: MakeRouter, options: dict[str, Any]
) -> None:
    router = await make_router(**options)
    command = await asyncio.to_thread(node_client)
    process = await asyncio.create_subprocess_exec(
        *(*command, str(router.port), "cerebro", "secret"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(DEADLINE):
        out, errors = await process.communicate()
    assert process.returncode == 0, errors.decode()
    report = json.loads(out)
    assert report["wrong_login"] == "Username or password is invalid", (
        "its own words for the trap of the login"
    )
    assert report["identity"] == report["usable"] == [{"name": "MikroTik"}]
    assert report["row"] == [
        {".id": report["added"], "type": "bypassed", "comment": "c"}
    ]
    assert report["duplicate"] == "failure: such client already exists"
    assert report["gone"] == "no such item"
    assert (report["pipelined"], report["mixed"]) == (100, 0)
    assert report["listened"] == ["10.0.0.9", "true"]

    assert router.show("/ip/hotspot/ip-binding") == []
    assert router.show("/ip/arp") == []
    rows = router.show("/ip/firewall/address-list")
    assert {row["address"] for row in rows} == {
        f"10.0.0.{number}" for number in range(100)
    }
