"""DeviceCommands on a router: what they bring, what is refused, and that each runs at most once."""

from __future__ import annotations

import secrets
from typing import Any

import pytest

from integration.agent.process import AgentProcess
from integration.agent.relay import Relay
from integration.agent.router import ACTIVE, HOST, Router

MAC, IP = "AA:BB:CC:00:0C:01", "10.5.50.31"


@pytest.fixture(scope="module")
def router(relay: Relay, agent: AgentProcess) -> Router:
    """A router that several tests share."""
    router = relay.router()
    relay.until_condition("Device", router.name, "Ready", "True")
    return router


def ask(relay: Relay, router: Router, **spec: Any) -> str:
    """Make a DeviceCommand; return its name."""
    name = f"command-{secrets.token_hex(4)}"
    relay.apply(
        {
            "kind": "DeviceCommand",
            "metadata": {"name": name},
            "spec": {
                "deviceRef": {"name": router.name},
                "timeout": "60s",
                **spec,
            },
        }
    )
    return name


def until_over(relay: Relay, name: str) -> dict[str, Any]:
    """Wait until a command is finished; return its status."""
    relay.until(
        lambda: relay.status(name, "DeviceCommand").get("finished"),
        f"DeviceCommand {name} is finished",
        lambda: relay.status(name, "DeviceCommand"),
    )
    return relay.status(name, "DeviceCommand")


def answer(relay: Relay, router: Router, **spec: Any) -> dict[str, Any]:
    """Run a command; return its status."""
    return until_over(relay, ask(relay, router, **spec))


def reason(status: dict[str, Any]) -> str:
    """Return the reason of both conditions."""
    reasons = {
        condition["type"]: condition["reason"]
        for condition in status["conditions"]
    }
    assert reasons["Complete"] == reasons["Ready"]
    return str(reasons["Complete"])


def test_c1_sentences_that_read_are_run_in_order(
    relay: Relay, router: Router
) -> None:
    status = answer(
        relay,
        router,
        sentences=[
            ["/system/identity/print"],
            ["/ip/arp/print", "=count-only="],
        ],
    )
    assert status["phase"] == "Succeeded", status
    identity, count = status["results"]
    assert identity["ok"]
    assert identity["rows"][0]["name"]
    assert count["rows"] == [{"ret": "0"}]
    assert status["startedAt"] <= status["finishedAt"]


def test_c1_what_is_not_among_the_readable_menus_is_denied_and_never_sent(
    relay: Relay, router: Router
) -> None:
    status = answer(relay, router, sentences=[["/system/reboot"]])
    assert (status["phase"], reason(status)) == ("Denied", "NotAllowed")
    assert "startedAt" not in status
    assert not any(
        "/system/reboot" in entry["sentence"] for entry in router.log()
    )


def test_c1_all_allows_writes_and_a_refusal_keeps_the_next_from_nothing(
    relay: Relay, agent: AgentProcess
) -> None:
    router = relay.router(device={"commands": "All"})
    status = answer(
        relay,
        router,
        sentences=[
            ["/ip/hotspot/ip-binding/add", "=mac-address=no-mac"],
            ["/system/identity/set", "=name=renamed"],
        ],
    )
    assert (status["phase"], reason(status)) == ("Failed", "SentenceRefused")
    refused, renamed = status["results"]
    assert not refused["ok"]
    assert refused["error"]["message"]
    assert renamed["ok"]
    assert router.row("/system/identity")["name"] == "renamed"


def test_d2_a_sentence_takes_a_value_of_its_secret_and_nobody_sees_it(
    relay: Relay, agent: AgentProcess
) -> None:
    router = relay.router(device={"commands": "All"})
    hidden = secrets.token_urlsafe(12)
    name = ask(
        relay,
        router,
        secretRef={"name": "values-of-a-command"},
        sentences=[
            [
                "/ip/hotspot/user/add",
                "=name=guest",
                "=password=$(secret:guest)",
                "=comment=$(secret:guest)",
            ],
            ["/ip/hotspot/user/print", "?name=guest"],
        ],
    )
    relay.secret(
        "values-of-a-command",
        "nobody",
        hidden,
        type="relay.cerebro.dev/command",
        annotations={"relay.cerebro.dev/device": router.name},
        data={"guest": hidden},
    )
    status = until_over(relay, name)
    assert status["phase"] == "Succeeded", status
    (user,) = status["results"][1]["rows"]
    assert (user["password"], user["comment"]) == ("***", "***")
    assert router.row("/ip/hotspot/user", name="guest")["password"] == hidden


def test_the_operations_of_a_hotspot(relay: Relay, router: Router) -> None:
    router.move_in(MAC, IP)
    router.login(MAC, "guest")
    active = answer(relay, router, operation="Active")
    assert active["results"][0]["rows"][0]["mac-address"] == MAC

    kicked = answer(
        relay, router, operation="Kick", parameters={"macAddress": MAC}
    )
    assert kicked["phase"] == "Succeeded", kicked
    menus = [row["menu"] for one in kicked["results"] for row in one["rows"]]
    assert menus == [ACTIVE, HOST]
    assert router.rows(ACTIVE, mac_address=MAC) == []

    pinged = answer(
        relay,
        router,
        operation="Ping",
        parameters={"address": IP, "count": "2"},
    )
    assert len(pinged["results"][0]["rows"]) == 2

    router.add("/ip/arp", address=IP, mac_address=MAC, interface="ether1")
    status = answer(relay, router, operation="Arp", parameters={"address": IP})
    assert [row["address"] for row in status["results"][0]["rows"]] == [IP]


def test_c2_commands_run_beside_access_and_are_interrupted_by_a_crash(
    relay: Relay, agent: AgentProcess
) -> None:
    """Two run, one waits, access is granted meanwhile. After a crash the two are not run again; the third one is."""
    mac, ip = "AA:BB:CC:00:0C:02", "10.5.50.32"
    router = relay.router(device={"api": {"timeout": "60s"}})
    router.move_in(mac, ip)
    router.faults(slow={"path": "/ip/arp", "verb": "print", "ms": 600_000})
    names = [
        ask(relay, router, operation="Arp", timeout="600s") for _ in range(3)
    ]

    def running() -> list[str]:
        return [
            name
            for name in names
            if relay.status(name, "DeviceCommand").get("phase") == "Running"
        ]

    relay.until(lambda: len(running()) == 2, "two commands run", running)
    relay.session("beside-commands", router.name, mac=mac, ip=ip)
    relay.until_active("beside-commands")
    interrupted = running()
    assert len(interrupted) == 2

    agent.end()
    router.faults()
    agent.start()
    for name in names:
        status = until_over(relay, name)
        expected = "Interrupted" if name in interrupted else "Succeeded"
        assert reason(status) == expected, status
