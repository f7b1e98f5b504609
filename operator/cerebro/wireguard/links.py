"""Links, their addresses and our routes, over rtnetlink: what WireGuard in the kernel and in userspace share.

Works in the network namespace of the calling thread, which may be any, over a socket that each thread of the
process opens once. Decides nothing: a `LinkChange` says what to change.
"""

from __future__ import annotations

import errno
import socket
from ipaddress import ip_interface, ip_network
from struct import Struct

from pyroute2 import AsyncIPRoute
from pyroute2.netlink import NLM_F_CREATE, NLM_F_EXCL
from pyroute2.netlink.exceptions import NetlinkError
from pyroute2.netlink.rtnl import RTM_DELROUTE, RTM_GETROUTE, RTM_NEWROUTE

from cerebro.wireguard import netlink
from cerebro.wireguard.backend import ForeignInterface, NotAvailable, PortInUse, WireGuardError
from cerebro.wireguard.model import Link, LinkChange

ROUTE_PROTOCOL = 206
"""Marks routes as ours; free in iproute2's rt_protos (`ip route show proto 206`)."""

_IFF_UP = 1
_RTEXT_FILTER_SKIP_STATS = 8
_MAIN_TABLE = 254
_SCOPE_LINK = 253
_UNICAST = 1
_RTA_DST, _RTA_OIF = 1, 4

# struct rtmsg: family, dst_len, src_len, tos, table, protocol, scope, type, flags
_ROUTE = Struct("=8BI")
_ATTRIBUTE = Struct("=HH")
_INDEX = Struct("=I")


def read(name: str) -> Link | None:
    """Return the link, None when there is none of that name; raise WireGuardError."""
    return _sockets.run(lambda routes: _read(routes, name))


def connected() -> list[tuple[str, str]]:
    """Return the addresses of all links that are up, each with the link's name, without link-local ones of IPv6.

    A point-to-point address is given as its peer's, whose network it is. Raises WireGuardError.
    """
    return _sockets.run(_connected)


def create(name: str, mtu: int) -> None:
    """Have a WireGuard link in the kernel; one that exists stays as it is.

    Raises NotAvailable without the kernel module, ForeignInterface when another kind of link has the name,
    NotPermitted.
    """
    _sockets.run(lambda routes: _create(routes, name, mtu))


def delete(name: str) -> None:
    """Delete a WireGuard link of the kernel; none is no error; another kind raises ForeignInterface."""
    _sockets.run(lambda routes: _delete(routes, name))


def change(name: str, wanted: LinkChange) -> dict[str, str]:
    """Make the change; return what was refused, in words, by address or network.

    First what goes, then MTU, addresses, state, and routes, which need the link up. Raises PortInUse when the
    link cannot come up because of its listen port, NotPermitted, WireGuardError.
    """
    return _sockets.run(lambda routes: _change(routes, name, wanted))


def foreign(name: str, kind: str | None) -> ForeignInterface:
    """Return the error for a name that something else has."""
    return ForeignInterface(
        f"an interface {name} of kind {kind or 'device'} exists on this node and is not ours: "
        "set another spec.interface, or remove it"
    )


def _open() -> AsyncIPRoute:
    # Strict checking makes the kernel filter dumps; a node may have thousands of routes of others.
    return AsyncIPRoute(strict_check=True, ext_ack=True)


_sockets = netlink.ThreadSocket(_open)
"""One socket for each thread of the process: all that this module keeps between calls."""


async def _find(routes: AsyncIPRoute, name: str) -> tuple[int, str | None, int, bool] | None:
    try:
        (found,) = await routes.link("get", ifname=name, ext_mask=_RTEXT_FILTER_SKIP_STATS)
    except NetlinkError as error:
        if error.code == errno.ENODEV:
            return None
        raise
    return (
        found["index"], found.get(("linkinfo", "kind")), found.get("mtu"), bool(found["flags"] & _IFF_UP)
    )  # fmt: skip


