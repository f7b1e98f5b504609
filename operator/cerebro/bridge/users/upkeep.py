"""Deletes the Secrets of hotspot users that no Session needs any more: that of
a former password, and that of a Session which is over.

It goes by what the watch shows. What ended while no bridge ran is looked for
at the start: a label tells which finished Sessions have their Secret still. A
Secret that nobody deletes dies with its Device, which owns it.
"""

from __future__ import annotations

import asyncio

import structlog

from cerebro.bridge.errors import ApiError
from cerebro.bridge.orders.sessions import Sessions
from cerebro.bridge.orders.users.decide import secret_of
from cerebro.bridge.orders.users.secrets import UserSecrets
from cerebro.domain.lifecycle import is_finished, is_ours
from cerebro.kube.cache.store import Store
from cerebro.kube.client.api import KubeApi
from cerebro.kube.client.errors import Conflict, KubeError, NotFound
from cerebro.kube.objects import Change, StoredObject
from cerebro.resources import SESSION, Session
from cerebro.resources.naming import LABEL_USER_SECRET
from cerebro.runtime.backoff import Backoff

log = structlog.get_logger(__name__)


class UserSecretsUpkeep:
    """Looks at each Secret that a Session no longer names, and deletes it."""

    def __init__(
        self,
        api: KubeApi,
        sessions: Sessions,
        secrets: UserSecrets,
        objects: Store,
    ) -> None:
        self._api = api
        self._sessions = sessions
        self._secrets = secrets

        # Secrets that may have to go, by the Sessions that named them.
        self._due: dict[str, Session] = {}
        self._wake = asyncio.Event()
        objects.subscribe(self._changed)

    async def run(self) -> None:
        """Work without end; ends by cancellation only."""
        delays = iter(Backoff(first=0.2, ceiling=30.0))
        was_swept = False
        while True:
            try:
                if not was_swept:
                    await self._sweep()
                    was_swept = True

                await self._wake.wait()
                self._wake.clear()
                await self._drop_due()
            except KubeError as error:
                log.warning(
                    "Secrets that nothing names have to wait",
                    error=str(error),
                )

                self._wake.set()
                await asyncio.sleep(next(delays))
            else:
                delays = iter(Backoff(first=0.2, ceiling=30.0))

    async def _sweep(self) -> None:
        """Find the Sessions that finished while no bridge ran."""
        finished = self._api.list_objects(
            SESSION,
            self._sessions.namespace,
            field_selector="status.finished=true",
            label_selector=LABEL_USER_SECRET,
        )
        async for body in finished:
            session = _readable(body)
            if session is not None:
                self._note(session)

    def _changed(self, change: Change) -> None:
        if change.kind is not SESSION or change.old is None:
            return

        before, after = _session_in(change.old), _session_in(change.new)
        if before is None or (change.new is not None and after is None):
            return

        if after is None or secret_of(after) != secret_of(before):
            self._note(before)

    def _note(self, session: Session) -> None:
        secret = secret_of(session)
        if secret is not None and is_ours(session):
            self._due[secret] = session
            self._wake.set()

    async def _drop_due(self) -> None:
        while self._due:
            secret, former = next(iter(self._due.items()))
            await self._look_at(secret, former)
            self._due.pop(secret, None)

    async def _look_at(self, secret: str, former: Session) -> None:
        """Delete a Secret, unless its Session needs it after all: a watch that
        was broken may show a Session as gone.
        """
        try:
            session = await self._sessions.read(former.name)
        except ApiError:
            return  # a Session that cannot be read keeps what it may need

        is_named = session is not None and secret_of(session) == secret
        if is_named and session is not None and not is_finished(session):
            return

        await self._secrets.drop(former.spec.device_ref.name, secret)
        if is_named and session is not None:
            await self._note_dropped(session)

    async def _note_dropped(self, session: Session) -> None:
        """Take the label off a finished Session that is still the same."""
        try:
            await self._api.patch(
                SESSION,
                session.namespace,
                session.name,
                {"metadata": {"labels": {LABEL_USER_SECRET: None}}},
                resource_version=session.metadata.resource_version,
            )
        except (Conflict, NotFound):
            log.debug("a finished Session changed", session=session.name)


def _session_in(stored: StoredObject | None) -> Session | None:
    return None if stored is None else stored.read(Session)


def _readable(body: dict[str, object]) -> Session | None:
    """Return a Session out of a list; None for one that cannot be read."""
    try:
        return Session.model_validate(body)
    except ValueError:
        return None
