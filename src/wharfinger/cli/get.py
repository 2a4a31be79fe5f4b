"""`wharf get`: download a file, judged and verified."""

from __future__ import annotations

import itertools
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from wharfinger import names
from wharfinger.cli import credentials, output
from wharfinger.cli.network import Network, network_options
from wharfinger.cli.options import header_option, headers_of, policy_option, timeout_option
from wharfinger.units import show_size

if TYPE_CHECKING:
    from wharfinger.client import Download
    from wharfinger.policy import Policy


@click.command(
    "get",
    help="""Download URL to DEST (a file, a folder, or - for stdout).

    Without DEST the file is called like the last part of the URL. The address you type may
    be private; a redirect from a public address to a private one is refused. A broken
    download is resumed when the same command runs again.
    """,
)
@click.argument("url")
@click.argument("dest", required=False)
@click.option("-o", "--output", "option_dest", metavar="DEST", help="The same as DEST.")
@click.option(
    "--expect", multiple=True, metavar="TYPE", help="What it must be: image/png, image/*, images."
)
@policy_option
@click.option("--max-size", metavar="SIZE", help='The largest size, like "20 MiB".')
@click.option("--sha256", metavar="HEX", help="The digest that the content must have.")
@click.option("--force", is_flag=True, help="Replace a file that is there.")
@click.option("--rename", is_flag=True, help="Choose another name when the file is there.")
@click.option("--no-resume", is_flag=True, help="Begin anew, and leave nothing to resume.")
@click.option("--remote-name", is_flag=True, help="Use the server's name for the file, cleaned.")
@header_option
@timeout_option
@network_options
@click.option("--retries", type=click.IntRange(0, 100), default=2, show_default=True)
@credentials.server_options
def command(
    *,
    url: str,
    dest: str | None,
    option_dest: str | None,
    expect: tuple[str, ...],
    policy: Policy | None,
    max_size: str | None,
    sha256: str | None,
    force: bool,
    rename: bool,
    no_resume: bool,
    remote_name: bool,
    header: tuple[str, ...],
    timeout: float,
    retries: int,
    network: Network,
    server: str | None,
    token_file: str | None,
) -> None:
    """Download one file."""
    if dest is not None and option_dest is not None:
        raise click.UsageError("DEST was given twice.")
    if force and rename:
        raise click.UsageError("--force and --rename contradict each other.")
    target = option_dest if dest is None else dest
    if rename and target != "-":
        target = str(_free_name(url, target))
    to_stdout = target == "-"
    title = "stdout" if to_stdout else Path(target).name if target else _name_of(url)
    with (
        network.client(timeout=timeout, retries=retries) as client,
        output.progress(title) as progress,
    ):
        got = client.download(
            url,
            sys.stdout.buffer if to_stdout else target,
            expect=list(expect) or None,
            policy=policy,
            max_size=max_size,
            sha256=sha256,
            overwrite=force,
            resume=not no_resume,
            remote_name=remote_name,
            headers=headers_of(header),
            auth=credentials.token_for(url, server, token_file),
            progress=progress,
        )
    if not to_stdout:
        _report(got)


def _report(got: Download) -> None:
    if not got.length_verified:
        output.note("note: the server did not say how long the file is, and gave no digest.")
    if got.resumed_from and not output.is_json():
        output.note(f"resumed at {show_size(got.resumed_from)}")
    output.emit(
        {
            "path": str(got.path),
            "size": got.size,
            "type": got.type,
            "sha256": got.sha256,
            "name": got.name,
            "url": got.url,
            "resumed_from": got.resumed_from,
            "seconds": round(got.seconds, 3),
            "length_verified": got.length_verified,
        },
        names.show(str(got.path), limit=4096),
    )


def _name_of(url: str) -> str:
    from wharfinger.net import urls

    return names.clean(urls.parse(url).last_segment)


def _free_name(url: str, target: str | None) -> Path:
    path = Path(target or ".")
    if path.is_dir():
        path /= _name_of(url)
    candidates = (path.with_name(f"{path.stem} ({n}){path.suffix}") for n in itertools.count(1))
    return next(
        candidate
        for candidate in itertools.chain((path,), candidates)
        if not (candidate.exists() or candidate.is_symlink())
    )
