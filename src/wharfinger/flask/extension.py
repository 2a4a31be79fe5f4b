"""`Wharfinger`: what a Flask application calls."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO, Final, TypeAlias

from flask import Blueprint, Flask, Response, current_app, request, url_for
from werkzeug.datastructures import FileStorage
from werkzeug.routing import BuildError

from wharfinger.errors import ConfigError, RequestError, UsageError, WharfingerError
from wharfinger.flask.arguments import (
    cache_control,
    closed_on_error,
    entity_tag,
    is_seekable,
    is_text,
    moment,
    pieces,
    type_by_name,
)
from wharfinger.flask.configuration import wharf_from
from wharfinger.flask.requests import body, check_unread, delivery_head, push_body, request_head
from wharfinger.flask.responses import response
from wharfinger.protocol.forms import FormLimits
from wharfinger.service import Link, Principal, StoredFile, Wharf
from wharfinger.service.links import DEFAULT_EXPIRES_IN
from wharfinger.web import WebInterface
from wharfinger.web.delivering import (
    PRIVATE,
    content_headers,
    deliver,
    representation,
    stored_representation,
)
from wharfinger.web.exchange import error_answer
from wharfinger.web.intake import Intake, Intaken, begin_intake
from wharfinger.web.trusted import open_inside

__all__ = ["Form", "Wharfinger"]

Authorize: TypeAlias = Callable[[], "Principal | None"]

_METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
# The application's own files: they may change, so a cache asks before it uses its copy.
_REVALIDATE: Final = "private, no-cache"
_BLUEPRINT: Final = "wharfinger"


@dataclass(frozen=True, kw_only=True, slots=True)
class Form:
    """What `receive_form` took in: the files in order, and the other fields of the form.

    A field that came once is text, one that came several times a list of texts.
    """

    files: list[StoredFile]
    fields: dict[str, str | list[str]]


@dataclass(frozen=True, slots=True)
class _State:
    """What belongs to one application; it lies in `app.extensions["wharfinger"]`."""

    wharf: Wharf
    interface: WebInterface


class Wharfinger:
    """Files for a Flask application.

    Args:
        app: the application; or call `init_app` later.
        wharf: a service that exists already. Without it the application's configuration
            makes one: `WHARFINGER_DATA` (a folder; relative to `app.root_path`; by
            default `wharfinger` in the instance folder), `WHARFINGER_CONFIG` (a
            `wharfinger.toml`), `WHARFINGER_PUBLIC_URL`, and `WHARFINGER_COLLECTIONS`
            (names to tables, as in the file).
    """

    def __init__(self, app: Flask | None = None, *, wharf: Wharf | None = None) -> None:
        self._authorize: Authorize | None = None
        if app is not None:
            self.init_app(app, wharf=wharf)
        elif wharf is not None:
            raise UsageError("Give the wharf to init_app, together with the application.")

    def init_app(self, app: Flask, *, wharf: Wharf | None = None) -> None:
        """Make the extension work in this application. Raises ConfigError."""
        wharf = wharf or wharf_from(app)
        app.extensions["wharfinger"] = _State(wharf, WebInterface(wharf))
        if WharfingerError not in app.error_handler_spec[None][None]:  # the application's own wins
            app.register_error_handler(WharfingerError, _error_response)

    def authorize(self, function: Authorize) -> Authorize:
        """Take the application's own sign-in; usable as a decorator.

        `function` is called in the request's context and returns a `Principal`, or None
        for nobody. The blueprint then knows who asks; what `receive` takes in belongs to
        that principal. Bearer tokens work besides it. Requests to the blueprint that
        change something and rest on a cookie need a same-origin proof.
        """
        self._authorize = function
        return function

    @property
    def wharf(self) -> Wharf:
        """The service of the current application."""
        return _state().wharf

    # --- in -----------------------------------------------------------------------------

    def receive(self, collection: str, *, file: FileStorage | None = None) -> StoredFile:
        """Take in the one file of this request; on return it is durable.

        The body may be a form with one file or the bytes themselves; it is streamed from
        the socket. Give `file` when something else has parsed the form already.

        Raises:
            NotFound: there is no such collection.
            Rejected: the file breaks the collection's policy; nothing is kept.
            RequestError: the request has no file or several, or is malformed.
            UsageError: somebody has read the body already, and `file` was not given.
        """
        if file is not None:
            if not file.filename:  # what a browser sends for an empty file input
                raise RequestError("No file was chosen.", hint="Send the part with a filename.")
            if file.seekable():
                file.seek(0)  # whoever looked at it must not make it shorter
            return self.wharf.receive(
                file.stream,
                collection=collection,
                name=file.filename,
                type=file.mimetype or None,
                owner=self._owner(),
            )
        return self._take_in(collection, max_files=1).files[0]

    def receive_form(self, collection: str) -> Form:
        """Take in all files and fields of this request's form, all or nothing.

        Raises what `receive` raises.
        """
        taken = self._take_in(collection, max_files=FormLimits().max_files)
        return Form(files=taken.files, fields=taken.fields)

    # --- out ----------------------------------------------------------------------------

    def deliver(
        self,
        file: str | StoredFile,
        *,
        mimetype: str | None = None,
        download_name: str | None = None,
        as_attachment: bool = True,
        max_age: int | None = None,
        etag: bool | str = True,
        last_modified: datetime | float | None = None,
    ) -> Response:
        """Return the response that sends a stored file, with ranges and preconditions.

        Permission is the view's business. The content came from users, so types that a
        browser could run are attachments whatever is asked.

        Args:
            file: a record, or the id of one.
            mimetype: the type to announce; the proven one by default.
            download_name: the name to save under; the stored one by default.
            as_attachment: False shows harmless types in the browser.
            max_age: seconds that the asker's own cache may keep it; None: not at all.
            etag: False leaves the entity-tag out, text sets another.
            last_modified: another moment (datetime or epoch seconds).

        Raises:
            NotFound, NotReady: there is nothing to hand out.
        """
        wharf = self.wharf
        stored = wharf.info(file) if isinstance(file, str) else file
        proven = stored_representation(stored)
        what = representation(
            length=stored.size,
            media_type=mimetype or stored.type,
            name=download_name or stored.name,
            disposition="attachment" if as_attachment else "inline",
            cache_control=cache_control(max_age, PRIVATE),
            etag=entity_tag(etag, proven.etag),
            last_modified=moment(last_modified) or proven.last_modified,
            more=tuple(pair for pair in proven.headers if pair[0] == "Repr-Digest"),
        )
        opened = wharf.open_file(stored)
        return response(deliver(delivery_head(), what, opened, now=wharf.now()))

    def deliver_path(
        self,
        folder: str | os.PathLike[str],
        name: str,
        *,
        mimetype: str | None = None,
        download_name: str | None = None,
        as_attachment: bool = False,
        max_age: int | None = None,
        etag: bool | str = True,
        last_modified: datetime | float | None = None,
    ) -> Response:
        """Return the response that sends a file from a trusted folder.

        `folder` is relative to `app.root_path`, never to the working directory. `name` may
        come from a stranger: nothing outside the folder can be reached by it, also not
        through symbolic links. The other arguments are those of `send_file`.

        Raises:
            NotFound: there is no such plain file.
        """
        opened = open_inside(Path(current_app.root_path) / folder, name)
        with closed_on_error(opened.file):
            what = representation(
                length=opened.size,
                media_type=mimetype or type_by_name(opened.name),
                name=download_name or opened.name,
                disposition="attachment" if as_attachment else "inline",
                cache_control=cache_control(max_age, _REVALIDATE),
                etag=entity_tag(etag, opened.etag),
                last_modified=moment(last_modified) or opened.modified_at,
            )
            return response(deliver(delivery_head(), what, opened.file, now=self.wharf.now()))

    def deliver_data(
        self,
        data: bytes | BinaryIO | Iterable[bytes],
        *,
        mimetype: str | None = None,
        download_name: str | None = None,
        as_attachment: bool = False,
        max_age: int | None = None,
        etag: bool | str = True,
        last_modified: datetime | float | None = None,
    ) -> Response:
        """Return the response that sends bytes, a binary file object or a generator of bytes.

        Bytes and seekable files are delivered with ranges and preconditions. A generator is
        sent while it runs, as fast as the client takes it, and closed when the client
        leaves; its length is not known, so there are no ranges. A file object is closed
        after sending. The other arguments are those of `send_file`.

        Raises:
            UsageError: neither `mimetype` nor `download_name` tells the type, or the data is
                text and not bytes.
        """
        if is_text(data):
            raise UsageError("The data is text.", hint="Encode it, or open the file in mode 'rb'.")
        if mimetype is None and download_name is None:
            raise UsageError("Say what the data is: give mimetype or download_name.")
        media_type = mimetype or type_by_name(download_name or "")
        kind: Any = "attachment" if as_attachment else "inline"
        caching = cache_control(max_age, _REVALIDATE)
        modified = moment(last_modified)
        tag: str | None = None
        if isinstance(data, (bytes, bytearray, memoryview)):
            file: BinaryIO = io.BytesIO(data)
            length = file.seek(0, io.SEEK_END)
            tag = f'"{hashlib.sha256(data).hexdigest()}"'
        elif is_seekable(data):
            file = data
            length = file.seek(0, io.SEEK_END)
        else:
            made = Response(
                pieces(data),
                headers=list(content_headers(media_type, download_name, kind, caching)),
            )
            made.last_modified = modified
            if (wished := entity_tag(etag, None)) is not None:
                made.headers["ETag"] = wished
            return made
        what = representation(
            length=length,
            media_type=media_type,
            name=download_name,
            disposition=kind,
            cache_control=caching,
            etag=entity_tag(etag, tag),
            last_modified=modified,
        )
        return response(deliver(delivery_head(), what, file, now=self.wharf.now()))

    # --- links and the whole interface --------------------------------------------------

    def link(
        self,
        file: str | StoredFile,
        *,
        expires_in: int = DEFAULT_EXPIRES_IN,
        max_downloads: int | None = None,
        download_name: str | None = None,
    ) -> str:
        """Return the address of a new link by which whoever has it may download the file.

        The arguments are those of `Wharf.share`. The blueprint must be registered: it is
        what answers the link.

        Raises:
            ConfigError: the blueprint is not registered.
            NotFound, NotReady, UsageError: as `Wharf.share`.
        """
        file_id = file if isinstance(file, str) else file.id
        blueprint = current_app.blueprints.get(_BLUEPRINT)
        if blueprint is None:
            raise ConfigError(
                "Links need the blueprint that answers them.",
                hint='app.register_blueprint(files.blueprint(), url_prefix="/storage")',
            )
        link: Link = self.wharf.share(
            file_id,
            expires_in=expires_in,
            max_downloads=max_downloads,
            download_name=download_name,
            owner=self._owner(),
        )
        if self.wharf.settings.public_url:
            return link.url
        try:
            return url_for(f"{_BLUEPRINT}.interface", path=link.url.lstrip("/"), _external=True)
        except (RuntimeError, BuildError) as error:
            self.wharf.links.revoke(link.id)
            raise ConfigError(
                "Outside a request the link's address is not known.",
                hint="Set WHARFINGER_PUBLIC_URL, or SERVER_NAME.",
            ) from error

    def blueprint(self) -> Blueprint:
        """Return the whole HTTP interface as a blueprint; register it with a `url_prefix`."""
        blueprint = Blueprint(_BLUEPRINT, __name__)

        def interface(path: str = "") -> Response:
            return self._answer(path)

        for rule in ("/", "/<path:path>"):
            blueprint.add_url_rule(
                rule,
                endpoint="interface",
                view_func=interface,
                methods=list(_METHODS),
                provide_automatic_options=False,
                strict_slashes=False,
                merge_slashes=False,
            )
        return blueprint

    def _answer(self, path: str) -> Response:
        whole = request.path
        mount = whole[: len(whole) - len(path)].rstrip("/")
        head = request_head(
            path=f"/{path}", root=request.root_path.rstrip("/") + mount, principal=self._principal()
        )
        exchange = _state().interface.exchange(head)
        try:
            answer = exchange.begin()
            if answer is None:
                check_unread()
                answer = push_body(exchange.write) or exchange.finish()
        except WharfingerError as error:
            answer = error_answer(error, head)
        finally:
            exchange.abort()
        return response(answer)

    def _take_in(self, collection: str, *, max_files: int) -> Intaken:
        check_unread()
        if collection not in self.wharf.collections:
            raise ConfigError(
                f"There is no collection {collection!r}.",
                hint=f"There are {', '.join(sorted(self.wharf.collections))}.",
            )
        intake: Intake = begin_intake(
            self.wharf, request_head(), collection, self._owner(), max_files=max_files
        )
        try:
            for piece in body():
                intake.write(piece)
            return intake.finish()
        finally:
            intake.abort()

    def _principal(self) -> Principal | None:
        return None if self._authorize is None else self._authorize()

    def _owner(self) -> str | None:
        principal = self._principal()
        return None if principal is None else principal.id


def _state() -> _State:
    state = current_app.extensions.get("wharfinger")
    if state is None:
        raise ConfigError("This application has no Wharfinger yet.", hint="files.init_app(app)")
    return state  # type: ignore[no-any-return]  # only init_app puts it there


def _error_response(error: WharfingerError) -> Response:
    if isinstance(error, UsageError):
        # The view's mistake and not the visitor's: the trace goes to the log, and only there.
        mistake = RuntimeError(f"{error} {error.hint}")
        mistake.__cause__ = error
        return response(error_answer(mistake, request_head()))
    return response(error_answer(error, request_head()))
