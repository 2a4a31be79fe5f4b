"""Where images end: honest ones pass, anything behind or missing is found from the structure."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support import pictures as p
from wharfinger import Policy
from wharfinger.errors import ContentDamaged, HiddenContent, Rejected, TooComplex
from wharfinger.inspection.findings import Findings
from wharfinger.inspection.image_ends import look

JPEG, PNG, GIF, WEBP = "image/jpeg", "image/png", "image/gif", "image/webp"
BMP, ICO, TIFF, AVIF = "image/bmp", "image/vnd.microsoft.icon", "image/tiff", "image/avif"

XMP = b"http://ns.adobe.com/xap/1.0/\0"
MPF = p.segment(0xE2, b"MPF\0II*\0")
GAIN_MAP = p.segment(0xE1, XMP + b'<x hdrgm:Version="1.0"/>')
AVIF_HEAD = p.box(b"ftyp", b"avif\0\0\0\0") + p.box(b"meta", b"\0\0\0\0")


def judge(data: bytes, media_type: str, policy: Policy | None = None) -> tuple[str, ...]:
    findings = Findings(policy or Policy.images())
    assert look(io.BytesIO(data), len(data), media_type, findings) is None
    return findings.words


def notes(*blocks: bytes, back: int = 0, count: int = 0, name: bytes = b"SEFH") -> bytes:
    """Return what Samsung's cameras write behind a picture."""
    left, directory = sum(map(len, blocks)) + back, b""
    for block in blocks:
        directory += b"\0\0\1\x0a" + struct.pack("<II", left, len(block))
        left -= len(block)
    directory = name + struct.pack("<II", 107, count or len(blocks)) + directory
    return b"".join(blocks) + directory + struct.pack("<I", len(directory)) + b"SEFT"


NOTE = b"\0\0\1\x0a\x0e\0\0\0Image_UTC_Data1737287607031"


def bmp(*, declared: int = 0, compression: int = 0, rows: bytes = b"\0" * 4) -> bytes:
    """Return a BMP of one pixel of 24 bits."""
    info = struct.pack("<IiiHHIIiiII", 40, 1, 1, 1, 24, compression, declared, 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 0, 0, 0, 54) + info + rows


def bmp_with_profile(kind: bytes, profile: bytes) -> bytes:
    info = struct.pack("<IiiHHIIiiII", 124, 1, 1, 1, 24, 0, 0, 0, 0, 0, 0)
    info += bytes(56 - 40) + kind + bytes(112 - 60) + struct.pack("<II", 128, len(profile))
    info += bytes(4)
    return b"BM" + struct.pack("<IHHI", 0, 0, 0, 138) + info + b"\0" * 4 + profile


def big_tiff() -> bytes:
    head = struct.pack("<2sHHHQ", b"II", 43, 8, 0, 16)
    entries = struct.pack("<HHQQHHQQ", 256, 3, 1, 5, 257, 16, 1, 7)
    return head + struct.pack("<Q", 2) + entries + struct.pack("<Q", 0)


def text_chunk(kind: bytes, inflated: int) -> bytes:
    data = zlib.compress(b"x" * inflated, 9)
    if kind == b"iTXt":
        return p.chunk(kind, b"key\0\1\0en\0clef\0" + data)
    return p.chunk(kind, b"key\0\0" + data)


