"""An entry of the inbox, and the times that the store counts in: what all of
its Protocols name.

It stands apart because `base` is made of `events`, and both name an entry.
"""

from __future__ import annotations

from dataclasses import dataclass

from cerebro.bridge.intents import Arrival, Intent

MINUTE = 60_000
HOUR = 60 * MINUTE
DAY = 24 * HOUR


@dataclass(frozen=True, slots=True)
class Entry:
    """An intent in the inbox. Entries of one lane are carried out in the order
    of `seq`.
    """

    seq: int
    """Its number; a later entry has a higher one, also after a restart."""

    lane: str
    """The name of its lane: see `cerebro.bridge.intents.lane_of`."""

    received_at: int
    """When it was put into the inbox."""

    intent: Intent

    @property
    def arrival(self) -> Arrival:
        """When the intent came to the bridge, also if it waited for a hello
        since.
        """
        return self.intent.arrival or Arrival(self.received_at, self.seq)
