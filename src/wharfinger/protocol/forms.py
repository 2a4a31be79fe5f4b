"""multipart/form-data, as it arrives (RFC 7578, RFC 2046): bytes in, events out.

The delimiters are found by the push parser of the `multipart` package; this module
bounds what that leaves unbounded (preamble, epilogue, fields, counts), reads the lines of
a part's header itself and refuses what the package lets pass. Two rules are stricter than the RFCs. Duplicate or conflicting metadata is
an error, not a choice: one layer would check what another does not store. A delimiter
line is exact: no HTTP client pads it with white space, and some servers would not see it.

File data leaves `feed` in the call in which it came in; only a field, one part's header
and a few bytes that may begin a delimiter are held. Events do not depend on how the body
was cut into calls.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, TypeAlias

from multipart import MultipartError, ParserLimitReached, PushMultipartParser

from wharfinger.errors import (
    MalformedMultipart,
    RequestError,
    TooLarge,
    UnsupportedEncoding,
    WharfingerError,
)
from wharfinger.names import ClaimedName, ClaimedType, show
from wharfinger.protocol.boundary import is_boundary
from wharfinger.protocol.content_type import parse_content_type
from wharfinger.protocol.parameters import TOKEN, parse_browser_parameters
from wharfinger.units import KIB, MIB

__all__ = [
    "FileData",
    "FilePart",
    "FormEvent",
    "FormField",
    "FormLimits",
    "FormParser",
    "PartEnd",
]

_CRLF: Final = b"\r\n"
_KIND: Final = re.compile(r"form-data(?=[ \t]*(?:;|$))", re.IGNORECASE)
# A name right before its colon and a value without control characters. No name begins like
# a delimiter, which a less exact reader would take for one.
_HEADER_LINE: Final = re.compile(rf"(?!--)({TOKEN}):([^\x00-\x08\x0a-\x1f\x7f]*)")
# RFC 7578 section 4.7 deprecates the field; what changes no byte is harmless.
_IDENTITY_ENCODINGS: Final = frozenset({"7bit", "8bit", "binary"})


@dataclass(frozen=True, kw_only=True, slots=True)
class FormLimits:
    """How much of a form is accepted. Sizes are bytes; files have no limit here but a policy.

    Args:
        max_files: more than anybody drags onto a page; bounds open staging files.
        max_fields: as PHP, Django and Werkzeug have it (CVE-2023-25577).
        max_field_size: one field is held in memory; a long text is shorter (CVE-2024-49767).
        max_fields_total: names and values of all fields, the memory of one form.
        max_header_size: the header of one part; a name of 255 bytes fits many times.
        max_header_count: lines in it; RFC 7578 knows three (CVE-2026-42561).
        max_preamble: before the first delimiter; browsers send nothing (CVE-2024-53981).
        max_epilogue: after the last delimiter; browsers send CRLF.
    """

    max_files: int = 100
    max_fields: int = 1000
    max_field_size: int = 64 * KIB
    max_fields_total: int = 1 * MIB
    max_header_size: int = 8 * KIB
    max_header_count: int = 8
    max_preamble: int = 1 * KIB
    max_epilogue: int = 1 * KIB


@dataclass(frozen=True, slots=True)
class FilePart:
    """A file begins. A browser's empty file input has an empty name and no data follows."""

    field: str
    name: ClaimedName
    type: ClaimedType | None


@dataclass(frozen=True, slots=True)
class FileData:
    """Some bytes of the file that began last."""

    data: bytes


@dataclass(frozen=True, slots=True)
class PartEnd:
    """The file that began last is complete."""


@dataclass(frozen=True, slots=True)
class FormField:
    """A whole field."""

    name: str
    value: str


FormEvent: TypeAlias = FilePart | FileData | PartEnd | FormField


class _LineKeeper(PushMultipartParser):  # type: ignore[misc]  # the package has no types
    """The push parser, keeping the header lines of a part as they came.

    The parser's own list has them trimmed and in title case: a bare LF before a name, or
    white space after it, would not show. Should a release rename the hook, no part has a
    header any more and every form is refused.
    """

    lines: list[bytes]

    def _on_segment_start(self) -> None:
        super()._on_segment_start()
        self.lines = []

    def _on_segment_headerline(self, line: bytes) -> None:
        super()._on_segment_headerline(line)
        self.lines.append(line)


