"""What is shown of a router that is reached already: an order opens it, a
reboot, a revoke, and a revoke on a router that does not print its connections;
then the same by the backend's feed: a trial that the clock ends, a payment, a
revoke.

It is the same story wherever Cérebro runs: on a local relay, or on a node.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from demo.stage import Stage

PHONE, PHONE_IP = "AA:BB:CC:00:00:01", "10.5.50.21"
GUEST, GUEST_IP = "AA:BB:CC:00:00:02", "10.5.50.22"
TABLET, TABLET_IP = "AA:BB:CC:00:00:03", "10.5.50.23"
TRIAL_SECONDS = 6
PAID_SECONDS = 600
NO_CONNECTIONS = {
    "path": "/ip/firewall/connection",
    "verb": "print",
    "message": "no such item (4)",
    "times": 1_000_000,
}
"""What a router does whose connections come and go while it prints them."""


def order(stage: Stage) -> None:
    """A paid order lets a phone in."""
    stage.chapter("An order is paid: the backend lets a phone in")
    stage.control("POST", "/clients", mac=PHONE, ip=PHONE_IP)
    stage.check(
        f"before the order a packet of {PHONE} is not forwarded",
        not stage.forwarded(PHONE),
    )
    stage.show_tables()
    stage.post(
        "/relay/device/hello",
        deviceToken="token-1",
        mikId=stage.router.name,
        ip=PHONE_IP,
        mac=PHONE,
    )
    answer = stage.post(
        "/relay/authorize-by-pedido",
        pedidoId="P-123",
        mikId=stage.router.name,
        deviceToken="token-1",
    )
    stage.check("the answer is 200", answer.status_code == 200, answer.text)
    stage.check(
        "the phone's packet is forwarded as soon as the answer is there",
        stage.forwarded(PHONE),
    )
    stage.check(
        "an established connection of the phone works",
        stage.forwarded(PHONE, "download"),
    )
    stage.show_tables()
    stage.kubectl("get", "sessions")
    stage.check(
        "the Session is Active", _phases(stage) == ["Active"], _phases(stage)
    )


def reboot(stage: Stage) -> None:
    """A reboot and a row that somebody removed are put right."""
    stage.chapter("The router reboots, and somebody removes an entry by hand")
    stage.control("POST", "/reboot", seconds=2)
    stage.tell(
        "the router is rebooting: its hosts and connections are lost, its configuration is not"
    )
    row = next(iter(stage.table("/ip/hotspot/ip-binding")))
    stage.control(
        "DELETE", f"/rows?path=/ip/hotspot/ip-binding&id={row['.id']}"
    )
    stage.tell("and meanwhile a person removed the ip-binding")
    stage.until(
        "after the reboot the entry is back on the router",
        lambda: bool(stage.table("/ip/hotspot/ip-binding")),
    )
    stage.until(
        "the phone's packet is forwarded again", lambda: stage.forwarded(PHONE)
    )
    stage.until("the Device is Ready again", lambda: ready(stage))
    stage.show_tables()


def revoke(stage: Stage) -> None:
    """The order is revoked."""
    stage.chapter("The order is revoked")
    stage.check(
        "the phone has a connection open", stage.forwarded(PHONE, "stream")
    )
    answer = stage.post(
        "/relay/revoke", mikId=stage.router.name, ip=PHONE_IP, mac=PHONE
    )
    stage.check("the answer is 200", answer.status_code == 200, answer.text)
    stage.check(
        "a new packet of the phone is not forwarded",
        not stage.forwarded(PHONE),
    )
    stage.check(
        "nor is one of the connection that was open",
        not stage.forwarded(PHONE, "stream"),
    )
    stage.show_tables()
    stage.check(
        "the Session is Revoked", _phases(stage) == ["Revoked"], _phases(stage)
    )


def revoke_unread(stage: Stage) -> None:
    """An order is revoked on a router that does not print its connections:
    the client is shut out all the same.
    """
    stage.chapter("A revoke while the router's connections cannot be read")
    stage.control("POST", "/clients", mac=TABLET, ip=TABLET_IP)
    stage.post(
        "/relay/authorize-by-pedido",
        pedidoId="P-124",
        mikId=stage.router.name,
        deviceToken="token-3",
        ipAtual=TABLET_IP,
        macAtual=TABLET,
    )
    stage.check(
        "the tablet has a connection open", stage.forwarded(TABLET, "stream")
    )
    stage.control("POST", "/faults", trap=NO_CONNECTIONS)
    stage.tell("from now on the router refuses to print its connections")
    with ThreadPoolExecutor(1) as backend:
        asked = backend.submit(
            stage.post,
            "/relay/revoke",
            mikId=stage.router.name,
            ip=TABLET_IP,
            mac=TABLET,
        )
        stage.until(
            "a new packet of the tablet is not forwarded, while the revoke still waits for its answer",
            lambda: not stage.forwarded(TABLET) and not asked.done(),
        )
        answer = asked.result()
    stage.check(
        "the answer does not claim that it is over: 503, it goes on",
        answer.status_code == 503,
        answer.text,
    )
    stage.until(
        "the Session says why: Enforced is False, ConnectionsNotRead",
        lambda: _enforced(stage, "P-124") == ("False", "ConnectionsNotRead"),
        lambda: _enforced(stage, "P-124"),
    )
    stage.show_tables()
    stage.control("POST", "/faults")
    stage.tell("the router prints its connections again")
    stage.until(
        "a packet of the connection that was open is not forwarded either",
        lambda: not stage.forwarded(TABLET, "stream"),
    )
    stage.until(
        "the Session says that the end is enforced",
        lambda: _enforced(stage, "P-124")[0] == "True",
        lambda: _enforced(stage, "P-124"),
    )


def trial(stage: Stage) -> None:
    """A trial that the feed asks for ends by the clock."""
    stage.chapter(
        f"The feed asks for a trial of {TRIAL_SECONDS} seconds, which the clock ends"
    )
    stage.control("POST", "/clients", mac=GUEST, ip=GUEST_IP)
    stage.offer(
        "evt-1",
        "TRIAL_REQUESTED",
        pedidoId="trial:7f3e",
        mikId=stage.router.name,
        ip=GUEST_IP,
        mac=GUEST,
        trialMinutes=TRIAL_SECONDS / 60,
    )
    stage.until(
        "the guest's packet is forwarded", lambda: stage.forwarded(GUEST)
    )
    stage.acknowledged("evt-1")
    stage.until(
        "the guest's packet is no longer forwarded: its time was over",
        lambda: not stage.forwarded(GUEST),
    )
    stage.until(
        "the Session says so",
        lambda: "Expired" in _phases(stage),
        lambda: _phases(stage),
    )
    stage.check(
        "nothing of ours is left on the router",
        not stage.table("/ip/hotspot/ip-binding"),
    )
    stage.kubectl("get", "sessions,devices")


def payment(stage: Stage) -> None:
    """A payment that the feed confirms lets in the phone that says hello."""
    stage.chapter("The feed confirms a payment; the guest's portal says hello")
    stage.offer(
        "evt-2",
        "PAYMENT_CONFIRMED",
        sid="token-2",
        pedidoId="P-125",
        expiresAt=int((time.time() + PAID_SECONDS) * 1000),
    )
    stage.acknowledged("evt-2")
    stage.check(
        "the payment is stored, and nobody is let in yet: its phone is not known",
        not stage.forwarded(GUEST),
    )
    stage.post(
        "/relay/device/hello",
        deviceToken="token-2",
        mikId=stage.router.name,
        ip=GUEST_IP,
        mac=GUEST,
    )
    stage.until(
        "the guest's packet is forwarded", lambda: stage.forwarded(GUEST)
    )
    stage.kubectl("get", "sessions")


def revoked_by_feed(stage: Stage) -> None:
    """A revoke of the feed shuts the guest out."""
    stage.chapter("The feed revokes the guest's access")
    stage.offer(
        "evt-3",
        "REVOKE_REQUESTED",
        mikId=stage.router.name,
        ip=GUEST_IP,
        mac=GUEST,
    )
    stage.acknowledged("evt-3")
    stage.check(
        "the guest's packet is not forwarded", not stage.forwarded(GUEST)
    )
    stage.check(
        "the Session of the payment is Revoked",
        _phases(stage, "P-125") == ["Revoked"],
        _phases(stage, "P-125"),
    )
    stage.check(
        "nothing of ours is left on the router",
        not stage.table("/ip/hotspot/ip-binding"),
    )


def ready(stage: Stage, kind: str = "device", name: str | None = None) -> bool:
    """Return whether an object, the router's Device by default, is Ready."""
    conditions = (
        stage.get(kind, name or stage.router.name)
        .get("status", {})
        .get("conditions", [])
    )
    return any(
        one["type"] == "Ready" and one["status"] == "True"
        for one in conditions
    )


def _phases(stage: Stage, order_id: str | None = None) -> list[str]:
    return [
        session.get("status", {}).get("phase", "")
        for session in stage.sessions()
        if order_id in (None, session["spec"].get("orderID"))
    ]


def _enforced(stage: Stage, order: str) -> tuple[str, str]:
    """Return status and reason of the condition Enforced of an order's
    Session; empty while it has none.
    """
    conditions = [
        condition
        for session in stage.sessions()
        if session["spec"].get("orderID") == order
        for condition in session.get("status", {}).get("conditions", [])
        if condition["type"] == "Enforced"
    ]
    if not conditions:
        return "", ""
    return conditions[0]["status"], conditions[0]["reason"]


CHAPTERS: tuple[Callable[[Stage], None], ...] = (
    order,
    reboot,
    revoke,
    revoke_unread,
    trial,
    payment,
    revoked_by_feed,
)
