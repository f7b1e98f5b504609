"""The control port: HTTP and JSON for tests and for people, to stand beside
the routers and act on the world.

Errors are 4xx with {"error": text}.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import Any, Protocol

from aiohttp import web

from simulator.commands import Call
from simulator.dispatch import execute
from simulator.errors import Trap
from simulator.rights import POLICIES, ROOT, Rights
from simulator.router import Router

WAIT_PAUSE = 0.003
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class BadRequest(Exception):
    """What was asked cannot be done; `status` goes into the answer."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


@web.middleware
async def _errors(
    request: web.Request, handler: Handler
) -> web.StreamResponse:
    try:
        return await handler(request)
    except BadRequest as error:
        return web.json_response({"error": str(error)}, status=error.status)
    except Trap as trap:
        return web.json_response({"error": trap.message}, status=400)
    except (ValueError, TypeError, OSError) as error:
        return web.json_response({"error": str(error)}, status=400)
    except web.HTTPException as error:
        return web.json_response({"error": error.reason}, status=error.status)


async def _body(request: web.Request) -> dict[str, Any]:
    try:
        body = json.loads(await request.text() or "{}")
    except json.JSONDecodeError as error:
        raise BadRequest(f"body: no JSON: {error}") from None
    if not isinstance(body, dict):
        raise BadRequest("body: expects a JSON object")
    return body


def _text(body: dict[str, Any], name: str) -> str:
    value = body.get(name)
    if not isinstance(value, str) or not value:
        raise BadRequest(f"{name}: expects a text")
    return value


def _number(body: dict[str, Any], name: str, default: float) -> float:
    value = body.get(name, default)
    if (
        isinstance(value, bool)
        or not isinstance(value, int | float)
        or value < 0
    ):
        raise BadRequest(f"{name}: expects a number of 0 or more")
    return value


