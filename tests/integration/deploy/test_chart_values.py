"""The schema of the chart's values: it knows each value, refuses a wrong type wherever it stands, and every other name.

Helm judges, all values at once: it names each that is wrong.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from helm import copies
from helm.binaries import run
from integration.deploy.test_chart import values

pytestmark = pytest.mark.usefixtures("with_helm")

SCHEMA = json.loads((copies.CHART / "values.schema.json").read_text())
DEFAULTS = yaml.safe_load((copies.CHART / "values.yaml").read_text())
UNKNOWN = "unknownField"
AT = re.compile(r"- at '([^']*)': (.*)")

Place = tuple[str, ...]


def resolved(schema: dict[str, Any]) -> dict[str, Any]:
    reference = schema.get("$ref")
    if reference is None:
        return schema

    return dict(SCHEMA["definitions"][reference.rpartition("/")[2]])


def fields(schema: dict[str, Any], *above: str) -> Iterator[tuple[Place, Any]]:
    """Yield the path of each value of a schema, and its own schema; `global` is Helm's."""
    for name, field in schema["properties"].items():
        inner = resolved(field)
        if "properties" in inner:
            yield from fields(inner, *above, name)
        elif name != "global":
            yield (*above, name), inner


def objects(schema: dict[str, Any], *above: str) -> Iterator[Place]:
    """Yield the path of each object of a schema that has named fields."""
    yield above
    for name, field in schema["properties"].items():
        inner = resolved(field)
        if "properties" in inner:
            yield from objects(inner, *above, name)


def put(target: dict[str, Any], path: Place, value: Any) -> None:
    *above, last = path
    for name in above:
        target = target.setdefault(name, {})

    target[last] = value


def refused(wrong: dict[str, Any], folder: Path) -> dict[str, str]:
    """Return what Helm says of these values, by the path of the value."""
    file = folder / "wrong.yaml"
    file.write_text(yaml.safe_dump(wrong))
    words = ("template", "cerebro", str(copies.CHART))
    with pytest.raises(RuntimeError) as error:
        run(*words, *values("single-node"), "--values", str(file))

    return dict(AT.findall(str(error.value)))


def pointer(path: Place) -> str:
    return "".join(f"/{name}" for name in path)


def test_each_value_stands_in_the_file_of_values() -> None:
    for path, _ in fields(SCHEMA):
        value = DEFAULTS
        for name in path:
            assert name in value, path
            value = value[name]


def test_a_value_of_a_wrong_type_is_refused_wherever_it_stands(
    tmp_path: Path,
) -> None:
    paths = [path for path, _ in fields(SCHEMA)]
    wrong: dict[str, Any] = {}
    for path in paths:
        put(wrong, path, [["no value is a list of lists"]])

    told = refused(wrong, tmp_path)

    assert len(paths) > 20
    for path in paths:
        place = pointer(path)
        assert place in told or f"{place}/0" in told, place


def test_a_value_that_nobody_knows_is_refused_wherever_it_stands(
    tmp_path: Path,
) -> None:
    paths = list(objects(SCHEMA))
    wrong: dict[str, Any] = {}
    for path in paths:
        put(wrong, (*path, UNKNOWN), True)

    told = refused(wrong, tmp_path)

    assert len(paths) > 10
    for path in paths:
        assert f"'{UNKNOWN}' not allowed" in told[pointer(path)]
