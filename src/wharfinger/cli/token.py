"""`wharf token`: create, list and revoke tokens, with or without a server running."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING

import click

from wharfinger import names
from wharfinger.cli import output, service
from wharfinger.errors import EXIT_SOME_FAILED, NotFound
from wharfinger.units import parse_duration

if TYPE_CHECKING:
    from wharfinger.server.settings import ServerSettings
    from wharfinger.service import Token, Wharf


@click.group("token", help="Create, list and revoke tokens of the service in --data.")
def command() -> None:
    """Tokens."""


@command.command(
    "create", help="Create a token and print it: it is shown this once and kept nowhere."
)
@service.data_options
@click.option("--name", required=True, help="A label for people, such as 'backup job'.")
@click.option(
    "--scopes",
    default="read,write,share",
    show_default=True,
    help="Some of read, write, share, admin.",
)
@click.option("--collections", help="The collections it may use, with commas; all by default.")
@click.option("--expires-in", metavar="TIME", help="Such as '12 h' or '90 d'; never by default.")
@click.option(
    "--principal", metavar="ID", help="Stand for this principal: its files are this token's own."
)
def create(
    *,
    data: str | None,
    config: str | None,
    name: str,
    scopes: str,
    collections: str | None,
    expires_in: str | None,
    principal: str | None,
) -> None:
    """Create a token."""
    settings = service.load(data=data, config=config)
    new = not settings.wharf.catalog_file.exists()
    with _wharf(settings) as wharf:
        allowed = None if collections is None else _words(collections)
        for collection in allowed or ():
            wharf.collection(collection)
        token, secret = wharf.tokens.create(
            name,
            _words(scopes),
            collections=allowed,
            expires_in=None if expires_in is None else parse_duration(expires_in),
            principal=principal,
        )
    if new:
        output.note(f"There was no service in {settings.wharf.data}/ yet: this made one.")
    output.emit({**_record(token), "token": secret}, secret)


@command.command("ls", help="List the tokens: id, scopes, expiry, name. Secrets are not kept.")
@service.data_options
def list_tokens(*, data: str | None, config: str | None) -> None:
    """List tokens."""
    with _wharf(service.existing(service.load(data=data, config=config))) as wharf:
        for token in wharf.tokens.list():
            record = _record(token)
            scopes, expires = (
                ",".join(sorted(token.scopes)),
                record["expires_at"] or "never expires",
            )
            output.emit(record, f"{token.id}  {scopes:<22}  {expires}  {names.show(token.name)}")


@command.command("revoke", help="Revoke the tokens ID...: they are worthless at once.")
@click.argument("ids", nargs=-1, required=True, metavar="ID...")
@service.data_options
def revoke(*, ids: tuple[str, ...], data: str | None, config: str | None) -> int:
    """Revoke tokens; one that is not there keeps none of the others valid."""
    failures: list[NotFound] = []
    with _wharf(service.existing(service.load(data=data, config=config))) as wharf:
        for token_id in ids:
            try:
                wharf.tokens.revoke(token_id)
            except NotFound as error:
                output.fail(error)
                failures.append(error)
            else:
                output.emit({"id": token_id, "revoked": True}, f"revoked {token_id}")
    if not failures:
        return 0
    return failures[0].exit_code if len(failures) == len(ids) else EXIT_SOME_FAILED


@contextlib.contextmanager
def _wharf(settings: ServerSettings) -> Iterator[Wharf]:
    from wharfinger.service import Wharf

    with Wharf(settings.wharf) as wharf:
        yield wharf


def _words(text: str) -> set[str]:
    return {word.strip() for word in text.split(",") if word.strip()}


def _record(token: Token) -> dict[str, object]:
    return {
        "id": token.id,
        "name": token.name,
        "principal": token.principal,
        "scopes": sorted(token.scopes),
        "collections": None if token.collections is None else sorted(token.collections),
        "created_at": _time(token.created_at),
        "expires_at": None if token.expires_at is None else _time(token.expires_at),
    }


def _time(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