HONEST = {
    "jpeg": (p.jpeg(), JPEG),
    "jpeg that is progressive": (p.jpeg(progressive=True, size=(64, 64)), JPEG),
    "jpeg with fill bytes before a marker": (p.jpeg(b"\xff\xff\xff\xfe\0\3x"), JPEG),
    "jpeg with a marker that stands alone": (p.jpeg(b"\xff\x01\xff\xd0"), JPEG),
    "jpeg with restarts": (p.jpeg(size=(64, 64), restart_marker_blocks=1), JPEG),
    "jpeg with pixels longer than one read": (p.jpeg()[:-2] + bytes(600_000) + b"\xff\xd9", JPEG),
    "jpeg padded with zeros": (p.jpeg() + b"\0" * 512, JPEG),
    "jpeg padded with ones": (p.jpeg() + b"\xff" * 1000, JPEG),
    "jpeg with a line end": (p.jpeg() + b"\r\n", JPEG),
    "jpeg with a second picture": (p.jpeg(MPF) + p.jpeg(), JPEG),
    "jpeg with a second picture on a boundary": (p.jpeg(MPF) + b"\0" * 99 + p.jpeg(), JPEG),
    "jpeg with a second picture far behind": (p.jpeg(MPF) + bytes(300_000) + p.jpeg(), JPEG),
    "jpeg with a gain map": (p.jpeg(GAIN_MAP) + p.jpeg(), JPEG),
    "jpeg that announces a second picture and has none": (p.jpeg(MPF), JPEG),
    "jpeg with other metadata": (p.jpeg(p.segment(0xE1, XMP), p.segment(0xE2, b"x")), JPEG),
    "jpeg with a camera's notes": (p.jpeg() + notes(NOTE, b"second"), JPEG),
    "heic with a camera's notes": (AVIF_HEAD + p.box(b"sefd", notes(NOTE)), "image/heic"),
    "png": (p.png(), PNG),
    "png with a line end": (p.png() + b"\n", PNG),
    "png with texts": (
        p.png(text_chunk(b"zTXt", 1000), text_chunk(b"iTXt", 1000), text_chunk(b"iCCP", 100)),
        PNG,
    ),
    "png with plain texts": (p.png(p.chunk(b"iTXt", b"key\0\0\0en\0clef\0text")), PNG),
    "png with a text that is not packed as it says": (
        p.png(p.chunk(b"zTXt", b"key\0\0nonsense"), p.chunk(b"zTXt", b"no end of the key")),
        PNG,
    ),
    "png with a chunk longer than one read": (p.png(p.chunk(b"prVt", bytes(600_000))), PNG),
    "apng": (p.animation("PNG", [p.gradient(), p.gradient((8, 8)).rotate(90)]), PNG),
    "gif": (p.gif(p.gif_frame()), GIF),
    "gif without colours": (p.picture("GIF", mode="L"), GIF),
    "gif with a comment": (p.gif(p.gif_extension(0xFE, b"hello"), p.gif_frame()), GIF),
    "gif87a": (p.gif(p.gif_frame()).replace(b"GIF89a", b"GIF87a"), GIF),
    "webp": (p.picture("WEBP"), WEBP),
    "webp without loss": (p.picture("WEBP", lossless=True), WEBP),
    "webp animation": (p.animation("WEBP", [p.gradient(), p.gradient().rotate(90)]), WEBP),
    "webp with metadata": (p.picture("WEBP", exif=p.exif(3), xmp=b"<x/>"), WEBP),
    "bmp": (bmp(), BMP),
    "bmp by Pillow": (p.picture("BMP"), BMP),
    "bmp from the top": (bmp()[:22] + struct.pack("<i", -1) + bmp()[26:], BMP),
    "bmp of OS/2": (
        b"BM" + struct.pack("<IHHI", 30, 0, 0, 26) + struct.pack("<IHHHH", 12, 1, 1, 1, 24)
        + bytes(4),
        BMP,
    ),
    "bmp packed by runs": (bmp(compression=1, declared=2, rows=b"\0\1"), BMP),
    "bmp packed by runs that says no length": (bmp(compression=1, rows=b"\0\1"), BMP),
    "bmp with a profile": (bmp_with_profile(b"DEBM", b"profile"), BMP),
    "bmp with the name of a profile": (bmp_with_profile(b"KNIL", b"name"), BMP),
    "bmp with no profile": (bmp_with_profile(b"BGRs", b""), BMP),
    "icon": (p.picture("ICO", (16, 16)), ICO),
    "tiff": (p.picture("TIFF"), TIFF),
    "tiff of two pages": (p.tiff((1, 1), (2, 2)), TIFF),
    "tiff from the other end": (b"MM\0*\0\0\0\x08\0\1" + bytes(12) + bytes(4), TIFF),
    "tiff with anything behind": (p.tiff((1, 1)) + b"nobody points here", TIFF),
    "tiff without its last pointer": (p.tiff((1, 1))[:-4], TIFF),
    "big tiff": (big_tiff(), TIFF),
    "avif": (AVIF_HEAD + p.box(b"mdat", b"pixels"), AVIF),
    "avif whose pixels go to the end": (AVIF_HEAD + p.box(b"mdat", b"pixels", length=0), AVIF),
    "avif with a long box": (
        AVIF_HEAD + struct.pack(">I4sQ", 1, b"mdat", 22) + b"pixels", AVIF,
    ),
    "heic": (AVIF_HEAD, "image/heic"),
    "another type": (b"%PDF-1.7", "application/pdf"),
}  # fmt: skip


