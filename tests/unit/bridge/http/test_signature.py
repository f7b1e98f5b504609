"""Signatures: the contract's vectors (2.5), windows, and what is refused with which code."""

from __future__ import annotations

import dataclasses

import pytest

from cerebro.bridge.errors import ApiError
from cerebro.bridge.http.signature import (
    Form,
    Policy,
    SignedRequest,
    sign,
    verify,
)

SECRET = "relay-test-secret-0001"
TS = "1767139200000"
NONCE = "0123456789abcdef0123456789abcdef"
POLICY = Policy(SECRET)
PAO = '{"pedidoId":"pão-é-ç-€","mikId":"R1","deviceToken":"t-1"}'.encode()


def request(
    method: str, target: str, body: bytes, signature: str | None = None
) -> SignedRequest:
    return SignedRequest(method, target.encode(), body, TS, NONCE, signature)


VECTORS = [
    (
        request("GET", "/relay/identity", b""),
        "0277fdcad1af791e9519590f929b3cc7341cd28785498c62314d92e1f72fdb6c",
        "fd1c07869d4952694b5d5dee250e6f5386a21eac43ebb6fd1de8041497a5d190",
    ),
    (
        request("GET", "/relay/identity/status?sid=abc%20123&x=1", b""),
        "9b1113b124929d804163b2b36fe96a1fe22f89b58039c8810b843676b44c624b",
        "843d86c04cb711d000bce21779bd989e9074f866db4a203193484b9fad45544b",
    ),
    (
        request(
            "POST",
            "/relay/exec-by-device",
            b'{"mikId":"R1","sentences":["/ip/arp/print"]}',
        ),
        "aa16ae5e8a5155427e22ca4b441f04cf4589b48baea0c9d82946a56fde781f6e",
        "1c704de8bcdc70ba3b8268fc2e63ae06c9d286f47ea51d9dba4e565aab262eb4",
    ),
    (
        request("POST", "/relay/authorize-by-pedido", PAO),
        "ef9a215409676a23d9637e82212b92351ddf193cae9cc17d75f7ce2a4411f8e2",
        "64f898d5bf38c941aa4d7cb33664dc486afccf88d91d0a73d4f3f2e6e448ab5e",
    ),
    (
        request("POST", "/relay/action", b"{}"),
        "d0feec2f6b14f8301a3e5fa37f7dbeeca8729b54c73d59b4ce0efd55c62f297d",
        "47625b3441d4bd17158708ecbf8f147e7a9c6ada8c203fe283acc8af451709e1",
    ),
]
LEGACY = [
    (
        VECTORS[2][0],
        "4a9a99f6d97dae1f288e484e3c503586d431e39f29b95be02d71f73c8f9d36f6",
    ),
    (
        VECTORS[3][0],
        "4ae5c1f3e239f275608574e2ce2e9fcc31ceeb45334ef51917cd629773e3efca",
    ),
]


@pytest.mark.parametrize("prefix", ["", "v1="])
@pytest.mark.parametrize("number", range(5))
def test_d5_vectors_of_forms_a_and_b_are_accepted(
    number: int, prefix: str
) -> None:
    unsigned, form_a, form_b = VECTORS[number]
    for form, digits in (("A", form_a), ("B", form_b)):
        signed = dataclasses.replace(
            unsigned, signature=prefix + digits.upper()
        )
        found = verify(signed, POLICY, int(TS))
        assert (found.form, found.ts_ms, found.nonce) == (form, int(TS), NONCE)


@pytest.mark.parametrize("number", range(2))
def test_d5_vectors_of_form_c_are_accepted_only_where_legacy_is_allowed(
    number: int,
) -> None:
    unsigned, digits = LEGACY[number]
    signed = dataclasses.replace(unsigned, signature=digits)
    assert (
        verify(signed, dataclasses.replace(POLICY, legacy=True), int(TS)).form
        == "C"
    )
    assert refused(signed) == "HMAC_SIGNATURE_INVALID"


