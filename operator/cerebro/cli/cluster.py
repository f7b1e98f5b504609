"""How a person's command reaches the API server: the kubeconfig that kubectl would take, and errors in words."""

from __future__ import annotations

import os
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from cerebro.kube.client.api import KubeApi, Manifest
from cerebro.kube.client.connection import Connection, from_kubeconfig, in_cluster
from cerebro.kube.client.errors import NotFound
from cerebro.resources import KINDS, Resource
from cerebro.resources.values import NAME_PATTERN

TIMEOUT = 10.0
_NAME = re.compile(NAME_PATTERN)
_Result = TypeVar("_Result")
_Resource = TypeVar("_Resource", bound=Resource)


class CommandError(Exception):
    """A command that cannot do its work: `status` is the exit status, the message says what to do."""

    def __init__(self, message: str, *, status: int = 1) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True)
class Cluster:
    """An API server and the one namespace that a command is about."""

    api: KubeApi
    namespace: str

    async def read(self, kind: type[_Resource], name: str) -> _Resource:
        """Read one object. Raises KubeError (NotFound when it does not exist) and CommandError."""
        return model(kind, await self.api.get(KINDS[kind.__name__], self.namespace, name))

    async def find(self, kind: type[_Resource], name: str) -> _Resource | None:
        """Read one object; None when it does not exist, as one with a name that no object can have."""
        if not _NAME.fullmatch(name):
            return None
        try:
            return await self.read(kind, name)
        except NotFound:
            return None


def model(kind: type[_Resource], body: Manifest) -> _Resource:
    """Read an object with our model; raises CommandError naming the field that it cannot read."""
    try:
        return kind.model_validate(body)
    except ValidationError as error:
        field = ".".join(str(part) for part in error.errors()[0]["loc"])
        name = body["metadata"]["name"]
        raise CommandError(
            f"the {kind.__name__} {name} cannot be read here, see its {field}: correct it"
        ) from None


async def using(
    kubeconfig: Path | None, namespace: str | None, work: Callable[[Cluster], Awaitable[_Result]]
) -> _Result:
    """Do some work against the cluster. Raises ConfigError, KubeError and CommandError."""
    connection = _connection(kubeconfig)
    async with KubeApi(connection, timeout=TIMEOUT) as api:
        return await work(Cluster(api, namespace or connection.namespace or "default"))


def _connection(kubeconfig: Path | None) -> Connection:
    """Look where kubectl looks: the option, the first file of KUBECONFIG that exists, ~/.kube/config, the pod."""
    named = [Path(part) for part in os.environ.get("KUBECONFIG", "").split(os.pathsep) if part]
    usual = Path.home() / ".kube" / "config"
    if kubeconfig is not None or named:
        chosen = kubeconfig or next((path for path in named if path.is_file()), named[0])
        return from_kubeconfig(chosen)
    return from_kubeconfig(usual) if usual.is_file() else in_cluster()
