"""Links, their addresses and our routes, over rtnetlink: what WireGuard in the
kernel and in userspace share.

Works in the network namespace of the calling thread, which may be any, over a
socket that each thread of the process opens once. Decides nothing: a
`LinkChange` says what to change.
"""

from __future__ import annotations

import errno
import socket
from dataclasses import dataclass
from ipaddress import ip_interface, ip_network
from struct import Struct

from pyroute2 import AsyncIPRoute
from pyroute2.netlink import NLM_F_CREATE, NLM_F_EXCL
from pyroute2.netlink.exceptions import NetlinkError
from pyroute2.netlink.rtnl import RTM_DELROUTE, RTM_GETROUTE, RTM_NEWROUTE

from cerebro.wireguard import netlink
from cerebro.wireguard.backend import (
    ForeignInterface,
    NotAvailable,
    PortInUse,
    WireGuardError,
)
from cerebro.wireguard.model import Link, LinkChange

ROUTE_PROTOCOL = 206
"""Marks routes as ours; free in iproute2's rt_protos (`ip route show proto
206`).
"""

# Of linux/if.h, if_link.h and rtnetlink.h.
_IFF_UP = 1
_RTEXT_FILTER_SKIP_STATS = 8
_MAIN_TABLE = 254
_SCOPE_LINK = 253
_UNICAST = 1
_RTA_DST = 1
_RTA_OIF = 4

# struct rtmsg: family, dst_len, src_len, tos, table, protocol, scope, type,
# flags
_ROUTE = Struct("=8BI")
_ATTRIBUTE = Struct("=HH")
_INDEX = Struct("=I")


def read(name: str) -> Link | None:
    """Return the link; None if none has that name. Raises WireGuardError."""
    return _sockets.run(lambda routes: _read(routes, name))


def connected() -> list[tuple[str, str]]:
    """Return the addresses of all links that are up, each after its link's
    name, as `("eth0", "10.0.0.5/24")`.

    Link-local addresses of IPv6 are left out. A point-to-point address is
    given as its peer's, whose network it is. Raises WireGuardError.
    """
    return _sockets.run(_connected)


def create(name: str, mtu: int) -> None:
    """Make a WireGuard link in the kernel if none has that name; one that
    exists stays as it is.

    Raises NotAvailable without the kernel module, ForeignInterface if another
    kind of link has the name, NotPermitted, WireGuardError.
    """
    _sockets.run(lambda routes: _create(routes, name, mtu))


def delete(name: str) -> None:
    """Delete a WireGuard link of the kernel; it is no error if none has that
    name.

    Raises ForeignInterface if another kind of link has the name, NotPermitted,
    WireGuardError.
    """
    _sockets.run(lambda routes: _delete(routes, name))


def change(name: str, wanted: LinkChange) -> dict[str, str]:
    """Make the change; return why a part was refused, in words, by address or
    network.

    First what goes, then MTU, addresses, state, and routes, which need the
    link up. Raises PortInUse if the link cannot come up because of its listen
    port, NotPermitted, WireGuardError.
    """
    return _sockets.run(lambda routes: _change(routes, name, wanted))


def foreign(name: str, kind: str | None) -> ForeignInterface:
    """Return the error for a name that something else has; `kind` as in
    `Link`.
    """
    return ForeignInterface(
        f"an interface {name} of kind {kind or 'device'} exists on this node and is not ours: "
        "set another spec.interface, or remove it"
    )


def not_available() -> NotAvailable:
    """Return the error for a kernel without WireGuard."""
    return NotAvailable(
        "the kernel of this node has no WireGuard: load the module (modprobe wireguard), "
        "or set spec.implementation: Userspace"
    )


def _open() -> AsyncIPRoute:
    # Strict checking makes the kernel filter dumps; a node may have thousands
    # of routes of others.
    return AsyncIPRoute(strict_check=True, ext_ack=True)


_sockets = netlink.ThreadSocket(_open)
"""One socket for each thread of the process: all that this module keeps
between calls.
"""


@dataclass(frozen=True, slots=True)
class _Device:
    """What the kernel lists of a link itself."""

    index: int
    kind: str | None
    mtu: int
    up: bool


