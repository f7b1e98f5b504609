"""Opening a session: TCP, TLS and login. Nothing here is tried again by
itself; the caller decides when.
"""

import asyncio
import errno
import hashlib
import ipaddress
import socket
from collections.abc import Sequence
from typing import Any

from cerebro.routeros.client.codec import BROKEN, Wire, parse
from cerebro.routeros.client.command import Observe
from cerebro.routeros.client.errors import (
    ConnectionLost,
    LoginRefused,
    Trap,
    TrapKind,
    Unreachable,
    printable,
)
from cerebro.routeros.client.session import RouterSession
from cerebro.routeros.client.tls import (
    TlsSettings,
    anonymous_context,
    ssl_context,
)
from cerebro.routeros.client.unreachable import (
    GIVE_CERTIFICATE,
    NO_CERTIFICATE,
    may_lack_certificate,
    unreachable,
)

_BUFFER = 1 << 18
"""Bytes that are read ahead of whoever takes them."""

# Seconds until a peer that is gone is noticed while nothing is in flight: 30 +
# 3 * 10.
_KEEPALIVE = {"TCP_KEEPIDLE": 30, "TCP_KEEPINTVL": 10, "TCP_KEEPCNT": 3}


async def connect(
    address: str,
    port: int,
    credentials: Sequence[tuple[str, str]],
    tls: TlsSettings | None = None,
    timeout: float = 8.0,  # noqa: ASYNC109 - the length of every step, and the session's silence
    *,
    interface: str | None = None,
    observe: Observe | None = None,
) -> RouterSession:
    """Connect to a router and log in.

    `credentials`: pairs of user and password, tried in turn while the router
    calls them wrong, each on a connection of its own (B7: the previous
    password second). `timeout`: seconds for each of connecting (with TLS) and
    logging in, and then the silence that ends the session. `interface`: the
    only network interface through which anything may leave, for `address` an
    IP address (rule D2). `observe`: see RouterSession. Raises Unreachable, LoginRefused, ConnectionLost,
    SecretError.
    """

    if not credentials:
        raise ValueError("no credentials given")

    refused: LoginRefused | None = None
    for number, (user, password) in enumerate(credentials):
        wire = await _open(
            address, port, tls or TlsSettings(), timeout, interface
        )

        try:
            async with asyncio.timeout(timeout):
                await login(wire, user, password)

            wire.logged_in()

            return RouterSession(
                wire, silence=timeout, login=number, observe=observe
            )
        except TimeoutError:
            wire.abort()
            text = f"{address} port {port}: no answer to the login within {timeout:g} s"
            raise Unreachable("NoAnswer", text) from None
        except LoginRefused as error:
            wire.abort()

            if not error.wrong_password:
                raise

            refused = error
        except BaseException:
            wire.abort()
            raise

    assert refused is not None
    raise refused


async def login(wire: Wire, user: str, password: str) -> None:
    """Log in on a fresh connection; the challenge of a router before 6.43 is
    answered.

    Raises LoginRefused, ConnectionLost.
    """
    try:
        done = await _ask(
            wire, "/login", f"=name={user}", f"=password={password}"
        )
        if "ret" in done:
            await _ask(
                wire,
                "/login",
                f"=name={user}",
                f"=response={_response(password, done['ret'])}",
            )
    except Trap as trap:
        wrong = trap.kind is TrapKind.BAD_LOGIN
        text = "; ".join(map(printable, trap.messages))
        if wrong:
            text = "wrong user name or password"
        elif password and password in text:
            text = "for another reason than the password"

        raise LoginRefused(
            f"login of user {user!r} refused: {text}", wrong_password=wrong
        ) from None
    except BROKEN as error:
        raise ConnectionLost(
            f"the connection ended during login: {printable(str(error))}"
        ) from error


def _response(password: str, challenge: str) -> str:
    """The answer to a challenge of a router before 6.43: MD5 over a zero byte,
    password and challenge.
    """
    try:
        salt = bytes.fromhex(challenge)
    except ValueError:
        raise ConnectionLost(
            "the router's answer to the login makes no sense"
        ) from None

    secret = password.encode("utf-8", "surrogateescape")

    return (
        "00"
        + hashlib.md5(b"\0" + secret + salt, usedforsecurity=False).hexdigest()
    )