class FormParser:
    """Turns the bytes of one multipart/form-data body into events.

    Call `feed` with every piece of the body, then `finish`. Nothing may be kept before
    `finish` returned: only then is it sure that the form was complete.

    Args:
        content_type: the value of the request's Content-Type.
        limits: how much is accepted.

    Raises:
        MalformedMultipart: the media type or the boundary is wrong.
    """

    def __init__(self, content_type: str, *, limits: FormLimits = FormLimits()) -> None:
        boundary = _boundary(content_type)
        self._limits = limits
        self._delimiter = b"\r\n--" + boundary
        self._parser = _LineKeeper(
            boundary,
            # Room for the line's own CRLF, so that the limit does not depend on the cutting;
            # the whole header is judged in _begin.
            max_header_size=limits.max_header_size + len(_CRLF),
            max_header_count=limits.max_header_count,
            max_segment_count=limits.max_files + limits.max_fields,
            strict=True,
        )
        self._opening: bytes | None = _CRLF  # a first delimiter has its CRLF from the header
        self._closing: bytes | None = None
        self._recent = b""
        self._lead = b""
        self._files = 0
        self._fields = 0
        self._fields_total = 0
        self._field: str | None = None
        self._value = bytearray()
        self._error: WharfingerError | None = None

    def feed(self, data: bytes | bytearray | memoryview) -> list[FormEvent]:
        """Return what the next piece of the body completes.

        Raises:
            MalformedMultipart: the body breaks the rules, or has too many parts or lines.
            TooLarge: a field, or all of them, are longer than the limit.
            UnsupportedEncoding: a part is not sent as it is.
            After an error every further call raises it again.
        """
        if self._error is not None:
            raise self._error
        events: list[FormEvent] = []
        try:
            self._feed(bytes(data), events)
        except WharfingerError as error:
            self._error = error
            raise
        return events

    def finish(self) -> None:
        """Declare the end of the body.

        Raises:
            MalformedMultipart: the closing delimiter is missing: the form was cut short.
        """
        if self._error is not None:
            raise self._error
        if self._closing is None:
            self._error = MalformedMultipart(
                "The form ends before its closing delimiter: it was cut short."
            )
            raise self._error
        if self._closing.strip(b" \t") == b"\r":
            self._error = MalformedMultipart("The line of the closing delimiter is cut short.")
            raise self._error

    # --- framing --------------------------------------------------------------------------

    def _feed(self, data: bytes, events: list[FormEvent]) -> None:
        if self._opening is not None:
            data = self._open(data)
        if data and self._closing is None:
            data = self._parse(data, events)
        if data and self._closing is not None:
            self._close(data)

    def _open(self, data: bytes) -> bytes:
        """Skip the preamble; return what comes after it, from the first delimiter on."""
        self._opening = opening = (self._opening or b"") + data
        limit = self._limits.max_preamble
        index = opening.find(self._delimiter)
        surely_before = len(opening) - len(self._delimiter) + 1 if index < 0 else index
        if surely_before - len(_CRLF) > limit:
            raise MalformedMultipart(f"No delimiter within the first {limit} bytes of the form.")
        end = index + len(self._delimiter)
        following = opening[end : end + 2]
        if index < 0 or len(following) < 2:  # noqa: PLR2004 - CRLF or "--"
            return b""
        self._opening = None
        if following == b"--":
            self._closing = b""
            return opening[end + 2 :]
        if following != _CRLF:
            raise MalformedMultipart("The first delimiter does not end its line with CRLF.")
        return opening[index + len(_CRLF) :]

    def _parse(self, data: bytes, events: list[FormEvent]) -> bytes:
        """Run the parser; return what follows the closing delimiter."""
        ended = False
        try:
            for event in self._parser.parse(data):
                ended = event is None
                if event is None:
                    self._end(events)
                elif isinstance(event, bytes):
                    self._content(event, events)
                else:
                    self._begin(self._parser.lines, events)
        except MultipartError as error:
            raise self._translate(error) from error
        closing = self._delimiter + b"--"
        window = self._recent + data if ended else b""
        index = window.find(closing)
        if index < 0:
            keep = len(closing) - 1
            self._recent = (self._recent + data[-keep:])[-keep:]
            return b""
        try:
            self._parser.close()  # knows whether this was a delimiter or a header line
        except MultipartError as error:
            raise self._translate(error) from error
        self._closing = b""
        return window[index + len(closing) :]

    def _close(self, data: bytes) -> None:
        limit = self._limits.max_epilogue
        self._closing = closing = (self._closing or b"") + data[: limit + 1]
        if len(closing) > limit:
            raise MalformedMultipart(f"More than {limit} bytes follow the closing delimiter.")
        line = closing.lstrip(b" \t")
        if line and not line.startswith(_CRLF) and line != b"\r":
            raise MalformedMultipart("The closing delimiter does not end its line with CRLF.")

    def _translate(self, error: MultipartError) -> MalformedMultipart:
        if isinstance(error, ParserLimitReached):
            limits = self._limits
            return MalformedMultipart(
                f"The form is larger than its limits: {limits.max_files + limits.max_fields} parts,"
                f" and for each {limits.max_header_count} header lines"
                f" in {limits.max_header_size} bytes."
            )
        return MalformedMultipart(f"The form is malformed: {error.args[0]}.")

    # --- parts ----------------------------------------------------------------------------

    def _begin(self, lines: list[bytes], events: list[FormEvent]) -> None:
        self._lead = b""
        header = self._header(lines)
        field, name = _read_disposition(header.get("content-disposition", ""))
        claimed = _read_type(header.get("content-type"))
        encoding = header.get("content-transfer-encoding", "binary").lower()
        if encoding not in _IDENTITY_ENCODINGS:
            raise UnsupportedEncoding(
                f"A part has the transfer encoding {show(encoding, limit=40)!r}.",
                hint="Send the bytes of a part as they are.",
            )
        if not name:
            # An empty file input counts as a field: nobody chose a file there.
            self._fields += 1
            if self._fields > self._limits.max_fields:
                raise MalformedMultipart(
                    f"The form has more than {self._limits.max_fields} fields."
                )
        else:
            self._files += 1
            limit = self._limits.max_files
            if self._files > limit:
                raise MalformedMultipart(
                    f"The form has more than {limit} {'file' if limit == 1 else 'files'}."
                )
        if name is None:
            self._field = field
            self._count(len(field.encode()))
        else:
            events.append(FilePart(field, name, claimed))

    def _header(self, lines: list[bytes]) -> dict[str, str]:
        """Return the values of a part's header by name in lower case."""
        limit = self._limits.max_header_size
        if sum(len(line) + len(_CRLF) for line in lines) > limit:
            raise MalformedMultipart(f"The header of a part is longer than {limit} bytes.")
        header: dict[str, str] = {}
        for line in lines:
            match = _HEADER_LINE.fullmatch(line.decode("utf-8"))
            if match is None:
                raise MalformedMultipart(
                    f"The header line {show(line.decode('utf-8'), limit=60)!r} is malformed."
                )
            name = match[1].lower()
            if name in header:
                raise MalformedMultipart(f"A part has two {show(name, limit=40)} lines.")
            header[name] = match[2].strip(" \t")
        return header

    def _content(self, data: bytes, events: list[FormEvent]) -> None:
        dashes = self._delimiter[len(_CRLF) :]
        if len(self._lead) < len(dashes):
            self._lead += data[: len(dashes) - len(self._lead)]
            if self._lead == dashes:
                # RFC 2046 lets a part end with its header: the empty line would be the
                # delimiter's own for one reader, and this is data for the next.
                raise MalformedMultipart("A delimiter follows the header of a part.")
        if self._field is None:
            events.append(FileData(data))
            return
        limit = self._limits.max_field_size
        if len(self._value) + len(data) > limit:
            raise TooLarge(
                f"The field {show(self._field, limit=60)!r} is longer than {limit} bytes.",
                limit=limit,
                hint="Send it as a file, with a file name.",
            )
        self._count(len(data))
        self._value += data

    def _count(self, size: int) -> None:
        limit = self._limits.max_fields_total
        self._fields_total += size
        if self._fields_total > limit:
            raise TooLarge(
                f"The fields of the form are longer than {limit} bytes together.", limit=limit
            )

    def _end(self, events: list[FormEvent]) -> None:
        if self._field is None:
            events.append(PartEnd())
            return
        try:
            value = self._value.decode("utf-8")
        except UnicodeDecodeError as error:
            raise MalformedMultipart(
                f"The field {show(self._field, limit=60)!r} is not UTF-8."
            ) from error
        events.append(FormField(self._field, value))
        self._field = None
        self._value = bytearray()


