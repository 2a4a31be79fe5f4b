"""The table of routes: the one list of what the interface answers, for dispatch and description."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from wharfinger.errors import MethodNotAllowed, NotFound
from wharfinger.web import handlers, link_handlers, upload_link_handlers, uploading
from wharfinger.web.answers import Answer, json_answer
from wharfinger.web.asking import Asked, Route
from wharfinger.web.openapi import description


def openapi(asked: Asked) -> Answer:
    """GET /openapi.json."""
    document = description(ROUTES, asked.head.root or "/")
    return json_answer(200, document, method=asked.head.method)


# Answered without a look at disk or catalog.
LIVE: Final = "/health/live"

ROUTES: Final = (
    Route("POST", "/uploads/{collection}", uploading.create, "write",
          "Receive files: a form or the raw bytes of one file", (201, 400, 411, 413, 415, 422, 507)),
    Route("GET", "/files", handlers.list_files, "read", "List files, newest first", (200, 400)),
    Route("GET", "/files/{id}", handlers.get_file, "read",
          "Deliver a file", (200, 206, 304, 404, 412, 416)),
    Route("DELETE", "/files/{id}", handlers.remove_file, "write", "Remove a file", (204, 404)),
    Route("GET", "/files/{id}/info", handlers.file_info, "read", "The record of a file", (200, 404)),
    Route("POST", "/files/{id}/links", link_handlers.share, "share",
          "Share a file by a link", (201, 400, 404, 409)),
    Route("GET", "/files/{id}/links", link_handlers.list_links, "share",
          "The links of a file that still work", (200, 404)),
    Route("DELETE", "/links/{link}", link_handlers.revoke_link, "share", "Revoke a link", (204, 404)),
    Route("GET", "/d/{token}", link_handlers.follow_link, "",
          "Deliver a file by a link", (200, 206, 304, 401, 404, 412, 416, 429)),
    Route("POST", "/collections/{collection}/links", upload_link_handlers.request_files, "share",
          "Make a link by which others may send files in", (201, 400, 404)),
    Route("GET", "/collections/{collection}/links", upload_link_handlers.list_upload_links, "share",
          "The upload links of a collection that still work", (200, 404)),
    Route("GET", "/u/{token}", upload_link_handlers.show_upload_link, "",
          "What may be sent by an upload link", (200, 404)),
    Route("POST", "/u/{token}", upload_link_handlers.send_by_link, "",
          "Send files by an upload link", (201, 202, 400, 404, 411, 413, 415, 422, 507)),
    Route("GET", "/policy/{collection}", handlers.policy, "", "The rules of a collection", (200, 404)),
    Route("GET", LIVE, handlers.live, "", "Whether the process answers", (200,)),
    Route("GET", "/health/ready", handlers.ready, "",
          "Whether files can be received and handed out", (200, 503)),
    Route("GET", "/openapi.json", openapi, "", "This description", (200,)),
)  # fmt: skip


def find(method: str, path: str) -> tuple[Route, Mapping[str, str]]:
    """Return the route for a request and the values of its path parameters.

    HEAD is answered by the route for GET.

    Raises:
        NotFound: no route has this path.
        MethodNotAllowed: routes have it, but not with this method.
    """
    segments = path.split("/")
    allowed: list[str] = []
    for route in ROUTES:
        parameters = _match(route.pattern, segments)
        if parameters is None:
            continue
        if method == route.method or (method == "HEAD" and route.method == "GET"):
            return route, parameters
        allowed += ["GET", "HEAD"] if route.method == "GET" else [route.method]
    if not allowed:
        raise NotFound("There is no such address.")
    allowed.append("OPTIONS")
    raise MethodNotAllowed(
        f"{method[:20]} is not a method of this address.", allowed=tuple(sorted(set(allowed)))
    )


def _match(pattern: str, segments: list[str]) -> dict[str, str] | None:
    expected = pattern.split("/")
    if len(expected) != len(segments):
        return None
    parameters: dict[str, str] = {}
    for want, have in zip(expected, segments, strict=True):
        if want.startswith("{"):
            if not have:
                return None
            parameters[want[1:-1]] = have
        elif want != have:
            return None
    return parameters
