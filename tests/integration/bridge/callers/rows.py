"""A row of the contract's tables: who calls, what is sent, and what that client reads of the answer."""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from integration.bridge.process import SECRET, TOKEN

TOKENS = {
    "RELAY_TOKEN": TOKEN,
    "RELAY_TOKEN_TOOLS": "tools-token",
    "RELAY_TOKEN_EXEC": "exec-token",
    "RELAY_TOKEN_HEALTH": "health-token",
    "RELAY_INTERNAL_TOKEN": "internal-token",
}
OPERATOR = {"X-Relay-Internal": TOKENS["RELAY_INTERNAL_TOKEN"]}
LEGACY = ("RELAY_ALLOW_LEGACY_SIGNATURES", "1")
UNSIGNED = ("RELAY_ALLOW_UNSIGNED", "all")
ROUTER = "127.0.0.1"
"""Where the Device R1 is dialled: older clients name it as `host`."""
KEY = "R" * 42 + "A="
"""The WireGuard key of the Device R1."""


class Something:
    """Stands for a field that is there, and is not null."""

    def __eq__(self, other: object) -> bool:
        return other is not None

    def __hash__(self) -> int:
        return 0

    def __repr__(self) -> str:
        return "something"


ANY = Something()


@dataclass(frozen=True)
class Phone:
    """A customer of its own for each row, so that rows do not meet."""

    number: int

    def fill(self, value: Any) -> Any:
        """Return a value of a row with this customer's order, token and address in it."""
        if isinstance(value, str):
            for name, text in self._texts().items():
                value = value.replace(name, text)

            return value

        if isinstance(value, Mapping):
            return {name: self.fill(one) for name, one in value.items()}

        return (
            [self.fill(one) for one in value]
            if isinstance(value, list)
            else value
        )

    def _texts(self) -> dict[str, str]:
        high, low = divmod(self.number, 200)

        return {
            "{order}": f"P-{self.number}",
            "{token}": f"token-{self.number}",
            "{mac}": f"AA:BB:CC:01:{high:02X}:{low:02X}",
            "{ip}": f"10.6.{high}.{low + 10}",
        }


@dataclass(frozen=True)
class Request:
    """What a client sends. `form` is the signature: A to D, or `-` for none."""

    method: str
    path: str
    body: Mapping[str, Any] | None = None
    form: str = "B"
    token: str = "RELAY_TOKEN"
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def endpoint(self) -> str:
        """Method and path, without the query."""
        return f"{self.method} {self.path.partition('?')[0]}"

    def bytes_for(self, phone: Phone) -> bytes:
        """Return the body as it goes over the wire; JSON as JavaScript writes it."""
        if self.body is None:
            return b""

        fields = phone.fill(self.body)

        return json.dumps(
            fields, ensure_ascii=False, separators=(",", ":")
        ).encode()

    def headers_for(self, target: str, body: bytes) -> dict[str, str]:
        """Return the headers, signed anew: clients do so for each try."""
        sent: dict[str, str] = {}
        if self.token:
            token = TOKENS[self.token]
            sent |= (
                {"x-relay-token": token}
                if self.form in "ACD"
                else {"authorization": f"Bearer {token}"}
            )

        if self.form == "B":
            sent["x-request-id"] = secrets.token_hex(8)

        if self.body is not None:
            sent["content-type"] = "application/json"

        return sent | self._signature(target, body) | dict(self.headers)

    def _signature(self, target: str, body: bytes) -> dict[str, str]:
        if self.form == "-":
            return {}

        stamp, nonce = str(round(time.time() * 1000)), secrets.token_hex(16)
        digest = hashlib.sha256(body).hexdigest().encode()
        method, path = self.method.encode(), target.encode()
        once = (stamp.encode(), nonce.encode())
        message = {
            "A": b"\n".join((method, path, *once, digest)),
            "B": b"\n".join((method, path, *once, body)),
            "C": b"\n".join((*once, body)),
            "D": body,
        }[self.form]
        digits = hmac.new(SECRET.encode(), message, hashlib.sha256).hexdigest()
        if self.form == "D":
            return {"x-relay-signature": digits}

        return {
            "x-relay-ts": stamp,
            "x-relay-nonce": nonce,
            "x-relay-signature": ("v1=" if self.form == "A" else "") + digits,
        }


@dataclass(frozen=True)
class Row:
    """One call of one client."""

    caller: str
    sends: Request
    status: int = 200
    reads: Mapping[str, Any] = field(default_factory=dict)
    """What the client reads: a path of names in the body, and the value; ANY for one that is not null."""
    before: tuple[Request, ...] = ()
    """What was called before, by the portal or by the same client."""
    setting: tuple[str, str] | None = None
    """The setting of the bridge that this client needs, for it does not sign as D5 wants it."""

    def __str__(self) -> str:
        sends = self.sends
        return f"{self.caller} {sends.endpoint} {sends.form} {self.status}"


def get(path: str, **more: Any) -> Request:
    """Return a GET."""
    return Request("GET", path, **more)


def post(path: str, body: Mapping[str, Any] | None, **more: Any) -> Request:
    """Return a POST."""
    return Request("POST", path, body, **more)


def value_at(body: Any, path: str) -> Any:
    """Return the value at a path of names such as `public.state`; a missing name is None."""
    for name in path.split("."):
        body = body.get(name) if isinstance(body, Mapping) else None

    return body
