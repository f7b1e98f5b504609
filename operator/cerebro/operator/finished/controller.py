"""Carries out what is planned for finished Sessions."""

from __future__ import annotations

from cerebro.kube.client.api import KubeApi
from cerebro.kube.client.batch import each
from cerebro.kube.client.errors import Conflict, NotFound
from cerebro.operator.finished.plan import Finished, Plan
from cerebro.resources import KINDS, SESSION, Session


async def carry_out(api: KubeApi, due: Plan) -> tuple[int, int]:
    """Re-open and delete what is due; return how many were opened again and how many deleted.

    Each write holds for the version that was judged: one that changed meanwhile is judged again when its
    change comes. Raises KubeError when the API server cannot be reached; what was not done is due again.
    """
    reopened = await each(due.reopen, lambda session: _reopen(api, session))
    return reopened, await each(due.delete, lambda item: delete(api, item))


async def _reopen(api: KubeApi, session: Session) -> bool:
    try:
        await api.patch(
            SESSION,
            session.namespace,
            session.name,
            {"status": {"finished": False}},
            subresource="status",
            resource_version=session.metadata.resource_version,
        )
    except (Conflict, NotFound):
        return False
    return True


async def delete(api: KubeApi, item: Finished) -> bool:
    """Delete exactly the object that was judged, in that version; False when it is another by now or gone."""
    try:
        await api.delete(
            KINDS[item.kind],
            item.namespace,
            item.name,
            uid=item.metadata.uid,
            resource_version=item.metadata.resource_version,
        )
    except (Conflict, NotFound):
        return False
    return True
