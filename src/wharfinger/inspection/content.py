"""The look at the whole content: the final word on a file whose head has passed.

The head settles what must be refused at once; here the whole file lies there and is read
where it matters: the directory of an archive, the end of an image, the parts of a document.
Each look is a function of one module; it reads, reports what it finds and returns details.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from typing import BinaryIO, Final, TypeAlias

from wharfinger.inspection import archives, documents, image_ends, pdf, tables, xml_content
from wharfinger.inspection.agreement import Claims, judge_content
from wharfinger.inspection.facts import Details
from wharfinger.inspection.findings import Findings
from wharfinger.inspection.whole import detect_whole
from wharfinger.policy import Policy

__all__ = ["examine"]

Look: TypeAlias = Callable[[BinaryIO, int, str, Findings], Details | None]
"""Takes the file, its size in bytes, its media type and where findings go; None: not its type."""

_LOOKS: Final[tuple[Look, ...]] = (
    archives.look,
    documents.look,
    image_ends.look,
    pdf.look,
    tables.look,
    xml_content.look,
)


def examine(
    file: BinaryIO,
    size: int,
    *,
    policy: Policy,
    name: str | None = None,
    type: str | None = None,  # noqa: A002 - the word of the whole interface
) -> tuple[str, Details]:
    """Return the media type of a whole file and what is in it.

    Args:
        file: open for reading, at any place, seekable; it is read and nothing else.
        size: its length in bytes.
        policy: what may pass.
        name: the file's name, whose extension must agree.
        type: the media type that the sender claimed.

    Raises:
        ActiveContent, ContentMismatch, TypeNotAllowed: as the head's judgement, now of the whole.
        ContentRefused: a finding that the policy refuses.
        TooComplex: more pixels, members or unpacked bytes than the policy allows.
    """
    found = detect_whole(file, size)
    media_type = judge_content(policy, Claims.of(name, type), found, empty=not size)
    findings = Findings(policy)
    details = Details()
    if policy.check_content:
        for look in _LOOKS:
            details = _merged(details, look(file, size, media_type, findings))
    return media_type, replace(details, findings=findings.words)


def _merged(details: Details, more: Details | None) -> Details:
    if more is None:
        return details
    told = {
        field.name: value
        for field in fields(Details)
        if field.name != "findings" and (value := getattr(more, field.name)) is not None
    }
    return replace(details, **told)
