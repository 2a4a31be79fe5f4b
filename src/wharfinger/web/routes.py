"""The table of routes: the one list of what the interface answers, for dispatch and description."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Final

from wharfinger.errors import MethodNotAllowed, NotFound, RequestError
from wharfinger.web import handlers, link_handlers, upload_link_handlers, uploading
from wharfinger.web.answers import Answer, json_answer
from wharfinger.web.asking import Asked, Route
from wharfinger.web.openapi import description
from wharfinger.web.requests import RequestHead


def openapi(asked: Asked) -> Answer:
    """GET /openapi.json."""
    document = description(ROUTES, asked.head.root or "/")
    return json_answer(200, document, method=asked.head.method)


# Where uploads lie. Their addresses may have a slash at the end, and a POST may stand for another
# method where something on the way lets only that pass (tus 1.0, X-HTTP-Method-Override).
_UPLOADS: Final = ("/uploads/", "/u/")
_POST_IT: Final = (
    "Files come by POST to /uploads/{collection}, as curl -F or curl -X POST -T send them."
)
_OVERRIDING: Final = frozenset({"DELETE", "HEAD", "PATCH", "POST"})

# Answered without a look at disk or catalog.
LIVE: Final = "/health/live"

ROUTES: Final = (
    Route("POST", "/uploads/{collection}", uploading.create, "write",
          "Receive files: a form, the raw bytes of one file, or the beginning of an upload that can be resumed",
          (201, 202, 400, 409, 411, 412, 413, 415, 422, 460, 503, 507)),
    Route("OPTIONS", "/uploads/{collection}", uploading.options, "",
          "What resumable uploads may be", (204, 404)),
    Route("OPTIONS", "/uploads/{collection}/{upload}", uploading.options_of_upload, "",
          "What resumable uploads may be", (204, 404)),
    Route("HEAD", "/uploads/{collection}/{upload}", uploading.state, "write",
          "Where an upload stands", (200, 204, 400, 404, 409, 410, 412, 422)),
    Route("GET", "/uploads/{collection}/{upload}", uploading.fetch, "read",
          "Deliver the file that an upload became", (200, 206, 304, 404, 409, 410, 412, 415, 416, 422)),
    Route("PATCH", "/uploads/{collection}/{upload}", uploading.append, "write",
          "Go on with an upload", (201, 202, 204, 400, 404, 409, 410, 411, 412, 413, 415, 422, 460, 503, 507)),
    Route("DELETE", "/uploads/{collection}/{upload}", uploading.end, "write",
          "Give an upload up, or forget one that is over", (204, 404, 412)),
    Route("GET", "/files", handlers.list_files, "read", "List files, newest first", (200, 400)),
    Route("GET", "/files/{id}", handlers.get_file, "read",
          "Deliver a file", (200, 206, 304, 404, 409, 412, 415, 416, 422)),
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
          "Send files by an upload link: as to a collection",
          (201, 202, 400, 404, 409, 411, 412, 413, 415, 422, 460, 503, 507)),
    Route("OPTIONS", "/u/{token}", upload_link_handlers.upload_by_link_options, "",
          "What resumable uploads may be", (204, 404)),
    Route("OPTIONS", "/u/{token}/{upload}", upload_link_handlers.options_of_upload_by_link, "",
          "What resumable uploads may be", (204, 404)),
    Route("HEAD", "/u/{token}/{upload}", upload_link_handlers.upload_by_link_state, "",
          "Where an upload stands", (200, 204, 400, 404, 409, 410, 412, 422)),
    Route("PATCH", "/u/{token}/{upload}", upload_link_handlers.upload_by_link_append, "",
          "Go on with an upload", (201, 202, 204, 400, 404, 409, 410, 411, 412, 413, 415, 422, 460, 503, 507)),
    Route("DELETE", "/u/{token}/{upload}", upload_link_handlers.upload_by_link_end, "",
          "Give an upload up, or forget one that is over", (204, 404, 412)),
    Route("GET", "/policy/{collection}", handlers.policy, "", "The rules of a collection", (200, 404)),
    Route("GET", LIVE, handlers.live, "", "Whether the process answers", (200,)),
    Route("GET", "/health/ready", handlers.ready, "",
          "Whether files can be received and handed out", (200, 503)),
    Route("GET", "/openapi.json", openapi, "", "This description", (200,)),
)  # fmt: skip


# Asked with every request, so they are split once: by the number of segments.
_BY_LENGTH: Final[dict[int, list[tuple[Route, list[str]]]]] = {}
for _route in ROUTES:
    _split = _route.pattern.split("/")
    _BY_LENGTH.setdefault(len(_split), []).append((_route, _split))


def overridden(head: RequestHead) -> RequestHead:
    """Return the head of a request with the method that it means.

    Raises:
        RequestError: it means one that no POST may stand for, or is no POST: what is safe in
            the eyes of those on the way must not change anything.
    """
    meant = head.headers.single("X-HTTP-Method-Override")
    if meant is None or not head.path.startswith(_UPLOADS) or head.method == "OPTIONS":
        return head
    meant = meant.strip().upper()
    if meant == head.method:
        return head
    if head.method != "POST" or meant not in _OVERRIDING:
        raise RequestError(
            f"{head.method[:20]} cannot stand for {meant[:20]!r}.",
            hint="X-HTTP-Method-Override is for POST that means PATCH, DELETE or HEAD.",
        )
    return replace(head, method=meant)


def find(method: str, path: str) -> tuple[Route, Mapping[str, str]]:
    """Return the route for a request and the values of its path parameters.

    HEAD is answered by the route for GET.

    Raises:
        NotFound: no route has this path.
        MethodNotAllowed: routes have it, but not with this method.
    """
    allowed: list[str] = []
    for route, parameters in _routes(path):
        if method == route.method or (method == "HEAD" and route.method == "GET"):
            return route, parameters
        allowed.append(route.method)
    if not allowed:
        raise NotFound("There is no such address.")
    raise MethodNotAllowed(
        f"{method[:20]} is not a method of this address.",
        allowed=methods(path),
        hint=_POST_IT if method == "PUT" and path.startswith(_UPLOADS) else None,
    )


def methods(path: str) -> tuple[str, ...]:
    """Return the methods that an address knows, for Allow."""
    known = {route.method for route, _ in _routes(path)}
    return tuple(sorted({*known, "OPTIONS", *(("HEAD",) if "GET" in known else ())}))


def _routes(path: str) -> Iterator[tuple[Route, Mapping[str, str]]]:
    if path.startswith(_UPLOADS):
        path = path.removesuffix("/")
    segments = path.split("/")
    for route, expected in _BY_LENGTH.get(len(segments), ()):
        parameters = _match(expected, segments)
        if parameters is not None:
            yield route, parameters


def _match(expected: list[str], segments: list[str]) -> dict[str, str] | None:
    parameters: dict[str, str] = {}
    for want, have in zip(expected, segments, strict=True):
        if want.startswith("{"):
            if not have:
                return None
            parameters[want[1:-1]] = have
        elif want != have:
            return None
    return parameters
