"""The wire, word by word: login, fatals, tags, cancel, listen."""

import hashlib

import pytest

from integration.simulator.conftest import Connect, MakeRouter
from integration.simulator.wire import Wire, sentence
from simulator import Router


async def test_wrong_then_right_login(
    router: Router, connect: Connect
) -> None:
    """Points 3, 13."""
    wire = await connect(router)
    wire.send("/login", "=name=cerebro", "=password=wrong")
    assert await wire.texts() == [
        "!trap",
        "=message=invalid user name or password (6)",
    ]
    assert await wire.texts() == ["!done"]
    wire.send("/login", "=name=cerebro", "=password=secret")
    assert await wire.texts() == ["!done"]


async def test_legacy_login(make_router: MakeRouter, connect: Connect) -> None:
    """Point 4."""
    wire = await connect(await make_router(legacy_login=True, version="6.42"))
    for password, wanted in (("wrong", "cannot log in"), ("secret", None)):
        challenge = (await wire.ask("/login")).ret
        assert challenge is not None
        assert len(challenge) == 32
        digest = hashlib.md5(
            b"\x00" + password.encode() + bytes.fromhex(challenge)
        ).hexdigest()
        answer = await wire.ask(
            "/login", "=name=cerebro", f"=response=00{digest}"
        )
        assert [message for _, message in answer.traps] == (
            [wanted] if wanted else []
        )
    assert (await wire.ask("/system/identity/print")).rows == [
        {"name": "MikroTik"}
    ]


async def test_a_command_before_login_is_fatal(
    router: Router, connect: Connect
) -> None:
    """Point 5."""
    wire = await connect(router)
    wire.send("/system/identity/print")
    assert await wire.texts() == ["!fatal", "not logged in"]
    assert await wire.texts() == ["closed"]


async def test_quit(wire: Wire) -> None:
    """Point 6."""
    wire.send("/quit")
    assert await wire.texts() == ["!fatal", "session terminated on request"]
    assert await wire.texts() == ["closed"]


async def test_a_control_byte_closes(wire: Wire) -> None:
    """Point 1."""
    wire.writer.write(b"\xf8")
    assert await wire.texts() == ["closed"]


async def test_empty_sentences_are_ignored(wire: Wire) -> None:
    """Point 2."""
    wire.writer.write(
        b"\x00\x00" + sentence("/system/identity/print") + b"\x00"
    )
    assert await wire.texts() == ["!re", "=name=MikroTik"]
    assert await wire.texts() == ["!done"]


@pytest.mark.parametrize(
    "size", [0, 1, 0x7F, 0x80, 0x3FFF, 0x4000, 0x1FFFFF, 0x200000]
)
async def test_values_of_boundary_sizes_come_back(
    wire: Wire, size: int
) -> None:
    """Point 1: The word is `=comment=` and the value."""
    value = "x" * max(0, size - len("=comment="))
    await wire.ask(
        "/ip/hotspot/ip-binding/add",
        "=mac-address=aa:bb:cc:00:00:01",
        f"=comment={value}",
    )
    (row,) = (
        await wire.ask(
            "/ip/hotspot/ip-binding/print", "=.proplist=comment,.id"
        )
    ).rows
    assert row.get("comment", "") == value


async def test_bytes_that_are_no_text_pass_through(wire: Wire) -> None:
    """Point 42."""
    raw = b"=comment=caf\xe9 \x00 \xff=\n"
    await wire.ask("/ip/hotspot/ip-binding/add", "=address=10.0.0.1", raw)
    wire.send("/ip/hotspot/ip-binding/print", "=.proplist=comment")
    assert await wire.read() == [b"!re", raw]
    assert await wire.read() == [b"!done"]
    name = b"=name=h\xe9\x00te"
    await wire.ask("/system/identity/set", name)
    wire.send("/system/identity/print")
    assert await wire.read() == [b"!re", name]


@pytest.mark.parametrize("position", ["front", "end"])
async def test_tags_stand_on_every_sentence(
    make_router: MakeRouter, connect: Connect, position: str
) -> None:
    """Point 7."""
    wire = await (
        await connect(await make_router(tag_position=position))
    ).login()
    wire.send("/user/group/print", ".tag=a b=c", "=.proplist=name,skin")
    wire.send("/ip/hotspot/host/print", ".tag=2")
    wire.send("/nonsense/print", ".tag=3")
    seen = []
    for _ in range(9):
        words = await wire.texts()
        assert words[1 if position == "front" else -1].startswith(".tag=")
        seen.append((words[0], words[1 if position == "front" else -1]))
    assert seen == [
        *[("!re", ".tag=a b=c")] * 3,
        ("!done", ".tag=a b=c"),
        ("!empty", ".tag=2"),
        ("!done", ".tag=2"),
        *[("!trap", ".tag=3")] * 2,
        ("!done", ".tag=3"),
    ]


async def test_tagged_commands_overtake_each_other(
    make_router: MakeRouter, connect: Connect
) -> None:
    """Point 8: Order of completion and mixture of sentences, by the router's seed."""
    wire = await (
        await connect(await make_router(reorder_commands=True, seed=7))
    ).login()
    wire.writer.write(
        b"".join(sentence("/user/group/print", f".tag={n}") for n in range(20))
    )
    tags: list[str] = []
    done: list[str] = []
    while len(done) < 20:
        words = await wire.texts()
        tags.append(words[1])
        done += [words[1]] if words[0] == "!done" else []
    assert done != sorted(done, key=lambda tag: int(tag.removeprefix(".tag=")))
    assert sorted(tags) == sorted(done * 4), "four sentences each"
    assert any(tags[at : at + 4] != [tags[at]] * 4 for at in range(0, 80, 4))


async def test_without_tags_answers_carry_none(wire: Wire) -> None:
    """Point 9."""
    wire.send("/user/group/print", "=.proplist=name")
    wire.send("/system/identity/print")
    kinds = [await wire.texts() for _ in range(6)]
    assert [words[0] for words in kinds] == [
        "!re",
        "!re",
        "!re",
        "!done",
        "!re",
        "!done",
    ]
    assert not any(w.startswith(".tag") for words in kinds for w in words)


async def test_listen_and_cancel(
    wire: Wire, router: Router, connect: Connect
) -> None:
    """Points 10, 20."""
    other = await (await connect(router)).login()
    wire.send(
        "/ip/firewall/address-list/listen",
        ".tag=l",
        "?list=a",
        "=.proplist=.id,address,comment",
    )
    wire.send("/system/identity/print", ".tag=i")
    assert (await wire.texts())[0] == "!re", (
        "nothing of listen before the identity"
    )
    assert (await wire.texts())[0] == "!done"
    row = (
        await other.ask(
            "/ip/firewall/address-list/add", "=list=a", "=address=1.1.1.1"
        )
    ).ret
    await other.ask(
        "/ip/firewall/address-list/add", "=list=b", "=address=1.1.1.1"
    )
    assert set(await wire.texts()) == {
        "!re",
        ".tag=l",
        f"=.id={row}",
        "=address=1.1.1.1",
    }
    await other.ask(
        "/ip/firewall/address-list/set", f"=.id={row}", "=comment=x"
    )
    assert set(await wire.texts()) == {
        "!re",
        ".tag=l",
        f"=.id={row}",
        "=address=1.1.1.1",
        "=comment=x",
    }
    await other.ask("/ip/firewall/address-list/remove", f"=.id={row}")
    assert await wire.texts() == [
        "!re",
        ".tag=l",
        f"=.id={row}",
        "=.dead=true",
    ]
    wire.send("/cancel", "=tag=l", ".tag=c")
    assert await wire.texts() == [
        "!trap",
        ".tag=l",
        "=category=2",
        "=message=interrupted",
    ]
    assert await wire.texts() == ["!done", ".tag=c"]
    assert await wire.texts() == ["!done", ".tag=l"]


async def test_cancel_without_a_tag_ends_all(wire: Wire) -> None:
    """Point 10."""
    wire.send("/ip/arp/listen", ".tag=1")
    wire.send("/ip/hotspot/host/listen", ".tag=2")
    wire.send("/cancel", ".tag=c")
    got = [await wire.texts() for _ in range(5)]
    assert [(w[0], w[1]) for w in got] == [
        ("!trap", ".tag=1"),
        ("!trap", ".tag=2"),
        ("!done", ".tag=c"),
        ("!done", ".tag=1"),
        ("!done", ".tag=2"),
    ]


async def test_ping_ends_by_count_or_by_cancel(
    wire: Wire, router: Router
) -> None:
    router.network.move_in("AA:BB:CC:00:00:01", "10.0.0.7")
    rows = (
        await wire.ask(
            "/ping", "=address=10.0.0.7", "=count=2", "=interval=10ms"
        )
    ).rows
    assert [row["received"] for row in rows] == ["1", "2"]
    rows = (await wire.ask("/tool/ping", "=address=10.0.0.8", "=count=1")).rows
    assert rows[0]["status"] == "timeout"
    wire.send("/ping", "=address=10.0.0.7", "=interval=10ms", ".tag=p")
    for _ in range(3):
        assert (await wire.texts())[0] == "!re"
    wire.send("/cancel", "=tag=p", ".tag=c")
    last = ["!re"]
    while last[0] == "!re":
        last = await wire.texts()
    assert [last[:2], (await wire.texts())[:2], (await wire.texts())[:2]] == [
        ["!trap", ".tag=p"],
        ["!done", ".tag=c"],
        ["!done", ".tag=p"],
    ]


async def test_what_a_client_may_send_before_login_is_limited(
    router: Router, connect: Connect
) -> None:
    """Reference 1.1: the router limits number and size of sentences before login."""
    wire = await connect(router)
    wire.send("/login", "=name=cerebro", "=password=" + "x" * 70000)
    assert await wire.texts() == ["closed"]
