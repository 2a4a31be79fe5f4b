"""The judgement: do name, claimed type and content agree, and does the policy permit them?

Four questions, always in this order, so that the gravest answer is the one given:

1. Is it active content in harmless clothes? `ActiveContent`, whatever the policy.
2. Do name and content, claimed type and content agree? `ContentMismatch`, if the policy asks.
3. What is the type: as detected, made precise by an extension (or claim) that agrees.
4. Does the policy permit that type? `TypeNotAllowed`.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final, Self

from wharfinger import names
from wharfinger.errors import ActiveContent, ContentMismatch, TypeNotAllowed
from wharfinger.inspection.detection import Detected
from wharfinger.inspection.media_types import (
    ANY_TEXT,
    CLAIMS_NOTHING,
    UNKNOWN_TYPE,
    Family,
    Kind,
    describe_type,
    kind_of_type,
    kinds_of_claim,
    kinds_of_extension,
)
from wharfinger.inspection.ole import ENCRYPTED_TYPE, OLE_TYPE
from wharfinger.inspection.words import with_article
from wharfinger.policy import Policy

__all__ = ["Claims", "judge_content", "judge_declared"]

# How many types a refusal lists: the images, and enough of a preset to recognize it.
_LISTED: Final = 6
_PLAIN: Final = "text/plain"
_SVG: Final = "image/svg+xml"
# Text that people read and load as it is: markup further inside is a trap there
# ("HTML after 60 lines of CSV"), while source code and Markdown may well contain it.
_PLAIN_TYPES: Final = frozenset({_PLAIN, "text/csv", "text/tab-separated-values"})
_PLAIN_EXTENSIONS: Final = frozenset({"", ".txt", ".text", ".csv", ".tsv", ".tab"})
# A shebang whose interpreter has no name here: it may belong to any script.
_SCRIPT_OF_UNKNOWN_KIND: Final = "text/x-script"


@dataclass(frozen=True, slots=True)
class Claims:
    """What name and sender say about the content, before a byte is seen.

    `extension` is lower case with its dot; `type` is lower case without parameters; the
    kinds are what they may mean, empty when they claim nothing.
    """

    name: str
    extension: str
    type: str
    by_extension: tuple[Kind, ...]
    by_type: tuple[Kind, ...]

    @classmethod
    def of(cls, name: str | None, media_type: str | None) -> Self:
        """Return the claims of a file name and a Content-Type, parameters and case aside."""
        extension = names.extension(names.plain_end(name)) if name else ""
        plain = (media_type or "").partition(";")[0].strip().lower()
        return cls(
            name=name or "",
            extension=extension,
            type=plain,
            by_extension=kinds_of_extension(extension),
            by_type=kinds_of_claim(plain),
        )


def judge_declared(policy: Policy, claims: Claims) -> None:
    """Refuse what name and claimed type alone decide.

    Raises:
        TypeNotAllowed: the extension or the claimed type means a type that the policy
            does not permit.
    """
    if policy.types is None:
        return
    if claims.by_extension and not any(_permits(policy, kind) for kind in claims.by_extension):
        raise TypeNotAllowed(
            f"The file is named {_shown(claims.name)}, which says that it is "
            f"{with_article(claims.by_extension[0].label)}. That is not accepted here.",
            hint=_accepted(policy.types),
        )
    if any(_is_wider(wide, kind) for wide in claims.by_type for kind in claims.by_extension):
        # "text/plain" for a .csv, "application/zip" for a .docx: true, and nothing new.
        return
    if claims.by_type:
        permitted = any(_permits(policy, kind) for kind in claims.by_type)
    else:
        permitted = claims.type in CLAIMS_NOTHING or policy.permits(claims.type)
    if not permitted:
        raise TypeNotAllowed(
            f"The type {names.show(claims.type, limit=80)} is not accepted here.",
            hint=_accepted(policy.types),
        )


def judge_content(policy: Policy, claims: Claims, found: Detected, *, empty: bool) -> str:
    """Return the media type of content whose head was detected as `found`.

    Raises:
        ActiveContent: a program, script or HTML that is dressed as something else.
        ContentMismatch: name or claimed type and content disagree.
        TypeNotAllowed: the policy does not permit the type.
    """
    by_extension = _agreeing(claims.by_extension, found, empty=empty)
    by_type = _agreeing(claims.by_type, found, empty=empty)
    if by_extension is not None and any(kind.type == _PLAIN for kind in claims.by_type):
        # "text/plain" from a sender that knows no better; the name says what it is.
        by_type = by_extension
    _refuse_active(claims, found, by_extension, by_type)
    if policy.require_agreement:
        if claims.by_extension and by_extension is None:
            raise ContentMismatch(_disagreement(claims, found, empty=empty, by_name=True))
        if claims.by_type and by_type is None:
            raise ContentMismatch(_disagreement(claims, found, empty=empty, by_name=False))
    media_type = _precise(policy, found, by_extension or by_type)
    if not _permits_type(policy, media_type):
        raise TypeNotAllowed(
            f"{_subject(found, empty=empty)} is not accepted here.",
            hint=_accepted(policy.types or ()),
        )
    return media_type


def _accepted(types: Collection[str]) -> str:
    listed = sorted(types)
    more = f" and {len(listed) - _LISTED} more" if len(listed) > _LISTED else ""
    return f"Accepted: {', '.join(listed[:_LISTED])}{more}."


# --- agreement ----------------------------------------------------------------------------


def _agreeing(kinds: tuple[Kind, ...], found: Detected, *, empty: bool) -> Kind | None:
    return next((kind for kind in kinds if _agrees(kind, found, empty=empty)), None)


def _agrees(kind: Kind, found: Detected, *, empty: bool) -> bool:
    if empty:
        # Nothing at all is a valid text, and no valid image.
        return found.text and (ANY_TEXT in kind.accepts or kind.family is Family.TEXT)
    if found.type == kind.type or found.type in kind.accepts:
        return True
    if found.undecided and ENCRYPTED_TYPE in kind.accepts:
        # A docx behind a password is an OLE file; the whole file will tell.
        return True
    known = kind_of_type(found.type)
    if known is not None and kind.type in known.isa:
        return True
    if found.text and not found.active and ANY_TEXT in kind.accepts:
        return True
    if found.loose and kind.type == "text/markdown":
        return True
    if found.type == _SCRIPT_OF_UNKNOWN_KIND and kind.family is Family.SCRIPT:
        return True
    return f"{found.type.partition('/')[0]}/*" in kind.accepts - {ANY_TEXT}


def _is_wider(wide: Kind, kind: Kind) -> bool:
    """Whether `wide` names the same content as `kind` truthfully, only less precisely."""
    return wide.type in kind.isa or (wide.type == _PLAIN and ANY_TEXT in kind.accepts)


def _precise(policy: Policy, found: Detected, kind: Kind | None) -> str:
    known = kind_of_type(found.type)
    if kind is not None:
        if found.type in {OLE_TYPE, ENCRYPTED_TYPE} and ENCRYPTED_TYPE in kind.accepts:
            return ENCRYPTED_TYPE
        wider = known is not None and kind.type in known.isa and not found.text
        named = kind_of_type(kind.type) is kind
        if wider or not named or found.type == _SVG:
            return found.type
        return kind.type
    if found.type == _PLAIN and policy.types and not _permits_type(policy, _PLAIN):
        # Nothing names this text: when the policy leaves one text type, it is that one.
        texts = [t for t in policy.types if (k := kind_of_type(t)) and ANY_TEXT in k.accepts]
        if len(texts) == 1:
            return texts[0]
    return found.type


# --- active content -----------------------------------------------------------------------


def _refuse_active(
    claims: Claims, found: Detected, by_extension: Kind | None, by_type: Kind | None
) -> None:
    if found.inner and not found.text:
        raise ActiveContent(
            f"{_subject(found, empty=False)} with {describe_type(found.inner)} inside is refused."
        )
    for kinds, agreeing, by_name in (
        (claims.by_extension, by_extension, True),
        (claims.by_type, by_type, False),
    ):
        if not kinds or not any(kind.family.harmless for kind in kinds):
            continue
        raster = any(kind.family is Family.IMAGE for kind in kinds)
        disguised = found.active and agreeing is None and (raster or found.type != _SVG)
        if disguised:
            raise ActiveContent(_disagreement(claims, found, empty=False, by_name=by_name))
        if found.inner and _is_trap(claims, kinds, agreeing, by_name=by_name):
            raise ActiveContent(
                f"{_claim(claims, by_name=by_name)}, but it has "
                f"{describe_type(found.inner)} inside."
            )


def _is_trap(
    claims: Claims, kinds: tuple[Kind, ...], agreeing: Kind | None, *, by_name: bool
) -> bool:
    """Whether text with markup inside betrays what it was claimed to be."""
    if agreeing is None:
        return True
    plain = any(kind.type in _PLAIN_TYPES for kind in kinds)
    # A type claimed for a name that says more (.log, .md) adds nothing.
    unnamed = not claims.by_extension
    return plain and (claims.extension in _PLAIN_EXTENSIONS or (unnamed and not by_name))


# --- policy -------------------------------------------------------------------------------


def _permits(policy: Policy, kind: Kind) -> bool:
    """Whether the policy permits a kind under its type or one of its aliases."""
    return policy.permits(kind.type) or any(policy.permits(alias) for alias in kind.aliases)


def _permits_type(policy: Policy, media_type: str) -> bool:
    kind = kind_of_type(media_type)
    return policy.permits(media_type) if kind is None else _permits(policy, kind)


# --- words --------------------------------------------------------------------------------


def _shown(name: str) -> str:
    return names.show(name, limit=80)


def _claim(claims: Claims, *, by_name: bool) -> str:
    if by_name:
        return f"The file is named {_shown(claims.name)}"
    return f"The file is claimed to be {names.show(claims.type, limit=80)}"


def _subject(found: Detected, *, empty: bool) -> str:
    if empty:
        return "An empty file"
    if found.type == UNKNOWN_TYPE:
        return "Content of no known type"
    words = with_article(describe_type(found.type))
    return f"{words[0].upper()}{words[1:]}"


def _disagreement(claims: Claims, found: Detected, *, empty: bool, by_name: bool) -> str:
    claim = _claim(claims, by_name=by_name)
    if empty:
        return f"{claim}, but it is empty."
    if found.type == UNKNOWN_TYPE:
        return f"{claim}, but its content is of no known type."
    return f"{claim}, but its content is {with_article(describe_type(found.type))}."
