"""`wharf inspect`: judge local files."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from wharfinger import names
from wharfinger.cli import output
from wharfinger.cli.options import policy_option
from wharfinger.errors import EXIT_SOME_FAILED, WharfingerError
from wharfinger.units import show_size

if TYPE_CHECKING:
    from wharfinger.inspection import Details
    from wharfinger.policy import Policy


@click.command("inspect", help="Say what each FILE (- for stdin) is, and whether it may pass.")
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@policy_option
@click.option("--name", metavar="NAME", help="Judge it under this name.")
@click.option("--type", "media_type", metavar="TYPE", help="Judge it as if sent with this type.")
def command(
    *, files: tuple[str, ...], policy: Policy | None, name: str | None, media_type: str | None
) -> int:
    """Judge files."""
    from wharfinger.client import inspect

    failures: list[WharfingerError] = []
    for file in files:
        try:
            facts = inspect(
                sys.stdin.buffer if file == "-" else file,
                policy=policy,
                name=name,
                type=media_type,
            )
        except WharfingerError as error:
            if len(files) == 1:
                raise
            output.fail(error, subject=file)
            failures.append(error)
            continue
        record = {"file": file, "size": facts.size, "type": facts.type, "sha256": facts.sha256}
        output.emit(
            {**record, **facts.details.describe()},
            f"{names.show(file, limit=4096)}: {facts.type}, {show_size(facts.size)}, "
            f"{facts.sha256}{_about(facts.details)}",
        )
    if not failures:
        return 0
    return failures[0].exit_code if len(failures) == len(files) else EXIT_SOME_FAILED


def _about(details: Details) -> str:
    """Return what is in a file, as the end of its line."""
    told = []
    if details.width is not None:
        told.append(f"{details.width} x {details.height} pixels")
    for count, what in (
        (details.frames if details.frames != 1 else None, "frame"),
        (details.pages, "page"),
        (details.members, "member"),
    ):
        if count is not None:
            told.append(f"{count} {what}{'' if count == 1 else 's'}")
    if details.unpacked is not None:
        told.append(f"{show_size(details.unpacked)} unpacked")
    if details.findings:
        told.append(f"found: {', '.join(details.findings)}")
    return "".join(f", {one}" for one in told)
