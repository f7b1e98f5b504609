"""A namespace with its agent, routers and objects, as the tests of the agent see them."""

from __future__ import annotations

import base64
import json
import secrets
import ssl
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

from controlplane import apply
from controlplane.server import ControlPlane
from integration.agent.process import AgentProcess
from integration.agent.router import BINDING, CERTAIN, Router

API = "relay.cerebro.dev/v1alpha1"
Object = dict[str, Any]
PLURALS = {
    "Session": "sessions",
    "Device": "devices",
    "DeviceCommand": "devicecommands",
}


class Relay:
    """One installation. `passwords` are all that were drawn for its routers."""

    def __init__(
        self, plane: ControlPlane, control: str, folder: Path
    ) -> None:
        self.plane, self.control, self.folder = plane, control, folder
        self.namespace = f"test-{secrets.token_hex(4)}"
        self.passwords: list[str] = []
        self.agents: list[AgentProcess] = []
        self.routers: list[Router] = []
        apply.apply_rights(plane, self.namespace)
        self._http = httpx.Client(
            base_url=plane.url,
            verify=ssl.create_default_context(
                cafile=str(plane.credentials.ca)
            ),
            headers={
                "Authorization": f"Bearer {plane.credentials.admin_token}"
            },
            timeout=CERTAIN,
        )

    def close(self) -> None:
        """End the agents and take the namespace away."""
        for agent in self.agents:
            if agent.runs():
                agent.end()
        for router in self.routers:
            httpx.delete(
                f"{self.control}/routers/{router.name}", timeout=CERTAIN
            )
            router.close()
        self.kubectl("delete", "namespace", self.namespace, "--wait=false")
        self._http.close()

    # --- the agent

    def agent(
        self, *, server: str | None = None, **environment: str
    ) -> AgentProcess:
        """Make an agent, not started yet, with the rights of its account; `server` may be a proxy."""
        kubeconfig = self.plane.account_kubeconfig(
            "cerebro-agent", self.namespace, server=server
        )
        base = {
            "KUBECONFIG": str(kubeconfig),
            "CEREBRO_NAMESPACE": self.namespace,
        }
        agent = AgentProcess(
            base | environment, self.folder / f"agent-{len(self.agents)}.log"
        )
        self.agents.append(agent)
        return agent

    # --- objects, as a person makes them

    def kubectl(self, *arguments: str, stdin: str | None = None) -> str:
        return self.plane.kubectl(
            "--namespace", self.namespace, *arguments, stdin=stdin
        )

    def apply(self, *manifests: Object) -> None:
        items = [{"apiVersion": API, **manifest} for manifest in manifests]
        self.kubectl(
            "apply",
            "-f",
            "-",
            stdin=json.dumps(
                {"apiVersion": "v1", "kind": "List", "items": items}
            ),
        )

    def create(self, *manifests: Object) -> None:
        """Create Sessions one right after another, faster than kubectl does."""
        path = f"/apis/{API}/namespaces/{self.namespace}/sessions"
        for manifest in manifests:
            body = {"apiVersion": API, **manifest}
            self._http.post(path, json=body).raise_for_status()

    def sessions(self) -> list[Object]:
        """Read all Sessions."""
        path = f"/apis/{API}/namespaces/{self.namespace}/sessions"
        answer = self._http.get(path)
        answer.raise_for_status()
        return list(answer.json()["items"])

    def session(
        self,
        name: str,
        device: str,
        mac: str | None = None,
        ip: str | None = None,
        **spec: Any,
    ) -> None:
        self.apply(a_session(name, device, mac, ip, **spec))

    def patch(self, kind: str, name: str, **spec: Any) -> None:
        """Change fields of a spec; None takes one away."""
        self.kubectl(
            "patch",
            kind,
            name,
            "--type=merge",
            "-p",
            json.dumps({"spec": spec}),
        )

    def take_up_again(self, name: str) -> None:
        """Do what the operator does, which does not run here: a finished Session was changed, so it is not."""
        words = (
            "--subresource=status",
            "--type=merge",
            "-p",
            '{"status":{"finished":false}}',
        )
        self.kubectl("patch", "session", name, *words)

    def delete(self, kind: str, *names: str) -> None:
        self.kubectl("delete", kind, *names)

    def secret(
        self, name: str, username: str, password: str, **more: Any
    ) -> None:
        """Make or change the Secret with a router's credentials."""
        self.passwords.append(password)
        data = {
            "username": username,
            "password": password,
            **more.pop("data", {}),
        }
        encoded = {
            key: base64.b64encode(value.encode()).decode()
            for key, value in data.items()
        }
        manifest = {
            "apiVersion": "v1",
            "kind": "Secret",
            "type": more.pop("type", "relay.cerebro.dev/router"),
            "metadata": {"name": name, **more},
            "data": encoded,
        }
        self.apply(manifest)

    def router(
        self,
        *,
        device: Object | None = None,
        secret: Object | None = None,
        credentials: bool = True,
        metadata: Object | None = None,
        **options: Any,
    ) -> Router:
        """Make a simulated router with a password of its own, its Secret and its Device.

        `device` are fields of the Device's spec, `secret` what is odd about the Secret, `credentials` False: no
        Secret; the other options are the simulator's.
        """
        name = f"r-{secrets.token_hex(4)}"
        password = secrets.token_urlsafe(18)
        self.passwords.append(password)
        body = {
            "name": name,
            "password": password,
            "serial": f"SN{name}",
            **options,
        }
        # In ASCII: there half a surrogate pair can stand for a byte that is no UTF-8.
        answer = httpx.post(
            f"{self.control}/routers",
            content=json.dumps(body),
            timeout=CERTAIN,
        )
        answer.raise_for_status()
        router = Router(self.control, answer.json())
        self.routers.append(router)
        if credentials:
            self.secret(
                name, router.address_book["user"], password, **(secret or {})
            )
        api = {
            "address": "127.0.0.1",
            "port": router.address_book["port"],
            "allowPlaintext": True,
            "credentialsSecretRef": {"name": name},
            "timeout": "2s",
            **(device or {}).pop("api", {}),
        }
        spec = {
            "api": api,
            "circuitBreaker": {"recoveryTime": "1s"},
            **(device or {}),
        }
        self.apply(
            {
                "kind": "Device",
                "metadata": {"name": name, **(metadata or {})},
                "spec": spec,
            }
        )
        return router

    # --- what is so

    def get(self, kind: str, name: str) -> Object:
        """Read an object; empty when there is none."""
        path = (
            f"/apis/{API}/namespaces/{self.namespace}/{PLURALS[kind]}/{name}"
        )
        answer = self._http.get(path)
        if answer.status_code == 404:
            return {}
        answer.raise_for_status()
        return dict(answer.json())

    def status(self, name: str, kind: str = "Session") -> Object:
        return dict(self.get(kind, name).get("status") or {})

    def condition(self, kind: str, name: str, condition: str) -> Object:
        """A condition; empty when it is not said."""
        found = [
            one
            for one in self.status(name, kind).get("conditions", [])
            if one["type"] == condition
        ]
        return found[0] if found else {}

    def until(
        self,
        check: Callable[[], object],
        what: str,
        seen: Callable[[], object] = lambda: "",
    ) -> None:
        """Wait until something is so; fail with what was seen last."""
        deadline = time.monotonic() + CERTAIN
        while not check():
            assert time.monotonic() < deadline, (
                f"not within {CERTAIN:g} s: {what}; seen last: {seen()}"
            )
            time.sleep(0.05)

    def until_phase(self, name: str, phase: str) -> Object:
        """Wait until a Session has a phase, for the spec that it has now; gives its status."""

        def there() -> bool:
            found = self.get("Session", name)
            status = found.get("status") or {}
            return bool(
                status.get("phase") == phase
                and status.get("observedGeneration")
                == found["metadata"]["generation"]
            )

        self.until(
            there, f"Session {name} is {phase}", lambda: self.status(name)
        )
        return self.status(name)

    def until_active(self, *names: str) -> Object:
        """Wait until Sessions are Active and Enforced; gives the status of the last."""
        for name in names:
            self.until_phase(name, "Active")
            self.until_condition("Session", name, "Enforced", "True")
        return self.status(names[-1])

    def until_finished(self, name: str) -> Object:
        """Wait until the end of a Session is enforced; gives its status."""
        self.until(
            lambda: self.status(name).get("finished"),
            f"Session {name} is finished",
            lambda: self.status(name),
        )
        return self.status(name)

    def until_condition(
        self,
        kind: str,
        name: str,
        condition: str,
        status: str,
        reason: str | None = None,
    ) -> Object:
        """Wait until a condition has a status, and a reason; gives it."""

        found: Object = {}

        def there() -> bool:
            nonlocal found
            found = self.condition(kind, name, condition)
            return found.get("status") == status and reason in (
                None,
                found.get("reason"),
            )

        what = f"{condition} of {kind} {name} is {status} {reason or ''}"
        self.until(there, what, lambda: self.status(name, kind))
        return found

    def until_resynced(self, router: Router) -> None:
        """Wait until everything on a router was read twice more and nothing written between: what was to be done
        has been done, and no pass is in its midst.
        """
        entries = router.log()
        start = entries[-1]["n"] if entries else 0

        def settled() -> bool:
            reader = None
            for entry in router.log(start):
                if _reads_all(entry["sentence"]):
                    if entry["session"] == reader:
                        return True
                    reader = entry["session"]
                elif _writes(entry["sentence"]):
                    reader = None
            return False

        self.until(
            settled,
            f"two more resyncs of {router.name}",
            lambda: router.log(start)[-5:],
        )

    def until_observed(self, router: Router) -> None:
        """Wait until the agent has said something of a Device as it is now."""

        def observed() -> bool:
            generation = self.get("Device", router.name)["metadata"][
                "generation"
            ]
            return bool(
                self.condition("Device", router.name, "Ready").get(
                    "observedGeneration"
                )
                == generation
            )

        self.until(
            observed,
            f"Device {router.name} is observed",
            lambda: self.get("Device", router.name),
        )

    def events(self, name: str) -> list[str]:
        """The reasons of the Events about an object."""
        items = json.loads(self.kubectl("get", "events", "-o", "json"))[
            "items"
        ]
        return [
            item["reason"]
            for item in items
            if item["involvedObject"].get("name") == name
        ]

    def leaks(self) -> list[str]:
        """Name the places where a password is seen: logs, objects, events, metrics."""
        texts = {
            f"log of agent {i}": agent.output()
            for i, agent in enumerate(self.agents)
        }
        texts |= {
            f"metrics of agent {i}": agent.metrics()
            for i, agent in enumerate(self.agents)
            if agent.runs()
        }
        kinds = "devices,sessions,hubs,peers,devicecommands,leases,events,events.events.k8s.io"
        texts["objects"] = self.kubectl(
            "get", kinds, "-o", "json", "--show-managed-fields"
        )
        return [
            place
            for place, text in texts.items()
            for word in set(self.passwords)
            if word in text
        ]