async def _read(routes: AsyncIPRoute, name: str) -> Link | None:
    if (found := await _find(routes, name)) is None:
        return None
    index, kind, mtu, up = found
    return Link(index, kind, mtu, up, await _addresses(routes, index), _routes(routes, index))


async def _addresses(routes: AsyncIPRoute, index: int) -> frozenset[str]:
    addresses = set()
    async for found in await routes.addr("dump", index=index):
        if found["family"] == socket.AF_INET6 and found["scope"] == _SCOPE_LINK:
            continue
        # A point-to-point address has its peer in IFA_ADDRESS, and itself in IFA_LOCAL.
        addresses.add(f"{found.get('local') or found.get('address')}/{found['prefixlen']}")
    return frozenset(addresses)


async def _connected(routes: AsyncIPRoute) -> list[tuple[str, str]]:
    by_link: dict[int, list[str]] = {}
    async for found in await routes.addr("dump"):
        if found["family"] != socket.AF_INET6 or found["scope"] != _SCOPE_LINK:
            text = f"{found.get('address') or found.get('local')}/{found['prefixlen']}"
            by_link.setdefault(found["index"], []).append(text)
    result = []
    for index, addresses in by_link.items():
        try:
            (link,) = await routes.link("get", index=index, ext_mask=_RTEXT_FILTER_SKIP_STATS)
        except NetlinkError as error:
            if error.code == errno.ENODEV:
                continue
            raise
        if link["flags"] & _IFF_UP:
            result += [(link.get("ifname"), text) for text in addresses]
    return result


def _routes(routes: AsyncIPRoute, index: int) -> frozenset[str]:
    networks = set()
    for family in (socket.AF_INET, socket.AF_INET6):
        wanted = _ROUTE.pack(family, 0, 0, 0, 0, ROUTE_PROTOCOL, 0, 0, 0)
        wanted += netlink.attribute(_RTA_OIF, _INDEX.pack(index))
        for answer in netlink.dump(routes, RTM_GETROUTE, wanted):
            if network := _network(answer, index):
                networks.add(network)
    return frozenset(networks)


def _network(answer: bytes, index: int) -> str | None:
    """Return the network of a route if it is one of ours over that link."""
    family, length, _, _, table, protocol, *_ = _ROUTE.unpack_from(answer)
    if protocol != ROUTE_PROTOCOL or table != _MAIN_TABLE:
        return None
    destination = bytes(4 if family == socket.AF_INET else 16)
    link = 0
    offset = _ROUTE.size
    while offset + 4 <= len(answer):
        size, kind = _ATTRIBUTE.unpack_from(answer, offset)
        if kind == _RTA_DST:
            destination = answer[offset + 4 : offset + size]
        elif kind == _RTA_OIF:
            (link,) = _INDEX.unpack_from(answer, offset + 4)
        offset += max(size + 3 & ~3, 4)
    return f"{socket.inet_ntop(family, destination)}/{length}" if link == index else None


async def _create(routes: AsyncIPRoute, name: str, mtu: int) -> None:
    if (found := await _find(routes, name)) is None:
        try:
            await routes.link("add", ifname=name, kind="wireguard", mtu=mtu)
        except NetlinkError as error:
            if error.code in (errno.EOPNOTSUPP, errno.ENOENT, errno.EPROTONOSUPPORT):
                raise not_available() from error
            if error.code != errno.EEXIST:
                raise
        else:
            return
        found = await _find(routes, name)
    if found and found[1] != "wireguard":
        raise foreign(name, found[1])


def not_available() -> NotAvailable:
    """Return the error for a kernel without WireGuard."""
    return NotAvailable(
        "the kernel of this node has no WireGuard: load the module (modprobe wireguard), "
        "or set spec.implementation: Userspace"
    )