def _boundary(content_type: str) -> bytes:
    try:
        media_type, parameters = parse_content_type(content_type)
    except RequestError as error:
        raise MalformedMultipart(error.detail) from error
    if media_type != "multipart/form-data":
        raise MalformedMultipart(f"{show(media_type, limit=60)} is not multipart/form-data.")
    boundary = parameters.get("boundary", "")
    if not is_boundary(boundary):
        raise MalformedMultipart(
            f"The boundary {show(boundary, limit=80)!r} is not one of RFC 2046: 1 to 70 plain"
            " characters, not ending in a space."
        )
    return boundary.encode("ascii")


def _read_disposition(value: str) -> tuple[str, ClaimedName | None]:
    """Return the field's name and the claimed file name, None for a field without a file."""
    text = value.rstrip(" \t")
    kind = _KIND.match(text)
    parameters = None if kind is None else parse_browser_parameters(text[kind.end() :])
    if parameters is None:
        raise MalformedMultipart(
            f"The Content-Disposition {show(value, limit=80)!r} of a part is malformed or names"
            " a parameter twice."
        )
    field = parameters.get("name")
    if not field:
        raise MalformedMultipart("A part has no field name.")
    name = parameters.get("filename")
    if name is None and "filename*" in parameters:
        # RFC 7578 section 4.2 forbids it. Beside `filename` it is ignored; alone it would
        # make this a file for one reader and a field for the next.
        raise MalformedMultipart("A part has filename* without filename.")
    return field, None if name is None else ClaimedName(name)


def _read_type(value: str | None) -> ClaimedType | None:
    if value is None or not value.strip(" \t"):
        return None
    try:
        media_type, _ = parse_content_type(value)
    except RequestError as error:
        raise MalformedMultipart(f"In a part: {error.detail}") from error
    if media_type.startswith("multipart/"):
        raise MalformedMultipart(
            "A part is itself multipart.", hint="Send each file as a part of its own."
        )
    return ClaimedType(media_type)
