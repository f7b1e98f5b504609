"""Connecting and logging in: what a router may answer. The router is scripted, the sockets are real."""

from __future__ import annotations

import asyncio
import hashlib
import socket
from typing import TYPE_CHECKING

import pytest

from cerebro.routeros.client.command import Command
from cerebro.routeros.client.connection import connect
from cerebro.routeros.client.errors import (
    ConnectionLost,
    LoginRefused,
    RouterError,
    Unreachable,
)
from integration.routeros.clock import standing_clock

if TYPE_CHECKING:
    from integration.routeros.conftest import Caller, Serve

SECRET = "pâss-word"
CHALLENGE = "ebddd18303a54111e2dea05a92ab46b4"


async def accept(
    caller: Caller,
    password: str,
    message: str = "invalid user name or password (6)",
) -> None:
    """Serve one user with this password, over any number of tries on the connection."""
    while True:
        _, words, tag = await caller.next()
        if tag:
            await caller.say("!done", tag)
        elif f"=password={password}" in words:
            await caller.say("!done")
            await caller.serve()
        else:
            await caller.say("!trap", f"=message={message}")
            await caller.say("!done")


async def test_a_login_is_one_sentence(serve: Serve) -> None:
    async def script(caller: Caller) -> None:
        await accept(caller, SECRET)

    router = await serve(script)
    async with await connect(
        "127.0.0.1", router.port, [("user", SECRET)]
    ) as session:
        assert router.callers[0].seen == [
            ["/login", "=name=user", f"=password={SECRET}"]
        ]
        assert (
            await session.run(Command("/x", "set", {"a": "b"}))
        ).ret == "=a=b"
        assert session.login == 0


async def test_b7_the_previous_password_is_tried_second(serve: Serve) -> None:
    async def script(caller: Caller) -> None:
        await accept(caller, "old")

    router = await serve(script)
    async with await connect(
        "127.0.0.1", router.port, [("user", "new"), ("user", "old")]
    ) as session:
        assert session.login == 1
        assert (
            await session.run(Command("/x", "set", {"a": "b"}))
        ).ret == "=a=b"


async def test_a_wrong_password_is_refused_without_naming_it(
    serve: Serve,
) -> None:
    async def script(caller: Caller) -> None:
        await accept(caller, SECRET)

    router = await serve(script)
    with pytest.raises(
        LoginRefused,
        match="login of user 'user' refused: wrong user name or password",
    ) as caught:
        await connect(
            "127.0.0.1",
            router.port,
            [("user", "wrong-1"), ("user", "wrong-2")],
        )
    assert caught.value.wrong_password
    assert "wrong-" not in str(caught.value)
    assert len(router.callers) == 2


@pytest.mark.parametrize(
    "message",
    ["access denied", f"what is {SECRET}", "RADIUS server is not responding"],
)
async def test_another_refusal_is_final(serve: Serve, message: str) -> None:
    async def script(caller: Caller) -> None:
        await accept(caller, "other", message)

    router = await serve(script)
    with pytest.raises(LoginRefused) as caught:
        await connect(
            "127.0.0.1", router.port, [("user", SECRET), ("user", "other")]
        )
    assert not caught.value.wrong_password
    assert SECRET not in str(caught.value)
    assert len(router.callers) == 1


async def legacy(caller: Caller) -> None:
    """A router before 6.43."""
    while True:
        _, words, _ = await caller.next()
        if not any(word.startswith("=response=") for word in words):
            await caller.say("!done", f"=ret={CHALLENGE}")
            continue
        digest = hashlib.md5(
            b"\0" + SECRET.encode() + bytes.fromhex(CHALLENGE)
        ).hexdigest()
        if f"=response=00{digest}" in words:
            await caller.say("!done")
            await caller.serve()
        await caller.say("!trap", "=message=cannot log in")
        await caller.say("!done")


async def test_a_challenge_of_an_old_router_is_answered(serve: Serve) -> None:
    router = await serve(legacy)
    async with await connect(
        "127.0.0.1", router.port, [("user", "new"), ("user", SECRET)]
    ) as session:
        assert session.login == 1
        assert (
            await session.run(Command("/x", "set", {"a": "b"}))
        ).ret == "=a=b"
    with pytest.raises(LoginRefused):
        await connect("127.0.0.1", router.port, [("user", "wrong")])


