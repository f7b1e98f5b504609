"""kubeconform as a program, and schemas for it made of what a real API server says of its kinds and ours."""

from __future__ import annotations

import json
import ssl
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from controlplane.server import ControlPlane
from integration.simulator.judges import find_go, kept, run

SOURCE = Path(__file__).with_name("kubeconform")
PACKAGE = "github.com/yannh/kubeconform/cmd/kubeconform"
LOCATION = "{{ .Group }}_{{ .ResourceAPIVersion }}_{{ .ResourceKind }}.json"
REFERENCE = "#/components/schemas/"

Schema = dict[str, Any]


@dataclass(frozen=True)
class Verdict:
    """What was said of one manifest: `Valid`, `Invalid`, `Skipped` or `Error`, and why."""

    kind: str
    """With its version: `apps/v1/Deployment`."""
    name: str
    state: str
    message: str


def made() -> Path:
    """Return the program; it is built once, in seconds."""

    def make(folder: Path) -> None:
        run(
            *(find_go(), "build", "-mod=readonly", "-ldflags", "-s -w"),
            *("-o", str(folder / "kubeconform"), PACKAGE),
            folder=SOURCE,
        )

    return kept(SOURCE, make) / "kubeconform"


def write_schemas(plane: ControlPlane, folder: Path) -> None:
    """Write a schema for each kind that the API server serves, strict ones: what is not in it is refused."""
    context = ssl.create_default_context(cafile=str(plane.credentials.ca))
    bearer = f"Bearer {plane.credentials.admin_token}"
    with httpx.Client(
        base_url=plane.url,
        headers={"Authorization": bearer},
        verify=context,
        timeout=60,
        # A CRD of another test may come while its document is read.
        follow_redirects=True,
    ) as client:
        index = client.get("/openapi/v3").raise_for_status().json()
        for path, place in index["paths"].items():
            is_group = path.startswith("apis/") and path.count("/") == 2
            if path == "api/v1" or is_group:
                url = place["serverRelativeURL"]
                document = client.get(url).raise_for_status().json()
                _write_kinds(document["components"]["schemas"], folder)


def _write_kinds(schemas: dict[str, Schema], folder: Path) -> None:
    for name, schema in schemas.items():
        kinds = schema.get("x-kubernetes-group-version-kind", [])
        if len(kinds) != 1 or kinds[0]["kind"].endswith("List"):
            continue  # no object, or a form of calls that all groups share

        whole = {
            "$ref": f"#/definitions/{name}",
            "definitions": {
                part: _strict(schemas[part])
                for part in _reached(name, schemas)
            },
        }
        (kind,) = kinds
        # kubeconform takes the version for the group where there is none.
        group = kind["group"] or kind["version"]
        file = f"{group}_{kind['version']}_{kind['kind'].lower()}.json"
        (folder / file).write_text(json.dumps(whole))


def _reached(name: str, schemas: dict[str, Schema]) -> set[str]:
    """Return the names of all schemas that this one leads to, its own too."""
    reached, waiting = set[str](), [name]
    while waiting:
        part = waiting.pop()
        if part not in reached:
            reached.add(part)
            waiting += _references(schemas[part])

    return reached


def _references(value: Any) -> list[str]:
    if isinstance(value, list):
        return [name for item in value for name in _references(item)]

    if not isinstance(value, dict):
        return []

    names = _references(list(value.values()))
    if isinstance(value.get("$ref"), str):
        names.append(value["$ref"].removeprefix(REFERENCE))

    return names


def _strict(schema: Schema) -> Schema:
    """Return the schema in kubeconform's dialect, without room for fields that it does not name."""
    changed = dict(schema)
    for key in ("properties", "patternProperties"):
        if key in schema:
            changed[key] = {
                name: _strict(field) for name, field in schema[key].items()
            }

    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            changed[key] = _strict(schema[key])

    for key in ("allOf", "anyOf", "oneOf"):
        if key in schema:
            changed[key] = [_referring(part) for part in schema[key]]

    is_open = schema.get("x-kubernetes-preserve-unknown-fields", False)
    if "properties" in schema and not is_open:
        changed.setdefault("additionalProperties", False)

    if schema.get("nullable") and "type" in schema:
        changed["type"] = [schema["type"], "null"]

    return _referring(changed)


def _referring(schema: Schema) -> Schema:
    reference = schema.get("$ref")
    if reference is None:
        return schema

    return {"$ref": reference.replace(REFERENCE, "#/definitions/")}


def judged(
    schemas: Path, texts: Iterable[str], skipped: Iterable[str] = ()
) -> list[Verdict]:
    """Return the verdict on each manifest in these texts of YAML. `skipped` names kinds that have no schema."""
    command = [str(made()), "-strict", "-verbose", "-output", "json"]
    command += ["-schema-location", str(schemas / LOCATION)]
    command += ["-skip", ",".join(skipped)]
    done = subprocess.run(
        command,
        input="\n---\n".join(texts),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode in (0, 1), done.stderr
    return [
        Verdict(
            f"{resource['version']}/{resource['kind']}",
            resource["name"],
            resource["status"].removeprefix("status"),
            resource["msg"],
        )
        for resource in json.loads(done.stdout)["resources"]
    ]
