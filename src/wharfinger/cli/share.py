"""`wharf share`: a link to a file."""

from __future__ import annotations

import click

from wharfinger.cli import output
from wharfinger.cli.passwords import VARIABLE, password_of
from wharfinger.cli.remote import Service, service_options
from wharfinger.units import parse_duration


@click.command(
    "share",
    help="""Make a link by which whoever has it may download the file ID; print its address.

    The link works for a week unless --expires-in says otherwise. Chats and other programs
    that preview a link do not use it up.
    """,
)
@click.argument("identity", metavar="ID")
@click.option("--expires-in", metavar="TIME", help="Such as '1 h' or '30 d'.")
@click.option(
    "--max-downloads", type=click.IntRange(min=1), metavar="N", help="How often it may be used."
)
@click.option("--download-name", metavar="NAME", help="The name to save it under.")
@click.option("--inline", is_flag=True, help="Show harmless types in the browser.")
@click.option(
    "--password",
    is_flag=True,
    help=f"Let the link ask for a password: that in {VARIABLE}, else you are asked for it.",
)
@click.option(
    "--password-file",
    metavar="FILE",
    help="Let the link ask for the password in the first line of this file; - is stdin.",
)
@service_options
def command(
    *,
    identity: str,
    expires_in: str | None,
    max_downloads: int | None,
    download_name: str | None,
    inline: bool,
    password: bool,
    password_file: str | None,
    service: Service,
) -> None:
    """Make a link."""
    wishes: dict[str, object] = {
        "expires_in": None if expires_in is None else parse_duration(expires_in),
        "max_downloads": max_downloads,
        "download_name": download_name,
        "disposition": "inline" if inline else None,
        "password": password_of(password_file, asked=password, new=True),
    }
    with service.connect() as wharf:
        link = wharf.share(
            identity, {key: value for key, value in wishes.items() if value is not None}
        )
    output.emit(link, str(link["url"]))
