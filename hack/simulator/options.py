"""How a router is made and the switches of its behaviour."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Any, Literal

from simulator.codec import MAX_WORD
from simulator.rights import BUILT_IN_GROUPS

Version = tuple[int, ...]

LICENSED_USERS = {"0": 1, "1": 1, "3": 1, "4": 200, "5": 500, "6": 1_000_000}
"""How many users a licence lets log in at the hotspot (reference 5.1)."""


@dataclass
class RouterOptions:
    """How a router is made: where it listens, who may log in, and the switches
    of its behaviour.

    access: `hotspot` lets a client out by its host row, `list` by an enabled entry of the address-list
    `access_list` instead. cookies: a hotspot login leaves a MAC cookie. seed: of every shuffle.
    reorder_commands: tagged commands that arrive together run in a shuffled order. chr: no routerboard menu.
    double_trap: an unknown path gives two traps. extra_keys: rows carry `about` and `.nextid`.
    device_mode_hotspot: false refuses to add or enable hotspot servers. group: policy group of `user`.
    device_mode_scheduler: the same for the scheduler, and none runs.
    license_level: of `/system/license`; 0, 1 and 3 let one user log in at the hotspot, 4 lets 200, 5 lets 500.
    keeps_time: false is a board without a battery: a reboot sets its clock to 1970, until it is set right.
    disk_full: nothing that a reboot keeps is added or changed.
    tls: the port speaks TLS, as `api-ssl` does: `anonymous` as without a certificate, or with `certificate` and
    `key`, the paths of PEM files (no key: it is in the certificate's file).
    hub: the address from which clients of the API come, through a tunnel to the router's `tunnel_address`; `hub_key`
    and `hub_endpoint` (`address:port`) are those of the peer that leads there. Without it the way is always open.
    address_pool: a range (`10.9.0.10-10.9.0.99`) out of which the hotspot gives each client its `to-address`, by
    1:1 NAT; without it a client keeps its own.
    """

    name: str
    address: str = "127.0.0.1"
    port: int = 0
    user: str = "cerebro"
    password: str = "secret"  # noqa: S105 - of a simulated router
    group: str = "full"
    version: str = "7.21.5"
    serial: str = "HEX0SIMULATED"
    identity: str = "MikroTik"
    access: Literal["hotspot", "list"] = "hotspot"
    access_list: str = "paid_clients"
    address_pool: str = ""
    seed: int = 0
    chr: bool = False
    cookies: bool = True
    tag_position: Literal["front", "end"] = "front"
    reorder_commands: bool = False
    legacy_login: bool = False
    double_trap: bool = True
    old_no_such_item: bool = False
    extra_keys: bool = False
    device_mode_hotspot: bool = True
    license_level: str = "4"
    disk_full: bool = False
    device_mode_scheduler: bool = True
    keeps_time: bool = True
    tls: Literal["off", "anonymous", "certificate"] = "off"
    certificate: str = ""
    key: str = ""
    max_word: int = MAX_WORD
    hub: str = ""
    hub_key: str = ""
    hub_endpoint: str = ""
    tunnel_address: str = ""

    def __post_init__(self) -> None:
        if not self.name or "/" in self.name:
            raise ValueError("name: expects a word without a slash")
        if self.access not in {"hotspot", "list"}:
            raise ValueError("access: expects hotspot or list")
        if self.tag_position not in {"front", "end"}:
            raise ValueError("tag_position: expects front or end")
        if self.tls not in {"off", "anonymous", "certificate"}:
            raise ValueError("tls: expects off, anonymous or certificate")
        if (self.tls == "certificate") != bool(self.certificate):
            raise ValueError(
                "certificate: expects a path with tls=certificate, and with that alone"
            )
        if self.group not in BUILT_IN_GROUPS:
            raise ValueError(
                f"group: expects one of {', '.join(BUILT_IN_GROUPS)}"
            )
        if self.license_level not in LICENSED_USERS:
            raise ValueError(
                f"license_level: expects one of {', '.join(LICENSED_USERS)}"
            )
        if self.address_pool and not _is_range(self.address_pool):
            raise ValueError(
                "address_pool: expects two IPv4 addresses with a dash, such as 10.9.0.10-10.9.0.99"
            )
        parse_version(self.version)


def _is_range(text: str) -> bool:
    first, _, last = text.partition("-")
    try:
        return IPv4Address(first) <= IPv4Address(last)
    except ValueError:
        return False


def parse_version(text: str) -> Version:
    """Return `7.21.5` as a tuple of numbers. Raises ValueError."""
    try:
        return tuple(int(part) for part in text.split("."))
    except ValueError:
        raise ValueError(
            f"version: expects numbers with dots such as 7.21.5, not {text!r}"
        ) from None


def options_from(values: dict[str, Any]) -> RouterOptions:
    """Return options out of JSON. Raises ValueError that names the field."""
    known: Iterable[str] = RouterOptions.__dataclass_fields__
    unknown = set(values) - set(known)
    if unknown:
        raise ValueError(
            f"unknown field {', '.join(sorted(unknown))}; known: {', '.join(known)}"
        )
    if "name" not in values:
        raise ValueError("name: required")
    return RouterOptions(**values)
