"""The signatures between bridge and backend, by the contract's own vectors (2.5, numbers 6 to 9)."""

from __future__ import annotations

import pytest

from cerebro.bridge.backend.outcomes import DONE, ack_body
from cerebro.bridge.backend.signature import (
    ack_headers,
    is_genuine,
    poll_headers,
)

SECRET = "backend-test-secret-0001"
TIME = 1767139200000
FEED = (
    b'[{"eventId":"evt-1","type":"TRIAL_REQUESTED","payload":{"pedidoId":"P-1","mikId":"R1","ip":"10.5.50.10",'
    b'"mac":"AA:BB:CC:DD:EE:FF","trialMinutes":5},"timestamp":1767139200000}]'
)
SIGNED_FEED = (
    "67162f6f7fc923eb6e12f36e2bbdf03e1995846000a3609c0366a54cdbe64b6a"
)
SIGNED_EMPTY = (
    "ad74ef402d8f7f1060d0ef4d3177069934b0b5ee6ed22ec547f654f1865e7f4f"
)


def test_vector_6_a_poll_is_signed_over_its_time() -> None:
    assert poll_headers(SECRET, TIME) == {
        "x-relay-ts": "1767139200000",
        "x-relay-hmac": "beda35317f8754f90f0540136e9ecf5f938bca40609428ea0c1107f42a63b05d",
    }


def test_without_a_secret_a_poll_has_an_empty_signature_and_an_ack_none() -> (
    None
):
    assert poll_headers(None, TIME)["x-relay-hmac"] == ""
    assert "x-relay-hmac" not in ack_headers(None, b"{}", TIME)


@pytest.mark.parametrize(
    ("body", "signature"), [(FEED, SIGNED_FEED), (b"[]", SIGNED_EMPTY)]
)
def test_vectors_7_and_8_a_feed_is_signed_over_its_bytes(
    body: bytes, signature: str
) -> None:
    assert is_genuine(SECRET, body, signature)
    assert is_genuine(SECRET, body, signature.upper())
    assert not is_genuine(SECRET, body + b" ", signature)
    assert not is_genuine("another", body, signature)


@pytest.mark.parametrize("signature", ["", "x", "é" * 64, SIGNED_FEED[:-1]])
def test_what_is_no_signature_is_wrong(signature: str) -> None:
    assert not is_genuine(SECRET, FEED, signature)


def test_vector_9_an_ack_is_compact_and_signed_over_its_bytes() -> None:
    body = ack_body("evt-1", DONE)
    assert body == '{"eventId":"evt-1","ok":true,"payload":{"ok":true}}'
    headers = ack_headers(SECRET, body.encode(), TIME)
    assert (
        headers["x-relay-hmac"]
        == "947c0bbfb351b358569f919b2c4376ffe0631c2e1b4ba537b8d930510fd1bac1"
    )
    assert headers["content-type"] == "application/json"
