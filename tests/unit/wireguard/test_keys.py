"""Keys: made, derived, checked, and never repeated in an error. Pure."""

from __future__ import annotations

import base64

import pytest

from cerebro.wireguard.keys import (
    InvalidKey,
    check_key,
    check_private_key,
    derive_public_key,
    generate_private_key,
)

ZERO = base64.b64encode(bytes(32)).decode()


def text(digits: str) -> str:
    return base64.b64encode(bytes.fromhex(digits)).decode()


PRIVATE = text(
    "77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a"
)
PUBLIC = text(
    "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a"
)
"""Alice's pair of RFC 7748, section 6.1; the private key is not clamped."""


def test_a_public_key_is_derived_as_curve25519_has_it() -> None:
    assert derive_public_key(PRIVATE) == PUBLIC
    assert derive_public_key(f" {PRIVATE}\n") == PUBLIC


def test_e3_a_key_is_kept_as_the_interface_gives_it_back() -> None:
    """The kernel clamps a private key; the Secret and the interface would differ if we did not."""
    kept = check_private_key(PRIVATE)
    assert kept != PRIVATE
    assert (derive_public_key(kept), check_private_key(kept)) == (PUBLIC, kept)
    made = [generate_private_key() for _ in range(50)]
    assert [check_private_key(key) for key in made] == made
    assert len(set(made)) == 50


def test_a_key_is_given_back_without_blanks() -> None:
    assert check_key(f"{PUBLIC}\n") == PUBLIC


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        ("not a key!", "not base64"),
        ("ключ", "not base64"),
        ("", "has 0 bytes"),
        (PRIVATE[:-1], "not base64"),
        (base64.b64encode(b"s" * 31).decode(), "has 31 bytes"),
        (base64.b64encode(b"s" * 33).decode(), "has 33 bytes"),
        (ZERO, "all zero"),
    ],
)
def test_what_is_no_key_is_refused_in_words_that_do_not_repeat_it(
    bad: str, why: str
) -> None:
    for refuse, what in (
        (check_private_key, "private key"),
        (derive_public_key, "private key"),
        (check_key, "public key"),
        (lambda key: check_key(key, "preshared key"), "preshared key"),
    ):
        with pytest.raises(InvalidKey, match=why) as caught:
            refuse(bad)
        assert what in str(caught.value)
        assert not bad or bad not in str(caught.value)
        assert (
            caught.value.__suppress_context__
            or caught.value.__context__ is None
        )
