"""`wharf put`: upload files."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from wharfinger.cli import credentials, output
from wharfinger.cli.network import Network, network_options
from wharfinger.cli.options import (
    header_option,
    headers_of,
    policy_option,
    retries_option,
    timeout_option,
)
from wharfinger.cli.sending import Sending
from wharfinger.cli.stopping import stops_cleanly
from wharfinger.units import parse_size

if TYPE_CHECKING:
    from wharfinger.policy import Policy


@click.command(
    "put",
    help="""Upload each FILE (- for stdin) to URL, the address of a collection or of a form.

    Each file is one request. What the server says of it is printed when it is there: its
    address, or else its name and the status.
    """,
)
@click.argument("files", nargs=-1, metavar="FILE...")
@click.argument("url", required=False, metavar="URL")
@click.option(
    "--at-once",
    type=click.IntRange(1, 64),
    default=4,
    show_default=True,
    help="How many of several files at a time.",
)
@click.option(
    "--protocol",
    type=click.Choice(["multipart", "raw", "tus", "resumable", "auto"]),
    help="A form (the default), the bytes alone, an upload that is gone on with after a failure "
    "(tus 1.0, or the IETF's resumable uploads), or what the server offers for a large file.",
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
@click.option(
    "--chunk-size", metavar="SIZE", help="tus, resumable: the largest request, like '8 MiB'."
)
@click.option("--no-resume", is_flag=True, help="tus, resumable: begin anew, and remember nothing.")
@policy_option
@header_option
@timeout_option
@network_options
@retries_option
@credentials.server_options
@stops_cleanly
def command(
    *,
    files: tuple[str, ...],
    url: str | None,
    at_once: int,
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
    retries: int | None,
    network: Network,
    server: str | None,
    token_file: str | None,
) -> int:
    """Upload files, one request each."""
    if url is None or not files:
        raise click.UsageError(_missing(url))
    if "://" in files[0] and "://" not in url:
        raise click.UsageError("The URL comes last: FILE... URL.")
    protocol = "raw" if raw and protocol is None else protocol or "multipart"
    if raw and protocol != "raw":
        raise click.UsageError(f"--raw and --protocol {protocol} contradict each other.")
    if protocol != "tus" and connections != 1:
        raise click.UsageError("--connections is for --protocol tus.")
    if protocol not in {"tus", "resumable"} and chunk_size is not None:
        raise click.UsageError("--chunk-size is for --protocol tus and --protocol resumable.")
    if protocol in {"raw", "resumable"} and field:
        raise click.UsageError(f"--field is for forms and for tus: --protocol {protocol} has none.")
    if len(files) > 1 and {name, media_type, idempotency_key} != {None}:
        raise click.UsageError("--name, --type and --idempotency-key are for one file.")
    if files.count("-") > 1:
        raise click.UsageError("stdin can be sent only once.")
    if digest and "-" in files and protocol != "tus":
        raise click.UsageError(
            "--digest needs the content before it is sent, and stdin has it only after."
        )
    sending = Sending(
        url=url,
        protocol=protocol,
        method=method,
        fields=_fields(field),
        field=form_field_name,
        name=name,
        media_type=media_type,
        digest=digest,
        idempotency_key=idempotency_key,
        connections=connections,
        chunk_size=None if chunk_size is None else _size(chunk_size),
        resume=not no_resume,
        policy=policy,
    )
    output.explain(
        404,
        "Check the address; a wharfinger service takes files at /uploads/COLLECTION, or by a link "
        "/u/... until that expires, is used up or revoked.",
    )
    with network.client(
        timeout=timeout,
        retries=retries,
        headers=headers_of(header),
        auth=credentials.token_for(url, server, token_file),
    ) as client:
        if len(files) == 1:
            sending.send_one(client, files[0])
            return 0
        return sending.send_several(client, files, at_once=at_once)


def _missing(only: str | None) -> str:
    if only is None:
        return "What to send and where to is missing: FILE... URL."
    return "The FILE is missing." if "://" in only else "The URL is missing."


def _size(text: str) -> int:
    size = parse_size(text)
    if size < 1:
        raise click.UsageError("--chunk-size must be at least one byte.")
    return size


def _fields(field: tuple[str, ...]) -> dict[str, str]:
    fields: dict[str, str] = {}
    for text in field:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise click.UsageError("A field is written like NAME=VALUE.")
        fields[name] = value
    return fields
