"""Waits at the start until the API server serves all five kinds, and notices
rights that are missing (E10).

kopf looks for kinds once, when it starts (its scanning is off, for want of
cluster rights): it would never notice a CRD that comes later.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection

from cerebro.kube.client.api import KubeApi
from cerebro.kube.client.errors import KubeError
from cerebro.resources import KINDS, Kind
from cerebro.runtime.backoff import Backoff
from cerebro.runtime.clock import monotonic
from cerebro.runtime.health import Check

Waiting = Callable[[str | None], None]
"""Called with what the start waits for, and with None once that is over."""

_FORBIDDEN_LIMIT = 60.0
"""Seconds of 403 after which the process is not ready."""

log = logging.getLogger(__name__)


async def wait_served(
    api: KubeApi,
    *,
    kinds: Collection[Kind] = tuple(KINDS.values()),
    backoff: Backoff | None = None,
    waiting: Waiting | None = None,
) -> None:
    """Return when all kinds are served. 401, 403, 404, 5xx and no connection
    are "not yet".

    Each new reason for waiting is logged once and handed to `waiting`, which
    is called with None at the end.
    """
    known_reason: str | None = None
    for delay in backoff or Backoff(ceiling=5.0):
        reason = await _missing(api, kinds)
        if reason is None:
            break

        if reason != known_reason:
            known_reason = reason
            log.warning("waiting for the API server: %s", reason)

            if waiting is not None:
                waiting(reason)

        await asyncio.sleep(delay)

    if known_reason is not None:
        log.info("the API server serves all kinds")

    if waiting is not None:
        waiting(None)


async def _missing(api: KubeApi, kinds: Collection[Kind]) -> str | None:
    """Return what is missing, in words; None if all kinds are served.

    The CRD of a kind that is being deleted loses the verb `create`.
    """
    try:
        served = await api.served()
    except KubeError as error:
        if error.status == 404:
            return "CRDs not served (apply crds/): none of our group"

        return str(error)

    absent = sorted(
        kind.crd_name
        for kind in kinds
        if "create" not in served.get(kind.plural, ())
    )

    return (
        f"CRDs not served (apply crds/): {', '.join(absent)}"
        if absent
        else None
    )


def permitted(api: KubeApi) -> Check:
    """Return a check of readiness, which fails on a 403 that lasts 60 s (rule
    E10).
    """

    def check() -> str | None:
        since = api.forbidden_since()
        if since is None or monotonic() - since < _FORBIDDEN_LIMIT:
            return None

        return "the API server forbids what we need (403): compare our roles with deploy/"

    return check
