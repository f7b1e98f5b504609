"""Fields of statuses that a CRD does not declare, as it is of an older release.

Server-side apply refuses a manifest with such a field, with a 500, where other
writes drop the field. So it is left out, and tried again now and then.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Iterator
from typing import Any

log = logging.getLogger(__name__)

Manifest = dict[str, Any]
Path = tuple[str, ...]

_REFUSED = re.compile(
    r"(?<![\w\])])\.status((?:\.\w+)+): field not declared in schema"
)
_KEPT = 300.0
"""Seconds until a field is tried again: the CRD may be applied meanwhile."""


class UndeclaredFields:
    """The fields of statuses that were refused lately, by kind."""

    def __init__(self) -> None:
        self._until: dict[tuple[str, Path], float] = {}
        """By kind and path below `status`: until when it is left out
        (monotonic seconds).
        """

    def without(self, kind: str, manifest: Manifest) -> Manifest:
        """Return a manifest without the fields that its CRD refused."""
        now = time.monotonic()
        status = manifest.get("status")

        for (refused_by, path), until in self._until.items():
            if refused_by == kind and now < until and status is not None:
                status = _without(status, path)

        return manifest if status is None else {**manifest, "status": status}

    def learn(self, kind: str, refusal: str, sent: Manifest) -> bool:
        """Take in why the API server refused a manifest. Return whether it
        can be sent again, with less.
        """
        status = sent.get("status") or {}
        present = [path for path in _paths(refusal) if _has(status, path)]

        for path in present:
            until = self._until.get((kind, path), 0.0)
            now = time.monotonic()
            if until <= now:
                log.warning(
                    "the CRD of %s does not know status.%s, which is left out: apply the CRDs of this release",
                    kind,
                    ".".join(path),
                )

            self._until[kind, path] = now + _KEPT

        return bool(present)


def _paths(refusal: str) -> Iterator[Path]:
    """Yield the refused fields; those inside of lists are not among them."""
    for match in _REFUSED.finditer(refusal):
        yield tuple(match[1].removeprefix(".").split("."))


def _has(part: Manifest, path: Path) -> bool:
    first, *rest = path
    inner = part.get(first)
    if not rest:
        return first in part

    return isinstance(inner, dict) and _has(inner, tuple(rest))


def _without(part: Manifest, path: Path) -> Manifest:
    """Return a copy of a part without the field at a path."""
    first, *rest = path
    inner = part.get(first)
    if not rest:
        return {name: value for name, value in part.items() if name != first}

    if not isinstance(inner, dict):
        return part

    return {**part, first: _without(inner, tuple(rest))}
