"""`Client`: pooled connections and defaults; and the same verbs as plain functions."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Self, TypeVar

from wharfinger.client.body import File, content_of
from wharfinger.client.progress import Callback, Meter
from wharfinger.client.request import Auth, callers_fields
from wharfinger.client.retrying import DEFAULT_RETRIES, Retrying
from wharfinger.client.timeouts import DEFAULT_SECONDS, Timeout
from wharfinger.client.transport import Transport
from wharfinger.errors import UsageError
from wharfinger.net import cancelling, urls
from wharfinger.net.guard import AddressGuard
from wharfinger.net.proxies import Proxies
from wharfinger.units import parse_size

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path
    from types import TracebackType

    from wharfinger.client.downloading import Download
    from wharfinger.client.expectation import Expectation
    from wharfinger.client.many import DownloadReport, Item, Told
    from wharfinger.client.many_uploads import UploadReport, UploadResult
    from wharfinger.client.netrc_file import Netrc
    from wharfinger.client.reply import Reply
    from wharfinger.client.retrying import Sleep
    from wharfinger.client.sinks import Destination
    from wharfinger.net.patience import Clock
    from wharfinger.net.urls import Url
    from wharfinger.policy import Policy

_T = TypeVar("_T")


class Client:
    """Downloads and uploads over pooled connections, with defaults for every call.

    Connections are kept for the next call to the same origin; close the client, or use it
    in a `with` statement. It may be used from several threads at once.

    Args:
        allow_private: connect to private, loopback and link-local addresses as well.
        allow_hosts: host names that are trusted wherever they lead.
        allow_networks: networks that are trusted, like "10.1.0.0/16".
        allow_ports: when given, the only ports that are connected to.
        proxy: an HTTP proxy, like "http://user:password@proxy.example:3128", or "environment"
            for the one that http_proxy, https_proxy and no_proxy name when the client is made.
        trust_proxy: needed with `proxy`: says that the proxy decides where connections go.
            What is checked here is what the URL itself says.
        netrc: take user name and password for the host from `~/.netrc`, or from the file at
            a path, for calls without `auth`; bound to the origin as those are.
        headers: header fields of every request; they never leave the origin they were sent
            to first.
        auth: a (user, password) pair, or a bearer token as text; bound to the origin too.
        timeout: seconds for connecting, head and silence alike, or a `Timeout`.
        retries: how often a failed transfer is tried again.
        tls: trusted certificates; the system's by default. They are always verified.
        guard: the address guard itself, instead of the `allow_` arguments.
        clock: a monotonic clock, for tests.
        sleep: waits between attempts, for tests.

    Raises:
        UsageError: a value cannot be understood.
    """

    def __init__(
        self,
        *,
        allow_private: bool = False,
        allow_hosts: Sequence[str] = (),
        allow_networks: Sequence[str] = (),
        allow_ports: Sequence[int] | None = None,
        proxy: str | None = None,
        trust_proxy: bool = False,
        netrc: Netrc = False,
        headers: Mapping[str, str] | None = None,
        auth: Auth | None = None,
        timeout: float | Timeout = DEFAULT_SECONDS,
        retries: int = DEFAULT_RETRIES,
        tls: ssl.SSLContext | None = None,
        guard: AddressGuard | None = None,
        clock: Clock = time.monotonic,
        sleep: Sleep = cancelling.sleep,
    ) -> None:
        self._fields = callers_fields(headers, auth)
        self._timeout = Timeout.of(timeout)
        self._retries = _retries(retries)
        self._sleep = sleep
        self._netrc = netrc
        self._transport = Transport(
            guard
            or AddressGuard(
                allow_private=allow_private,
                allow_hosts=_several(allow_hosts, "allow_hosts"),
                allow_networks=_several(allow_networks, "allow_networks"),
                allow_ports=None if allow_ports is None else _several(allow_ports, "allow_ports"),
            ),
            tls=None if tls is None else _verifying(tls),
            proxies=Proxies.of(proxy, trusted=trust_proxy, environment=os.environ),
            clock=clock,
        )

    def download(
        self,
        url: str,
        dest: Destination = None,
        *,
        expect: str | Iterable[str] | Expectation | None = None,
        policy: Policy | None = None,
        max_size: int | str | None = None,
        sha256: str | None = None,
        connections: int = 1,
        resume: bool = True,
        overwrite: bool = False,
        remote_name: bool = False,
        decode: bool = False,
        headers: Mapping[str, str] | None = None,
        auth: Auth | None = None,
        timeout: float | Timeout | None = None,
        retries: int | None = None,
        progress: Callback | None = None,
    ) -> Download:
        """Download a file; as `wharfinger.download`, with this client's defaults."""
        from wharfinger.client.downloading import Job, Rules
        from wharfinger.client.expectation import Expectation
        from wharfinger.client.sinks import FileSink, open_sink

        _connections(connections)
        address = urls.parse(url)
        if expect is not None and not isinstance(expect, Expectation):
            expect = Expectation.of(expect)
        rules = Rules.of(
            expectation=expect,
            policy=policy,
            max_size=None if max_size is None else parse_size(max_size),
            sha256=sha256,
        )
        theirs = self._theirs(address, headers, auth)
        watch = self._limits(timeout).start(self._transport.clock)
        retrying = self._retrying(retries)
        sink = open_sink(
            dest,
            address,
            resume=resume and not decode,
            overwrite=overwrite,
            remote_name=remote_name,
        )
        return Job(
            transport=self._transport,
            url=address,
            theirs=theirs,
            rules=rules,
            sink=sink,
            watch=watch,
            retrying=retrying,
            meter=Meter(progress, self._transport.clock),
            file_name=None if remote_name else sink.name if isinstance(sink, FileSink) else "",
            connections=connections,
            decode=decode,
        ).run()

    def download_many(
        self,
        urls: Iterable[Item],
        directory: str | os.PathLike[str],
        *,
        concurrency: int = 8,
        expect: str | Iterable[str] | None = None,
        policy: Policy | None = None,
        max_size: int | str | None = None,
        resume: bool = True,
        overwrite: bool = False,
        headers: Mapping[str, str] | None = None,
        auth: Auth | None = None,
        timeout: float | Timeout | None = None,
        retries: int | None = None,
        on_result: Told | None = None,
    ) -> DownloadReport:
        """Download many files; as `wharfinger.download_many`, with this client's defaults."""
        from wharfinger.client.expectation import Expectation
        from wharfinger.client.many import fetch_all

        # What is wrong with the call is raised now, and not found in every result.
        wanted = None if expect is None else Expectation.of(expect)
        limit = None if max_size is None else parse_size(max_size)
        callers_fields(headers, auth)
        limits, count = self._limits(timeout), self._retries if retries is None else retries
        _retries(count)

        def fetch(url: str, target: Path) -> Download:
            return self.download(
                url,
                target,
                expect=wanted,
                policy=policy,
                max_size=limit,
                resume=resume,
                overwrite=overwrite,
                headers=headers,
                auth=auth,
                timeout=limits,
                retries=count,
            )

        return fetch_all(urls, directory, fetch, concurrency=concurrency, on_result=on_result)

    def upload(
        self,
        file: File | Sequence[File],
        url: str,
        *,
        protocol: str = "auto",
        method: str = "POST",
        field: str = "file",
        fields: Mapping[str, str] | None = None,
        name: str | None = None,
        type: str | None = None,  # noqa: A002 - the word of the whole interface
        policy: Policy | None = None,
        digest: bool = False,
        idempotency_key: str | None = None,
        connections: int = 1,
        chunk_size: int | str | None = None,
        resume: bool = True,
        headers: Mapping[str, str] | None = None,
        auth: Auth | None = None,
        timeout: float | Timeout | None = None,
        retries: int | None = None,
        progress: Callback | None = None,
        json: object = None,
    ) -> Reply:
        """Upload one file or several; as `wharfinger.upload`, with this client's defaults."""
        from wharfinger.client.uploading import Job, check_key, check_protocol

        if json is not None:
            raise UsageError(
                "A request has one body: files and json= cannot be sent together.",
                hint="Put the values into fields=; they become fields of the form.",
            )
        address = urls.parse(url)
        files = _files(file)
        if len(files) != 1 and (name is not None or type is not None):
            raise UsageError("name= and type= are for one file.")
        checked_fields = _form_fields(fields)
        kind = check_protocol(protocol, method.upper(), checked_fields, len(files))
        theirs = self._theirs(address, headers, auth)
        watch = self._limits(timeout).start(self._transport.clock)
        retrying = self._retrying(retries)
        meter = Meter(progress, self._transport.clock)
        contents = [content_of(item, name=name, type=type) for item in files]
        key = check_key(idempotency_key)
        if kind == "tus":
            from wharfinger.client.tus import Job as TusJob

            return TusJob(
                transport=self._transport,
                url=address,
                theirs=theirs,
                content=contents[0],
                policy=policy,
                fields=checked_fields,
                watch=watch,
                retrying=retrying,
                meter=meter,
                connections=_connections(connections),
                chunk_size=None
                if chunk_size is None
                else _count(parse_size(chunk_size), "chunk_size"),
                resume=resume,
                digest=digest,
                idempotency_key=key,
            ).run()
        if connections != 1 or chunk_size is not None:
            raise UsageError(
                "connections= and chunk_size= are for resumable uploads.",
                hint='Use protocol="tus", or leave them out.',
            )
        return Job(
            transport=self._transport,
            url=address,
            theirs=theirs,
            contents=contents,
            policy=policy,
            protocol=kind,
            method=method.upper(),
            field=field,
            fields=checked_fields,
            digest=digest,
            idempotency_key=key,
            watch=watch,
            retrying=retrying,
            meter=meter,
        ).run()

    def upload_many(
        self,
        files: Iterable[File],
        url: str,
        *,
        concurrency: int = 4,
        protocol: str = "auto",
        method: str = "POST",
        field: str = "file",
        fields: Mapping[str, str] | None = None,
        policy: Policy | None = None,
        digest: bool = False,
        chunk_size: int | str | None = None,
        resume: bool = True,
        headers: Mapping[str, str] | None = None,
        auth: Auth | None = None,
        timeout: float | Timeout | None = None,
        retries: int | None = None,
        on_result: Callable[[UploadResult], object] | None = None,
    ) -> UploadReport:
        """Upload many files; as `wharfinger.upload_many`, with this client's defaults."""
        from wharfinger.client.many_uploads import send_all
        from wharfinger.client.uploading import check_protocol

        # What is wrong with the call is raised now, and not found in every result.
        urls.parse(url)
        check_protocol(protocol, method.upper(), _form_fields(fields), 1)
        callers_fields(headers, auth)
        limits, count = self._limits(timeout), self._retries if retries is None else retries
        _retries(count)

        def send(file: File) -> Reply:
            return self.upload(
                file,
                url,
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
                timeout=limits,
                retries=count,
            )

        return send_all(files, send, concurrency=concurrency, on_result=on_result)

    def close(self) -> None:
        """Close the idle connections."""
        self._transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _theirs(
        self, url: Url, headers: Mapping[str, str] | None, auth: Auth | None
    ) -> tuple[tuple[str, str], ...]:
        own = callers_fields(headers, auth)
        replaced = {name.lower() for name, _ in own}
        fields = (*(pair for pair in self._fields if pair[0].lower() not in replaced), *own)
        if self._netrc is False or any(name.lower() == "authorization" for name, _ in fields):
            return fields
        from wharfinger.client.netrc_file import auth_for

        return (*fields, *callers_fields(None, auth_for(url, self._netrc)))

    def _limits(self, timeout: float | Timeout | None) -> Timeout:
        return self._timeout if timeout is None else Timeout.of(timeout)

    def _retrying(self, retries: int | None) -> Retrying:
        count = self._retries if retries is None else _retries(retries)
        return Retrying(retries=count, sleep=self._sleep)


