"""What the keeper is asked for, and what it answers. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

LONGEST_LINE = 4096
_FARTHEST = 86400.0
_KINDS = ("ensure", "refresh", "drop", "list")
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,14}", re.ASCII)


class Refusal(Exception):
    """What is answered instead of ok; the reasons are those of `cerebro.wireguard.backend`."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


def parse(line: bytes, now: float) -> dict[str, Any]:
    """Read and check a request that comes at `now`; raise Refusal that names what is wrong."""
    try:
        request = json.loads(line)
    except (ValueError, RecursionError):
        raise Refusal("InvalidRequest", "a request is one line of JSON") from None
    kinds = [kind for kind in _KINDS if isinstance(request, dict) and kind in request]
    if len(kinds) != 1:
        raise Refusal("InvalidRequest", "a request has exactly one of ensure, refresh, drop and list")
    (kind,) = kinds
    name = request[kind]
    if kind != "list" and not (isinstance(name, str) and _NAME.fullmatch(name)):
        raise Refusal(
            "InvalidRequest", f"{kind}: an interface's name has 1 to 15 letters, digits, '_', '-' or '.'"
        )
    if kind == "ensure":
        _check_mtu(request.get("mtu"))
    if kind == "refresh" and "deadline" not in request:
        raise Refusal("InvalidRequest", "refresh: deadline is missing")
    check_deadline(request.get("deadline"), now)
    return dict(request)


def _check_mtu(mtu: object) -> None:
    if type(mtu) is not int or not 576 <= mtu <= 65535:
        raise Refusal("InvalidRequest", "mtu: must be a whole number from 576 to 65535")


def check_deadline(deadline: float | None, now: float) -> None:
    """Refuse what is no time, and one that has passed: who asked was held up, and another may act by now (E4)."""
    if deadline is None:
        return
    if type(deadline) not in (int, float) or not 0 <= deadline <= now + _FARTHEST:
        raise Refusal(
            "InvalidRequest",
            f"deadline: must be null or a time of the node's clock, at most {_FARTHEST:.0f} s from now",
        )
    if deadline <= now:
        raise Refusal("DeadlinePassed", "deadline: has passed; nothing is made or kept for it")


def explain(name: str, words: str) -> Refusal:
    """Return what to do about an error that wireguard-go printed."""
    lower = words.lower()
    if "not permitted" in lower or "permission denied" in lower:
        return Refusal(
            "NotPermitted",
            "wireguard-go may not make interfaces: give the tunnel process NET_ADMIN and /dev/net/tun",
        )
    if "no such file" in lower or "no such device" in lower:
        return Refusal(
            "WireGuardNotAvailable", "this node offers no /dev/net/tun: load the module tun, and mount it"
        )
    if "busy" in lower or "in use" in lower:
        return foreign(name)
    return Refusal("WireGuardError", f"wireguard-go ended: {words or 'without a word'}")


def foreign(name: str) -> Refusal:
    """Return the refusal for a name that something else has."""
    return Refusal(
        "InterfaceConflict",
        f"an interface {name} exists on this node that the tunnel process did not make: set another spec.interface, "
        "or remove it",
    )


def not_carried(name: str) -> Refusal:
    """Return the refusal to refresh what is not there."""
    return Refusal("NotCarried", f"there is no interface {name} here to refresh")


def refused(refusal: Refusal) -> dict[str, Any]:
    """Return the answer that says it."""
    return {"ok": False, "reason": refusal.reason, "message": str(refusal)}


def encode(answer: Mapping[str, Any]) -> bytes:
    """Return an answer as a line."""
    return json.dumps(answer).encode() + b"\n"
