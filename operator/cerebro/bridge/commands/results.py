"""From the status of a DeviceCommand to the answer for its caller. Pure.

A command of None was not run: the bridge is in dry run (F6).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from cerebro.bridge.commands.answers import (
    ActiveAnswer,
    ActiveClient,
    ArpAnswer,
    ArpEntry,
    ArpLookupAnswer,
    CommandResult,
    ExecAnswer,
    FoundMac,
    KickAnswer,
    PingAnswer,
    ProbeAnswer,
    RouterRow,
    SentenceAnswer,
    SessionKickAnswer,
)
from cerebro.resources import Device, DeviceCommand

Words = Sequence[str]


def exec_answer(
    device: Device, sentences: Sequence[Words], command: DeviceCommand | None
) -> ExecAnswer:
    """Return what sentences brought."""
    lines = [" ".join(words) for words in sentences]
    result = _result(device, lines, command)

    return ExecAnswer(
        mik_id=device.router_id,
        result=result,
        data=[row for sentence in result.results for row in sentence.data],
    )


def ping_answer(
    device: Device,
    target: str | None,
    count: int,
    command: DeviceCommand | None,
) -> PingAnswer:
    """Return what came back of a ping."""
    line = f"/ping address={target} count={count}"
    rows = _rows(command, 0) if target is not None else []
    answered = [row for row in rows if "time" in row]

    return PingAnswer(
        mik_id=device.router_id,
        target=target,
        sent=len(rows),
        received=len(answered),
        result=_result(device, [line] if target else [], command),
    )


def arp_answer(device: Device, command: DeviceCommand | None) -> ArpAnswer:
    """Return the ARP table."""

    return ArpAnswer(
        mik_id=device.router_id,
        result=_result(device, ["/ip/arp/print"], command),
    )


def arp_lookup_answer(
    device: Device, command: DeviceCommand | None
) -> ArpLookupAnswer:
    """Return the entry of an ARP look-up: of several a complete one."""
    rows = sorted(_rows(command, 0), key=_incomplete)
    entry = _arp_entry(rows[0]) if rows else None
    mac = entry.mac_address if entry else None

    return ArpLookupAnswer(
        mik_id=device.router_id,
        found=entry is not None,
        mac=mac,
        ip=entry.address if entry else None,
        entry=entry,
        data=FoundMac(mac=mac),
    )


def active_answer(
    device: Device, live_macs: Collection[str], command: DeviceCommand | None
) -> ActiveAnswer:
    """Return the clients that the hotspot lets through: active rows, and
    bypassed hosts of live Sessions (F8).
    """
    active = [_active_client(row) for row in _rows(command, 0)]
    logged_in = {client.mac for client in active}

    hosts = [
        _active_client(row, prefix="host:")
        for row in _rows(command, 1)
        if row.get("mac-address") in live_macs
        and row.get("mac-address") not in logged_in
    ]

    return ActiveAnswer(mik_id=device.router_id, active=[*active, *hosts])


def kick_answer(
    device: Device,
    criteria: dict[str, str],
    command: DeviceCommand | None,
) -> KickAnswer:
    """Return how many clients were sent away: one that has an active row and a
    host counts once.
    """
    return KickAnswer(
        mik_id=device.router_id, kicked=_kicked(command), criteria=criteria
    )


def session_kick_answer(
    device: Device, command: DeviceCommand | None
) -> SessionKickAnswer:
    """Return whether the phone of a session was sent away."""
    kicked = _kicked(command)

    return SessionKickAnswer(
        kicked=kicked,
        not_found=kicked == 0,
        result=_result(device, [], command),
    )


def probe_answer(device: Device, command: DeviceCommand | None) -> ProbeAnswer:
    """Return what the router says of itself."""
    identity = _first(_rows(command, 0))
    system = _first(_rows(command, 1))

    return ProbeAnswer(
        device_id=device.router_id,
        identity=identity.get("name"),
        version=system.get("version"),
        board=system.get("board-name"),
    )


def _result(
    device: Device, lines: Sequence[str], command: DeviceCommand | None
) -> CommandResult:
    results = (command.status.results or []) if command else []
    names = [*lines, *[""] * len(results)]

    return CommandResult(
        host=device.api_address,
        commands=list(lines),
        dry_run=command is None,
        results=[
            SentenceAnswer(
                cmd=name,
                ok=result.ok,
                data=result.rows,
                error=result.error.message if result.error else None,
            )
            for name, result in zip(names, results, strict=False)
        ],
        truncated=True if command and command.status.truncated else None,
    )


def _rows(command: DeviceCommand | None, number: int) -> list[RouterRow]:
    """Return the rows that a sentence of a command brought."""
    results = (command.status.results or []) if command else []

    return results[number].rows if number < len(results) else []


def _kicked(command: DeviceCommand | None) -> int:
    """Return how many clients the rows are of that a kick removed."""
    results = (command.status.results or []) if command else []
    gone = {
        row.get("mac-address") or row.get(".id", "")
        for result in results
        for row in result.rows
    }

    return len(gone)


def _first(rows: Sequence[RouterRow]) -> RouterRow:
    return rows[0] if rows else {}


def _incomplete(row: RouterRow) -> bool:
    return row.get("complete") != "true"


def _arp_entry(row: RouterRow) -> ArpEntry:
    return ArpEntry(
        address=row.get("address"),
        mac_address=row.get("mac-address"),
        interface=row.get("interface"),
        dynamic=row.get("dynamic") == "true",
        complete=row.get("complete") == "true",
        comment=row.get("comment"),
    )


def _active_client(row: RouterRow, prefix: str = "") -> ActiveClient:
    return ActiveClient(
        id=prefix + row.get(".id", ""),
        user=row.get("user"),
        ip=row.get("address"),
        mac=row.get("mac-address"),
        uptime=row.get("uptime"),
        server=row.get("server"),
    )
