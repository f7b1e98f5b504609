"""What the keeper is asked for, and what it answers. Pure: a line and a time
in, a request or a refusal out.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from cerebro.runtime.times import BootTime

LONGEST_LINE = 4096
"""Bytes of a request, its end of line included."""
_FARTHEST = 86400.0
"""Seconds from now to the farthest deadline that is taken."""
_KINDS = ("ensure", "refresh", "drop", "list")
# What Linux takes as the name of an interface, without the characters that a
# shell or a path would trip over.
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,14}", re.ASCII)


class Refusal(Exception):
    """What is answered instead of ok. The reasons are those of
    `cerebro.wireguard.backend`.
    """

    def __init__(self, reason: str, message: str) -> None:
        """`reason` is one word for programs; `message` says to people what to
        do.
        """
        super().__init__(message)
        self.reason = reason


def parse(line: bytes, now: BootTime) -> dict[str, Any]:
    """Read and check a request that comes at `now`.

    Returns its fields; exactly one of `ensure`, `refresh`, `drop` and `list`
    is among them. Raises Refusal that names what is wrong.
    """

    try:
        request = json.loads(line)
    except (ValueError, RecursionError):
        raise Refusal(
            "InvalidRequest", "a request is one line of JSON"
        ) from None

    # What is asked for.
    kinds = [
        kind
        for kind in _KINDS
        if isinstance(request, dict) and kind in request
    ]

    if len(kinds) != 1:
        raise Refusal(
            "InvalidRequest",
            "a request has exactly one of ensure, refresh, drop and list",
        )

    kind = kinds[0]

    # For which interface.
    name = request[kind]
    is_name = isinstance(name, str) and _NAME.fullmatch(name)
    if kind != "list" and not is_name:
        raise Refusal(
            "InvalidRequest",
            f"{kind}: an interface's name has 1 to 15 letters, digits, '_', '-' or '.'",
        )

    # How, and until when.
    if kind == "ensure":
        _check_mtu(request.get("mtu"))

    if kind == "refresh" and "deadline" not in request:
        raise Refusal("InvalidRequest", "refresh: deadline is missing")

    check_deadline(request.get("deadline"), now)

    return dict(request)


def _check_mtu(mtu: object) -> None:
    # Not isinstance: a bool is an int too.
    if type(mtu) is not int or not 576 <= mtu <= 65535:
        raise Refusal(
            "InvalidRequest", "mtu: must be a whole number from 576 to 65535"
        )


def check_deadline(deadline: float | None, now: BootTime) -> None:
    """Raise Refusal for a deadline that is no time, or that has passed.

    Whoever asks with a deadline that has passed was held up, and another node
    may act by now (E4).
    """
    if deadline is None:
        return

    is_number = type(deadline) in (
        int,
        float,
    )  # not isinstance: a bool is an int too

    if not is_number or not 0 <= deadline <= now + _FARTHEST:
        raise Refusal(
            "InvalidRequest",
            f"deadline: must be null or a time of the node's clock, at most {_FARTHEST:.0f} s from now",
        )

    if deadline <= now:
        raise Refusal(
            "DeadlinePassed",
            "deadline: has passed; nothing is made or kept for it",
        )


def explain(name: str, output: str) -> Refusal:
    """Return the refusal for an error that wireguard-go printed, with what to
    do about it.
    """

    lower = output.lower()
    if "not permitted" in lower or "permission denied" in lower:
        return Refusal(
            "NotPermitted",
            "wireguard-go may not make interfaces: give the tunnel process NET_ADMIN and /dev/net/tun",
        )

    if "no such file" in lower or "no such device" in lower:
        return Refusal(
            "WireGuardNotAvailable",
            "this node offers no /dev/net/tun: load the module tun, and mount it",
        )

    if "busy" in lower or "in use" in lower:
        return foreign(name)

    return Refusal(
        "WireGuardError", f"wireguard-go ended: {output or 'without a word'}"
    )


def foreign(name: str) -> Refusal:
    """Return the refusal for a name that something else has."""
    return Refusal(
        "InterfaceConflict",
        f"an interface {name} exists on this node that the tunnel process did not make: set another spec.interface, "
        "or remove it",
    )


def not_carried(name: str) -> Refusal:
    """Return the refusal to refresh an interface that is not carried."""
    return Refusal(
        "NotCarried", f"there is no interface {name} here to refresh"
    )


def refused(refusal: Refusal) -> dict[str, Any]:
    """Return the answer for a refusal."""
    return {"ok": False, "reason": refusal.reason, "message": str(refusal)}


def encode(answer: Mapping[str, Any]) -> bytes:
    """Return an answer as a line."""
    return json.dumps(answer).encode() + b"\n"
