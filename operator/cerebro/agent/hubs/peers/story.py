"""What is told of a Peer by an Event: that it came on the interface, or why it
did not. Pure.

That it is connected is no Event: thousands of Peers come and go. What keeps
the whole Hub from being carried is told of the Hub.
"""

from __future__ import annotations

from cerebro.agent.hubs.peers.status import PeerReport
from cerebro.domain.conditions import ConditionState
from cerebro.kube.event_reasons import (
    APPLIED,
    PEER_REFUSED,
    EventReason,
    of_condition,
)
from cerebro.resources import reasons

REFUSED_BY_INTERFACE = "RefusedByInterface"

News = tuple[EventReason, ConditionState]
"""An Event, and the state that its sentence is made of."""


def peer_news(before: PeerReport | None, report: PeerReport) -> News | None:
    """Return what is told of a Peer after the report `before` (None: it had
    none, or one of an older generation); None: nothing.
    """
    refusal = _refusal(report)
    if refusal is not None:
        known = _refusal(before) if before is not None else None
        if known is not None and known.reason == refusal.reason:
            return None

        if refusal == report.trouble:
            told = of_condition(refusal.reason, "Peer", "Configure")
            return told, refusal

        return PEER_REFUSED, refusal

    was_applied = before is not None and before.ready.status == "True"
    if report.ready.status == "True" and not was_applied:
        return APPLIED, report.ready

    return None


def _refusal(report: PeerReport) -> ConditionState | None:
    """Return why a Peer is not on the interface, or not whole, if that is
    about the Peer itself.
    """
    is_leaving = report.applied.reason == reasons.REMOVED
    if is_leaving or report.accepted.reason == "Deleted":
        return None

    if report.accepted.status == "False":
        return report.accepted

    if report.applied.reason == REFUSED_BY_INTERFACE:
        return report.applied

    return report.trouble
