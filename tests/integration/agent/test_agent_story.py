"""What `kubectl describe` tells of each object that an agent looks after: the Events, in the order of the story."""

from __future__ import annotations

import re

import httpx
import pytest

from integration.agent.process import AgentProcess
from integration.agent.relay import Relay, in_seconds
from integration.agent.router import BINDING, Router

A, B = "AA:BB:CC:00:57:01", "AA:BB:CC:00:57:02"
IP, IP2 = "10.5.50.71", "10.5.50.72"
EVENT = re.compile(r"^  (Normal|Warning) +(\w+) +\S+.*? {2,}(\S+) {2,}(.*)$")
AGENT = "relay.cerebro.dev/agent"


@pytest.fixture(scope="module")
def router(relay: Relay, agent: AgentProcess) -> Router:
    """A router that is compared every second, with two clients."""
    router = relay.router(device={"resyncInterval": "1s", "commands": "Read"})
    router.move_in(A, IP)
    router.move_in(B, IP2)
    relay.until_condition("Device", router.name, "Ready", "True")
    return router


def told(relay: Relay, kind: str, name: str) -> list[tuple[str, ...]]:
    """Return type, reason, source and message of the Events that `kubectl describe` shows."""
    text = relay.kubectl("describe", kind, name)
    part = text.partition("\nEvents:")[2]
    lines = [EVENT.match(line) for line in part.splitlines()]
    return [line.groups() for line in lines if line is not None]


def until_told(
    relay: Relay, kind: str, name: str, *reasons: str
) -> list[tuple[str, ...]]:
    """Wait until these reasons are told; return the Events."""

    def there() -> bool:
        shown = [event[1] for event in told(relay, kind, name)]
        return set(reasons) <= set(shown)

    relay.until(
        there,
        f"describe {kind} {name} tells {reasons}",
        lambda: relay.kubectl("describe", kind, name),
    )
    events = told(relay, kind, name)
    assert {source for _, _, source, _ in events} == {AGENT}
    return events


def test_a_session_tells_its_grant_and_its_end(
    relay: Relay, router: Router
) -> None:
    relay.session("short", router.name, A, IP, expiresAt=in_seconds(3))
    relay.until_finished("short")
    events = until_told(relay, "session", "short", "Granted", "Expired")
    assert len(events) == 2, "each once"
    messages = {reason: message for _, reason, _, message in events}
    assert f"Device {router.name}, until 20" in messages["Granted"]
    assert f"off the router of Device {router.name}" in messages["Expired"]


def test_a_revoke_and_a_refusal_have_their_words(
    relay: Relay, router: Router
) -> None:
    relay.session(
        "guest", router.name, hotspotUser={"name": "guest", "profile": "nope"}
    )
    ((of_type, reason, _, message),) = until_told(
        relay, "session", "guest", "Refused"
    )
    assert (of_type, reason) == ("Warning", "Refused")
    assert "input does not match any value of profile" in message
    relay.patch("session", "guest", revoked=True)
    until_told(relay, "session", "guest", "Refused", "Revoked")


def test_a_device_tells_that_its_router_answers_and_what_was_repaired(
    relay: Relay, router: Router
) -> None:
    relay.session("stays", router.name, B, IP2)
    relay.until_active("stays")
    router.remove(BINDING, router.row(BINDING, **{"mac-address": B})[".id"])
    router.lets_in(B)
    events = until_told(
        relay, "device", router.name, "Online", "DriftRepaired"
    )
    messages = {reason: message for _, reason, _, message in events}
    assert "RouterOS" in messages["Online"]
    assert "entries of 1 clients" in messages["DriftRepaired"]


def test_a_refused_login_is_told_and_that_it_is_over(
    relay: Relay, agent: AgentProcess
) -> None:
    router = relay.router(credentials=False, device={"resyncInterval": "1s"})
    user = router.address_book["user"]
    relay.secret(router.name, user, "not-the-password-of-it")
    until_told(relay, "device", router.name, "LoginRefused")
    relay.secret(router.name, user, router.address_book["password"])
    events = until_told(
        relay, "device", router.name, "LoginRefused", "Recovered"
    )
    assert "not-the-password" not in str(events)
    router.faults(refuse=True, cut=True)
    until_told(relay, "device", router.name, "Offline")
    router.faults()


def test_e11_the_agents_probes_name_their_checks(
    router: Router, agent: AgentProcess
) -> None:
    for path, checks in (
        ("/healthz", {"watcher", "loops"}),
        ("/livez", {"watcher", "loops"}),
        ("/readyz", {"watcher", "loops", "rights", "store"}),
    ):
        url = f"http://127.0.0.1:{agent.port}{path}"
        assert httpx.get(url).text == "ok"
        verbose = httpx.get(f"{url}?verbose").json()
        assert verbose["checks"] == dict.fromkeys(checks, "ok")
        assert (verbose["ok"], verbose["troubles"]) == (True, {})
        assert verbose["facts"]["devices"] >= 1


def test_a_command_tells_what_came_of_it(relay: Relay, router: Router) -> None:
    for name, sentence, reason in (
        ("reads", ["/system/identity/print"], "Succeeded"),
        ("writes", ["/system/reboot"], "Denied"),
    ):
        device = {"name": router.name}
        spec = {"deviceRef": device, "sentences": [sentence]}
        metadata = {"name": name}
        relay.apply(
            {"kind": "DeviceCommand", "metadata": metadata, "spec": spec}
        )
        ((_, _, _, message),) = until_told(
            relay, "devicecommand", name, reason
        )
        assert message.startswith(f"Device {router.name}: ")
