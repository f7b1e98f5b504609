"""go-routeros, from a small Go program beside this file."""

import asyncio
import json
from typing import Any

import pytest

from integration.simulator.conftest import MakeRouter
from integration.simulator.judges import go_client
from simulator import Router

DEADLINE = 300.0


TRIES = 3


async def run_go(
    router: Router, password: str = "secret"
) -> dict[str, Any] | None:
    """Run the program against a router; what it saw, None when an answer is lost.

    go-routeros registers a tag only when the bytes have left, and drops an answer that is there before
    (https://github.com/go-routeros/routeros/issues/33): so where it uses tags a round trip takes its time, and
    where the program was held up for even longer it waits in vain.
    """
    command = await asyncio.to_thread(go_client)
    process = await asyncio.create_subprocess_exec(
        *(*command, f"127.0.0.1:{router.port}", "cerebro", password),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    async with asyncio.timeout(DEADLINE):
        await process.stdout.readline()
        await router.set_faults({"latency_ms": 500})
        out, errors = await process.communicate(b"\n")
    if b"not done in time" in errors:
        return None
    assert process.returncode == 0, errors.decode()
    report: dict[str, Any] = json.loads(out)
    return report


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"reorder_commands": True, "seed": 5},
        {"tag_position": "end", "double_trap": False, "version": "7.17"},
    ],
    ids=["plain", "overtaking", "older"],
)
async def test_what_go_routeros_sees(
    make_router: MakeRouter, options: dict[str, Any]
) -> None:
    report = None
    for _ in range(TRIES):
        if report is None:
            router = await make_router(**options)
            report = await run_go(router)
    assert report is not None, "each time an answer was lost"
    assert report["wrong_login"] == "invalid user name or password (6)"
    assert report["identity"] == {"name": "MikroTik"}
    assert report["row"] == {
        ".id": report["added"],
        "type": "bypassed",
        "comment": "c",
    }
    assert report["duplicate"] == "failure: such client already exists"
    assert report["gone"] == "no such item"
    assert report["empty"] == 0
    assert report["big_word"] == 0x200001
    single = options.get("double_trap", True) is False
    first, last = (
        "no such command or directory (nonsense)",
        "no such command prefix",
    )
    assert report["unknown"] == (first if single else last), (
        "it keeps the last trap"
    )
    assert (report["pipelined"], report["mixed"]) == (200, 0)
    assert report["listened"] == ["10.0.0.9", "true"]
    assert report["listen_end"] == "interrupted"

    (binding,) = router.show("/ip/hotspot/ip-binding")
    assert (binding["address"], len(binding["comment"])) == (
        "10.0.0.1",
        0x200001,
    )
    rows = router.show("/ip/firewall/address-list")
    assert {row["address"] for row in rows} == {
        f"10.0.0.{number}" for number in range(200)
    }
    assert router.show("/ip/arp") == []
