"""An async client of the control port, one method for each endpoint; for tests
and for the demo.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import aiohttp

TIMEOUT = 30.0


class ControlError(Exception):
    """The control port refused; `status` is the HTTP status, the text its
    reason.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"{status}: {message}")
        self.status = status


class SimulatorControl:
    """Use as `async with SimulatorControl("http://127.0.0.1:18700") as
    control`, or `close` it at the end.
    """

    def __init__(self, base_url: str) -> None:
        self.base_url = base_url.rstrip("/")
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_exc: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _call(
        self,
        method: str,
        path: str,
        body: dict[str, Any] | None = None,
        query: dict[str, str] | None = None,
        timeout: float = TIMEOUT,  # noqa: ASYNC109 - handed on to the HTTP client
    ) -> Any:
        if self._session is None:
            self._session = aiohttp.ClientSession()
        limit = aiohttp.ClientTimeout(total=timeout)
        url = self.base_url + path
        async with self._session.request(
            method, url, json=body, params=query, timeout=limit
        ) as response:
            answer = await response.json()
            if response.status >= 400:
                raise ControlError(response.status, answer.get("error", ""))
            return answer

    async def health(self) -> bool:
        """Return whether the simulator answers. Raises aiohttp.ClientError
        when it does not.
        """
        return bool((await self._call("GET", "/health"))["ok"])

    async def routers(self) -> list[dict[str, Any]]:
        """Return all routers: name, address, port, user, password, version,
        serial, up.
        """
        return list(await self._call("GET", "/routers"))

    async def add_router(self, name: str, **options: Any) -> dict[str, Any]:
        """Make a router; options are those of RouterOptions (port 0 or none
        takes a free one).
        """
        return dict(
            await self._call("POST", "/routers", {"name": name, **options})
        )

    async def remove_router(self, router: str) -> None:
        """Stop and forget a router."""
        await self._call("DELETE", f"/routers/{router}")

    async def swap(self, router: str, other: str) -> dict[str, Any]:
        """Let two routers change places; return the first one as `routers`
        does.
        """
        return dict(
            await self._call(
                "POST", f"/routers/{router}/swap", {"with": other}
            )
        )

    async def router(self, router: str) -> dict[str, Any]:
        """Return the state: up, api_sessions, uptime (s), counters {commands,
        writes, logins}, faults.
        """
        return dict(await self._call("GET", f"/routers/{router}"))

    async def table(self, router: str, path: str) -> list[dict[str, str]]:
        """Return the rows of one menu as the API would show them."""
        return list(
            await self._call(
                "GET", f"/routers/{router}/tables", query={"path": path}
            )
        )

    async def tables(self, router: str) -> dict[str, list[dict[str, str]]]:
        """Return the rows of all menus by path."""
        return dict(await self._call("GET", f"/routers/{router}/tables"))

    async def add_row(self, router: str, path: str, **values: Any) -> str:
        """Add a row as a person at the router would; underscores in names
        stand for dashes. Returns its id.
        """
        body = {
            "path": path,
            "values": {
                name.replace("_", "-"): value for name, value in values.items()
            },
        }
        return str(
            (await self._call("POST", f"/routers/{router}/rows", body))[".id"]
        )

    async def add_rows(
        self, router: str, path: str, rows: Sequence[dict[str, Any]]
    ) -> list[str]:
        """Add many rows; names as the API has them. Returns their ids."""
        body = {"path": path, "values": list(rows)}
        return list(
            (await self._call("POST", f"/routers/{router}/rows", body))[".ids"]
        )

    async def set_row(
        self, router: str, path: str, row_id: str, **values: Any
    ) -> None:
        """Change a row; `row_id` is empty for the row of a singleton menu."""
        plain = {
            name.replace("_", "-"): value for name, value in values.items()
        }
        body = {"path": path, ".id": row_id, "values": plain}
        await self._call("PATCH", f"/routers/{router}/rows", body)

    async def remove_row(self, router: str, path: str, row_id: str) -> None:
        """Remove a row."""
        await self._call(
            "DELETE",
            f"/routers/{router}/rows",
            query={"path": path, "id": row_id},
        )

    async def move_in(
        self, router: str, mac: str, ip: str, *, dhcp: bool = False
    ) -> dict[str, str]:
        """Put a client there, or give it another address; `dhcp` makes the
        host row at once.
        """
        body = {"mac": mac, "ip": ip, "dhcp": dhcp}
        return dict(
            await self._call("POST", f"/routers/{router}/clients", body)
        )

    async def clients(self, router: str) -> list[dict[str, str]]:
        """Return the clients that are there: mac, ip."""
        return list(await self._call("GET", f"/routers/{router}/clients"))

    async def move_out(self, router: str, mac: str) -> None:
        """Take a client away; its rows stay."""
        await self._call("DELETE", f"/routers/{router}/clients/{mac}")

    async def packet(
        self, router: str, mac: str, flow: str | None = None
    ) -> dict[str, Any]:
        """Send a packet of the client to the internet: {forwarded, reason}."""
        body = {"mac": mac} if flow is None else {"mac": mac, "flow": flow}
        return dict(
            await self._call("POST", f"/routers/{router}/packets", body)
        )

    async def forwarded(
        self, router: str, mac: str, flow: str | None = None
    ) -> bool:
        """Return whether a packet of the client is forwarded."""
        return bool((await self.packet(router, mac, flow))["forwarded"])

    async def login(
        self, router: str, mac: str, user: str, password: str | None = None
    ) -> dict[str, str]:
        """Log the client in as the portal would; return the active row.
        Without password it is not checked.
        """
        body = {"mac": mac, "user": user} | (
            {} if password is None else {"password": password}
        )
        return dict(await self._call("POST", f"/routers/{router}/login", body))

    async def wait(
        self,
        router: str,
        mac: str,
        *,
        forwarded: bool = True,
        timeout: float = 10,  # noqa: ASYNC109 - handed on to the simulator
        flow: str | None = None,
    ) -> float:
        """Send packets until forwarded (or not) as wanted; return the seconds.
        ControlError 408 else.
        """
        body: dict[str, Any] = {
            "mac": mac,
            "forwarded": forwarded,
            "timeout": timeout,
        }
        if flow is not None:
            body["flow"] = flow
        answer = await self._call(
            "POST", f"/routers/{router}/wait", body, timeout=timeout + TIMEOUT
        )
        return float(answer["elapsed"])

    async def log(self, router: str, since: int = 0) -> list[dict[str, Any]]:
        """Return the commands after number `since`: n, t, session, sentence,
        outcome; the last 4000 are kept.
        """
        return list(
            await self._call(
                "GET", f"/routers/{router}/log", query={"since": str(since)}
            )
        )

    async def faults(self, router: str, **faults: Any) -> dict[str, Any]:
        """Set faults (see simulator.faults.Faults, and cut, stall_ms); none at
        all clears them.
        """
        return dict(
            await self._call("POST", f"/routers/{router}/faults", faults)
        )

    async def reboot(self, router: str, seconds: float = 2) -> None:
        """Reboot; back after `seconds`."""
        await self._call(
            "POST", f"/routers/{router}/reboot", {"seconds": seconds}
        )

    async def tunnel(
        self,
        router: str,
        public_key: str,
        endpoint: str,
        *,
        received: int = 0,
        sent: int = 0,
    ) -> None:
        """Shake hands with a WireGuard peer of the router, which comes from
        `endpoint` (address:port), and exchange bytes with it.
        """
        body = {
            "public_key": public_key,
            "endpoint": endpoint,
            "received": received,
            "sent": sent,
        }
        await self._call("POST", f"/routers/{router}/tunnel", body)

    async def advance_clock(self, router: str, seconds: float) -> None:
        """Push the router's own clock forward; return when the scripts that
        this made due have run, or wait in a delay.
        """
        await self._call(
            "POST", f"/routers/{router}/clock", {"advance": seconds}
        )

    async def shift_clock(self, router: str, seconds: float) -> None:
        """Put a router's date wrong, ahead or (negative) behind; no time
        passes.
        """
        await self._call(
            "POST", f"/routers/{router}/clock", {"shift": seconds}
        )

    async def set_clock(self, router: str) -> None:
        """Let a router whose date is lost or wrong learn it, as from an NTP
        server.
        """
        await self._call(
            "POST", f"/routers/{router}/clock", {"set_right": True}
        )

    async def run_script(
        self, router: str, source: str, policy: str | None = None
    ) -> dict[str, Any]:
        """Run a script now, with all rights unless `policy` says less; return
        done, error (None for none) and output, the lines of `:put`.
        """
        body = {"source": source}
        if policy is not None:
            body["policy"] = policy
        return dict(
            await self._call("POST", f"/routers/{router}/script", body)
        )
