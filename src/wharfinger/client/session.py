"""`Client`: pooled connections, and defaults for every call."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Self

from wharfinger.client import arguments, foreign
from wharfinger.client.call import Defaults
from wharfinger.client.progress import Callback
from wharfinger.client.request import Auth, callers_fields
from wharfinger.client.sources import File, content_of
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
    from wharfinger.policy import Policy


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
        retries: how often a failed transfer is tried again. By default 6 times, over 15 to 32
            seconds, which outlasts the restart of a server; but only twice, within 1.5 seconds,
            as long as that server has not answered once: its address may be wrong.
        tls: trusted certificates; the system's by default. They are always verified.
        guard: the address guard itself, instead of the `allow_` arguments.
        clock: a monotonic clock, for tests.
        sleep: waits between attempts, for tests.

    Raises:
        UsageError: a value cannot be understood.
    """

    @foreign.explained(foreign.CLIENT)
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
        retries: int | None = None,
        tls: ssl.SSLContext | None = None,
        guard: AddressGuard | None = None,
        clock: Clock = time.monotonic,
        sleep: Sleep = cancelling.sleep,
    ) -> None:
        self._defaults = Defaults(
            fields=callers_fields(headers, auth),
            netrc=netrc,
            timeout=Timeout.of(timeout),
            retries=arguments.retries(retries),
            sleep=sleep,
        )
        self._transport = Transport(
            guard
            or AddressGuard(
                allow_private=allow_private,
                allow_hosts=arguments.several(allow_hosts, "allow_hosts"),
                allow_networks=arguments.several(allow_networks, "allow_networks"),
                allow_ports=None
                if allow_ports is None
                else arguments.several(allow_ports, "allow_ports"),
            ),
            tls=None if tls is None else _verifying(tls),
            proxies=Proxies.of(proxy, trusted=trust_proxy, environment=os.environ),
            clock=clock,
        )

    @foreign.explained(foreign.DOWNLOAD)
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

        arguments.connections(connections)
        address = urls.parse(url)
        if expect is not None and not isinstance(expect, Expectation):
            expect = Expectation.of(expect)
        rules = Rules.of(
            expectation=expect,
            policy=policy,
            max_size=None if max_size is None else parse_size(max_size),
            sha256=sha256,
        )
        call = self._defaults.call(
            self._transport,
            address,
            headers=headers,
            auth=auth,
            timeout=timeout,
            retries=retries,
            progress=progress,
        )
        sink = open_sink(
            dest,
            address,
            resume=resume and not decode,
            overwrite=overwrite,
            remote_name=remote_name,
        )
        return Job(
            transport=call.transport,
            url=call.url,
            theirs=call.theirs,
            rules=rules,
            sink=sink,
            watch=call.watch,
            retrying=call.retrying,
            meter=call.meter,
            file_name=None if remote_name else sink.name if isinstance(sink, FileSink) else "",
            connections=connections,
            decode=decode,
        ).run()

    @foreign.explained(foreign.DOWNLOAD)
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
        arguments.callback(on_result, "on_result")
        wanted = None if expect is None else Expectation.of(expect)
        limit = None if max_size is None else parse_size(max_size)
        callers_fields(headers, auth)
        limits, count = self._defaults.timeout_for(timeout), self._defaults.retries_for(retries)

        def fetch(url: str, target: os.PathLike[str]) -> Download:
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

    @foreign.explained(foreign.UPLOAD)
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
        files = arguments.files(file)
        if len(files) != 1 and (name is not None or type is not None):
            raise UsageError("name= and type= are for one file.")
        checked_fields = arguments.form_fields(fields)
        kind = check_protocol(protocol, method.upper(), checked_fields, len(files))
        call = self._defaults.call(
            self._transport,
            address,
            headers=headers,
            auth=auth,
            timeout=timeout,
            retries=retries,
            progress=progress,
        )
        contents = [content_of(item, name=name, type=type) for item in files]
        key = check_key(idempotency_key)
        limits = None
        if kind == "auto":
            from wharfinger.client.choosing import choose

            if connections == 1 and chunk_size is None:
                kind, limits = choose(call, contents, checked_fields, field)
        if kind == "resumable":
            from wharfinger.client.resumable import Job as ResumableJob

            if connections != 1:
                raise UsageError(
                    "A resumable upload is one request at a time.",
                    hint='connections= is for protocol="tus".',
                )
            return ResumableJob(
                call=call,
                content=contents[0],
                policy=policy,
                chunk_size=arguments.chunk_size(chunk_size),
                resume=resume,
                digest=digest,
                idempotency_key=key,
                limits=limits,
            ).run()
        if kind == "tus":
            from wharfinger.client.tus import Job as TusJob

            return TusJob(
                call=call,
                content=contents[0],
                policy=policy,
                fields=checked_fields,
                connections=arguments.connections(connections),
                chunk_size=arguments.chunk_size(chunk_size),
                resume=resume,
                digest=digest,
                idempotency_key=key,
            ).run()
        if connections != 1 or chunk_size is not None:
            raise UsageError(
                "connections= and chunk_size= are for resumable uploads.",
                hint='Use protocol="tus" or "resumable", or leave them out.',
            )
        return Job(
            call=call,
            contents=contents,
            policy=policy,
            protocol=kind,
            method=method.upper(),
            field=field,
            fields=checked_fields,
            digest=digest,
            idempotency_key=key,
        ).run()

    @foreign.explained(foreign.UPLOAD)
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
        arguments.callback(on_result, "on_result")
        urls.parse(url)
        check_protocol(protocol, method.upper(), arguments.form_fields(fields), 1)
        callers_fields(headers, auth)
        limits, count = self._defaults.timeout_for(timeout), self._defaults.retries_for(retries)

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


def _verifying(context: ssl.SSLContext) -> ssl.SSLContext:
    from wharfinger.net import tls

    return tls.checked(context)
