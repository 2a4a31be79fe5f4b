"""MPEG audio and transport streams: no magic, but frames that follow each other.

One frame header is eleven set bits and matches by chance; two that lie exactly one
frame length apart do not.
"""

from __future__ import annotations

from typing import Final

__all__ = ["frames_type", "id3_type", "transport_type"]

# Bit rates in kbit/s by (version 1 or 2, layer), ISO/IEC 11172-3 table 2.4.2.3 and 13818-3.
_BIT_RATES: Final[dict[tuple[int, int], tuple[int, ...]]] = {
    (1, 1): (0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (1, 2): (0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (1, 3): (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (2, 1): (0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (2, 2): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (2, 3): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
# Sampling rates in Hz by the version bits: 2.5, reserved, 2, 1.
_SAMPLING_RATES: Final = (
    (11025, 12000, 8000),
    (),
    (22050, 24000, 16000),
    (44100, 48000, 32000),
)
_RESERVED: Final = 3
_PACKET: Final = 188
_PACKETS_TO_SEE: Final = 3


def id3_type(head: bytes) -> str:
    """Return "audio/mpeg" for a plausible ID3v2 tag: version 2 to 4 and a sync-safe size."""
    plausible = head[3:4] in {b"\2", b"\3", b"\4"} and all(byte < 0x80 for byte in head[6:10])  # noqa: PLR2004
    return "audio/mpeg" if plausible else ""


def frames_type(head: bytes) -> str:
    """Return "audio/mpeg" or "audio/aac" when two frames follow each other, or ""."""
    for media_type, length_of in (("audio/mpeg", _audio_length), ("audio/aac", _adts_length)):
        length = length_of(head, 0)
        if length and length_of(head, length):
            return media_type
    return ""


def transport_type(head: bytes) -> str:
    """Return "video/mp2t" when the sync byte stands at three packets in a row, or ""."""
    sync = head[: _PACKET * _PACKETS_TO_SEE : _PACKET]
    return "video/mp2t" if sync == b"\x47" * _PACKETS_TO_SEE else ""


def _audio_length(head: bytes, at: int) -> int:
    header = head[at : at + 4]
    # FF FE is the byte order mark of UTF-16; as a frame it would be the extinct layer I
    # without a checksum. The mark wins, or text could hide behind two false frames.
    if len(header) < 4 or header[0] != 0xFF or header[1] < 0xE0 or header[1] == 0xFE:  # noqa: PLR2004
        return 0
    version_bits = header[1] >> 3 & 3
    layer = 4 - (header[1] >> 1 & 3)
    rates = _SAMPLING_RATES[version_bits]
    rate_index = header[2] >> 2 & 3
    version = 1 if version_bits == _RESERVED else 2
    bit_rates = _BIT_RATES.get((version, layer), ())
    rate_of_bits = header[2] >> 4
    if not rates or rate_index == _RESERVED or not 0 < rate_of_bits < len(bit_rates):
        return 0
    bits = bit_rates[rate_of_bits] * 1000
    padding = header[2] >> 1 & 1
    if layer == 1:
        return (12 * bits // rates[rate_index] + padding) * 4
    samples = 72 if version == 2 and layer == 3 else 144  # noqa: PLR2004 - version and layer numbers
    return samples * bits // rates[rate_index] + padding


def _adts_length(head: bytes, at: int) -> int:
    header = head[at : at + 7]
    if len(header) < 7 or header[0] != 0xFF or header[1] & 0xF6 != 0xF0:  # noqa: PLR2004
        return 0
    length = (header[3] & 3) << 11 | header[4] << 3 | header[5] >> 5
    return length if length > 7 else 0  # noqa: PLR2004 - the header alone is 7 bytes
