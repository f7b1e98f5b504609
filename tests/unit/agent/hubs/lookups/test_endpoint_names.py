"""Host names that Peers dial: what is found, what is said of those that are not. The name server is a few lines."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest

from cerebro.agent.hubs.lookups.endpoints import Endpoints
from cerebro.wireguard.model import Endpoint

ODD = "a..b.example:51820"
NAMED = "vpn.example:51820"
OLD = "vpn.example:99999"


class Names:
    """Host names with their addresses, and lookups of them; `asked` are those that were asked for."""

    def __init__(self) -> None:
        self.known: dict[str, str] = {}
        self.asked: list[str] = []
        self.told = 0
        self.endpoints = Endpoints(self._tell)

    def _tell(self) -> None:
        self.told += 1

    async def getaddrinfo(self, host: str, port: int, **_: Any) -> list[Any]:
        self.asked.append(host)
        host.encode("idna")  # as the real one does
        if host not in self.known:
            raise socket.gaierror(
                socket.EAI_NONAME, "Name or service not known"
            )
        return [
            (
                socket.AF_INET,
                socket.SOCK_DGRAM,
                17,
                "",
                (self.known[host], port),
            )
        ]

    async def look(
        self, *texts: str, refresh: bool = False
    ) -> tuple[dict[str, Endpoint], dict[str, str]]:
        """Look twice, the second time after all answers came; give what is known, and what is said of others."""
        self.endpoints.look_up(texts, refresh=refresh)
        others = asyncio.all_tasks() - {asyncio.current_task()}
        await asyncio.gather(*others)
        found, troubles = self.endpoints.look_up(texts, refresh=False)
        assert {one.reason for one in troubles.values()} <= {
            "EndpointNotResolved"
        }
        return found, {text: one.message for text, one in troubles.items()}


@pytest.fixture
async def names(monkeypatch: pytest.MonkeyPatch) -> Names:
    made = Names()
    monkeypatch.setattr(
        asyncio.get_running_loop(), "getaddrinfo", made.getaddrinfo
    )
    return made


async def test_what_is_no_name_is_said_of_it_and_not_asked_for_again(
    names: Names,
) -> None:
    """One bad object blocks no other: the pass goes on, nothing is raised, a good name is found."""
    names.known["vpn.example"] = "192.0.2.1"
    for _ in range(3):
        found, said = await names.look(NAMED, ODD, OLD, "192.0.2.9:51820")
    assert found == {
        NAMED: ("192.0.2.1", 51820),
        "192.0.2.9:51820": ("192.0.2.9", 51820),
    }
    assert said.keys() == {ODD, OLD}
    assert all(text in said[text] for text in said), "the message names it"
    assert "name servers" in said[ODD]
    assert "write host:port" in said[OLD]
    assert sorted(names.asked) == ["a..b.example", "vpn.example"]
    assert names.told == 2, (
        "the Hub's loop looks again once there is something to say"
    )


async def test_a_name_that_is_found_later_is_dialled_then_and_keeps_its_address(
    names: Names,
) -> None:
    found, said = await names.look(NAMED)
    assert not found
    assert said.keys() == {NAMED}
    names.known["vpn.example"] = "192.0.2.1"
    assert await names.look(NAMED, refresh=True) == (
        {NAMED: ("192.0.2.1", 51820)},
        {},
    )
    names.known.clear()
    assert await names.look(NAMED, refresh=True) == (
        {NAMED: ("192.0.2.1", 51820)},
        {},
    )
