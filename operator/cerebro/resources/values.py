"""The types of text that fields hold: durations, times, MACs, keys, addresses. Pure; knows nothing of any kind.

Each type is checked twice. The API server checks it with a message that says what to write instead: the rules here
become part of the CRD. When an object is read it is checked again, so that a value that an older CRD let pass is
noticed and not acted on.
"""

import ipaddress
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    AwareDatetime,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    PlainSerializer,
    StringConstraints,
    WithJsonSchema,
)
from pydantic.config import JsonDict
from pydantic_core import CoreSchema, core_schema

JsonSchema = dict[str, Any]

DURATION_PATTERN = (
    "^([0-9]{1,6}h)?([0-9]{1,7}m)?([0-9]{1,9}s)?([0-9]{1,9}ms)?$"
)
MAC_PATTERN = "^([0-9A-F]{2}:){5}[0-9A-F]{2}$"
NO_CLIENT_MAC_PATTERN = "^.[13579BDF]|^0[02](:00){5}$"
KEY_PATTERN = "^[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=$"
NAME_PATTERN = (
    "^[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"
)
HOST_PATTERN = "^([A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?|[0-9A-Fa-f:.]+)$"
ENDPOINT_PATTERN = r"^(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?):[0-9]{1,5}$"
INTERFACE_PATTERN = "^[A-Za-z0-9_.-]{1,15}$"

_DURATION = re.compile(
    r"(?:(\d{1,6})h)?(?:(\d{1,7})m)?(?:(\d{1,9})s)?(?:(\d{1,9})ms)?", re.ASCII
)
_MILLISECOND = timedelta(milliseconds=1)
_MAC_SEPARATORS = str.maketrans("", "", ":-. ")
_EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST = datetime(9000, 1, 1, tzinfo=UTC)


def rule(expression: str, message: str, **more: str) -> JsonDict:
    """Return an entry of `x-kubernetes-validations`: a CEL expression that must hold, and what to write instead."""
    return {"rule": expression, "message": message, **more}


def matches(pattern: str) -> str:
    """Return the CEL expression that is true if the field's text matches a pattern."""
    return f"self.matches({pattern!r})"


def text_schema(max_length: int, *rules: JsonDict) -> WithJsonSchema:
    """Return what the API server checks of a text field: its length in characters, and CEL rules."""
    schema: JsonSchema = {"type": "string", "maxLength": max_length}
    if rules:
        schema["x-kubernetes-validations"] = list(rules)

    return WithJsonSchema(schema)


def parse_duration(text: str) -> timedelta:
    """Return the duration of a text such as `1h30m`, `90s` or `500ms`.

    Hours, minutes, seconds and milliseconds come in that order, in whole numbers; days are written as hours, as in Go.
    Raises ValueError for anything else.
    """
    match = _DURATION.fullmatch(text)
    if match is None or not text:
        raise ValueError(
            f"{text!r} is no duration: write hours, minutes and seconds, such as 5m, 12h or 1h30m"
        )

    hours, minutes, seconds, milliseconds = (
        int(part or 0) for part in match.groups()
    )

    return timedelta(
        hours=hours,
        minutes=minutes,
        seconds=seconds,
        milliseconds=milliseconds,
    )