async def _ask(wire: Wire, *words: str) -> dict[str, str]:
    """Send one sentence without a tag, as before login nothing else runs; the
    attributes of its `!done`.
    """
    wire.write(words)
    traps: list[str] = []
    while True:
        reply, _, attributes, bare = parse(await wire.read_sentence())
        if reply == "!fatal":
            raise EOFError(
                " ".join(bare) or "the router closed the connection"
            )

        if reply == "!trap":
            traps.append(attributes.get("message", ""))

        if reply == "!done":
            if traps:
                raise Trap(words[0], traps)

            return attributes


async def _open(
    address: str,
    port: int,
    tls: TlsSettings,
    seconds: float,
    interface: str | None,
) -> Wire:
    context = ssl_context(tls)
    server_name = (tls.server_name or address) if context is not None else None

    try:
        async with asyncio.timeout(seconds):
            reader, writer = await asyncio.open_connection(
                **await _place(address, port, interface),
                ssl=context,
                server_hostname=server_name,
                limit=_BUFFER,
            )
    except (OSError, ValueError) as error:
        if may_lack_certificate(tls, error):
            await _refuse_anonymous(address, port, seconds, interface)

        raise unreachable(f"{address} port {port}", error, seconds) from error

    _tune(writer.get_extra_info("socket"))

    return Wire(reader, writer)


async def _refuse_anonymous(
    address: str, port: int, seconds: float, interface: str | None
) -> None:
    """Raise Unreachable if the service has no certificate. Nothing is sent
    over the connection that shows it.
    """

    try:
        async with asyncio.timeout(seconds):
            _, writer = await asyncio.open_connection(
                **await _place(address, port, interface),
                ssl=anonymous_context(),
                server_hostname=address,
            )
    except (OSError, ValueError):
        return

    writer.transport.abort()

    raise Unreachable(
        NO_CERTIFICATE, f"{address} port {port}: {GIVE_CERTIFICATE}"
    )


async def _place(
    address: str, port: int, interface: str | None
) -> dict[str, Any]:
    """Return where to connect to, for `asyncio.open_connection`.

    Raises Unreachable, OSError, ValueError.
    """
    if interface is None:
        return {"host": address, "port": port}

    return {"sock": await _bound(address, port, interface)}


async def _bound(address: str, port: int, interface: str) -> socket.socket:
    """Return a socket that is connected through that interface, and through no
    other, whatever the routes say by now.

    Raises Unreachable if there is no such interface; OSError, ValueError.
    """

    version = ipaddress.ip_address(address).version
    family = socket.AF_INET if version == 4 else socket.AF_INET6
    sock = socket.socket(family, socket.SOCK_STREAM)

    try:
        sock.setblocking(False)

        # Before the first packet: what is sent from now on has one way only.
        _bind_to_device(sock, interface)

        await asyncio.get_running_loop().sock_connect(sock, (address, port))
    except BaseException:
        sock.close()
        raise

    return sock


def _bind_to_device(sock: socket.socket, interface: str) -> None:
    """Bind a socket to an interface, which needs no right since Linux 5.7.

    Raises Unreachable.
    """

    try:
        sock.setsockopt(
            socket.SOL_SOCKET, socket.SO_BINDTODEVICE, interface.encode()
        )
    except OSError as error:
        if error.errno == errno.ENODEV:
            text = "the Hub's interface is gone; the router is dialled when it is back"
            reason = "TunnelInterfaceGone"
        else:
            text = f"the connection cannot be kept to it ({error.strerror}): this takes Linux 5.7"
            reason = "NotPermitted"

        raise Unreachable(reason, f"interface {interface}: {text}") from error


def _tune(sock: socket.socket) -> None:
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)

    for option, value in _KEEPALIVE.items():
        if hasattr(socket, option):  # absent outside Linux
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
