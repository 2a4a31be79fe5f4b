"""Many uploads to one address, several at a time, with one report of how each went.

Each file is a request of its own, and no single file ends the rest: what went wrong with
it is in the report.
"""

from __future__ import annotations

import contextvars
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias, Unpack

from wharfinger.client import arguments, foreign
from wharfinger.client.options import ClientOptions, shown_in_full
from wharfinger.errors import UsageError, WharfingerError
from wharfinger.net import cancelling
from wharfinger.net.cancelling import Canceller

if TYPE_CHECKING:
    from wharfinger.client.reply import Reply
    from wharfinger.client.sources import File
    from wharfinger.policy import Policy

DEFAULT_CONCURRENCY: Final = 4
MAX_CONCURRENCY: Final = 64


@dataclass(frozen=True, kw_only=True, slots=True)
class UploadResult:
    """How one of many uploads went: either `reply` or `error` is there. `file` is what was given."""

    file: File
    reply: Reply | None = None
    error: WharfingerError | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class UploadReport:
    """How many uploads went: `results` in the order of the files."""

    results: tuple[UploadResult, ...]

    @property
    def failed(self) -> tuple[UploadResult, ...]:
        """Those that failed, in their order; empty when the server took everything."""
        return tuple(result for result in self.results if result.error is not None)


Told: TypeAlias = Callable[[UploadResult], object]


@shown_in_full
@foreign.explained(foreign.UPLOAD)
def upload_many(
    files: Iterable[File],
    url: str,
    *,
    concurrency: int = DEFAULT_CONCURRENCY,
    protocol: str = "auto",
    method: str = "POST",
    field: str = "file",
    fields: Mapping[str, str] | None = None,
    policy: Policy | None = None,
    digest: bool = False,
    chunk_size: int | str | None = None,
    resume: bool = True,
    on_result: Told | None = None,
    **client: Unpack[ClientOptions],
) -> UploadReport:
    """Return how each of many uploads to one address went; no single one ends the rest.

    Each file is a request of its own: the server took it whole, or its error is in the
    report. They share pooled connections.

    Args:
        files: paths, bytes, or file objects open for reading.
        url: an absolute http or https URL, the same for all.
        concurrency: how many are sent at a time, up to 64.
        on_result: is called with each `UploadResult` when it is there, in this thread.
        protocol: "multipart", "raw" or "tus"; this and what follows is as for
            `wharfinger.upload`.
        method: POST, or PUT for raw uploads.
        field: the form field that each file goes into.
        fields: further fields, the same for all.
        policy: what may be sent.
        digest: send the SHA-256 along.
        chunk_size: tus only: the largest request.
        resume: tus only: go on from what an earlier call left.
        **client: how to connect, and as whom, as in `Client`: `allow_private`, `allow_hosts`,
            `allow_networks`, `allow_ports`, `proxy`, `trust_proxy`, `netrc`, `tls`, `headers`,
            `auth`; `timeout` and `retries` are for each file.

    Raises:
        UsageError: the call itself is wrong.
    """
    from wharfinger.client.session import Client

    with Client(**client) as one:
        return one.upload_many(
            files,
            url,
            concurrency=concurrency,
            protocol=protocol,
            method=method,
            field=field,
            fields=fields,
            policy=policy,
            digest=digest,
            chunk_size=chunk_size,
            resume=resume,
            on_result=on_result,
        )


def send_all(
    files: Iterable[File],
    send: Callable[[File], Reply],
    *,
    concurrency: int,
    on_result: Told | None,
) -> UploadReport:
    """Send each file and return how it went.

    Args:
        files: what to send.
        send: uploads one of them; from any thread.
        concurrency: how many at a time.
        on_result: is called with each result when it is there, in this thread.

    Raises:
        UsageError: the number is none.
    """
    arguments.concurrency(concurrency, MAX_CONCURRENCY)
    if isinstance(files, (str, bytes)):
        raise UsageError("upload_many takes several files.", hint="Pass a list of them.")
    canceller, outer = Canceller(), cancelling.current()

    def one(file: File) -> UploadResult:
        with canceller.in_charge():
            canceller.check()
            try:
                return UploadResult(file=file, reply=send(file))
            except WharfingerError as error:
                return UploadResult(file=file, error=error)

    release = None if outer is None else outer.when_cancelled(canceller.cancel)
    try:
        with ThreadPoolExecutor(max_workers=concurrency) as pool:
            sent: list[Future[UploadResult]] = [
                pool.submit(contextvars.copy_context().run, one, file) for file in files
            ]
            try:
                for future in as_completed(sent):
                    result = future.result()
                    if on_result is not None:
                        on_result(result)
            except BaseException:
                canceller.cancel()  # what runs is stopped, what waits never starts
                raise
    finally:
        if release is not None:
            release()
    return UploadReport(results=tuple(future.result() for future in sent))
