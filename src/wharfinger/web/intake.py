"""Taking uploads in: a raw body or a form, pushed piece by piece, all or nothing.

What the head declares is judged before a byte of the body is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from wharfinger.errors import (
    LengthMismatch,
    LengthRequired,
    MalformedMultipart,
    RequestError,
    UnsupportedEncoding,
)
from wharfinger.protocol.content_type import parse_content_type
from wharfinger.protocol.disposition import parse_disposition
from wharfinger.protocol.forms import (
    FileData,
    FilePart,
    FormField,
    FormLimits,
    FormParser,
    PartEnd,
)
from wharfinger.service import Collection, StoredFile
from wharfinger.service.receiving import Accepted
from wharfinger.web.promised import PromisedIntake, promised_digests
from wharfinger.web.requests import RequestHead

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from wharfinger.stores.base import Buffer


@dataclass(frozen=True, kw_only=True, slots=True)
class Intaken:
    """What came in: the files' records in order, and the form's other fields.

    A field that came once is text, one that came several times a list of texts.
    """

    files: list[StoredFile]
    fields: dict[str, str | list[str]] = field(default_factory=dict)
    form: bool = False


class Intake(Protocol):
    """A request body being taken in. After an error it has ended and nothing is kept."""

    def write(self, data: Buffer) -> None:
        """Judge and keep more bytes of the body."""
        ...

    def finish(self) -> Intaken:
        """Accept what came; on return it is durable."""
        ...

    def abort(self) -> None:
        """Give everything up. Harmless when it has ended."""
        ...

    def when_accepted(self, then: Callable[[Connection, Intaken], None]) -> None:
        """Have something done in the transaction that records the files."""
        ...


class Taking(Protocol):
    """One file being received, as a `Reception` does it."""

    accepted: Accepted | None

    def write(self, data: Buffer) -> None:
        """Take more bytes."""
        ...

    def finish(self) -> StoredFile:
        """Return the record of the file."""
        ...

    def abort(self) -> None:
        """Give the file up. Harmless when it has ended."""
        ...


R = TypeVar("R", bound=Taking)


class Receiver(Protocol[R]):
    """What files are received by: a service, a link into it, or who only compares them."""

    def collection(self, name: str) -> Collection | None:
        """Return a collection. Raises NotFound."""
        ...

    def begin(
        self,
        collection: str,
        *,
        name: str | None = None,
        type: str | None = None,  # noqa: A002 - the field's own word
        length: int | None = None,
        owner: str | None = None,
    ) -> R:
        """Return a reception for one file; what is declared is judged now."""
        ...

    def finish_all(self, receptions: Sequence[R]) -> list[StoredFile]:
        """Accept several files or none of them."""
        ...


def begin_intake(
    wharf: Receiver[R],
    head: RequestHead,
    collection: str,
    owner: str | None,
    *,
    max_files: int = 100,
) -> Intake:
    """Return the intake for this request's body: a form or the raw bytes of one file.

    A form with more than `max_files` files is refused.

    Raises:
        NotFound: there is no such collection.
        LengthRequired: the end of the body could not be told from a broken connection.
        UnsupportedEncoding: the body is compressed.
        Rejected: name, type or length break the policy.
        RequestError, MalformedMultipart: a header is malformed.

    `finish` raises IntegrityError when the body does not have the digests that the head says.
    """
    digests = promised_digests(head.headers)
    intake = _begin(wharf, head, collection, owner, max_files)
    return PromisedIntake(intake, digests) if digests else intake


def _begin(
    wharf: Receiver[R], head: RequestHead, collection: str, owner: str | None, max_files: int
) -> Intake:
    if not head.framed:
        raise LengthRequired("The request has a body without a length.")
    coding = head.headers.get("Content-Encoding")
    if coding is not None and coding.strip().lower() != "identity":
        raise UnsupportedEncoding(f"Content-Encoding {coding[:40]!r} is not accepted.")
    transfer = head.headers.get("Transfer-Encoding")
    if transfer is not None and transfer.strip().lower() != "chunked":
        raise UnsupportedEncoding(f"Transfer-Encoding {transfer[:40]!r} is not accepted.")
    content_type = (head.headers.single("Content-Type") or "").strip()
    # Malformed is not the same as absent: a form with a broken boundary is no file.
    media_type = parse_content_type(content_type)[0] if content_type else ""
    if media_type == "multipart/form-data":
        return FormIntake(wharf, collection, owner, content_type, max_files)
    if media_type == "application/x-www-form-urlencoded":
        raise UnsupportedEncoding(
            "A form without files came, or a file that calls itself one.",
            hint="Send multipart/form-data, or the file's own Content-Type with the raw bytes.",
        )
    if head.length == 0 and "Content-Length" not in head.headers:
        raise LengthRequired("The request has no body.")
    disposition = head.headers.single("Content-Disposition")
    name = None if disposition is None else parse_disposition(disposition).name
    reception = wharf.begin(
        collection, name=name, type=media_type or None, length=head.length, owner=owner
    )
    return RawIntake(reception)


class RawIntake:
    """The body is the file."""

    def __init__(self, reception: Taking) -> None:
        self._reception = reception

    def write(self, data: Buffer) -> None:
        self._reception.write(data)

    def finish(self) -> Intaken:
        return Intaken(files=[self._reception.finish()])

    def abort(self) -> None:
        self._reception.abort()

    def when_accepted(self, then: Callable[[Connection, Intaken], None]) -> None:
        self._reception.accepted = lambda connection, files: then(connection, Intaken(files=files))


class FormIntake(Generic[R]):
    """The body is multipart/form-data: any number of files and fields, all or nothing.

    A file's length is not known beforehand: the part says none that could be believed.
    """

    def __init__(
        self,
        wharf: Receiver[R],
        collection: str,
        owner: str | None,
        content_type: str,
        max_files: int,
    ) -> None:
        wharf.collection(collection)
        self._wharf = wharf
        self._collection = collection
        self._owner = owner
        self._parser = FormParser(content_type, limits=FormLimits(max_files=max_files))
        self._receptions: list[R] = []
        self._current: R | None = None
        self._unnamed = False
        self._fields: dict[str, str | list[str]] = {}
        self._accepted: Accepted | None = None

    def write(self, data: Buffer) -> None:
        try:
            self._take(bytes(data))
        except BaseException:
            self.abort()
            raise

    def finish(self) -> Intaken:
        try:
            self._parser.finish()
            if not self._receptions:
                raise RequestError(
                    "The form has no file.",
                    hint="Send it as a part with a filename, as curl -F does.",
                )
            self._receptions[0].accepted = self._accepted
            files = self._wharf.finish_all(self._receptions)
        finally:
            self.abort()
        return self._intaken(files)

    def abort(self) -> None:
        for reception in self._receptions:
            reception.abort()
        self._current = None

    def when_accepted(self, then: Callable[[Connection, Intaken], None]) -> None:
        self._accepted = lambda connection, files: then(connection, self._intaken(files))

    def _intaken(self, files: list[StoredFile]) -> Intaken:
        return Intaken(files=files, fields=self._fields, form=True)

    def _take(self, data: bytes) -> None:
        for event in self._parser.feed(data):
            match event:
                case FilePart(name=name, type=claimed):
                    # A browser sends an empty file input as a part with an empty name.
                    self._unnamed = not name
                    if name:
                        self._current = self._wharf.begin(
                            self._collection, name=name, type=claimed, owner=self._owner
                        )
                        self._receptions.append(self._current)
                case FileData(data=piece):
                    if self._current is None:
                        raise MalformedMultipart("A file part has content but no file name.")
                    self._current.write(piece)
                case PartEnd():
                    self._current = None
                case FormField(name=name, value=value):
                    self._add(name, value)

    def _add(self, name: str, value: str) -> None:
        known = self._fields.get(name)
        if known is None:
            self._fields[name] = value
        elif isinstance(known, list):
            known.append(value)
        else:
            self._fields[name] = [known, value]


def short_body(received: int, expected: int | None) -> LengthMismatch:
    """Return the error for a connection that ended in the middle of a body."""
    of = "" if expected is None else f" of {expected}"
    return LengthMismatch(f"The body ended after {received}{of} bytes; nothing was kept.")
