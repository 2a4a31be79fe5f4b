"""Images written anew: nothing is left of what was not picture, and the picture is the same."""

from __future__ import annotations

import hashlib
import io
import re
import struct
import zlib
from collections.abc import Callable, Iterator, Mapping

import pytest
from PIL import Image, ImageChops, ImageCms

from support import decoders
from support import pictures as p
from support.here import Here, without_limits
from wharfinger import Policy
from wharfinger.checking import Checker
from wharfinger.checking.pool import Pool
from wharfinger.errors import ContentDamaged, StorageFull, TypeNotAllowed
from wharfinger.inspection import Facts
from wharfinger.inspection.facts import Details

STRIP = Policy(types="image/*", strip_metadata=True, refuse=["damaged"])
ANEW = Policy(types="image/*", reencode=True, refuse=["damaged"])
PAYLOAD = b"<?php made_up_payload(); ?>PK\3\4"
# Long enough that no encoder writes it by chance, without what the head is refused for.
MARK = b"made_up_payload_0123456789"


@pytest.fixture
def checker(monkeypatch: pytest.MonkeyPatch) -> Iterator[Checker]:
    without_limits(monkeypatch)
    with Checker(pool=Here()) as made:
        yield made


def write(checker: Checker, data: bytes, policy: Policy) -> tuple[Facts, bytes | None]:
    """Return the facts, and what was written if anything was."""
    made: list[io.BytesIO] = []

    def rewrite() -> io.BytesIO:
        made.append(io.BytesIO())
        return made[-1]

    facts = Facts(size=len(data), type="", sha256=hashlib.sha256(data).hexdigest())
    found = checker.check(io.BytesIO(data), facts, policy=policy, rewrite=rewrite)
    assert len(made) <= 1
    kept = made[0].getvalue() if made else None
    now = data if kept is None else kept
    assert (found.size, found.sha256) == (len(now), hashlib.sha256(now).hexdigest())
    return found, kept


def everything_in(data: bytes) -> bytes:
    """Return a file and all that can be inflated anywhere in it."""
    found = [data]
    for place in re.finditer(rb"\x78[\x01\x5e\x9c\xda]", data):
        with_rest = zlib.decompressobj()
        try:
            found.append(with_rest.decompress(data[place.start() :], 1_000_000))
        except zlib.error:
            continue
    # PNG splits one stream into several chunks.
    if data.startswith(p.SIGNATURE):
        image = Image.open(io.BytesIO(data))
        image.load()
        found.append(repr(image.info).encode())
    return b"".join(found)


PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
# A profile with a private tag's worth of other bytes behind it, its length made to fit.
LOADED_PROFILE = struct.pack(">I", len(PROFILE) + len(MARK)) + PROFILE[4:] + MARK
COMMENT = p.segment(0xFE, MARK)


def gif_animation_with_comment() -> bytes:
    whole = p.animation("GIF", TWO, duration=[100, 250], loop=0)
    place = 13 + (3 << (whole[10] & 7) + 1)
    return whole[:place] + p.gif_extension(0xFE, MARK) + whole[place:]