@pytest.mark.parametrize(("data", "media_type"), HONEST.values(), ids=HONEST)
def test_an_honest_image_passes(data: bytes, media_type: str) -> None:
    assert judge(data, media_type) == ()


ZIP = b"PK\3\4 and so on"
TRAILING = {
    "jpeg and a zip": (p.jpeg() + ZIP, JPEG, 14),
    "jpeg and zeros and a zip": (p.jpeg() + bytes(100) + ZIP, JPEG, 114),
    "jpeg and too many zeros": (p.jpeg() + bytes(65_537), JPEG, 65_537),
    "jpeg and a jpeg that nobody announced": (p.jpeg() + b"\xff\xd8\xff", JPEG, 3),
    "jpeg of two pictures and a zip": (p.jpeg(MPF) + p.jpeg() + ZIP, JPEG, 14),
    "jpeg and bytes before a camera's notes": (p.jpeg() + ZIP + notes(NOTE), JPEG, 81),
    "jpeg and bytes behind the last note": (p.jpeg() + notes(NOTE, back=5), JPEG, 67),
    "jpeg and notes that are not all told": (
        p.jpeg() + notes(NOTE)[:-9] + bytes(5) + struct.pack("<I", 24) + b"SEFT", JPEG, 71,
    ),
    "jpeg and notes of a wrong count": (p.jpeg() + notes(NOTE, count=3), JPEG, 67),
    "jpeg and notes of another name": (p.jpeg() + notes(NOTE, name=b"SEFX"), JPEG, 67),
    "jpeg and a film for a note": (p.jpeg() + notes(bytes(5000)), JPEG, 5032),
    "jpeg and bytes that no note is said to be": (p.jpeg() + b"hidden" + notes(), JPEG, 26),
    "png and html": (p.png() + b"<script>", PNG, 8),
    "png and a second png": (p.png() + p.png(), PNG, len(p.png())),
    "gif and php": (p.gif(p.gif_frame()) + b"<?php", GIF, 5),
    "webp and a zip": (p.picture("WEBP") + ZIP, WEBP, 14),
    "bmp and a program": (bmp() + b"MZ", BMP, 2),
    "bmp packed by runs and a program": (bmp(compression=1, declared=2) + b"MZ", BMP, 4),
    "icon and a zip": (p.picture("ICO", (16, 16)) + ZIP, ICO, 14),
    "avif and a zip": (AVIF_HEAD + ZIP, AVIF, 14),
    "avif and a few bytes": (AVIF_HEAD + b"abc", AVIF, 3),
}  # fmt: skip


@pytest.mark.parametrize(("data", "media_type", "count"), TRAILING.values(), ids=TRAILING)
def test_bytes_behind_the_end_are_hidden_content(data: bytes, media_type: str, count: int) -> None:
    with pytest.raises(HiddenContent, match=f"^{count} bytes follow the end of the "):
        judge(data, media_type)
    lenient = Policy(types=media_type, refuse=[])
    assert judge(data, media_type, lenient) == ("trailing-data",)


