"""What a DeviceCommand means on a router: the commands of its operation, built
from its parameters, or its own words. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from cerebro.agent.devices.commands.allowed import Refused, read_sentence
from cerebro.agent.dry_run import cause
from cerebro.resources import Device, DeviceCommand, normalise_mac, reasons
from cerebro.routeros.client.command import Command, Row

ACTIVE, HOSTS = "/ip/hotspot/active", "/ip/hotspot/host"
HOST_PREFIX = "host:"
"""Before the id of a host, which may be that of an active client too."""

_ARP_PROPERTIES = "address,mac-address,interface,dynamic,complete,comment"
_ACTIVE_PROPERTIES = ".id,user,address,mac-address,uptime,server,comment"
_HOST_PROPERTIES = (
    ".id,address,to-address,mac-address,uptime,server,bypassed,authorized"
)
_PING_INTERVAL, _MOST_PINGS, _PINGS = "200ms", 10, 3

_TARGET = re.compile(r"[A-Za-z0-9._:-]{1,253}")
_ID = re.compile(rf"(?:{HOST_PREFIX})?\*[0-9A-Fa-f]{{1,8}}")
_PLACEHOLDER = re.compile(r"\$\(secret:([A-Za-z0-9._-]+)\)")


@dataclass(frozen=True, slots=True)
class Kick:
    """Which clients of the hotspot are sent away; None of a criterion: it does
    not matter.
    """

    id: str | None = None
    mac: str | None = None
    address: str | None = None
    user: str | None = None

    def removals(
        self, active: list[Row], hosts: list[Row]
    ) -> list[tuple[Command, Row]]:
        """Return the commands that send them away, each with the row that it
        removes.

        A host goes with the active client of its MAC. Of hosts only those
        count that the router lets through.
        """
        leaving = [row for row in active if self._means(row, row.get(".id"))]
        macs = {row["mac-address"] for row in leaving if "mac-address" in row}

        let_through = [
            row
            for row in hosts
            if "true" in (row.get("bypassed"), row.get("authorized"))
        ]

        removals = [(_remove(ACTIVE, row), row) for row in leaving]

        for row in let_through:
            named = self._means(row, HOST_PREFIX + row.get(".id", ""))

            if named or row.get("mac-address") in macs:
                removals.append((_remove(HOSTS, row), row))

        return removals

    def _means(self, row: Row, row_id: str | None) -> bool:
        """Return whether a row is of the clients that are meant."""
        addresses = {row.get("address"), row.get("to-address")}
        criteria = (
            (self.id, {row_id}),
            (self.mac, {row.get("mac-address")}),
            (self.address, addresses),
            (self.user, {row.get("user")}),
        )

        return all(
            wanted in values
            for wanted, values in criteria
            if wanted is not None
        )


@dataclass(frozen=True, slots=True)
class Run:
    """What is run, one command after the other."""

    commands: tuple[Command, ...]

    writes: bool
    """Whether anything on the router may change."""

    kick: Kick | None = None
    """Whom to send away, by the rows that the commands bring."""


def plan_run(device: Device, command: DeviceCommand) -> Run:
    """Return what a DeviceCommand runs on its Device.

    Raises Refused for what the Device does not allow (rule C1), and for a
    parameter that cannot be used.
    """
    allowed = device.spec.commands

    if allowed == "Off":
        raise Refused(
            reasons.NOT_ALLOWED,
            "spec.commands of the Device is Off: set it to Read or All",
        )

    if command.spec.operation == "Raw":
        commands = tuple(
            read_sentence(words, allowed) for words in command.spec.sentences
        )
        run = Run(commands, writes=not all(map(_reads, commands)))
    else:
        run = _BUILDERS[command.spec.operation](command.spec.parameters)

    if run.writes:
        _check_may_write(device)

    return run


def fill_in(run: Run, secrets: Mapping[str, str]) -> Run:
    """Return the run with the values of its Secret in place of the
    placeholders. Raises Refused for a key that the Secret lacks.
    """
    filled = [
        Command(
            command.path,
            command.verb,
            {
                name: _filled(value, secrets)
                for name, value in command.attributes.items()
            },
            command.queries,
        )
        for command in run.commands
    ]

    return Run(tuple(filled), run.writes, run.kick)


def _filled(value: str, secrets: Mapping[str, str]) -> str:
    def secret(place: re.Match[str]) -> str:
        key = place[1]

        if key not in secrets:
            raise Refused(
                reasons.PARAMETER_NOT_USABLE,
                f"the Secret has no key {key}, which a sentence names: add it, and set spec.secretRef",
            )

        return secrets[key]

    return _PLACEHOLDER.sub(secret, value)


def _check_may_write(device: Device) -> None:
    """Raise Refused if nothing may be written to the router (rules B8, F6)."""

    if device.spec.dry_run:
        raise Refused(
            reasons.DRY_RUN,
            f"{cause(device)}: only commands that read are run",
        )

    if device.spec.paused != "None":
        raise Refused(
            reasons.PAUSED,
            f"spec.paused of the Device is {device.spec.paused}: only commands that read are run",
        )


def _ping(parameters: Mapping[str, str]) -> Run:
    _check_names(parameters, "address", "count")
    target = parameters.get("address", "")

    if not _TARGET.fullmatch(target):
        raise _not_usable("address must be an address or a host name")

    text = parameters.get("count", str(_PINGS))
    count = int(text) if text.isascii() and text.isdecimal() else 0

    if not 1 <= count <= _MOST_PINGS:
        raise _not_usable(f"count must be 1 to {_MOST_PINGS}")

    attributes = {
        "address": target,
        "count": str(count),
        "interval": _PING_INTERVAL,
    }

    return Run((Command("/", "ping", attributes),), writes=False)


def _arp(parameters: Mapping[str, str]) -> Run:
    _check_names(parameters, "address", "macAddress")
    queries = []

    if "address" in parameters:
        queries.append(f"?address={parameters['address']}")

    if "macAddress" in parameters:
        queries.append(f"?mac-address={_mac(parameters['macAddress'])}")

    command = Command(
        "/ip/arp", "print", {".proplist": _ARP_PROPERTIES}, tuple(queries)
    )

    return Run((command,), writes=False)


def _active(parameters: Mapping[str, str]) -> Run:
    _check_names(parameters)

    return Run(
        (
            Command(ACTIVE, "print", {".proplist": _ACTIVE_PROPERTIES}),
            Command(
                HOSTS,
                "print",
                {".proplist": _HOST_PROPERTIES},
                ("?bypassed=true",),
            ),
        ),
        writes=False,
    )


def _kick(parameters: Mapping[str, str]) -> Run:
    _check_names(parameters, "id", "macAddress", "address", "user")

    if not parameters:
        raise _not_usable("name whom to kick: id, macAddress, address or user")

    row_id = parameters.get("id")

    if row_id is not None and not _ID.fullmatch(row_id):
        raise _not_usable("id must be that of an active client, such as *1A")

    mac = parameters.get("macAddress")
    kick = Kick(
        id=row_id,
        mac=_mac(mac) if mac is not None else None,
        address=parameters.get("address"),
        user=parameters.get("user"),
    )

    reads = (
        Command(ACTIVE, "print", {".proplist": _ACTIVE_PROPERTIES}),
        Command(HOSTS, "print", {".proplist": _HOST_PROPERTIES}),
    )

    return Run(reads, writes=True, kick=kick)


def _probe(parameters: Mapping[str, str]) -> Run:
    _check_names(parameters)

    return Run(
        (
            Command("/system/identity", "print", {".proplist": "name"}),
            Command(
                "/system/resource",
                "print",
                {".proplist": "version,board-name"},
            ),
        ),
        writes=False,
    )


_BUILDERS: dict[str, Callable[[Mapping[str, str]], Run]] = {
    "Ping": _ping,
    "Arp": _arp,
    "Active": _active,
    "Kick": _kick,
    "Probe": _probe,
}


def _reads(command: Command) -> bool:
    return command.reads


def _remove(menu: str, row: Row) -> Command:
    return Command(menu, "remove", {".id": row.get(".id", "")})


def _mac(text: str) -> str:
    try:
        return normalise_mac(text)
    except ValueError:
        raise _not_usable(
            "macAddress must be a MAC such as AA:BB:CC:DD:EE:FF"
        ) from None


def _check_names(parameters: Mapping[str, str], *known: str) -> None:
    for name in parameters:
        if name not in known:
            names = ", ".join(known) or "none"

            raise _not_usable(
                f"{name} is no parameter of this operation; it takes {names}"
            )


def _not_usable(message: str) -> Refused:
    return Refused(reasons.PARAMETER_NOT_USABLE, f"spec.parameters: {message}")