def test_d5_form_d_signs_the_body_alone_and_is_legacy() -> None:
    bare = SignedRequest("POST", b"/relay/action", b"{}", None, None, None)
    signed = dataclasses.replace(bare, signature=sign("D", SECRET, bare))
    assert (
        verify(signed, dataclasses.replace(POLICY, legacy=True), int(TS)).form
        == "D"
    )
    assert refused(signed) == "HMAC_TS_INVALID"


def test_the_reserialised_form_that_one_server_expected_is_not_what_clients_send() -> (
    None
):
    digits = "9d0fd5163e1fc2e29e8a00283c555e216df6b76510b9b4ab05e731fa1d2b715e"
    assert (
        refused(dataclasses.replace(VECTORS[4][0], signature=digits))
        == "HMAC_SIGNATURE_INVALID"
    )


def test_form_a_takes_a_time_that_its_server_printed_anew() -> None:
    padded = dataclasses.replace(
        VECTORS[0][0], ts="000" + TS, signature=VECTORS[0][1]
    )
    assert verify(padded, POLICY, int(TS)).form == "A"


def refused(
    given: SignedRequest, policy: Policy = POLICY, now: int = int(TS)
) -> str:
    with pytest.raises(ApiError) as caught:
        verify(given, policy, now)
    assert caught.value.status == 401
    return caught.value.code


def signed(form: Form = "A", **changes: str) -> SignedRequest:
    unsigned = dataclasses.replace(VECTORS[3][0], **changes)  # type: ignore[arg-type]
    return dataclasses.replace(
        unsigned, signature=sign(form, SECRET, unsigned)
    )


def test_each_fault_has_its_code() -> None:
    good = signed()
    assert refused(good, Policy(None)) == "HMAC_SECRET_NOT_CONFIGURED"
    assert (
        refused(dataclasses.replace(good, signature=None))
        == "HMAC_SIGNATURE_MISSING"
    )
    assert refused(dataclasses.replace(good, ts=None)) == "HMAC_TS_INVALID"
    assert refused(dataclasses.replace(good, ts="soon")) == "HMAC_TS_INVALID"
    assert refused(dataclasses.replace(good, ts="")) == "HMAC_TS_OUT_OF_RANGE"
    assert (
        refused(dataclasses.replace(good, nonce="short"))
        == "HMAC_NONCE_INVALID"
    )
    assert (
        refused(dataclasses.replace(good, nonce=None)) == "HMAC_NONCE_INVALID"
    )
    assert (
        refused(dataclasses.replace(good, signature="v1=zz"))
        == "HMAC_SIGNATURE_INVALID"
    )


@pytest.mark.parametrize("form", ["A", "B"])
def test_a_clock_130_s_off_is_out_of_range_and_one_119_s_off_is_not(
    form: Form,
) -> None:
    for off in (130_000, -130_000):
        assert (
            refused(signed(form), now=int(TS) + off) == "HMAC_TS_OUT_OF_RANGE"
        )
    for off in (119_000, -119_000):
        assert verify(signed(form), POLICY, int(TS) + off).form == form


def test_a_wider_window_of_form_b_does_not_widen_form_a() -> None:
    policy = dataclasses.replace(POLICY, window_b_ms=300_000)
    assert verify(signed("B"), policy, int(TS) + 200_000).form == "B"
    assert (
        refused(signed("A"), policy, int(TS) + 200_000)
        == "HMAC_TS_OUT_OF_RANGE"
    )


@pytest.mark.parametrize(
    "change",
    [
        {"method": "PUT"},
        {"target": b"/relay/authorize-by-pedido?x=1"},
        {"body": PAO + b" "},
        {"nonce": NONCE[::-1]},
        {"ts": str(int(TS) + 1)},
    ],
)
@pytest.mark.parametrize("form", ["A", "B"])
def test_every_part_is_bound(form: Form, change: dict[str, object]) -> None:
    altered = dataclasses.replace(signed(form), **change)  # type: ignore[arg-type]
    assert refused(altered) == "HMAC_SIGNATURE_INVALID"
