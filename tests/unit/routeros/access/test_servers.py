"""The plan of access on a router with several hotspot servers (rule B4): what a person made for one of them says
nothing of the others. Without a router: rows in, commands out.
"""

from __future__ import annotations

import pytest

from cerebro.routeros.access.model import (
    AccessPolicy,
    DesiredAccess,
    Ending,
    Grant,
)
from cerebro.routeros.access.plan import access_plan
from cerebro.routeros.access.result import AccessPlan, GrantView
from support.tables import Tables

MAC, IP, OTHER_IP = "AA:00:00:00:00:01", "10.5.50.1", "10.5.50.2"
HERE, ELSEWHERE = "hotspot1", "hotspot2"
GRANT = Grant(MAC, IP, None)
POLICY = AccessPolicy()
ENDING = Ending(MAC, frozenset({IP}), revoked=True)


def by_hand(
    tables: Tables, kind: str, server: str = ELSEWHERE
) -> dict[str, str]:
    return tables.put(
        "bindings",
        mac_address=MAC,
        server=server,
        type=kind,
        comment="the boss",
    )


def plan(tables: Tables, policy: AccessPolicy = POLICY) -> AccessPlan:
    return access_plan(DesiredAccess((GRANT,)), tables.actual(), policy)


def granted(tables: Tables) -> GrantView:
    """Apply and plan again until nothing is left; the phone is silent once its host is gone."""
    for _ in range(4):
        result = plan(tables)
        if result.empty:
            return result.grants[GRANT]
        tables.apply(result.commands())
    pytest.fail(f"not settled: {list(result.commands())}")


@pytest.mark.parametrize("kind", ["bypassed", "blocked"])
def test_b4_a_row_by_hand_for_another_server_counts_for_nothing_and_ours_stands_before_it(
    kind: str,
) -> None:
    tables = Tables()
    theirs = by_hand(tables, kind)
    tables.put(
        "hosts", mac_address=MAC, address=IP, server=HERE, bypassed="false"
    )
    view = granted(tables)
    assert (view.granted, view.blocked_by_hand) == (True, None)
    ours, other = tables.bindings
    assert (ours["mac-address"], ours["type"], ours.get("server", "all")) == (
        MAC,
        "bypassed",
        "all",
    )
    assert other == theirs


def test_b4_a_bypass_by_hand_for_one_server_is_no_grant_while_nobody_knows_where_the_client_is() -> (
    None
):
    tables = Tables()
    by_hand(tables, "bypassed")
    assert granted(tables).granted
    assert len(tables.bindings) == 2


def test_b4_a_block_by_hand_for_one_server_is_respected_while_nobody_knows_where_the_client_is() -> (
    None
):
    tables = Tables()
    by_hand(tables, "blocked")
    assert "made by hand" in (granted(tables).blocked_by_hand or "")
    assert len(tables.bindings) == 1


def test_b4_a_bypass_by_hand_on_one_of_two_servers_where_the_client_is_does_not_do() -> (
    None
):
    tables = Tables()
    by_hand(tables, "bypassed")
    tables.put(
        "hosts", mac_address=MAC, address=IP, server=HERE, bypassed="false"
    )
    tables.put(
        "hosts",
        mac_address=MAC,
        address=OTHER_IP,
        server=ELSEWHERE,
        bypassed="true",
    )
    assert granted(tables).granted
    assert len(tables.bindings) == 2


@pytest.mark.parametrize("kind", ["bypassed", "blocked"])
@pytest.mark.parametrize("policy", [POLICY, AccessPolicy(server=HERE)])
def test_b4_a_row_by_hand_for_the_clients_own_server_counts(
    kind: str, policy: AccessPolicy
) -> None:
    tables = Tables()
    by_hand(tables, kind, HERE)
    bypassed = "true" if kind == "bypassed" else "false"
    tables.put(
        "hosts", mac_address=MAC, address=IP, server=HERE, bypassed=bypassed
    )
    result = plan(tables, policy)
    assert not [
        command for command in result.commands() if "binding" in command.path
    ]
    assert (
        "made by hand" in (result.grants[GRANT].blocked_by_hand or "")
    ) is (kind == "blocked")


@pytest.mark.parametrize(
    ("server", "said"), [(HERE, True), (ELSEWHERE, False), ("all", True)]
)
def test_b4_after_a_revoke_a_bypass_by_hand_is_said_where_it_lets_the_client_in(
    server: str, said: bool
) -> None:
    tables = Tables()
    by_hand(tables, "bypassed", server)
    tables.put(
        "hosts", mac_address=MAC, address=IP, server=HERE, bypassed="false"
    )
    view = access_plan(
        DesiredAccess(endings=(ENDING,)), tables.actual(), POLICY
    ).endings[ENDING]
    assert (view.granted_by_hand is not None) is said


def test_b4_after_a_revoke_a_bypass_by_hand_is_said_while_nobody_knows_where_the_client_is() -> (
    None
):
    tables = Tables()
    by_hand(tables, "bypassed")
    view = access_plan(
        DesiredAccess(endings=(ENDING,)), tables.actual(), POLICY
    ).endings[ENDING]
    assert "made by hand" in (view.granted_by_hand or "")
