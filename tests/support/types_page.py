"""Makes docs/reference/types.md from the tables that inspection goes by.

python tests/support/types_page.py > docs/reference/types.md
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

from wharfinger.inspection.media_types import KINDS, Family, Kind
from wharfinger.inspection.signatures import FORMATS, Signature

_HEADINGS = {
    Family.IMAGE: "Images",
    Family.DOCUMENT: "Documents",
    Family.MEDIA: "Audio and video",
    Family.ARCHIVE: "Archives",
    Family.FONT: "Fonts",
    Family.DATA: "Data",
    Family.TEXT: "Text",
    Family.MARKUP: "Markup that browsers run",
    Family.SCRIPT: "Scripts",
    Family.EXECUTABLE: "Programs",
}
_INTRODUCTION = """\
# Types

<!-- Made from the tables in wharfinger.inspection by tests/support/types_page.py; a test compares. -->

The content says what a file is; its name only makes that more precise. The first 8 KiB settle what must be refused at
once. The whole file has the final word: the directory of a ZIP archive tells documents, Java archives and plain archives
apart, the directory of an OLE file tells Word from Excel, JSON of up to 1 MiB must parse, and text must be text to its
end (UTF-8, UTF-16 or UTF-32 with a byte order mark, or an old code page in which other letters are a minority).

Text has no signature. What begins like HTML, SVG, XML, JSON, a script or a shortcut is told from its words; the name
decides between the other kinds of text. A page or a PHP program inside plain text or CSV is refused; it is looked for in
the first 8 KiB, several times what a browser reads to guess a type (1,445 bytes, by the WHATWG's MIME Sniffing).

A type that **runs** is active: something would execute it or what is in it. Such a file under a harmless name or type is
refused whatever the policy says, and `image/*` in a policy does not mean SVG: it has to be named.

Other spellings mean the same type, in names, claims and policies. Some senders claim a type that is really another one:
Windows with Excel installed calls a `.csv` `application/vnd.ms-excel`, and that passes. No type, and
`application/octet-stream`, claim nothing.
"""
_SIGNATURES = """\
## Signatures

The first bytes by which a format is known, and where that is written. Where there is no type, a look further into the
head tells it.

| first bytes | type | source |
|---|---|---|
"""


def page() -> str:
    """Return the page as Markdown."""
    return "\n".join([_INTRODUCTION, *_kinds(), _SIGNATURES + "".join(_signatures())])


def _kinds() -> Iterator[str]:
    for family, heading in _HEADINGS.items():
        rows = "".join(_row(kind) for kind in KINDS if kind.family is family)
        yield f"## {heading}\n\n| type | what | extensions | other spellings | runs |\n|---|---|---|---|---|\n{rows}"


def _row(kind: Kind) -> str:
    extensions, aliases = (_codes(cell) for cell in (kind.extensions, kind.aliases))
    runs = "yes" if kind.active else ""
    return f"| `{kind.type}` | {kind.label} | {extensions} | {aliases} | {runs} |\n"


def _codes(values: tuple[str, ...]) -> str:
    return " ".join(f"`{value}`" for value in values)


def _signatures() -> Iterator[str]:
    seen: set[str] = set()
    for signature in FORMATS:
        # One row for the sixteen first bytes of a format that has them.
        if signature.source not in seen or signature.type:
            seen.add(signature.source)
            yield f"| `{_shown(signature)}` | {signature.type} | {signature.source} |\n"


def _shown(signature: Signature) -> str:
    return repr(signature.magic)[2:-1].replace("|", "\\|")


if __name__ == "__main__":
    sys.stdout.write(page())