def format_duration(duration: timedelta) -> str:
    """Return the text of a duration that `parse_duration` reads; a part of a millisecond is rounded up to a whole one.

    Raises ValueError if the duration is negative.
    """

    if duration < timedelta(0):
        raise ValueError(f"a duration cannot be negative: {duration}")

    total = -(-duration // _MILLISECOND)  # rounds up
    hours, below_hour = divmod(total, 3_600_000)
    minutes, below_minute = divmod(below_hour, 60_000)
    seconds, milliseconds = divmod(below_minute, 1000)

    parts = (
        (hours, "h"),
        (minutes, "m"),
        (seconds, "s"),
        (milliseconds, "ms"),
    )

    return (
        "".join(f"{number}{unit}" for number, unit in parts if number) or "0s"
    )


def normalise_mac(text: str) -> str:
    """Return a MAC address as `AA:BB:CC:DD:EE:FF`, from any usual spelling (`aa-bb-..`, `aabb.ccdd.eeff`, bare hex).

    Raises ValueError if it is not twelve hexadecimal digits.
    """
    digits = text.strip().translate(_MAC_SEPARATORS).upper()
    if re.fullmatch("[0-9A-F]{12}", digits) is None:
        raise ValueError(
            f"{text!r} is no MAC address: write it as AA:BB:CC:DD:EE:FF"
        )

    pairs = (digits[start : start + 2] for start in range(0, 12, 2))

    return ":".join(pairs)


def format_time(moment: datetime) -> str:
    """Return an aware time as RFC 3339 in UTC with `Z`, with a fraction only if it has one."""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat() + "Z"


def _in_utc(moment: datetime) -> datetime:
    """Return the time in UTC. Raises ValueError for a time with which arithmetic could overflow."""
    if not _EARLIEST <= moment < _LATEST:
        raise ValueError(
            "time must lie between 1970 and 9000; leave the field out for 'never'"
        )

    return moment.astimezone(UTC)


def _ip(text: str) -> str:
    ipaddress.ip_address(text)
    return text


def _ipv4(text: str) -> str:
    ipaddress.IPv4Address(text)
    return text


def _interface_address(text: str) -> str:
    if "/" not in text:
        raise ValueError("write the prefix length too, such as 10.8.0.1/16")

    ipaddress.ip_interface(text)

    return text


def _network(text: str) -> str:
    if "/" not in text:
        raise ValueError("write the prefix length too, such as 10.8.0.1/32")

    ipaddress.ip_network(text)

    return text


@dataclass(frozen=True)
class DurationBetween:
    """Marks a timedelta field that is a text on the wire; the API server holds it between two durations.

    The bounds are not checked again on reading: a neighbouring release may have other bounds.
    """

    minimum: str
    """Such as `1s`."""

    maximum: str

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            _read_duration,
            serialization=core_schema.plain_serializer_function_ser_schema(
                format_duration, when_used="json"
            ),
        )

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchema:
        well_formed = matches(DURATION_PATTERN)
        within = f"duration(self) >= duration('{self.minimum}') && duration(self) <= duration('{self.maximum}')"

        return {
            "type": "string",
            "minLength": 1,
            "maxLength": 32,
            "x-kubernetes-validations": [
                rule(
                    well_formed,
                    "must be a duration in hours, minutes and seconds, such as 5m, 12h or 1h30m (a day: 24h)",
                ),
                rule(
                    f"!{well_formed} || ({within})",
                    f"must be from {self.minimum} to {self.maximum}",
                ),
            ],
        }


def _read_duration(value: Any) -> timedelta:
    if isinstance(value, timedelta):
        return value

    if isinstance(value, str):
        return parse_duration(value)

    raise ValueError("must be a duration text such as 5m or 12h")


Paused = Literal["None", "Changes", "All"]
"""Whether something is written: all, nothing but ends of access, nothing at all (rule B8)."""

DeletionPolicy = Literal["Retain", "Cleanup"]
"""What stays of an object that is deleted: all that it made, or nothing."""

Time = Annotated[
    AwareDatetime,
    AfterValidator(_in_utc),
    PlainSerializer(format_time, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "format": "date-time", "maxLength": 40}),
]
"""An instant, in UTC; on the wire RFC 3339."""

SpecTime = Annotated[
    Time,
    WithJsonSchema(
        {
            "type": "string",
            "format": "date-time",
            "maxLength": 40,
            "x-kubernetes-validations": [
                rule(
                    "self >= timestamp('1970-01-01T00:00:00Z') && self < timestamp('9000-01-01T00:00:00Z')",
                    "must lie between 1970 and 9000; leave the field out for 'never'",
                )
            ],
        }
    ),
]
"""An instant that a person or the bridge writes, bounded so that arithmetic with it cannot overflow."""

