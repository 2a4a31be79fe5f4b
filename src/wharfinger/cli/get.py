"""`wharf get`: download a file, judged and verified."""

from __future__ import annotations

import itertools
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from wharfinger import names
from wharfinger.cli import credentials, output, progress
from wharfinger.cli.listing import fetch_listing, record_of
from wharfinger.cli.network import Network, network_options
from wharfinger.cli.options import (
    header_option,
    headers_of,
    policy_option,
    retries_option,
    timeout_option,
)
from wharfinger.cli.passwords import VARIABLE, password_of
from wharfinger.cli.stopping import stops_cleanly
from wharfinger.errors import LocalFileError
from wharfinger.units import show_size

if TYPE_CHECKING:
    from wharfinger.client import Download
    from wharfinger.client.request import Auth
    from wharfinger.policy import Policy


@click.command(
    "get",
    help="""Download URL to DEST (a file, a folder, or - for stdout), or a list of files to a folder.

    Without DEST the file is called like the last part of the URL. The address you type may
    be private; a redirect from a public address to a private one is refused. A broken
    download is resumed when the same command runs again.

    A list has one address a line, and behind it the name of its file if that should be
    another one; # begins a comment. Then one argument is left: the folder.
    """,
)
@click.argument("url", required=False)
@click.argument("dest", required=False)
@click.option("-o", "--output", "option_dest", metavar="DEST", help="The same as DEST.")
@click.option(
    "--expect", multiple=True, metavar="TYPE", help="What it must be: image/png, image/*, images."
)
@policy_option
@click.option("--max-size", metavar="SIZE", help='The largest size, like "20 MiB".')
@click.option("-i", "--input", "listing", metavar="LIST", help="A list of addresses; - is stdin.")
@click.option(
    "--at-once",
    type=click.IntRange(1, 64),
    default=8,
    show_default=True,
    help="How many files of a list at a time.",
)
@click.option(
    "--connections",
    type=click.IntRange(1, 16),
    default=1,
    show_default=True,
    help="How many connections for one large file.",
)
@click.option("--sha256", metavar="HEX", help="The digest that the content must have.")
@click.option("--force", is_flag=True, help="Replace a file that is there.")
@click.option("--rename", is_flag=True, help="Choose another name when the file is there.")
@click.option("--no-resume", is_flag=True, help="Begin anew, and leave nothing to resume.")
@click.option("--remote-name", is_flag=True, help="Use the server's name for the file, cleaned.")
@click.option(
    "--password",
    is_flag=True,
    help=f"The link asks for a password: that in {VARIABLE}, else you are asked for it.",
)
@click.option(
    "--password-file",
    metavar="FILE",
    help="The link's password is the first line of this file; - is stdin.",
)
@header_option
@timeout_option
@network_options
@retries_option
@credentials.server_options
@stops_cleanly
def command(
    *,
    url: str | None,
    dest: str | None,
    listing: str | None,
    at_once: int,
    connections: int,
    option_dest: str | None,
    expect: tuple[str, ...],
    policy: Policy | None,
    max_size: str | None,
    sha256: str | None,
    force: bool,
    rename: bool,
    no_resume: bool,
    remote_name: bool,
    password: bool,
    password_file: str | None,
    header: tuple[str, ...],
    timeout: float,
    retries: int | None,
    network: Network,
    server: str | None,
    token_file: str | None,
) -> int | None:
    """Download one file, or a list of them."""
    options: dict[str, Any] = {
        "expect": list(expect) or None,
        "policy": policy,
        "max_size": max_size,
        "overwrite": force,
        "resume": not no_resume,
        "headers": headers_of(header),
    }
    if listing is not None:
        if dest is not None or (url is not None and option_dest is not None):
            raise click.UsageError("With a list, one folder can be given and no URL.")
        if url is not None and "://" in url:
            raise click.UsageError(
                f"With a list, the argument is a folder, and {names.show(url, limit=80)} is none. "
                "Put the address into the list."
            )
        if password or password_file is not None:
            raise click.UsageError("--password and --password-file are for one link.")
        if sha256 or rename or remote_name or connections > 1:
            raise click.UsageError(
                "--sha256, --rename, --remote-name and --connections are for one file."
            )
        with network.client(timeout=timeout, retries=retries) as client:
            return fetch_listing(
                client,
                listing,
                url or option_dest or ".",
                at_once=at_once,
                token_for=lambda each: credentials.token_for(each, server, token_file),
                options=options,
            )
    if url is None:
        raise click.UsageError("A URL is missing, or -i with a list of them.")
    if dest is not None and option_dest is not None:
        raise click.UsageError("DEST was given twice.")
    if force and rename:
        raise click.UsageError("--force and --rename contradict each other.")
    if rename and remote_name:
        raise click.UsageError(
            "--rename needs the name beforehand, and --remote-name knows it only afterwards."
        )
    if "" in {dest, option_dest}:
        raise click.UsageError("DEST is empty; leave it out to name the file like the URL does.")
    secret = password_of(password_file, asked=password)
    auth: Auth | None = ("", secret) if secret else credentials.token_for(url, server, token_file)
    target = option_dest if dest is None else dest
    if rename and target != "-":
        target = str(_free_name(url, target))
    to_stdout = target == "-"
    title = "stdout" if to_stdout else Path(target).name if target else _name_of(url)
    with (
        network.client(timeout=timeout, retries=retries) as client,
        progress.shown(title) as tell,
    ):
        got = client.download(
            url,
            sys.stdout.buffer if to_stdout else target,
            sha256=sha256,
            connections=connections,
            remote_name=remote_name,
            auth=auth,
            progress=tell,
            **options,
        )
    if not to_stdout:
        _report(got)
    return None


def _report(got: Download) -> None:
    if not got.length_verified:
        output.note("note: the server did not say how long the file is, and gave no digest.")
    if got.resumed_from and not output.is_json():
        output.note(f"resumed at {show_size(got.resumed_from)}")
    output.emit(
        record_of(got),
        names.show(str(got.path), limit=4096),
    )


def _name_of(url: str) -> str:
    from wharfinger.net import urls

    return names.clean(urls.parse(url).last_segment)


def _free_name(url: str, target: str | None) -> Path:
    path = Path(target or ".")
    try:
        if path.is_dir():
            path /= _name_of(url)
        candidates = (path.with_name(f"{path.stem} ({n}){path.suffix}") for n in itertools.count(1))
        return next(
            candidate
            for candidate in itertools.chain((path,), candidates)
            if not (candidate.exists() or candidate.is_symlink())
        )
    except OSError as error:  # a name that is too long, for one
        raise LocalFileError(f"{names.show(str(path), limit=80)}: {error.strerror}.") from error
