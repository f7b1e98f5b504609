"""A row of a menu, as the router keeps it. Imports no other file of the
simulator.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class Row:
    """One item. `values` are normal forms as a reply shows them, `hidden` what
    the router knows besides.

    A `locked` row belongs to a service: nobody edits it.
    """

    id: str
    values: dict[str, str]
    hidden: dict[str, Any] = field(default_factory=dict)
    locked: bool = False

    @property
    def temporary(self) -> bool:
        """Whether the row is no configuration: dynamic, or of a service."""
        return self.locked or self.values.get("dynamic") == "true"
