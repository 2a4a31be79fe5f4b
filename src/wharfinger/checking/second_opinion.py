"""What libmagic says of a file, and whether it contradicts us: the extra [magic].

`ask` runs in a process of its own, as libmagic is C and reads what strangers wrote. Its word
counts where it knows more than a name: content that runs where we saw none, or another family
than ours. It does not count among kinds of text, where it guesses, nor for what it cannot tell
by design: macros, and which program an OLE file is of.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Final

from wharfinger.checking.messages import Message
from wharfinger.errors import ConfigError
from wharfinger.inspection.findings import Findings
from wharfinger.inspection.media_types import Family, Kind, describe_type, kind_of_type
from wharfinger.policy import Policy
from wharfinger.units import MIB

if TYPE_CHECKING:
    from magic import Magic

    from wharfinger.checking.jobs import Request

__all__ = ["READ", "ask", "contradicts", "missing", "report", "require"]

# As much as libmagic itself reads of a file.
READ: Final = MIB
_FINDING: Final = "disputed"
_LONGEST: Final = 200
_PDF: Final = "application/pdf"
_SVG: Final = "image/svg+xml"
# Families that say something when they differ. Fonts and databases hold everything.
_TELLING: Final = frozenset({Family.IMAGE, Family.DOCUMENT, Family.MEDIA, Family.ARCHIVE})
_TEXTUAL: Final = frozenset({Family.TEXT, Family.MARKUP, Family.SCRIPT})
_TOPS: Final = {
    "image": Family.IMAGE,
    "audio": Family.MEDIA,
    "video": Family.MEDIA,
    "text": Family.TEXT,
}
# Of DOS without a header: one in a hundred files of random bytes begins like one. The others,
# which do have a header, we know ourselves.
_GUESSED: Final = "application/x-dosexec"
# What libmagic calls programs that have another name, or none, in our table.
_PROGRAMS: Final = frozenset(
    {
        "application/x-bytecode.python",
        "application/x-c32-comboot-syslinux-exec",
        "application/x-chrome-extension",
        "application/x-coff",
        "application/x-innosetup",
        "application/x-java-applet",
        "application/x-java-jmod",
        "application/x-lx-executable",
        "application/x-ms-ne-executable",
        "application/x-ms-w3-executable",
        "application/x-ms-w4-executable",
        "application/x-silverlight-app",
        "application/x-wine-extension-msp",
        "audio/x-xbox-executable",
        "audio/x-xbox360-executable",
        "image/x-garmin-exe",
    }
)


def ask(request: Request) -> Message:
    """Return what libmagic takes a file for: "type", or "missing" with the reason why it is not there."""
    if why := missing():
        return {"missing": why}
    with request.open() as file:
        return {"type": _magic().from_buffer(file.read(READ))}


def missing() -> str:
    """Return why libmagic cannot be asked here, as a part of a sentence; "" when it can."""
    try:
        import magic
    except ModuleNotFoundError:
        return "the package python-magic is not installed"
    except ImportError:
        return "the library libmagic is not installed (Debian: apt-get install libmagic1)"
    if not hasattr(magic, "Magic"):
        return "another package than python-magic is installed as 'magic'"
    try:
        _magic()
    except magic.MagicException as error:
        return f"libmagic finds no database ({error})"
    return ""


def require(policy: Policy, *, where: str) -> None:
    """Return if nobody asks for a second opinion, or if there is one to be had.

    Raises:
        ConfigError: `where` asks for one, and libmagic is missing.
    """
    if policy.second_opinion and (why := missing()):
        raise _absent(why, f"{where} has second_opinion, which needs libmagic")


def report(told: Message, media_type: str, findings: Findings) -> None:
    """Report that libmagic takes content of this type for something else, if it does.

    An answer without a type (it crashed, or took too long) is no agreement: it is reported, too.

    Raises:
        ConfigError: libmagic cannot be asked.
        ContentRefused: the policy refuses what is disputed.
    """
    label = describe_type(media_type)
    match told:
        case {"missing": str(why)}:
            raise _absent(why[:_LONGEST], "A second opinion cannot be had")
        case {"type": str(theirs)}:
            if contradicts(theirs, media_type):
                called = describe_type(theirs.lower())[:_LONGEST]
                findings.report(
                    _FINDING, f"libmagic takes the {label} for something else: {called}."
                )
        case _:
            findings.report(_FINDING, f"libmagic could not say what the {label} is.")


def contradicts(theirs: str, ours: str) -> bool:
    """Return whether libmagic's type is something else than ours, beyond its known weaknesses."""
    said = _kind(theirs.lower())
    held = _kind(ours)
    if said is None or said.type == ours or (_textual(said) and (held is None or _textual(held))):
        return False
    if held is None:
        return said.active and theirs != _GUESSED
    if said.active:
        return not held.active
    if said.family not in _TELLING:
        return False
    if said.type in held.isa | held.accepts or held.type in said.isa:
        return False
    return said.family is not held.family or (said.type == _PDF) is not (held.type == _PDF)


def _kind(media_type: str) -> Kind | None:
    """Return what a type is, ours or one that only libmagic knows; None: unknown data."""
    if media_type in _PROGRAMS:
        return Kind(media_type, media_type, Family.EXECUTABLE, active=True)
    kind = kind_of_type(media_type)
    family = _TOPS.get(media_type.partition("/")[0])
    if kind is not None or family is None:
        return kind
    return Kind(media_type, media_type, family)


def _textual(kind: Kind) -> bool:
    return kind.family in _TEXTUAL or kind.type == _SVG


def _absent(why: str, what: str) -> ConfigError:
    return ConfigError(
        f"{what}: {why}.",
        hint="pip install 'wharfinger[magic]', with libmagic of the system (Debian: libmagic1), "
        "or leave second_opinion out.",
    )


@cache
def _magic() -> Magic:
    from magic import Magic

    return Magic(mime=True)
