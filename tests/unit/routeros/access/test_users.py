"""The plan of hotspot users (rules A3, B1, B3, B4, E1, E13): applied it gives what is wanted, and leaves what is not
ours.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from cerebro.routeros.access.marker import client_id, marker_for
from cerebro.routeros.access.model import AccessPolicy
from cerebro.routeros.access.read import Scope, access_prints
from cerebro.routeros.access.user_model import (
    MASKED,
    ActualUsers,
    DesiredUsers,
    UserPlan,
    WantedUser,
    user_key,
)
from cerebro.routeros.access.user_prints import users_print
from cerebro.routeros.access.users import user_plan
from support.tables import Tables

NOW, LATER = 1_000.0, 2_000.0
MAC, IP, OTHER = "AA:00:00:00:00:01", "10.5.50.1", "10.5.50.2"
GUEST = client_id(user_key("g1"))


def planned(
    desired: DesiredUsers, actual: ActualUsers, server: str | None = None
) -> UserPlan:
    return user_plan(desired, actual, installation="main", server=server)


def wanting(*users: WantedUser, **more: Any) -> DesiredUsers:
    return DesiredUsers(wanted=users, complete=True, now=NOW, **more)


def ended(*names: str, revoked: bool = False, **more: Any) -> DesiredUsers:
    names_of = dict.fromkeys(names, revoked)
    return DesiredUsers(ended=names_of, complete=True, now=NOW, **more)


def our_user(tables: Tables, name: str, **more: str) -> dict[str, str]:
    comment = str(marker_for("main", user_key(name), LATER))
    return tables.put("users", name=name, comment=comment, **more)


def rounds(tables: Tables, desired: DesiredUsers) -> int:
    """Apply plans until one is empty, as a pass does; return how many were not."""
    for number in range(8):
        plan = planned(desired, tables.actual_users())
        if not plan.commands():
            return number
        tables.apply(plan.commands())
        desired = replace(desired, places=plan.places, flows=plan.flows)
    raise AssertionError("it never ends")


# --- wanted


def test_a3_a_user_is_made_with_profile_password_and_marker() -> None:
    tables = Tables()
    user = WantedUser("g1", "guests", "pw", LATER)
    assert rounds(tables, wanting(user)) == 1
    (row,) = tables.users
    assert row["comment"] == f"cerebro:main:{GUEST}:2000"
    assert (row["profile"], row["password"], row["server"]) == (
        "guests",
        "pw",
        "all",
    )
    assert "pw" not in repr(user)


def test_b3_a_later_end_changes_the_marker_only() -> None:
    tables = Tables()
    rounds(tables, wanting(WantedUser("g1", until=NOW + 1)))
    plan = planned(
        wanting(WantedUser("g1", until=LATER)), tables.actual_users()
    )
    (command,) = plan.commands()
    assert command.attributes.keys() == {".id", "comment"}


def test_a_password_that_is_masked_is_written_where_it_may_be_another() -> (
    None
):
    tables = Tables()
    our_user(tables, "g1", password=MASKED)
    for renew, count in ((True, 1), (False, 0)):
        user = WantedUser("g1", password="new", until=LATER, renew=renew)
        plan = planned(wanting(user), tables.actual_users())
        assert len(plan.commands()) == count
    tables.users[0]["password"] = "old"
    user = WantedUser("g1", password="new", until=LATER)
    assert rounds(tables, wanting(user)) == 1
    assert tables.users[0]["password"] == "new"


def test_a_row_of_ours_that_was_renamed_or_doubled_is_healed() -> None:
    tables = Tables()
    our_user(tables, "g1")["name"] = "renamed"
    our_user(tables, "g1", server="hs2")
    assert rounds(tables, wanting(WantedUser("g1", until=LATER))) == 1
    (row,) = tables.users
    assert (row["name"], row.get("server", "all")) == ("g1", "all")


def test_b4_a_user_of_the_older_relay_is_taken_over_by_set() -> None:
    tables = Tables()
    before = tables.put("users", name="g1", comment="pedido:P-1")[".id"]
    assert rounds(tables, wanting(WantedUser("g1", until=LATER))) == 1
    assert tables.users[0][".id"] == before
    assert tables.users[0]["comment"].startswith("cerebro:main:")


def test_b4_a_user_of_the_older_relay_goes_with_a_revoke_only() -> None:
    tables = Tables()
    tables.put("users", name="g1", comment="pedido:P-1")
    assert rounds(tables, ended("g1")) == 0
    assert rounds(tables, ended("g1", revoked=True)) == 2
    assert tables.users == []


def test_b4_a_user_made_by_hand_is_named_and_left() -> None:
    tables = Tables()
    row = dict(tables.put("users", name="g1", comment="mine"))
    for desired in (wanting(WantedUser("g1")), ended("g1", revoked=True)):
        assert rounds(tables, desired) == 0
    state = planned(wanting(WantedUser("g1")), tables.actual_users()).states[
        "g1"
    ]
    assert (state.done, state.by_hand) == (False, row[".id"])
    assert tables.users == [row]


def test_b4_whoever_is_logged_in_with_a_user_by_hand_stays_when_ours_goes() -> (
    None
):
    """A person gave ours another name, and made one of the old name."""
    tables = Tables()
    our_user(tables, "g1")["name"] = "renamed"
    mine = dict(tables.put("users", name="g1", comment="mine"))
    login = dict(tables.put("active", user="g1", address="10.5.50.9"))
    rounds(tables, ended("g1", revoked=True))
    assert tables.users == [mine]
    assert tables.active == [login]


def test_b8_a_user_that_is_held_stays_as_it_is() -> None:
    tables = Tables()
    for _ in range(2):
        user = WantedUser("g1", until=LATER, hold=True)
        assert rounds(tables, wanting(user)) == 0
        our_user(tables, "g1", profile="other")


# --- ended


def logged_in(tables: Tables, name: str, mac: str = MAC, ip: str = IP) -> None:
    tables.put("active", user=name, mac_address=mac, address=ip)
    tables.put("cookies", user=name, mac_address=mac)
    tables.put(
        "hosts",
        mac_address=mac,
        address=ip,
        to_address=ip,
        authorized="true",
    )
    tables.put("connections", src_address=f"{ip}:80", dst_address="1.1.1.1:1")


def test_b1_a_user_that_goes_is_disabled_first_and_removed_last() -> None:
    tables = Tables()
    our_user(tables, "g1")
    logged_in(tables, "g1")
    logged_in(tables, "boss", "AA:00:00:00:00:02", OTHER)
    plan = planned(ended("g1"), tables.actual_users())
    verbs = [
        (command.path.rpartition("/")[2], command.verb)
        for command in plan.commands()
    ]
    assert verbs == [
        ("user", "set"),
        ("cookie", "remove"),
        ("active", "remove"),
        ("host", "remove"),
    ]
    assert rounds(tables, ended("g1")) == 3
    assert tables.users == []
    for rows in (tables.active, tables.cookies, tables.hosts):
        assert [row for row in rows if row["mac-address"] == MAC] == []
        assert len(rows) == 1
    assert [row["src-address"] for row in tables.connections] == [
        f"{OTHER}:80"
    ]


def test_b1_connections_that_come_later_do_not_count() -> None:
    tables = Tables()
    desired = ended("g1", places={GUEST: frozenset({IP})})
    tables.put("connections", src_address=f"{IP}:80")
    plan = planned(desired, tables.actual_users())
    tables.apply(plan.commands())
    tables.put("connections", src_address=f"{IP}:81")
    later = planned(replace(desired, flows=plan.flows), tables.actual_users())
    assert later.states["g1"].done


def test_b1_a_client_that_another_session_lets_in_keeps_what_runs() -> None:
    tables = Tables()
    our_user(tables, "g1")
    logged_in(tables, "g1")
    kept = frozenset({MAC, IP})
    rounds(tables, ended("g1", kept=kept))
    assert tables.users == tables.active == []
    assert len(tables.hosts) == len(tables.connections) == 1


def test_b0_nothing_is_proven_by_a_menu_that_was_not_read() -> None:
    tables = Tables()
    our_user(tables, "g1", disabled="true")
    for path in ("/ip/hotspot/active", "/ip/hotspot/cookie"):
        actual = replace(tables.actual_users(), unread={path: "why"})
        plan = planned(ended("g1"), actual)
        assert plan.commands() == []
        assert plan.states["g1"].unread == path


def test_e1_without_the_lease_only_a_user_whose_end_has_passed_goes() -> None:
    tables = Tables()
    our_user(tables, "g1")
    for passed_at, count in ((NOW, 0), (LATER, 2)):
        assert rounds(tables, ended("g1", passed_at=passed_at)) == count


def test_e13_a_user_that_no_session_explains_waits_for_a_decision() -> None:
    tables = Tables()
    our_user(tables, "g1")
    nobody = wanting(retiring=frozenset())
    plan = planned(nobody, tables.actual_users())
    assert (plan.commands(), plan.orphans) == ([], {GUEST})
    assert rounds(tables, replace(nobody, retiring=frozenset({GUEST}))) == 2
    assert tables.users == []


def test_b9_a_user_of_a_session_that_cannot_be_read_is_left() -> None:
    tables = Tables()
    our_user(tables, "g1", profile="other")
    frozen = frozenset({GUEST})
    for desired in (
        wanting(frozen=frozen),
        wanting(WantedUser("g1"), frozen=frozen),
        ended("g1", frozen=frozen),
        ended("g1", frozen_all=True),
    ):
        assert rounds(tables, desired) == 0


def test_a_pass_over_some_users_reads_these_alone() -> None:
    command = users_print("main", {"g1"}, ours=False)
    assert command.queries[0] == "?name=g1"
    assert f"?>comment=cerebro:main:{GUEST}:" in command.queries
    assert users_print("main", {str(n) for n in range(50)}, ours=True) == (
        replace(command, queries=())
    )


def test_a_pass_over_users_alone_reads_no_rows_of_clients() -> None:
    """An address list may have ten thousand rows."""
    bindings, *prints = access_prints(AccessPolicy(), Scope())
    assert bindings.queries == ("?-mac-address",)
    assert {command.queries for command in prints} == {("?.id=*FFFFFFFF",)}


# --- for any state

NAMES = st.sampled_from(["g1", "g2", "g3"])
ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "name": NAMES,
            "comment": st.sampled_from(
                ["", "mine", "pedido:P", "cerebro:else:0123456789:never"]
                + [
                    str(marker_for("main", user_key(name), LATER))
                    for name in ("g1", "g2", "g3", "g4")
                ]
            ),
            "disabled": st.sampled_from(["true", "false"]),
            "profile": st.sampled_from(["default", "other"]),
        }
    ),
    max_size=4,
    unique_by=lambda row: row["name"],
)


@settings(max_examples=200, deadline=None)
@given(rows=ROWS, wanted=st.sets(NAMES), revoked=st.booleans(), data=st.data())
def test_any_plan_converges_and_leaves_what_is_not_ours(
    rows: list[dict[str, str]],
    wanted: set[str],
    revoked: bool,
    data: st.DataObject,
) -> None:
    tables = Tables()
    for row in rows:
        tables.put("users", **row)
        if data.draw(st.booleans()):
            logged_in(tables, row["name"])

    foreign = [
        dict(row)
        for row in tables.users
        if not row["comment"].startswith(("cerebro:main:", "pedido:"))
    ]
    desired = replace(
        ended(*{"g1", "g2", "g3"} - wanted, revoked=revoked),
        wanted=tuple(WantedUser(name, until=LATER) for name in sorted(wanted)),
    )
    rounds(tables, desired)
    states = planned(desired, tables.actual_users()).states
    for row in foreign:
        assert row in tables.users
    for name in wanted:
        assert states[name].done or states[name].by_hand
    for name in desired.ended:
        assert states[name].done
