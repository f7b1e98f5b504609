"""How a person's command reaches the API server: by the kubeconfig that kubectl would take.

What goes wrong becomes an error with a sentence that says what to do.
"""

from __future__ import annotations

import os
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from cerebro.kube.client.api import KubeApi, Manifest
from cerebro.kube.client.connection import (
    Connection,
    from_kubeconfig,
    in_cluster,
)
from cerebro.kube.client.errors import NotFound
from cerebro.resources import KINDS, Resource
from cerebro.resources.values import NAME_PATTERN

TIMEOUT = 10.0
"""Seconds for one request."""
_NAME = re.compile(NAME_PATTERN)
_Result = TypeVar("_Result")
_Resource = TypeVar("_Resource", bound=Resource)


class CommandError(Exception):
    """A command cannot do its work; the message says what to do."""

    def __init__(self, message: str, *, status: int = 1) -> None:
        """`status` is the exit status of the command."""
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True)
class Cluster:
    """An API server and the one namespace that a command is about."""

    api: KubeApi
    namespace: str

    async def read(self, kind: type[_Resource], name: str) -> _Resource:
        """Return one object as our model.

        Raises KubeError, NotFound among them if the object does not exist, and CommandError if our model cannot
        read it.
        """
        body = await self.api.get(KINDS[kind.__name__], self.namespace, name)

        return model(kind, body)

    async def find(self, kind: type[_Resource], name: str) -> _Resource | None:
        """Return one object as our model, None if it does not exist.

        A name that no object can have exists nowhere. Raises KubeError and CommandError.
        """
        if not _NAME.fullmatch(name):
            return None

        try:
            return await self.read(kind, name)
        except NotFound:
            return None


def model(kind: type[_Resource], body: Manifest) -> _Resource:
    """Return an object as our model. Raises CommandError that names the field which it cannot read."""
    try:
        return kind.model_validate(body)
    except ValidationError as error:
        field = ".".join(str(part) for part in error.errors()[0]["loc"])
        name = body["metadata"]["name"]

        raise CommandError(
            f"the {kind.__name__} {name} cannot be read here, see its {field}: correct it"
        ) from None


async def using(
    kubeconfig: Path | None,
    namespace: str | None,
    work: Callable[[Cluster], Awaitable[_Result]],
) -> _Result:
    """Do some work against the cluster, and return its result.

    The namespace is the one given, else that of the kubeconfig, else `default`. Raises ConfigError, KubeError
    and CommandError.
    """
    connection = _connection(kubeconfig)
    chosen = namespace or connection.namespace or "default"
    async with KubeApi(connection, timeout=TIMEOUT) as api:
        return await work(Cluster(api, chosen))


def _connection(kubeconfig: Path | None) -> Connection:
    """Look where kubectl looks: the option, the first file of KUBECONFIG that exists, ~/.kube/config, the pod.

    Raises ConfigError if none of them can be used.
    """

    if kubeconfig is not None:
        return from_kubeconfig(kubeconfig)

    named = [
        Path(part)
        for part in os.environ.get("KUBECONFIG", "").split(os.pathsep)
        if part
    ]

    if named:
        existing = [path for path in named if path.is_file()]
        return from_kubeconfig(existing[0] if existing else named[0])

    usual = Path.home() / ".kube" / "config"
    if usual.is_file():
        return from_kubeconfig(usual)

    return in_cluster()