def test_no_more_pictures_follow_than_any_camera_writes() -> None:
    judge(p.jpeg(MPF) + p.jpeg() * 15, JPEG)
    with pytest.raises(HiddenContent):
        judge(p.jpeg(MPF) + p.jpeg() * 16, JPEG)


WRONG_SUM = p.png()[:-4] + b"\0\0\0\0"
DAMAGED = {
    "jpeg of three bytes": (b"\xff\xd8\xff", JPEG, "inside its segments"),
    "jpeg that begins otherwise": (b"\xff\xd9\xff", JPEG, "does not begin"),
    "jpeg without a picture": (b"\xff\xd8\xff\xd9", JPEG, "no picture"),
    "jpeg and html": (b"\xff\xd8\xff<html>", JPEG, "after 9 bytes, inside a segment"),
    "jpeg with html for a segment": (b"\xff\xd8\xff\xe0\0\2<html>", JPEG, "no segment at byte 6"),
    "jpeg with a zero marker": (b"\xff\xd8\xff\0\0\0", JPEG, "no segment at byte 2"),
    "jpeg in a jpeg's place": (b"\xff\xd8\xff\xd8\xff", JPEG, "no segment at byte 2"),
    "jpeg with a segment of no length": (b"\xff\xd8\xff\xe0\0\1", JPEG, "has no length"),
    "jpeg with a short frame header": (b"\xff\xd8\xff\xc0\0\3\x08\xff\xd9", JPEG, "too short"),
    "jpeg with a second picture cut": (p.jpeg(MPF) + p.jpeg()[:-2], JPEG, "without an end"),
    "png with html for chunks": (p.SIGNATURE + b"<html><body>", PNG, "inside the chunk"),
    "png that begins otherwise": (b"\x89PNG", PNG, "does not begin"),
    "png with a wrong checksum": (WRONG_SUM, PNG, "checksum of the chunk 'IEND' at byte"),
    "png without pixels": (p.SIGNATURE + p.header(1, 1) + p.chunk(b"IEND"), PNG, "no picture"),
    "png with two headers": (p.png(p.header(1, 1)), PNG, "stands there twice"),
    "png without a header": (p.SIGNATURE + p.chunk(b"IEND"), PNG, "not its first chunk"),
    "png with a long header": (p.SIGNATURE + p.chunk(b"IHDR", bytes(14)), PNG, "wrong length"),
    "png with keywords that do not end": (
        p.png(p.chunk(b"iTXt", b"key\0\1\0en\0" + b"x" * 5000)), PNG, "do not end",
    ),
    "gif and php": (b"GIF89a\1\0\1\0\0\0\0<?php", GIF, "no block at byte 13"),
    "gif that begins otherwise": (b"GIF88a" + bytes(10), GIF, "does not begin"),
    "gif without a picture": (p.gif(), GIF, "no picture"),
    "gif with something else between": (p.gif(b"<?php"), GIF, "no block at byte 19"),
    "webp and html": (b"RIFF\x10\0\0\0WEBP<html>", WEBP, "inside its 24 bytes"),
    "webp that is a wave": (b"RIFF\x04\0\0\0WAVE", WEBP, "does not begin"),
    "webp without a picture": (p.webp(p.webp_chunk(b"EXIF", b"x")), WEBP, "no picture"),
    "webp with a chunk that is too long": (
        p.webp(b"VP8 \xff\0\0\0...."), WEBP, "chunk at byte 12 is longer",
    ),
    "bmp of text": (b"BM or not BM, that is the question", BMP, "TooComplex|damaged"),
    "bmp with a tiny header": (b"BM" + bytes(8) + b"\0\0\0\0\4\0\0\0", BMP, "has 4 bytes"),
    "bmp that is none": (b"MB" + bytes(20), BMP, "does not begin"),
    "bmp without pixels": (bmp()[:54], BMP, "inside its header"),
    "icon of nothing": (b"\0\0\1\0\0\0", ICO, "no picture"),
    "icon that is none": (b"\0\0\3\0\1\0", ICO, "does not begin"),
    "tiff without directories": (b"II*\0\0\0\0\0", TIFF, "no picture"),
    "tiff in a circle": (p.tiff((1, 1), (1, 1), following=8), TIFF, "lead back to byte 8"),
    "tiff that points outside": (p.tiff((1, 1), following=9999), TIFF, "inside directory 2"),
    "tiff that points beyond all files": (
        struct.pack("<2sHHHQ", b"II", 43, 8, 0, 2**64 - 1), TIFF, "inside directory 1",
    ),
    "tiff with too many entries": (b"II*\0\x08\0\0\0\xff\xff", TIFF, "inside directory 1"),
    "avif without a picture": (p.box(b"ftyp"), AVIF, "no picture"),
    "avif with a box of no length": (AVIF_HEAD + p.box(b"free", length=4), AVIF, "has 4 bytes"),
    "avif with a box cut": (AVIF_HEAD + p.box(b"mdat", length=99), AVIF, "the box 'mdat'"),
}  # fmt: skip