TWO = [p.gradient((12, 8)), p.gradient((12, 8)).rotate(180)]
CARRIERS: Mapping[str, Callable[[], bytes]] = {
    "jpeg comment": lambda: p.jpeg(COMMENT),
    "jpeg exif": lambda: p.jpeg(exif=p.exif(more=MARK)),
    "jpeg exif and turned": lambda: p.jpeg(size=(30, 20), exif=p.exif(6, more=MARK)),
    "jpeg profile": lambda: p.jpeg(icc_profile=LOADED_PROFILE),
    "jpeg application segment": lambda: p.jpeg(p.segment(0xEC, MARK)),
    "jpeg comment between scans": lambda: p.jpeg(progressive=True)[:-2] + COMMENT + b"\xff\xd9",
    "jpeg thumbnail of JFIF": lambda: b"\xff\xd8"
    + p.segment(0xE0, b"JFIF\0\1\1\0\0\1\0\1\1\1" + MARK) + p.jpeg()[20:],
    "jpeg of Adobe, longer": lambda: p.jpeg(p.segment(0xEE, b"Adobe\0\x64\0\0\0\0\1" + MARK)),
    "jpeg behind the end": lambda: p.jpeg() + MARK,
    "jpeg second picture": lambda: p.jpeg(p.segment(0xE2, b"MPF\0II*\0")) + p.jpeg(COMMENT),
    "png text": lambda: p.png(p.chunk(b"tEXt", b"Comment\0" + MARK)),
    "png packed text": lambda: p.png(p.chunk(b"zTXt", b"a\0\0" + zlib.compress(MARK * 9))),
    "png international text": lambda: p.png(
        p.chunk(b"iTXt", b"a\0\1\0\0\0" + zlib.compress(MARK))
    ),
    "png private chunk": lambda: p.png(p.chunk(b"prVt", MARK)),
    "png exif": lambda: p.picture("PNG", exif=p.exif(more=MARK)),
    "png exif and turned": lambda: p.picture("PNG", (30, 20), exif=p.exif(8, more=MARK)),
    "png profile": lambda: p.picture("PNG", icc_profile=LOADED_PROFILE),
    "png behind the end": lambda: p.png() + MARK,
    "png colours that nothing uses": lambda: b"".join((
        p.SIGNATURE, p.header(1, 1, colour=3), p.chunk(b"PLTE", b"abc" + MARK + b"x"),
        p.chunk(b"IDAT", zlib.compress(b"\0\0")), p.chunk(b"IEND"),
    )),
    "apng text": lambda: p.animation("PNG", TWO, duration=[100, 250]).replace(
        b"IEND", b"IEND", 1
    )[:-12] + p.chunk(b"tEXt", b"a\0" + MARK) + p.chunk(b"IEND"),
    "gif comment": lambda: p.gif(p.gif_extension(0xFE, MARK), p.gif_frame()),
    "gif animation comment": gif_animation_with_comment,
    "gif application": lambda: p.gif(
        p.gif_extension(0xFF, b"XMP DataXMP", MARK), p.gif_frame()
    ),
    "gif loop with more behind": lambda: p.gif(
        p.gif_extension(0xFF, b"NETSCAPE2.0", b"\1\0\0", MARK), p.gif_frame()
    ),
    "gif loop of another kind": lambda: p.gif(
        p.gif_extension(0xFF, b"NETSCAPE2.0", MARK), p.gif_frame()
    ),
    "gif plain text": lambda: p.gif(
        p.gif_extension(0x01, bytes(12), MARK), p.gif_frame()
    ),
    "gif behind the end": lambda: p.gif(p.gif_frame()) + MARK,
    "webp exif": lambda: p.picture("WEBP", exif=p.exif(more=MARK)),
    "webp xmp": lambda: p.picture("WEBP", xmp=MARK),
    "webp exif and turned": lambda: p.picture("WEBP", (30, 20), exif=p.exif(5, more=MARK)),
    "webp profile": lambda: p.picture("WEBP", icc_profile=LOADED_PROFILE),
    "webp unknown chunk": lambda: p.webp(
        p.picture("WEBP")[12:], p.webp_chunk(b"ABCD", MARK)
    ),
    "webp animation xmp": lambda: p.animation("WEBP", TWO, duration=[100, 250], xmp=MARK),
    "webp behind the end": lambda: p.picture("WEBP") + MARK,
    "bmp gap before the pixels": lambda: bmp_with_gap(p.picture("BMP")),
    "tiff description": lambda: p.picture("TIFF", description=MARK.decode()),
    "tiff profile": lambda: p.picture("TIFF", icc_profile=LOADED_PROFILE),
    "tiff behind the end": lambda: p.picture("TIFF") + MARK,
    "icon with text inside": lambda: icon(p.png(p.chunk(b"tEXt", b"a\0" + MARK), width=16,
                                                height=16)),
    "avif exif": lambda: p.picture("AVIF", exif=p.exif(more=MARK)),
    "avif by libvips": lambda: p.picture("AVIF", exif=p.exif(more=MARK)).replace(b"ftypavif", b"ftypmiaf"),
}  # fmt: skip


def bmp_with_gap(plain: bytes) -> bytes:
    pixels = struct.pack("<I", 54 + len(MARK))
    return plain[:10] + pixels + plain[14:54] + MARK + plain[54:]


