"""`wharf put`: upload files."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

import click

from wharfinger import names
from wharfinger.cli import credentials, output
from wharfinger.cli.network import Network, network_options
from wharfinger.cli.options import header_option, headers_of, policy_option, timeout_option
from wharfinger.errors import EXIT_SOME_FAILED, BadResponse, WharfingerError

if TYPE_CHECKING:
    from wharfinger.client import Client, Reply
    from wharfinger.policy import Policy


@click.command(
    "put",
    help="""Upload each FILE (- for stdin) to URL, the address of a collection or of a form.

    Each file is one request. What the server says of it is printed: its address, or else its
    name and the status.
    """,
)
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.argument("url")
@click.option(
    "--protocol",
    type=click.Choice(["multipart", "raw", "tus"]),
    help="A form (the default), the bytes alone, or a resumable upload by tus 1.0.",
)
@click.option("--raw", is_flag=True, help="The same as --protocol raw.")
@click.option("--method", type=click.Choice(["POST", "PUT"]), default="POST", show_default=True)
@click.option("--field", multiple=True, metavar="NAME=VALUE", help="A further field of the form.")
@click.option(
    "--form-field-name",
    default="file",
    show_default=True,
    metavar="NAME",
    help="The field that the file goes into.",
)
@click.option("--name", metavar="NAME", help="What the file is called.")
@click.option("--type", "media_type", metavar="TYPE", help="The file's media type.")
@click.option("--digest", is_flag=True, help="Send the SHA-256 along, for the server to check.")
@click.option(
    "--idempotency-key",
    metavar="KEY",
    help="Have the server store it once, however often it comes (where it honours that).",
)
@click.option(
    "--connections",
    type=click.IntRange(1, 32),
    default=1,
    show_default=True,
    help="tus: parts sent at the same time, where the server can join them.",
)
@click.option("--chunk-size", metavar="SIZE", help="tus: the largest request, like '8 MiB'.")
@click.option("--no-resume", is_flag=True, help="tus: begin anew, and remember nothing.")
@policy_option
@header_option
@timeout_option
@network_options
@click.option("--retries", type=click.IntRange(0, 100), default=2, show_default=True)
@credentials.server_options
def command(
    *,
    files: tuple[str, ...],
    url: str,
    protocol: str | None,
    raw: bool,
    method: str,
    field: tuple[str, ...],
    form_field_name: str,
    name: str | None,
    media_type: str | None,
    digest: bool,
    idempotency_key: str | None,
    connections: int,
    chunk_size: str | None,
    no_resume: bool,
    policy: Policy | None,
    header: tuple[str, ...],
    timeout: float,
    retries: int,
    network: Network,
    server: str | None,
    token_file: str | None,
) -> int:
    """Upload files, one request each."""
    if len(files) > 1 and (name is not None or media_type is not None):
        raise click.UsageError("--name and --type are for one file.")
    if files.count("-") > 1:
        raise click.UsageError("stdin can be sent only once.")
    if raw and protocol not in {None, "raw"}:
        raise click.UsageError(f"--raw and --protocol {protocol} contradict each other.")
    if len(files) > 1 and idempotency_key is not None:
        raise click.UsageError("--idempotency-key is for one file.")
    sending = Sending(
        protocol="raw" if raw else protocol or "multipart",
        method=method,
        fields=_fields(field),
        field=form_field_name,
        name=name,
        media_type=media_type,
        digest=digest,
        idempotency_key=idempotency_key,
        connections=connections,
        chunk_size=chunk_size,
        resume=not no_resume,
        policy=policy,
    )
    failures: list[WharfingerError] = []
    with network.client(
        timeout=timeout,
        retries=retries,
        headers=headers_of(header),
        auth=credentials.token_for(url, server, token_file),
    ) as client:
        for file in files:
            try:
                reply = sending.send(client, file, url)
            except WharfingerError as error:
                if len(files) == 1:
                    raise
                output.fail(error)
                failures.append(error)
            else:
                _report(file, reply)
    if failures:
        output.note(f"{len(failures)} of {len(files)} files failed.")
        return failures[0].exit_code if len(failures) == len(files) else EXIT_SOME_FAILED
    return 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Sending:
    """How the files of one command are sent."""

    protocol: str
    method: str
    fields: dict[str, str]
    field: str
    name: str | None
    media_type: str | None
    digest: bool
    idempotency_key: str | None
    connections: int
    chunk_size: str | None
    resume: bool
    policy: Policy | None

    def send(self, client: Client, file: str, url: str) -> Reply:
        """Send one file, or stdin."""
        source: str | BinaryIO = sys.stdin.buffer if file == "-" else file
        with output.progress("stdin" if file == "-" else file) as progress:
            return client.upload(
                source,
                url,
                protocol=self.protocol,
                method=self.method,
                fields=self.fields,
                field=self.field,
                name=self.name or ("stdin" if file == "-" else None),
                type=self.media_type,
                digest=self.digest,
                idempotency_key=self.idempotency_key,
                connections=self.connections,
                chunk_size=self.chunk_size,
                resume=self.resume,
                policy=self.policy,
                progress=progress,
            )


def _fields(field: tuple[str, ...]) -> dict[str, str]:
    fields: dict[str, str] = {}
    for text in field:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise click.UsageError("A field is written like NAME=VALUE.")
        fields[name] = value
    return fields


def _report(file: str, reply: Reply) -> None:
    records = _records(reply)
    for record in records:
        address = record.get("url") if len(records) > 1 else reply.url
        output.emit({**record, "url": address}, _shown(record, address))
    if not records:
        shown = names.show(reply.url or "", limit=4096) or f"{names.show(file)}: {reply.status}"
        output.emit({"file": file, "status": reply.status, "url": reply.url}, shown)


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


def _shown(record: dict[str, object], address: object) -> str:
    columns = (record.get("id"), record.get("size"), record.get("type"), address)
    return "  ".join(names.show(str(column), limit=4096) for column in columns)