def _reads_all(sentence: list[str]) -> bool:
    """Tell whether this is the first print of a pass over everything: all bindings, without a query."""
    return sentence[0] == f"{BINDING}/print" and not any(
        word.startswith("?") for word in sentence
    )


def _writes(sentence: list[str]) -> bool:
    return sentence[0].rpartition("/")[2] in (
        "add",
        "set",
        "remove",
        "move",
        "enable",
        "disable",
        "unset",
    )


def a_session(
    name: str,
    device: str,
    mac: str | None = None,
    ip: str | None = None,
    **spec: Any,
) -> Object:
    """A manifest of a Session; `metadata` among the keywords is added to its metadata."""
    client = {
        key: value
        for key, value in (("macAddress", mac), ("ipAddress", ip))
        if value
    }
    metadata = {"name": name, **spec.pop("metadata", {})}
    spec = {
        "deviceRef": {"name": device},
        **({"client": client} if client else {}),
        **spec,
    }
    return {"kind": "Session", "metadata": metadata, "spec": spec}


def in_seconds(seconds: float) -> str:
    """A time from now, in whole seconds, rounded up, as a manifest has it."""
    moment = datetime.now(UTC) + timedelta(seconds=seconds + 0.999)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def at(text: str) -> datetime:
    """A time of a status."""
    return datetime.fromisoformat(text)


def not_status(manifest: Object) -> Object:
    """All of an object that is its maker's: everything but status and what the API server counts."""
    metadata = dict(manifest["metadata"])
    metadata.pop("resourceVersion")
    fields = metadata.pop("managedFields", [])
    metadata["managedFields"] = [
        entry for entry in fields if entry.get("subresource") != "status"
    ]
    return {**manifest, "metadata": metadata, "status": None}
