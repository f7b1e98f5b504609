"""Columns of `kubectl get` that our own processes read out of Tables: renaming one would break the operator."""

from __future__ import annotations

import pytest

from cerebro.resources import DEVICE_COMMAND, KINDS, SESSION, Kind
from cerebro.resources.kinds import (
    DEVICE_COLUMN,
    SUPERSEDES_COLUMN,
    UID_COLUMN,
    Column,
)


@pytest.mark.parametrize(
    ("column", "cell", "kinds"),
    [
        (DEVICE_COLUMN, "device", (SESSION, DEVICE_COMMAND)),
        (SUPERSEDES_COLUMN, "supersedes", (SESSION,)),
        (UID_COLUMN, "uid", tuple(KINDS.values())),
    ],
)
def test_the_columns_that_are_read_are_printed(
    column: Column, cell: str, kinds: tuple[Kind, ...]
) -> None:
    assert column.cell == cell
    for kind in kinds:
        assert column in kind.columns
        assert sum(printed.cell == cell for printed in kind.columns) == 1
