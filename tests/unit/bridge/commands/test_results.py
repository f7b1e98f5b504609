"""The answers about what a router was asked for, in the fields that each client reads."""

from __future__ import annotations

from typing import Any

from cerebro.bridge.commands import results
from cerebro.resources import Device, DeviceCommand

MAC, OTHER = "AA:BB:CC:00:00:01", "AA:BB:CC:00:00:02"
DEVICE = Device.model_validate(
    {
        "metadata": {"name": "d", "namespace": "ns"},
        "spec": {
            "routerID": "R1",
            "api": {
                "address": "192.0.2.1",
                "allowPlaintext": True,
                "credentialsSecretRef": {"name": "router"},
            },
        },
    }
)


def ended(*rows: list[dict[str, str]], **status: Any) -> DeviceCommand:
    return DeviceCommand.model_validate(
        {
            "metadata": {"name": "c", "namespace": "ns"},
            "spec": {"deviceRef": {"name": "d"}},
            "status": {
                "results": [{"ok": True, "rows": part} for part in rows],
                **status,
            },
        }
    )


def test_the_rows_of_sentences_are_in_the_result_and_in_data() -> None:
    row = {"address": "10.5.50.10"}
    answer = results.exec_answer(
        DEVICE,
        [("/ip/arp/print", "?address=10.5.50.10")],
        ended([row], truncated=True),
    ).model_dump(by_alias=True)
    assert answer == {
        "ok": True,
        "mikId": "R1",
        "result": {
            "ok": True,
            "host": "192.0.2.1",
            "commands": ["/ip/arp/print ?address=10.5.50.10"],
            "dryRun": False,
            "errors": [],
            "results": [
                {
                    "cmd": "/ip/arp/print ?address=10.5.50.10",
                    "ok": True,
                    "data": [row],
                    "error": None,
                }
            ],
            "truncated": True,
        },
        "data": [row],
        "error": None,
    }


def test_f6_in_dry_run_the_sentences_are_told_and_nothing_else() -> None:
    answer = results.exec_answer(DEVICE, [("/ip/arp/print",)], None)
    assert answer.result.dry_run
    assert answer.result.commands == ["/ip/arp/print"]
    assert (answer.result.results, answer.data) == ([], [])


def test_an_arp_look_up_says_the_mac_wherever_clients_look_for_it() -> None:
    incomplete = {"address": "10.5.50.10", "complete": "false"}
    entry = {
        "address": "10.5.50.10",
        "mac-address": MAC,
        "interface": "ether1",
        "dynamic": "true",
        "complete": "true",
    }
    answer = results.arp_lookup_answer(DEVICE, ended([incomplete, entry]))
    assert answer.model_dump(by_alias=True) == {
        "ok": True,
        "mikId": "R1",
        "found": True,
        "mac": MAC,
        "ip": "10.5.50.10",
        "entry": {
            "address": "10.5.50.10",
            "macAddress": MAC,
            "interface": "ether1",
            "dynamic": True,
            "complete": True,
            "comment": None,
        },
        "data": {"mac": MAC},
    }
    nobody = results.arp_lookup_answer(DEVICE, ended([]))
    assert (nobody.found, nobody.mac, nobody.entry) == (False, None, None)


def test_f8_active_are_logins_and_bypassed_hosts_of_live_sessions() -> None:
    login = {".id": "*1", "user": "guest", "mac-address": MAC}
    hosts = [
        {".id": "*1", "mac-address": MAC, "address": "10.5.50.10"},
        {".id": "*2", "mac-address": OTHER, "address": "10.5.50.11"},
        {".id": "*3", "mac-address": "AA:BB:CC:00:00:03"},
    ]
    answer = results.active_answer(DEVICE, {MAC, OTHER}, ended([login], hosts))
    assert [(one.id, one.mac) for one in answer.active] == [
        ("*1", MAC),
        ("host:*2", OTHER),
    ]


def test_a_kick_counts_clients_not_rows() -> None:
    gone = ended(
        [{".id": "*1", "mac-address": MAC}],
        [{".id": "*7", "mac-address": MAC}],
        [{".id": "*8", "mac-address": OTHER}],
    )
    answer = results.kick_answer(DEVICE, {"user": "guest"}, gone)
    assert (answer.kicked, answer.criteria) == (2, {"user": "guest"})


def test_a_ping_counts_what_came_back() -> None:
    rows = [
        {"seq": "0", "time": "1ms"},
        {"seq": "1", "status": "timeout"},
    ]
    answer = results.ping_answer(DEVICE, "192.0.2.9", 2, ended(rows))
    assert (answer.sent, answer.received) == (2, 1)
    alive = results.ping_answer(DEVICE, None, 3, ended([{"name": "r"}]))
    assert (alive.target, alive.sent) == (None, 0)