@pytest.mark.parametrize(("data", "media_type", "why"), DAMAGED.values(), ids=DAMAGED)
def test_a_broken_structure_is_damaged(data: bytes, media_type: str, why: str) -> None:
    if media_type == BMP and why.startswith("TooComplex"):
        # Letters make large numbers: whichever is noticed first, it does not pass.
        with pytest.raises(Rejected):
            judge(data, media_type)
        return
    with pytest.raises(ContentDamaged, match=why):
        judge(data, media_type)
    assert judge(data, media_type, Policy(types=media_type, refuse=[])) == ("damaged",)


CUT = {
    "jpeg": (p.jpeg(p.segment(0xFE, b"note")), JPEG, 0),
    "png": (p.png(), PNG, 0),
    "gif": (p.gif(p.gif_extension(0xFE, b"note"), p.gif_frame()), GIF, 0),
    "webp": (p.picture("WEBP"), WEBP, 0),
    "icon": (p.picture("ICO", (16, 16)), ICO, 0),
    # The last box ends where the file does; between two boxes a cut looks like an end.
    "avif": (p.box(b"ftyp", b"avif") + p.box(b"meta", bytes(64)), AVIF, 0),
}


@pytest.mark.parametrize(("data", "media_type", "first"), CUT.values(), ids=CUT)
def test_an_image_cut_anywhere_is_damaged(data: bytes, media_type: str, first: int) -> None:
    for length in range(first, len(data)):
        with pytest.raises(ContentDamaged):
            judge(data[:length], media_type)