MacAddress = Annotated[
    str,
    StringConstraints(pattern=MAC_PATTERN),
    text_schema(
        64,
        rule(
            matches(MAC_PATTERN),
            "must be a MAC address: six pairs of upper-case hexadecimal digits joined by colons, "
            "such as AA:BB:CC:DD:EE:FF",
        ),
        rule(
            f"!{matches(NO_CLIENT_MAC_PATTERN)}",
            "must be the MAC of one client: neither zero, 02:00:00:00:00:00, a group's nor broadcast",
        ),
    ),
]

WireGuardKey = Annotated[
    str,
    StringConstraints(pattern=KEY_PATTERN),
    text_schema(
        64,
        rule(
            matches(KEY_PATTERN),
            "must be a WireGuard public key: the base64 of 32 bytes, 44 characters that end in '=', "
            "as `wg pubkey` prints it",
        ),
    ),
]

IPAddress = Annotated[
    str,
    AfterValidator(_ip),
    text_schema(
        64,
        rule(
            "isIP(self)",
            "must be an IP address without prefix length, such as 10.8.0.7",
        ),
    ),
]

IPv4Address = Annotated[
    str,
    AfterValidator(_ipv4),
    text_schema(
        64,
        rule(
            "isIP(self) && ip(self).family() == 4",
            "must be an IPv4 address, such as 10.5.50.23 (the hotspot has no IPv6)",
        ),
        rule(
            "!isIP(self) || ip(self).family() != 4 || ip(self).isGlobalUnicast()",
            "must be the address of one client: neither 0.0.0.0, loopback, link-local, multicast nor broadcast",
        ),
    ),
]

InterfaceAddress = Annotated[
    str,
    AfterValidator(_interface_address),
    text_schema(
        64,
        rule(
            "isCIDR(self)",
            "must be an address with its prefix length, such as 10.8.0.1/16",
        ),
    ),
]

Network = Annotated[
    str,
    AfterValidator(_network),
    text_schema(
        64,
        rule(
            "isCIDR(self) && cidr(self).masked() == cidr(self)",
            "must be a network in CIDR form with no bits set behind the prefix, "
            "such as 192.168.88.0/24 or 10.8.0.7/32",
        ),
    ),
]

Endpoint = Annotated[
    str,
    StringConstraints(pattern=ENDPOINT_PATTERN),
    text_schema(
        262,
        rule(
            matches(ENDPOINT_PATTERN)
            + " && int(self.substring(self.lastIndexOf(':') + 1)) >= 1"
            + " && int(self.substring(self.lastIndexOf(':') + 1)) <= 65535",
            "must be host:port, such as vpn.example.net:51820 or [2001:db8::1]:51820",
        ),
    ),
]

Host = Annotated[
    str,
    StringConstraints(pattern=HOST_PATTERN),
    text_schema(
        253,
        rule(
            matches(HOST_PATTERN),
            "must be an IP address or a host name without port, such as 10.8.0.7",
        ),
    ),
]

ObjectName = Annotated[
    str,
    StringConstraints(pattern=NAME_PATTERN),
    text_schema(
        253,
        rule(
            matches(NAME_PATTERN),
            "must be the name of an object: lower-case letters, digits, '-' and '.', such as router-17",
        ),
    ),
]

InterfaceName = Annotated[
    str,
    StringConstraints(pattern=INTERFACE_PATTERN),
    text_schema(
        64,
        rule(
            matches(INTERFACE_PATTERN),
            "must be the name of a network interface: 1 to 15 letters, digits, '.', '_' or '-', such as wg0",
        ),
    ),
]

Word = Annotated[str, StringConstraints(min_length=1, max_length=128)]
"""A short text that is somebody else's name: an order, a router's list, profile or user."""

Text = Annotated[str, text_schema(1024)]
"""A line of a status."""
