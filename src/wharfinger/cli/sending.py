"""Sending the files of `wharf put`, and saying how each of them went."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final

from wharfinger import names
from wharfinger.cli import output, progress
from wharfinger.errors import EXIT_SOME_FAILED, BadResponse

if TYPE_CHECKING:
    from wharfinger.client import Client, Reply
    from wharfinger.client.many_uploads import UploadResult
    from wharfinger.client.progress import Callback
    from wharfinger.client.sources import File
    from wharfinger.policy import Policy

_STDIN: Final = "-"
_AGAIN: Final = "Run it again for the files that were not printed"


@dataclass(frozen=True, kw_only=True, slots=True)
class Sending:
    """Where the files of one command go, and how."""

    url: str
    protocol: str
    method: str
    fields: dict[str, str]
    field: str
    name: str | None
    media_type: str | None
    digest: bool
    idempotency_key: str | None
    connections: int
    chunk_size: int | None
    resume: bool
    policy: Policy | None

    def send_one(self, client: Client, file: str) -> None:
        """Send a file, or stdin, and print what the server says of it."""
        with progress.shown("stdin" if file == _STDIN else file) as tell:
            reply = self._send(client, file, tell)
        _report(file, reply)

    def send_several(self, client: Client, files: Sequence[str], *, at_once: int) -> int:
        """Send the files, some at a time; print of each how it went, and return the exit code."""
        from wharfinger.client.many_uploads import send_all

        with progress.several(f"{len(files)} files", _size_of_all(files)) as bar:

            def send(file: File) -> Reply:
                return self._send(client, str(file), bar.one())

            def tell(result: UploadResult) -> None:
                with bar.aside():
                    _tell(result)

            try:
                report = send_all(files, send, concurrency=at_once, on_result=tell)
            except KeyboardInterrupt as interrupt:
                resumed = self.protocol in {"tus", "resumable"} and self.resume
                interrupt.add_note(_AGAIN + (": each goes on where it ended." if resumed else "."))
                raise
        failed = [result.error for result in report.failed if result.error is not None]
        if not failed:
            return 0
        if not output.is_json():
            output.note(f"{len(failed)} of {len(files)} files failed.")
        return failed[0].exit_code if len(failed) == len(files) else EXIT_SOME_FAILED

    def _send(self, client: Client, file: str, tell: Callback | None) -> Reply:
        source: str | BinaryIO = sys.stdin.buffer if file == _STDIN else file
        return client.upload(
            source,
            self.url,
            protocol=self.protocol,
            method=self.method,
            fields=self.fields,
            field=self.field,
            name=self.name or ("stdin" if file == _STDIN else None),
            type=self.media_type,
            digest=self.digest,
            idempotency_key=self.idempotency_key,
            connections=self.connections,
            chunk_size=self.chunk_size,
            resume=self.resume,
            policy=self.policy,
            progress=tell,
        )


def _size_of_all(files: Sequence[str]) -> int | None:
    if _STDIN in files:
        return None
    size = 0
    for file in files:
        with contextlib.suppress(OSError, ValueError):  # said when its turn comes
            size += Path(file).stat().st_size
    return size


def _tell(result: UploadResult) -> None:
    file = str(result.file)
    if result.reply is not None:
        _report(file, result.reply, several=True)
    elif result.error is not None:
        output.fail(result.error, subject=file)


def _report(file: str, reply: Reply, *, several: bool = False) -> None:
    # Several files are told of as they come: each line says whose it is.
    whose = f"{names.show(file)}: "
    records = _records(reply)
    for record in records:
        address = record.get("url") if len(records) > 1 else reply.url
        text = (whose if several else "") + _shown(record, address)
        output.emit({**record, "url": address, "file": file}, text)
        problem = record.get("problem")
        away = isinstance(problem, dict) and problem.get("code") == "unavailable"
        _remark(file, str(record["state"]), str(record["id"]), away=away)
    if not records:
        state = reply.headers.get("file-state")
        _remark(file, state or "", (reply.url or "").rpartition("/")[2])
        address = names.show(reply.url or "", limit=4096)
        text = address if address and not several else whose + (address or str(reply.status))
        told = {"file": file, "status": reply.status, "url": reply.url}
        output.emit(told if state is None else {**told, "state": state}, text)


def _records(reply: Reply) -> list[dict[str, object]]:
    """Return the records of a wharfinger service; another server's reply has none."""
    try:
        document = reply.json()
    except BadResponse:
        return []
    files = document.get("files") if isinstance(document, dict) else None
    candidates = files if isinstance(files, list) else [document]
    return [
        record
        for record in candidates
        if isinstance(record, dict) and {"id", "sha256", "state"} <= record.keys()
    ]


def _remark(file: str, state: str, identity: str, *, away: bool = False) -> None:
    """Tell people of a file that is there and cannot be read yet.

    `away` says that it is held because the scanner is: that ends by itself.
    """
    if output.is_json() or state not in {"checking", "held"}:
        return
    if state == "checking":
        how = "is being checked, and cannot be read until then"
    elif away:
        how = "is held, and cannot be read until the service's scanner answers again"
    else:
        how = "is held, and cannot be read before it was scanned or somebody released it"
    output.note(f"{names.show(file)} {how}: wharf info {names.show(identity, limit=64)}")


def _shown(record: dict[str, object], address: object) -> str:
    columns = (record.get("id"), record.get("size"), record.get("type"), address)
    return "  ".join(names.show(str(column), limit=4096) for column in columns)
