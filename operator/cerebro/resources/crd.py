"""Writes the CRDs from the models: `python -m cerebro.resources.crd [--check] [--output crds]`.

The YAML is checked in, and no program applies it to a cluster. `--check` fails if it is not what the models make.
"""

import argparse
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import yaml
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue

from cerebro.resources.base import API_GROUP, API_VERSION
from cerebro.resources.kinds import KINDS, Column, Kind
from cerebro.resources.values import format_duration

COMMAND = "python -m cerebro.resources.crd"
HEADER = f"# Generated from the models in operator/cerebro/resources by `{COMMAND}`: change those.\n"
RULES = "x-kubernetes-validations"


class _Dumper(yaml.SafeDumper):
    """Writes a value that occurs twice in full both times: YAML's anchors make a CRD hard to read."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 yaml's signature
        return True


class _WireDefaults(GenerateJsonSchema):
    """Writes default durations as `5m`, as the fields do; pydantic would write ISO 8601."""

    def encode_default(self, dft: Any) -> Any:
        if isinstance(dft, timedelta):
            return format_duration(dft)

        return super().encode_default(dft)


def definition(kind: Kind) -> dict[str, Any]:
    """Return the CustomResourceDefinition of one kind, as the API server takes it."""
    version: dict[str, Any] = {
        "name": API_VERSION,
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": _object_schema(kind)},
        "subresources": {"status": {}},
        "additionalPrinterColumns": [
            _column(column) for column in kind.columns
        ],
    }

    if kind.selectable_fields:
        version["selectableFields"] = [
            {"jsonPath": path} for path in kind.selectable_fields
        ]

    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": kind.crd_name,
            "labels": {"app.kubernetes.io/part-of": "cerebro"},
        },
        "spec": {
            "group": API_GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": kind.kind,
                "listKind": f"{kind.kind}List",
                "plural": kind.plural,
                "singular": kind.singular,
                "shortNames": list(kind.short_names),
                "categories": ["cerebro"],
            },
            "versions": [version],
        },
    }


def render(kind: Kind) -> str:
    """Return the text of the file of a kind."""
    body = yaml.dump(
        definition(kind),
        Dumper=_Dumper,
        sort_keys=False,
        allow_unicode=True,
        width=110,
    )

    return HEADER + body


def _column(column: Column) -> dict[str, Any]:
    described: dict[str, Any] = {
        "name": column.name,
        "type": column.type,
        "jsonPath": column.json_path,
    }

    if column.priority:
        described["priority"] = column.priority

    return described


def _object_schema(kind: Kind) -> dict[str, Any]:
    """Return the schema of a whole object. The API server knows itself what metadata is."""
    schema = kind.model.model_json_schema(
        by_alias=True, schema_generator=_WireDefaults
    )

    parts = schema["properties"]
    shapes = schema["$defs"]

    return {
        "description": schema["description"],
        "type": "object",
        "required": ["spec"],
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"type": "object"},
            "spec": structural(parts["spec"], shapes),
            "status": _status(structural(parts["status"], shapes)),
        },
    }


def structural(
    schema: JsonSchemaValue, shapes: dict[str, JsonSchemaValue]
) -> dict[str, Any]:
    """Return a structural schema: references resolved, no alternative `null`, no titles, defaults that fill in.

    An object that needs nothing and has defaults inside gets the default `{}`, without which the API server
    would not look inside. Raises ValueError for what a structural schema cannot say.
    """

    plain = _without_references(schema, shapes)
    plain.pop("title", None)

    if _is_useless_default(plain):
        del plain["default"]

    if plain["type"] == "array":
        items = _inner(plain["items"], shapes)
        plain = {"x-kubernetes-list-type": "atomic", **plain, "items": items}

    if plain["type"] == "integer":
        plain["format"] = (
            "int32" if plain.get("maximum", 2**31) < 2**31 else "int64"
        )

    if isinstance(plain.get("additionalProperties"), dict):
        plain["additionalProperties"] = _inner(
            plain["additionalProperties"], shapes
        )

    if "properties" in plain:
        _resolve_properties(plain, shapes)

    return _ordered(plain)


def _without_references(
    schema: JsonSchemaValue, shapes: dict[str, JsonSchemaValue]
) -> dict[str, Any]:
    """Return a schema with its one alternative beside `null`, and the shape that it refers to, in place of them."""
    plain = dict(schema)
    while "anyOf" in plain:
        choices = [
            choice
            for choice in plain.pop("anyOf")
            if choice != {"type": "null"}
        ]

        if len(choices) != 1:
            raise ValueError(
                f"a field of a structural schema has one type, this one has several: {schema}"
            )

        plain = {**choices[0], **plain}

    if "$ref" in plain:
        shape = shapes[plain.pop("$ref").removeprefix("#/$defs/")]
        if shape.get(RULES) and plain.get(RULES):
            plain[RULES] = [*shape[RULES], *plain[RULES]]

        plain = {**shape, **plain}

    return plain


def _is_useless_default(schema: dict[str, Any]) -> bool:
    """Return whether a default fills in nothing: null, or an empty list or object."""
    if "default" not in schema:
        return False

    if schema["default"] is None:
        return True

    return not schema["default"] and schema["type"] in ("array", "object")


def _resolve_properties(
    schema: dict[str, Any], shapes: dict[str, JsonSchemaValue]
) -> None:
    properties = {
        name: structural(part, shapes)
        for name, part in schema["properties"].items()
    }

    schema["properties"] = properties
    has_default_inside = any("default" in part for part in properties.values())
    if has_default_inside and not schema.get("required"):
        schema["default"] = {}


def _inner(
    schema: JsonSchemaValue, shapes: dict[str, JsonSchemaValue]
) -> dict[str, Any]:
    """Return the schema of an item or value, which is there or not but never filled in."""
    return {
        key: value
        for key, value in structural(schema, shapes).items()
        if key != "default"
    }


def _status(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a status: it tells what was observed, so only that nobody has looked yet is filled in.

    Without that an object would count as finished before anybody has seen it, and so would one whose status is of a
    release without the field.
    """
    field = schema["properties"]["observedGeneration"]
    bare = _without_defaults(schema)
    bare["properties"]["observedGeneration"] = field

    return _ordered(
        {**bare, "default": {"observedGeneration": field["default"]}}
    )


