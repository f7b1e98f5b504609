"""What the status says of a client that is not on its router (rule A13, case T4), and what that costs."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from cerebro.agent.devices.access.status import (
    ended_status,
    live_status,
    status_patch,
)
from cerebro.domain.lifecycle import Verdict
from cerebro.resources import Session, SessionStatus
from cerebro.routeros.access.result import EndingView, GrantView

NOW = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)
MAC, OTHER_MAC, IP = "AA:00:00:00:00:01", "AA:00:00:00:00:02", "10.5.50.1"
THERE = GrantView(True, MAC, (IP,), seen=True)
AWAY = GrantView(True, MAC, (), seen=False, holder=OTHER_MAC)
UNREAD = GrantView(True, MAC, (IP,))


def a_session(status: SessionStatus | None = None) -> Session:
    return Session.model_validate(
        {
            "metadata": {"name": "s", "namespace": "ns", "generation": 1},
            "spec": {
                "deviceRef": {"name": "r1"},
                "client": {"macAddress": MAC, "ipAddress": IP},
            },
            "status": status.wire() if status else {},
        }
    )


def written(
    view: GrantView, old: SessionStatus | None = None
) -> SessionStatus:
    return live_status(
        a_session(old), Verdict(None, None, None), view, None, NOW
    )


def patch_of(old: SessionStatus, new: SessionStatus) -> dict[str, Any]:
    return status_patch(old, new)


def test_a13_it_goes_with_the_patch_that_says_active() -> None:
    patch = patch_of(SessionStatus(), written(AWAY))
    assert (patch["phase"], patch["clientSeen"], patch["addressHeldBy"]) == (
        "Active",
        False,
        OTHER_MAC,
    )


def test_a13_a_phone_that_comes_or_goes_is_no_write_of_its_own() -> None:
    active = written(THERE)
    gone = GrantView(True, MAC, (IP,), seen=False)
    assert patch_of(active, written(gone, active)) == {}


def test_a13_it_goes_with_what_else_there_is_to_write() -> None:
    active = written(AWAY)
    patch = patch_of(active, written(THERE, active))
    assert patch["applied"]["ipAddress"] == IP
    assert (patch["clientSeen"], patch["addressHeldBy"]) == (True, None)


def test_a13_what_was_not_read_changes_nothing_and_the_end_forgets_it() -> (
    None
):
    active = written(AWAY)
    assert written(UNREAD, active).client_seen is False
    over = Verdict("Revoked", None, None, "Revoked")
    ended = ended_status(
        a_session(active), over, EndingView(enforced=True), None, NOW
    )
    assert (ended.client_seen, ended.address_held_by) == (None, None)


def test_a13_nothing_is_said_before_the_access_is_on_the_router() -> None:
    waiting = GrantView(False, MAC, (IP,), seen=False)
    assert written(waiting).client_seen is None
