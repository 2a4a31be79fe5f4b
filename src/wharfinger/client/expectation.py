"""What a caller expects of an answer's Content-Type, before any of the body is read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

from wharfinger import names
from wharfinger.errors import ContentTypeMismatch, UsageError
from wharfinger.policy import PRESETS, Policy
from wharfinger.protocol.content_type import essence

if TYPE_CHECKING:
    from collections.abc import Iterable

# "I do not know": says nothing about the content (RFC 9110 section 8.3, RFC 2046 section 4.5.1).
_NO_CLAIM = frozenset({"", "application/octet-stream", "binary/octet-stream"})
_BY_CONTENT: Final = "To go by the content alone, pass a policy=, such as Policy.images()."


@dataclass(frozen=True, kw_only=True, slots=True)
class Expectation:
    """Media types in full and beginnings of them ("image/"), one of which must fit."""

    types: frozenset[str] = frozenset()
    beginnings: tuple[str, ...] = ()
    written: str

    @classmethod
    def of(cls, expect: str | Iterable[str]) -> Self:
        """Return the expectation that a caller wrote.

        Raises:
            UsageError: an entry is no media type, family ("image/*", "image/") or preset.
        """
        entries = [expect] if isinstance(expect, str) else list(expect)
        types: set[str] = set()
        beginnings: list[str] = []
        for entry in entries:
            text = entry.strip().lower()
            family = text.removesuffix("*")
            if text in PRESETS:
                types.update(PRESETS[text] or ())
                beginnings += [""] if PRESETS[text] is None else []
            elif family.endswith("/") and "*" not in family and essence(f"{family}x"):
                beginnings.append(family)
            elif text and "*" not in text and essence(text) == text:
                types.add(text)
            else:
                raise UsageError(
                    f"{entry[:80]!r} cannot be expected.",
                    hint="Write a media type like image/png, a family like image/*, "
                    f"or one of {', '.join(PRESETS)}.",
                )
        if not types and not beginnings:
            raise UsageError("An empty expect accepts nothing; leave it out to accept any type.")
        return cls(types=frozenset(types), beginnings=tuple(beginnings), written=", ".join(entries))

    @classmethod
    def beginning(cls, text: str) -> Self:
        """Return the expectation of any type that begins like this."""
        return cls(beginnings=(text.strip().lower(),), written=text)

    def fits(self, media_type: str) -> bool:
        """Return whether a media type, or what it is an alias of, is as expected."""
        from wharfinger.inspection.media_types import kind_of_type

        kind = kind_of_type(media_type)
        candidates = {media_type} if kind is None else {media_type, kind.type}
        return not self.types.isdisjoint(candidates) or media_type.startswith(self.beginnings)

    @property
    def policy_types(self) -> tuple[str, ...] | None:
        """The types for a `Policy` over the content; None where a beginning says too little."""
        if all(text.endswith("/") for text in self.beginnings):
            return (*sorted(self.types), *(f"{text}*" for text in self.beginnings))
        return None


def judge_content_type(
    value: str | None, expectation: Expectation | None, policy: Policy | None, where: str
) -> str:
    """Return the media type that an answer claims, "" when it claims none.

    An expectation is about what the answer says; under a policy alone, an answer that says
    nothing is left to be judged by its content.

    Raises:
        ContentTypeMismatch: the claim is not as expected or not in the policy.
    """
    claimed = essence(value)
    shown = names.show(value, limit=80) if value else "content without a Content-Type"
    if expectation is not None and not expectation.fits(claimed):
        raise ContentTypeMismatch(
            f"{where} serves {shown}, not {expectation.written}.",
            expected=expectation.written,
            actual=claimed,
            hint=None if value else _BY_CONTENT,
        )
    if policy is not None and claimed not in _NO_CLAIM and not _permits(policy, claimed):
        accepted = ", ".join(sorted(policy.types or ()))
        raise ContentTypeMismatch(
            f"{where} serves {shown}, which the policy does not accept.",
            expected=accepted,
            actual=claimed,
        )
    return claimed


def _permits(policy: Policy, claimed: str) -> bool:
    from wharfinger.inspection.media_types import kinds_of_claim

    return policy.permits(claimed) or any(
        policy.permits(kind.type) for kind in kinds_of_claim(claimed)
    )
