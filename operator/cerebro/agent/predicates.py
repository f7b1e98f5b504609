"""Which changes of an object ask for a new pass, and which are only statuses,
mostly our own. Pure.
"""

from __future__ import annotations

from cerebro.domain.ready_owner import operator_says, says_lost
from cerebro.kube.objects import Change, StoredObject
from cerebro.resources import Device, Hub, Peer, Session
from cerebro.resources.base import ObjectMeta


def wakes_device(old: StoredObject | None, new: StoredObject | None) -> bool:
    """Return whether a change of a Device or Session asks for a pass over the
    router.

    `old` is None for an object that came, `new` for one that went. A change of
    the status alone asks for none, but for what others write there: see
    `_session_reopened` and `_device_status_asks`.
    """

    if old is None or new is None or old.uid != new.uid:
        return True

    if old.model is None or new.model is None:
        return True  # one of the two cannot be read, so it is not known what changed

    if _spec_changed(old.model.metadata, new.model.metadata):
        return True

    if isinstance(old.model, Session) and isinstance(new.model, Session):
        return _session_reopened(old.model, new.model)

    if isinstance(old.model, Device) and isinstance(new.model, Device):
        return _device_status_asks(old.model, new.model)

    return False


def wakes_hub(change: Change) -> bool:
    """Return whether a change of a Hub or Peer asks for a pass over the Hub's
    interface.

    A status of ours that comes back asks for none. The key that is noted in a
    Peer's status does, because the loop waits for it (rule E8).
    """

    old, new = change.old, change.new
    if old is None or new is None or old.uid != new.uid:
        return True

    if old.model is None or new.model is None:
        return True  # one of the two cannot be read, so it is not known what changed

    before, after = old.model.metadata, new.model.metadata
    if _spec_changed(before, after) or before.annotations != after.annotations:
        return True

    if isinstance(old.model, Peer) and isinstance(new.model, Peer):
        key_noted = (
            old.model.status.applied_public_key
            != new.model.status.applied_public_key
        )

        return key_noted or _became_lost(old.model, new.model)

    if isinstance(old.model, Hub) and isinstance(new.model, Hub):
        moved = old.model.status.node_name != new.model.status.node_name
        return moved or _became_lost(old.model, new.model)

    return True


def _spec_changed(before: ObjectMeta, after: ObjectMeta) -> bool:
    """Return whether the spec changed, or the deletion was asked for."""
    if before.generation != after.generation:
        return True

    return before.deletion_timestamp != after.deletion_timestamp


def _session_reopened(before: Session, after: Session) -> bool:
    """Return whether the operator opened a finished Session again."""
    return bool(before.status.finished) and not after.status.finished


def _device_status_asks(before: Device, after: Device) -> bool:
    """Return whether the operator changed a Device's status, or a person its
    annotations.

    A condition Ready of ours is written anew once the operator took it for
    lost, or let go of it.
    """

    ready_is_ours_again = operator_says(before) and not operator_says(after)
    if _became_lost(before, after) or ready_is_ours_again:
        return True

    address_changed = (
        before.status.tunnel_address != after.status.tunnel_address
    )

    peer_changed = before.status.peer_name != after.status.peer_name
    if address_changed or peer_changed:
        return True

    return before.metadata.annotations != after.metadata.annotations


def _became_lost(
    before: Hub | Peer | Device, after: Hub | Peer | Device
) -> bool:
    """Return whether the operator took the object's agent for lost just now
    (rule E12).
    """
    return says_lost(after) and not says_lost(before)