async def _find(routes: AsyncIPRoute, name: str) -> _Device | None:
    try:
        (link,) = await routes.link(
            "get", ifname=name, ext_mask=_RTEXT_FILTER_SKIP_STATS
        )
    except NetlinkError as error:
        if error.code == errno.ENODEV:
            return None

        raise

    return _Device(
        index=link["index"],
        kind=link.get(("linkinfo", "kind")),
        mtu=link.get("mtu"),
        up=bool(link["flags"] & _IFF_UP),
    )


async def _read(routes: AsyncIPRoute, name: str) -> Link | None:
    device = await _find(routes, name)
    if device is None:
        return None

    return Link(
        index=device.index,
        kind=device.kind,
        mtu=device.mtu,
        up=device.up,
        addresses=await _addresses(routes, device.index),
        routes=_routes(routes, device.index),
    )


async def _addresses(routes: AsyncIPRoute, index: int) -> frozenset[str]:
    addresses = set()
    async for address in await routes.addr("dump", index=index):
        if _is_link_local(address["family"], address["scope"]):
            continue

        # A point-to-point address has its peer in IFA_ADDRESS, and itself in
        # IFA_LOCAL.
        text = address.get("local") or address.get("address")
        addresses.add(f"{text}/{address['prefixlen']}")

    return frozenset(addresses)


def _is_link_local(family: int, scope: int) -> bool:
    return family == socket.AF_INET6 and scope == _SCOPE_LINK


async def _connected(routes: AsyncIPRoute) -> list[tuple[str, str]]:
    by_link: dict[int, list[str]] = {}
    async for address in await routes.addr("dump"):
        if _is_link_local(address["family"], address["scope"]):
            continue

        text = address.get("address") or address.get("local")
        by_link.setdefault(address["index"], []).append(
            f"{text}/{address['prefixlen']}"
        )

    result = []
    for index, addresses in by_link.items():
        try:
            (link,) = await routes.link(
                "get", index=index, ext_mask=_RTEXT_FILTER_SKIP_STATS
            )
        except NetlinkError as error:
            if error.code == errno.ENODEV:
                continue  # it went meanwhile

            raise

        if link["flags"] & _IFF_UP:
            result += [(link.get("ifname"), text) for text in addresses]

    return result


def _routes(routes: AsyncIPRoute, index: int) -> frozenset[str]:
    """Return the networks that have a route of ours over a link."""
    networks = set()
    for family in (socket.AF_INET, socket.AF_INET6):
        wanted = _ROUTE.pack(family, 0, 0, 0, 0, ROUTE_PROTOCOL, 0, 0, 0)
        wanted += netlink.attribute(_RTA_OIF, _INDEX.pack(index))
        for answer in netlink.dump(routes, RTM_GETROUTE, wanted):
            network = _network(answer, index)
            if network is not None:
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

    if link != index:
        return None

    return f"{socket.inet_ntop(family, destination)}/{length}"


async def _create(routes: AsyncIPRoute, name: str, mtu: int) -> None:
    device = await _find(routes, name)
    if device is None:
        try:
            await routes.link("add", ifname=name, kind="wireguard", mtu=mtu)
        except NetlinkError as error:
            if error.code in (
                errno.EOPNOTSUPP,
                errno.ENOENT,
                errno.EPROTONOSUPPORT,
            ):
                raise not_available() from error

            if error.code != errno.EEXIST:
                raise
        else:
            return

        device = await _find(routes, name)  # somebody made it meanwhile

    if device is not None and device.kind != "wireguard":
        raise foreign(name, device.kind)


async def _delete(routes: AsyncIPRoute, name: str) -> None:
    device = await _find(routes, name)
    if device is None:
        return

    if device.kind != "wireguard":
        raise foreign(name, device.kind)

    try:
        await routes.link("del", index=device.index)
    except NetlinkError as error:
        if error.code != errno.ENODEV:
            raise


