"""What a look at the whole content finds, and which of it a policy refuses.

Whoever looks reports each thing to `Findings.report`: it is noted for the facts, or raised
when the policy refuses it. Which error a finding is stands here and nowhere else.
"""

from __future__ import annotations

from typing import Final

from wharfinger.errors import ContentDamaged, ContentRefused, HiddenContent, UnsafeArchive
from wharfinger.policy import Policy

__all__ = ["Findings"]

_ERRORS: Final[dict[str, type[ContentRefused]]] = {
    "damaged": ContentDamaged,
    "trailing-data": HiddenContent,
    "unsafe-members": UnsafeArchive,
    "links": UnsafeArchive,
    "doubled-members": UnsafeArchive,
    "encrypted": UnsafeArchive,
}
_HINTS: Final = {
    "encrypted": "Take the password off, and send it without one.",
    "disputed": "Open the file, save it anew and send that.",
}


class Findings:
    """The findings of one file under one policy."""

    __slots__ = ("_found", "policy")

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self._found: set[str] = set()

    @property
    def words(self) -> tuple[str, ...]:
        """What was found, sorted."""
        return tuple(sorted(self._found))

    def report(self, word: str, detail: str) -> None:
        """Note a finding, a word of `wharfinger.policy.FINDINGS`; `detail` is a sentence for people.

        Raises:
            ContentRefused: the policy refuses files with it; the subclass is that of the word.
        """
        if word in self.policy.refuse:
            raise _ERRORS.get(word, ContentRefused)(detail, finding=word, hint=_HINTS.get(word))
        self._found.add(word)
