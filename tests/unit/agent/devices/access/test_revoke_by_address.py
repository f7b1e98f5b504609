"""A revoke that names an address alone (rule B2), as the agent sees it: from the bridge's record to the pin, and on to
the end of whom the bridge has named. The router is faked.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from cerebro.agent.devices.access.desired import (
    PassContext,
    ends_rows_of_others,
    judge_all,
)
from cerebro.agent.devices.access.outcome import PassResult
from cerebro.agent.devices.access.reconcile import AccessReconciler
from cerebro.agent.devices.access.roster import Roster
from cerebro.agent.devices.access.status import ended_status
from cerebro.domain.conditions import Obstacle
from cerebro.resources import Session, SessionStatus
from cerebro.routeros.access.marker import marker_for
from cerebro.routeros.access.model import AccessPolicy
from cerebro.routeros.client.command import Command
from support.faked_router import FakedRouter
from support.tables import Tables

NOW = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)
M, X, Y = "AA:00:00:00:00:01", "10.5.50.1", "10.5.50.2"


def a_session(
    name: str,
    client: dict[str, str],
    *,
    status: Any = None,
    generation: int = 1,
    **spec: Any,
) -> Session:
    return Session.model_validate(
        {
            "metadata": {
                "name": name,
                "namespace": "ns",
                "uid": name,
                "generation": generation,
                "creationTimestamp": NOW.isoformat(),
                "labels": {"app.kubernetes.io/managed-by": "cerebro-bridge"},
            },
            "spec": {"deviceRef": {"name": "r1"}, "client": client, **spec},
            "status": status.wire()
            if isinstance(status, SessionStatus)
            else status or {},
        }
    )


def a_record(client: dict[str, str], **rest: Any) -> Session:
    when = NOW.isoformat()
    return a_session(
        "record",
        client,
        revoked=True,
        revokedAt=when,
        requestedAt=when,
        **rest,
    )


def paid(ip: str = Y, **spec: Any) -> Session:
    applied = {"macAddress": M, "ipAddress": ip}
    status = {
        "phase": "Active",
        "authorizedAt": NOW.isoformat(),
        "observedGeneration": 1,
        "applied": applied,
    }
    return a_session("paid", {"macAddress": M}, status=status, **spec)


def a_router(seen: str = X) -> FakedRouter:
    tables, marker = Tables(), str(marker_for("main", M, None))
    tables.put("bindings", mac_address=M, type="bypassed", comment=marker)
    tables.put("lists", list="paid_clients", address=Y, comment=marker)
    tables.put("hosts", mac_address=M, address=seen, bypassed="true")
    return FakedRouter(tables)


async def look(
    router: FakedRouter, asked: Session, *others: Session
) -> PassResult:
    run = AccessReconciler(
        router.session, AccessPolicy(), PassContext(NOW, complete=True)
    )
    return await run.run(Roster.of([asked, *others]), [asked])


def said(
    outcome: PassResult, name: str, obstacle: Obstacle | None = None
) -> SessionStatus:
    (one,) = [one for one in outcome.judged if one.session.name == name]
    assert one.ending is not None
    return ended_status(
        one.session,
        one.verdict,
        outcome.plan.endings[one.ending],
        obstacle,
        NOW,
    )


async def test_b2_the_record_pins_the_client_at_its_address_and_waits() -> (
    None
):
    router, record = a_router(), a_record({"ipAddress": X})
    outcome = await look(router, record, paid())
    status = said(outcome, "record")
    assert outcome.settled, (
        "nothing is to be tried again before the bridge has said whose end it is"
    )
    assert status.applied is not None
    assert (
        status.applied.mac_address,
        status.applied.pinned_for,
        status.finished,
    ) == (M, X, None)
    enforced = status.condition("Enforced")
    assert enforced is not None
    assert (enforced.status, enforced.reason) == ("False", "Ending")
    assert router.tables.bindings
    pinned = a_record({"ipAddress": X}, status=status)
    assert (
        said(await look(router, pinned, paid(X)), "record").applied
        == status.applied
    )


async def test_b2_the_record_that_names_its_client_ends_with_what_the_client_had() -> (
    None
):
    router = a_router()
    status = said(
        await look(router, a_record({"ipAddress": X}), paid()), "record"
    )
    named = a_record(
        {"ipAddress": X, "macAddress": M}, status=status, generation=2
    )
    revoked = paid(X, revoked=True)
    status = said(await look(router, named, revoked), "record")
    assert (status.finished, status.applied) == (True, None)
    assert (
        router.tables.bindings,
        router.tables.lists,
        router.tables.hosts,
    ) == ([], [], [])


async def test_b2_a_record_whose_client_paid_later_ends_and_takes_nothing() -> (
    None
):
    router = a_router()
    named = a_record({"ipAddress": X, "macAddress": M}, generation=2)
    status = said(await look(router, named, paid()), "record")
    assert status.finished
    assert len(router.tables.bindings) == 1


async def test_b2_who_gets_the_address_after_the_first_look_is_not_meant() -> (
    None
):
    """Here a row by hand lets in whoever is there, so the record cannot end."""
    router = FakedRouter(Tables())
    router.tables.put(
        "bindings", address=X, type="bypassed", comment="the boss"
    )
    status = said(await look(router, a_record({"ipAddress": X})), "record")
    assert (
        status.finished,
        status.applied and status.applied.mac_address,
    ) == (None, None)
    router = a_router()
    status = said(
        await look(router, a_record({"ipAddress": X}, status=status), paid(X)),
        "record",
    )
    assert status.finished
    assert len(router.tables.bindings) == 1


async def test_f6_in_dry_run_the_record_says_so() -> None:
    outcome = await look(a_router(), a_record({"ipAddress": X}), paid())
    enforced = said(
        outcome, "record", Obstacle("DryRun", "nothing is written")
    ).condition("Enforced")
    assert enforced is not None
    assert enforced.reason == "DryRun"


@pytest.mark.parametrize(("minutes", "late"), [(1, False), (3, True)])
def test_b2_long_after_the_revoke_it_asks_who_was_there_then(
    minutes: int, late: bool
) -> None:
    at = PassContext(NOW + timedelta(minutes=minutes))
    (one,) = judge_all([a_record({"ipAddress": X})], None, AccessPolicy(), at)
    assert one.ending is not None
    assert (one.ending.asks, one.ending.late) == (True, late)


@pytest.mark.parametrize(
    ("session", "reads"), [(paid(X), 1), (a_record({"ipAddress": X}), 2)]
)
async def test_an_ordinary_grant_reads_the_router_once_before_it_writes(
    session: Session, reads: int
) -> None:
    """Only an end looks again, for what else the rows say of its client (B4)."""
    router, batches = a_router(), list[Sequence[Command]]()
    router.before = batches.append
    await look(router, session)
    before = itertools.takewhile(lambda batch: batch[0].reads, batches)
    assert (
        len(
            [batch for batch in before if batch[0].path.endswith("ip-binding")]
        )
        == reads
    )


def test_b4_the_older_relays_rows_are_looked_for_until_the_end_is_enforced() -> (
    None
):
    done = {
        "type": "Enforced",
        "status": "True",
        "reason": "Revoked",
        "lastTransitionTime": NOW.isoformat(),
    }
    over = {"phase": "Revoked", "observedGeneration": 1, "conditions": [done]}
    assert not ends_rows_of_others(paid())
    assert ends_rows_of_others(paid(revoked=True)), (
        "a superseding one ends it without a new generation"
    )
    assert ends_rows_of_others(
        a_session(
            "s", {"macAddress": M}, revoked=True, status=over, generation=2
        )
    )
    assert not ends_rows_of_others(
        a_session("s", {"macAddress": M}, revoked=True, status=over)
    )
