"""What a DeviceCommand may run on its Device, and what its operations are on a router."""

from __future__ import annotations

from typing import Any

import pytest

from cerebro.agent.devices.commands.allowed import Refused, read_sentence
from cerebro.agent.devices.commands.operations import fill_in, plan_run
from cerebro.resources import Device, DeviceCommand

API = {
    "address": "192.0.2.1",
    "allowPlaintext": True,
    "credentialsSecretRef": {"name": "router"},
}


def a_device(**spec: Any) -> Device:
    return Device.model_validate(
        {
            "metadata": {"name": "d", "namespace": "ns"},
            "spec": {"api": API, **spec},
        }
    )


def a_command(**spec: Any) -> DeviceCommand:
    return DeviceCommand.model_validate(
        {
            "metadata": {"name": "c", "namespace": "ns"},
            "spec": {"deviceRef": {"name": "d"}, **spec},
        }
    )


def words(device: Device, **spec: Any) -> list[list[str]]:
    run = plan_run(device, a_command(**spec))
    return [command.words() for command in run.commands]


@pytest.mark.parametrize(
    "sentence",
    [
        ["/ip/arp/print"],
        ["/ip/arp/print", "=.proplist=address,mac-address"],
        ["/ip/hotspot/print", "=count-only="],
        ["/ip/hotspot/active/print", "?user=guest", "?#!"],
        ["/ip/dhcp-server/lease/print", "?address=10.5.50.10"],
        ["/interface/wireguard/peers/print"],
        ["/system/resource/print"],
    ],
)
def test_c1_read_allows_some_prints(sentence: list[str]) -> None:
    assert read_sentence(sentence, "Read").words() == sentence


@pytest.mark.parametrize(
    ("sentence", "named"),
    [
        (["/system/reboot"], "/system/reboot"),
        (["/ip/arp/add", "=address=10.5.50.10"], "/ip/arp/add"),
        (["/ip/hotspot/active/remove", "=.id=*1"], "remove"),
        (["/user/print"], "/user/print"),
        (["/ip/hotspot"], "/ip/hotspot"),
        (["/ip/hotspotx/print"], "/ip/hotspotx/print"),
        (["/ip/arp/print", "=detail="], "detail"),
    ],
)
def test_c1_read_refuses_everything_else(
    sentence: list[str], named: str
) -> None:
    with pytest.raises(Refused, match=named) as refused:
        read_sentence(sentence, "Read")
    assert refused.value.reason == "NotAllowed"


@pytest.mark.parametrize(
    "sentence",
    [
        ["/login", "=name=admin"],
        ["/quit"],
        ["/cancel", "=tag=1"],
        ["/ip/arp/listen"],
        ["/ip/arp/print", ".tag=1"],
        ["/ip/arp/print", "=file=stolen"],
        ["/ip/arp/print", "=append="],
        ["/ip/arp/print", "=follow="],
        ["/ip/arp/print", "=follow-only="],
        ["/ip/arp/print", "=interval=1"],
        ["/user/print", "=show-sensitive="],
        ["/user/print", "=!show-sensitive="],
        ["/ip/arp/print detail"],
        ["/ip/../user/print"],
        ["/IP/ARP/PRINT"],
        ["/ip/arp/set", "=comment=a", "=comment=b"],
        ["/ip/arp/set", "comment=a"],
        ["/ip/hotspot/user/print", "?password=a"],
        ["/ip/hotspot/user/print", "?>password=a"],
        ["/ip/hotspot/user/print", "?=password=a"],
        ["/ip/hotspot/user/print", "?name=$(secret:guess)"],
    ],
)
@pytest.mark.parametrize("permission", ["Read", "All"])
def test_c1_some_words_are_never_sent(
    sentence: list[str], permission: Any
) -> None:
    with pytest.raises(Refused):
        read_sentence(sentence, permission)


