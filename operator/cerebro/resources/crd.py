"""Writes the CRDs from the models: `python -m cerebro.resources.crd [--check] [--output crds]`.

The YAML is checked in and never applied by a program; `--check` fails when it is not what the models say.
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
    """Writes a thing that occurs twice out twice: anchors make a CRD hard to read."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 yaml's signature
        return True


class _WireDefaults(GenerateJsonSchema):
    """Writes default durations as the fields do, where pydantic would write ISO 8601."""

    def encode_default(self, dft: Any) -> Any:
        return format_duration(dft) if isinstance(dft, timedelta) else super().encode_default(dft)


def definition(kind: Kind) -> dict[str, Any]:
    """Give the CustomResourceDefinition of one kind, ready to be written."""
    version: dict[str, Any] = {
        "name": API_VERSION,
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": _object_schema(kind)},
        "subresources": {"status": {}},
        "additionalPrinterColumns": [_column(column) for column in kind.columns],
    }
    if kind.selectable_fields:
        version["selectableFields"] = [{"jsonPath": path} for path in kind.selectable_fields]
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": kind.crd_name, "labels": {"app.kubernetes.io/part-of": "cerebro"}},
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
    """Give the text of a kind's file."""
    return HEADER + yaml.dump(
        definition(kind), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110
    )


def _column(column: Column) -> dict[str, Any]:
    described: dict[str, Any] = {"name": column.name, "type": column.type, "jsonPath": column.json_path}
    return described | ({"priority": column.priority} if column.priority else {})


def _object_schema(kind: Kind) -> dict[str, Any]:
    schema = kind.model.model_json_schema(by_alias=True, schema_generator=_WireDefaults)
    parts, shapes = schema["properties"], schema["$defs"]
    return {
        "description": schema["description"],
        "type": "object",
        "required": ["spec"],
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"type": "object"},
            "spec": structural(parts["spec"], shapes),
            "status": _without_defaults(structural(parts["status"], shapes)),
        },
    }


def structural(schema: JsonSchemaValue, shapes: dict[str, JsonSchemaValue]) -> dict[str, Any]:
    """Give a structural schema: references resolved, no alternative `null`, no titles, defaults that fill in.

    An object that needs nothing and has defaults inside gets the default `{}`, without which the API server
    would not look inside. Raises ValueError for what a structural schema cannot say.
    """
    found = dict(schema)
    if "anyOf" in found:
        choices = [choice for choice in found.pop("anyOf") if choice != {"type": "null"}]
        if len(choices) != 1:
            raise ValueError(f"a field of a structural schema has one type, this one has several: {schema}")
        return structural({**choices[0], **found}, shapes)
    if "$ref" in found:
        shape = shapes[found.pop("$ref").removeprefix("#/$defs/")]
        if shape.get(RULES) and found.get(RULES):
            found[RULES] = [*shape[RULES], *found[RULES]]
        found = {**shape, **found}
    found.pop("title", None)
    if not found.get("default", True) and found["type"] in ("array", "object"):
        del found["default"]
    if found.get("default", ...) is None:
        del found["default"]
    if found["type"] == "array":
        found = {"x-kubernetes-list-type": "atomic", **found, "items": _inner(found["items"], shapes)}
    if found["type"] == "integer":
        found["format"] = "int32" if found.get("maximum", 2**31) < 2**31 else "int64"
    if isinstance(found.get("additionalProperties"), dict):
        found["additionalProperties"] = _inner(found["additionalProperties"], shapes)
    if "properties" in found:
        found["properties"] = {name: structural(part, shapes) for name, part in found["properties"].items()}
        if not found.get("required") and any("default" in part for part in found["properties"].values()):
            found["default"] = {}
    return _ordered(found)


def _inner(schema: JsonSchemaValue, shapes: dict[str, JsonSchemaValue]) -> dict[str, Any]:
    """The schema of an item or value, which is there or not but never filled in."""
    return {key: value for key, value in structural(schema, shapes).items() if key != "default"}


def _without_defaults(schema: dict[str, Any]) -> dict[str, Any]:
    """A status says what was found; nothing in it may be filled in."""
    found = {key: value for key, value in schema.items() if key != "default"}
    for inner in ("items", "additionalProperties"):
        if inner in found:
            found[inner] = _without_defaults(found[inner])
    if "properties" in found:
        found["properties"] = {name: _without_defaults(part) for name, part in found["properties"].items()}
    return found


def _ordered(schema: dict[str, Any]) -> dict[str, Any]:
    first = ("description", "type", "format", "enum", "default", "required", "properties", "items")
    return {key: schema[key] for key in first if key in schema} | {
        key: value for key, value in sorted(schema.items()) if key not in first
    }


def stale(folder: Path) -> list[Path]:
    """Give the files in the folder that are missing or differ from what the models say."""
    files = {folder / f"{kind.crd_name}.yaml": render(kind) for kind in KINDS.values()}
    return [path for path, text in files.items() if not path.exists() or path.read_text("utf-8") != text]


def write(folder: Path) -> None:
    """Write the file of each kind into the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for kind in KINDS.values():
        (folder / f"{kind.crd_name}.yaml").write_text(render(kind), "utf-8")


def main(arguments: list[str] | None = None) -> int:
    """Write the files, or with --check say which are not up to date; the exit status is 1 when any is not."""
    parser = argparse.ArgumentParser(prog=COMMAND, description=main.__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail when a file differs")
    parser.add_argument("--output", type=Path, default=Path("crds"), help="folder of the YAML [crds]")
    options = parser.parse_args(arguments)
    if not options.check:
        write(options.output)
        return 0
    wrong = stale(options.output)
    for path in wrong:
        sys.stderr.write(f"{path} is not what the models say; run: {COMMAND} --output {options.output}\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
