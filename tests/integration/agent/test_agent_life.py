"""The whole life of a Session on a router: granted, ended by the clock or by a word, changed, put right."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from integration.agent.process import AgentProcess
from integration.agent.relay import (
    Relay,
    a_session,
    at,
    in_seconds,
    not_status,
)
from integration.agent.router import (
    BINDING,
    CONNECTION,
    COOKIE,
    HOST,
    LIST,
    Router,
)

MAC, IP = "AA:BB:CC:00:01:01", "10.5.50.11"
OTHER_MAC, OTHER_IP = "AA:BB:CC:00:01:02", "10.5.50.12"

pytestmark = pytest.mark.usefixtures("agent")


@pytest.fixture(scope="module")
def router(relay: Relay, agent: AgentProcess) -> Router:
    """A router that several tests share, each with clients of its own."""
    router = relay.router()
    relay.until_condition("Device", router.name, "Ready", "True")
    return router


def marker_end(row: dict[str, str]) -> str:
    return row["comment"].rpartition(":")[2]


def test_a_session_lives_and_ends_and_what_a_person_wrote_stays(
    relay: Relay,
) -> None:
    """A whole life changes nothing but statuses on a Session and a Device that a person made."""
    by_hand = {
        "annotations": {"example.com/note": "mine"},
        "labels": {"team": "field"},
        "finalizers": ["x.io/y"],
    }
    router = relay.router(device={"resyncInterval": "1s"}, metadata=by_hand)
    router.move_in(MAC, IP)
    assert not router.forwards(MAC)
    end = in_seconds(3600)
    relay.apply(
        a_session(
            "life",
            router.name,
            MAC,
            IP,
            orderID="P-1 ção",
            expiresAt=end,
            metadata=by_hand,
        )
    )
    session, device = (
        not_status(relay.get("Session", "life")),
        not_status(relay.get("Device", router.name)),
    )

    router.lets_in(MAC)
    status = relay.until_active("life")
    assert status["applied"] == {"macAddress": MAC, "ipAddress": IP}
    assert at(status["expiresAt"]) == at(end)
    assert "authorizedAt" in status
    assert relay.condition("Session", "life", "Ready")["status"] == "True"
    binding, listed = (
        router.row(BINDING, mac_address=MAC),
        router.row(LIST, address=IP),
    )
    assert binding["comment"] == listed["comment"]
    assert binding["comment"].startswith("cerebro:main:")
    assert marker_end(binding) == str(int(at(end).timestamp()))
    assert "P-1" not in binding["comment"]

    relay.kubectl(
        "patch",
        "session",
        "life",
        "--subresource=status",
        "--type=merge",
        "-p",
        '{"status":{}}',
    )
    relay.until_resynced(router)
    router.reboot(0.2)
    router.lets_in(MAC)
    assert not_status(relay.get("Session", "life")) == session
    revoked = {**session, "spec": {**session["spec"], "revoked": True}}
    relay.kubectl(
        "patch",
        "session",
        "life",
        "--type=merge",
        "-p",
        '{"spec":{"revoked":true}}',
    )
    router.cuts_off(MAC)
    status = relay.until_finished("life")
    assert status["phase"] == "Revoked"
    assert "applied" not in status
    after = not_status(relay.get("Session", "life"))
    assert {**after["metadata"], "managedFields": None, "generation": 0} == {
        **session["metadata"],
        "managedFields": None,
        "generation": 0,
    }
    assert after["spec"] == revoked["spec"]
    assert {
        entry["manager"] for entry in after["metadata"]["managedFields"]
    } <= {
        "kubectl-client-side-apply",
        "kubectl-patch",
    }
    assert not_status(relay.get("Device", router.name)) == device
    for kind, name in (("session", "life"), ("device", router.name)):
        relay.kubectl(
            "patch",
            kind,
            name,
            "--type=merge",
            "-p",
            '{"metadata":{"finalizers":null}}',
        )


def test_a5_the_end_comes_by_expires_at_and_cuts_what_is_running(
    relay: Relay, router: Router
) -> None:
    """B1: at the end connections, logins and cookies go too; an established flow is cut."""
    mac, ip = "AA:BB:CC:00:02:01", "10.5.50.21"
    router.move_in(mac, ip)
    relay.session("ends-at", router.name, mac, ip, expiresAt=in_seconds(3600))
    router.lets_in(mac)
    assert router.forwards(mac, flow="video")
    router.login(mac, "guest")
    assert router.rows(COOKIE, mac_address=mac)
    assert relay.until_active("ends-at")["phase"] == "Active"
    relay.patch("session", "ends-at", expiresAt=in_seconds(3))
    router.cuts_off(mac, flow="video")
    router.cuts_off(mac)
    status = relay.until_finished("ends-at")
    assert status["phase"] == "Expired"
    assert relay.condition("Session", "ends-at", "Ready")["status"] == "True"
    assert not router.rows(BINDING, mac_address=mac)
    assert not router.rows(LIST, address=ip)
    assert not router.rows(COOKIE, mac_address=mac)
    assert not [
        row
        for row in router.rows(CONNECTION)
        if row["src-address"].startswith(ip)
    ]
    assert not router.forwards(mac)


def test_a5_a_duration_counts_from_the_grant(
    relay: Relay, router: Router
) -> None:
    mac, ip = "AA:BB:CC:00:02:02", "10.5.50.22"
    router.move_in(mac, ip)
    with ThreadPoolExecutor(1) as beside:
        # The client sends already when the order comes: its seconds may be over before this process looks.
        let_in = beside.submit(router.lets_in, mac)
        relay.until(
            lambda: router.rows(HOST, mac_address=mac),
            "a packet of the client",
        )
        relay.session(
            "lasts", router.name, mac, ip, type="Trial", duration="4s"
        )
        let_in.result()
    router.cuts_off(mac)
    status = relay.until_finished("lasts")
    assert status["phase"] == "Expired"
    assert (
        at(status["expiresAt"]) - at(status["authorizedAt"])
    ).total_seconds() == 4
    assert not router.forwards(mac)


def test_a1_revoked_false_again_gives_access_with_the_original_end(
    relay: Relay, router: Router
) -> None:
    mac, ip = "AA:BB:CC:00:02:03", "10.5.50.23"
    router.move_in(mac, ip)
    relay.session("on-and-off", router.name, mac, ip, duration="1h")
    router.lets_in(mac)
    first = relay.until_active("on-and-off")
    relay.patch("session", "on-and-off", revoked=True)
    router.cuts_off(mac)
    relay.until_finished("on-and-off")
    relay.patch("session", "on-and-off", revoked=False)
    relay.take_up_again("on-and-off")
    router.lets_in(mac)
    assert router.forwards(mac, flow="second call")
    again = relay.until_active("on-and-off")
    assert (again["authorizedAt"], again["expiresAt"]) == (
        first["authorizedAt"],
        first["expiresAt"],
    )
    assert "finishedAt" not in again
    relay.patch("session", "on-and-off", revoked=True)
    router.cuts_off(mac, flow="second call")
    relay.until_finished("on-and-off")


def test_a_revoke_that_is_taken_back_at_once_ends_in_access(
    relay: Relay, router: Router
) -> None:
    mac, ip = "AA:BB:CC:00:02:04", "10.5.50.24"
    router.move_in(mac, ip)
    relay.session("wavering", router.name, mac, ip)
    router.lets_in(mac)
    for revoked in (True, False, True, False):
        relay.patch("session", "wavering", revoked=revoked)

    def has_access() -> bool:
        session = relay.get("Session", "wavering")
        status = session.get("status") or {}
        if status.get(
            "finished"
        ):  # said of one of the revokes, perhaps after all changes were made
            relay.take_up_again("wavering")
        observed = (
            status.get("observedGeneration")
            == session["metadata"]["generation"]
        )
        return bool(
            observed
            and status.get("phase") == "Active"
            and router.forwards(mac)
        )

    relay.until(
        has_access, "access after all", lambda: relay.status("wavering")
    )


def test_a_change_of_client_moves_the_entries(
    relay: Relay, router: Router
) -> None:
    """B2: another MAC takes over, the first one is cut off; another address moves the list row."""
    mac, ip = "AA:BB:CC:00:02:05", "10.5.50.25"
    new_mac, new_ip = "AA:BB:CC:00:02:06", "10.5.50.26"
    for client in ((mac, ip), (new_mac, new_ip)):
        router.move_in(*client)
    relay.session("moves", router.name, mac, ip, duration="1h")
    router.lets_in(mac)
    first = relay.until_active("moves")
    assert router.forwards(mac, flow="call")

    relay.patch(
        "session", "moves", client={"macAddress": new_mac, "ipAddress": new_ip}
    )
    router.lets_in(new_mac)
    router.cuts_off(mac)
    router.cuts_off(mac, flow="call")
    status = relay.until_active("moves")
    assert status["applied"] == {"macAddress": new_mac, "ipAddress": new_ip}
    assert status["expiresAt"] == first["expiresAt"]
    assert not router.rows(BINDING, mac_address=mac)
    assert not router.rows(LIST, address=ip)

    moved_ip = "10.5.50.27"
    router.remove(HOST, router.row(HOST, mac_address=new_mac)[".id"])
    router.move_in(new_mac, moved_ip, dhcp=True)
    relay.patch(
        "session",
        "moves",
        client={"macAddress": new_mac, "ipAddress": moved_ip},
    )
    router.lets_in(new_mac)
    relay.until(
        lambda: router.rows(LIST, address=moved_ip),
        "the list row follows",
        router.access,
    )
    relay.until(
        lambda: not router.rows(LIST, address=new_ip),
        "the old row goes",
        router.access,
    )


def test_drift_is_put_right_at_resync(relay: Relay) -> None:
    """An entry that was removed by hand comes back, one that was changed by hand is as it was."""
    router = relay.router(device={"resyncInterval": "1s"})
    router.move_in(OTHER_MAC, OTHER_IP)
    relay.session("drifts", router.name, OTHER_MAC, OTHER_IP)
    router.lets_in(OTHER_MAC)
    relay.until_active("drifts")
    before = router.access()

    router.faults(hang=True)  # the agent is not to look before we have
    for path in (BINDING, LIST):
        for row in router.rows(path):
            router.remove(path, row[".id"])
    for host in router.rows(HOST, mac_address=OTHER_MAC):
        router.remove(HOST, host[".id"])
    assert not router.forwards(OTHER_MAC)
    router.faults()
    router.lets_in(OTHER_MAC)
    relay.until(
        lambda: _without_ids(router.access()) == _without_ids(before),
        "both rows back",
        router.access,
    )

    binding = router.row(BINDING)[".id"]
    router.faults(hang=True)
    router.change(BINDING, binding, type="blocked")
    router.change(LIST, router.row(LIST)[".id"], disabled="yes")
    for host in router.rows(HOST, mac_address=OTHER_MAC):
        router.remove(HOST, host[".id"])
    router.faults()
    router.lets_in(OTHER_MAC)
    relay.until(
        lambda: _without_ids(router.access()) == _without_ids(before),
        "both rows as they were",
        router.access,
    )
    assert router.row(BINDING)[".id"] == binding


def _without_ids(access: dict[str, list[dict[str, str]]]) -> object:
    kept = (
        "mac-address",
        "address",
        "list",
        "type",
        "server",
        "disabled",
        "comment",
    )
    return {
        path: [{name: row.get(name) for name in kept} for row in rows]
        for path, rows in access.items()
    }