def test_c1_off_allows_nothing_and_all_allows_writes() -> None:
    reboot = [["/system/reboot"]]
    assert words(a_device(commands="All"), sentences=reboot) == reboot
    for spec in ({"operation": "Arp"}, {"sentences": reboot}):
        with pytest.raises(Refused, match=r"spec\.commands"):
            words(a_device(commands="Off"), **spec)


@pytest.mark.parametrize(
    ("spec", "reason"),
    [({"dryRun": True}, "DryRun"), ({"paused": "Changes"}, "Paused")],
)
def test_b8_f6_only_what_reads_runs_where_nothing_is_written(
    spec: dict[str, Any], reason: str
) -> None:
    device = a_device(**spec)
    assert words(device, operation="Active")
    with pytest.raises(Refused) as refused:
        words(device, operation="Kick", parameters={"user": "guest"})
    assert refused.value.reason == reason


def test_c3_a_ping_has_a_pace_and_an_end() -> None:
    target = {"address": "192.0.2.9"}
    (ping,) = words(
        a_device(), operation="Ping", parameters=target | {"count": "10"}
    )
    assert ping == [
        "/ping",
        "=address=192.0.2.9",
        "=count=10",
        "=interval=200ms",
    ]
    for wrong in ({"count": "11"}, {"count": "0"}, {"count": "x"}):
        with pytest.raises(Refused, match="count"):
            words(a_device(), operation="Ping", parameters=target | wrong)


@pytest.mark.parametrize(
    ("operation", "parameters"),
    [
        ("Ping", {}),
        ("Ping", {"address": "a b"}),
        ("Arp", {"macAddress": "no"}),
        ("Arp", {"user": "guest"}),
        ("Kick", {}),
        ("Kick", {"id": "1"}),
        ("Active", {"address": "10.5.50.10"}),
    ],
)
def test_a_parameter_that_cannot_be_used_is_named(
    operation: str, parameters: dict[str, str]
) -> None:
    with pytest.raises(Refused, match=r"spec\.parameters") as refused:
        words(a_device(), operation=operation, parameters=parameters)
    assert refused.value.reason == "ParameterNotUsable"


def test_f8_a_kick_takes_the_host_with_the_active_client() -> None:
    mac, other = "AA:BB:CC:00:00:01", "AA:BB:CC:00:00:02"
    active = [
        {".id": "*1", "user": "guest", "mac-address": mac, "address": "10.1"},
        {".id": "*2", "user": "staff", "mac-address": other},
    ]
    hosts = [
        {".id": "*1", "mac-address": other, "authorized": "true"},
        {".id": "*2", "mac-address": mac, "authorized": "true"},
        {".id": "*3", "mac-address": mac, "bypassed": "false"},
        {".id": "*4", "address": "10.2", "bypassed": "true"},
    ]

    def kicked(**parameters: str) -> list[str]:
        run = plan_run(
            a_device(), a_command(operation="Kick", parameters=parameters)
        )
        assert run.kick is not None
        return [
            f"{command.path.rpartition('/')[2]} {row['.id']}"
            for command, row in run.kick.removals(active, hosts)
        ]

    assert kicked(user="guest") == ["active *1", "host *2"]
    assert kicked(id="*2") == ["active *2", "host *1"]
    assert kicked(id="host:*4") == ["host *4"]
    assert kicked(address="10.2") == ["host *4"]
    assert kicked(macAddress=mac.lower()) == ["active *1", "host *2"]
    assert kicked(user="guest", macAddress=other) == []


def test_d2_values_of_the_secret_come_into_attributes_only() -> None:
    sentence = ["/ip/hotspot/user/add", "=password=x$(secret:guest)x"]
    run = plan_run(a_device(commands="All"), a_command(sentences=[sentence]))
    filled = fill_in(run, {"guest": "$(secret:guest)=hidden"})
    assert filled.commands[0].attributes == {
        "password": "x$(secret:guest)=hiddenx"
    }
    assert "hidden" not in repr(filled)
    with pytest.raises(Refused, match="guest"):
        fill_in(run, {})
