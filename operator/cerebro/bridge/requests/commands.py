"""Reads the bodies of what a router is asked for, as clients of every age send
them. Pure.

Each error is an ApiError 400 that names the field.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from cerebro.bridge.errors import invalid
from cerebro.bridge.intents import Client
from cerebro.bridge.requests.fields import (
    MAX_TOKEN,
    Fields,
    mik_id,
    read_client,
    read_number,
    read_token,
    text,
)
from cerebro.bridge.requests.sentences import Words, read_sentences
from cerebro.resources.values import KEY_PATTERN

MAX_PINGS = 10
_PINGS = 3
_MAX_ID = 128
_TARGET = re.compile(r"[A-Za-z0-9._:-]{1,253}")
_ROW_ID = re.compile(r"(?:host:)?\*[0-9A-Fa-f]{1,8}")


@dataclass(frozen=True, slots=True)
class Place:
    """What a request says of the router that it means."""

    mik_id: str | None = None
    order_id: str | None = None
    host: str | None = None
    client: Client = field(default_factory=Client)
    token: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Ping:
    """Which address is to be pinged, and how often; None: only the router is
    asked who it is.
    """

    target: str | None
    count: int

    @property
    def parameters(self) -> dict[str, str]:
        """The ping as parameters of a DeviceCommand."""
        return {"address": self.target or "", "count": str(self.count)}


@dataclass(frozen=True, slots=True)
class Kick:
    """Whom to send away, by one or more criteria under the callers' names."""

    criteria: Mapping[str, str]

    @property
    def parameters(self) -> dict[str, str]:
        """The criteria as parameters of a DeviceCommand."""
        names = {"mac": "macAddress", "ip": "address"}

        return {
            names.get(name, name): value
            for name, value in self.criteria.items()
        }


@dataclass(frozen=True, slots=True)
class Probe:
    """With which credentials to try which router."""

    public_key: str
    username: str
    password: str = field(repr=False)


def place(fields: Fields, *, client: Client | None = None) -> Place:
    """Return what a request says of its router; older clients call it
    `deviceId` too.
    """

    return Place(
        mik_id=mik_id(fields) or text(fields, "deviceId"),
        order_id=text(fields, "pedidoId", limit=_MAX_ID),
        host=text(fields, "host"),
        client=client or Client(),
        token=read_token(fields) or text(fields, "sid", limit=MAX_TOKEN),
    )


def sentences(fields: Fields) -> list[Words]:
    """Return what is to be run: `sentences`, or `command` with `params`."""

    if fields.get("sentences") is not None:
        return read_sentences(fields["sentences"], "sentences")

    if fields.get("command") is None:
        raise invalid("sentences required, or command")

    read = read_sentences(fields["command"], "command")
    params = fields.get("params")

    if params is None:
        return read

    if not isinstance(params, Mapping) or len(read) != 1:
        raise invalid("params must be an object, beside one command")

    return [(*read[0], *(_param(name, params[name]) for name in params))]


def ping(fields: Fields) -> Ping:
    """Return what is to be pinged."""
    target = text(fields, "target")

    if target is not None and not _TARGET.fullmatch(target):
        raise invalid("target must be an address or a host name")

    count = _PINGS

    if fields.get("count") is not None:
        count = round(read_number("count", fields["count"]))

    return Ping(target, min(max(count, 1), MAX_PINGS))


def ping_of(sentences: Sequence[Words]) -> Ping | None:
    """Return the ping that sentences are: an older dashboard asks for it as
    `/ping address=1.1.1.1 count=3`. None if they are anything else.

    A ping may be run where commands are limited to reading, and a sentence
    `/ping` may not (C1).
    """
    if len(sentences) != 1 or sentences[0][0] not in ("/ping", "/tool/ping"):
        return None

    given: dict[str, str] = {}
    for word in sentences[0][1:]:
        name, _, value = word.removeprefix("=").partition("=")
        given[name] = value

    target, count = given.pop("address", ""), given.pop("count", str(_PINGS))
    is_bounded = count.isdecimal() and 1 <= int(count) <= MAX_PINGS
    if given or not is_bounded or not _TARGET.fullmatch(target):
        return None

    return Ping(target, int(count))


def arp_client(fields: Fields) -> Client:
    """Return whom an ARP look-up is about."""
    client = read_client(fields)

    if not client:
        raise invalid("ip or mac required")

    return client


def kick(fields: Fields, *criteria: str) -> Kick:
    """Return whom to send away; `criteria` are the fields that count here."""
    client = read_client(fields)
    values = {
        "id": text(fields, "id"),
        "ip": client.ip,
        "mac": client.mac,
        "user": text(fields, "user"),
    }

    given = {
        name: value
        for name, value in values.items()
        if name in criteria and value is not None
    }

    if not given:
        raise invalid(f"{' or '.join(criteria)} required")

    row_id = given.get("id")

    if row_id is not None and not _ROW_ID.fullmatch(row_id):
        raise invalid("id must be that of an active client, such as *1A")

    return Kick(given)


def probe(fields: Fields) -> Probe:
    """Return which router is to be tried with which credentials."""
    public_key = text(fields, "publicKey")
    username = text(fields, "username", limit=128)
    password = fields.get("password")

    if public_key is None or not re.fullmatch(KEY_PATTERN, public_key):
        raise invalid("publicKey required: base64 of 32 bytes")

    if username is None or not isinstance(password, str):
        raise invalid("username and password required")

    return Probe(public_key, username, password)


def _param(name: object, value: object) -> str:
    """Return a member of `params` as an attribute word."""

    if isinstance(value, bool):
        value = "yes" if value else "no"

    if not isinstance(value, str | int | float) or not isinstance(name, str):
        raise invalid("params must hold texts and numbers")

    return f"={name}={value}"
