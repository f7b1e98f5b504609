"""JSON as the bridge writes it: without blanks, in UTF-8. Pure."""

from __future__ import annotations

import json
from typing import Any

from pydantic_core import PydanticSerializationError, to_json


def compact_json(value: Any) -> bytes:
    """Return a value as compact JSON; what UTF-8 cannot carry becomes a
    question mark.
    """
    try:
        return to_json(value)
    except PydanticSerializationError:
        # Half a surrogate pair.
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))

        return text.encode("utf-8", "replace")
