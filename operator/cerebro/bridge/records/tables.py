"""The tables of the records in PostgreSQL, as SQL. Pure.

A row is an access: its begin makes the row, its end completes it. The same
record a second time changes nothing.
"""

from __future__ import annotations

from typing import Any

from cerebro.bridge.records.access import AccessRecord

VERSION = 1
"""The version of the tables that this release writes."""

LOCK = 7_305_091_612
"""The advisory lock under which the tables are made: two bridges may start at
once.
"""

TABLES = """
CREATE TABLE IF NOT EXISTS cerebro_schema (
    part text PRIMARY KEY,
    version integer NOT NULL
);

CREATE TABLE IF NOT EXISTS cerebro_access (
    id text PRIMARY KEY,
    session_uid text NOT NULL,
    namespace text NOT NULL,
    session text NOT NULL,
    device text NOT NULL,
    router text NOT NULL,
    order_id text,
    type text NOT NULL,
    mac text,
    ip text,
    started_at timestamptz NOT NULL,
    ended_at timestamptz,
    end_reason text,
    made_by text NOT NULL,
    supersedes text,
    trace_id text,
    event_id text,
    recorded_at timestamptz NOT NULL DEFAULT now()
);

CREATE INDEX IF NOT EXISTS cerebro_access_by_mac ON cerebro_access (mac, started_at);
CREATE INDEX IF NOT EXISTS cerebro_access_by_ip ON cerebro_access (ip, started_at);
CREATE INDEX IF NOT EXISTS cerebro_access_by_order ON cerebro_access (order_id);
CREATE INDEX IF NOT EXISTS cerebro_access_by_start ON cerebro_access (started_at);
CREATE INDEX IF NOT EXISTS cerebro_access_by_end ON cerebro_access (ended_at);
"""
"""What the bridge makes if it may. `cerebro records sql` prints it."""

NOTE_VERSION = f"""
INSERT INTO cerebro_schema (part, version) VALUES ('access', {VERSION})
    ON CONFLICT (part) DO NOTHING;
"""  # noqa: S608 - our own number

READ_VERSION = "SELECT version FROM cerebro_schema WHERE part = 'access'"

_COLUMNS = (
    "id",
    "session_uid",
    "namespace",
    "session",
    "device",
    "router",
    "order_id",
    "type",
    "mac",
    "ip",
    "started_at",
    "ended_at",
    "end_reason",
    "made_by",
    "supersedes",
    "trace_id",
    "event_id",
)

WRITE = f"""
INSERT INTO cerebro_access ({", ".join(_COLUMNS)})
VALUES ({", ".join(f"%({name})s" for name in _COLUMNS)})
ON CONFLICT (id) DO UPDATE SET
    mac = coalesce(excluded.mac, cerebro_access.mac),
    ip = coalesce(excluded.ip, cerebro_access.ip),
    ended_at = coalesce(cerebro_access.ended_at, excluded.ended_at),
    end_reason = coalesce(cerebro_access.end_reason, excluded.end_reason)
"""  # noqa: S608 - our own names

FORGET = """
DELETE FROM cerebro_access WHERE id IN (
    SELECT id FROM cerebro_access
    WHERE ended_at < now() - make_interval(days => %(days)s)
    LIMIT %(limit)s
)
"""

_MATCHES = """
WHERE (%(mac)s::text IS NULL OR mac = %(mac)s)
  AND (%(ip)s::text IS NULL OR ip = %(ip)s)
  AND (%(order_id)s::text IS NULL OR order_id = %(order_id)s)
"""

SHOW = f"""
SELECT {", ".join(_COLUMNS)} FROM cerebro_access
{_MATCHES} ORDER BY started_at, id
"""  # noqa: S608 - our own names

ERASE = f"DELETE FROM cerebro_access {_MATCHES}"  # noqa: S608 - our own text


def row_of(record: AccessRecord) -> dict[str, Any]:
    """Return the values of a record for WRITE."""
    row = record.model_dump(
        exclude={"kind", "order", "reason"},
    )

    return {
        **{name: _storable(value) for name, value in row.items()},
        "order_id": _storable(record.order),
        "end_reason": record.reason,
    }


def _storable(value: Any) -> Any:
    """Return a value as PostgreSQL can keep it: a text has no zero byte and no
    half of a surrogate pair there.
    """
    if not isinstance(value, str):
        return value

    text = value.encode("utf-8", "replace").decode("utf-8")

    return text.replace("\0", "�")
