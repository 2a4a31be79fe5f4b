"""The description of the interface keeps the rules of OpenAPI 3.1 (checked here by hand)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from wharfinger.web.openapi import description
from wharfinger.web.routes import ROUTES

METHODS = {"get", "put", "post", "delete", "options", "head", "patch", "trace"}
SCHEMA_TYPES = {"null", "boolean", "object", "array", "number", "string", "integer"}


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(json.dumps(description(ROUTES, "/storage")))
    return found


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in document["paths"].items():
        for method, operation in item.items():
            yield method, path, operation


def test_the_root_has_what_it_must_and_nothing_unknown(document: dict[str, Any]) -> None:
    assert re.fullmatch(r"3\.1\.\d+", document["openapi"])
    assert set(document["info"]) >= {"title", "version"}
    assert all(isinstance(document["info"][key], str) for key in ("title", "version"))
    known = {"openapi", "info", "jsonSchemaDialect", "servers", "paths", "webhooks", "components",
             "security", "tags", "externalDocs"}  # fmt: skip
    assert set(document) <= known
    assert document["servers"] == [{"url": "/storage"}]


def test_every_path_is_a_template_and_every_method_one_of_http(document: dict[str, Any]) -> None:
    assert document["paths"]
    seen = set()
    for method, path, _ in operations(document):
        assert path.startswith("/")
        assert method in METHODS
        # Templates that differ in names alone are the same path.
        seen.add((method, re.sub(r"\{[^}]*\}", "{}", path)))
    assert len(seen) == len(list(operations(document)))


def test_every_operation_has_a_name_of_its_own(document: dict[str, Any]) -> None:
    names = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(names) == len(set(names))
    assert all(re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name) for name in names)


def test_parameters_are_described_once_and_those_of_the_path_are_required(
    document: dict[str, Any],
) -> None:
    for _, path, operation in operations(document):
        found = [(one["name"], one["in"]) for one in operation.get("parameters", [])]
        assert len(found) == len(set(found))
        in_path = {name for name, where in found if where == "path"}
        assert in_path == set(re.findall(r"\{([^}]*)\}", path))
        for one in operation.get("parameters", []):
            assert one["in"] in {"query", "header", "path", "cookie"}
            assert one["in"] != "path" or one["required"] is True
            assert ("schema" in one) != ("content" in one)


def test_every_response_has_a_status_and_a_description(document: dict[str, Any]) -> None:
    for method, path, operation in operations(document):
        assert operation["responses"], (method, path)
        for status, response in operation["responses"].items():
            assert re.fullmatch(r"[1-5][0-9][0-9]|[1-5]XX|default", status)
            assert isinstance(response["description"], str)
            assert set(response) <= {"description", "headers", "content", "links"}
            for media_type in response.get("content", {}):
                assert re.fullmatch(r"[a-z]+/[a-z0-9.+*-]+", media_type)


def test_a_request_body_is_described_where_the_method_has_one(document: dict[str, Any]) -> None:
    for method, _, operation in operations(document):
        if "requestBody" in operation:
            assert method in {"post", "put", "patch"}
            assert operation["requestBody"]["content"]
            for content in operation["requestBody"]["content"].values():
                assert "schema" in content
    assert "requestBody" in document["paths"]["/uploads/{collection}"]["post"]


def test_security_names_schemes_that_exist(document: dict[str, Any]) -> None:
    schemes = document["components"]["securitySchemes"]
    for scheme in schemes.values():
        assert scheme["type"] in {"apiKey", "http", "mutualTLS", "oauth2", "openIdConnect"}
        assert scheme["type"] != "http" or scheme["scheme"]
    for _, _, operation in operations(document):
        for requirement in operation["security"]:
            assert set(requirement) <= set(schemes)
            assert all(scopes == [] for scopes in requirement.values())


def test_open_operations_need_no_token_and_all_others_do(document: dict[str, Any]) -> None:
    free = {
        path
        for method, path, operation in operations(document)
        if operation["security"] == [] and method != "options"
    }
    assert free == {
        "/d/{token}", "/u/{token}", "/u/{token}/{upload}", "/policy/{collection}", "/health/live", "/health/ready", "/openapi.json",
    }  # fmt: skip


def test_references_lead_somewhere_and_schemas_have_known_types(document: dict[str, Any]) -> None:
    def walk(node: object) -> Iterator[dict[str, Any]]:
        if isinstance(node, dict):
            yield node
            for value in node.values():
                yield from walk(value)
        elif isinstance(node, list):
            for value in node:
                yield from walk(value)

    references = 0
    for node in walk(document):
        reference = node.get("$ref")
        if isinstance(reference, str):
            references += 1
            target: Any = document
            assert reference.startswith("#/")
            for part in reference[2:].split("/"):
                target = target[part]
            assert isinstance(target, dict)
        if "schema" in node:
            kind = node["schema"].get("type", "object")
            assert set([kind] if isinstance(kind, str) else kind) <= SCHEMA_TYPES
        assert "nullable" not in node  # gone with OpenAPI 3.1
    assert references > 0
    for name, schema in document["components"]["schemas"].items():
        assert re.fullmatch(r"[A-Za-z0-9._-]+", name)
        assert set(schema["required"]) <= set(schema["properties"])
