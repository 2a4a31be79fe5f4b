"""Judging a file that is here already."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wharfinger.client.looking import judged
from wharfinger.client.sources import content_of
from wharfinger.inspection import Facts, Inspection

if TYPE_CHECKING:
    from wharfinger.client.sources import File
    from wharfinger.policy import Policy


def inspect(
    file: File,
    *,
    policy: Policy | None = None,
    name: str | None = None,
    type: str | None = None,  # noqa: A002 - the word of the whole interface
) -> Facts:
    """Return what a local file is: its size, media type and SHA-256, and what is in it.

    It is read at flat memory, and nothing of it is changed or kept. Images are decoded in a
    process of their own, archives and documents looked into; what was found stands in
    `details`.

    Args:
        file: a path, bytes, or a binary file object (read from where it stands).
        policy: what it must be; without one, anything passes but active content in disguise
            and archives that lead outside their folder.
        name: what it is called, for the agreement of name and content.
        type: the media type it is said to have.

    Raises:
        Rejected: the file breaks the policy; the class says how.
        SourceMissing, LocalFileError: it cannot be read.
    """
    from wharfinger.policy import Policy

    content = content_of(file, name=name)
    judged_name = (
        None if isinstance(file, (bytes, bytearray, memoryview)) and not name else content.name
    )
    policy = policy or Policy(require_agreement=False)
    inspection = Inspection(policy, name=judged_name, type=type, length=content.length)
    return judged(content, inspection, policy, name=judged_name, type=type, count=_uncounted)


def _uncounted(count: int) -> None:
    """Show no progress."""
