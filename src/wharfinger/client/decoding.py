"""A body in a content coding, decoded while it is read (RFC 9110 section 8.4.1).

Only on request, and only gzip and deflate. Never more is decoded than there is room for, so
a few hundred bytes that stand for gigabytes cost no memory and end at the limit of the
size, which counts decoded bytes. The coded content is read to its end and must be whole:
its checksum and length are right, nothing is missing and nothing follows
(CVE-2025-66418, CVE-2025-66471 and others are what happens elsewhere).
"""

from __future__ import annotations

import hashlib
import hmac
import zlib
from typing import TYPE_CHECKING, Final

from wharfinger.errors import BadResponse, IntegrityError, TooLarge
from wharfinger.units import show_size

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wharfinger.net.bodies import BodyReader

_BUFFER: Final = 64 * 1024
# zlib's window bits: with a gzip header, with zlib's own ("deflate" means that one).
_WINDOWS: Final = {"gzip": 31, "x-gzip": 31, "deflate": 15}
# More coded bytes than decoded ones come only from empty blocks and members without end.
_SLACK: Final = 64 * 1024

ASKED_FOR: Final = "gzip, deflate"
"""What Accept-Encoding says when decoding was asked for."""

KNOWN: Final = frozenset(_WINDOWS)


class DecodedBody:
    """Reads a coded body as what it stands for.

    Args:
        body: the coded bytes.
        coding: "gzip", "x-gzip" or "deflate".
        digests: those of the coded content, by algorithm, as the server names them.
        limit: how long the decoded content may be.
    """

    def __init__(
        self, body: BodyReader, coding: str, *, digests: Mapping[str, bytes], limit: int
    ) -> None:
        self._body = body
        self._coding = coding
        self._limit = limit
        self._expected = digests
        self._digests = {name: hashlib.new(name.replace("-", "")) for name in digests}
        self._buffer = memoryview(bytearray(_BUFFER))
        self._coded: bytes = b""
        self._decoder = zlib.decompressobj(_WINDOWS[coding])

    def readinto(self, view: memoryview) -> int:
        """Fill the beginning of `view` with decoded bytes; 0 at the end of a whole body.

        Raises:
            BadResponse: the coding is broken or cut, or something follows it.
            TooLarge: the coded content alone is over the limit.
            Interrupted, TransferTimeout: as for the body itself.
        """
        while True:
            if self._coded:
                count = self._decode(view)
                if count:
                    return count
            elif not self._receive():
                if not self._decoder.eof:
                    raise BadResponse(
                        f"The content ends in the middle of its {self._coding} coding."
                    )
                return 0

    def verify(self) -> None:
        """Compare the digests of the coded content, after its end.

        Raises:
            IntegrityError: it does not have one of them.
        """
        for name, expected in self._expected.items():
            if not hmac.compare_digest(self._digests[name].digest(), expected):
                raise IntegrityError(
                    f"The coded content does not have the {name} digest that the server names."
                )

    def _receive(self) -> bool:
        count = self._body.readinto(self._buffer)
        self._coded = bytes(self._buffer[:count])
        for digest in self._digests.values():
            digest.update(self._coded)
        if self._body.received > self._limit + _SLACK:
            raise TooLarge(
                f"The content may be {show_size(self._limit)} long, and more came, still coded.",
                limit=self._limit,
            )
        return count > 0

    def _decode(self, view: memoryview) -> int:
        if self._decoder.eof:
            if self._coding == "deflate":
                raise BadResponse("Something follows the end of the deflate coding.")
            # A gzip file may have several members (RFC 1952 section 2.2).
            self._decoder = zlib.decompressobj(_WINDOWS[self._coding])
        try:
            decoded = self._decoder.decompress(self._coded, len(view))
        except zlib.error as error:
            raise BadResponse(f"The content is not sound {self._coding}.") from error
        self._coded = self._decoder.unconsumed_tail or self._decoder.unused_data
        view[: len(decoded)] = decoded
        return len(decoded)
