"""Where the local relay's parts listen and which secrets they share, drawn
anew at each `up`.
"""

import secrets
import shlex
from dataclasses import dataclass, field
from pathlib import Path

from controlplane.processes import free_port

NAMESPACE = "cerebro-system"
ADDRESS = "127.0.0.1"
SECRETS = (
    *("RELAY_TOKEN", "RELAY_TOKEN_EXEC", "RELAY_TOKEN_TOOLS"),
    *("RELAY_INTERNAL_TOKEN", "RELAY_API_SECRET", "BACKEND_HMAC_SECRET"),
)


@dataclass(frozen=True)
class Router:
    """A simulated router: its Device has the same name."""

    name: str
    serial: str
    port: int
    user: str = "relay"
    password: str = field(default_factory=lambda: secrets.token_urlsafe(12))


@dataclass(frozen=True)
class Settings:
    """All that is drawn once: ports, secrets, routers."""

    bridge_port: int
    backend_port: int
    simulator_port: int
    agent_health_port: int
    operator_health_port: int
    routers: tuple[Router, ...]
    secrets: dict[str, str]
    further_bridge_ports: tuple[int, ...] = ()
    redis_port: int | None = None
    redis_password: str = field(
        default_factory=lambda: secrets.token_urlsafe(24)
    )

    @property
    def bridge_ports(self) -> tuple[int, ...]:
        """Where the bridges listen, the first one first."""
        return (self.bridge_port, *self.further_bridge_ports)

    @property
    def bridge_url(self) -> str:
        """Where the first bridge listens."""
        return f"http://{ADDRESS}:{self.bridge_port}"

    @property
    def bridge_urls(self) -> tuple[str, ...]:
        """Where the bridges listen, the first one first."""
        return tuple(f"http://{ADDRESS}:{port}" for port in self.bridge_ports)

    @property
    def redis_url(self) -> str:
        """The Redis that the bridges share."""
        place = f"{ADDRESS}:{self.redis_port}/0"
        return f"redis://default:{self.redis_password}@{place}"

    @property
    def backend_url(self) -> str:
        """Where the fake backend listens."""
        return f"http://{ADDRESS}:{self.backend_port}"

    @property
    def simulator_url(self) -> str:
        """Where the simulator's control port listens."""
        return f"http://{ADDRESS}:{self.simulator_port}"

    @property
    def health_urls(self) -> tuple[str, str]:
        """Where agent and operator answer probes and give metrics."""
        return (
            f"http://{ADDRESS}:{self.agent_health_port}",
            f"http://{ADDRESS}:{self.operator_health_port}",
        )

    def relay_environment(self) -> dict[str, str]:
        """What a client of the relay and the bridge itself both know, by the
        old relay's names.
        """
        return {
            "RELAY_BASE_URL": self.bridge_url,
            **self.secrets,
            "BACKEND_EVENTS_URL": f"{self.backend_url}/events",
            "BACKEND_ACK_URL": f"{self.backend_url}/ack",
        }


def draw(
    routers: int, *, bridges: int = 1, with_redis: bool = False
) -> Settings:
    """Draw free ports and new secrets for that many routers and bridges."""
    ports: set[int] = set()
    while len(ports) < routers + bridges + 5:
        ports.add(free_port())
    return Settings(
        further_bridge_ports=tuple(ports.pop() for _ in range(bridges - 1)),
        redis_port=ports.pop() if with_redis else None,
        bridge_port=ports.pop(),
        backend_port=ports.pop(),
        simulator_port=ports.pop(),
        agent_health_port=ports.pop(),
        operator_health_port=ports.pop(),
        routers=tuple(
            Router(f"router-{number}", f"LOCAL{number:05}", port)
            for number, port in zip(range(1, routers + 1), ports, strict=False)
        ),
        secrets={name: secrets.token_urlsafe(24) for name in SECRETS},
    )


def environment_file(
    settings: Settings, kubeconfig: Path, programs: Path
) -> str:
    """The text of `.local/env`: a shell that sources it has all addresses,
    tokens and `kubectl`.
    """
    values = {
        "KUBECONFIG": str(kubeconfig),
        "CEREBRO_NAMESPACE": NAMESPACE,
        **settings.relay_environment(),
        "SIMULATOR_CONTROL": settings.simulator_url,
        "BACKEND_CONTROL": f"{settings.backend_url}/control",
        "AGENT_HEALTH_URL": settings.health_urls[0],
        "OPERATOR_HEALTH_URL": settings.health_urls[1],
    }
    if settings.redis_port is not None:
        values["REDIS_URL"] = settings.redis_url
    for number, url in enumerate(settings.bridge_urls[1:], start=2):
        values[f"RELAY_BASE_URL_{number}"] = url
    for number, router in enumerate(settings.routers, start=1):
        prefix = f"ROUTER{number}"
        values |= {
            f"{prefix}_NAME": router.name,
            f"{prefix}_ADDRESS": ADDRESS,
            f"{prefix}_PORT": str(router.port),
            f"{prefix}_USER": router.user,
            f"{prefix}_PASSWORD": router.password,
        }
    lines = [
        f"export {name}={shlex.quote(value)}" for name, value in values.items()
    ]
    path = f'export PATH={shlex.quote(str(programs))}:"$PATH"'
    return "\n".join([*lines, path, ""])
