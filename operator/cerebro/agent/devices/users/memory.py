"""What is remembered of the hotspot users of one router from pass to pass."""

from __future__ import annotations

from dataclasses import dataclass, field

from cerebro.agent.devices.users.passwords import ToldPasswords
from cerebro.domain.mass_removal import RemovalWindow


@dataclass
class UserMemory:
    """What passes over users remember.

    `removals` decides which users go that no Session explains (rule E13).
    `places` are the addresses at which users that go were logged in, `flows`
    the connections that were there when they were logged out, both by client
    id. `told` are the passwords that the router has.
    """

    removals: RemovalWindow = field(default_factory=RemovalWindow)
    places: dict[str, frozenset[str]] = field(default_factory=dict)
    flows: dict[str, frozenset[str]] = field(default_factory=dict)
    told: ToldPasswords = field(default_factory=ToldPasswords)
