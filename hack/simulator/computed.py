"""Properties that are made anew at each print: ages, remaining times,
counters, flags that follow others.
"""

from __future__ import annotations

from simulator.errors import Trap
from simulator.menu import Computed, MenuRouter
from simulator.rights import POLICIES
from simulator.row import Row
from simulator.values import format_duration, parse_duration


def whole(seconds: float) -> str:
    """Return a duration in whole seconds, 0s for what is below zero."""
    return format_duration(max(0, int(seconds)))


def counter(name: str) -> Computed:
    """Return a byte or packet counter kept in the hidden part; 0 before the
    first packet.
    """
    return lambda _router, row: str(row.hidden.get(name, 0))


def binding_flag(kind: str) -> Computed:
    """Return the flag of an ip-binding that is there only when true."""
    return lambda _router, row: (
        "true" if row.values.get("type") == kind else None
    )


def age(router: MenuRouter, row: Row) -> str:
    """Return the time since the row was made."""
    return whole(router.clock.now() - row.hidden["created"])


def idle(router: MenuRouter, row: Row) -> str:
    """Return the time since the last packet."""
    return whole(
        router.clock.now() - row.hidden.get("seen", router.clock.now())
    )


def remaining(router: MenuRouter, row: Row) -> str | None:
    """Return the time until the row vanishes by itself; absent when it does
    not.
    """
    expires = row.hidden.get("expires")
    return (
        None
        if expires is None
        else whole(expires - router.clock.now() + 0.999)
    )


def time_left(router: MenuRouter, row: Row) -> str | None:
    """Return the time until the session's limit; absent without one."""
    limit = row.hidden.get("limit")
    return None if limit is None else whole(limit - router.clock.now() + 0.999)


def user_uptime(router: MenuRouter, row: Row) -> str:
    """Return the time used over all sessions of a hotspot user, the running
    one included.
    """
    used: float = row.hidden.get("used", 0.0)
    return whole(used + router.hotspot.running_time(row.values["name"]))


def limit_of(row: Row) -> float | None:
    """Return the user's uptime limit in seconds."""
    text = row.values.get("limit-uptime")
    return None if text is None else parse_duration(text)


def policies(router: MenuRouter, row: Row) -> str:
    """Return all policies of the universe, those not granted with `!`, in no
    fixed order.
    """
    granted = row.hidden.get("policy", "").split(",")
    shown = [name if name in granted else f"!{name}" for name in POLICIES]
    router.random.shuffle(shown)
    return ",".join(shown)


def group_unused(router: MenuRouter, row: Row) -> None:
    """Refuse to remove a group that has users, or a built-in group."""
    if any(
        user.values["group"] == row.id
        for user in router.tables["/user"].rows.values()
    ):
        raise Trap("failure: group has some users")
    if row.values["name"] in {"read", "write", "full"}:
        raise Trap("failure: can not remove built-in group")


def not_last_full_user(router: MenuRouter, row: Row) -> None:
    """Refuse to remove the last user with all policies."""
    others = [
        user
        for user in router.tables["/user"].rows.values()
        if user is not row
    ]
    if not any(
        router.policies_of(user) >= frozenset(POLICIES) for user in others
    ):
        raise Trap("failure: can not remove last full user")


def list_entry_changed(router: MenuRouter, row: Row, names: set[str]) -> None:
    """A timeout makes an address-list entry dynamic: it vanishes at its end."""
    row.values.setdefault("creation-time", router.clock.stamp())
    row.values.setdefault("dynamic", "false")
    if "timeout" in names and "timeout" not in row.hidden:
        row.hidden.pop("expires", None)
        row.values["dynamic"] = "false"
    elif "timeout" in names:
        row.values["dynamic"] = "true"
        row.hidden["expires"] = router.clock.now() + parse_duration(
            row.hidden["timeout"]
        )
        router.deadlines.watch(router.tables["/ip/firewall/address-list"], row)
