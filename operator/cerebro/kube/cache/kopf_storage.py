"""Storages for kopf that store nothing: a watcher has no state on objects (and kopf then compares nothing,
which is dear).
"""

from __future__ import annotations

from typing import Any, cast

import kopf


class NoDiffbase(kopf.DiffBaseStorage):
    """Sees no essence in any object, so no change to handle, and remembers none."""

    def build(self, **_: Any) -> Any:
        """Give an empty essence."""
        return cast(Any, {})

    def fetch(self, **_: Any) -> Any:
        """Give an empty essence: the same as now."""
        return cast(Any, {})

    def store(self, **_: Any) -> None:
        """Store nothing."""


class NoProgress(kopf.ProgressStorage):
    """Knows no progress of handlers and stores none."""

    def fetch(self, **_: Any) -> Any:
        """Give none."""
        return

    def store(self, **_: Any) -> None:
        """Store nothing."""

    def purge(self, **_: Any) -> None:
        """Purge nothing."""

    def touch(self, **_: Any) -> None:
        """Touch nothing."""

    def clear(self, *, essence: Any, **_: Any) -> Any:
        """Give the essence as it is."""
        return essence
