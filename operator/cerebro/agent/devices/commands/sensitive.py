"""Which values of a router or a Secret are shown to nobody. Pure."""

from __future__ import annotations

from collections.abc import Collection

from cerebro.routeros.menus.sensitive import MASK, is_sensitive

_SHORTEST = 4
"""Characters of the shortest value that is searched for within other text:
shorter ones would mask half of every text.
"""


def masked_row(row: dict[str, str], hidden: Collection[str]) -> dict[str, str]:
    """Return a row without its sensitive values; `hidden` are values that must
    not be shown under any name.
    """

    return {
        name: MASK
        if value and is_sensitive(name)
        else masked_text(value, hidden)
        for name, value in row.items()
    }


def masked_text(text: str, hidden: Collection[str]) -> str:
    """Return a text in which none of the hidden values stands."""

    for value in filter(None, hidden):
        if text == value:
            return MASK

        if len(value) >= _SHORTEST:
            text = text.replace(value, MASK)

    return text
