"""Verbs that single menus have beside the common ones: hotspot login,
make-binding, ping, reboot.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from simulator.commands import Call, targets
from simulator.errors import BAD_VALUE, Trap, missing
from simulator.row import Row
from simulator.syslog import LEVELS
from simulator.values import Address, Mac, parse_duration


def hotspot_login(call: Call) -> None:
    """`/ip/hotspot/active/login`: needs the client's host row."""
    arguments = call.arguments
    if "ip" not in arguments:
        raise missing("ip")
    ip = Address().parse("ip", arguments["ip"])
    host = call.router.hotspot.host_by_address(ip)
    if "mac-address" in arguments:
        mac = Mac().parse("mac-address", arguments["mac-address"])
        host = call.router.hotspot.host(mac, ip)
    if host is None:
        raise Trap(f"unknown host IP {ip}")
    if "user" not in arguments:
        raise missing("user")
    call.router.hotspot.log_in(
        host, arguments["user"], arguments.get("password", "")
    )
    call.done()


def make_binding(call: Call) -> None:
    """`/ip/hotspot/host/make-binding`: an ip-binding out of a host row; the
    row keeps its treatment.
    """
    rows: list[Row] = targets(
        call, call.arguments.get("numbers", call.arguments.get(".id"))
    )
    bindings = call.router.tables["/ip/hotspot/ip-binding"]
    for row in rows:
        values = {
            "mac-address": row.values["mac-address"],
            "address": row.values["address"],
        }
        for name in ("type", "comment"):
            if name in call.arguments:
                kind = bindings.properties[name].kind
                values[name] = kind.parse(
                    name, call.arguments[name], call.router.tables
                )
        bindings.add(values)
    call.done()


def reboot(call: Call) -> None:
    """`/system/reboot`: the connection dies without `!done`."""
    call.router.reboot(2.0)


def ping(call: Call) -> None:
    """`/ping` and `/tool/ping`: one `!re` a probe; without count it never
    ends.
    """
    arguments = call.arguments
    if "address" not in arguments:
        raise missing("address")
    address = Address().parse("address", arguments["address"])
    count = arguments.get("count")
    if count is not None and not count.isdigit():
        raise Trap("invalid value for argument count", BAD_VALUE)
    try:
        pause = parse_duration(arguments.get("interval", "1s"))
    except ValueError:
        raise Trap("invalid value for argument interval", BAD_VALUE) from None
    _Ping(
        call, address, None if count is None else int(count), max(0.01, pause)
    ).start()


class _Ping:
    """One running ping: a probe each interval until the count is reached or it
    is stopped.
    """

    def __init__(
        self, call: Call, address: str, count: int | None, pause: float
    ) -> None:
        self.call, self.address, self.count, self.pause = (
            call,
            address,
            count,
            pause,
        )
        self.sent = self.received = 0
        self.timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        self.call.stop = self.stop
        self.timer = asyncio.get_running_loop().call_soon(self.probe)  # type: ignore[assignment]

    def stop(self) -> None:
        if self.timer is not None:
            self.timer.cancel()

    def probe(self) -> None:
        answers = any(
            client.ip == self.address
            for client in self.call.router.network.clients.values()
        )
        self.received += answers
        sentence = [f"=seq={self.sent}", f"=host={self.address}"]
        self.sent += 1
        sentence += (
            ["=size=56", "=ttl=64", "=time=1ms500us"]
            if answers
            else ["=status=timeout"]
        )
        loss = 100 * (self.sent - self.received) // self.sent
        sentence += [
            f"=sent={self.sent}",
            f"=received={self.received}",
            f"=packet-loss={loss}",
        ]
        if self.received:
            sentence += [
                "=min-rtt=1ms500us",
                "=avg-rtt=1ms500us",
                "=max-rtt=1ms500us",
            ]
        self.call.emit(self.call.sentence("!re", *sentence))
        if self.count is not None and self.sent >= self.count:
            self.call.emit(self.call.sentence("!done"))
            self.call.finished()
        else:
            self.timer = asyncio.get_running_loop().call_later(
                self.pause, self.probe
            )


def take_safe_mode(call: Call) -> None:
    """`/safe-mode/take`: where a session holds it already, `on-error` says
    what becomes of that hold.
    """
    safe_mode = call.router.safe_mode
    way = call.arguments.get("on-error", "abort")
    if way not in {"abort", "ask", "release", "unroll"}:
        raise Trap("input does not match any value of on-error", BAD_VALUE)
    if safe_mode.user is not None:
        if way == "release":
            safe_mode.release()
        elif way == "unroll":
            safe_mode.unroll()
        else:
            # The text is not known; there is nobody here to be asked.
            raise Trap("failure: safe mode is taken by another user")
    safe_mode.take(call.session, call.rights.user)
    call.done()


def release_safe_mode(call: Call) -> None:
    """`/safe-mode/release`: from any session; changes stay."""
    call.router.safe_mode.release()
    call.done()


def unroll_safe_mode(call: Call) -> None:
    """`/safe-mode/unroll`: from any session; changes are undone."""
    call.router.safe_mode.unroll()
    call.done()


def toggle_safe_mode(call: Call) -> None:
    """`/safe-mode/toggle`: take where nobody holds it, release else."""
    if call.router.safe_mode.user is None:
        take_safe_mode(call)
    else:
        release_safe_mode(call)


def run_script(call: Call) -> None:
    """`/system/script/run`: answered when the script has ended, by its error
    if one stopped it.
    """
    name = call.arguments.get("number", call.arguments.get(".id"))
    if name is None:
        raise missing("number")
    call.router.scripts.answer(call, name)


def _log_as(level: str) -> Callable[[Call], None]:
    """Return `/log/info` and its like."""

    def write(call: Call) -> None:
        if "message" not in call.arguments:
            raise missing("message")
        topics = f"script,{level}"
        call.router.syslog.write(topics, call.arguments["message"])
        call.done()

    return write


ACTIONS: dict[str, tuple[Callable[[Call], None], str]] = {
    "/ip/hotspot/active/login": (hotspot_login, "write"),
    "/ip/hotspot/host/make-binding": (make_binding, "write"),
    "/system/reboot": (reboot, "reboot"),
    "/safe-mode/take": (take_safe_mode, "write"),
    "/safe-mode/release": (release_safe_mode, "write"),
    "/safe-mode/unroll": (unroll_safe_mode, "write"),
    "/safe-mode/toggle": (toggle_safe_mode, "write"),
    "/ping": (ping, "test"),
    "/tool/ping": (ping, "test"),
    "/system/script/run": (run_script, "read"),
    **{f"/log/{level}": (_log_as(level), "read") for level in LEVELS},
}
"""Full path of the verb: its handler and the policy it needs."""
