"""Why a Device has no tunnel address, no Peer or not the backend's orders, and
what to do about it. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Trouble:
    """What stands in the way of a Device, as the operator writes it into
    condition Ready.
    """

    reason: str
    """One of `resources.reasons.OPERATOR_REASONS`."""

    message: str

    keeps_address: bool = False
    """The Device keeps the address that it has all the same: no address is
    changed without notice.
    """
