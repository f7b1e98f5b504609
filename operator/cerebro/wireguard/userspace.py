"""WireGuard in userspace: wireguard-go over its Unix socket, kept alive by
`cerebro tunnel` over another one.

`links` changes links, addresses and routes; `uapi` writes and reads the text.
Nothing is kept between calls. Not only `cerebro tunnel` may have started a
wireguard-go: whichever answers on the socket is read and set.
"""

from __future__ import annotations

import errno
import json
import os
import socket
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from cerebro.wireguard import links, uapi
from cerebro.wireguard.backend import (
    ForeignInterface,
    Implementation,
    NotAvailable,
    NotPermitted,
    PortInUse,
    WireGuardError,
)
from cerebro.wireguard.model import Interface, Link, LinkChange, PeerChange

KEEPER_SOCKET = "tunnel.sock"
"""The name of the keeper's socket in its run folder."""

_DEADLINE = 20.0
"""Seconds for one request and its answer."""

_STARTING = 2.0
"""Seconds: a wireguard-go that is started again has its link a moment before
its socket.
"""

_CHUNK = 64 * 1024
"""Bytes of a request: some 300 peers, which wireguard-go takes in a third of a
second.
"""

_LONGEST_ANSWER = 64 * 1024 * 1024

_GONE = (FileNotFoundError, ConnectionRefusedError)
"""Nobody listens on a socket."""

_ABOUT_PEER = frozenset({errno.EINVAL, errno.EPROTO})
"""Refusals that concern one peer in a request, and not the whole request."""

_REASONS = {
    kind.reason: kind
    for kind in (NotAvailable, NotPermitted, ForeignInterface)
}


class Userspace:
    """The backend `Userspace`. `run_folder` has the keeper's socket, `sockets`
    those of wireguard-go.
    """

    def __init__(self, run_folder: Path, sockets: Path) -> None:
        self._keeper = run_folder / KEEPER_SOCKET
        self._sockets = sockets

    @property
    def implementation(self) -> Implementation:
        """Return `Userspace`."""
        return "Userspace"

    def read(self, name: str) -> Interface | None:
        """Return the interface with all its peers; None if none has that name.

        Raises ForeignInterface for a link that no wireguard-go carries,
        NotPermitted, WireGuardError.
        """
        starting_until = time.monotonic() + _STARTING
        while True:
            link = links.read(name)
            if link is None:
                return None

            if link.kind != "tun":
                raise links.foreign(name, link.kind)

            try:
                device = self._get(name)
            except _GONE:
                if time.monotonic() > starting_until:
                    raise self._unanswered(name) from None

                time.sleep(0.05)
                continue

            return _interface(name, device, link)

    def ensure(
        self, name: str, mtu: int, deadline: float | None = None
    ) -> None:
        """Make the interface if none has that name; one that exists stays as
        it is.

        `deadline`: the time by `boottime` at which the keeper drops it unless
        it is refreshed (rule E4). Raises NotAvailable if no keeper answers or
        the node has no wireguard-go, NotPermitted, ForeignInterface.
        """
        self._ask({"ensure": name, "mtu": mtu, "deadline": deadline})

    def refresh(self, name: str, deadline: float | None) -> None:
        """Set the deadline of an interface that the keeper carries. Raises as
        `ensure`.
        """
        self._ask({"refresh": name, "deadline": deadline})

    def set_device(
        self,
        name: str,
        *,
        private_key: str | None = None,
        listen_port: int | None = None,
    ) -> None:
        """Set the private key, the port, or both. Raises PortInUse if another
        socket has the port.
        """
        if listen_port:
            # wireguard-go lets go of its own port before it takes the new one,
            # and while its link is down it does not try at all.
            if listen_port != self._present(name).listen_port:
                _check_port(listen_port)
            else:
                listen_port = None

        refusal = self._set(name, uapi.device(private_key, listen_port))
        if refusal == errno.EADDRINUSE:
            raise _port_in_use(listen_port or 0)

        if refusal:
            raise WireGuardError(
                f"wireguard-go refused the key or port of {name}: {_words_for(refusal)}"
            )

    def set_peers(
        self, name: str, changes: Sequence[PeerChange]
    ) -> dict[str, str]:
        """Make the changes in their order; return why one was refused, in
        words, by public key.
        """

        refused: dict[str, str] = {}
        entries = []
        for change in changes:
            try:
                entries.append((change.public_key, uapi.peer(change)))
            except ValueError as error:
                refused[change.public_key] = str(error)

        for chunk in _chunks(entries):
            self._apply(name, chunk, refused)

        return refused

    def set_link(self, name: str, change: LinkChange) -> dict[str, str]:
        """Change addresses, MTU, state and routes. Raises and returns as
        `links.change`.
        """
        return links.change(name, change)

    def drop(self, name: str) -> None:
        """Remove the interface; it is no error if none has that name. Raises
        as `ensure`.
        """
        self._ask({"drop": name})

    def _apply(
        self, name: str, entries: Sequence[_Entry], refused: dict[str, str]
    ) -> None:
        """Send one request; one that is refused is sent again in halves, so
        that only the peer at fault is left out.

        wireguard-go works through a request until the first refusal. What it
        has done already it does once more, to the same effect.
        """

        request = uapi.request(line for _, lines in entries for line in lines)
        refusal = self._set(name, request)
        if not refusal:
            return

        if refusal not in _ABOUT_PEER:
            raise WireGuardError(
                f"wireguard-go refused the peers of {name}: {_words_for(refusal)}"
            )

        if len(entries) == 1:
            refused[entries[0][0]] = (
                f"wireguard-go refused: {_words_for(refusal)}"
            )

            return

        middle = len(entries) // 2
        self._apply(name, entries[:middle], refused)
        self._apply(name, entries[middle:], refused)

    def _get(self, name: str) -> uapi.Device:
        """Return the state of a device. Raises FileNotFoundError,
        ConnectionRefusedError, WireGuardError.
        """
        refusal, device = uapi.read(self._exchange(name, uapi.GET))
        if refusal:
            raise WireGuardError(
                f"wireguard-go does not tell the state of {name}: {_words_for(refusal)}"
            )

        return device

    def _present(self, name: str) -> uapi.Device:
        """Return the state of a device that must exist. Raises WireGuardError."""
        try:
            return self._get(name)
        except _GONE:
            raise _gone(name) from None

    def _set(self, name: str, text: bytes) -> int:
        """Send a request; return the errno of its answer, 0 for none. Raises
        WireGuardError.
        """
        try:
            return uapi.refused(self._exchange(name, text))
        except _GONE:
            raise _gone(name) from None

    def _exchange(self, name: str, text: bytes) -> bytes:
        """Send one request on a connection of its own, as wireguard-go reads
        on after one it refused.
        """
        return _exchange(
            self._sockets / f"{name}.sock",
            text,
            b"\n\n",
            f"wireguard-go of {name}",
        )

    def _unanswered(self, name: str) -> ForeignInterface:
        return ForeignInterface(
            f"an interface {name} exists and nothing answers on {self._sockets / name}.sock: "
            "set another spec.interface, or stop the program that made it"
        )

    def _ask(self, request: dict[str, Any]) -> None:
        """Send a request to the keeper. Raises WireGuardError, of the kind
        that the keeper names.
        """
        line = json.dumps(request).encode() + b"\n"
        try:
            answer = json.loads(
                _exchange(self._keeper, line, b"\n", "the tunnel process")
            )
        except _GONE:
            raise NotAvailable(
                f"no tunnel process answers on {self._keeper}: run `cerebro tunnel` on this node (the DaemonSet "
                "cerebro-tunnel), or set spec.implementation: Kernel"
            ) from None
        except ValueError:
            raise WireGuardError(
                "the tunnel process answered what is no answer: is it of this version?"
            ) from None

        if not answer.get("ok"):
            kind = _REASONS.get(answer.get("reason", ""), WireGuardError)
            raise kind(
                answer.get("message")
                or "the tunnel process refused without a reason"
            )


