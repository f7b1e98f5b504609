"""Where device tokens were seen, on Redis."""

from __future__ import annotations

from cerebro.bridge.store.base import TokenLocation
from cerebro.bridge.store.redis.engine import Engine
from cerebro.bridge.store.redis.values import location


async def locations_of(engine: Engine, token: str) -> list[TokenLocation]:
    """Return where a token was seen, the latest word first."""
    (places,) = await engine.read(("HVALS", f"token:{token}"))
    locations = [location(place) for place in places]
    locations.sort(key=lambda location: location.said_at, reverse=True)

    return locations


async def latest_location(
    engine: Engine, token: str | None
) -> TokenLocation | None:
    """Return where a token was seen last; None if it never was, or there is no
    token.
    """
    if not token:
        return None

    locations = await locations_of(engine, token)

    return locations[0] if locations else None
