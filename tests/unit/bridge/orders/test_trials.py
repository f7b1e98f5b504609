"""The limit of trials (A12)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from cerebro.bridge.errors import ApiError
from cerebro.bridge.intents import Client
from cerebro.bridge.orders.decide import Known
from cerebro.bridge.orders.trials import TrialLimit, trials_of
from cerebro.resources import Session, format_time
from support.orders import NAMESPACE, NOW, PHONE, at, device, order

DAY = 86400


def trial(
    name: str = "t", *, made: float = 0, kind: str = "Trial", **client: str
) -> Session:
    return Session.model_validate(
        {
            "kind": "Session",
            "metadata": {
                "name": name,
                "namespace": NAMESPACE,
                "creationTimestamp": format_time(at(made)),
            },
            "spec": {
                "deviceRef": {"name": "router-1"},
                "type": kind,
                "client": client or {"macAddress": PHONE.mac},
            },
        }
    )


class Server:
    """Lists Sessions, and one that nobody can read."""

    def __init__(self, *sessions: Session) -> None:
        self.sessions = sessions
        self.asked: list[str] = []

    async def list_objects(
        self, _: object, __: str, *, label_selector: str
    ) -> AsyncIterator[dict[str, Any]]:
        self.asked.append(label_selector)
        for session in self.sessions:
            yield session.wire()
        yield {"kind": "Session", "metadata": {}, "spec": {"type": "Trial"}}


@pytest.mark.parametrize(
    ("session", "counts"),
    [
        (trial(), 1),
        (trial(made=-DAY), 0),
        (trial(kind="Paid"), 0),
        (trial(macAddress="AA:BB:CC:DD:EE:99"), 0),
        (trial(macAddress="AA:BB:CC:DD:EE:99", ipAddress="10.5.50.9"), 0),
        (trial(ipAddress="10.5.50.9"), 1),
        (trial(ipAddress="10.5.50.8"), 0),
    ],
)
def test_a12_a_clients_trials_of_the_day_count(
    session: Session, counts: int
) -> None:
    phone = Client(mac=PHONE.mac, ip="10.5.50.9")
    assert trials_of(phone, [session], NOW.date()) == counts


def test_a12_a_phone_without_a_mac_is_known_by_its_address() -> None:
    phone = Client(ip="10.5.50.9")
    both = trial(macAddress="AA:BB:CC:DD:EE:99", ipAddress="10.5.50.9")
    assert trials_of(phone, [both], NOW.date()) == 1


async def test_a12_one_more_trial_than_allowed_is_refused() -> None:
    server = Server(trial("a"), trial("b"))
    known = Known(device(), NOW)
    wanted = order("trial:3", type="Trial")
    await TrialLimit(server, NAMESPACE, 3).admit(wanted, PHONE, known)  # type: ignore[arg-type]

    limit = TrialLimit(server, NAMESPACE, 2)  # type: ignore[arg-type]
    with pytest.raises(ApiError, match="2 trials on the router") as refused:
        await limit.admit(wanted, PHONE, known)
    assert (refused.value.status, refused.value.code) == (409, "trial_limit")
    assert server.asked == ["relay.cerebro.dev/device=router-1"] * 2


@pytest.mark.parametrize("place", ["same", "holder", "stand_in", "elsewhere"])
async def test_a12_what_has_a_session_is_no_further_trial(place: str) -> None:
    server = Server(trial("a"), trial("b"))
    known = Known(device(), NOW, **{place: trial("a")})  # type: ignore[arg-type]
    wanted = order("trial:a", type="Trial")
    await TrialLimit(server, NAMESPACE, 1).admit(wanted, PHONE, known)  # type: ignore[arg-type]
    assert server.asked == []


@pytest.mark.parametrize(("kind", "most"), [("Paid", 1), ("Trial", None)])
async def test_a12_nothing_is_listed_for_a_paid_order_or_without_a_limit(
    kind: str, most: int | None
) -> None:
    server = Server(trial("a"), trial("b"))
    limit = TrialLimit(server, NAMESPACE, most)  # type: ignore[arg-type]
    await limit.admit(order("x", type=kind), PHONE, Known(device(), NOW))
    assert server.asked == []