def download(
    url: str,
    dest: Destination = None,
    *,
    expect: str | Iterable[str] | None = None,
    policy: Policy | None = None,
    max_size: int | str | None = None,
    sha256: str | None = None,
    connections: int = 1,
    resume: bool = True,
    overwrite: bool = False,
    remote_name: bool = False,
    decode: bool = False,
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
    progress: Callback | None = None,
) -> Download:
    """Return a file's facts once it lies, whole and verified, at its destination.

    The destination holds the whole file or is untouched. Status, type and length are judged
    before the body is read, the first bytes before anything is written; size and SHA-256 are
    taken while it streams, at flat memory. What an interruption leaves is `NAME.part`, and
    the same call resumes it if the server can prove that the content has not changed.

    Args:
        url: an absolute http or https URL.
        dest: a path; an existing folder; a file object open for writing in binary mode; or
            None for the URL's last segment in the current folder.
        expect: what Content-Type must say and the content must be: "image/png", "image/*",
            a preset such as "images", or several of these.
        policy: what may pass; name, type and content must agree as the policy says.
        max_size: the largest size in bytes, or text such as "20 MiB"; 5 GiB by default.
        sha256: the digest the content must have, in hexadecimal.
        connections: how many fetch parts of a large file at the same time, up to 16, where
            the server takes ranges and names a strong validator; it helps on long, lossy ways.
        resume: go on from what an earlier call left, and leave what can be resumed.
        overwrite: replace a file that is there, atomically.
        remote_name: call the file what the server calls it (cleaned, in the folder of `dest`).
        decode: accept gzip and deflate, and keep what they stand for; `max_size` and `sha256`
            are then about that. Nothing is resumed. Any other coding is always refused.
        allow_private: connect to private, loopback and link-local addresses as well.
        allow_hosts: host names that are trusted wherever they lead.
        allow_networks: networks that are trusted, like "10.1.0.0/16".
        allow_ports: when given, the only ports that are connected to.
        proxy: an HTTP proxy, like "http://proxy.example:3128", or "environment".
        trust_proxy: needed with `proxy`: the proxy decides where connections go.
        netrc: True, or the path of a .netrc file: sign in as it says, at this origin only.
        tls: trusted certificates; the system's by default. They are always verified.
        headers: header fields; they are dropped when a redirect leaves the origin.
        auth: a (user, password) pair, or a bearer token as text; dropped likewise.
        timeout: seconds for connecting, head and silence alike, or a `Timeout`.
        retries: how often a failed transfer is tried again, resuming where it can.
        progress: is called with a `Progress` about ten times a second.

    Raises:
        ContentTypeMismatch: the answer's Content-Type is not the expected one.
        Rejected: the content broke a rule (`TooLarge`, `ActiveContent`, ...); nothing is kept.
        IntegrityError: length or digest is wrong; nothing is kept.
        Interrupted, TransferTimeout, ConnectFailed: the network; the hint says how to go on.
        ResponseError: the server answered with an error status.
        BadResponse: the answer is not sound HTTP.
        AddressRefused: the address, or one it redirects to, is not public.
        DestinationExists, DestinationUnsafe, StorageFull, LocalFileError: this machine.
        UsageError: the call itself is wrong.
    """
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
        return client.download(
            url,
            dest,
            expect=expect,
            policy=policy,
            max_size=max_size,
            sha256=sha256,
            connections=connections,
            resume=resume,
            overwrite=overwrite,
            remote_name=remote_name,
            decode=decode,
            headers=headers,
            auth=auth,
            progress=progress,
        )


