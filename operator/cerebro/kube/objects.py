"""Values about objects of the API server, as store and watcher hand them on.
Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from cerebro.resources import Kind, Resource

Name = tuple[str, str]
"""Namespace and name of an object."""

R = TypeVar("R", bound=Resource)


@dataclass(frozen=True)
class Listing:
    """What a collection held on the server at one moment."""

    uids: Mapping[str, str]
    """Names by UID."""
    resource_version: int
    """The version of that moment."""


@dataclass(frozen=True, slots=True)
class StoredObject:
    """One object as it was last delivered. An object that our model cannot
    read is frozen: `model` is None.
    """

    kind: Kind
    namespace: str
    name: str
    uid: str
    resource_version: int
    model: Resource | None
    error: str | None = None
    """Of a frozen object: which fields cannot be read, and why."""
    raw: dict[str, Any] | None = field(default=None, repr=False)
    """The body as it came, where the model does not show all of it: frozen, or
    with its deletion held.
    """

    @property
    def held(self) -> bool:
        """Return whether its deletion is not believed (rule E13): then the
        model has no deletionTimestamp.
        """
        return self.model is not None and self.raw is not None

    def read(self, model: type[R]) -> R | None:
        """Return the model with its type, None if the object is frozen.

        `model` must be that of the object's kind.
        """
        if self.model is None:
            return None

        assert isinstance(self.model, model), (
            f"{self.kind.kind} is not a {model.__name__}"
        )

        return self.model


@dataclass(frozen=True, slots=True)
class Change:
    """An object came (`old` is None), changed, or went (`new` is None);
    another UID is another object.
    """

    kind: Kind
    namespace: str
    name: str
    old: StoredObject | None
    new: StoredObject | None
