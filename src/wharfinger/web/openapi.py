"""The description of the interface, made from the table of routes (OpenAPI 3.1)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from http import HTTPStatus
from typing import Any

from wharfinger._version import __version__
from wharfinger.web.asking import Route

_PARAMETER = re.compile(r"\{(\w+)\}")
_RECORD = {
    "type": "object",
    "required": [
        "id", "name", "size", "type", "sha256", "state", "collection", "created_at", "expires_at", "url",
    ],
    "properties": {
        "id": {"type": "string"},
        "name": {"type": "string"},
        "size": {"type": "integer", "description": "bytes"},
        "type": {"type": "string", "description": "media type that the content proved"},
        "sha256": {"type": "string", "description": "hexadecimal"},
        "state": {
            "type": "string",
            "enum": ["checking", "ready", "held", "failed", "refused"],
            "description": "only ready files are delivered",
        },
        "collection": {"type": "string"},
        "created_at": {"type": "string", "format": "date-time"},
        "expires_at": {"type": ["string", "null"], "format": "date-time"},
        "url": {"type": "string", "format": "uri-reference"},
        "details": {"type": "object", "description": "what a look at the content found"},
        "problem": {
            "type": "object",
            "required": ["code", "detail"],
            "properties": {"code": {"type": "string"}, "detail": {"type": "string"}},
            "description": "why it is held, failed or refused",
        },
    },
}  # fmt: skip
_PROBLEM = {
    "type": "object",
    "required": ["type", "title", "status", "detail", "code"],
    "properties": {
        "type": {"type": "string", "format": "uri"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "code": {"type": "string"},
        "hint": {"type": "string"},
    },
}
_PHRASES = {460: "Checksum Mismatch"}  # of tus 1.0
_QUERY = {
    "/files": [
        {"name": "collection", "in": "query", "schema": {"type": "string"}},
        {"name": "after", "in": "query", "schema": {"type": "string"}},
        {
            "name": "limit",
            "in": "query",
            "schema": {"type": "integer", "minimum": 1, "maximum": 1000},
        },
    ],
}


def description(routes: Iterable[Route], root: str) -> dict[str, Any]:
    """Return the whole description; `root` is the mount point."""
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(route.pattern, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {"title": "wharfinger", "version": __version__},
        "servers": [{"url": root}],
        "paths": paths,
        "components": {
            "schemas": {"File": _RECORD, "Problem": _PROBLEM},
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
        },
    }


def _operation(route: Route) -> dict[str, Any]:
    statuses = {*route.statuses, *((401, 403) if route.scope else ())}
    if not route.pattern.startswith("/health/"):
        statuses.add(429)
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in _PARAMETER.findall(route.pattern)
    ]
    if route.method == "GET":
        parameters += _QUERY.get(route.pattern, [])
    operation: dict[str, Any] = {
        "operationId": route.handler.__name__,
        "summary": route.summary,
        "parameters": parameters,
        "responses": {str(status): _response(status) for status in sorted(statuses)},
        "security": [{"bearer": []}] if route.scope else [],
    }
    if route.method == "POST" and route.pattern.startswith(("/uploads", "/u/")):
        operation["requestBody"] = {
            "required": True,
            "content": {
                "multipart/form-data": {"schema": {"type": "object"}},
                "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
            },
        }
    return operation


def _response(status: int) -> dict[str, Any]:
    phrase = _PHRASES.get(status) or HTTPStatus(status).phrase
    response: dict[str, Any] = {"description": phrase}
    if status >= 400:  # noqa: PLR2004 - client and server errors
        schema = {"$ref": "#/components/schemas/Problem"}
        response["content"] = {"application/problem+json": {"schema": schema}}
    return response