def upload(
    file: File | Sequence[File],
    url: str,
    *,
    protocol: str = "auto",
    method: str = "POST",
    field: str = "file",
    fields: Mapping[str, str] | None = None,
    name: str | None = None,
    type: str | None = None,  # noqa: A002 - the word of the whole interface
    policy: Policy | None = None,
    digest: bool = False,
    idempotency_key: str | None = None,
    connections: int = 1,
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
    progress: Callback | None = None,
    json: object = None,
) -> Reply:
    """Return the server's reply to one file, or several, sent to it.

    Every file passed the policy before a connection was made (what comes from a pipe is
    judged while it is sent). Memory is flat, whatever the size. A form answered by 303 is
    a success; 307 and 308 within the same origin are followed; any other redirect is an
    error, because nobody knows then whether the content was kept.

    Args:
        file: a path, bytes, a file object open for reading in binary mode, or a list of these.
        url: an absolute http or https URL.
        protocol: "multipart" (an HTML form, also "auto"), "raw" (the file is the body) or
            "tus" (resumable, version 1.0 of that protocol; fields become its metadata).
        method: POST; raw uploads also by PUT.
        field: the form field that the file goes into.
        fields: further fields of the form.
        name: what the file is called; its own name by default.
        type: its media type; by its name by default.
        policy: what may be sent.
        digest: send the SHA-256 of the body along (Content-Digest and Repr-Digest, RFC 9530),
            so that a server which checks it refuses what was damaged on the way.
        idempotency_key: sent as Idempotency-Key to a server that honours it: it then stores
            the content once however often it comes, and a failed transfer is tried again.
        allow_private: connect to private, loopback and link-local addresses as well.
        allow_hosts: host names that are trusted wherever they lead.
        allow_networks: networks that are trusted, like "10.1.0.0/16".
        allow_ports: when given, the only ports that are connected to.
        proxy: an HTTP proxy, like "http://proxy.example:3128", or "environment".
        trust_proxy: needed with `proxy`: the proxy decides where connections go.
        netrc: True, or the path of a .netrc file: sign in as it says, at this origin only.
        tls: trusted certificates; the system's by default. They are always verified.
        connections: tus only: parts that are sent at the same time, where the server can join
            them.
        chunk_size: tus only: the largest request, in bytes or text such as "8 MiB"; by default
            all that remains, or 8 MiB where the server checks each request by its checksum.
        resume: tus only: go on from what an earlier call left, and remember where this one is.
        headers: header fields of the request.
        auth: a (user, password) pair, or a bearer token as text.
        timeout: seconds for connecting, head and silence alike, or a `Timeout`.
        retries: how often a failed transfer is tried again. Once content was sent, only what
            cannot be stored twice is: a raw PUT, with an `idempotency_key`, or by tus, where
            the count begins anew whenever it got further.
        progress: is called with a `Progress` about ten times a second.
        json: not accepted; it is here to say that form fields go into `fields`.

    Raises:
        Rejected: a file broke the policy; nothing was sent.
        ResponseError: the server refused, also in the middle; `problem` has its reasons.
        SourceMissing, LocalFileError: a file cannot be read.
        Interrupted, TransferTimeout, ConnectFailed: the network.
        BadResponse: the answer is not sound HTTP.
        AddressRefused: the address is not public.
        UsageError: the call itself is wrong.
    """
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
        return client.upload(
            file,
            url,
            protocol=protocol,
            method=method,
            field=field,
            fields=fields,
            name=name,
            type=type,
            policy=policy,
            digest=digest,
            idempotency_key=idempotency_key,
            connections=connections,
            chunk_size=chunk_size,
            resume=resume,
            headers=headers,
            auth=auth,
            progress=progress,
            json=json,
        )


