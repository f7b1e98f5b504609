"""The guard's rows: what is put on a router, over the API and pasted, and what of it is mended.

The console is `console.py` and `console_router.py`, which share no code with ours. What the script does is in
`test_guard_script.py`.
"""

from __future__ import annotations

import pytest

from cerebro.routeros.client.command import Command
from cerebro.routeros.configuration.guard import guard_part
from cerebro.routeros.configuration.guard_script import guard_script
from cerebro.routeros.menus.menu import Row
from cerebro.routeros.menus.system import SCRIPT
from cerebro.routeros.preview import LONGEST, preview
from support.console_router import ConsoleRouter

SCRIPTS, SCHEDULERS = "/system/script", "/system/scheduler"


def adding() -> list[Command]:
    part = guard_part("main", scripted=True, runs=True)
    return [Command(row.menu.path, "add", row.values) for row in part.rows]


def test_pasted_line_by_line_the_console_has_script_and_scheduler() -> None:
    console = ConsoleRouter()
    commands = adding()

    lines = preview(commands, {}, len(commands), 128)
    console.paste(lines)

    assert console.failed == []
    assert max(map(len, lines)) <= LONGEST
    (script,) = console.tables[SCRIPTS]
    assert script["source"] == guard_script("main")
    (scheduler,) = console.tables[SCHEDULERS]
    assert scheduler["on-event"] == script["name"] == "cerebro-main-guard"
    assert (scheduler["interval"], scheduler["start-time"]) == (
        "1m",
        "startup",
    )
    assert {script["comment"], scheduler["comment"]} == {"cerebro:main:guard"}


def test_a_script_that_a_person_changed_is_written_anew_by_paste() -> None:
    console = ConsoleRouter()
    console.put(SCRIPTS, name="cerebro-main-guard", source=":put 1")
    row: Row = console.tables[SCRIPTS][0]
    wanted = adding()[0].attributes
    command = Command(
        SCRIPTS, "set", {".id": row[".id"], "source": wanted["source"]}
    )

    console.paste(preview([command], {(SCRIPTS, row[".id"]): row}, 1, 128))

    assert console.failed == []
    assert console.tables[SCRIPTS][0]["source"] == guard_script("main")


def test_the_rows_ask_for_no_more_than_read_and_write() -> None:
    assert {command.attributes["policy"] for command in adding()} == {
        "read,write"
    }


def test_a_script_reads_the_same_with_the_line_ends_of_winbox() -> None:
    wanted = adding()[0].attributes
    stored = {**wanted, "source": wanted["source"].replace("\n", "\r\n")}

    assert SCRIPT.differences(wanted, stored) == {}
    assert SCRIPT.differences(wanted, {**wanted, "source": ":put 1"})


@pytest.mark.parametrize(
    ("scripted", "runs", "paths", "menus"),
    [
        (True, True, [SCRIPTS, SCHEDULERS], {SCRIPTS, SCHEDULERS}),
        (True, False, [SCRIPTS], {SCRIPTS, SCHEDULERS}),
        (True, None, [SCRIPTS], {SCRIPTS}),
        (False, None, [], {SCRIPTS, SCHEDULERS}),
        (False, True, [], {SCRIPTS, SCHEDULERS}),
    ],
    ids=["runs", "clock-ahead", "clock-unknown", "off-unknown", "off"],
)
def test_which_rows_there_are_and_which_menus_are_cleared(
    scripted: bool, runs: bool | None, paths: list[str], menus: set[str]
) -> None:
    part = guard_part("main", scripted=scripted, runs=runs)

    assert [row.menu.path for row in part.rows] == paths
    assert {menu.path for menu in part.menus} == menus
    assert not part.risky


def test_two_installations_share_nothing_on_a_router() -> None:
    ours, theirs = guard_script("main"), guard_script("other.one")

    assert ours != theirs
    assert "^cerebro:other[.]one:" in theirs
    assert "^cerebro:main:" not in theirs
