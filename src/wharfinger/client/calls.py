"""`download` and `upload` as plain functions: a `Client` for one call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

from wharfinger.client import foreign
from wharfinger.client.options import ClientOptions, shown_in_full
from wharfinger.client.session import Client

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from wharfinger.client.downloading import Download
    from wharfinger.client.progress import Callback
    from wharfinger.client.reply import Reply
    from wharfinger.client.sinks import Destination
    from wharfinger.client.sources import File
    from wharfinger.policy import Policy


@shown_in_full
@foreign.explained(foreign.DOWNLOAD)
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
    progress: Callback | None = None,
    **client: Unpack[ClientOptions],
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
        progress: is called with a `Progress` about ten times a second.
        **client: how to connect, and as whom, as in `Client`: `allow_private`, `allow_hosts`,
            `allow_networks`, `allow_ports`, `proxy`, `trust_proxy`, `netrc`, `tls`, `headers`,
            `auth`, `timeout` and `retries` (a failed transfer is resumed where it can be).

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
    with Client(**client) as one:
        return one.download(
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
            progress=progress,
        )


@shown_in_full
@foreign.explained(foreign.UPLOAD)
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
    progress: Callback | None = None,
    json: object = None,
    **client: Unpack[ClientOptions],
) -> Reply:
    """Return the server's reply to one file, or several, sent to it.

    Every file passed the policy before a connection was made (what comes from a pipe is
    judged while it is sent). Memory is flat, whatever the size. A form answered by 303 is
    a success; 307 and 308 within the same origin are followed; any other redirect is an
    error, because nobody knows then whether the content was kept.

    Args:
        file: a path, bytes, a file object open for reading in binary mode, or a list of these.
        url: an absolute http or https URL.
        protocol: "multipart" (an HTML form), "raw" (the file is the body), "tus" (version 1.0
            of that protocol; fields become its metadata), "resumable" (Resumable Uploads for
            HTTP, an IETF draft), or "auto": a form, unless it is one file of more than 8 MiB
            without fields and the server, asked by OPTIONS, offers "resumable", or else "tus".
        method: POST; raw uploads also by PUT.
        field: the form field that the file goes into.
        fields: further fields of the form.
        name: what the file is called; its own name by default.
        type: its media type; by its name by default.
        policy: what may be sent.
        digest: send the SHA-256 of the body along (Content-Digest and Repr-Digest, RFC 9530),
            so that a server which checks it refuses what was damaged on the way. A resumable
            upload has that of the whole and of each request.
        idempotency_key: sent as Idempotency-Key to a server that honours it: it then stores
            the content once however often it comes, and a failed transfer is tried again.
        connections: tus only: parts that are sent at the same time, where the server can join
            them.
        chunk_size: tus and resumable only: the largest request, in bytes or text such as "8 MiB"; by default
            all that remains, or 8 MiB where each request has its own checksum or digest.
        resume: tus and resumable only: go on from what an earlier call left, and remember where this one is.
        progress: is called with a `Progress` about ten times a second.
        json: not accepted; it is here to say that form fields go into `fields`.
        **client: how to connect, and as whom, as in `Client`: `allow_private`, `allow_hosts`,
            `allow_networks`, `allow_ports`, `proxy`, `trust_proxy`, `netrc`, `tls`, `headers`,
            `auth`, `timeout` and `retries`. Once content was sent, only what cannot be stored
            twice is tried again: a raw PUT, with an `idempotency_key`, or by tus or the resumable protocol,
            where the count begins anew whenever it got further.

    Raises:
        Rejected: a file broke the policy; nothing was sent.
        ResponseError: the server refused, also in the middle; `problem` has its reasons.
        SourceMissing, LocalFileError: a file cannot be read.
        Interrupted, TransferTimeout, ConnectFailed: the network.
        BadResponse: the answer is not sound HTTP.
        AddressRefused: the address is not public.
        UsageError: the call itself is wrong.
    """
    with Client(**client) as one:
        return one.upload(
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
            progress=progress,
            json=json,
        )
