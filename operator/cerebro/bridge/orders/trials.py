"""How many trials a client may have on a Device in a day (A12)."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

from pydantic import ValidationError

from cerebro.bridge.errors import ApiError
from cerebro.bridge.intents import Authorize, Client
from cerebro.bridge.orders.decide import Known
from cerebro.kube.client.api import KubeApi
from cerebro.resources import SESSION, Device, Session
from cerebro.resources.naming import LABEL_DEVICE, label_value


class TrialLimit:
    """The limit of trials of one bridge; `most` is the number, None for no
    limit.
    """

    def __init__(self, api: KubeApi, namespace: str, most: int | None) -> None:
        self._api = api
        self._namespace = namespace
        self._most = most

    async def admit(
        self, order: Authorize, client: Client, known: Known
    ) -> None:
        """Let a new trial pass. Raises ApiError 409 `trial_limit` if the
        client had as many on the Device today as it may, and KubeError.

        Finished Sessions count too, and are not watched: they are listed. That
        grows with the Sessions of the Device that are still there.
        """
        if self._most is None or order.type != "Trial" or _is_known(known):
            return

        today = known.now.date()
        sessions = await self._sessions_of(known.device)
        if trials_of(client, sessions, today) >= self._most:
            raise ApiError(
                409,
                "trial_limit",
                f"this phone had {self._most} trials on the router {known.device.router_id} today: "
                "CEREBRO_TRIALS_PER_DAY allows no more",
            )

    async def _sessions_of(self, device: Device) -> list[Session]:
        """List the Sessions on a Device that the bridge made; one that cannot
        be read counts for nobody.
        """
        listed = self._api.list_objects(
            SESSION,
            self._namespace,
            label_selector=f"{LABEL_DEVICE}={label_value(device.name)}",
        )

        sessions: list[Session] = []
        async for body in listed:
            try:
                sessions.append(Session.model_validate(body))
            except ValidationError:
                continue

        return sessions


def trials_of(client: Client, sessions: Iterable[Session], day: date) -> int:
    """Return how many of these are a client's trials that were made on a day
    in UTC. Pure.
    """
    return sum(
        session.spec.type == "Trial"
        and _made_on(session, day)
        and _is_of(session, client)
        for session in sessions
    )


def _is_known(known: Known) -> bool:
    """Return whether the order has a Session already, here or elsewhere: then
    it is no further trial.
    """
    sessions = (known.same, known.holder, known.stand_in, known.elsewhere)

    return any(session is not None for session in sessions)


def _made_on(session: Session, day: date) -> bool:
    created = session.metadata.creation_timestamp

    return created is not None and created.date() == day


def _is_of(session: Session, client: Client) -> bool:
    """Return whether a Session is of a client: by its MAC, by its address
    where one of the two has no MAC.
    """
    owner = session.spec.client
    if client.mac is not None and owner.mac_address is not None:
        return owner.mac_address == client.mac

    return client.ip is not None and owner.ip_address == client.ip
