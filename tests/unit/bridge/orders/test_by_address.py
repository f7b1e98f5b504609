"""A revoke that names an address alone means who has it now (rule B2), which only the router knows: the bridge records
it, and ends what the client has that the agent pins there.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, cast

import pytest

from cerebro.bridge.intents import Client, Revoke
from cerebro.bridge.orders.revoke import decide_revoke, end_whoever_is_there
from cerebro.bridge.orders.sessions import Sessions
from cerebro.bridge.orders.upkeep import Upkeep
from cerebro.bridge.orders.writes import Create, Keep, Patch, Write
from cerebro.domain.by_address import asks_who_is_there
from cerebro.kube.cache.store import Store
from cerebro.kube.client.errors import AlreadyExists, Conflict, Unavailable
from cerebro.resources import Session
from support.orders import (
    IP,
    MAC,
    MAC_2,
    NAMESPACE,
    NOW,
    PHONE,
    at,
    by_hand,
    device,
    revoke,
    session,
)

ROUTER = device()
THERE = Client(ip=IP)
LABELS = {"app.kubernetes.io/managed-by": "cerebro-bridge"}


def decided(
    known: Iterable[Session], asked: float = 10, **which: Any
) -> list[Write]:
    intent = Revoke(client=THERE, requested_at=at(asked), mik_id="router-1")
    return decide_revoke(
        NAMESPACE, intent, ROUTER, known, client=THERE, now=at(20), **which
    )


def ours(
    name: str, client: dict[str, str], *, asked: float = 0, **status: Any
) -> Session:
    made = by_hand(name, client=client, requestedAt=at(asked).isoformat())
    body = {
        **made.wire(),
        "metadata": {"name": name, "namespace": NAMESPACE, "labels": LABELS},
    }
    return session(body, **status)


def active(mac: str, ip: str, name: str = "paid", asked: float = 0) -> Session:
    return ours(
        name,
        {"macAddress": mac},
        asked=asked,
        phase="Active",
        applied={"macAddress": mac, "ipAddress": ip},
    )


def record(mac: str | None = None, asked: float = 10) -> Session:
    """What the bridge made of a revoke, once the agent has pinned a client."""
    (made,) = decided([], asked)
    assert isinstance(made, Create)
    applied = {"macAddress": mac, "ipAddress": IP, "pinnedFor": IP}
    return session(
        dict(made.body),
        phase="Revoked",
        **({"applied": applied} if mac else {}),
    )


def test_b2_an_address_alone_ends_nobody_before_its_router_was_asked() -> None:
    """Where a phone was seen is minutes old: another may be there by now."""
    (write,) = decided([active(MAC, IP), active(MAC_2, "10.5.50.99", "other")])
    assert isinstance(write, Create)
    made = session(dict(write.body))
    assert asks_who_is_there(made)
    assert (made.spec.client.ip_address, made.spec.client.mac_address) == (
        IP,
        None,
    )
    assert made.spec.revoked_at == made.spec.requested_at == at(10)


def test_b2_a_session_that_is_known_by_that_address_alone_ends_with_it() -> (
    None
):
    known = ours("unpinned", {"ipAddress": IP})
    first, second = decided([known])
    assert (first.name, type(first), type(second)) == (
        "unpinned",
        Patch,
        Create,
    )


def test_b2_a_revoke_that_names_the_mac_too_needs_nobody_to_ask() -> None:
    paid = active(MAC, IP)
    asked = revoke(asked=10)
    (write,) = decide_revoke(
        NAMESPACE, asked, ROUTER, [paid], client=PHONE, now=at(20)
    )
    assert write.name == paid.name
    (by_token,) = decided([paid], linked=(paid.name,))
    assert by_token.name == paid.name


@pytest.mark.parametrize("pinned", [None, MAC])
def test_b2_the_same_revoke_again_waits_for_its_record(
    pinned: str | None,
) -> None:
    (write,) = decided([record(pinned), active(MAC, IP)])
    assert isinstance(write, Keep)
    named = record(MAC)
    client = named.spec.client.model_copy(update={"mac_address": MAC})
    named = named.model_copy(
        update={"spec": named.spec.model_copy(update={"client": client})}
    )
    assert not asks_who_is_there(named)
    (write,) = decided([named])
    assert isinstance(write, Keep)


def test_b2_what_the_client_has_that_was_seen_there_ends_and_then_it_is_named() -> (
    None
):
    asked = record(MAC_2)
    known = [asked, active(MAC, IP), active(MAC_2, "10.5.50.99", "other")]
    ended, named = end_whoever_is_there(asked, known, at(20))
    assert isinstance(ended, Patch)
    assert (ended.name, ended.body["spec"]["revoked"]) == ("other", True)
    assert isinstance(named, Patch)
    assert (named.name, named.body["spec"]) == (
        asked.name,
        {"client": {"macAddress": MAC_2}},
    )


def test_a4_who_paid_after_a_revoke_by_address_stays() -> None:
    asked = record(MAC, asked=10)
    (named,) = end_whoever_is_there(
        asked, [asked, active(MAC, IP, asked=11)], at(20)
    )
    assert named.name == asked.name


def test_a10_what_a_person_made_is_superseded_once() -> None:
    asked, foreign = record(MAC), by_hand(requestedAt=NOW.isoformat())
    made, _ = end_whoever_is_there(asked, [asked, foreign], at(20))
    assert isinstance(made, Create)
    stands = session(dict(made.body))
    assert (
        stands.spec.supersedes and stands.spec.supersedes.name,
        stands.spec.revoked,
    ) == ("by-hand", True)
    assert (
        len(end_whoever_is_there(asked, [asked, foreign, stands], at(20))) == 1
    )


def test_b2_nobody_is_named_before_the_router_was_asked_or_in_another_kind_of_end() -> (
    None
):
    paid = active(MAC, IP)
    assert end_whoever_is_there(record(), [paid], at(20)) == []
    revoked = ours(
        "x",
        {"ipAddress": IP},
        applied={"macAddress": MAC, "ipAddress": IP, "pinnedFor": IP},
    )
    assert end_whoever_is_there(revoked, [paid], at(20)) == []


@pytest.mark.parametrize(
    "change",
    [
        {"revoked": False},
        {"revoked_at": at(11)},
        {"revoked_at": None, "requested_at": None},
        {"order_id": "P-1"},
    ],
)
def test_b2_only_the_bridges_own_record_asks(change: dict[str, Any]) -> None:
    asked = record()
    assert asks_who_is_there(asked)
    assert not asks_who_is_there(
        asked.model_copy(update={"spec": asked.spec.model_copy(update=change)})
    )
    unlabelled = asked.metadata.model_copy(update={"labels": {}})
    assert not asks_who_is_there(
        asked.model_copy(update={"metadata": unlabelled})
    )


class Busy:
    """The bridge's hands where somebody else writes in between."""

    def __init__(self, found: Sequence[Session], error: Exception) -> None:
        self.found, self.error = found, error

    def known(self, name: str) -> Session | None:
        return next((one for one in self.found if one.name == name), None)

    def of_client(self, _: Client, __: str) -> Sequence[Session]:
        return self.found

    async def write(self, *_: object) -> None:
        raise self.error


@pytest.mark.parametrize(
    "error", [Conflict("changed"), AlreadyExists("there")]
)
async def test_b2_a_client_whose_session_changed_meanwhile_is_ended_at_the_next_try(
    error: Exception,
) -> None:
    """The change is no news of the record itself, so nothing else would bring that back."""
    asked = record(MAC)
    upkeep = Upkeep(
        cast(Sessions, Busy([asked, active(MAC, IP)], error)), Store()
    )
    with pytest.raises(Unavailable):
        await upkeep._look_at(asked.name)
