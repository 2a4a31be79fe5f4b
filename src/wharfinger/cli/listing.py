"""Downloading a list of files: reading the list, and saying how each of them went."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

from wharfinger import names
from wharfinger.cli import output
from wharfinger.errors import EXIT_SOME_FAILED, LocalFileError, SourceMissing, UsageError

if TYPE_CHECKING:
    from wharfinger.client import Client, Download
    from wharfinger.client.many import DownloadResult, Item
    from wharfinger.client.request import Auth
    from wharfinger.errors import WharfingerError

_COMMENT: Final = re.compile(r"(^|\s)#.*")
_NOT_FOR_LISTS: Final = " (or, with get, --rename)"
_LONGEST_LIST: Final = 64 * 1024 * 1024
_AGAIN: Final = (
    "Run the same command again: what is there already stays as it is, "
    "and the rest goes on where it ended."
)


class Address(str):
    """An address that knows on which line of its list it stands."""

    __slots__ = ("line",)
    line: int

    def __new__(cls, text: str, line: int) -> Self:
        """Return the address of a line, counted from 1."""
        address = super().__new__(cls, text)
        address.line = line
        return address


def fetch_listing(
    client: Client,
    listing: str,
    folder: str,
    *,
    at_once: int,
    token_for: Callable[[str], Auth | None],
    options: Mapping[str, Any],
) -> int:
    """Download what a list says into a folder; return the exit code.

    Args:
        client: downloads.
        listing: the path of the list, or "-" for stdin.
        folder: where the files go.
        at_once: how many at a time.
        token_for: tells the credentials for a URL: each goes to its own server only.
        options: what else `Client.download` gets.
    """
    from wharfinger.client.many import fetch_all
    from wharfinger.units import parse_size

    limit = options.get("max_size")
    settled = {**options, "max_size": None if limit is None else parse_size(limit)}

    def fetch(url: str, target: str | os.PathLike[str]) -> Download:
        return client.download(url, target, auth=token_for(url), **settled)

    items = items_of(_read(listing))
    telling = _Telling()
    try:
        report = fetch_all(items, folder, fetch, concurrency=at_once, on_result=telling.tell)
    except KeyboardInterrupt as interrupt:
        if options.get("resume"):
            interrupt.add_note(_AGAIN)
        raise
    failed = [result.error for result in report.failed if result.error is not None]
    if not failed:
        return 0
    if not output.is_json():
        output.note(f"{len(failed)} of {len(report.results)} files failed.")
    return failed[0].exit_code if len(failed) == len(report.results) else EXIT_SOME_FAILED


def items_of(text: str) -> Iterator[Item]:
    """Yield the addresses of a list, with the names where there are some."""
    for number, line in enumerate(text.splitlines(), 1):
        # "#" also begins the fragment of an address: a comment has a blank before it.
        words = _COMMENT.sub("", line).split(maxsplit=1)
        if not words:
            continue
        if "\0" in line:
            raise UsageError(f"Line {number} of the list has a NUL character.")
        address = Address(words[0], number)
        yield (address, words[1].strip()) if len(words) > 1 else address


def _read(listing: str) -> str:
    shown = names.show(listing)
    try:
        if listing == "-":
            content = sys.stdin.buffer.read(_LONGEST_LIST + 1)
        else:
            with Path(listing).open("rb") as file:
                content = file.read(_LONGEST_LIST + 1)
    except FileNotFoundError as error:
        raise SourceMissing(f"There is no list {shown}.") from error
    except OSError as error:
        raise LocalFileError(f"{shown} cannot be read: {error.strerror}.") from error
    if len(content) > _LONGEST_LIST:
        raise UsageError(f"{shown} is longer than {_LONGEST_LIST} bytes.")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(f"{shown} is not text in UTF-8.") from error


class _Telling:
    """Says of each file how it went; what many of them are advised is said once."""

    def __init__(self) -> None:
        self._advised: set[str] = set()

    def tell(self, result: DownloadResult) -> None:
        """Print one result."""
        got = result.download
        if got is not None:
            output.emit(record_of(got), names.show(str(got.path), limit=4096))
        elif result.error is not None:
            self._tell_failure(result, result.error)

    def _tell_failure(self, result: DownloadResult, error: WharfingerError) -> None:
        line = result.url.line if isinstance(result.url, Address) else None
        detail, hint = output.words_of(error)
        hint = hint.replace(_NOT_FOR_LISTS, "")
        if output.is_json():
            fields = {
                "code": error.code,
                "detail": detail,
                "hint": hint,
                "exit_code": error.exit_code,
            }
            output.emit({"url": result.url, "line": line, "name": result.name, "error": fields})
            return
        # The name is "" when it is what is wrong; the text says it then.
        name = f", {names.show(result.name, limit=100)}" if result.name else ""
        where = names.show(result.url.partition("?")[0], limit=200)
        said = names.show(detail.removeprefix(f"{where} "), limit=1000)
        output.note(f"error: line {line}{name}: {where}: {said} ({error.code})")
        if hint and hint not in self._advised:
            self._advised.add(hint)
            output.note(f"hint: {names.show(hint, limit=1000)}")


def record_of(got: Download) -> dict[str, object]:
    """Return what is known of a finished download, for JSON."""
    return {
        "path": str(got.path),
        "size": got.size,
        "type": got.type,
        "sha256": got.sha256,
        "name": got.name,
        "url": got.url,
        "resumed_from": got.resumed_from,
        "seconds": round(got.seconds, 3),
        "length_verified": got.length_verified,
    }
