"""With what the loop logs in (rule B7): the technical user once it has worked, else the credentials. The API server
and the router are a few lines here.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from cerebro.agent.devices import connection
from cerebro.agent.devices.connection import RouterLink
from cerebro.agent.devices.technical.login import TechnicalLogin
from cerebro.kube.client.errors import Unavailable
from cerebro.kube.client.secrets import Secret
from cerebro.resources import Device
from cerebro.routeros.client.command import Reply
from cerebro.routeros.client.errors import LoginRefused, SecretError

NEW, OLD = ("relay-tech", "new"), ("relay-tech", "old")
CREDENTIALS = ("cerebro", "of the credentials")


class World:
    """A link with a technical login, and the users that the router refuses."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.away: set[str] = set()
        self.refuses: set[str] = set()
        self.tried: list[tuple[str, str]] = []
        self.login = TechnicalLogin(self)  # type: ignore[arg-type]
        self.link = RouterLink(self, SimpleNamespace())  # type: ignore[arg-type]
        self.link.daily = self.login
        monkeypatch.setattr(connection, "connect", self._connect)

    async def get_secret(self, namespace: str, name: str) -> Secret:
        """Stand for the API server."""
        if name in self.away:
            raise Unavailable("no answer within 10 s")

        data = {"password": b"new", "previousPassword": b"old"}
        if name == "router":
            user, password = CREDENTIALS
            data = {"username": user.encode(), "password": password.encode()}

        kind = "relay.cerebro.dev/router"
        return Secret(namespace, name, "uid", kind, {}, data, "41")

    async def dial(self, device: Device) -> list[tuple[str, str]]:
        """Connect anew; return what was tried."""
        self.link.drop()
        self.tried.clear()
        await self.link.session(device)
        return list(self.tried)

    async def _connect(
        self,
        _address: str,
        _port: int,
        attempts: list[tuple[str, str]],
        *_: object,
        interface: str | None,
        **_observed: object,
    ) -> Any:
        assert interface is None
        self.tried += attempts
        if attempts[0][0] in self.refuses:
            raise LoginRefused("access denied", wrong_password=False)

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


def device(*, applied: str | None = "relay-tech", **spec: Any) -> Device:
    """Return a Device whose status names the technical user that has worked."""
    return Device.model_validate(
        {
            "metadata": {"name": "d", "namespace": "ns", "uid": "u"},
            "spec": {
                "api": {
                    "address": "192.0.2.1",
                    "allowPlaintext": True,
                    "credentialsSecretRef": {"name": "router"},
                },
                "technicalUser": {"passwordSecretRef": {"name": "tech"}},
                **spec,
            },
            "status": {"technicalUser": {"name": applied}} if applied else {},
        }
    )


async def test_b7_it_is_used_once_a_login_has_worked(world: World) -> None:
    """The previous password is the second, for a rotation that was cut in half."""
    assert await world.dial(device(applied=None)) == [CREDENTIALS]
    assert not world.link.by_daily_login

    world.login.worked("relay-tech")
    assert await world.dial(device(applied=None)) == [NEW, OLD]
    assert world.link.by_daily_login


async def test_b7_an_agent_that_starts_knows_it_by_the_status(
    world: World,
) -> None:
    assert await world.dial(device()) == [NEW, OLD]
    assert await world.dial(device(applied="another")) == [CREDENTIALS]
    unwanted = device(technicalUser=None)
    assert await world.dial(unwanted) == [CREDENTIALS]
    assert await world.dial(device(manageConfig=True)) == [CREDENTIALS]


async def test_b7_refused_it_costs_no_connection(world: World) -> None:
    """Nor is it tried at each connection after that, until it is seen to work."""
    world.refuses = {"relay-tech"}
    assert await world.dial(device()) == [NEW, OLD, CREDENTIALS]
    assert not world.link.by_daily_login
    assert world.login.refusal == "access denied"
    assert await world.dial(device()) == [CREDENTIALS]

    world.refuses = set()
    world.login.worked("relay-tech")
    assert await world.dial(device()) == [NEW, OLD]

    world.refuses = {"relay-tech", "cerebro"}
    with pytest.raises(LoginRefused):
        await world.dial(device())


async def test_b7_without_its_secret_the_credentials_are_used(
    world: World,
) -> None:
    world.away = {"tech"}
    assert await world.dial(device()) == [CREDENTIALS]
    with pytest.raises(SecretError, match=r"passwordSecretRef.*no answer"):
        await world.login.read(device())

    world.away = set()
    version, credentials = await world.login.read(device())
    assert (version, credentials.attempts) == ("41", [NEW, OLD])
