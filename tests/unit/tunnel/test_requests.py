"""What the keeper is asked for (E2): what it takes, what it refuses, and how it explains wireguard-go's errors."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cerebro.runtime.times import BootTime
from cerebro.tunnel.requests import Refusal, encode, explain, parse, refused
from cerebro.wireguard import backend

NOW = BootTime(1000.0)


@pytest.mark.parametrize(
    "request_",
    [
        {"ensure": "wg0", "mtu": 1420, "deadline": None},
        {"ensure": "wg0", "mtu": 1420, "deadline": 1012.5},
        {"refresh": "wg0", "deadline": 1012.5},
        {"refresh": "wg0", "deadline": None},
        {"ensure": "a.b-c_d", "mtu": 1280},
        {"drop": "abcdefghijklmno"},
        {"list": True},
    ],
)
def test_requests_are_taken(request_: dict[str, object]) -> None:
    assert parse(json.dumps(request_).encode(), NOW) == request_


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('{"drop": "abcdefghijklmnop"}', "drop"),
        ('{"drop": ""}', "drop"),
        ('{"drop": ".."}', "drop"),
        ('{"drop": "-f"}', "drop"),
        ('{"drop": "a/b"}', "drop"),
        ('{"drop": "wg0\\n"}', "drop"),
        ('{"drop": null}', "drop"),
        ('{"ensure": "wg0"}', "mtu"),
        ('{"ensure": "wg0", "mtu": true}', "mtu"),
        ('{"ensure": "wg0", "mtu": 1420.0}', "mtu"),
        ('{"ensure": "wg0", "mtu": 1420, "deadline": "1"}', "deadline"),
        ('{"ensure": "wg0", "mtu": 1420, "deadline": true}', "deadline"),
        ('{"ensure": "wg0", "mtu": 1420, "deadline": 1e9}', "deadline"),
        ('{"ensure": "wg0", "mtu": 1420, "deadline": Infinity}', "deadline"),
        ('{"ensure": "wg0", "mtu": 1420, "deadline": -1}', "deadline"),
        ('{"refresh": "wg0"}', "refresh: deadline"),
        ("[" * 4000, "JSON"),
        ("{}", "exactly one"),
    ],
)
def test_a_bad_request_is_refused_by_the_field_at_fault(
    line: str, words: str
) -> None:
    with pytest.raises(Refusal, match=words) as caught:
        parse(line.encode(), NOW)
    assert caught.value.reason == "InvalidRequest"


@pytest.mark.parametrize(
    "kind", ['"ensure": "wg0", "mtu": 1420', '"refresh": "wg0"']
)
@pytest.mark.parametrize("deadline", [0, 999.9, NOW])
def test_e4_a_deadline_that_has_passed_is_refused(
    kind: str, deadline: float
) -> None:
    """E4: who asked was held up on its way, and another may carry the Hub by now."""
    with pytest.raises(Refusal, match="passed") as caught:
        parse(f'{{{kind}, "deadline": {deadline}}}'.encode(), NOW)
    assert caught.value.reason == "DeadlinePassed"


@given(st.binary(max_size=200))
def test_any_line_is_a_request_or_refused(line: bytes) -> None:
    try:
        answer = parse(line, NOW)
    except Refusal as refusal:
        answer = json.loads(encode(refused(refusal)))
    assert isinstance(answer, dict)


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        (
            "ERROR: (wg0) Failed to create TUN device: operation not permitted",
            backend.NotPermitted,
        ),
        (
            "ERROR: (wg0) Failed to create TUN device: open /dev/net/tun: no such file",
            backend.NotAvailable,
        ),
        (
            "ERROR: (wg0) Failed to create TUN device: device or resource busy",
            backend.ForeignInterface,
        ),
        ("", backend.WireGuardError),
    ],
)
def test_errors_of_wireguard_go_have_the_reasons_of_the_backend(
    words: str, kind: type[backend.WireGuardError]
) -> None:
    assert explain("wg0", words).reason == kind.reason
