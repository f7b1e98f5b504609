"""Storages for kopf that store nothing.

A watcher keeps no state on objects. Without stored state kopf also skips its
comparison of each object with the one before, which is expensive.
"""

from __future__ import annotations

from typing import Any, cast

import kopf


class NoDiffbase(kopf.DiffBaseStorage):
    """Sees no essence in any object, so no change to handle, and remembers
    none.
    """

    def build(self, **_: Any) -> Any:
        """Return an empty essence."""
        return cast(Any, {})

    def fetch(self, **_: Any) -> Any:
        """Return an empty essence: the same as that of now, so nothing has
        changed.
        """
        return cast(Any, {})

    def store(self, **_: Any) -> None:
        """Store nothing."""


class NoProgress(kopf.ProgressStorage):
    """Knows no progress of handlers and stores none."""

    def fetch(self, **_: Any) -> Any:
        """Return no progress."""
        return

    def store(self, **_: Any) -> None:
        """Store nothing."""

    def purge(self, **_: Any) -> None:
        """Purge nothing."""

    def touch(self, **_: Any) -> None:
        """Touch nothing."""

    def clear(self, *, essence: Any, **_: Any) -> Any:
        """Return the essence as it is."""
        return essence
