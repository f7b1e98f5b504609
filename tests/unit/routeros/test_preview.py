"""The preview of a plan: what a person pastes from it does what the API would do.

The console that it is pasted into is `console.py` and `console_router.py`, which share no code with ours.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cerebro.routeros.access.model import AccessPolicy, DesiredAccess, Grant
from cerebro.routeros.access.plan import access_plan
from cerebro.routeros.access.user_model import DesiredUsers, WantedUser
from cerebro.routeros.access.users import user_plan
from cerebro.routeros.client.command import Command
from cerebro.routeros.preview import console_line, preview
from support.console_router import ConsoleRouter
from support.router_states import ENDS, MAC, grants, mark, routers
from support.tables import MENUS, Rows, Tables

BINDING = "/ip/hotspot/ip-binding"
LIST = "/ip/firewall/address-list"
FLAGS = {"yes": "true", "no": "false"}


def console_with(tables: Tables) -> ConsoleRouter:
    """A console of a router with the same rows, under the same ids."""
    console = ConsoleRouter(last_id=1000)
    for path, name in MENUS.items():
        for row in getattr(tables, name):
            console.tables[path].append({"dynamic": "no", **row})
    return console


def said(rows: Rows) -> list[dict[str, str]]:
    """Rows in their order, without their ids: new ones have others."""
    return [
        {
            name: FLAGS.get(value, value)
            for name, value in row.items()
            if name not in (".id", "dynamic")
        }
        for row in rows
    ]


@settings(max_examples=200, deadline=None)
@given(routers(), st.lists(grants, max_size=5))
def test_pasted_it_arrives_at_the_same_tables_as_the_api(
    tables: Tables, wanted: list[Grant]
) -> None:
    desired = DesiredAccess(tuple(wanted), complete=True)
    for _ in range(4):
        plan = access_plan(desired, tables.actual(), AccessPolicy())
        lines = preview(plan.commands(), plan.rows, plan.count(), 256)
        console = console_with(tables)
        console.paste(lines)
        assert console.failed == []
        tables.apply(plan.commands())
        for path, name in MENUS.items():
            assert said(console.tables[path]) == said(getattr(tables, name))


def test_a_line_is_what_a_person_would_write() -> None:
    tables = Tables()
    desired = DesiredAccess((Grant(MAC, "10.5.50.1", ENDS),))
    plan = access_plan(desired, tables.actual(), AccessPolicy())
    first, second = preview(plan.commands(), plan.rows, plan.count(), 256)
    assert first == (
        f"/ip hotspot ip-binding add mac-address={MAC} type=bypassed "
        f'comment="{mark(MAC)}"'
    )
    assert second == (
        "/ip firewall address-list add list=paid_clients address=10.5.50.1 "
        f'comment="{mark(MAC)}"'
    )


def test_pasted_late_a_line_leaves_a_row_that_has_changed() -> None:
    tables = Tables()
    tables.put("bindings", mac_address=MAC, type="bypassed", comment=mark(MAC))
    plan = access_plan(
        DesiredAccess(complete=True), tables.actual(), AccessPolicy()
    )
    lines = preview(plan.commands(), plan.rows, plan.count(), 256)
    assert lines
    tables.bindings[0]["comment"] = "now by hand"
    console = console_with(tables)
    before = console.plain()
    console.paste(lines)
    assert console.plain() == before


def test_secrets_are_masked_and_their_line_is_not_run_when_pasted() -> None:
    add = Command(
        "/ip/hotspot/user", "add", {"name": "p1", "password": "s3cret!"}
    )
    line = console_line(add, {})
    assert "s3cret!" not in line
    assert line.startswith("# ")
    assert line.endswith("/ip hotspot user add name=p1 password=***")


@pytest.mark.parametrize(
    "name", ['shop "1"', "a$b", "two words", "ç", "a;b", "]", "[x]", "#"]
)
def test_names_of_others_stay_within_their_string(name: str) -> None:
    add = Command(LIST, "add", {"list": name, "address": "10.5.50.1"})
    console = ConsoleRouter()
    console.paste([console_line(add, {})])
    assert console.failed == []
    assert said(console.tables[LIST]) == [
        {"list": name, "address": "10.5.50.1"}
    ]


def test_a_long_plan_says_how_much_is_left_out() -> None:
    adds = [
        Command(LIST, "add", {"list": "paid", "address": f"10.0.0.{number}"})
        for number in range(10)
    ]
    assert len(preview(adds, {}, 10, 10)) == 10
    lines = preview(adds, {}, 10, 4)
    assert len(lines) == 4
    assert lines[-1] == "# and 7 more commands"
    console = ConsoleRouter()
    console.paste(lines)
    assert (console.failed, len(console.tables[LIST])) == ([], 3)


def test_a_line_too_long_for_a_status_is_named_only() -> None:
    add = Command(BINDING, "add", {"comment": "x" * 2000})
    assert console_line(add, {}) == (
        "# /ip hotspot ip-binding add: too long to be shown"
    )


def test_a_users_line_can_be_pasted_and_shows_no_password() -> None:
    tables = Tables()
    tables.put("users", name="g2", comment=mark("user g2"))
    user = WantedUser("g1", "guests", "drawn")
    for wanted, begins in (
        (user, "# with the secret filled in: "),
        (replace(user, password=None), ""),
    ):
        desired = DesiredUsers((wanted,), {"g2": False})
        plan = user_plan(
            desired, tables.actual_users(), installation="main", server=None
        )
        commands = plan.commands()
        lines = preview(commands, plan.rows, len(commands), 256)
        assert lines[0] == (
            "/ip hotspot user set [find where .id=*1 name=g2 "
            f'comment="{mark("user g2")}"] disabled=yes'
        )
        assert lines[1].startswith(f"{begins}/ip hotspot user add name=g1 ")
        assert "drawn" not in "".join(lines)

    console = console_with(tables)
    console.paste(lines)
    tables.apply(commands)
    path = "/ip/hotspot/user"
    assert said(console.tables[path]) == said(tables.users)
