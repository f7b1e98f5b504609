"""Values about objects of the API server, as store and watcher hand them on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from cerebro.resources import Kind, Resource

Name = tuple[str, str]


R = TypeVar("R", bound=Resource)


@dataclass(frozen=True)
class Listing:
    """What a collection held on the server at one moment: names by UID, and the resource version of that
    moment.
    """

    uids: Mapping[str, str]
    resource_version: int


@dataclass(frozen=True, slots=True)
class StoredObject:
    """One object as last delivered. Frozen (`model` is None) when our model cannot read it.

    `raw` has it as it came where the model does not show all of it: frozen, or with its deletion held.
    """

    kind: Kind
    namespace: str
    name: str
    uid: str
    resource_version: int
    model: Resource | None
    error: str | None = None
    raw: dict[str, Any] | None = field(default=None, repr=False)

    @property
    def held(self) -> bool:
        """Say whether its deletion is not believed (rule E13): then the model has no deletionTimestamp."""
        return self.model is not None and self.raw is not None

    def read(self, model: type[R]) -> R | None:
        """Give the model with its type, None when frozen."""
        if self.model is None:
            return None
        assert isinstance(self.model, model), f"{self.kind.kind} is not a {model.__name__}"
        return self.model


@dataclass(frozen=True, slots=True)
class Change:
    """An object came (`old` None), changed, or went (`new` None); another UID is another object."""

    kind: Kind
    namespace: str
    name: str
    old: StoredObject | None
    new: StoredObject | None
