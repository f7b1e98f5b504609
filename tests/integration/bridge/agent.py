"""The agent as a test plays it: Devices, and statuses of Sessions, written with the administrator's
rights."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

from cerebro.domain.by_address import asks_who_is_there
from cerebro.kube.client.api import KubeApi
from cerebro.kube.client.connection import from_kubeconfig
from cerebro.kube.client.errors import KubeError, NotFound
from cerebro.resources import SESSION, Session, format_time
from controlplane.server import ControlPlane
from integration.bridge.caller import IP, MAC
from integration.bridge.process import CERTAIN


class Agent:
    """Writes what the real agent would."""

    def __init__(self, plane: ControlPlane, namespace: str) -> None:
        self.plane = plane
        self.namespace = namespace

    def kubectl(self, *arguments: str, stdin: str | None = None) -> str:
        return self.plane.kubectl(
            "-n", self.namespace, *arguments, stdin=stdin
        )

    def apply(
        self, kind: str, name: str, spec: dict[str, Any], **metadata: Any
    ) -> None:
        manifest = {
            "apiVersion": "relay.cerebro.dev/v1alpha1",
            "kind": kind,
            "metadata": {"name": name, **metadata},
            "spec": spec,
        }
        self.kubectl("apply", "-f", "-", stdin=json.dumps(manifest))

    def make_device(
        self, name: str, *, router_id: str | None = None, **spec: Any
    ) -> None:
        api = {
            "address": "127.0.0.1",
            "allowPlaintext": True,
            "credentialsSecretRef": {"name": "router"},
        }
        fields: dict[str, Any] = {"api": api, **spec}
        self.apply(
            "Device",
            name,
            fields | ({"routerID": router_id} if router_id else {}),
        )

    def status(self, kind: str, name: str, **status: Any) -> None:
        """Patch the status of an object."""
        self.kubectl(
            *(
                "patch",
                kind,
                name,
                "--subresource=status",
                "--type=merge",
                "-p",
                json.dumps({"status": status}),
            )
        )

    def sessions(self) -> list[Session]:
        items = json.loads(self.kubectl("get", "sessions", "-o", "json"))[
            "items"
        ]
        return [Session.model_validate(item) for item in items]

    def session(self, order_id: str | None = None) -> Session:
        """The one Session, of an order or at all."""
        found = [
            one
            for one in self.sessions()
            if order_id in (None, one.spec.order_id)
        ]
        assert len(found) == 1, [one.name for one in found]
        return found[0]

    async def until_session(self, order_id: str) -> Session:
        """Wait until there is a Session of an order; gives it."""
        deadline = time.monotonic() + CERTAIN
        async with KubeApi(from_kubeconfig(self.plane.kubeconfig)) as api:
            while time.monotonic() < deadline:
                with suppress(KubeError):
                    async for body in api.list_objects(
                        SESSION, self.namespace
                    ):
                        session = Session.model_validate(body)
                        if session.spec.order_id == order_id:
                            return session
                await asyncio.sleep(0.02)
        raise AssertionError(f"no Session of the order {order_id}")

    async def work(
        self, says: Callable[[Session, datetime], dict[str, Any]] | None = None
    ) -> None:
        """Grant and end what there is, without end: a router that does all at once. Cancel it to stop.

        `says` gives the status instead, for a router that does something else.
        """
        async with KubeApi(from_kubeconfig(self.plane.kubeconfig)) as api:
            while True:
                with suppress(KubeError):  # it is seen again in a moment
                    async for body in api.list_objects(
                        SESSION,
                        self.namespace,
                        field_selector="status.finished!=true",
                    ):
                        session = Session.model_validate(body)
                        if (
                            session.status.observed_generation or 0
                        ) < session.metadata.generation:
                            status = (says or enforced)(
                                session, datetime.now(UTC)
                            )
                            await self._say(api, session, status)
                await asyncio.sleep(0.02)

    async def _say(
        self, api: KubeApi, session: Session, status: dict[str, Any]
    ) -> None:
        with suppress(NotFound):
            await api.patch(
                SESSION,
                self.namespace,
                session.name,
                {"status": status},
                subresource="status",
            )


def enforced(session: Session, now: datetime) -> dict[str, Any]:
    """The status of a Session once the router has what it wants."""
    if asks_who_is_there(session):
        return pinned(session)
    spec, old = session.spec, session.status
    began = old.authorized_at or now
    end = (
        spec.expires_at
        or old.expires_at
        or (began + spec.duration if spec.duration else None)
    )
    over = spec.revoked or (end is not None and end <= now)
    phase = "Revoked" if spec.revoked else "Expired" if over else "Active"
    generation = session.metadata.generation
    return {
        "phase": phase,
        "observedGeneration": generation,
        "finished": over,
        "finishedAt": format_time(now) if over else None,
        "authorizedAt": old.authorized_at and format_time(old.authorized_at)
        if over
        else format_time(began),
        "expiresAt": format_time(end) if end else None,
        "conditions": [condition("Enforced", "True", phase, generation)],
    }


def pinned(session: Session) -> dict[str, Any]:
    """The status of a revoke by address: the test's phone is there (B2)."""
    generation = session.metadata.generation
    return {
        "phase": "Revoked",
        "observedGeneration": generation,
        "applied": {
            "macAddress": MAC,
            "ipAddress": IP,
            "pinnedFor": session.spec.client.ip_address,
        },
        "conditions": [condition("Enforced", "False", "Ending", generation)],
    }


def condition(
    kind: str, status: str, reason: str, generation: int, message: str = ""
) -> dict[str, Any]:
    """A condition as the agent writes it."""
    return {
        "type": kind,
        "status": status,
        "reason": reason,
        "message": message,
        "observedGeneration": generation,
        "lastTransitionTime": format_time(
            datetime.now(UTC).replace(microsecond=0)
        ),
    }


def in_minutes(minutes: float) -> str:
    return format_time(
        (datetime.now(UTC) + timedelta(minutes=minutes)).replace(microsecond=0)
    )
