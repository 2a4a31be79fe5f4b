"""Many uploads to one address, several at a time, with one report of how each went.

Each file is a request of its own, and no single file ends the rest: what went wrong with
it is in the report.
"""

from __future__ import annotations

import contextvars
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

from wharfinger.client.retrying import DEFAULT_RETRIES
from wharfinger.client.timeouts import DEFAULT_SECONDS
from wharfinger.errors import UsageError, WharfingerError
from wharfinger.net import cancelling
from wharfinger.net.cancelling import Canceller

if TYPE_CHECKING:
    import ssl

    from wharfinger.client.body import File
    from wharfinger.client.netrc_file import Netrc
    from wharfinger.client.reply import Reply
    from wharfinger.client.request import Auth
    from wharfinger.client.timeouts import Timeout
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
    allow_private: bool = False,
    allow_hosts: Sequence[str] = (),
    allow_networks: Sequence[str] = (),
    allow_ports: Sequence[int] | None = None,
    proxy: str | None = None,
    trust_proxy: bool = False,
    netrc: Netrc = False,
    tls: ssl.SSLContext | None = None,
    headers: Mapping[str, str] | None = None,
    auth: Auth | None = None,
    timeout: float | Timeout = DEFAULT_SECONDS,
    retries: int = DEFAULT_RETRIES,
    on_result: Told | None = None,
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
        allow_private: connect to private, loopback and link-local addresses as well.
        allow_hosts: host names that are trusted wherever they lead.
        allow_networks: networks that are trusted.
        allow_ports: when given, the only ports that are connected to.
        proxy: an HTTP proxy, or "environment".
        trust_proxy: needed with `proxy`.
        netrc: sign in as a .netrc file says.
        tls: trusted certificates; the system's by default.
        headers: header fields of every request.
        auth: a (user, password) pair, or a token.
        timeout: seconds, or a `Timeout`, for each file.
        retries: how often each is tried again.

    Raises:
        UsageError: the call itself is wrong.
    """
    from wharfinger.client.session import Client

    with Client(
        allow_private=allow_private,
        allow_hosts=allow_hosts,
        allow_networks=allow_networks,
        allow_ports=allow_ports,
        proxy=proxy,
        trust_proxy=trust_proxy,
        netrc=netrc,
        tls=tls,
        timeout=timeout,
        retries=retries,
    ) as client:
        return client.upload_many(
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
            headers=headers,
            auth=auth,
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
    if isinstance(concurrency, bool) or not isinstance(concurrency, int):
        raise UsageError("concurrency must be a whole number.")
    if not 1 <= concurrency <= MAX_CONCURRENCY:
        raise UsageError(f"concurrency must be from 1 to {MAX_CONCURRENCY}.")
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
