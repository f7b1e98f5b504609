"""WireGuard in the kernel, over its generic netlink family.

`links` changes links, addresses and routes; `wgmessages` packs requests,
`wganswers` unpacks answers. Any thread may call, in the network namespace that
it is in. What is kept between calls: the sockets, one for each thread of the
process, and in each `Kernel` a `PeerCache`.
"""

from __future__ import annotations

import errno
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager

from pyroute2.netlink import genlmsg
from pyroute2.netlink.exceptions import NetlinkError
from pyroute2.netlink.generic import AsyncGenericNetlinkSocket

from cerebro.wireguard import links, netlink, wganswers, wgmessages
from cerebro.wireguard.backend import Implementation, PortInUse, WireGuardError
from cerebro.wireguard.model import Interface, LinkChange, PeerChange
from cerebro.wireguard.wganswers import PeerCache
from cerebro.wireguard.wgmessages import Entry

_FAMILY = "wireguard"

# Errors of the kernel that concern the whole message, and not one peer in it.
_ABOUT_ALL = frozenset(
    {errno.EPERM, errno.EACCES, errno.ENODEV, errno.EOPNOTSUPP, errno.ENOBUFS}
)


class Kernel:
    """The backend `Kernel`. Its cache holds what earlier readings found; it
    changes only how long the next takes.
    """

    def __init__(self) -> None:
        self._cache = PeerCache()

    @property
    def implementation(self) -> Implementation:
        """Return `Kernel`."""
        return "Kernel"

    def read(self, name: str) -> Interface | None:
        """Return the interface with all its peers; None if none has that name.

        Raises ForeignInterface for a link of another kind, NotPermitted,
        WireGuardError.
        """

        link = links.read(name)
        if link is None:
            return None

        if link.kind != _FAMILY:
            raise links.foreign(name, link.kind)

        answers = _sockets.ask(lambda socket: _read(socket, name))
        if answers is None:
            return None

        return wganswers.interface(name, answers, link, self._cache)

    def ensure(
        self,
        name: str,
        mtu: int,
        deadline: float | None = None,  # noqa: ARG002 - the Protocol's
    ) -> None:
        """Make the interface if none has that name; one that exists stays as
        it is. Raises as `links.create`.
        """
        links.create(name, mtu)

    def refresh(self, name: str, deadline: float | None) -> None:
        """Do nothing: the kernel drops no interface by itself."""

    def set_device(
        self,
        name: str,
        *,
        private_key: str | None = None,
        listen_port: int | None = None,
    ) -> None:
        """Set the private key, the port, or both.

        Raises PortInUse if the interface is up and another socket has the
        port, NotPermitted, WireGuardError.
        """
        payload = wgmessages.device(
            name, private_key=private_key, listen_port=listen_port
        )

        _sockets.ask(
            lambda socket: _set_device(socket, name, payload, listen_port)
        )

    def set_peers(
        self, name: str, changes: Sequence[PeerChange]
    ) -> dict[str, str]:
        """Make the changes in their order; return why one was refused, in
        words, by public key.

        Raises NotPermitted, WireGuardError.
        """
        if not changes:
            return {}

        return _sockets.ask(lambda socket: _set_peers(socket, name, changes))

    def set_link(self, name: str, change: LinkChange) -> dict[str, str]:
        """Change addresses, MTU, state and routes. Raises and returns as
        `links.change`.
        """
        return links.change(name, change)

    def drop(self, name: str) -> None:
        """Remove the interface; it is no error if none has that name. Raises
        as `links.delete`.
        """
        links.delete(name)


class _Socket(AsyncGenericNetlinkSocket):  # type: ignore[misc] # the library has no types
    module_err_level = "debug"  # our own error reports a missing module


@asynccontextmanager
async def _open() -> AsyncIterator[_Socket]:
    async with _Socket(ext_ack=True) as socket:
        try:
            await socket.bind(_FAMILY, genlmsg)
        except NetlinkError as error:
            if error.code == errno.ENOENT:
                raise links.not_available() from error

            raise

        yield socket


_sockets = netlink.ThreadSocket(_open)
"""One socket for each thread of the process, whatever `Kernel` calls: a thread
that was here keeps its socket.
"""


def _read(socket: _Socket, name: str) -> list[bytes] | None:
    """Return the kernel's answers about an interface; None if it is gone."""
    try:
        return netlink.dump(socket, socket.prid, wgmessages.get(name))
    except NetlinkError as error:
        if error.code == errno.ENODEV:
            return None

        if error.code == errno.EOPNOTSUPP:
            raise links.foreign(name, None) from error

        raise


def _set_device(
    socket: _Socket, name: str, payload: bytes, listen_port: int | None
) -> None:
    (error,) = netlink.send(socket, [netlink.Request(socket.prid, 0, payload)])
    if error is None:
        return

    if error.code == errno.EADDRINUSE:
        raise PortInUse(
            f"another program on this node has UDP port {listen_port}: "
            "set another spec.listenPort, or stop the other one"
        ) from error

    raise _about_all(name, error) from error


def _set_peers(
    socket: _Socket, name: str, changes: Iterable[PeerChange]
) -> dict[str, str]:
    refused: dict[str, str] = {}
    for entries in wgmessages.split(changes, refused):
        _apply(socket, name, entries, refused)

    return refused


def _apply(
    socket: _Socket,
    name: str,
    entries: Sequence[Entry],
    refused: dict[str, str],
) -> None:
    """Send one message; one that is refused is sent again in halves, so that
    only the peer at fault is left out.

    The kernel works through a message until the first refusal and does not say
    where that was. What it has done already it does once more, to the same
    effect.
    """

    payload = wgmessages.peers(name, entries)
    (error,) = netlink.send(socket, [netlink.Request(socket.prid, 0, payload)])
    if error is None:
        return

    if error.code in _ABOUT_ALL:
        raise _about_all(name, error) from error

    if len(entries) == 1:
        refused[entries[0][0]] = f"the kernel refused: {netlink.reason(error)}"
        return

    middle = len(entries) // 2
    _apply(socket, name, entries[:middle], refused)
    _apply(socket, name, entries[middle:], refused)


def _about_all(name: str, error: NetlinkError) -> WireGuardError:
    """Return the error that says what to do about a refusal of a whole
    message.
    """
    if error.code == errno.ENODEV:
        return WireGuardError(
            f"the interface {name} is gone; the next pass makes it again"
        )

    if error.code == errno.EOPNOTSUPP:
        return links.foreign(name, None)

    return netlink.in_words(error)
