"""The technical user's plan (rule B7): from what is wanted and what is there to commands. Pure."""

from __future__ import annotations

import pytest

from cerebro.routeros.menus.users import addresses, policies
from cerebro.routeros.users import (
    UserPlan,
    WantedUser,
    is_there,
    marker,
    plan_user,
    user_prints,
)

OURS = marker("main")
PASSWORD = "the password"
WANTED = WantedUser("relay-tech", "relay-tech", "10.8.0.1,fd00::1")
ADDED = {"name": "relay-tech", "policy": "api,read,write", "comment": OURS}
Row = dict[str, str]


def a_group(**changed: str) -> Row:
    """Return the group as a router shows it when it is as wanted."""
    shown = "!local,write,!policy,api,!test,read,!sensitive"
    return {".id": "*4", **ADDED, "policy": shown, **changed}


def a_user(**changed: str) -> Row:
    """Return the user as a router shows it when it is as wanted."""
    row = {
        ".id": "*2",
        "name": "relay-tech",
        "group": "relay-tech",
        "address": "fd00::1/128,10.8.0.1/32",
        "disabled": "false",
        "comment": OURS,
    }
    return {**row, **changed}


def plan(
    groups: list[Row],
    users: list[Row],
    *,
    wanted: WantedUser | None = WANTED,
    password: str | None = None,
) -> UserPlan:
    return plan_user(wanted, groups, users, "main", password)


def words(plan: UserPlan) -> list[tuple[str, Row]]:
    return [
        (command.word, dict(command.attributes)) for command in plan.commands
    ]


def test_b7_a_router_without_it_gets_the_group_first() -> None:
    made = plan([], [], password=PASSWORD)
    group, (user_word, user) = words(made)
    assert group == ("/user/group/add", ADDED)
    assert user_word == "/user/add"
    assert user == {
        "name": "relay-tech",
        "group": "relay-tech",
        "address": "10.8.0.1,fd00::1",
        "disabled": "false",
        "comment": OURS,
        "password": PASSWORD,
    }
    assert PASSWORD not in repr(made)


def test_b7_what_is_as_wanted_is_left_alone() -> None:
    """The router lists policies in any order, those that are not granted with `!`, and addresses with a length."""
    assert plan([a_group()], [a_user()]) == UserPlan()
    direct = WantedUser("relay-tech", "relay-tech", "")
    for shown in ("", "0.0.0.0/0"):
        users = [a_user(address=shown)]
        assert plan([a_group()], users, wanted=direct) == UserPlan()


@pytest.mark.parametrize(
    ("group", "user", "command"),
    [
        (
            {"policy": "api,read,write,policy"},
            {},
            ("/user/group/set", {".id": "*4", "policy": "api,read,write"}),
        ),
        (
            {},
            {"disabled": "true", "group": "full"},
            (
                "/user/set",
                {".id": "*2", "group": "relay-tech", "disabled": "false"},
            ),
        ),
        (
            {},
            {"address": ""},
            ("/user/set", {".id": "*2", "address": "10.8.0.1,fd00::1"}),
        ),
        (
            {},
            {"comment": "managed-by-relay"},
            ("/user/set", {".id": "*2", "comment": OURS}),
        ),
    ],
)
def test_b7_only_what_differs_is_set(
    group: Row, user: Row, command: tuple[str, Row]
) -> None:
    """Also on a row of the older relay, which is taken over."""
    assert words(plan([a_group(**group)], [a_user(**user)])) == [command]


def test_b7_a_password_is_set_only_where_it_is_given() -> None:
    made = plan([a_group()], [a_user()], password=PASSWORD)
    assert words(made) == [("/user/set", {".id": "*2", "password": PASSWORD})]


@pytest.mark.parametrize(
    ("groups", "users", "row"),
    [
        ([], [a_user(comment="")], '/user name="relay-tech"'),
        ([a_group(comment="x")], [], '/user/group name="relay-tech"'),
        (
            [],
            [a_user(comment=marker("second"))],
            '/user name="relay-tech"',
        ),
    ],
)
def test_b7_a_row_made_by_hand_is_in_the_way_of_all(
    groups: list[Row], users: list[Row], row: str
) -> None:
    assert plan(groups, users, password=PASSWORD) == UserPlan(by_hand=row)


def test_b7_what_is_ours_and_not_wanted_goes_users_first() -> None:
    admin = a_user(**{".id": "*1", "name": "admin", "comment": ""})
    full = a_group(**{".id": "*3", "name": "full", "comment": ""})
    old = a_user(**{".id": "*9", "name": "former"})
    groups, users = [full, a_group()], [admin, old, a_user()]
    assert words(plan(groups, users)) == [("/user/remove", {".id": "*9"})]
    assert words(plan(groups, users, wanted=None)) == [
        ("/user/remove", {".id": "*9"}),
        ("/user/remove", {".id": "*2"}),
        ("/user/group/remove", {".id": "*4"}),
    ]


def test_b7_the_reading_asks_for_what_is_compared_and_no_password() -> None:
    asked = [command.attributes[".proplist"] for command in user_prints()]
    assert asked == [
        ".id,name,policy,comment",
        ".id,name,group,address,disabled,comment",
    ]
    assert is_there(WANTED, [a_user()])
    assert not is_there(WANTED, [a_user(name="admin")])


def test_spellings_of_policies_and_addresses() -> None:
    assert policies("!ftp, write,api,!test,read") == "api,read,write"
    assert policies("") == ""
    assert addresses("10.8.0.7/32, 10.9.0.3/16") == "10.8.0.7,10.9.0.0/16"
    assert addresses("0.0.0.0/0") == ""
