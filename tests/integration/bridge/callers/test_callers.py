"""Every client of the old relay calls as it does, and reads what it reads (contract 1.2 and 10).

Real: the bridges as processes, with the API server and the rights of `deploy/`. Played by the test: the clients,
the agent and what the router answers. A row that names a setting is that of a client that does not sign method
and path: the same call is refused without the setting.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from itertools import count
from typing import Any

import httpx
import pytest
import pytest_asyncio

from controlplane import apply
from controlplane.server import ControlPlane
from integration.bridge.callers import (
    dash,
    endpoints,
    lab_main,
    lab_master,
)
from integration.bridge.callers.rows import (
    LEGACY,
    UNSIGNED,
    Phone,
    Row,
    value_at,
)
from integration.bridge.callers.world import World

pytestmark = pytest.mark.asyncio(loop_scope="module")
PHONES = (Phone(number) for number in count(1))
TABLES = {
    "contract": endpoints,
    "main": lab_main,
    "master": lab_master,
    "dash": dash,
}
ROWS = [row for table in TABLES.values() for row in table.ROWS]
WITH_A_SETTING = {
    (row.sends.endpoint, row.sends.form, row.sends.token): row
    for row in ROWS
    if row.setting is not None
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(
    control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[World]:
    """The relay that all rows call."""
    namespace = f"test-{secrets.token_hex(4)}"
    apply.apply_rights(control_plane, namespace)
    account = control_plane.account_kubeconfig("cerebro-operator", namespace)
    folder = tmp_path_factory.mktemp("callers")
    made = World(control_plane, namespace, account, folder)
    made.open()
    yield made
    await made.close()
    control_plane.kubectl("delete", "namespace", namespace, "--wait=false")


@pytest.mark.parametrize("row", ROWS, ids=str)
async def test_a_client_reads_what_it_reads(world: World, row: Row) -> None:
    phone = next(PHONES)
    for request in row.before:
        await world.send(request, phone, row.setting)
    answer = await world.send(row.sends, phone, row.setting)
    assert answer.status_code == row.status, answer.text
    _check_shape(answer, row)
    body: Any = answer.json() if row.reads else {}
    read = {path: value_at(body, path) for path in row.reads}
    expected = phone.fill(row.reads)
    assert all(read[path] == expected[path] for path in read), (
        f"{read} is not {expected}"
    )


@pytest.mark.parametrize("row", WITH_A_SETTING.values(), ids=str)
async def test_d5_without_its_setting_a_client_that_does_not_sign_is_refused(
    world: World, row: Row
) -> None:
    answer = await world.send(row.sends, next(PHONES), None)
    assert answer.status_code == 401, answer.text
    assert answer.json()["code"].startswith("HMAC_")


async def test_each_caller_and_each_endpoint_of_the_tables_is_called() -> None:
    """None can be forgotten: the names are those of the contract's tables."""
    for table in (lab_main, lab_master, dash):
        assert {row.caller for row in table.ROWS} == table.CALLERS
    called = {row.sends.endpoint for row in endpoints.ROWS}
    assert called == endpoints.ENDPOINTS
    assert {row.setting for row in ROWS} == {None, LEGACY, UNSIGNED}


def _check_shape(answer: httpx.Response, row: Row) -> None:
    """Check what each answer has: the trace, and of an error its code and its text twice."""
    assert answer.headers["x-request-id"]
    if row.status < 400:
        return
    shown = answer.json()
    assert shown["ok"] is False
    assert shown["code"]
    assert shown["error"] == shown["message"] != ""
