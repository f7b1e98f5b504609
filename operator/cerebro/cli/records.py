"""`cerebro records`: shows and erases what was recorded of a client's or an
order's access, where the bridge's settings send the records.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from cerebro.bridge.audit.line_file import rewrite
from cerebro.bridge.audit_settings import RecordsSettings
from cerebro.bridge.records import tables
from cerebro.bridge.records.places import PlaceError
from cerebro.bridge.records.postgres import PostgresPlace
from cerebro.cli.cluster import CommandError
from cerebro.resources import normalise_mac
from cerebro.resources.addresses import parse_address


@dataclass(frozen=True, slots=True)
class Criteria:
    """Whose access is meant: all that is given must be so."""

    mac: str | None = None
    ip: str | None = None
    order: str | None = None

    @classmethod
    def of(
        cls, mac: str | None, ip: str | None, order: str | None
    ) -> Criteria:
        """Return criteria in the form of the records.

        Raises CommandError if nothing is given, or MAC or address is none.
        """
        if not (mac or ip or order):
            raise CommandError("name --mac, --ip or --order", status=2)

        try:
            return cls(
                mac=normalise_mac(mac) if mac else None,
                ip=str(parse_address(ip)) if ip else None,
                order=order or None,
            )
        except ValueError as error:
            raise CommandError(str(error), status=2) from None

    def match(self, line: bytes) -> bool:
        """Return whether a line of a file is a record that is meant."""
        try:
            record = json.loads(line)
        except ValueError:
            return False

        if not isinstance(record, dict):
            return False

        wanted = (("mac", self.mac), ("ip", self.ip), ("order", self.order))

        return all(
            record.get(name) == value
            for name, value in wanted
            if value is not None
        )

    @property
    def values(self) -> dict[str, str | None]:
        """The criteria as the table knows them."""
        return {"mac": self.mac, "ip": self.ip, "order_id": self.order}


def show(settings: RecordsSettings, criteria: Criteria) -> Iterable[str]:
    """Return the records, a JSON object each, the oldest first. Raises
    CommandError.
    """
    if settings.records == "postgresql":
        return asyncio.run(_rows(settings, criteria))

    return _lines(_files(settings), criteria)


def erase(settings: RecordsSettings, criteria: Criteria) -> int:
    """Erase the records; return how many. Raises CommandError."""
    if settings.records == "postgresql":
        return asyncio.run(_erase_rows(settings, criteria))

    try:
        return sum(
            rewrite(path, lambda line: not criteria.match(line))
            for path in _files(settings)
        )
    except OSError as error:
        raise CommandError(
            f"the records cannot be rewritten: {error}"
        ) from None


def sql() -> str:
    """Return the statements that make the tables, for who does not let the
    bridge make them.
    """
    return f"{tables.TABLES}{tables.NOTE_VERSION}".strip()


def _files(settings: RecordsSettings) -> list[Path]:
    """Return the file of records and those that it was moved to, the oldest
    first. Raises CommandError where records go somewhere else.
    """
    if settings.records != "file":
        raise CommandError(
            f"CEREBRO_RECORDS is {settings.records}: only a file or a PostgreSQL can be read back",
            status=2,
        )

    path = settings.records_file
    packed = [
        other.name
        for other in path.parent.glob(f"{path.name}*")
        if other.suffix in (".gz", ".xz", ".bz2", ".zst")
    ]
    if packed:
        raise CommandError(
            f"unpack these first, or records in them stay: {', '.join(sorted(packed))}",
        )

    files = list(path.parent.glob(f"{path.name}*"))
    if not files:
        raise CommandError(f"there is no file {path}")

    return sorted(files, key=lambda other: other.stat().st_mtime)


def _lines(files: Iterable[Path], criteria: Criteria) -> Iterator[str]:
    """Yield the lines of files that are meant. Raises CommandError."""
    try:
        for path in files:
            with path.open("rb") as file:
                for line in file:
                    if criteria.match(line):
                        yield line.decode("utf-8", "replace").rstrip("\n")
    except OSError as error:
        raise CommandError(f"the records cannot be read: {error}") from None


async def _rows(settings: RecordsSettings, criteria: Criteria) -> list[str]:
    place = PostgresPlace(settings)
    try:
        rows = await place.show(criteria.values)
    except PlaceError as error:
        raise _not_reached(error) from None
    finally:
        await place.close()

    return [json.dumps(row, ensure_ascii=False, default=_time) for row in rows]


async def _erase_rows(settings: RecordsSettings, criteria: Criteria) -> int:
    place = PostgresPlace(settings)
    try:
        return await place.erase(criteria.values)
    except PlaceError as error:
        raise _not_reached(error) from None
    finally:
        await place.close()


def _not_reached(error: PlaceError) -> CommandError:
    return CommandError(
        f"the PostgreSQL of CEREBRO_RECORDS_URL cannot be used: {error}"
    )


def _time(value: Any) -> str:
    assert isinstance(value, datetime)

    return value.isoformat()
