"""One simulated router, by the simulator's control port: the world around the agent, moved by a test."""

from __future__ import annotations

import os
from typing import Any

import httpx

BINDING = "/ip/hotspot/ip-binding"
LIST = "/ip/firewall/address-list"
HOST = "/ip/hotspot/host"
ACTIVE = "/ip/hotspot/active"
COOKIE = "/ip/hotspot/cookie"
CONNECTION = "/ip/firewall/connection"
CERTAIN = (
    300.0 if os.environ.get("CEREBRO_TEST_WIREGUARD") == "Kernel" else 180.0
)
"""Seconds that anything may take on a busy machine, or in a virtual one; no test asserts on time."""


class Router:
    """A router by its name; `address_book` says where its API listens and who may log in."""

    def __init__(self, control: str, address_book: dict[str, Any]) -> None:
        self.name: str = address_book["name"]
        self.address_book = address_book
        self._control = control
        self._http = httpx.Client(
            base_url=f"{control}/routers/{self.name}", timeout=CERTAIN + 30
        )

    def _call(
        self, method: str, where: str, body: Any = None, **query: str
    ) -> Any:
        answer = self._http.request(method, where, json=body, params=query)
        if answer.is_error:
            raise AssertionError(
                f"simulator: {method} {where}: {answer.status_code} {answer.text}"
            )
        return answer.json()

    # --- clients

    def move_in(self, mac: str, ip: str, *, dhcp: bool = False) -> None:
        """Put a client there, or give it another address; with `dhcp` its host row is made at once."""
        self._call("POST", "/clients", {"mac": mac, "ip": ip, "dhcp": dhcp})

    def move_out(self, mac: str) -> None:
        self._call("DELETE", f"/clients/{mac}")

    def forwards(self, mac: str, flow: str | None = None) -> bool:
        """Send a packet of the client, in an established connection when `flow` names one."""
        body = {"mac": mac} if flow is None else {"mac": mac, "flow": flow}
        return bool(self._call("POST", "/packets", body)["forwarded"])

    def lets_in(self, mac: str) -> None:
        """Send packets until one is forwarded."""
        self._call(
            "POST",
            "/wait",
            {"mac": mac, "forwarded": True, "timeout": CERTAIN},
        )

    def cuts_off(self, mac: str, flow: str | None = None) -> None:
        """Send packets until one is not forwarded."""
        body: dict[str, Any] = {
            "mac": mac,
            "forwarded": False,
            "timeout": CERTAIN,
        }
        self._call(
            "POST", "/wait", body | ({} if flow is None else {"flow": flow})
        )

    def login(self, mac: str, user: str) -> None:
        """Log the client in as the portal would: an active row and a cookie."""
        self._call("POST", "/login", {"mac": mac, "user": user})

    # --- rows, as a person at the router sees and changes them

    def rows(self, path: str, **equal: str) -> list[dict[str, str]]:
        """Rows of a menu; underscores in names stand for dashes."""
        wanted = {
            name.replace("_", "-"): value for name, value in equal.items()
        }
        rows: list[dict[str, str]] = self._call("GET", "/tables", path=path)
        return [
            row
            for row in rows
            if all(row.get(name) == value for name, value in wanted.items())
        ]

    def row(self, path: str, **equal: str) -> dict[str, str]:
        """The only such row."""
        rows = self.rows(path, **equal)
        assert len(rows) == 1, f"{path} {equal}: {rows}"
        return rows[0]

    def access(self) -> dict[str, list[dict[str, str]]]:
        """All bindings and list rows."""
        return {path: self.rows(path) for path in (BINDING, LIST)}

    def add(self, path: str, **values: str) -> str:
        body = {
            "path": path,
            "values": {
                name.replace("_", "-"): value for name, value in values.items()
            },
        }
        return str(self._call("POST", "/rows", body)[".id"])

    def add_many(self, path: str, rows: list[dict[str, str]]) -> None:
        self._call("POST", "/rows", {"path": path, "values": rows})

    def change(self, path: str, row_id: str, **values: str) -> None:
        plain = {
            name.replace("_", "-"): value for name, value in values.items()
        }
        self._call(
            "PATCH", "/rows", {"path": path, ".id": row_id, "values": plain}
        )

    def remove(self, path: str, row_id: str) -> None:
        self._call("DELETE", "/rows", path=path, id=row_id)

    # --- the router itself

    def state(self) -> dict[str, Any]:
        return dict(self._call("GET", f"{self._control}/routers/{self.name}"))

    def sessions(self) -> int:
        """How many API sessions it has."""
        return int(self.state()["api_sessions"])

    def writes(self) -> int:
        """How many writes came by the API."""
        return int(self.state()["counters"]["writes"])

    def faults(self, **faults: Any) -> None:
        """Set faults; none clears them."""
        self._call("POST", "/faults", faults)

    def log(self, since: int = 0) -> list[dict[str, Any]]:
        return list(self._call("GET", "/log", since=str(since)))

    def reboot(self, seconds: float) -> None:
        self._call("POST", "/reboot", {"seconds": seconds})

    def swap(self, other: Router) -> None:
        """Change places with another router, which has the same user and password."""
        self._call("POST", "/swap", {"with": other.name})

    def close(self) -> None:
        self._http.close()