async def _change(
    routes: AsyncIPRoute, name: str, wanted: LinkChange
) -> dict[str, str]:
    device = await _find(routes, name)
    if device is None:
        raise WireGuardError(
            f"the interface {name} is gone; the next pass makes it again"
        )

    index = device.index

    # What goes.
    refused = _change_routes(routes, index, wanted.remove_routes, add=False)
    for address in wanted.remove_addresses:
        await _change_address(routes, "del", index, address, refused)

    # What comes; routes need the link up.
    if wanted.mtu is not None:
        await routes.link("set", index=index, mtu=wanted.mtu)

    for address in wanted.add_addresses:
        await _change_address(routes, "add", index, address, refused)

    if wanted.up is not None:
        await _set_state(routes, name, index, up=wanted.up)

    return refused | _change_routes(routes, index, wanted.add_routes, add=True)


async def _set_state(
    routes: AsyncIPRoute, name: str, index: int, *, up: bool
) -> None:
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
    routes: AsyncIPRoute,
    command: str,
    index: int,
    text: str,
    refused: dict[str, str],
) -> None:
    """Add or delete (`command`) an address; note in `refused` why it was
    refused.
    """
    try:
        address = ip_interface(text)
        await routes.addr(
            command,
            index=index,
            address=str(address.ip),
            prefixlen=address.network.prefixlen,
        )
    except ValueError as error:
        refused[text] = f"no address with prefix length: {error}"
    except NetlinkError as error:
        done = errno.EEXIST if command == "add" else errno.EADDRNOTAVAIL
        if error.code != done:
            refused[text] = _refusal(text, error)


def _change_routes(
    routes: AsyncIPRoute, index: int, networks: tuple[str, ...], *, add: bool
) -> dict[str, str]:
    """Add or delete routes to networks over a link; return why one was
    refused, by network.
    """

    kind = RTM_NEWROUTE if add else RTM_DELROUTE
    flags = NLM_F_CREATE | NLM_F_EXCL if add else 0
    refused: dict[str, str] = {}
    requests: dict[str, netlink.Request] = {}
    for network in networks:
        try:
            requests[network] = netlink.Request(
                kind, flags, _packed_route(network, index)
            )
        except ValueError as error:
            refused[network] = f"no network: {error}"

    answers = dict(
        zip(
            requests,
            netlink.send(routes, list(requests.values())),
            strict=True,
        )
    )

    # A route that exists may be ours, over this link: then it is as it should
    # be.
    exists = {
        network
        for network, answer in answers.items()
        if answer and answer.code == errno.EEXIST
    }

    ours = _routes(routes, index) if exists else frozenset()
    for network, answer in answers.items():
        if answer is None or network in ours:
            continue

        gone = not add and answer.code == errno.ESRCH
        if gone:
            continue

        if network in exists:
            refused[network] = (
                f"the node has another route to {network}; remove that one, or take the network off the Peer"
            )
        else:
            refused[network] = _refusal(network, answer)

    return refused


def _packed_route(text: str, index: int) -> bytes:
    """Return the payload of a message about a route over a link. Raises
    ValueError if the text is no network.
    """

    network = ip_network(text)
    family = socket.AF_INET if network.version == 4 else socket.AF_INET6
    scope = _SCOPE_LINK if network.version == 4 else 0
    header = _ROUTE.pack(
        family,
        network.prefixlen,
        0,
        0,
        _MAIN_TABLE,
        ROUTE_PROTOCOL,
        scope,
        _UNICAST,
        0,
    )

    destination = netlink.attribute(_RTA_DST, network.network_address.packed)

    return (
        header + destination + netlink.attribute(_RTA_OIF, _INDEX.pack(index))
    )


def _refusal(text: str, error: NetlinkError) -> str:
    """Return in words why the kernel refused an address or network. Raises
    `error` if it concerns all of them.
    """
    if error.code == errno.EPERM:
        raise error

    if ":" in text and error.code in (
        errno.EACCES,
        errno.EOPNOTSUPP,
        errno.EAFNOSUPPORT,
    ):
        return "IPv6 is switched off on this node (net.ipv6.conf.all.disable_ipv6), or on this interface"

    return f"the kernel refused: {netlink.reason(error)}"
