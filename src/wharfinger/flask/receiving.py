"""Files in: the body of the current request, streamed into the service."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

from werkzeug.datastructures import FileStorage

from wharfinger.errors import ConfigError, RequestError
from wharfinger.flask.application import Application
from wharfinger.flask.requests import body, check_unread, request_head
from wharfinger.protocol.forms import FormLimits
from wharfinger.service import StoredFile
from wharfinger.web.intake import Intake, Intaken, begin_intake


@dataclass(frozen=True, kw_only=True, slots=True)
class Form:
    """What `receive_form` took in: the files in order, and the other fields of the form.

    A field that came once is text, one that came several times a list of texts.
    """

    files: list[StoredFile]
    fields: dict[str, str | list[str]]


class Receiving(Application):
    """`receive` and `receive_form`."""

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
            with contextlib.closing(body()) as pieces:
                for piece in pieces:
                    intake.write(piece)
            return intake.finish()
        finally:
            intake.abort()
