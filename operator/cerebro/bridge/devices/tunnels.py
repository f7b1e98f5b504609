"""Registers routers: their Devices, keys, credentials, and the scripts that
make them dial their Hub.

What a request asks for, and what it may change, is decided in
`registration.py`; what is in a script, in `routeros/bootstrap.py`.
"""

from __future__ import annotations

from cerebro.bridge.devices import records, registration
from cerebro.bridge.devices.answers import (
    DeviceAnswer,
    ManagerAnswer,
    PeerChange,
    RouterAnswer,
    ScriptAnswer,
    TunnelAnswer,
)
from cerebro.bridge.devices.registry import Planned, Registry
from cerebro.bridge.devices.secrets import DeviceSecrets
from cerebro.bridge.devices.waiting import MARGIN, Waiting, answered_by
from cerebro.bridge.errors import ApiError, invalid
from cerebro.bridge.requests.routers import Registration
from cerebro.kube.client.errors import Conflict
from cerebro.resources import PEER, Device, Hub
from cerebro.routeros.bootstrap import NotReadyError, script, tunnel_of

_TRIES = 3

TunnelResult = ScriptAnswer | TunnelAnswer


class Tunnels:
    """The routers of one namespace, as far as HTTP makes them."""

    def __init__(self, registry: Registry, secrets: DeviceSecrets) -> None:
        self._registry = registry
        self._secrets = secrets
        self._settings = registry.settings

    def deadline(self, arrived: float) -> float:
        """Return when the answer to a call is made, in the event loop's time:
        before clients give up (A7).
        """
        return arrived + self._settings.answer_timeout_ms / 1000 - MARGIN

    async def bootstrap(
        self, request: Registration, arrived: float
    ) -> TunnelResult:
        """Return the script for a router; if the request has its key, once the
        Hub's interface has that key.

        Raises ApiError.
        """
        async with answered_by(self.deadline(arrived)) as waiting:
            if request.public_key is None:
                planned = await self._registry.plan(request)

                return ScriptAnswer(
                    need_public_key=not planned.had_key,
                    instructions=self._script(
                        planned.hub, planned.device, request
                    ),
                )

            planned = await self._carry_through(
                request, waiting, with_script=True
            )

            return TunnelAnswer(
                created_peer=_peer_change(planned),
                commands=self._script(planned.hub, planned.device, request),
                dry_run=self._dry_run,
            )

    async def register_manager(
        self, request: Registration, arrived: float
    ) -> ManagerAnswer:
        """Register a router with its key and credentials; return its script.

        Raises ApiError.
        """
        async with answered_by(self.deadline(arrived)) as waiting:
            planned = await self._carry_through(request, waiting)
            device = self._known(planned)
            lines: list[str] = []
            address = registration.tunnel_address(device)
            if address is not None:
                lines = self._script(planned.hub, device, request)

            return ManagerAnswer(
                mikrotik_script="\n".join(lines),
                created_peer=_peer_change(planned),
                tunnel_ip=address,
                dry_run=self._dry_run,
            )

    async def register_router(
        self, request: Registration, arrived: float, *, as_list: bool
    ) -> RouterAnswer:
        """Register a router with its key and credentials. `as_list`: how the
        caller writes its networks.

        Raises ApiError.
        """
        async with answered_by(self.deadline(arrived)) as waiting:
            planned = await self._carry_through(request, waiting)
            device = self._known(planned)
            address = request.tunnel_ip or ""
            networks = records.allowed_ips(device)

            return RouterAnswer(
                device_id=device.router_id,
                tunnel_ip=address,
                allowed_ips=networks if as_list else ",".join(networks),
                dry_run=self._dry_run,
            )

    async def register_device(
        self, request: Registration, arrived: float
    ) -> DeviceAnswer:
        """Register a router with its key. Raises ApiError."""
        async with answered_by(self.deadline(arrived)) as waiting:
            planned = await self._carry_through(request, waiting)

            return DeviceAnswer(
                device_id=planned.device.router_id, dry_run=self._dry_run
            )

    async def bind(self, request: Registration, arrived: float) -> Device:
        """Give a Device that is there its key; return the Device once the
        Hub's interface has the key (F8).

        Raises ApiError 404 `device_not_found`.
        """
        async with answered_by(self.deadline(arrived)) as waiting:
            self._registry.existing(request.device_id)
            planned = await self._carry_through(request, waiting)

            return self._known(planned)

    @property
    def _dry_run(self) -> bool | None:
        return True if self._settings.dry_run else None

    async def _carry_through(
        self,
        request: Registration,
        waiting: Waiting,
        *,
        with_script: bool = False,
    ) -> Planned:
        """Write what a request with a key changes, and wait until the Hub's
        interface has the key; return what was planned.

        `with_script`: nothing is written if there is no script for it.
        """

        def ready(planned: Planned) -> None:
            if with_script:
                self._script(planned.hub, planned.device, request)

        planned = await self._registry.settle(request, ready)
        if self._settings.dry_run:
            return planned

        name, key = planned.device.name, request.public_key or ""
        if request.login is not None:
            device = await self._registry.until_placed(name, waiting)
            await self._secrets.keep_login(device, request.login)

        if request.peer:
            await self._change_peer(name, key, request, waiting)

        await self._registry.until_applied(name, key, waiting)

        return planned

    async def _change_peer(
        self, name: str, key: str, request: Registration, waiting: Waiting
    ) -> None:
        """Write endpoint, keepalive and preshared key into the Peer that the
        operator made.
        """
        registry = self._registry

        for _ in range(_TRIES):
            peer = await registry.until_it_has_a_peer(name, key, waiting)
            device = await registry.read_device(name)

            preshared = request.peer.preshared_key
            secret = None
            if preshared is not None:
                secret = await self._secrets.make_preshared(device, preshared)

            spec = registration.peer_change(peer, request, secret)
            if not spec:
                return

            try:
                await registry.api.patch(
                    PEER,
                    registry.namespace,
                    peer.name,
                    {"spec": spec},
                    resource_version=peer.metadata.resource_version,
                )
            except Conflict:
                continue

            reference = peer.spec.preshared_key_secret_ref
            if "presharedKeySecretRef" in spec and reference is not None:
                await self._secrets.drop(device, "preshared", reference.name)

            return

        raise ApiError(
            503,
            "kubernetes_unavailable",
            f"the Peer of the Device {name} keeps changing: try again",
        )

    def _known(self, planned: Planned) -> Device:
        """Return the Device as it is known now."""
        known = self._registry.sessions.device_named(planned.device.name)
        return known or planned.device

    def _script(
        self, hub: Hub, device: Device, request: Registration
    ) -> list[str]:
        """Return the lines for the router's terminal; the last one prints what
        to send back.
        """
        prompt = f"Send this as devicePublicKey to POST /mikrotik/bootstrap, with deviceId {request.device_id}: "

        try:
            tunnel = tunnel_of(
                hub, device, installation=self._settings.installation
            )
        except NotReadyError as error:
            if error.of_hub:
                raise ApiError(503, "vps_config_missing", str(error)) from None

            raise invalid(f"tunnelIp: {error}") from None

        return script(tunnel, (prompt, ""))


def _peer_change(planned: Planned) -> PeerChange:
    """Return what a request with a key changed."""
    return PeerChange(
        created=not planned.had_key,
        updated=planned.had_key and "spec" in planned.patch,
    )
