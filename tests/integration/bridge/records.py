"""The records of access, as a test reads them where the bridge writes them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from support.postgres_server import PostgresServer


def in_file(path: Path) -> list[dict[str, Any]]:
    """The records in a file, in their order."""
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text().splitlines()]


def of_order(path: Path, order_id: str) -> list[dict[str, Any]]:
    return [each for each in in_file(path) if each["order"] == order_id]


def kinds(path: Path, order_id: str) -> list[str]:
    """What there is of an order: `grant` and then `end`, each once."""
    return [each["kind"] for each in of_order(path, order_id)]


_LEASE = {
    "CEREBRO_LEASE_DURATION": "3",
    "CEREBRO_LEASE_RENEW_INTERVAL": "1",
}
"""Who was killed is followed soon."""


def to_file(path: Path) -> dict[str, str]:
    """The settings that send the records into a file."""
    return {
        **_LEASE,
        "CEREBRO_RECORDS": "file",
        "CEREBRO_RECORDS_FILE": str(path),
    }


def to_postgres(server: PostgresServer) -> dict[str, str]:
    """The settings that send the records into a PostgreSQL."""
    return {
        **_LEASE,
        "CEREBRO_RECORDS": "postgresql",
        "CEREBRO_RECORDS_URL": server.url,
        "CEREBRO_RECORDS_TLS": "false",
    }


def command(environment: dict[str, str], *words: str) -> str:
    """What `cerebro records` prints."""
    ended = subprocess.run(
        [str(Path(sys.executable).with_name("cerebro")), "records", *words],
        env={"PATH": os.environ["PATH"], **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout
