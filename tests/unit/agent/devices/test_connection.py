"""What a router is dialled with: which credentials, and through which interface. The API server and the router are
a few lines here.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from cerebro.agent.devices import connection
from cerebro.agent.devices.connection import RouterLink
from cerebro.kube.client.errors import Unavailable
from cerebro.kube.client.secrets import Secret
from cerebro.resources import Device
from cerebro.routeros.client.command import Reply
from cerebro.routeros.client.errors import SecretError, Unreachable


class ApiServer:
    """Has a Secret of each name that is asked for; `away` answers nothing."""

    def __init__(self) -> None:
        self.away = False
        self.annotations: dict[str, str] = {}

    async def get_secret(self, namespace: str, name: str) -> Secret:
        if self.away:
            raise Unavailable("GET Secret: no answer within 10 s")

        data = {"username": name.encode(), "password": b"hunter2"}
        kind = "relay.cerebro.dev/router"
        return Secret(namespace, name, "uid", kind, self.annotations, data)


class World:
    """A link, and the calls of `connect` that it made: address, user, interface."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.api = ApiServer()
        self.interface: str | None = "wg0"
        self.dialled: list[tuple[str, str, str | None]] = []
        tunnels = SimpleNamespace(interface_to=lambda _device: self.interface)
        self.link = RouterLink(self.api, tunnels)  # type: ignore[arg-type]
        monkeypatch.setattr(connection, "connect", self._connect)

    async def dial(self, device: Device) -> tuple[str, str, str | None]:
        """Dial anew; return what was dialled."""
        self.link.drop()
        await self.link.session(device)
        return self.dialled[-1]

    async def _connect(
        self,
        address: str,
        _port: int,
        attempts: list[tuple[str, str]],
        *_: object,
        interface: str | None,
        observe: object,
    ) -> Any:
        self.dialled.append((address, attempts[0][0], interface))

        async def run_all(commands: list[object]) -> list[Reply]:
            return [Reply([], None) for _ in commands]

        async def close() -> None:
            pass

        return SimpleNamespace(
            run_all=run_all, close=close, closed=None, suspect=False
        )


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return World(monkeypatch)


def device(
    *,
    uid: str = "first",
    secret: str = "s",
    address: str | None = None,
    tunnel: str = "fd00::7",
    labels: dict[str, str] | None = None,
) -> Device:
    """Return a Device behind a Hub, at its tunnel address unless `address` is another."""
    api: dict[str, Any] = {
        "allowPlaintext": True,
        "credentialsSecretRef": {"name": secret},
    }
    if address is not None:
        api["address"] = address

    meta = {
        "name": "d",
        "namespace": "ns",
        "uid": uid,
        "labels": labels or {},
    }
    spec = {"hubRef": {"name": "h"}, "api": api}
    status = {"tunnelAddress": tunnel}
    return Device.model_validate(
        {"metadata": meta, "spec": spec, "status": status}
    )


async def test_b7_known_credentials_hold_while_the_api_server_is_away(
    world: World,
) -> None:
    await world.dial(device())
    world.api.away = True
    assert await world.dial(device()) == ("fd00::7", "s", "wg0")


@pytest.mark.parametrize(
    "changed",
    [{"uid": "second"}, {"secret": "t"}, {"address": "192.0.2.1"}],
    ids=lambda changed: next(iter(changed)),
)
async def test_s4_known_credentials_hold_for_nothing_else(
    world: World, changed: dict[str, str]
) -> None:
    """Case S4: another Device, Secret or address waits until its own Secret was read."""
    await world.dial(device())
    world.api.away = True

    with pytest.raises(SecretError, match="could not be read yet"):
        await world.dial(device(**changed))  # type: ignore[arg-type]

    world.api.away = False
    await world.dial(device(**changed))  # type: ignore[arg-type]


async def test_s4_another_spelling_of_the_address_is_the_same_address(
    world: World,
) -> None:
    await world.dial(device())
    world.api.away = True
    dialled = await world.dial(device(address="FD00::7"))
    assert dialled == ("FD00::7", "s", "wg0")


async def test_d2_a_device_that_came_over_http_needs_a_secret_that_names_it(
    world: World,
) -> None:
    """Who calls the bridge chooses the Secret's name, and may not read it."""
    made_by_bridge = device(
        labels={"app.kubernetes.io/managed-by": "cerebro-bridge"}
    )

    with pytest.raises(
        SecretError, match=r"annotation relay\.cerebro\.dev/device: d"
    ):
        await world.dial(made_by_bridge)

    world.api.annotations = {"relay.cerebro.dev/device": "e"}
    with pytest.raises(SecretError, match="is for 'e' only"):
        await world.dial(made_by_bridge)

    world.api.annotations = {"relay.cerebro.dev/device": "d"}
    await world.dial(made_by_bridge)


async def test_s4_only_a_tunnel_address_is_bound_to_the_interface(
    world: World,
) -> None:
    assert await world.dial(device(address="192.0.2.1")) == (
        "192.0.2.1",
        "s",
        None,
    )


async def test_s4_nothing_is_dialled_when_the_interface_is_gone(
    world: World,
) -> None:
    """Case S4: the password would leave by another way."""
    world.interface = None

    with pytest.raises(Unreachable) as refused:
        await world.dial(device())

    assert refused.value.reason == "TunnelInterfaceGone"
    assert not world.dialled
