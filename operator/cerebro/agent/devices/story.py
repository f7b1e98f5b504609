"""Tells the story of one Device by Events: its router came or went, and what
keeps it from being Ready. The status that is written says what happened.
"""

from __future__ import annotations

from typing import Any

from cerebro.agent.troubles import Troubles, state_in
from cerebro.kube.event_reasons import OFFLINE, ONLINE
from cerebro.kube.events import Recorder
from cerebro.resources import Device

_REACHABLE = "Reachable"


class DeviceStory:
    """What was told of one Device."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._troubles = Troubles(recorder)
        self._reachable: str | None = None
        """The last status of Reachable that was no Unknown: a restart of the
        agent tells nothing.
        """

    def tell(self, device: Device, status: dict[str, Any]) -> None:
        """Post an Event for each part of a status that is news; `status` is
        written now, in the form of the API.
        """
        conditions = status["conditions"]
        reachable = state_in(conditions, _REACHABLE)
        ready = state_in(conditions, "Ready")
        if self._reachable is None:
            self._reachable = _definite(device)

        before = self._reachable

        if reachable is not None and reachable.status != "Unknown":
            self._reachable = reachable.status

        if self._reachable == "True" and before != "True":
            self._recorder.post(device, ONLINE, router=_router(status))

        is_away = self._reachable == "False"
        if not is_away and ready is not None:
            self._troubles.tell(device, ready)

        if is_away and before != "False" and reachable is not None:
            self._recorder.post(
                device,
                OFFLINE,
                reason=reachable.reason,
                message=reachable.message,
            )


def _definite(device: Device) -> str | None:
    """Return the status of Reachable that an object has, unless it is Unknown."""
    reachable = device.status.condition(_REACHABLE)
    if reachable is None or reachable.status == "Unknown":
        return None

    return reachable.status


def _router(status: dict[str, Any]) -> str:
    """Return what a router says of itself, as far as it is known."""
    version, board = status.get("version"), status.get("board")
    facts = (
        status.get("identity"),
        f"RouterOS {version}" if version else None,
        board,
    )

    return ", ".join(fact for fact in facts if fact) or "no facts yet"
