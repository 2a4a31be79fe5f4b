"""`wharf policy`: what is accepted, and what becomes of the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from wharfinger.cli import output, service
from wharfinger.cli.options import policy_of
from wharfinger.errors import UsageError
from wharfinger.units import show_size

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wharfinger.policy import Policy


@click.group("policy", help="Look at policies.")
def command() -> None:
    """Policies."""


@command.command(
    "show",
    help="""Show what a policy accepts, its limits, and what becomes of bad files.

    WHAT is a preset (images, documents, media, archives, anything) or a TOML file; --collection
    shows that of a service instead. `wharf inspect --policy WHAT FILE...` tries it out.
    """,
)
@click.argument("what", required=False, metavar="[WHAT]")
@click.option("--collection", metavar="NAME", help="The policy of this collection of a service.")
@service.data_options
def show(*, what: str | None, collection: str | None, data: str | None, config: str | None) -> None:
    """Show a policy."""
    if (what is None) == (collection is None):
        raise UsageError(
            "Name one policy: a preset, a TOML file, or --collection.",
            hint="wharf policy show images",
        )
    if what is not None:
        policy = policy_of(what)
        scan: dict[str, object] | None = None
    else:
        settings = service.load(data=data, config=config).wharf
        found = settings.collections.get(str(collection))
        if found is None:
            raise UsageError(
                f"There is no collection {collection!r}.",
                hint=f"There are {', '.join(sorted(settings.collections))}.",
            )
        policy, scan = found.policy, settings.scan.describe()
    if output.is_json():
        output.emit({**policy.describe(), **({} if scan is None else _as_told(scan))})
        return
    for line in _lines(policy):
        output.emit({}, line)
    if scan is not None:
        for line in _of_scanner(scan):
            output.emit({}, line)


def _lines(policy: Policy) -> Iterator[str]:
    from wharfinger.checking import decoders, pdf, second_opinion
    from wharfinger.inspection import describe_type
    from wharfinger.policy import FINDINGS

    if policy.types is None:
        yield "accepts: any type"
    else:
        yield "accepts:"
        for media_type in sorted(policy.types):
            yield f"  {media_type} ({describe_type(media_type)})"
    yield f"size: {show_size(policy.min_size)} to {show_size(policy.max_size)}"
    if policy.require_agreement:
        yield "name, claimed type and content must agree"
    yield "programs, scripts and HTML in the clothes of something else are refused"
    if not policy.check_content:
        yield "the content is judged by its first bytes alone"
        return
    yield (
        f"images: at most {policy.max_pixels} pixels, {policy.max_total_pixels} in "
        f"{policy.max_frames} frames"
    )
    yield (
        f"archives: at most {policy.max_members} members, {show_size(policy.max_unpacked)} "
        f"unpacked, {policy.max_ratio} times their size, {policy.max_depth} deep"
    )
    if policy.permits("application/pdf") and not pdf.available():
        yield "PDFs: judged by their bytes alone; pip install 'wharfinger[pdf]' looks for scripts"
    for gap in decoders.missing(policy):
        yield f"{gap.sentence} {gap.advice}"
    if policy.second_opinion:
        why = second_opinion.missing()
        yield "libmagic is asked, too" + (f", and cannot be: {why}; nothing passes" if why else "")
    for heading, refused in (("refused", True), ("told in the record, and accepted", False)):
        words = [
            word
            for word in FINDINGS
            if (word in policy.refuse) is refused and (word != "disputed" or policy.second_opinion)
        ]
        if words:
            yield f"{heading}:"
            yield from (f"  {word}: {FINDINGS[word]}" for word in words)
    if policy.reencode:
        yield "images are kept as our own encoder writes them"
    elif policy.strip_metadata:
        yield "images are kept upright and without metadata"
    if policy.rename_to_type:
        yield "names get the extension of the content's type"


def _as_told(scan: dict[str, object]) -> dict[str, object]:
    """Return what `GET /policy/{collection}` tells of a scanner, and nothing of where it is."""
    scanned = bool(scan["clamd"] or scan["yara"])
    return {"scanned": scanned, **{key: scan[key] for key in ("when_down", "when_unscannable")}}


def _of_scanner(scan: dict[str, object]) -> Iterator[str]:
    if not scan["clamd"] and not scan["yara"]:
        yield "scanner: none"
        return
    verb = {"hold": "held", "refuse": "refused"}
    yield "scanner: what it finds is refused, also later (wharf rescan)"
    yield f"  what it cannot read is {verb[str(scan['when_unscannable'])]}"
    yield f"  what comes while it is away is {verb[str(scan['when_down'])]}"