def icon(inside: bytes) -> bytes:
    entry = struct.pack("<BBBBHHII", 16, 16, 0, 0, 1, 32, len(inside), 22)
    return b"\0\0\1\0\1\0" + entry + inside


@pytest.mark.parametrize("make", CARRIERS.values(), ids=CARRIERS)
def test_nothing_is_left_of_what_was_not_picture(
    checker: Checker, make: Callable[[], bytes]
) -> None:
    data = make()
    assert MARK in everything_in(data) or b"avif" in data
    found, kept = write(checker, data, ANEW)
    assert kept is not None
    assert MARK not in everything_in(kept)
    # It is an image as before, and passes where it goes next, too.
    again, _ = write(checker, kept, Policy(types="image/*"))
    assert (again.type, again.details) == (found.type, found.details)


# Colours stay right, so that a profile is kept where only metadata goes.
KEPT_BY_STRIP = {"jpeg profile", "png profile", "webp profile", "tiff profile",
                 "png colours that nothing uses"}  # fmt: skip


@pytest.mark.parametrize("name", [name for name in CARRIERS if name not in KEPT_BY_STRIP])
def test_metadata_is_gone(checker: Checker, name: str) -> None:
    found, kept = write(checker, CARRIERS[name](), STRIP)
    assert kept is not None
    assert MARK not in everything_in(kept)
    again, nothing = write(checker, kept, Policy(types="image/*"))
    assert (again.type, again.details) == (found.type, found.details)
    assert nothing is None


def frames_of(data: bytes) -> list[tuple[Image.Image, float]]:
    """Return each frame in RGBA, upright, with its time."""
    image, frames = Image.open(io.BytesIO(data)), []
    beside = bool(image.info.get("default_image"))
    for number in range(beside, getattr(image, "n_frames", 1)):
        image.seek(number)
        image.load()
        frames.append((image.convert("RGBA"), float(image.info.get("duration", 0))))
    return frames


def same_pixels(one: Image.Image, other: Image.Image) -> bool:
    """Return whether both look the same; the colour of what is not seen does not matter."""
    behind = Image.new("RGBA", one.size, (255, 0, 255, 255))
    shown = [Image.alpha_composite(behind, image) for image in (one, other)]
    return ImageChops.difference(*shown).getbbox(alpha_only=False) is None


UNTURNED = [name for name in CARRIERS
            if name.startswith(("jpeg", "png", "apng", "gif", "webp", "tiff", "bmp", "icon"))
            and name != "jpeg second picture" and "turned" not in name]  # fmt: skip


@pytest.mark.parametrize("name", UNTURNED)
def test_taking_out_metadata_leaves_every_pixel_as_it_is(checker: Checker, name: str) -> None:
    data = CARRIERS[name]()
    _, kept = write(checker, data, STRIP)
    before, after = frames_of(data), frames_of(data if kept is None else kept)
    assert [time for _, time in before] == [time for _, time in after]
    assert all(same_pixels(a, b) for (a, _), (b, _) in zip(before, after, strict=True))


@pytest.mark.parametrize("kind", ["PNG", "GIF", "WEBP", "TIFF", "BMP", "ICO"])
def test_formats_without_loss_keep_every_pixel_when_written_anew(
    checker: Checker, kind: str
) -> None:
    options = {"lossless": True} if kind == "WEBP" else {}
    data = p.picture(kind, (16, 16), "P" if kind == "GIF" else "RGB", **options)
    _, kept = write(checker, data, ANEW)
    assert kept is not None
    assert same_pixels(frames_of(data)[0][0], frames_of(kept)[0][0])


MODES = {
    "grey": ("PNG", "L", "L"),
    "black and white": ("PNG", "1", "1"),
    "grey of 16 bits": ("PNG", "I;16", "I;16"),
    "grey with holes": ("PNG", "LA", "LA"),
    "colours by number": ("PNG", "P", "RGB"),
    "print": ("JPEG", "CMYK", "RGB"),
    "print in a tiff": ("TIFF", "CMYK", "CMYK"),
    "grey jpeg": ("JPEG", "L", "L"),
    "fax": ("TIFF", "1", "1"),
    "bitmap in grey": ("BMP", "L", "L"),
}


