"""The API server's time, as its `Date` headers tell it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from cerebro.kube.client.api import KubeApi


def server_now(api: KubeApi) -> datetime:
    """Return the API server's time as far as we know it, aware and in UTC.

    A wrong clock of ours must not end what is not over. Before the first
    answer it is our own time.
    """
    ahead = timedelta(seconds=api.clock_skew or 0.0)

    return datetime.now(UTC) - ahead