def _shift(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise BadRequest("shift: expects a number of seconds")
    return value


def _plain(values: Any, name: str = "values") -> dict[str, str]:
    if not isinstance(values, dict):
        raise BadRequest(f"{name}: expects an object of texts")
    return {key: _as_word(value) for key, value in values.items()}


def _as_word(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)


async def _quiet(router: Router) -> None:
    """Wait until no script has anything to do; one in a delay has not."""
    while router.scripts.jobs.busy:  # noqa: ASYNC110 - scripts run in slices of this loop
        await asyncio.sleep(0)


def act(
    router: Router, path: str, verb: str, arguments: dict[str, str]
) -> str:
    """Do what a person at the router would; return the new id of an add.
    Raises Trap.
    """
    router.settle()
    call = Call(router, ROOT, path, verb, arguments, [])
    execute(call)
    return call.ret or ""


class RouterKeeper(Protocol):
    """The part of the simulator that the control port needs."""

    routers: dict[str, Router]

    async def add_router(self, name: str, **options: Any) -> Router:
        """Make and start a router. Raises ValueError, OSError."""

    async def remove_router(self, name: str) -> None:
        """Stop and forget a router. Raises KeyError."""

    async def swap_routers(self, first: str, second: str) -> None:
        """Let two routers change places. Raises KeyError."""


class Control:
    """The handlers; `simulator` keeps the routers."""

    def __init__(self, simulator: RouterKeeper) -> None:
        self.simulator = simulator

    def router(self, request: web.Request) -> Router:
        """Return the router named in the path."""
        name = request.match_info["name"]
        if name not in self.simulator.routers:
            raise BadRequest(f"no router {name!r}", 404)
        return self.simulator.routers[name]

    async def health(self, _request: web.Request) -> web.Response:
        """It answers."""
        return web.json_response({"ok": True})

    async def list_routers(self, _request: web.Request) -> web.Response:
        """All routers."""
        return web.json_response(
            [r.address_book() for r in self.simulator.routers.values()]
        )

    async def add_router(self, request: web.Request) -> web.Response:
        """A new router."""
        body = await _body(request)
        name = _text(body, "name")
        options = {key: value for key, value in body.items() if key != "name"}
        return web.json_response(
            (await self.simulator.add_router(name, **options)).address_book(),
            status=201,
        )

    async def remove_router(self, request: web.Request) -> web.Response:
        """Stop one."""
        await self.simulator.remove_router(self.router(request).name)
        return web.json_response({})

    async def swap(self, request: web.Request) -> web.Response:
        """Two routers change places, as when each is plugged in where the
        other one was.
        """
        router, body = self.router(request), await _body(request)
        other = _text(body, "with")
        if other not in self.simulator.routers:
            raise BadRequest(f"with: no router {other!r}", 404)
        await self.simulator.swap_routers(router.name, other)
        return web.json_response(router.address_book())

    async def state(self, request: web.Request) -> web.Response:
        """What it is doing."""
        return web.json_response(self.router(request).state())

    async def tables(self, request: web.Request) -> web.Response:
        """Rows as the API shows them; of all menus without `path`."""
        router, path = self.router(request), request.query.get("path")
        if path is None:
            return web.json_response(
                {path: router.show(path) for path in router.tables}
            )
        if path not in router.tables:
            raise BadRequest(f"path: no menu {path!r}", 404)
        return web.json_response(router.show(path))

    async def add_row(self, request: web.Request) -> web.Response:
        """Add a row (or a list of rows) as a person at the router would."""
        router, body = self.router(request), await _body(request)
        path, values = _text(body, "path"), body.get("values", {})
        if isinstance(values, list):
            ids = [
                act(router, path, "add", _plain(row, f"values[{at}]"))
                for at, row in enumerate(values)
            ]
            return web.json_response({".ids": ids}, status=201)
        return web.json_response(
            {".id": act(router, path, "add", _plain(values))}, status=201
        )

    async def set_row(self, request: web.Request) -> web.Response:
        """Change a row."""
        router, body = self.router(request), await _body(request)
        path = body.get("path", request.query.get("path", ""))
        row_id = body.get(".id", body.get("id", request.query.get("id", "")))
        target = {".id": row_id} if row_id else {}
        act(router, path, "set", {**_plain(body.get("values", {})), **target})
        return web.json_response({})

    async def remove_row(self, request: web.Request) -> web.Response:
        """Remove a row."""
        arguments = {".id": request.query.get("id", "")}
        act(
            self.router(request),
            request.query.get("path", ""),
            "remove",
            arguments,
        )
        return web.json_response({})

    async def move_in(self, request: web.Request) -> web.Response:
        """A client comes, or gets another address."""
        router, body = self.router(request), await _body(request)
        dhcp = body.get("dhcp", False) is True
        client = router.network.move_in(
            _text(body, "mac"), _text(body, "ip"), dhcp=dhcp
        )
        return web.json_response(asdict(client), status=201)

    async def clients(self, request: web.Request) -> web.Response:
        """Who is there."""
        return web.json_response(
            [asdict(c) for c in self.router(request).network.clients.values()]
        )

    async def move_out(self, request: web.Request) -> web.Response:
        """A client goes."""
        mac = request.match_info["mac"]
        try:
            self.router(request).network.move_out(mac)
        except KeyError:
            raise BadRequest(f"no client {mac}", 404) from None
        return web.json_response({})

    async def packet(self, request: web.Request) -> web.Response:
        """A packet of a client to the internet."""
        router, body = self.router(request), await _body(request)
        self._present(router, _text(body, "mac"))
        verdict = router.network.packet(body["mac"], body.get("flow"))
        return web.json_response(asdict(verdict))

    @staticmethod
    def _present(router: Router, mac: str) -> None:
        try:
            router.network.client(mac)
        except KeyError:
            raise BadRequest(
                f"no client {mac}: move it in first", 404
            ) from None

    async def login(self, request: web.Request) -> web.Response:
        """Hotspot login as the portal would do it."""
        router, body = self.router(request), await _body(request)
        self._present(router, _text(body, "mac"))
        client = router.network.client(body["mac"])
        host = (
            router.hotspot.arrive(client.mac, client.ip, "HTTP")
            if router.up
            else None
        )
        if host is None:
            raise BadRequest("no hotspot server is running", 409)
        router.hotspot.log_in(host, _text(body, "user"), body.get("password"))
        return web.json_response(router.show("/ip/hotspot/active")[-1])

    async def wait(self, request: web.Request) -> web.Response:
        """Packets until they are forwarded, or not, as wanted."""
        router, body = self.router(request), await _body(request)
        mac, wanted = _text(body, "mac"), body.get("forwarded", True)
        if not isinstance(wanted, bool):
            raise BadRequest("forwarded: expects true or false")
        timeout, started = _number(body, "timeout", 10), time.monotonic()
        while True:
            self._present(router, mac)
            verdict = router.network.packet(mac, body.get("flow"))
            elapsed = time.monotonic() - started
            if verdict.forwarded == wanted:
                return web.json_response(
                    {"forwarded": wanted, "elapsed": elapsed}
                )
            if elapsed > timeout:
                answer = {
                    "error": f"still {verdict.reason}",
                    "forwarded": not wanted,
                    "elapsed": elapsed,
                }
                return web.json_response(answer, status=408)
            await asyncio.sleep(WAIT_PAUSE)

    async def log(self, request: web.Request) -> web.Response:
        """Commands after `since`."""
        since = int(request.query.get("since", "0"))
        return web.json_response(
            [entry for entry in self.router(request).log if entry["n"] > since]
        )

    async def faults(self, request: web.Request) -> web.Response:
        """Set faults, or clear all."""
        router = self.router(request)
        await router.set_faults(await _body(request))
        return web.json_response(router.faults.shown())

    async def reboot(self, request: web.Request) -> web.Response:
        """Down, and back after some seconds."""
        router, body = self.router(request), await _body(request)
        router.reboot(_number(body, "seconds", 2))
        return web.json_response({})

    async def tunnel(self, request: web.Request) -> web.Response:
        """A handshake with a WireGuard peer, and bytes both ways."""
        router, body = self.router(request), await _body(request)
        key, endpoint = _text(body, "public_key"), _text(body, "endpoint")
        received = int(_number(body, "received", 0))
        sent = int(_number(body, "sent", 0))
        try:
            router.network.tunnel(key, endpoint, received=received, sent=sent)
        except KeyError:
            raise BadRequest(f"public_key: no peer has {key}", 404) from None
        return web.json_response({})

    async def clock(self, request: web.Request) -> web.Response:
        """Push the router's clock forward."""
        router, body = self.router(request), await _body(request)
        if body.get("set_right") is True:
            router.set_clock()
        if "shift" in body:
            router.shift_clock(_shift(body["shift"]))
        router.clock.advance(_number(body, "advance", 0))
        router.settle()
        await _quiet(router)
        return web.json_response({"now": router.clock.stamp()})

    async def script(self, request: web.Request) -> web.Response:
        """Run a script, with all rights or with those of `policy`."""
        router, body = self.router(request), await _body(request)
        policies = body.get("policy", ",".join(POLICIES))
        if not isinstance(policies, str):
            raise BadRequest("policy: expects words with commas between")
        rights = Rights("admin", frozenset(policies.split(",")))
        job = router.scripts.run(_text(body, "source"), rights, "control")
        end = time.monotonic() + _number(body, "timeout", 10)
        while not job.done and time.monotonic() < end:
            await asyncio.sleep(WAIT_PAUSE)
            router.settle()
        return web.json_response(
            {"done": job.done, "error": job.error, "output": job.output}
        )


def make_app(simulator: RouterKeeper) -> web.Application:
    """Return the control port as an aiohttp application."""
    control = Control(simulator)
    app = web.Application(
        middlewares=[_errors], client_max_size=64 * 1024 * 1024
    )
    path = "/routers/{name}"
    app.add_routes(
        [
            web.get("/health", control.health),
            web.get("/routers", control.list_routers),
            web.post("/routers", control.add_router),
            web.delete(path, control.remove_router),
            web.get(path, control.state),
            web.post(f"{path}/swap", control.swap),
            web.get(f"{path}/tables", control.tables),
            web.post(f"{path}/rows", control.add_row),
            web.patch(f"{path}/rows", control.set_row),
            web.delete(f"{path}/rows", control.remove_row),
            web.post(f"{path}/clients", control.move_in),
            web.get(f"{path}/clients", control.clients),
            web.delete(path + "/clients/{mac}", control.move_out),
            web.post(f"{path}/packets", control.packet),
            web.post(f"{path}/login", control.login),
            web.post(f"{path}/wait", control.wait),
            web.get(f"{path}/log", control.log),
            web.post(f"{path}/faults", control.faults),
            web.post(f"{path}/reboot", control.reboot),
            web.post(f"{path}/tunnel", control.tunnel),
            web.post(f"{path}/clock", control.clock),
            web.post(f"{path}/script", control.script),
        ]
    )
    return app