@pytest.mark.parametrize(("kind", "mode", "becomes"), MODES.values(), ids=MODES)
def test_kinds_of_pixels_are_kept(checker: Checker, kind: str, mode: str, becomes: str) -> None:
    _, kept = write(checker, p.picture(kind, (16, 16), mode), ANEW)
    assert kept is not None
    image = Image.open(io.BytesIO(kept))
    assert (image.format, image.mode) == (kind, becomes)


def square(colour: tuple[int, int, int, int], box: tuple[int, int, int, int]) -> Image.Image:
    image = Image.new("RGBA", (20, 12), (0, 0, 0, 0))
    image.paste(colour, box)
    return image


RED, BLUE, GREEN = (255, 0, 0, 255), (0, 0, 255, 255), (0, 128, 0, 255)
FULL = (0, 0, 20, 12)
OPAQUE = [square(RED, FULL), square(BLUE, FULL), square(BLUE, FULL), square(GREEN, FULL)]
MOVING = [square(RED, (0, 0, 5, 5)), square(BLUE, (7, 3, 12, 8)), square(GREEN, FULL),
          square(RED, (1, 1, 4, 4))]  # fmt: skip
COMING = [square(RED, (0, 0, 5, 5)), square(GREEN, FULL), square(RED, (0, 0, 5, 5))]
PARTLY = [OPAQUE[0], Image.alpha_composite(OPAQUE[0], square(BLUE, (3, 3, 9, 9)))]


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "GIF"])
@pytest.mark.parametrize(
    "frames",
    [OPAQUE, MOVING, COMING, PARTLY],
    ids=["opaque", "with holes", "holes that come again", "partly changed"],
)
def test_an_animation_keeps_its_frames_and_their_times(
    checker: Checker, kind: str, frames: list[Image.Image]
) -> None:
    times = [100, 250, 40, 1000][: len(frames)]
    options: dict[str, object] = {"duration": times, "loop": 3, "disposal": 2}
    if kind == "WEBP":
        options = {"duration": times, "loop": 3, "lossless": True}
    if kind == "PNG":
        options["disposal"] = 1
    data = p.animation(kind, frames, **options)
    # Pillow joins frames that are alike, so that the original is what it made of them.
    before = frames_of(data)
    found, kept = write(checker, data, ANEW)
    assert kept is not None
    after = frames_of(kept)
    assert found.details == Details(width=20, height=12, frames=len(before))
    assert [time for _, time in after] == [time for _, time in before]
    assert all(same_pixels(a, b) for (a, _), (b, _) in zip(before, after, strict=True))
    assert Image.open(io.BytesIO(kept)).info["loop"] == Image.open(io.BytesIO(data)).info["loop"]


def test_a_gif_that_is_shown_once_stays_so(checker: Checker) -> None:
    _, kept = write(checker, p.animation("GIF", TWO), ANEW)
    assert kept is not None
    assert "loop" not in Image.open(io.BytesIO(kept)).info


def test_the_picture_beside_a_png_animation_goes(checker: Checker) -> None:
    data = p.animation("PNG", TWO, default_image=True)
    _, kept = write(checker, data + MARK, ANEW)
    assert kept is not None
    image = Image.open(io.BytesIO(kept))
    assert image.n_frames == 1  # type: ignore[attr-defined]
    assert same_pixels(frames_of(data)[0][0], frames_of(kept)[0][0])


def corners() -> Image.Image:
    """Return a picture whose left upper quarter is red, the rest white."""
    image = Image.new("RGB", (64, 32), "white")
    image.paste((255, 0, 0), (0, 0, 32, 16))
    return image


# Where the red quarter is once the picture is turned (Exif 2.32, table of orientations).
TURNED = {1: (8, 8), 2: (56, 8), 3: (56, 24), 4: (8, 24), 5: (8, 8), 6: (24, 8), 7: (24, 56),
          8: (8, 56)}  # fmt: skip


@pytest.mark.parametrize("policy", [STRIP, ANEW], ids=["strip", "reencode"])
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize(("orientation", "place"), TURNED.items())
def test_a_picture_is_turned_upright(
    checker: Checker, policy: Policy, kind: str, orientation: int, place: tuple[int, int]
) -> None:
    file = io.BytesIO()
    corners().save(file, kind, exif=p.exif(orientation))
    found, kept = write(checker, file.getvalue(), policy)
    assert kept is not None
    image = Image.open(io.BytesIO(kept))
    assert not image.getexif().get(0x0112)
    assert image.size == ((64, 32) if orientation < 5 else (32, 64))
    assert (found.details.width, found.details.height) == image.size
    red, green, blue = image.convert("RGB").getpixel(place)  # type: ignore[misc]
    assert (red > 200, green < 60, blue < 60) == (True, True, True)


