"""The calls that we make to the Kubernetes API server, each with a deadline.

Errors are those of `errors.py`. Answers are plain dictionaries as the server
sent them: whoever writes hands the answer to the Store, so that it reads its
own writes. Nothing is tried again here, but once with a new token after a 401:
the loops own their back-off.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any, Literal, Self

from cerebro.kube.client.connection import Connection
from cerebro.kube.client.errors import Expired, Unavailable
from cerebro.kube.client.secrets import Secret, secret_from, secret_manifest
from cerebro.kube.client.tables import ACCEPT, names_by_uid, rows_of
from cerebro.kube.client.transport import APPLY_PATCH, Transport
from cerebro.kube.client.undeclared import UndeclaredFields
from cerebro.kube.objects import Listing
from cerebro.resources import API_GROUP, API_VERSION, Kind
from cerebro.runtime.times import Monotonic

Manifest = dict[str, Any]
"""An object in the form of the API."""

PAGE = 500
"""Objects in one page of a list."""
_RESTARTS = 3
"""Times that a list is begun which expired before its last page."""
_GROUP = f"/apis/{API_GROUP}/{API_VERSION}"
_LEASES = "/apis/coordination.k8s.io/v1"
_EVENTS = "/apis/events.k8s.io/v1"


class KubeApi:
    """Typed face of one connection to the API server; use it as an async
    context manager.

    Every method raises KubeError only.
    """

    def __init__(
        self, connection: Connection, *, timeout: float = 10.0
    ) -> None:
        """`timeout` bounds each request, in seconds."""
        self._transport = Transport(connection, timeout=timeout)
        self._undeclared = UndeclaredFields()

    async def __aenter__(self) -> Self:
        await self._transport.__aenter__()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._transport.__aexit__(*error)

    @property
    def connection(self) -> Connection:
        """Where the API server is, and who we are there."""
        return self._transport.connection

    @property
    def clock_skew(self) -> float | None:
        """Seconds that our clock is ahead of the API server's (rule A9); None
        before its first answer.
        """
        return self._transport.clock_skew

    @property
    def last_contact(self) -> Monotonic | None:
        """Time of the last answer of an API server at work; None before the
        first.
        """
        return self._transport.last_contact

    def forbidden_since(self) -> Monotonic | None:
        """Return since when a call of ours is answered 403, None if none is.

        60 s of it make the process unready (rule E10).
        """
        return self._transport.forbidden_since()

    # Our own kinds

    async def get(self, kind: Kind, namespace: str, name: str) -> Manifest:
        """Read one object.

        Raises NotFound if the object does not exist, never because its CRD is
        missing.
        """
        return await self._call("GET", kind, namespace, name)

    async def create(
        self, kind: Kind, namespace: str, manifest: Manifest
    ) -> Manifest:
        """Create an object; apiVersion and kind are filled in. Return it as
        the server has it.

        Raises AlreadyExists if its name is taken.
        """
        body = {
            "apiVersion": f"{API_GROUP}/{API_VERSION}",
            "kind": kind.kind,
            **manifest,
        }

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
        """Apply a merge patch; return the object as the server has it then.

        With `resource_version` the patch holds only for that version: for
        every other one Conflict is raised.
        """
        if resource_version is not None:
            metadata = {
                **patch.get("metadata", {}),
                "resourceVersion": resource_version,
            }

            patch = {**patch, "metadata": metadata}

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
        """Apply a manifest by the server; return the object as the server has
        it then.

        Fields of `field_manager` that the manifest lacks go. An absent object
        is created, unless the subresource is `status`. Without `force` a field
        of another manager raises Conflict. Fields of a status that an older
        CRD does not declare are left out.
        """
        metadata = {
            **manifest.get("metadata", {}),
            "name": name,
            "namespace": namespace,
        }

        body = {
            **manifest,
            "apiVersion": f"{API_GROUP}/{API_VERSION}",
            "kind": kind.kind,
            "metadata": metadata,
        }

        query = {"fieldManager": field_manager, "force": str(force).lower()}

        while True:
            sent = self._undeclared.without(kind.kind, body)
            try:
                return await self._call(
                    "PATCH",
                    kind,
                    namespace,
                    name,
                    subresource,
                    body=sent,
                    query=query,
                    content_type=APPLY_PATCH,
                )
            except Unavailable as error:
                if not self._undeclared.learn(kind.kind, str(error), sent):
                    raise

    async def delete(
        self,
        kind: Kind,
        namespace: str,
        name: str,
        *,
        uid: str | None = None,
        resource_version: str | None = None,
    ) -> None:
        """Delete an object.

        Raises NotFound if it is gone, and Conflict if it has another UID or
        version than the one given.
        """
        conditions = {"uid": uid, "resourceVersion": resource_version}
        given = {
            key: value
            for key, value in conditions.items()
            if value is not None
        }

        body = {"preconditions": given}
        await self._call("DELETE", kind, namespace, name, body=body)

    async def list_uids(
        self, kind: Kind, namespace: str, *, field_selector: str | None = None
    ) -> Listing:
        """Return a collection as names by UID, all of one moment (rule E7).

        The Table form with the UID column costs 42 bytes an object instead of
        1,200. A 404 raises Unavailable: a CRD that is not served is no empty
        collection (rule E13).
        """
        for _ in range(_RESTARTS):
            uids: dict[str, str] = {}
            version = 0
            try:
                async for page in self._pages(
                    kind,
                    namespace,
                    field_selector,
                    {"includeObject": "None"},
                    ACCEPT,
                ):
                    version = int(page["metadata"]["resourceVersion"])
                    uids.update(names_by_uid(kind, page))
            except Expired:
                continue

            return Listing(uids, version)

        raise Unavailable(
            f"list {kind.plural} in {namespace}: expired {_RESTARTS} times before its last page"
        )

    async def list_cells(
        self, kind: Kind, namespace: str, *, field_selector: str | None = None
    ) -> list[dict[str, Any]]:
        """Return a collection as a Table without objects: a row each, cells by
        the column's name in lower case.
        """
        table: list[dict[str, Any]] = []
        async for page in self._pages(
            kind, namespace, field_selector, {"includeObject": "None"}, ACCEPT
        ):
            table.extend(rows_of(page))

        return table

    async def list_objects(
        self,
        kind: Kind,
        namespace: str,
        *,
        field_selector: str | None = None,
        label_selector: str | None = None,
    ) -> AsyncIterator[Manifest]:
        """Yield the objects of a collection, read a page at a time.

        Raises Expired, an Unavailable, if that took too long.
        """
        query = {"labelSelector": label_selector} if label_selector else {}
        async for page in self._pages(
            kind, namespace, field_selector, query, "application/json"
        ):
            for item in page["items"]:
                yield item

    # What the server serves

    async def served(self) -> dict[str, frozenset[str]]:
        """Return the verbs of our kinds as discovery has them, by plural. A
        missing group raises Unavailable.
        """
        answer = await self._transport.request(
            "GET", _GROUP, call=f"discover {API_GROUP}/{API_VERSION}"
        )

        verbs: dict[str, frozenset[str]] = {}

        for entry in answer.get("resources") or ():
            is_subresource = "/" in entry["name"]
            if not is_subresource:
                verbs[entry["name"]] = frozenset(entry.get("verbs") or ())

        return verbs

    async def get_namespace(self, name: str) -> Manifest:
        """Read a namespace. Raises Unavailable with status 403 if our role
        does not allow it.
        """
        path = f"/api/v1/namespaces/{name}"

        return await self._mapping(
            "GET", path, call=f"get namespace {name}", named=True
        )

    # Secrets

    async def get_secret(self, namespace: str, name: str) -> Secret:
        """Read a Secret by name, its values decoded."""
        path = f"/api/v1/namespaces/{namespace}/secrets/{name}"
        call = f"get Secret {namespace}/{name}"
        answer = await self._mapping("GET", path, call=call, named=True)

        return secret_from(answer, namespace, name, call=call)

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
        """Create a Secret; `owner` is an owner reference without
        blockOwnerDeletion (rule E6).

        Raises AlreadyExists if its name is taken.
        """
        body = secret_manifest(
            name,
            type=type,
            data=data,
            annotations=annotations or {},
            labels=labels or {},
            owner=owner,
        )

        path = f"/api/v1/namespaces/{namespace}/secrets"
        await self._transport.request(
            "POST",
            path,
            call=f"create Secret {namespace}/{name}",
            body=body,
            secret=True,
        )

    async def delete_secret(self, namespace: str, name: str) -> None:
        """Delete a Secret by name. Raises NotFound if it is gone."""
        path = f"/api/v1/namespaces/{namespace}/secrets/{name}"
        await self._transport.request(
            "DELETE",
            path,
            call=f"delete Secret {namespace}/{name}",
            named=True,
            secret=True,
        )

    # Leases and Events; their meaning is in lease.py and events.py

    async def get_lease(self, namespace: str, name: str) -> Manifest:
        """Read a Lease of coordination.k8s.io/v1."""
        path = f"{_LEASES}/namespaces/{namespace}/leases/{name}"

        return await self._mapping(
            "GET", path, call=f"get Lease {namespace}/{name}", named=True
        )

    async def create_lease(
        self, namespace: str, manifest: Manifest
    ) -> Manifest:
        """Create a Lease. Raises AlreadyExists if its name is taken."""
        path = f"{_LEASES}/namespaces/{namespace}/leases"
        call = f"create Lease {namespace}/{manifest['metadata']['name']}"

        return await self._mapping("POST", path, call=call, body=manifest)

    async def replace_lease(
        self, namespace: str, name: str, manifest: Manifest
    ) -> Manifest:
        """Replace a Lease in the version that the manifest names. Raises
        Conflict if it has another by now.
        """
        path = f"{_LEASES}/namespaces/{namespace}/leases/{name}"

        return await self._mapping(
            "PUT",
            path,
            call=f"renew Lease {namespace}/{name}",
            body=manifest,
            named=True,
        )

    async def create_event(self, namespace: str, manifest: Manifest) -> None:
        """Create an Event of events.k8s.io/v1."""
        path = f"{_EVENTS}/namespaces/{namespace}/events"
        await self._transport.request(
            "POST", path, call=f"post Event in {namespace}", body=manifest
        )

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
        """Send a request about an object of ours, or about a collection if
        `name` is None.
        """

        path = f"{_GROUP}/namespaces/{namespace}/{kind.plural}"
        call = f"{method.lower()} {kind.kind} {namespace}/{name or ''}"

        if name is not None:
            path += f"/{name}"

        if subresource is not None:
            path += f"/{subresource}"
            call += " status"

        return await self._mapping(
            method,
            path,
            call=call,
            named=name is not None,
            body=body,
            query=query,
            content_type=content_type,
        )

    async def _mapping(
        self, method: str, path: str, **request: Any
    ) -> Manifest:
        answer: Manifest = await self._transport.request(
            method, path, **request
        )

        return answer

    async def _pages(
        self,
        kind: Kind,
        namespace: str,
        field_selector: str | None,
        query: dict[str, str],
        accept: str,
    ) -> AsyncIterator[Manifest]:
        """Yield the pages of a list; all are of the moment of the first."""
        query = {**query, "limit": str(PAGE)}
        if field_selector:
            query["fieldSelector"] = field_selector

        path = f"{_GROUP}/namespaces/{namespace}/{kind.plural}"
        while True:
            page = await self._mapping(
                "GET",
                path,
                call=f"list {kind.plural} in {namespace}",
                query=query,
                accept=accept,
            )

            yield page
            following = page["metadata"].get("continue")
            if not following:
                return

            query["continue"] = following
