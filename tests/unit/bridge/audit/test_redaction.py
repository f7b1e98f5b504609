"""No secret is in an audit line, however deep it stands in a request."""

from __future__ import annotations

import json
from typing import Any

import pytest

from cerebro.bridge.audit.redaction import MASK, cut, redacted, token_mark

HIDDEN = "hunter2-hunter2"


@pytest.mark.parametrize(
    "name",
    [
        "password",
        "pass",
        "apiPassword",
        "secret",
        "x-relay-signature",
        "Authorization",
        "privateKey",
        "private_key",
        "presharedKey",
        "client-secret",
        "credentials",
        "deviceToken",
        "token",
        "sid",
    ],
)
def test_secrets_are_hidden_at_every_depth(name: str) -> None:
    for value in (HIDDEN, [HIDDEN], {"x": HIDDEN}, 12345678):
        body: Any = {name: value}
        for _ in range(12):
            text = json.dumps(redacted(body))
            assert HIDDEN not in text
            assert "12345678" not in text
            body = {"contexto": [body]}


@pytest.mark.parametrize(
    "sentence",
    [
        f"/ip/hotspot/user/add =name=u =password={HIDDEN}",
        f'/ip hotspot user add name=u password="{HIDDEN}"',
        f"=password={HIDDEN}",
        f"wpa2-pre-shared-key={HIDDEN}",
        f"private-key: {HIDDEN}",
        f"authentication-secret={HIDDEN},x=1",
    ],
)
def test_secrets_within_sentences_are_hidden(sentence: str) -> None:
    body = {"sentences": [sentence, [sentence]], "command": sentence}
    assert HIDDEN not in json.dumps(redacted(body))
    assert MASK in cut(sentence)


def test_what_an_auditor_asks_for_stays() -> None:
    body = {
        "pedidoId": "P-1",
        "mac": "AA:BB:CC:DD:EE:FF",
        "ip": "10.5.50.10",
        "planoMinutos": 60,
        "contexto": {"ok": True, "none": None},
        "command": "/ip arp print where address=10.5.50.10",
    }
    assert redacted(body) == body


def test_a_token_is_recognised_and_not_told() -> None:
    shown = redacted({"deviceToken": HIDDEN})
    assert shown == {"deviceToken": token_mark(HIDDEN)}
    assert token_mark("a") != token_mark("b")
    assert token_mark("\ud800")


def test_a_line_has_a_bound() -> None:
    deep: Any = "x"
    for _ in range(500):
        deep = [deep]
    body = {
        "text": "x" * 10_000,
        "list": ["y"] * 10_000,
        "deep": deep,
        **{f"k{i}": "z" * 100 for i in range(10_000)},
    }
    assert len(json.dumps(redacted(body))) < 10_000
