"""gzip, bzip2 and xz: one content without a name, in one or more streams behind one another.

Sources: RFC 1952 section 2.2 (members of a gzip file), bzip2(1), the .xz file format 1.2.1
section 2 (streams and their padding). zlib, bz2 and lzma compare the checksums.
"""

from __future__ import annotations

import bz2
import lzma
import zlib
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple, Protocol

from wharfinger.inspection.archives.counting import too_much_memory
from wharfinger.inspection.archives.place import Damaged, Place
from wharfinger.inspection.archives.reading import PIECE, Stream
from wharfinger.inspection.archives.xz_headers import XZ_HEADERS, xz_window
from wharfinger.units import MIB

__all__ = ["COMPRESSED", "Decoder", "Inflater", "decoded", "unpacked"]

# Small, because what a decoder has not used yet is copied with each call.
_INPUT: Final = 32 * 1024
_XZ: Final = "application/x-xz"
# liblzma's own structures, and as much again.
_BESIDES_THE_WINDOW: Final = MIB


class Decoder(Protocol):
    """What `bz2.BZ2Decompressor` and `lzma.LZMADecompressor` have in common."""

    @property
    def eof(self) -> bool: ...  # noqa: D102
    @property
    def needs_input(self) -> bool: ...  # noqa: D102
    @property
    def unused_data(self) -> bytes: ...  # noqa: D102
    def decompress(self, data: bytes, max_length: int) -> bytes: ...  # noqa: D102


class Inflater:
    """Deflate with the interface of the other two; `wbits` as `zlib.decompressobj` takes it."""

    __slots__ = ("_inflate", "needs_input")

    def __init__(self, wbits: int) -> None:
        self._inflate = zlib.decompressobj(wbits)
        self.needs_input = True

    @property
    def eof(self) -> bool:
        """Whether the end of the stream was reached."""
        return self._inflate.eof

    @property
    def unused_data(self) -> bytes:
        """What was given beyond the end of the stream."""
        return self._inflate.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:
        """Return at most `max_length` bytes of what `data` holds."""
        piece = self._inflate.decompress(self._inflate.unconsumed_tail + data, max_length)
        self.needs_input = not self._inflate.unconsumed_tail and len(piece) < max_length
        return piece


class _Format(NamedTuple):
    magic: bytes
    decoder: Callable[[int], Decoder]


def _xz(window: int) -> Decoder:
    # Later blocks may ask for another window: not for a larger one.
    return lzma.LZMADecompressor(lzma.FORMAT_XZ, window + _BESIDES_THE_WINDOW)


COMPRESSED: Final = {
    "application/gzip": _Format(b"\x1f\x8b\x08", lambda _: Inflater(16 + zlib.MAX_WBITS)),
    "application/x-bzip2": _Format(b"BZh", lambda _: bz2.BZ2Decompressor()),
    _XZ: _Format(b"\xfd7zXZ\0", _xz),
}
"""Media type: how its streams begin, and what decodes one of them with a window."""


def unpacked(media_type: str, stream: Stream, place: Place) -> Iterator[bytes]:
    """Yield what a compressed file holds; zeros may stand behind its streams, as tapes leave them.

    Raises:
        Damaged: a stream is cut short or fails its checksum.
        TooComplex: it holds more than the limits allow, or xz asks for more memory.
    """
    known = COMPRESSED[media_type]
    streams = held = 0
    while True:
        window = xz_window(stream.peek(XZ_HEADERS)) if media_type == _XZ else 0
        decoder = known.decoder(window)
        for piece in place.count.kept(decoded(decoder, stream), window):
            place.count.add(len(piece))
            held += len(piece)
            yield piece
        streams += 1
        place.count.streams(streams, held)
        _skip_zeros(stream)
        following = stream.peek(len(known.magic))
        if following != known.magic:
            break
    if following:
        place.tell("trailing-data", "Other bytes follow the end of the compressed content.")


def decoded(decoder: Decoder, stream: Stream) -> Iterator[bytes]:
    """Yield what one stream holds, and leave the source at its end.

    Raises:
        Damaged: it is cut short or fails its checksum.
        TooComplex: xz asks for more memory than is given to it.
    """
    while not decoder.eof:
        packed = stream.some(_INPUT) if decoder.needs_input else b""
        if decoder.needs_input and not packed:
            raise Damaged("It is cut short.")
        try:
            piece = decoder.decompress(packed, PIECE)
        except lzma.LZMAError as error:
            # The text is Python's own (Modules/_lzmamodule.c); there is no number.
            if "Memory usage limit" in str(error):
                raise too_much_memory() from error
            raise Damaged("Its compressed bytes are damaged.") from error
        except (OSError, zlib.error) as error:
            raise Damaged("Its compressed bytes are damaged.") from error
        if piece:
            yield piece
    stream.give_back(decoder.unused_data)


def _skip_zeros(stream: Stream) -> None:
    while lead := stream.peek(PIECE):
        zeros = len(lead) - len(lead.lstrip(b"\0"))
        stream.take(zeros)
        if zeros < len(lead):
            return