async def _delete(routes: AsyncIPRoute, name: str) -> None:
    if (found := await _find(routes, name)) is None:
        return
    index, kind, *_ = found
    if kind != "wireguard":
        raise foreign(name, kind)
    try:
        await routes.link("del", index=index)
    except NetlinkError as error:
        if error.code != errno.ENODEV:
            raise


async def _change(routes: AsyncIPRoute, name: str, wanted: LinkChange) -> dict[str, str]:
    if (found := await _find(routes, name)) is None:
        raise WireGuardError(f"the interface {name} is gone; the next pass makes it again")
    index = found[0]
    refused = _change_routes(routes, index, wanted.remove_routes, add=False)
    for address in wanted.remove_addresses:
        await _change_address(routes, "del", index, address, refused)
    if wanted.mtu is not None:
        await routes.link("set", index=index, mtu=wanted.mtu)
    for address in wanted.add_addresses:
        await _change_address(routes, "add", index, address, refused)
    if wanted.up is not None:
        await _set_state(routes, name, index, up=wanted.up)
    return refused | _change_routes(routes, index, wanted.add_routes, add=True)


async def _set_state(routes: AsyncIPRoute, name: str, index: int, *, up: bool) -> None:
    try:
        await routes.link("set", index=index, state="up" if up else "down")
    except NetlinkError as error:
        if error.code == errno.EADDRINUSE:
            raise PortInUse(
                f"{name} cannot come up: another program on this node has its listen port; "
                "set another spec.listenPort, or stop the other one"
            ) from error
        raise


async def _change_address(
    routes: AsyncIPRoute, command: str, index: int, text: str, refused: dict[str, str]
) -> None:
    try:
        address = ip_interface(text)
        await routes.addr(command, index=index, address=str(address.ip), prefixlen=address.network.prefixlen)
    except ValueError as error:
        refused[text] = f"no address with prefix length: {error}"
    except NetlinkError as error:
        done = errno.EEXIST if command == "add" else errno.EADDRNOTAVAIL
        if error.code != done:
            refused[text] = _refusal(text, error)


def _change_routes(
    routes: AsyncIPRoute, index: int, networks: tuple[str, ...], *, add: bool
) -> dict[str, str]:
    refused: dict[str, str] = {}
    messages: dict[str, netlink.Request] = {}
    kind, flags = (RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL) if add else (RTM_DELROUTE, 0)
    for network in networks:
        try:
            messages[network] = netlink.Request(kind, flags, _packed_route(network, index))
        except ValueError as wrong:
            refused[network] = f"no network: {wrong}"
    outcomes = dict(zip(messages, netlink.send(routes, list(messages.values())), strict=True))
    exists = {network for network, error in outcomes.items() if error and error.code == errno.EEXIST}
    ours = _routes(routes, index) if exists else frozenset()
    for network, error in outcomes.items():
        if error is None or network in ours or (not add and error.code == errno.ESRCH):
            continue
        refused[network] = (
            f"the node has another route to {network}; remove that one, or take the network off the Peer"
            if network in exists
            else _refusal(network, error)
        )
    return refused


def _packed_route(text: str, index: int) -> bytes:
    network = ip_network(text)
    family = socket.AF_INET if network.version == 4 else socket.AF_INET6
    scope = _SCOPE_LINK if network.version == 4 else 0
    return (
        _ROUTE.pack(family, network.prefixlen, 0, 0, _MAIN_TABLE, ROUTE_PROTOCOL, scope, _UNICAST, 0)
        + netlink.attribute(_RTA_DST, network.network_address.packed)
        + netlink.attribute(_RTA_OIF, _INDEX.pack(index))
    )


def _refusal(text: str, error: NetlinkError) -> str:
    if error.code == errno.EPERM:
        raise error
    if ":" in text and error.code in (errno.EACCES, errno.EOPNOTSUPP, errno.EAFNOSUPPORT):
        return "IPv6 is switched off on this node (net.ipv6.conf.all.disable_ipv6), or on this interface"
    return f"the kernel refused: {netlink.reason(error)}"
