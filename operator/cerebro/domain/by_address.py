"""A revoke that names an address alone (rule B2). Pure.

Whose the address is only its router can say. So the bridge makes a record of the revoke, a Session that is revoked from
its beginning; the agent pins the client that it finds there and has a Session; the bridge ends what that one has, and
names it in the record. From then on it is like any other that has ended.
"""

from cerebro.resources.naming import LABEL_MANAGED_BY, MANAGED_BY_BRIDGE
from cerebro.resources.session import Session


def asks_who_is_there(session: Session) -> bool:
    """Tell whether a Session is the record of such a revoke, and does not name a client yet."""
    spec = session.spec
    if session.metadata.labels.get(LABEL_MANAGED_BY) != MANAGED_BY_BRIDGE or not spec.revoked:
        return False
    record = spec.revoked_at is not None and spec.revoked_at == spec.requested_at
    named = spec.client.mac_address or spec.order_id or spec.supersedes
    return record and not named and spec.client.ip_address is not None
