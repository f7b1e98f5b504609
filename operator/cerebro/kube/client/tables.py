"""Lists in the API server's Table form: cells instead of objects. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from cerebro.kube.client.errors import Unavailable
from cerebro.resources import Kind
from cerebro.resources.kinds import UID_COLUMN

ACCEPT = "application/json;as=Table;v=v1;g=meta.k8s.io"
"""What to ask for; with the query `includeObject=None` no row has an object.
"""


def names_by_uid(kind: Kind, page: dict[str, Any]) -> dict[str, str]:
    """Return the names by UID of one page. Raises Unavailable if the CRD has
    no UID column.
    """
    try:
        return {row[UID_COLUMN.cell]: row["name"] for row in rows_of(page)}
    except KeyError:
        raise Unavailable(
            f"list {kind.plural}: no UID column: apply the CRDs of this release (crds/)"
        ) from None


def rows_of(page: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the rows of one page: cells by the column's name in lower case."""
    columns = [
        column["name"].lower()
        for column in page.get("columnDefinitions") or ()
    ]

    for row in page.get("rows") or ():
        yield dict(zip(columns, row["cells"], strict=True))
