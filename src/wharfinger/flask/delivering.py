"""Files out: `deliver`, `deliver_path` and `deliver_data`, in place of `send_file`.

All three end in one plan (`web.delivering`), so that preconditions, ranges and the headers
that keep content from acting are the same as those of the HTTP interface.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from datetime import datetime
from http import HTTPStatus
from pathlib import Path
from typing import BinaryIO, Final, cast

from flask import Response, current_app

from wharfinger.errors import UsageError
from wharfinger.flask.application import Application
from wharfinger.flask.requests import delivery_head
from wharfinger.flask.responses import response
from wharfinger.flask.sources import UNKNOWN, Data, check_data, closed_on_error, guarded, hold
from wharfinger.flask.streams import Stream
from wharfinger.flask.trusted import open_inside
from wharfinger.flask.wishes import Wishes
from wharfinger.service import StoredFile
from wharfinger.web import Answer
from wharfinger.web.answers import paced
from wharfinger.web.delivering import PRIVATE, deliver, representation, stored_representation

# The application's own files: they may change, so a cache asks before it uses its copy.
_REVALIDATE: Final = "private, no-cache"


class Delivering(Application):
    """The three ways to send something."""

    def deliver(
        self,
        file: str | StoredFile,
        *,
        mimetype: str | None = None,
        download_name: str | None = None,
        as_attachment: bool = True,
        conditional: bool = True,
        max_age: int | None = None,
        etag: bool | str = True,
        last_modified: datetime | float | None = None,
    ) -> Response:
        """Return the response that sends a stored file, with ranges and preconditions.

        Permission is the view's business. The content came from users, so types that a
        browser could run are attachments whatever is asked. With `WHARFINGER_OFFLOAD` a web
        server in front that offers it sends the bytes.

        Args:
            file: a record, or the id of one.
            mimetype: the type to announce; the proven one by default.
            download_name: the name to save under; the stored one by default.
            as_attachment: False shows harmless types in the browser.
            conditional: False ignores preconditions and ranges and sends all of it.
            max_age: seconds that the asker's own cache may keep it; None: not at all.
            etag: False leaves the entity-tag out, text sets another.
            last_modified: another moment (datetime or epoch seconds).

        Raises:
            NotFound, NotReady: there is nothing to hand out.
            PreconditionFailed, RangeNotSatisfiable: what the request asks cannot be done.
            UsageError: an argument cannot be understood.
        """
        wishes = Wishes(
            mimetype=mimetype, download_name=download_name, as_attachment=as_attachment,
            conditional=conditional, max_age=max_age, etag=etag, last_modified=last_modified,
        )  # fmt: skip
        if not isinstance(file, (str, StoredFile)):
            raise UsageError(
                f"deliver takes a record or its id, not {type(file).__name__}.",
                hint="A path is for deliver_path, bytes and open files are for deliver_data.",
            )
        wharf = self.wharf
        stored = wharf.info(file) if isinstance(file, str) else file
        proven = stored_representation(stored)
        what = representation(
            length=stored.size,
            media_type=mimetype or stored.type,
            name=download_name or stored.name,
            disposition=wishes.disposition,
            cache_control=wishes.cache_control(PRIVATE),
            etag=wishes.entity_tag(proven.etag),
            last_modified=wishes.modified(proven.last_modified),
            more=tuple(pair for pair in proven.headers if pair[0] == "Repr-Digest"),
            ranges=conditional,
        )
        opened = guarded(wharf.open_file(stored), stored.size)
        head = delivery_head(conditional=conditional)
        answer = deliver(head, what, opened, now=wharf.now())
        answer = paced(answer, wharf.pace(stored.collection))
        offloading = self._state.interface.memory.offloading
        return response(offloading.hand_off(offloading.screened(head), answer))

    def deliver_path(
        self,
        folder: str | os.PathLike[str],
        name: str | os.PathLike[str],
        *,
        mimetype: str | None = None,
        download_name: str | None = None,
        as_attachment: bool = False,
        conditional: bool = True,
        max_age: int | None = None,
        etag: bool | str = True,
        last_modified: datetime | float | None = None,
    ) -> Response:
        """Return the response that sends a file from a trusted folder.

        `folder` is yours: relative to `app.root_path`, never to the working directory, and
        never made from a request. `name` may come from a stranger: nothing outside the
        folder can be reached by it, through no symbolic link either, and nothing hidden
        (a component that begins with a dot). The other arguments are those of `send_file`.

        Args:
            folder: where the files are.
            name: the path of the file below it, with forward slashes.
            mimetype: the type to announce; the one that the name promises by default.
            download_name: the name to save under; the file's own by default.
            as_attachment: True has it saved instead of shown; types that a browser could
                run (HTML, SVG, XML, PDF and all but plain text and pictures) always are.
            conditional: False ignores preconditions and ranges and sends all of it.
            max_age: seconds that the asker's own cache may use it without asking again.
            etag: False leaves the entity-tag out, text sets another.
            last_modified: another moment (datetime or epoch seconds).

        Raises:
            NotFound: there is no such plain file.
            PreconditionFailed, RangeNotSatisfiable: what the request asks cannot be done.
            UsageError: an argument cannot be understood.
        """
        wishes = Wishes(
            mimetype=mimetype, download_name=download_name, as_attachment=as_attachment,
            conditional=conditional, max_age=max_age, etag=etag, last_modified=last_modified,
        )  # fmt: skip
        now = self.wharf.now()
        opened = open_inside(Path(current_app.root_path) / folder, name, now=now)
        with closed_on_error(opened.file):
            what = representation(
                length=opened.size,
                media_type=wishes.media_type(opened.name),
                name=download_name or opened.name,
                disposition=wishes.disposition,
                cache_control=wishes.cache_control(_REVALIDATE),
                etag=wishes.entity_tag(opened.etag),
                last_modified=wishes.modified(opened.modified_at),
                ranges=conditional,
            )
            file = guarded(opened.file, opened.size)
            return response(deliver(delivery_head(conditional=conditional), what, file, now=now))

    def deliver_data(
        self,
        data: Data,
        *,
        mimetype: str | None = None,
        download_name: str | None = None,
        as_attachment: bool = False,
        conditional: bool = True,
        max_age: int | None = None,
        etag: bool | str = True,
        last_modified: datetime | float | None = None,
    ) -> Response:
        """Return the response that sends bytes, a binary file object or a generator of bytes.

        Bytes and files with positions are delivered whole from their beginning, wherever
        they stand, with ranges and preconditions. A generator is sent while it runs, as
        fast as the client takes it, and closed when it ends or the client leaves; so is a
        file without positions (a pipe). Their length is not known, so there are no ranges.
        A file object is closed after sending: do not open it in a `with` block.

        Args:
            data: the bytes, the file opened in mode "rb", or a generator of bytes.
            mimetype: the type to announce; the one that `download_name` promises by default.
            download_name: the name to save under.
            as_attachment: True has it saved instead of shown; types that a browser could
                run always are.
            conditional: False ignores preconditions and ranges and sends all of it.
            max_age: seconds that the asker's own cache may use it without asking again.
            etag: False leaves the entity-tag out, text sets another. By default bytes have
                their SHA-256, plain files what `deliver_path` gives them, others none.
            last_modified: a moment (datetime or epoch seconds).

        Raises:
            PreconditionFailed, RangeNotSatisfiable: what the request asks cannot be done.
            UsageError: neither `mimetype` nor `download_name` tells the type, the data is
                text, closed or no data, or an argument cannot be understood.
        """
        with closed_on_error(data):
            wishes = Wishes(
                mimetype=mimetype, download_name=download_name, as_attachment=as_attachment,
                conditional=conditional, max_age=max_age, etag=etag, last_modified=last_modified,
            )  # fmt: skip
            check_data(data)
            if mimetype is None and download_name is None:
                raise UsageError("Say what the data is: give mimetype or download_name.")
            head, now = delivery_head(conditional=conditional), self.wharf.now()
            held = hold(data, tagged=etag is True, now=now) or UNKNOWN
            tag, modified = wishes.entity_tag(held.etag), wishes.modified(held.modified_at)
            known = tag is not None or modified is not None
            what = representation(
                length=held.length,
                media_type=wishes.media_type(None),
                name=download_name,
                disposition=wishes.disposition,
                # What nothing tells from its other versions cannot be asked about again.
                cache_control=wishes.cache_control(_REVALIDATE if known else PRIVATE),
                etag=tag,
                last_modified=modified,
                ranges=conditional and held.file is not None,
            )
            answer = deliver(head, what, held.file, now=now)
            if held.file is not None:
                return response(answer)
            return _streamed(cast("BinaryIO | Iterable[bytes]", data), answer)


def _streamed(data: BinaryIO | Iterable[bytes], answer: Answer) -> Response:
    """Return the response that sends a stream, unless the preconditions need no body."""
    stream = Stream(data)
    if answer.status != HTTPStatus.OK:
        stream.close()
        return response(answer)
    # It was planned with no length; what it has is not known.
    fields = [(name, value) for name, value in answer.headers if name != "Content-Length"]
    return Response(stream, headers=fields)