LARGE = {
    "png of 60000 x 60000": (lambda: p.SIGNATURE + p.header(60_000, 60_000), PNG, "pixels"),
    "png of 20000 x 20000 in 1 bit": (lambda: p.flat_png(20_000), PNG, "pixels"),
    "jpeg of 65500 x 65500": (
        lambda: b"\xff\xd8" + p.segment(0xC2, struct.pack(">BHHB", 8, 65_500, 65_500, 1)), JPEG, "pixels",
    ),
    "gif canvas": (lambda: p.gif(p.gif_frame(), size=(65_535, 65_535)), GIF, "pixels"),
    "gif frame beyond its canvas": (lambda: p.gif(p.gif_frame((60_000, 60_000, 1, 1))), GIF, "pixels"),
    "gif of 100000 frames": (lambda: p.gif(*[p.gif_frame()] * 100_000), GIF, "frames"),
    "gif of 500 tiny frames on a large canvas": (
        lambda: p.gif(*[p.gif_frame()] * 500, size=(5000, 5000)), GIF, "pixels",
    ),
    "webp canvas": (
        lambda: p.webp(p.webp_chunk(b"VP8X", b"\2\0\0\0" + b"\xff\xff\0" * 2)), WEBP, "pixels",
    ),
    "webp frames": (
        lambda: p.webp(
            p.webp_chunk(b"VP8X", b"\2\0\0\0" + b"\x0f\0\0" * 2),
            *[p.webp_chunk(b"ANMF", bytes(16))] * 1001,
        ),
        WEBP, "frames",
    ),
    "apng frames": (lambda: p.png(*[p.chunk(b"fcTL", bytes(26))] * 1001), PNG, "frames"),
    "bmp": (lambda: bmp()[:18] + struct.pack("<ii", 30_000, -30_000) + bmp()[26:], BMP, "pixels"),
    "icon": (lambda: b"\0\0\1\0\xff\xff", ICO, "frames"),
    "tiff": (lambda: p.tiff((30_000, 30_000)), TIFF, "pixels"),
    "tiff of many pages": (lambda: p.tiff(*[(1, 1)] * 1001), TIFF, "frames"),
    "tiff of many large pages": (lambda: p.tiff(*[(7000, 7000)] * 11), TIFF, "pixels"),
    "png with a packed text of 100 MB": (lambda: p.png(text_chunk(b"zTXt", 100_000_000)), PNG, "bytes"),
    "png with a packed text in Unicode": (lambda: p.png(text_chunk(b"iTXt", 2_000_000)), PNG, "bytes"),
    "png with a packed profile": (lambda: p.png(text_chunk(b"iCCP", 2_000_000)), PNG, "bytes"),
    "png with many packed texts that are damaged": (
        lambda: p.png(*[p.chunk(b"zTXt", b"key\0\0" + zlib.compress(bytes(1_000_000))[:-1] + b"?")] * 9),
        PNG, "bytes",
    ),
    "png with many packed texts": (lambda: p.png(*[text_chunk(b"zTXt", 1_000_000)] * 9), PNG, "bytes"),
}  # fmt: skip


@pytest.mark.parametrize(("make", "media_type", "what"), LARGE.values(), ids=LARGE)
def test_limits_hold_before_anything_is_decoded_whatever_is_refused(
    make: Callable[[], bytes], media_type: str, what: str
) -> None:
    data = make()
    for policy in (Policy.images(), Policy(types=media_type, refuse=[])):
        with pytest.raises(TooComplex) as caught:
            judge(data, media_type, policy)
        assert caught.value.what == what


class Counting(io.BytesIO):
    """Counts the bytes that are read of it."""

    count = 0

    def read(self, size: int | None = -1, /) -> bytes:
        piece = super().read(size)
        self.count += len(piece)
        return piece


def test_a_hundred_thousand_empty_scans_are_read_once() -> None:
    data = p.jpeg()[:-2] + b"\xff\xda\0\2" * 100_000 + b"\xff\xd9"
    file = Counting(data)
    look(file, len(data), JPEG, Findings(Policy.images()))
    assert file.count < 2 * len(data)


def test_a_limit_is_told_with_the_size() -> None:
    with pytest.raises(TooComplex) as caught:
        judge(p.picture("PNG", (30, 20)), PNG, Policy(types=PNG, max_pixels=599))
    assert str(caught.value) == "The image has 30 x 20 pixels; at most 599 are accepted."
    assert caught.value.limit == 599
    judge(p.picture("PNG", (30, 20)), PNG, Policy(types=PNG, max_pixels=600))


SAMPLES = [(data, kind) for data, kind in HONEST.values() if len(data) < 5000]


@given(sample=st.sampled_from(SAMPLES), data=st.data())
def test_no_change_of_bytes_makes_the_walk_raise_anything_else(
    sample: tuple[bytes, str], data: st.DataObject
) -> None:
    content, media_type = bytearray(sample[0]), sample[1]
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    try:
        judge(bytes(content), media_type, Policy(refuse=[]))
    except TooComplex as error:
        assert error.limit > 0  # noqa: PT017 - the only error that may be raised
