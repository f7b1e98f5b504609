"""A revoke that names an address alone (rule B2). Pure.

Whose the address is only its router can tell. So the bridge makes a record of
the revoke: a Session that is revoked from its beginning. The agent pins the
client that has the address and a Session. The bridge ends what that client
has, and names the client in the record. From then on the record is like any
other Session that has ended.
"""

from cerebro.domain.lifecycle import is_ours
from cerebro.resources.session import Session


def asks_who_is_there(session: Session) -> bool:
    """Return whether a Session is the record of such a revoke, and does not
    name a client yet.
    """

    spec = session.spec
    if not is_ours(session) or not spec.revoked:
        return False

    is_record = (
        spec.revoked_at is not None and spec.revoked_at == spec.requested_at
    )

    is_named = spec.client.mac_address or spec.order_id or spec.supersedes

    return is_record and not is_named and spec.client.ip_address is not None
