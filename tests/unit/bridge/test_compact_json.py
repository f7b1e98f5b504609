"""JSON has no blanks, and whatever a caller sent can be written."""

from __future__ import annotations

from typing import Any

import pytest

from cerebro.bridge.compact_json import compact_json


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"ok": True, "a": [1, None, 0.5]}, '{"ok":true,"a":[1,null,0.5]}'),
        ({"ç": "pão\u2028\0"}, '{"ç":"pão\u2028\\u0000"}'),
        ({"half": "\ud83d", "whole": "😀"}, '{"half":"?","whole":"😀"}'),
        ({"\udc00": 10**30}, '{"?":1000000000000000000000000000000}'),
    ],
)
def test_a_value_is_compact_json_in_utf_8(
    value: dict[str, Any], text: str
) -> None:
    assert compact_json(value) == text.encode()
