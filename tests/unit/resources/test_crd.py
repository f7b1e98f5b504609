"""The CRDs: the files in Git are what the models say, every field is bounded. Nothing is faked."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cerebro.resources import KINDS, SESSION
from cerebro.resources.crd import definition, main, render, stale, structural
from cerebro.resources.kinds import Kind

CRDS = Path(__file__).parents[3] / "crds"
SCHEMAS = [pytest.param(kind, id=kind.kind) for kind in KINDS.values()]


def schema_of(kind: Kind) -> dict[str, Any]:
    version = definition(kind)["spec"]["versions"][0]
    found: dict[str, Any] = version["schema"]["openAPIV3Schema"]["properties"]
    return {
        "type": "object",
        "properties": {"spec": found["spec"], "status": found["status"]},
    }


def fields(
    schema: dict[str, Any], path: str = ""
) -> Iterator[tuple[str, dict[str, Any]]]:
    yield path, schema
    for name, part in schema.get("properties", {}).items():
        yield from fields(part, f"{path}.{name}")
    for inner in ("items", "additionalProperties"):
        if inner in schema:
            yield from fields(schema[inner], f"{path}[]")


def test_the_files_in_git_are_what_the_models_say() -> None:
    assert stale(CRDS) == []
    assert {path.stem for path in CRDS.glob("*.yaml")} == {
        kind.crd_name for kind in KINDS.values()
    }
    listed = (CRDS / "Kustomization").read_text("utf-8")
    assert all(f"- {kind.crd_name}.yaml" in listed for kind in KINDS.values())


def test_check_fails_and_names_the_file_and_the_remedy(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--output", str(tmp_path)]) == 0
    assert main(["--check", "--output", str(tmp_path)]) == 0
    changed = tmp_path / "sessions.relay.cerebro.dev.yaml"
    changed.write_text(
        changed.read_text("utf-8").replace("Trial", "Probe"), "utf-8"
    )
    (tmp_path / "hubs.relay.cerebro.dev.yaml").unlink()
    capsys.readouterr()
    assert main(["--check", "--output", str(tmp_path)]) == 1
    said = capsys.readouterr().err
    assert (
        f"{changed} is not what the models say; run: python -m cerebro.resources.crd"
        in said
    )
    assert "hubs.relay.cerebro.dev.yaml" in said
    assert "peers.relay.cerebro.dev.yaml" not in said


@pytest.mark.parametrize("kind", SCHEMAS)
def test_every_string_list_and_map_has_a_bound(kind: Kind) -> None:
    for path, schema in fields(schema_of(kind)):
        match schema["type"]:
            case "string":
                assert "maxLength" in schema or "enum" in schema, path
            case "array":
                assert "maxItems" in schema, path
                assert "x-kubernetes-list-type" in schema, path
            case "object":
                assert "properties" in schema or "maxProperties" in schema, (
                    path
                )


@pytest.mark.parametrize("kind", SCHEMAS)
def test_every_named_field_is_described(kind: Kind) -> None:
    named = [
        (path, schema)
        for path, schema in fields(schema_of(kind))
        if path and not path.endswith("[]")
    ]
    assert [
        path for path, schema in named if not schema.get("description")
    ] == []


@pytest.mark.parametrize("kind", SCHEMAS)
def test_nothing_in_a_status_is_filled_in_but_that_nobody_has_looked(
    kind: Kind,
) -> None:
    status = schema_of(kind)["properties"]["status"]
    filled_in = {
        path: schema["default"]
        for path, schema in fields(status)
        if "default" in schema
    }

    unseen = 0 if kind is SESSION else -1
    assert filled_in == {
        "": {"observedGeneration": unseen},
        ".observedGeneration": unseen,
    }


@pytest.mark.parametrize("kind", SCHEMAS)
def test_a_default_inside_is_reached_by_a_default_around_it(
    kind: Kind,
) -> None:
    for path, schema in fields(schema_of(kind)["properties"]["spec"]):
        inside = [
            part
            for part in schema.get("properties", {}).values()
            if "default" in part
        ]
        if path and inside and not schema.get("required"):
            assert schema.get("default") == {}, path


@pytest.mark.parametrize("kind", SCHEMAS)
def test_every_rule_has_a_message(kind: Kind) -> None:
    rules = [
        rule
        for _, schema in fields(schema_of(kind))
        for rule in schema.get("x-kubernetes-validations", [])
    ]
    assert rules
    assert all(len(rule["message"]) > 15 for rule in rules)


def test_every_kind_can_be_found_and_read() -> None:
    for kind in KINDS.values():
        spec = definition(kind)["spec"]
        assert spec["names"]["categories"] == ["cerebro"]
        assert spec["versions"][0]["subresources"] == {"status": {}}
        assert render(kind).startswith("# Generated")
    names = {name for kind in KINDS.values() for name in kind.short_names}
    assert names == {"hub", "wgpeer", "dev", "sess", "devcmd"}


def test_a_field_of_two_types_cannot_be_said() -> None:
    with pytest.raises(ValueError, match="one type"):
        structural({"anyOf": [{"type": "string"}, {"type": "integer"}]}, {})