def _several(values: Sequence[_T], argument: str) -> tuple[_T, ...]:
    if isinstance(values, (str, bytes, int)):
        raise UsageError(f"{argument} must be a list, also for a single value.")
    return tuple(values)


def _verifying(context: ssl.SSLContext) -> ssl.SSLContext:
    from wharfinger.net import tls

    return tls.checked(context)


def _files(file: File | Sequence[File]) -> list[File]:
    if isinstance(file, (list, tuple)):
        if not file:
            raise UsageError("There is no file to upload.")
        return list(file)
    return [file]  # type: ignore[list-item]  # a Sequence that is no list is text or bytes


def _form_fields(fields: Mapping[str, str] | None) -> dict[str, str]:
    checked: dict[str, str] = {}
    for name, value in (fields or {}).items():
        if not (_is(name, str) and _is(value, str, int, float)):
            raise UsageError(
                f"The form field {name!r} is a {value.__class__.__name__}.",
                hint="fields= takes text and numbers.",
            )
        checked[name] = str(value)
    return checked


def _retries(count: int) -> int:
    if not _is(count, int) or count < 0:
        raise UsageError("retries must be a whole number, 0 or more.")
    return count


def _connections(value: int) -> int:
    from wharfinger.client.parallel import MAX_CONNECTIONS

    if not _is(value, int) or not 1 <= value <= MAX_CONNECTIONS:
        raise UsageError(f"connections must be a number from 1 to {MAX_CONNECTIONS}.")
    return value


def _count(value: int, name: str) -> int:
    if not _is(value, int) or value < 1:
        raise UsageError(f"{name} must be a whole number, 1 or more.")
    return value


def _is(value: object, *kinds: type) -> bool:
    return isinstance(value, kinds) and not isinstance(value, bool)