_Entry = tuple[str, list[str]]
"""The public key of a peer, and the lines that change it."""


def _interface(name: str, device: uapi.Device, link: Link) -> Interface:
    return Interface(
        name=name,
        private_key=device.private_key,
        public_key=device.public_key,
        listen_port=device.listen_port,
        mtu=link.mtu,
        up=link.up,
        addresses=link.addresses,
        routes=link.routes,
        peers=device.peers,
    )


def _chunks(entries: Sequence[_Entry]) -> Iterator[Sequence[_Entry]]:
    """Yield the entries of one request after the other, in order."""
    start = size = 0
    for index, (_, lines) in enumerate(entries):
        length = sum(len(line) + 1 for line in lines)
        if size and size + length > _CHUNK:
            yield entries[start:index]
            start, size = index, 0

        size += length

    if entries:
        yield entries[start:]


def _exchange(path: Path, text: bytes, end: bytes, peer: str) -> bytes:
    """Send `text` over a Unix socket and read until `end`; errors call the
    program behind it `peer`.

    Raises FileNotFoundError, ConnectionRefusedError, WireGuardError.
    """
    until = time.monotonic() + _DEADLINE
    answer = bytearray()
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(_DEADLINE)
            connection.connect(os.fspath(path))
            connection.sendall(text)

            while not answer.endswith(end):
                connection.settimeout(max(0.001, until - time.monotonic()))
                data = connection.recv(1 << 20)
                if not data or len(answer) > _LONGEST_ANSWER:
                    raise WireGuardError(
                        f"{peer} broke off its answer; the next pass asks again"
                    )

                answer += data
    except TimeoutError:
        raise WireGuardError(
            f"{peer} gave no answer within {_DEADLINE:.0f} s"
        ) from None
    except PermissionError:
        raise NotPermitted(
            f"this process may not open {path}: run it as uid 0"
        ) from None
    except _GONE:
        raise
    except OSError as error:
        raise WireGuardError(
            f"{peer}: {error.strerror or error}; the next pass asks again"
        ) from error

    return bytes(answer)


def _check_port(port: int) -> None:
    """Raise PortInUse when a UDP socket of the node has the port."""
    for family, address in (
        (socket.AF_INET, "0.0.0.0"),  # noqa: S104 - tried, not kept
        (socket.AF_INET6, "::"),
    ):
        try:
            with socket.socket(family, socket.SOCK_DGRAM) as probe:
                if family == socket.AF_INET6:
                    probe.setsockopt(
                        socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1
                    )

                probe.bind((address, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise _port_in_use(port) from None


def _port_in_use(port: int) -> PortInUse:
    return PortInUse(
        f"another program on this node has UDP port {port}: set another spec.listenPort, or stop the other one"
    )


def _gone(name: str) -> WireGuardError:
    return WireGuardError(
        f"the interface {name} is gone; the next pass makes it again"
    )


def _words_for(number: int) -> str:
    return f"{os.strerror(number)} ({errno.errorcode.get(number, number)})"