def test_a_jpeg_loses_its_metadata_and_no_pixel_is_encoded_again(checker: Checker) -> None:
    plain = p.jpeg(size=(64, 64))
    dirty = plain[:20] + p.segment(0xE1, p.exif(more=MARK)) + COMMENT + plain[20:]
    assert write(checker, dirty, STRIP)[1] == plain


LOAD = MARK * 12
STILL = p.picture("WEBP", lossless=True)[12:]
EXTENDED = b"\x00\0\0\0" + b"\x07\0\0" * 2
ANIMATED = b"\x02" + EXTENDED[1:]
ANMF = bytes(6) + b"\x07\0\0" * 2 + b"\x64\0\0\0"


@pytest.mark.parametrize(
    "data",
    [
        *(
            pytest.param(p.png(p.chunk(kind, LOAD)), id=f"png {kind.decode()}")
            for kind in b"tRNS cHRM gAMA cICP mDCV cLLI sBIT sRGB bKGD pHYs".split()
        ),
        pytest.param(
            p.png(p.chunk(b"gAMA", b"\0\0\xb1\x8f"), p.chunk(b"gAMA", LOAD)), id="png, the second gAMA"
        ),
        pytest.param(p.png()[:-12] + p.chunk(b"IEND", LOAD), id="png IEND"),
        pytest.param(p.jpeg(p.segment(0xDC, LOAD)), id="jpeg DNL"),
        pytest.param(
            p.gif(p.gif_extension(0xF9, bytes(4), LOAD[:200]), p.gif_frame()), id="gif, more control"
        ),
        pytest.param(
            p.gif(p.gif_extension(0xF9, bytes(4) + LOAD[:200]), p.gif_frame()), id="gif, long control"
        ),
        pytest.param(
            p.webp(p.webp_chunk(b"VP8X", EXTENDED), STILL, p.webp_chunk(b"ALPH", b"\0" + LOAD)),
            id="webp, alpha behind the picture",
        ),
        pytest.param(
            p.webp(
                p.webp_chunk(b"VP8X", ANIMATED),
                p.webp_chunk(b"ANIM", bytes(6) + LOAD),
                p.webp_chunk(b"ANMF", ANMF + STILL),
                p.webp_chunk(b"ANMF", ANMF + STILL + p.webp_chunk(b"what", LOAD)),
            ),
            id="webp, in an animation",
        ),
    ],
)  # fmt: skip
def test_parts_that_are_kept_hold_no_more_than_they_need(checker: Checker, data: bytes) -> None:
    _, kept = write(checker, data, STRIP)
    assert kept is not None
    # The numbers of a colour space take 32 bytes.
    assert LOAD[:40] not in everything_in(kept)
    for (before, _), (after, _) in zip(frames_of(data), frames_of(kept), strict=True):
        assert same_pixels(before, after)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "WEBP"])
def test_an_image_without_metadata_is_not_written_at_all(checker: Checker, kind: str) -> None:
    assert write(checker, p.picture(kind), STRIP)[1] is None


def test_only_a_policy_that_says_so_has_images_written_anew(checker: Checker) -> None:
    assert write(checker, p.jpeg(COMMENT), Policy(types="images"))[1] is None


def swapped() -> bytes:
    """Return a profile of a space whose red is the green of others."""
    profile = bytearray(PROFILE)
    table = {bytes(profile[i : i + 4]): i for i in range(132, 132 + 12 * profile[131], 12)}
    red, green = table[b"rXYZ"], table[b"gXYZ"]
    profile[red + 4 : red + 8], profile[green + 4 : green + 8] = (
        profile[green + 4 : green + 8], profile[red + 4 : red + 8],
    )  # fmt: skip
    return bytes(profile)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "TIFF"])