@pytest.mark.parametrize(
    ("sentences", "text"),
    [
        ([["!fatal", "too many sessions"]], "too many sessions"),
        ([["!fatal"]], "closed the connection"),
        ([["!done", "=ret=nonsense"]], "makes no sense"),
        ([], "closed the connection"),
    ],
)
async def test_an_end_during_login(
    serve: Serve, sentences: list[list[str]], text: str
) -> None:
    async def script(caller: Caller) -> None:
        await caller.next()
        for words in sentences:
            await caller.say(*words)

    router = await serve(script)
    with pytest.raises(ConnectionLost, match=text):
        await connect("127.0.0.1", router.port, [("user", SECRET)])


async def test_a_router_that_accepts_and_never_answers(serve: Serve) -> None:
    async def script(caller: Caller) -> None:
        await caller.next()
        await clock.passes(0.3)
        await caller.until_closed()

    router = await serve(script)
    with standing_clock() as clock, pytest.raises(Unreachable) as caught:
        await connect(
            "127.0.0.1", router.port, [("user", SECRET)], timeout=0.2
        )
    assert caught.value.reason == "NoAnswer"


@pytest.mark.parametrize(
    ("address", "reason", "seconds"),
    [
        ("127.0.0.1", "ConnectionRefused", 60),
        ("nobody.invalid", "NameNotResolved", 60),
        ("x" * 300, "NameNotResolved", 60),
        ("240.0.0.1", None, 2),
    ],
)
async def test_no_way_to_the_router(
    address: str, reason: str | None, seconds: float
) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        with pytest.raises(Unreachable) as caught:
            await connect(
                address,
                unused.getsockname()[1],
                [("user", SECRET)],
                timeout=seconds,
            )
    assert reason in (None, caught.value.reason)
    assert address in str(caught.value)
    assert SECRET not in str(caught.value)


async def test_a_backlog_that_is_full_times_out() -> None:
    """A port that takes no connection: half-open from the start."""
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        fillers = []
        for _ in range(4):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(full.getsockname())
            fillers.append(filler)
        await asyncio.sleep(0.05)
        with pytest.raises(Unreachable) as caught:
            await connect(
                "127.0.0.1",
                full.getsockname()[1],
                [("user", SECRET)],
                timeout=0.3,
            )
        for filler in fillers:
            filler.close()
    assert caught.value.reason == "ConnectTimeout"


async def test_without_credentials_nothing_is_dialled() -> None:
    with pytest.raises(ValueError, match="credentials"):
        await connect("127.0.0.1", 1, [])


async def test_dead_peers_are_noticed_by_the_kernel(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    tuned: list[socket.socket] = []
    original = asyncio.open_connection

    async def open_connection(*args: object, **more: object) -> object:
        reader, writer = await original(*args, **more)  # type: ignore[arg-type]
        tuned.append(writer.get_extra_info("socket"))
        return reader, writer

    monkeypatch.setattr(asyncio, "open_connection", open_connection)

    async def script(caller: Caller) -> None:
        await accept(caller, SECRET)

    router = await serve(script)
    credentials = [("user", SECRET)]
    async with await connect("127.0.0.1", router.port, credentials) as session:
        [sock] = tuned
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 30

        # What was sent and is not acknowledged, while a change is made.
        for seconds in (10.0, 0):
            session.bound_sending(seconds)
            assert (
                sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT)
                == seconds * 1000
            )


def test_every_error_is_a_router_error() -> None:
    assert all(
        issubclass(kind, RouterError)
        for kind in (Unreachable, LoginRefused, ConnectionLost)
    )


async def test_s4_a_connection_may_be_kept_to_an_interface(
    serve: Serve,
) -> None:
    """Case S4: what is meant for the tunnel leaves through no other interface."""

    async def script(caller: Caller) -> None:
        await accept(caller, SECRET)

    router = await serve(script)
    login = [("user", SECRET)]
    async with await connect(
        "127.0.0.1", router.port, login, interface="lo"
    ) as session:
        await session.run(Command("/x", "set", {"a": "b"}))

    with pytest.raises(Unreachable) as gone:
        await connect("127.0.0.1", router.port, login, interface="wg-gone")

    assert gone.value.reason == "TunnelInterfaceGone"
    assert len(router.callers) == 1
