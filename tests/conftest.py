"""What all tests share: in CI generated cases are the same in every run, so that a red run means a change."""

from __future__ import annotations

import os

from hypothesis import settings

settings.register_profile(
    "ci", derandomize=True, deadline=None, print_blob=True
)
settings.register_profile("people", deadline=None)
settings.load_profile("ci" if os.environ.get("CI") else "people")