def test_colours_are_right_without_their_profile(checker: Checker, kind: str) -> None:
    file = io.BytesIO()
    options = {"lossless": True} if kind == "WEBP" else {}
    Image.new("RGB", (16, 16), (255, 0, 0)).save(file, kind, icc_profile=swapped(), **options)
    _, kept = write(checker, file.getvalue(), ANEW)
    assert kept is not None
    image = Image.open(io.BytesIO(kept))
    assert "icc_profile" not in image.info
    red, green, _ = image.convert("RGB").getpixel((5, 5))  # type: ignore[misc]
    assert (red < 60, green > 200) == (True, True)
    _, stripped = write(checker, file.getvalue(), STRIP)
    image = Image.open(io.BytesIO(stripped or file.getvalue()))
    assert image.info["icc_profile"] == swapped()


def test_a_profile_that_cannot_be_read_is_left_out(checker: Checker) -> None:
    data = p.picture("PNG", icc_profile=b"not a profile at all")
    _, kept = write(checker, data, ANEW)
    assert kept is not None
    assert same_pixels(frames_of(data)[0][0], frames_of(kept)[0][0])


@pytest.mark.parametrize("quality", [30, 70, 85, 95])
def test_a_jpeg_written_anew_is_about_as_large_and_as_good(checker: Checker, quality: int) -> None:
    data = p.noise("JPEG", (300, 300), "RGB", quality=quality)
    _, kept = write(checker, data, ANEW)
    assert kept is not None
    assert 0.7 < len(kept) / len(data) < 2
    assert kept[:2] == b"\xff\xd8"


def test_a_heic_is_written_anew(checker: Checker) -> None:
    pillow_heif = pytest.importorskip("pillow_heif")
    file = io.BytesIO()
    pillow_heif.from_pillow(p.gradient((64, 48))).save(file, exif=p.exif(more=MARK))
    assert MARK in file.getvalue()
    for policy in (STRIP, ANEW):
        found, kept = write(checker, file.getvalue(), policy)
        assert kept is not None
        assert MARK not in kept
        assert found.details == Details(width=64, height=48, frames=1)


def test_an_image_that_is_damaged_is_not_kept_where_it_was_to_be_written_anew(
    checker: Checker,
) -> None:
    lenient = Policy(reencode=True, refuse=[])
    with pytest.raises(ContentDamaged, match="cannot be written anew"):
        write(checker, p.jpeg()[:-2], lenient)
    with pytest.raises(TypeNotAllowed, match="JPEG 2000 images cannot be checked here"):
        write(checker, b"\0\0\0\x0cjP  \r\n\x87\n\0\0\0\x14ftypjp2 \0\0\0\0jp2 ", lenient)


ANSWERS = {
    "nothing": ({}, ContentDamaged),
    "no length": ({"written": True}, ContentDamaged),
    "a length that is none": ({"written": True, "length": True}, ContentDamaged),
    "a length beyond the limit": ({"written": True, "length": 10**12}, ContentDamaged),
    "a full disk": ({"full": True}, StorageFull),
}


@pytest.mark.parametrize(("answer", "error"), ANSWERS.values(), ids=ANSWERS)
def test_an_answer_is_believed_only_in_its_form(
    monkeypatch: pytest.MonkeyPatch, answer: dict[str, object], error: type[Exception]
) -> None:
    without_limits(monkeypatch)
    checker = Checker(pool=Here())
    honest = checker._pool.run
    monkeypatch.setattr(
        checker._pool, "run",
        lambda job, **more: answer if job == "rewrite" else honest(job, **more),
    )  # fmt: skip
    with pytest.raises(error):
        write(checker, p.jpeg(COMMENT), ANEW)


def test_an_encoder_that_crashes_means_that_the_file_is_refused() -> None:
    jobs = {"image": "wharfinger.checking.pictures:check", "rewrite": decoders.JOBS["crash"]}
    crashed = pytest.raises(ContentDamaged, match=r"written anew: the decoder crashed")
    with Checker(pool=Pool(processes=1, jobs=jobs)) as checker, crashed:
        write(checker, p.jpeg(COMMENT), STRIP)


def test_the_same_is_written_in_a_process_of_its_own(checker: Checker) -> None:
    data = CARRIERS["jpeg exif and turned"]()
    with Checker(processes=1) as other:
        assert write(other, data, STRIP) == write(checker, data, STRIP)
        assert write(other, data, ANEW) == write(checker, data, ANEW)
