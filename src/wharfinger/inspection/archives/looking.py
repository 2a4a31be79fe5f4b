"""The look into archives: every member is unpacked, counted and forgotten.

The limits hold whatever a policy refuses. The types of members are not judged: an archive is
for any content, and a policy's types are about the file that is stored.
"""

from __future__ import annotations

from typing import BinaryIO

from wharfinger.inspection.archives.walking import UNREADABLE, Walk
from wharfinger.inspection.facts import Details
from wharfinger.inspection.findings import Findings

__all__ = ["look"]


def look(file: BinaryIO, size: int, media_type: str, findings: Findings) -> Details | None:
    """Return how many members an archive has and what they hold; None for other content.

    Raises:
        ContentRefused: damage, unsafe or encrypted members, or bytes around the archive, where
            the policy refuses that.
        TooComplex: members, bytes, ratio, depth or memory over the policy's limits.
    """

    def report(word: str, sentence: str) -> None:
        # What nobody here can unpack is no finding: it may be sound. Scanners hear of it.
        if word != UNREADABLE:
            findings.report(word, sentence)

    walk = Walk(size, media_type, findings.policy, report)
    for _ in walk.members(file):
        pass
    if not walk.walked:
        return None
    return Details(members=walk.count.members, unpacked=walk.count.unpacked)
