"""Containers that hold many formats: the brand, document type or codec inside tells which.

ISO base media (MP4, MOV, AVIF, HEIC), EBML (WebM, Matroska), RIFF and Ogg.
"""

from __future__ import annotations

from typing import Final

__all__ = ["ebml_type", "iff_type", "isobmff_type", "ogg_type", "riff_type"]

# The MP4 registration authority's brands, by what people call the file.
_BRANDS: Final[dict[bytes, str]] = {
    **dict.fromkeys((b"avif", b"avis"), "image/avif"),
    **dict.fromkeys((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx"), "image/heic"),
    **dict.fromkeys((b"M4A ", b"M4B ", b"M4P "), "audio/mp4"),
    b"qt  ": "video/quicktime",
    **dict.fromkeys((b"3gp4", b"3gp5", b"3gp6", b"3gp7", b"3g2a", b"3g2b", b"3g2c"), "video/3gpp"),
    **dict.fromkeys(
        (
            *(b"isom", b"iso2", b"iso3", b"iso4", b"iso5", b"iso6", b"iso7", b"iso8", b"iso9"),
            *(b"mp41", b"mp42", b"mp71", b"avc1", b"hvc1", b"dash", b"msdh", b"MSNV", b"M4V "),
            *(b"f4v ", b"F4V ", b"mmp4", b"NDSC", b"cmfc", b"XAVC"),
        ),
        "video/mp4",
    ),
}
# Brands that say "an image in a HEIF container"; the compatible brands say which.
_HEIF_BRANDS: Final = frozenset({b"mif1", b"mif2", b"msf1"})
# QuickTime files from before ftyp begin with one of these atoms (QuickTime File Format, 2001).
_OLD_QUICKTIME: Final = frozenset({b"moov", b"mdat", b"wide", b"pnot"})
_MOST_BRANDS: Final = 32


def isobmff_type(head: bytes) -> str:
    """Return the media type of an ISO base media or old QuickTime file, or ""."""
    box = head[4:8]
    if box != b"ftyp":
        return "video/quicktime" if box in _OLD_QUICKTIME else ""
    end = min(int.from_bytes(head[:4], "big"), 16 + 4 * _MOST_BRANDS)
    major = head[8:12]
    compatible = [head[at : at + 4] for at in range(16, min(end, len(head)) - 3, 4)]
    if major in _HEIF_BRANDS:
        known = (_BRANDS.get(brand, "") for brand in compatible)
        return next((found for found in known if found.startswith("image/")), "image/heif")
    return _BRANDS.get(major) or next(
        (_BRANDS[brand] for brand in compatible if brand in _BRANDS), ""
    )


def ebml_type(head: bytes) -> str:
    """Return the media type that the DocType element names (RFC 8794 section 11.2.6), or ""."""
    at = head.find(b"\x42\x82", 4, 80)
    doctype = head[at + 3 : at + 11] if at > 0 else b""
    if doctype.startswith(b"webm"):
        return "video/webm"
    return "video/x-matroska" if doctype == b"matroska" else ""


def riff_type(head: bytes) -> str:
    """Return the media type of a RIFF or RF64 file by its form, or ""."""
    form = head[8:12]
    if form == b"WEBP":
        # The first chunk is one of "VP8 ", "VP8L", "VP8X" (RFC 9649 section 2).
        return "image/webp" if b"VP8".startswith(head[12:15]) else ""
    return {b"WAVE": "audio/wav", b"AVI ": "video/x-msvideo"}.get(form, "")


def iff_type(head: bytes) -> str:
    """Return "audio/aiff" for an AIFF or AIFF-C file, or ""."""
    return "audio/aiff" if head[8:12] in {b"AIFF", b"AIFC"} else ""


def ogg_type(head: bytes) -> str:
    """Return the media type by the codec of the first page (RFC 5334 section 4)."""
    first_packet = head[28:36]
    if first_packet.startswith((b"\x80theora", b"\x01video", b"BBCD")):
        return "video/ogg"
    if first_packet.startswith((b"fishead", b"\x80kate")):
        return "application/ogg"
    return "audio/ogg"
