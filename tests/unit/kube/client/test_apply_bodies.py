"""Bodies of server-side apply: the API server reads them as YAML, whatever text from outside is in them."""

import json
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from cerebro.kube.client.transport import as_yaml


@given(
    st.dictionaries(
        st.text(max_size=20),
        st.text() | st.integers() | st.booleans() | st.none(),
    )
)
def test_any_text_reads_the_same_as_json_and_as_yaml(
    body: dict[str, Any],
) -> None:
    sent = as_yaml({"status": body}).decode("utf-8")
    assert json.loads(sent) == {"status": body}
    assert yaml.safe_load(sent) == {"status": body}


@pytest.mark.parametrize(
    "text",
    [
        "Café 📶",
        "\x00\x1f\x7f\x85\x9f",
        "\u2028\u2029\ufeff\ufffe\uffff",
        "\\ud83d\\",
    ],
)
def test_emoji_control_characters_and_separators_arrive(text: str) -> None:
    assert yaml.safe_load(as_yaml({"a": text})) == {"a": text}


def test_half_a_surrogate_pair_becomes_the_sign_for_what_cannot_be_read() -> (
    None
):
    assert yaml.safe_load(as_yaml({"a": "Caf\udce9", "b": "\ud83d"})) == {
        "a": "Caf\ufffd",
        "b": "\ufffd",
    }