def _without_defaults(schema: dict[str, Any]) -> dict[str, Any]:
    """Return a schema that fills in nothing."""
    bare = {key: value for key, value in schema.items() if key != "default"}
    for inner in ("items", "additionalProperties"):
        if inner in bare:
            bare[inner] = _without_defaults(bare[inner])

    if "properties" in bare:
        bare["properties"] = {
            name: _without_defaults(part)
            for name, part in bare["properties"].items()
        }

    return bare


def _ordered(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema with its keys in the order in which a person reads them, the rest by name."""
    first = (
        "description",
        "type",
        "format",
        "enum",
        "default",
        "required",
        "properties",
        "items",
    )

    head = {key: schema[key] for key in first if key in schema}
    rest = {
        key: value for key, value in sorted(schema.items()) if key not in first
    }

    return head | rest


def stale(folder: Path) -> list[Path]:
    """Return the paths in the folder whose file is missing or differs from what the models make."""
    files = {_path(folder, kind): render(kind) for kind in KINDS.values()}

    return [
        path
        for path, text in files.items()
        if not path.exists() or path.read_text("utf-8") != text
    ]


def write(folder: Path) -> None:
    """Write the file of each kind into the folder, which is made if it does not exist."""
    folder.mkdir(parents=True, exist_ok=True)

    for kind in KINDS.values():
        _path(folder, kind).write_text(render(kind), "utf-8")


def _path(folder: Path, kind: Kind) -> Path:
    return folder / f"{kind.crd_name}.yaml"


def main(arguments: list[str] | None = None) -> int:
    """Write the files, or with --check say which are not up to date; the exit status is 1 when any is not."""
    parser = argparse.ArgumentParser(prog=COMMAND, description=main.__doc__)
    parser.add_argument(
        "--check",
        action="store_true",
        help="write nothing; fail when a file differs",
    )

    parser.add_argument(
        "--output",
        type=Path,
        default=Path("crds"),
        help="folder of the YAML [crds]",
    )

    options = parser.parse_args(arguments)

    if not options.check:
        write(options.output)
        return 0

    wrong = stale(options.output)
    for path in wrong:
        sys.stderr.write(
            f"{path} is not what the models say; run: {COMMAND} --output {options.output}\n"
        )

    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
