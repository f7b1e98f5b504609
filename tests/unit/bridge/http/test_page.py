"""What the OpenAPI page says: valid, complete, and by the same models and tables as the answers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast, get_args

import jsonschema_rs
from fastapi import FastAPI
from schemathesis.specs.openapi.definitions import OPENAPI_31

from cerebro.bridge.devices.family import DeviceFamily
from cerebro.bridge.endpoints.app import make_app, make_routes
from cerebro.bridge.endpoints.page_fields import FIELDS
from cerebro.bridge.http.auth import Access
from cerebro.bridge.http.refusals import MEANINGS
from cerebro.bridge.http.routes import Route
from cerebro.bridge.metrics import Metrics
from cerebro.bridge.orders.service import OrderService
from cerebro.bridge.settings import BridgeSettings

DOCS = Path(__file__).parents[4] / "docs" / "http.md"


def all_routes() -> list[Route]:
    settings = BridgeSettings(
        **cast(
            "Any",
            {
                "relay_token": "main",
                "relay_api_secret": "secret",
                "namespace": "test",
            },
        )
    )
    missing = cast("Any", None)
    service = OrderService(
        settings, missing, missing, missing, Metrics(), missing
    )
    devices = DeviceFamily(missing, missing, missing, missing)
    return make_routes(service, missing, devices, missing, missing)


def openapi() -> dict[str, Any]:
    settings = BridgeSettings(
        **cast(
            "Any",
            {
                "relay_token": "main",
                "relay_api_secret": "secret",
                "namespace": "test",
            },
        )
    )
    gate = make_app(settings, cast("Any", None), Metrics(), all_routes())
    app: FastAPI = cast("Any", gate)._app._app
    return app.openapi()


def operations(page: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each operation of a page, and what it is called."""
    for path, methods in page["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation


def listed_path(route: Route) -> str:
    """The path under which a page lists an endpoint."""
    return route.path.replace(":path}", "}")


def test_the_page_is_valid_openapi_3_1() -> None:
    page = openapi()
    assert page["openapi"].startswith("3.1")
    validator = jsonschema_rs.Draft202012Validator(OPENAPI_31)
    assert [error.message for error in validator.iter_errors(page)] == []
    for name, schema in page["components"]["schemas"].items():
        assert jsonschema_rs.meta.is_valid(schema), name
    ids = [operation["operationId"] for _, operation in operations(page)]
    assert len(ids) == len(set(ids))


def test_the_page_is_for_people() -> None:
    """Each endpoint says in sentences what it does, each field what it is, each heading what is below it."""
    page = openapi()
    headings = {tag["name"] for tag in page["tags"] if tag["description"]}
    assert all(
        scheme["description"]
        for scheme in page["components"]["securitySchemes"].values()
    )
    for name, operation in operations(page):
        assert operation["summary"], name
        assert operation["description"].endswith("."), name
        assert not operation["description"].startswith(" "), name
        assert set(operation["tags"]) <= headings, name
        content = operation.get("requestBody", {}).get("content", {})
        for media in content.values():
            for field, schema in media["schema"]["properties"].items():
                assert schema.get("description"), (name, field)
        for parameter in operation.get("parameters", []):
            assert parameter["description"], (name, parameter["name"])


def test_the_example_of_a_body_fits_its_schema() -> None:
    for name, operation in operations(openapi()):
        content = operation.get("requestBody", {}).get("content", {})
        for media in content.values():
            schema = jsonschema_rs.validator_for(media["schema"])
            assert schema.is_valid(media["example"]), name


def test_each_endpoint_says_with_which_codes_it_refuses() -> None:
    """And each code has a meaning, here and in docs/http.md."""
    text = DOCS.read_text()
    for route in all_routes():
        assert route.refusals is not None, route.path
        unknown = set().union(*route.refusals.values()) - MEANINGS.keys()
        assert not unknown, route.path
    written = {code for code in MEANINGS if f"`{code}`" in text}
    missing = {
        code
        for code in MEANINGS.keys() - written
        if not code.startswith("HMAC_")
    }
    assert not missing


def test_no_field_is_described_that_nobody_takes() -> None:
    taken = {
        name
        for route in all_routes()
        for name in (*(route.example or {}), *route.fields, *route.query)
    }
    in_paths = {"sessionId"}
    assert FIELDS.keys() - taken - in_paths == set()


def test_the_page_lists_every_endpoint_with_the_model_of_its_answer() -> None:
    page = openapi()
    listed = {
        (method.upper(), path)
        for path, methods in page["paths"].items()
        for method in methods
    }
    assert listed == {
        (route.method, listed_path(route)) for route in all_routes()
    }
    for route in all_routes():
        responses = page["paths"][listed_path(route)][route.method.lower()][
            "responses"
        ]
        if route.answer is None:
            assert list(responses["200"]["content"]) == ["text/plain"]
            continue
        schema = responses["200"]["content"]["application/json"]["schema"]
        references = [part["$ref"] for part in schema.get("anyOf", [schema])]
        models = get_args(route.answer) or (route.answer,)
        assert references == [
            f"#/components/schemas/{model.__name__}" for model in models
        ]
        error = responses["500"]["content"]["application/json"]["schema"]
        (parent, codes) = error["allOf"]
        assert parent["$ref"] == "#/components/schemas/ErrorAnswer"
        assert "internal_error" in codes["properties"]["code"]["enum"]


def test_the_page_says_which_fields_may_be_absent() -> None:
    schemas = openapi()["components"]["schemas"]
    grant = schemas["GrantAnswer"]
    assert set(grant["properties"]) - set(grant["required"]) == {
        "clientSeen",
        "warning",
    }
    assert list(grant["properties"]) == [
        "ok",
        "pedidoId",
        "mikId",
        "deviceToken",
        "ip",
        "mac",
        "mikrotik",
        "clientSeen",
        "warning",
    ]


def test_the_page_says_who_may_call_each_endpoint_and_how_it_refuses() -> None:
    page = openapi()
    assert set(page["components"]["securitySchemes"]) == {
        "bearer",
        "relayToken",
        "metricsToken",
        "internalToken",
        "signedAt",
        "nonce",
        "signature",
    }
    for route in all_routes():
        told = page["paths"][listed_path(route)][route.method.lower()]
        assert len(told["tags"]) == 1
        assert told["description"]
        signed = [
            {"signedAt", "nonce", "signature"} <= set(schemes)
            for schemes in told.get("security", [{}])
        ]
        assert signed == [route.access.needs_signature] * len(signed)
        assert ("security" in told) is (route.access is not Access.OPEN)
        refused = "403" if route.access is Access.INTERNAL else "401"
        assert (refused in told["responses"]) >= ("security" in told)
        assert all(
            answer["description"] for answer in told["responses"].values()
        )


def test_the_page_names_the_parameters_of_paths_and_queries() -> None:
    paths = openapi()["paths"]
    (session_id,) = [
        parameter
        for parameter in paths["/session/{sessionId}"]["get"]["parameters"]
        if parameter["in"] == "path"
    ]
    assert (session_id["name"], session_id["required"]) == ("sessionId", True)
    queries = [
        parameter["name"]
        for parameter in paths["/relay/identity/status"]["get"]["parameters"]
        if parameter["in"] == "query"
    ]
    assert queries == ["sid", "identity"]
