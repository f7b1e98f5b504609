"""What the deletion of a Session means for its client on the router (rule
E13). Pure: times are passed in.
"""

from __future__ import annotations

from cerebro.agent.devices.access.clients import user_keys
from cerebro.agent.devices.access.desired import scope_of
from cerebro.domain.mass_removal import RemovalWindow
from cerebro.resources import Session
from cerebro.routeros.access.marker import client_id


def note_deleted(
    removals: RemovalWindow,
    users: RemovalWindow,
    session: Session | None,
    now: float,
) -> float | None:
    """Note that a Session was deleted before its end was seen enforced; return
    when its client may go, None: look at once.

    `session` is as it was before, None if it could not be read: then the look
    shows whose rows nobody explains, and these wait. A client that was revoked
    goes at once. `removals` is told of the client, `users` of its hotspot
    user. `now` is in seconds of the monotonic clock.
    """
    if session is None:
        return None

    scope = scope_of([session])
    clients = [client_id(key) for key in (*scope.macs, *scope.ips)]
    names = [client_id(key) for key in user_keys(session)]

    if session.spec.revoked:
        removals.revoked(clients, now)
        users.revoked(names, now)

        return None

    users.lost(names, now)

    return removals.lost(clients, now)
