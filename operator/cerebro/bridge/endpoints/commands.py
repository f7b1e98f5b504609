"""The endpoints that ask a router something: sentences, ping, ARP, the
hotspot's clients, a probe.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from starlette.requests import Request

from cerebro.bridge.answers import Answer
from cerebro.bridge.commands import results
from cerebro.bridge.commands.answers import (
    ActiveAnswer,
    ArpAnswer,
    ArpLookupAnswer,
    ExecAnswer,
    KickAnswer,
    PingAnswer,
    ProbeAnswer,
    SessionKickAnswer,
)
from cerebro.bridge.commands.request import CommandRequest
from cerebro.bridge.commands.service import CommandService
from cerebro.bridge.endpoints.base import read_call
from cerebro.bridge.errors import ApiError
from cerebro.bridge.http.answers import Call
from cerebro.bridge.http.auth import Access
from cerebro.bridge.http.rate_limit import Limiter
from cerebro.bridge.http.refusals import (
    ALL_KNOWN,
    CHANGING_COMMAND_REFUSALS,
    CLIENT,
    COMMAND_REFUSALS,
    KUBERNETES,
    codes,
    merge,
)
from cerebro.bridge.http.routes import Handler, Route
from cerebro.bridge.orders.outcomes import breaker_open
from cerebro.bridge.requests import commands as requests
from cerebro.bridge.requests.commands import Place
from cerebro.bridge.requests.fields import Fields, read_client
from cerebro.bridge.requests.sessions import session_id
from cerebro.bridge.settings import BridgeSettings
from cerebro.resources import Device, DeviceCommand

_SENTENCES = {"mikId": "R1", "sentences": ["/ip/arp/print"]}
_LINE = {"command": "/ip arp print where address=10.5.50.10"}
_PING = {"mikId": "R1", "target": "192.0.2.1", "count": 3}
_CLIENT = {"mikId": "R1", "ip": "10.5.50.10", "mac": "AA:BB:CC:DD:EE:FF"}
_ROUTER_QUERY = {
    "mikId": "The router; it may be left out if it is the only one."
}
_PING_QUERY = {
    **_ROUTER_QUERY,
    "target": "What to ping; left out, the router is asked who it is.",
    "count": "How often, 10 times at most.",
}
_PROBE = {
    "publicKey": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
    "username": "relay",
    "password": "secret",
}
_PROBE_REFUSED = merge(
    ALL_KNOWN,
    KUBERNETES,
    codes(
        s403="command_denied",
        s404="binding_not_found",
        s502="auth_failed timeout unreachable probe_error",
        s503="wrong_router",
    ),
)


class CommandEndpoints:
    """What routers are asked for."""

    def __init__(
        self,
        settings: BridgeSettings,
        service: CommandService,
    ) -> None:
        self._dry_run = settings.dry_run
        self._service = service
        self._limiter = Limiter(
            settings.calls_per_router, settings.rate_window_ms / 1000
        )

    def routes(self) -> list[Route]:
        """Return the endpoints."""

        return [
            *self._exec_routes(),
            *self._tool_routes(),
            *self._active_routes(),
            *self._kick_routes(),
            Route(
                method="POST",
                path="/session/kick",
                access=Access.KICK,
                handler=self.kick_session,
                summary="Send the phone of a session away",
                answer=SessionKickAnswer,
                example={"sessionId": "s-1"},
                required=("sessionId",),
                refusals=merge(
                    CHANGING_COMMAND_REFUSALS, codes(s404="session_not_found")
                ),
            ),
            Route(
                method="POST",
                path="/internal/mikrotik/probe",
                access=Access.INTERNAL,
                handler=self.probe,
                summary="Whether a router takes these credentials",
                answer=ProbeAnswer,
                example=_PROBE,
                required=("publicKey", "username", "password"),
                refusals=_PROBE_REFUSED,
            ),
        ]

    def _exec_routes(self) -> list[Route]:
        examples: dict[str, dict[str, Any]] = {
            "/relay/exec-by-device": _SENTENCES,
            "/relay/exec-by-pedido": {"pedidoId": "P-1001", **_LINE},
            "/relay/exec2": _SENTENCES,
            "/relay/exec": {"host": "10.8.0.7", **_LINE},
        }

        return [
            Route(
                method="POST",
                path=path,
                access=Access.EXEC,
                handler=self.run_sentences,
                summary="Run sentences on a router",
                answer=ExecAnswer,
                example=example,
                fields=("sentences", "command"),
                required=(("sentences", "command"),),
                refusals=merge(
                    CHANGING_COMMAND_REFUSALS, codes(s400="unsupported_syntax")
                ),
            )
            for path, example in examples.items()
        ]

    def _tool_routes(self) -> list[Route]:
        return [
            Route(
                method="POST",
                path="/relay/ping",
                access=Access.TOOLS,
                handler=self.ping,
                summary="Ping from a router",
                answer=PingAnswer,
                example=_PING,
                refusals=COMMAND_REFUSALS,
            ),
            Route(
                method="GET",
                path="/relay/ping",
                access=Access.TOOLS,
                handler=self.ping,
                summary="Whether the router answers",
                answer=PingAnswer,
                query=_PING_QUERY,
                refusals=COMMAND_REFUSALS,
            ),
            Route(
                method="POST",
                path="/relay/arp-print",
                access=Access.TOOLS,
                handler=self.arp,
                summary="The ARP table of a router",
                answer=ArpAnswer,
                example={"mikId": "R1"},
                refusals=COMMAND_REFUSALS,
            ),
            Route(
                method="POST",
                path="/relay/arp/lookup",
                access=Access.TOOLS,
                handler=self.arp_lookup,
                summary="Who has an address on a router",
                answer=ArpLookupAnswer,
                example=_CLIENT,
                required=(("ip", "mac"),),
                refusals=merge(COMMAND_REFUSALS, CLIENT),
            ),
        ]

    def _active_routes(self) -> list[Route]:
        return [
            Route(
                method="GET",
                path="/hotspot/active",
                access=Access.TOOLS,
                handler=self.active,
                summary="Clients of the hotspot",
                answer=ActiveAnswer,
                query=_ROUTER_QUERY,
                refusals=COMMAND_REFUSALS,
            ),
            Route(
                method="POST",
                path="/hotspot/active",
                access=Access.TOOLS,
                handler=self.active,
                summary="Clients of the hotspot",
                answer=ActiveAnswer,
                example={"mikId": "R1"},
                refusals=COMMAND_REFUSALS,
            ),
        ]

    def _kick_routes(self) -> list[Route]:
        handlers: dict[str, tuple[Handler, tuple[str, ...]]] = {
            "/hotspot/kick": (self.kick, ("id", "ip", "mac", "user")),
            "/hotspot/kick/by-ip": (self.kick_by_ip, ("ip",)),
            "/hotspot/kick/by-mac": (self.kick_by_mac, ("mac",)),
            "/hotspot/kick/by-user": (self.kick_by_user, ("user",)),
        }
        names = {**_CLIENT, "user": "guest", "id": "*1"}

        return [
            Route(
                method="POST",
                path=path,
                access=Access.KICK,
                handler=handler,
                summary="Send clients of the hotspot away",
                answer=KickAnswer,
                example={name: names[name] for name in ("mikId", *criteria)},
                required=(criteria,),
                refusals=merge(CHANGING_COMMAND_REFUSALS, CLIENT),
            )
            for path, (handler, criteria) in handlers.items()
        ]

    async def run_sentences(self, request: Request) -> Answer:
        """Run sentences on a router, one after the other; 200 says that the
        router took all of them.

        The router is `mikId`, or `host` (the address of a Device), or that of
        the order `pedidoId`; if there is only one, nothing need name it. What
        may run, `spec.commands` of the Device says. After 503 nothing was
        run; after 500 `exec_outcome_unknown` nobody knows.
        """
        call, fields = _read(request)
        sentences = requests.sentences(fields)
        device = await self._device(call, requests.place(fields))
        ping = requests.ping_of(sentences)
        if ping is None:
            command = await self._run(call, device, sentences=sentences)
        else:
            command = await self._run(
                call, device, operation="Ping", parameters=ping.parameters
            )

        return results.exec_answer(device, sentences, command)

    async def ping(self, request: Request) -> Answer:
        """Ping `target` from a router; without one, ask the router who it is.

        200 says that the router answered: `received` has how many packets
        came back.
        """
        call, fields = _read(request)
        ping = requests.ping(fields)
        device = await self._device(call, requests.place(fields))

        if ping.target is None:
            command = await self._run(call, device, operation="Probe")
        else:
            command = await self._run(
                call, device, operation="Ping", parameters=ping.parameters
            )

        return results.ping_answer(device, ping.target, ping.count, command)

    async def arp(self, request: Request) -> Answer:
        """Read the ARP table of a router, as it is now."""
        call, fields = _read(request)
        device = await self._device(call, requests.place(fields))
        command = await self._run(call, device, operation="Arp")

        return results.arp_answer(device, command)

    async def arp_lookup(self, request: Request) -> Answer:
        """Look up an address or a MAC in the ARP table of a router; `found`
        says whether the table has it.
        """
        call, fields = _read(request)
        client = requests.arp_client(fields)
        device = await self._device(
            call, requests.place(fields, client=client)
        )

        # An address tells more than a MAC that may have moved.
        parameters = (
            {"address": client.ip}
            if client.ip
            else {"macAddress": client.mac or ""}
        )
        command = await self._run(
            call, device, operation="Arp", parameters=parameters
        )

        return results.arp_lookup_answer(device, command)

    async def active(self, request: Request) -> Answer:
        """Read which clients the hotspot of a router lets through: who is
        logged in, and who has access by a Session.
        """
        call, fields = _read(request)
        device = await self._device(call, requests.place(fields))
        command = await self._run(call, device, operation="Active")
        live_macs = self._service.devices.live_macs(device)

        return results.active_answer(device, live_macs, command)

    async def kick(self, request: Request) -> Answer:
        """Send a client away, by any of its names; who has access comes back
        by itself.
        """

        return await self._kick(request, "id", "ip", "mac", "user")

    async def kick_by_ip(self, request: Request) -> Answer:
        """Send the client with an address away."""

        return await self._kick(request, "ip")

    async def kick_by_mac(self, request: Request) -> Answer:
        """Send the client with a MAC away."""

        return await self._kick(request, "mac")

    async def kick_by_user(self, request: Request) -> Answer:
        """Send the clients of a user away."""

        return await self._kick(request, "user")

    async def kick_session(self, request: Request) -> Answer:
        """Send the phone of a caller's session away; its access stays, so the
        phone comes back by itself.
        """
        call, fields = _read(request)
        device, client = self._service.devices.named_session(
            session_id(fields)
        )

        self._check(call, device)
        kick = requests.kick({"ip": client.ip, "mac": client.mac}, "ip", "mac")
        command = await self._run(
            call, device, operation="Kick", parameters=kick.parameters
        )

        return results.session_kick_answer(device, command)

    async def probe(self, request: Request) -> Answer:
        """Try whether a router takes these credentials; 200 says that it does.

        They are not kept: the Device goes on with its own.
        """
        call, fields = _read(request)
        probe = requests.probe(fields)
        device = self._service.devices.of_key(probe.public_key)
        self._limiter.check(device.router_key, call.arrived)

        try:
            command = await self._run(
                call,
                device,
                operation="Probe",
                credentials=(probe.username, probe.password),
            )
        except ApiError as error:
            raise _probe_error(error) from None

        return results.probe_answer(device, command)

    async def _kick(self, request: Request, *criteria: str) -> Answer:
        call, fields = _read(request)
        kick = requests.kick(fields, *criteria)
        client = read_client(fields)
        device = await self._device(
            call, requests.place(fields, client=client)
        )
        command = await self._run(
            call, device, operation="Kick", parameters=kick.parameters
        )

        return results.kick_answer(device, dict(kick.criteria), command)

    async def _device(self, call: Call, place: Place) -> Device:
        """Return the router of a call, if it may be asked now.

        Raises ApiError 404, 400, 503; 429 for too many calls; 409 while its
        breaker is open (A7).
        """
        device = await self._service.devices.find(place)
        self._check(call, device)

        return device

    def _check(self, call: Call, device: Device) -> None:
        """Raise ApiError 429 for too many calls of a router, 409 while its
        breaker is open (A7).
        """
        self._limiter.check(device.router_key, call.arrived)

        if breaker_open(device, datetime.now(UTC)) is not None:
            raise ApiError(
                409,
                "router_circuit_open",
                f"the router {device.router_id} failed several times and is left alone for a while",
            )

    async def _run(
        self,
        call: Call,
        device: Device,
        *,
        sentences: Sequence[Sequence[str]] = (),
        **request: Any,
    ) -> DeviceCommand | None:
        """Run a command; return it, None in dry run. Raises ApiError."""

        if self._dry_run:
            return None

        return await self._service.run(
            CommandRequest(
                device.name,
                sentences=sentences,
                trace_id=call.trace_id,
                **request,
            ),
            call.arrived,
        )


def _read(request: Request) -> tuple[Call, Fields]:
    """Return a call and its fields; those of the query count where the body
    has none of the name. Raises ApiError 400.
    """
    call, fields = read_call(request)

    return call, {**request.query_params, **fields}


_PROBE_CODES = {
    "MIKROTIK_AUTH_FAILED": "auth_failed",
    "MIKROTIK_TIMEOUT": "timeout",
    "MIKROTIK_UNREACHABLE": "unreachable",
    "router_timeout": "timeout",
    "EXEC_ERROR": "probe_error",
}


def _probe_error(error: ApiError) -> ApiError:
    """Return an error of a probe as its callers know it: 502, whatever the
    router did.
    """
    code = _PROBE_CODES.get(error.code)

    if code is None:
        return error

    return ApiError(502, code, error.text)
