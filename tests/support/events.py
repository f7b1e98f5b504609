"""A recorder of Kubernetes Events that keeps what it is told."""

from __future__ import annotations

from typing import cast

from cerebro.kube.event_reasons import EventReason
from cerebro.kube.events import Recorder
from cerebro.resources import Resource


class Events:
    """Keeps the Events, in their order, as `kind/name: reason: note`."""

    def __init__(self) -> None:
        self.posted: list[str] = []

    def post(
        self, regarding: Resource, told: EventReason, **values: object
    ) -> None:
        """Keep an Event."""
        note = told.sentence.format(**values)
        assert told.reason.isalnum()
        self.posted.append(
            f"{regarding.kind}/{regarding.name}: {told.reason}: {note}"
        )

    @property
    def reasons(self) -> list[str]:
        """The reasons of the Events, in their order."""
        return [line.split(": ")[1] for line in self.posted]

    def as_recorder(self) -> Recorder:
        """Return it in the place of a recorder."""
        return cast(Recorder, self)
