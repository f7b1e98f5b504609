"""Which changes of an object ask for a new pass, and which are only statuses. Pure."""

from __future__ import annotations

from cerebro.domain.ready_owner import operator_says, says_lost
from cerebro.kube.objects import Change, StoredObject
from cerebro.resources import Device, Hub, Peer, Session


def asked_anew(old: StoredObject | None, new: StoredObject | None) -> bool:
    """Tell whether a change is one of what is asked for; statuses, mostly our own, are not."""
    if old is None or new is None or old.uid != new.uid or old.model is None or new.model is None:
        return True
    before, after = old.model.metadata, new.model.metadata
    if before.generation != after.generation or before.deletion_timestamp != after.deletion_timestamp:
        return True
    if isinstance(old.model, Session) and isinstance(new.model, Session):
        return bool(old.model.status.finished) and not new.model.status.finished
    if not isinstance(old.model, Device) or not isinstance(new.model, Device):
        return False
    taken_for_lost = says_lost(new.model) and not says_lost(old.model)
    ours_again = operator_says(old.model) and not operator_says(new.model)
    one, other = old.model.status, new.model.status
    addressed = (one.tunnel_address, one.peer_name) != (other.tunnel_address, other.peer_name)
    return taken_for_lost or ours_again or addressed or before.annotations != after.annotations


def concerns(change: Change) -> bool:
    """Tell whether a change is more than a status of ours that comes back; a noted key is (rule E8)."""
    old, new = change.old, change.new
    if old is None or new is None or old.uid != new.uid or old.model is None or new.model is None:
        return True
    one, other = old.model.metadata, new.model.metadata
    if one.generation != other.generation or one.annotations != other.annotations:
        return True
    if one.deletion_timestamp != other.deletion_timestamp:
        return True
    if isinstance(old.model, Peer) and isinstance(new.model, Peer):
        noted = old.model.status.applied_public_key != new.model.status.applied_public_key
        return noted or (says_lost(new.model) and not says_lost(old.model))
    if isinstance(old.model, Hub) and isinstance(new.model, Hub):
        moved = old.model.status.node_name != new.model.status.node_name
        return moved or (says_lost(new.model) and not says_lost(old.model))
    return True
