"""XML read strictly, as a stream: no DTD, no entities, bounded depth, names and memory.

defusedxml (on expat) refuses what makes XML dangerous to read: entities that grow, and those
that fetch. What expat keeps for as long as it reads is bounded here: it keeps every name it has
seen, and a whole tag until its end has come.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Final, Protocol, cast

from wharfinger.errors import TooComplex

__all__ = ["DtdFound", "Elements", "NotWellFormed", "XmlEvents", "read_xml", "split_name"]

_DEEPEST: Final = 256  # drawings and documents nest some dozens of elements
_MOST_ELEMENTS: Final = 10_000_000  # a minute of work; a spreadsheet has two for each cell
_MOST_NAMES: Final = 10_000  # HTML, SVG and all office formats together have fewer
# A photograph within an attribute; expat holds all of the tag.
_LONGEST_TOKEN: Final = 16 * 1024 * 1024
# A tag that is long for its many attributes, each of which takes far more than its text.
_MOST_QUOTES: Final = 20_000
_LONG_TOKEN: Final = 512 * 1024
# Drawings, property lists and old OpenDocument files name a document type that every reader
# knows and none fetches; by itself it declares nothing.
_KNOWN_DTD: Final = re.compile(
    r"-//W3C//DTD SVG [^\n]*\nhttps?://www\.w3\.org/[\w./-]*"
    r"|-//Apple(?: Computer)?//DTD PLIST [^\n]*\nhttps?://www\.apple\.com/DTDs/[\w.-]*"
    r"|-//OpenOffice\.org//DTD [^\n]*\n[\w-]+\.dtd"
)


class NotWellFormed(ValueError):
    """It is not XML to its end (XML 1.0 section 2.1), or in no known encoding."""


class DtdFound(ValueError):
    """It declares a document type, entities, or parts that lie elsewhere."""


class XmlEvents(Protocol):
    """Whoever reads along. Names are "{namespace}name", or "name" without a namespace."""

    def start(self, name: str, attributes: Mapping[str, str]) -> None:
        """An element begins."""

    def end(self, name: str) -> None:
        """An element ends."""

    def data(self, text: str) -> None:
        """A piece of text within an element."""

    def pi(self, target: str, text: str) -> None:
        """A processing instruction."""


class Elements:
    """Counts elements, of one XML document or of all parts of a document together."""

    __slots__ = ("_count",)

    def __init__(self) -> None:
        self._count = 0

    def add(self) -> None:
        """Count one more. Raises TooComplex."""
        self._count += 1
        if self._count > _MOST_ELEMENTS:
            raise _too_complex("elements", _MOST_ELEMENTS)


def split_name(name: str) -> tuple[str, str]:
    """Return the namespace ("" for none) and the local name."""
    if not name.startswith("{"):
        return "", name
    namespace, _, local = name[1:].rpartition("}")
    return namespace, local


def read_xml(
    pieces: Iterable[bytes], events: XmlEvents, *, elements: Elements | None = None
) -> None:
    """Read a whole XML document, given in pieces of at most 64 KiB; memory stays flat.

    Args:
        pieces: the document.
        events: who reads along.
        elements: where they are counted, if others were read before; None to begin at none.

    Raises:
        DtdFound: a DTD that is not one of the known ones, or more than its name.
        NotWellFormed: it cannot be read to its end.
        TooComplex: too deep, too many elements, names or attributes.
    """
    from defusedxml import DefusedXmlException
    from defusedxml.ElementTree import DefusedXMLParser, ParseError

    parser = cast(
        "_Parser",
        DefusedXMLParser(target=_Bounded(events, elements or Elements()), forbid_dtd=True),
    )
    parser.parser.StartDoctypeDeclHandler = _judge_doctype
    waiting = b""
    fed = quotes = pending = 0
    try:
        for piece in pieces:
            waiting += piece
            # Older versions of expat look at an unfinished tag from its beginning each time.
            if len(waiting) * 4 < pending:
                continue
            parser.feed(waiting)
            fed += len(waiting)
            pending = fed - parser.parser.CurrentByteIndex
            if pending > _LONGEST_TOKEN:
                raise _too_complex("bytes in one tag or comment", _LONGEST_TOKEN)
            quotes += waiting.count(b'"') + waiting.count(b"'")
            if pending <= _LONG_TOKEN:
                quotes = 0
            elif quotes > _MOST_QUOTES:
                raise _too_complex("quotes in one tag or comment", _MOST_QUOTES)
            waiting = b""
        parser.feed(waiting)
        parser.close()
    except (DtdFound, DefusedXmlException) as error:
        raise DtdFound from error
    except (ParseError, LookupError, ValueError) as error:
        raise NotWellFormed(str(error)) from error


def _judge_doctype(_: str, system: str | None, public: str | None, has_subset: int) -> None:
    if has_subset or not _KNOWN_DTD.fullmatch(f"{public}\n{system}"):
        raise DtdFound


def _too_complex(what: str, limit: int) -> TooComplex:
    return TooComplex(
        f"The XML has more than {limit} {what}.", what=what, limit=limit, hint="Simplify it."
    )


class _Expat(Protocol):
    """What is needed of expat itself."""

    StartDoctypeDeclHandler: Callable[[str, str | None, str | None, int], None]
    CurrentByteIndex: int


class _Parser(Protocol):
    """What is needed of defusedxml's parser."""

    parser: _Expat

    def feed(self, data: bytes, /) -> None: ...
    def close(self) -> object: ...


class _Bounded:
    """Counts what goes by, and hands it on."""

    __slots__ = ("_add", "_depth", "_end", "_names", "_start", "data", "pi")

    def __init__(self, events: XmlEvents, elements: Elements) -> None:
        self._start = events.start
        self._end = events.end
        self.data = events.data
        self.pi = events.pi
        self._depth = 0
        self._add = elements.add
        self._names: set[str] = set()

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        self._add()
        if self._depth > _DEEPEST:
            raise _too_complex("elements within one another", _DEEPEST)
        self._note(name, *attributes)
        self._start(name, attributes)

    def end(self, name: str) -> None:
        self._depth -= 1
        self._end(name)

    def start_ns(self, prefix: str, namespace: str) -> None:
        self._note(prefix, namespace)

    def _note(self, *names: str) -> None:
        self._names.update(names)
        if len(self._names) > _MOST_NAMES:
            raise _too_complex("names", _MOST_NAMES)
