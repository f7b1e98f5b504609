"""The calls we make to the Kubernetes API server, each with a deadline and with errors from
`cerebro.kube.client.errors`.

Answers are plain dictionaries as the server sent them: whoever writes hands the answer to the Store, so that
it reads its own writes. No retries here (but a new token after a 401): the loops own their back-off.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, Self

from cerebro.kube.client.connection import Connection
from cerebro.kube.client.errors import Expired, Invalid, Unavailable
from cerebro.kube.client.transport import APPLY_PATCH, Transport
from cerebro.kube.objects import Listing
from cerebro.resources import API_GROUP, API_VERSION, Kind
from cerebro.resources.kinds import UID_COLUMN

Manifest = dict[str, Any]

PAGE = 500
"""Objects in one page of a list."""
_TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"
_RESTARTS = 3
_GROUP = f"/apis/{API_GROUP}/{API_VERSION}"
_LEASES = "/apis/coordination.k8s.io/v1"
_EVENTS = "/apis/events.k8s.io/v1"


@dataclass(frozen=True)
class Secret:
    """A Secret as we use it. Its repr shows no value."""

    namespace: str
    name: str
    uid: str
    type: str
    annotations: Mapping[str, str]
    data: Mapping[str, bytes] = field(repr=False)

    def text(self, key: str) -> str | None:
        """Give one value as text, None when it is absent; raises Invalid when it is not UTF-8."""
        value = self.data.get(key)
        try:
            return None if value is None else value.decode("utf-8")
        except UnicodeDecodeError:
            raise Invalid(f"Secret {self.namespace}/{self.name}: {key} is not UTF-8 text") from None


class KubeApi:
    """Typed face of one connection to the API server; use it as an async context manager.

    Every method raises KubeError only. `timeout` bounds each request in seconds.
    """

    def __init__(self, connection: Connection, *, timeout: float = 10.0) -> None:
        self._transport = Transport(connection, timeout=timeout)

    async def __aenter__(self) -> Self:
        await self._transport.__aenter__()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._transport.__aexit__(*error)

    @property
    def connection(self) -> Connection:
        """The connection that this was made with."""
        return self._transport.connection

    @property
    def clock_skew(self) -> float | None:
        """Seconds that our clock is ahead of the API server's (rule A9); None before its first answer."""
        return self._transport.clock_skew

    @property
    def last_contact(self) -> float | None:
        """Monotonic time of the last answer of an API server at work; None before the first."""
        return self._transport.last_contact

    def forbidden_since(self) -> float | None:
        """Monotonic time since when a call of ours is answered 403 (rule E10: 60 s of it make us unready)."""
        return self._transport.forbidden_since()

    # Our own kinds

    async def get(self, kind: Kind, namespace: str, name: str) -> Manifest:
        """Read one object; NotFound says that it does not exist, never that its CRD is missing."""
        return await self._call("GET", kind, namespace, name)

    async def create(self, kind: Kind, namespace: str, manifest: Manifest) -> Manifest:
        """Create an object (apiVersion and kind are filled in); AlreadyExists when its name is taken."""
        body = {"apiVersion": f"{API_GROUP}/{API_VERSION}", "kind": kind.kind, **manifest}
        return await self._call("POST", kind, namespace, body=body)

    async def patch(
        self,
        kind: Kind,
        namespace: str,
        name: str,
        patch: Manifest,
        *,
        subresource: Literal["status"] | None = None,
        resource_version: str | None = None,
    ) -> Manifest:
        """Apply a merge patch; with `resource_version` only to that version, else Conflict."""
        if resource_version is not None:
            patch = {**patch, "metadata": {**patch.get("metadata", {}), "resourceVersion": resource_version}}
        return await self._call(
            "PATCH",
            kind,
            namespace,
            name,
            subresource,
            body=patch,
            content_type="application/merge-patch+json",
        )

    async def apply(
        self,
        kind: Kind,
        namespace: str,
        name: str,
        manifest: Manifest,
        *,
        field_manager: str,
        subresource: Literal["status"] | None = None,
        force: bool = True,
    ) -> Manifest:
        """Server-side apply: fields of ours that the manifest lacks go. An absent object is created, unless
        `status`.
        """
        body = {
            **manifest,
            "apiVersion": f"{API_GROUP}/{API_VERSION}",
            "kind": kind.kind,
            "metadata": {**manifest.get("metadata", {}), "name": name, "namespace": namespace},
        }
        return await self._call(
            "PATCH",
            kind,
            namespace,
            name,
            subresource,
            body=body,
            query={"fieldManager": field_manager, "force": str(force).lower()},
            content_type=APPLY_PATCH,
        )

    async def delete(
        self,
        kind: Kind,
        namespace: str,
        name: str,
        *,
        uid: str | None = None,
        resource_version: str | None = None,
    ) -> None:
        """Delete an object; Conflict when it is no more that UID or version, NotFound when it is gone."""
        conditions = {"uid": uid, "resourceVersion": resource_version}
        body = {"preconditions": {key: value for key, value in conditions.items() if value is not None}}
        await self._call("DELETE", kind, namespace, name, body=body)

    async def list_uids(self, kind: Kind, namespace: str, *, field_selector: str | None = None) -> Listing:
        """List a collection as names by UID, all of one moment (rule E7).

        The Table form with the UID column costs 42 bytes an object instead of 1,200. A 404 is Unavailable: a
        CRD that is not served is no empty collection (rule E13).
        """
        for _ in range(_RESTARTS):
            uids: dict[str, str] = {}
            version = 0
            try:
                async for page in self._pages(
                    kind, namespace, field_selector, {"includeObject": "None"}, _TABLE
                ):
                    version = int(page["metadata"]["resourceVersion"])
                    uids.update(_rows(kind, page))
            except Expired:
                continue
            return Listing(uids, version)
        raise Unavailable(
            f"list {kind.plural} in {namespace}: expired {_RESTARTS} times before its last page"
        )

    async def list_cells(
        self, kind: Kind, namespace: str, *, field_selector: str | None = None
    ) -> list[dict[str, Any]]:
        """List a collection as a Table without objects: cells by the column's name in lower case."""
        table: list[dict[str, Any]] = []
        async for page in self._pages(kind, namespace, field_selector, {"includeObject": "None"}, _TABLE):
            table.extend(_cells(page))
        return table

    async def list_objects(
        self, kind: Kind, namespace: str, *, field_selector: str | None = None
    ) -> AsyncIterator[Manifest]:
        """Go over whole objects, a page at a time; Expired (an Unavailable) when it took too long."""
        async for page in self._pages(kind, namespace, field_selector, {}, "application/json"):
            for item in page["items"]:
                yield item

    # What the server serves

    async def served(self) -> dict[str, frozenset[str]]:
        """Give the verbs by plural of our group as discovery has them; a missing group is Unavailable."""
        answer = await self._transport.request("GET", _GROUP, what=f"discover {API_GROUP}/{API_VERSION}")
        return {
            entry["name"]: frozenset(entry.get("verbs") or ())
            for entry in answer.get("resources") or ()
            if "/" not in entry["name"]
        }

    async def get_namespace(self, name: str) -> Manifest:
        """Read a namespace; Unavailable with status 403 where our role does not allow it."""
        path = f"/api/v1/namespaces/{name}"
        return await self._mapping("GET", path, what=f"get namespace {name}", named=True)

    # Secrets

    async def get_secret(self, namespace: str, name: str) -> Secret:
        """Read a Secret by name, its values decoded."""
        path = f"/api/v1/namespaces/{namespace}/secrets/{name}"
        what = f"get Secret {namespace}/{name}"
        answer = await self._mapping("GET", path, what=what, named=True)
        try:
            data = {key: base64.b64decode(value) for key, value in (answer.get("data") or {}).items()}
        except (binascii.Error, TypeError):
            raise Unavailable(f"{what}: its data is not base64") from None
        meta = answer["metadata"]
        return Secret(
            namespace, name, meta["uid"], answer.get("type", ""), meta.get("annotations") or {}, data
        )

    async def create_secret(
        self,
        namespace: str,
        name: str,
        *,
        type: str,  # noqa: A002 the field's own name
        data: Mapping[str, bytes],
        annotations: Mapping[str, str] | None = None,
        labels: Mapping[str, str] | None = None,
        owner: Manifest | None = None,
    ) -> None:
        """Create a Secret; `owner` is an owner reference without blockOwnerDeletion (rule E6)."""
        meta: Manifest = {"name": name, "annotations": dict(annotations or {}), "labels": dict(labels or {})}
        if owner is not None:
            meta["ownerReferences"] = [owner]
        body = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": meta,
            "type": type,
            "data": {key: base64.b64encode(value).decode("ascii") for key, value in data.items()},
        }
        path = f"/api/v1/namespaces/{namespace}/secrets"
        await self._transport.request(
            "POST", path, what=f"create Secret {namespace}/{name}", body=body, secret=True
        )

    async def delete_secret(self, namespace: str, name: str) -> None:
        """Delete a Secret by name; NotFound when it is gone."""
        path = f"/api/v1/namespaces/{namespace}/secrets/{name}"
        await self._transport.request(
            "DELETE", path, what=f"delete Secret {namespace}/{name}", named=True, secret=True
        )

    # Leases and Events; their meaning is in lease.py and events.py

    async def get_lease(self, namespace: str, name: str) -> Manifest:
        """Read a Lease."""
        path = f"{_LEASES}/namespaces/{namespace}/leases/{name}"
        return await self._mapping("GET", path, what=f"get Lease {namespace}/{name}", named=True)

    async def create_lease(self, namespace: str, manifest: Manifest) -> Manifest:
        """Create a Lease."""
        path = f"{_LEASES}/namespaces/{namespace}/leases"
        what = f"create Lease {namespace}/{manifest['metadata']['name']}"
        return await self._mapping("POST", path, what=what, body=manifest)

    async def replace_lease(self, namespace: str, name: str, manifest: Manifest) -> Manifest:
        """Replace a Lease; the manifest carries the resourceVersion it was read at, else Conflict."""
        path = f"{_LEASES}/namespaces/{namespace}/leases/{name}"
        return await self._mapping(
            "PUT", path, what=f"renew Lease {namespace}/{name}", body=manifest, named=True
        )

    async def create_event(self, namespace: str, manifest: Manifest) -> None:
        """Create an Event of events.k8s.io/v1."""
        path = f"{_EVENTS}/namespaces/{namespace}/events"
        await self._transport.request("POST", path, what=f"post Event in {namespace}", body=manifest)

    # Paths and pages

    async def _call(
        self,
        method: str,
        kind: Kind,
        namespace: str,
        name: str | None = None,
        subresource: str | None = None,
        *,
        body: object = None,
        query: dict[str, str] | None = None,
        content_type: str = "application/json",
    ) -> Manifest:
        path = f"{_GROUP}/namespaces/{namespace}/{kind.plural}"
        if name is not None:
            path += f"/{name}"
        if subresource is not None:
            path += f"/{subresource}"
        what = f"{method.lower()} {kind.kind} {namespace}/{name or ''}{' status' if subresource else ''}"
        return await self._mapping(
            method, path, what=what, named=name is not None, body=body, query=query, content_type=content_type
        )

    async def _mapping(self, method: str, path: str, **request: Any) -> Manifest:
        answer: Manifest = await self._transport.request(method, path, **request)
        return answer

    async def _pages(
        self, kind: Kind, namespace: str, field_selector: str | None, query: dict[str, str], accept: str
    ) -> AsyncIterator[Manifest]:
        query = {**query, "limit": str(PAGE)}
        if field_selector:
            query["fieldSelector"] = field_selector
        path = f"{_GROUP}/namespaces/{namespace}/{kind.plural}"
        while True:
            page = await self._mapping(
                "GET", path, what=f"list {kind.plural} in {namespace}", query=query, accept=accept
            )
            yield page
            following = page["metadata"].get("continue")
            if not following:
                return
            query["continue"] = following


def _rows(kind: Kind, page: Manifest) -> dict[str, str]:
    """Read names by UID from one Table page."""
    try:
        return {cells[UID_COLUMN.cell]: cells["name"] for cells in _cells(page)}
    except KeyError:
        raise Unavailable(
            f"list {kind.plural}: no UID column: apply the CRDs of this release (crds/)"
        ) from None


def _cells(page: Manifest) -> Iterator[dict[str, Any]]:
    """Read the rows of one Table page."""
    columns = [column["name"].lower() for column in page.get("columnDefinitions") or ()]
    for row in page.get("rows") or ():
        yield dict(zip(columns, row["cells"], strict=True))


def server_now(api: KubeApi) -> datetime:
    """Give the API server's time as far as we know it: a wrong clock here must not end what is not over."""
    return datetime.now(UTC) - timedelta(seconds=api.clock_skew or 0.0)
