"""What the answer to the order query says (A5, A6). Pure.

The columns count by their names. `paid` must be there; `expires_at`, `ip` and
`mac` may be. What else the query returns is not read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from ipaddress import IPv4Interface, IPv6Interface

from cerebro.bridge.intents import Client
from cerebro.resources import normalise_mac
from cerebro.resources.addresses import (
    is_client_ip,
    is_client_mac,
    parse_address,
)

_BOOLEAN = 16
_TIMESTAMP_WITH_ZONE = 1184
_INET, _MACADDR = 869, 829
_TEXTS = frozenset({25, 1042, 1043})
"""Numbers of types, as PostgreSQL's catalog `pg_type` has them: text, character
and character varying.
"""

_TYPES = {
    "paid": (
        frozenset({_BOOLEAN}),
        "boolean, such as status = 'PAID' as paid",
    ),
    "expires_at": (
        frozenset({_TIMESTAMP_WITH_ZONE}),
        "timestamp with time zone; one without is made one by at time zone 'UTC'",
    ),
    "ip": (_TEXTS | {_INET}, "inet or text"),
    "mac": (_TEXTS | {_MACADDR}, "macaddr or text"),
}


class QueryError(Exception):
    """The query cannot be used. The text says why and what to do, and has no
    secret.
    """


@dataclass(frozen=True, slots=True)
class CheckedOrder:
    """What the database knows of an order."""

    paid: bool
    """Whether its client may be let in."""

    expires_at: datetime | None = None
    """The end of the access, in UTC; None if the query does not say."""

    client: Client = field(default_factory=Client)
    """The phone, as far as the database knows it."""


def check_columns(types: Mapping[str, int]) -> None:
    """Check the columns of the query: their names, and the numbers of their
    types.

    Raises QueryError that names the column.
    """
    if "paid" not in types:
        raise QueryError(
            f"the query has no column paid: it must be a {_TYPES['paid'][1]}"
        )

    for name, (allowed, wanted) in _TYPES.items():
        if name in types and types[name] not in allowed:
            raise QueryError(f"the column {name} must be a {wanted}")


def read_row(row: Mapping[str, object]) -> CheckedOrder:
    """Read the row of an order, whose columns `check_columns` let pass.

    An address that can be no client's (A13) counts as none: who ordered was
    not seen by then. A `paid` that is NULL is no payment.
    """
    return CheckedOrder(
        paid=row["paid"] is True,
        expires_at=_moment(row.get("expires_at")),
        client=Client(mac=_mac(row.get("mac")), ip=_ip(row.get("ip"))),
    )


def _moment(value: object) -> datetime | None:
    """Return an instant in UTC, None for NULL.

    Raises QueryError for what cannot be the end of an access.
    """
    if value is None:
        return None

    if isinstance(value, datetime) and value.tzinfo is not None:
        moment = value.astimezone(UTC)
        if 1970 <= moment.year < 9000:
            return moment

    raise QueryError("expires_at must be NULL, or between 1970 and 9000")


def _ip(value: object) -> str | None:
    """Return the IPv4 address of a client; None for anything else."""
    if isinstance(value, IPv4Interface | IPv6Interface):
        value = value.ip

    try:
        address = parse_address(str(value).strip().partition("/")[0])
    except ValueError:
        return None

    if address.version != 4 or not is_client_ip(str(address)):
        return None

    return str(address)


def _mac(value: object) -> str | None:
    """Return the MAC of a client; None for anything else."""
    try:
        mac = normalise_mac(str(value).strip())
    except ValueError:
        return None

    return mac if is_client_mac(mac) else None
