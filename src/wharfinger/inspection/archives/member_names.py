"""Names of members, judged as if somebody would unpack the archive into a folder.

Both separators count, because archives travel between systems. A member that would lie
outside the folder or is a device is told as "unsafe-members", a link as "links", and two of one
name as "doubled-members": honest packages of Unix programs have links, and names that differ
by case alone.
Names that Windows reserves are `wharfinger.names`' matter, when a file of that name is stored.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from typing import Final

from wharfinger.inspection.archives.place import Place
from wharfinger.names import show

__all__ = ["MemberNames"]

_SEPARATORS: Final = re.compile(r"[/\\]+")
# "C:" and "C:x" lead to a drive, "\\server" and "//server" to another computer.
_DRIVE: Final = re.compile(r"[A-Za-z]:")
# Windows drops blanks and dots at the end of a component: ".. " is ".." there.
_UPWARDS: Final = re.compile(r"\.\.[. ]*")
_OUTSIDE: Final = "leads outside the archive's folder"
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")
# PATH_MAX of macOS; Windows takes 260 by itself. What is longer fails or is cut somewhere.
_LONGEST: Final = 1024
# Unicode UAX #15 section 13, stream-safe text: no writing has more marks on one letter, and
# bringing them into order takes the square of their number.
_MOST_MARKS: Final = 30
_MARKS: Final = re.compile(rb"[^\0]{%d}" % (_MOST_MARKS + 1))


class MemberNames:
    """The names of one archive so far."""

    __slots__ = ("_place", "_repeats", "_seen")

    def __init__(self, place: Place, *, repeats: bool = False) -> None:
        """Judge names at `place`; `repeats` says that the format is used with equal names."""
        self._place = place
        self._repeats = repeats
        self._seen: dict[bytes, bool] = {}

    def judge(self, name: str, *, folder: bool = False) -> None:
        """Tell what is wrong with the name of a member or a folder."""
        if wrong := _wrong(name):
            self._tell(name, wrong)
        # Folders may stand there twice: unpacking makes them once.
        elif self._known(name, folder=folder):
            self._tell(name, "stands there twice", "doubled-members")

    def judge_second(self, name: str) -> None:
        """Tell what is wrong with another name that some programs give a member."""
        if wrong := _wrong(name):
            self._tell(name, wrong)

    def judge_outdated(self, name: str) -> None:
        """Tell that a name which only some programs still take leads outside."""
        if _leads_outside(name):
            self._tell(name, _OUTSIDE)

    def judge_kind(self, name: str, *, link: bool, device: bool) -> None:
        """Tell of a member that is no file and no folder."""
        if link:
            self._tell(name, "is a link", "links")
        if device:
            self._tell(name, "is a device")

    def _known(self, name: str, *, folder: bool) -> bool:
        parts = (part for part in _SEPARATORS.split(name) if part not in {"", "."})
        # What macOS and Windows take for the same name: composed alike, in either case.
        # (Unicode D145, canonical caseless matching, but for its first step: one mark of Greek.)
        folded = unicodedata.normalize("NFD", "/".join(parts).casefold())
        key = hashlib.blake2b(folded.encode("utf-8", "surrogatepass"), digest_size=16).digest()
        before = self._seen.get(key)
        self._seen[key] = folder and before is not False
        return before is not None and not (before and folder) and not self._repeats

    def _tell(self, name: str, wrong: str, word: str = "unsafe-members") -> None:
        self._place.tell(word, f"The member {show(name, limit=60)!r} {wrong}.")


def _wrong(name: str) -> str:
    if not name:
        return "has no name"
    if len(name) > _LONGEST:
        return f"has a name of {len(name)} characters"
    if not name.isascii() and _has_too_many_marks(name):
        return f"has a letter with more than {_MOST_MARKS} marks in its name"
    if _CONTROL.search(name):
        return "has a control character in its name"
    return _OUTSIDE if _leads_outside(name) else ""


def _leads_outside(name: str) -> bool:
    if name.startswith(("/", "\\")) or _DRIVE.match(name):
        return True
    return any(_UPWARDS.fullmatch(part) for part in _SEPARATORS.split(name))


def _has_too_many_marks(name: str) -> bool:
    # Combining classes are 0 for letters and up to 240 for marks.
    return _MARKS.search(bytes(map(unicodedata.combining, name))) is not None
