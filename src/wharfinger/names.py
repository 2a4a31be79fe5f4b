"""File names from outside: judged, cleaned and shown. They are labels and never become paths.

Three functions for three places: `judge` for names that a client sends with an
upload (a hostile one is an error), `clean` for names that a server proposes for a
download (always yields a name that lies directly inside one folder), and `show`
for any text from outside that reaches a terminal or a log.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final, NewType

from wharfinger.errors import NameRejected

ClaimedName = NewType("ClaimedName", str)
"""A file name as somebody else wrote it, not judged yet."""

ClaimedType = NewType("ClaimedType", str)
"""A media type as somebody else wrote it, not compared with the content yet."""

# Longest file name of ext4, XFS, APFS and NTFS, in bytes of UTF-8 (NTFS: UTF-16 units).
MAX_NAME_BYTES: Final = 255

# Unicode TR9: the explicit directional formatting characters, which can make
# "exe.gpj" read "jpg.exe" (CWE-451).
_BIDI_CONTROLS: Final = frozenset(
    "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
)
_INVISIBLE: Final = frozenset("\u00ad\u200b\u2060\ufeff")

# Names that Windows gives to devices, with any extension.
_RESERVED: Final = re.compile(
    r"(?:con|prn|aux|nul|conin\$|conout\$|com[0-9\u00b9\u00b2\u00b3]|lpt[0-9\u00b9\u00b2\u00b3])\s*(?:\..*)?",
    re.IGNORECASE,
)
# Leading dots hide a file, leading hyphens are options to commands; Windows drops
# trailing dots and spaces.
_EDGES: Final = re.compile(r"\A[\s.-]+|[\s.]+\Z")
_TRAILING: Final = re.compile(r"[\s.]+\Z")
# What most names are made of; of these `clean` changes only those that Windows reserves.
_PLAIN: Final = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9._-]{0,200}[A-Za-z0-9_-])?", re.ASCII)
# [MS-FSCC] 2.1.5: what opens another stream of a file, or the file under a longer name.
_STREAM: Final = re.compile(r":\$[A-Z_]+\Z", re.IGNORECASE)
_RESERVED_CHARACTERS: Final = frozenset('<>:"|?*')


def judge(claimed: str) -> str:
    """Return the display name for a name that came with an upload.

    The name is brought to NFC and stripped of surrounding white space and of trailing
    dots, which Windows would drop later. A name that no honest program sends is refused:
    empty, path separators, NUL and other control characters, invisible formatting
    characters (but the joiners that scripts and emoji need), the stream types of NTFS
    ("a.php::$DATA"), an extension that only looks like ASCII, unpaired surrogates, more than 255 bytes of UTF-8.

    Raises:
        NameRejected: the name is hostile. The text shows it escaped.
    """
    name = _TRAILING.sub("", unicodedata.normalize("NFC", claimed).strip())
    shown = show(claimed, limit=60)
    if not name:
        raise NameRejected(f"The file name {shown!r} is empty.")
    if "/" in name or "\\" in name:
        raise NameRejected(f"The file name {shown!r} has a path separator.")
    for character in claimed:
        if _is_control(character) or _is_format(character):
            raise NameRejected(
                f"The file name {shown!r} has the control character U+{ord(character):04X}."
            )
    if _STREAM.search(name):
        raise NameRejected(f"The file name {shown!r} means another stream of a file.")
    if extension(unicodedata.normalize("NFKC", name)) != extension(name):
        raise NameRejected(f"The extension of the file name {shown!r} only looks like one.")
    length = len(name.encode("utf-8", "surrogatepass"))
    if length > MAX_NAME_BYTES:
        raise NameRejected(
            f"The file name is {length} bytes long; at most {MAX_NAME_BYTES} are accepted."
        )
    return name


def clean(claimed: str, *, fallback: str = "download") -> str:
    """Return a name that lies directly inside one folder on any file system.

    Only the last path component is kept (both separators count); control, bidi and
    invisible characters vanish, characters and device names that Windows reserves
    are changed, leading dots and hyphens and trailing dots and spaces go, and the
    result is cut to 255 bytes of UTF-8 with its extension kept.
    """
    if _PLAIN.fullmatch(claimed) and not _RESERVED.fullmatch(claimed):
        return claimed  # nearly always
    last = re.split(r"[/\\]", claimed)[-1]
    kept = "".join(
        "_" if character in _RESERVED_CHARACTERS else character
        for character in last
        if not _is_control(character) and character not in _INVISIBLE
    )
    # Normalised after the invisible characters went: they may have kept a letter and
    # its accent apart.
    name = _EDGES.sub("", unicodedata.normalize("NFC", kept))
    if _RESERVED.fullmatch(name):
        name = f"_{name}"
    return _shorten(name) or fallback


def extension(name: str) -> str:
    """Return the last extension in lower case with its dot (".jpg"), or "" when there is none."""
    stem, dot, last = name.rpartition(".")
    return f".{last.lower()}" if dot and stem and last and last.isalnum() else ""


def plain_end(name: str) -> str:
    """Return a name as Windows opens it: without trailing dots and spaces, and without "::$DATA"."""
    return _TRAILING.sub("", re.sub(r":[^:]*:\$[A-Za-z_]+\Z", "", _TRAILING.sub("", name)))


def show(text: str, *, limit: int = 200) -> str:
    """Return text from outside for a terminal or a log: nothing in it can move the cursor or lie.

    Control characters, escape sequences, bidirectional controls and unpaired
    surrogates appear as escapes (CWE-150); long text is cut.
    """
    if len(text) <= limit and text.isascii() and text.isprintable():
        return text  # nearly always
    escaped = "".join(
        character.encode("unicode_escape").decode("ascii")
        if _is_control(character) or character in _INVISIBLE
        else character
        for character in text[:limit]
    )
    return f"{escaped}…" if len(text) > limit else escaped


def _is_format(character: str) -> bool:
    # The joiners are letters' business in many scripts, and in emoji.
    return unicodedata.category(character) == "Cf" and character not in "\u200c\u200d"


def _is_control(character: str) -> bool:
    return (
        unicodedata.category(character) in {"Cc", "Cs", "Zl", "Zp"} or character in _BIDI_CONTROLS
    )


def _shorten(name: str) -> str:
    encoded = name.encode("utf-8")
    if len(encoded) <= MAX_NAME_BYTES:
        return name
    # As long in characters as the extension, whose bytes differ when its case does.
    tail = name[len(name) - len(name.rpartition(".")[2]) - 1 :] if extension(name) else ""
    if len(tail.encode("utf-8")) > 32:  # noqa: PLR2004 - no honest extension is longer
        tail = ""
    stem = encoded[: MAX_NAME_BYTES - len(tail.encode("utf-8"))].decode("utf-8", "ignore")
    return _TRAILING.sub("", stem) + tail


def label(name: str) -> str:
    """Return a file name as it may be announced to others, "" when nothing of it is left.

    Control, bidi and unpaired surrogate characters vanish, path separators become
    underscores, and the result is cut to 255 bytes of UTF-8 with its extension kept.
    Unlike `clean` it does not make the name fit every file system: the receiver does.
    """
    kept = "".join(character for character in name if not _is_control(character))
    return _shorten(kept.replace("/", "_").replace("\\", "_").strip())
