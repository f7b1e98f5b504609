"""The bridges of the local relay and what they share: an SQLite file, or a
Redis.
"""

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from controlplane.processes import Process
from local.settings import ADDRESS, Settings


def redis(settings: Settings, folder: Path) -> Process | None:
    """The Redis, with its data and its password in `folder`; None if the
    bridges share a file.

    Raises RuntimeError if its program is missing.
    """
    if settings.redis_port is None:
        return None

    program = shutil.which("redis-server")
    if program is None:
        raise RuntimeError(
            "redis-server is not installed: see hack/install-packages"
        )

    data = folder / "redis"
    data.mkdir()
    file = data / "redis.conf"
    file.touch(mode=0o600)
    file.write_text(
        f"bind {ADDRESS}\nport {settings.redis_port}\ndir {data}\n"
        f"requirepass {settings.redis_password}\n"
        'save ""\nappendonly yes\nappendfsync everysec\nmaxmemory-policy noeviction\n'
    )
    return Process("redis", (program, str(file)))


def bridges(
    settings: Settings, environment: dict[str, str], folder: Path
) -> Iterator[Process]:
    """The bridges, each on a port of its own, all with one store."""
    program = str(Path(sys.executable).parent / "cerebro")
    environment = environment | {
        **settings.relay_environment(),
        "BIND_HOST": ADDRESS,
        "CEREBRO_STORE": str(folder / "bridge" / "relay.db"),
    }
    if settings.redis_port is not None:
        environment |= {
            "RELAY_STORE": "redis",
            "REDIS_URL": settings.redis_url,
        }

    for number, port in enumerate(settings.bridge_ports, start=1):
        name = "bridge" if number == 1 else f"bridge-{number}"
        yield Process(
            name,
            (program, "bridge"),
            environment | {"PORT": str(port)},
            cwd=folder,
        )
