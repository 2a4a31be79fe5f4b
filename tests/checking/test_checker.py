"""What passes and what is refused, decided by real decoders in processes of their own."""

from __future__ import annotations

import gzip
import io
import os
import struct
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

import pytest
from PIL import Image

from support import decoders
from support import pictures as p
from support.measure import MIB, Process
from wharfinger import Policy
from wharfinger.checking import Checker
from wharfinger.checking.pool import Pool
from wharfinger.errors import (
    ActiveContent,
    ContentDamaged,
    HiddenContent,
    Rejected,
    TooComplex,
    TooLarge,
    TypeNotAllowed,
    Unavailable,
    UsageError,
)
from wharfinger.inspection import Facts
from wharfinger.inspection.facts import Details

JPEG, PNG, GIF, WEBP = "image/jpeg", "image/png", "image/gif", "image/webp"
BMP, ICO, TIFF = "image/bmp", "image/vnd.microsoft.icon", "image/tiff"
AVIF, HEIC = "image/avif", "image/heic"
ANY_IMAGE = Policy(types="image/*")


@pytest.fixture(scope="module")
def checker() -> Iterator[Checker]:
    with Checker(processes=1) as made:
        yield made


def judge(
    checker: Checker,
    data: bytes,
    policy: Policy = ANY_IMAGE,
    rewrite: Callable[[], BinaryIO] | None = None,
) -> Facts:
    facts = Facts(size=len(data), type="", sha256="")
    return checker.check(io.BytesIO(data), facts, policy=policy, rewrite=rewrite)


def heif() -> bytes:
    pillow_heif = pytest.importorskip("pillow_heif")
    file = io.BytesIO()
    pillow_heif.from_pillow(p.gradient((64, 48))).save(file)
    return file.getvalue()


TWO = [p.gradient((12, 8)), p.gradient((12, 8)).rotate(180)]
HONEST: Mapping[str, tuple[Callable[[], bytes], str, int, int, int]] = {
    "jpeg": (lambda: p.jpeg(size=(30, 20)), JPEG, 30, 20, 1),
    "jpeg in grey": (lambda: p.picture("JPEG", (30, 20), "L"), JPEG, 30, 20, 1),
    "jpeg for print": (lambda: p.picture("JPEG", (30, 20), "CMYK"), JPEG, 30, 20, 1),
    "jpeg held upright": (lambda: p.jpeg(size=(30, 20), exif=p.exif(6)), JPEG, 20, 30, 1),
    "jpeg held upside down": (lambda: p.jpeg(size=(30, 20), exif=p.exif(3)), JPEG, 30, 20, 1),
    "jpeg of two pictures": (lambda: p.animation("MPO", TWO), JPEG, 12, 8, 1),
    "png": (lambda: p.picture("PNG", (30, 20)), PNG, 30, 20, 1),
    "png with 16 bits": (lambda: p.picture("PNG", (30, 20), "I;16"), PNG, 30, 20, 1),
    "png with holes": (lambda: p.picture("PNG", (30, 20), "RGBA"), PNG, 30, 20, 1),
    "apng": (lambda: p.animation("PNG", TWO), PNG, 12, 8, 2),
    "gif": (lambda: p.picture("GIF", (30, 20)), GIF, 30, 20, 1),
    "gif animation": (lambda: p.animation("GIF", TWO), GIF, 12, 8, 2),
    "webp": (lambda: p.picture("WEBP", (30, 20)), WEBP, 30, 20, 1),
    "webp animation": (lambda: p.animation("WEBP", TWO), WEBP, 12, 8, 2),
    "bmp": (lambda: p.picture("BMP", (30, 20)), BMP, 30, 20, 1),
    "tiff": (lambda: p.picture("TIFF", (30, 20)), TIFF, 30, 20, 1),
    "tiff packed": (
        lambda: p.picture("TIFF", (30, 20), compression="tiff_lzw"), TIFF, 30, 20, 1,
    ),
    "tiff of two pages": (lambda: p.animation("TIFF", TWO), TIFF, 12, 8, 2),
    "icon": (
        lambda: p.picture("ICO", (32, 32), sizes=[(16, 16), (32, 32)]), ICO, 32, 32, 1,
    ),
    "avif": (lambda: p.picture("AVIF", (30, 20)), AVIF, 30, 20, 1),
    # Its first brand is another one; that it is an AVIF stands behind.
    "avif that Pillow refuses": (
        lambda: p.picture("AVIF", (30, 20)).replace(b"ftypavif", b"ftypmiaf"), AVIF, 30, 20, 1,
    ),
    "heic": (heif, HEIC, 64, 48, 1),
}  # fmt: skip


@pytest.mark.parametrize(
    ("make", "media_type", "width", "height", "frames"), HONEST.values(), ids=HONEST
)
def test_an_honest_image_passes_and_its_size_is_known(
    checker: Checker,
    make: Callable[[], bytes],
    media_type: str,
    width: int,
    height: int,
    frames: int,
) -> None:
    facts = judge(checker, make())
    assert facts.type == media_type
    assert facts.details == Details(width=width, height=height, frames=frames)


@pytest.mark.parametrize(
    ("kind", "options"),
    [("JPEG", {}), ("PNG", {"compress_level": 1}), ("WEBP", {"method": 0})],
    ids=["jpeg", "png", "webp"],
)
def test_the_largest_picture_that_a_policy_takes_has_room(
    checker: Checker, kind: str, options: dict[str, object]
) -> None:
    file = io.BytesIO()
    Image.new("RGB", (7100, 7000), "green").save(file, kind, **options)
    assert judge(checker, file.getvalue()).details == Details(width=7100, height=7000, frames=1)


def without_tables(data: bytes, *, picture: int = 0) -> bytes:
    """Break the Huffman tables of one JPEG in a file: it opens, and has no pixels."""
    place = data.rindex(b"\xff\xc4") if picture else data.index(b"\xff\xc4")
    return data[: place + 5] + b"\xff" * 16 + data[place + 21 :]


def without_pixels(data: bytes) -> bytes:
    """Replace the pixels of an AVIF or HEIC image by zeros."""
    place = data.index(b"mdat") + 4
    return data[:place] + bytes(len(data) - place)


NOISE = bytes(range(251)) * 4
SMALL = Policy(types="image/*", max_frames=3, max_pixels=1000, max_total_pixels=1500)
HOSTILE: Mapping[str, tuple[Callable[[], bytes], type[Rejected], Policy]] = {
    "png of 20000 x 20000 in 48 KB": (lambda: p.flat_png(20_000), TooComplex, ANY_IMAGE),
    "png header of 60000 x 60000": (
        lambda: p.SIGNATURE + p.header(60_000, 60_000), TooComplex, ANY_IMAGE,
    ),
    "png with a text of 100 MB": (
        lambda: p.png(p.chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(100_000_000)))),
        TooComplex, ANY_IMAGE,
    ),
    "png whose pixels end early": (
        lambda: p.SIGNATURE + p.header(64, 64)
        + p.chunk(b"IDAT", zlib.compress(bytes(100))) + p.chunk(b"IEND"),
        ContentDamaged, ANY_IMAGE,
    ),
    "png whose pixels are none": (
        lambda: p.SIGNATURE + p.header(64, 64) + p.chunk(b"IDAT", NOISE) + p.chunk(b"IEND"),
        ContentDamaged, ANY_IMAGE,
    ),
    "png and html": (lambda: p.SIGNATURE + b"<html><script>", ActiveContent, ANY_IMAGE),
    "png of no size": (
        lambda: p.SIGNATURE + p.header(0, 0) + p.chunk(b"IDAT") + p.chunk(b"IEND"),
        ContentDamaged, ANY_IMAGE,
    ),
    "apng whose frames are out of order": (
        lambda: p.png(
            p.chunk(b"acTL", struct.pack(">II", 2, 0)),
            p.chunk(b"fcTL", struct.pack(">IIIIIHHBB", 7, 1, 1, 0, 0, 1, 1, 0, 0)),
        ),
        ContentDamaged, ANY_IMAGE,
    ),
    "jpeg and php": (
        lambda: b"\xff\xd8\xff\xe0\0\x10JFIF\0\1\1\0\0\1\0\1\0\0<?php system(1);",
        ActiveContent, ANY_IMAGE,
    ),
    "jpeg that opens and does not load": (
        lambda: without_tables(p.jpeg(size=(200, 200))), ContentDamaged, ANY_IMAGE,
    ),
    "jpeg cut": (lambda: p.jpeg(size=(200, 200))[:-200], ContentDamaged, ANY_IMAGE),
    "jpeg and a zip": (lambda: p.jpeg() + b"PK\3\4 a zip", HiddenContent, ANY_IMAGE),
    "jpeg with a broken second picture": (
        lambda: without_tables(p.animation("MPO", TWO), picture=1), ContentDamaged, ANY_IMAGE,
    ),
    "gif of 100000 frames": (
        lambda: p.gif(*[p.gif_frame()] * 100_000), TooComplex, ANY_IMAGE,
    ),
    "gif of tiny frames on a huge canvas": (
        lambda: p.gif(*[p.gif_frame()] * 500, size=(7000, 7000)), TooComplex, ANY_IMAGE,
    ),
    "gif whose pixels are none": (
        lambda: p.gif(p.gif_frame((0, 0, 200, 200)), size=(200, 200)), ContentDamaged, ANY_IMAGE,
    ),
    "webp whose pixels are none": (
        lambda: p.webp(p.webp_chunk(b"VP8L", b"\x2f\0\0\0\0" + NOISE)), ContentDamaged, ANY_IMAGE,
    ),
    "bmp of text": (
        lambda: b"BM" + b"\0" * 12 + b"(\0\0\0" + b"0 0 0 this is a text, and no picture of it...",
        Rejected, ANY_IMAGE,
    ),
    "bmp cut": (lambda: p.picture("BMP", (64, 64))[:-500], ContentDamaged, ANY_IMAGE),
    "tiff in a circle": (
        lambda: p.tiff((1, 1), (1, 1), following=8), ContentDamaged, ANY_IMAGE,
    ),
    "tiff without pixels": (lambda: p.tiff((8, 8)), ContentDamaged, ANY_IMAGE),
    "tiff cut": (
        lambda: p.picture("TIFF", (64, 64), compression="tiff_lzw")[:-300],
        ContentDamaged, ANY_IMAGE,
    ),
    "icon without pictures": (
        lambda: b"\0\0\1\0\1\0" + struct.pack("<BBBBHHII", 16, 16, 0, 0, 1, 32, 100, 22)
        + bytes(100),
        ContentDamaged, ANY_IMAGE,
    ),
    "icon that is larger inside": (
        lambda: b"\0\0\1\0\1\0"
        + struct.pack("<BBBBHHII", 16, 16, 0, 0, 1, 32, len(p.flat_png(9000)), 22)
        + p.flat_png(9000),
        TooComplex, ANY_IMAGE,
    ),
    "avif cut": (lambda: p.picture("AVIF", (64, 64))[:-50], ContentDamaged, ANY_IMAGE),
    "avif whose pixels are none": (
        lambda: without_pixels(p.picture("AVIF", (64, 64))), ContentDamaged, ANY_IMAGE,
    ),
    "heic whose pixels are none": (
        lambda: without_pixels(heif()), ContentDamaged, ANY_IMAGE,
    ),
    "more frames than a policy takes": (
        lambda: p.animation("PNG", TWO * 2), TooComplex, SMALL,
    ),
    "more pixels than a policy takes": (lambda: p.picture("AVIF", (40, 40)), TooComplex, SMALL),
    "more pixels together than a policy takes": (
        lambda: p.animation("AVIF", [p.gradient((30, 20)), p.gradient((30, 20)).rotate(180),
                                     p.gradient((30, 20))]),
        TooComplex, SMALL,
    ),
    "jpeg 2000, which nobody decodes here": (
        lambda: b"\0\0\0\x0cjP  \r\n\x87\n\0\0\0\x14ftypjp2 \0\0\0\0jp2 ",
        TypeNotAllowed, ANY_IMAGE,
    ),
}  # fmt: skip


@pytest.mark.parametrize(("make", "error", "policy"), HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_image_is_refused(
    checker: Checker, make: Callable[[], bytes], error: type[Rejected], policy: Policy
) -> None:
    with pytest.raises(error):
        judge(checker, make(), policy)
    # Whatever it did to its process, the next image is judged.
    assert judge(checker, p.png()).details.width == 1


CUT = ["PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF", "ICO", "AVIF"]


@pytest.mark.parametrize("kind", CUT)
def test_an_image_cut_anywhere_is_refused(checker: Checker, kind: str) -> None:
    whole = p.picture(kind, (16, 16))
    for length in range(len(whole) // 7, len(whole) - 1, max(len(whole) // 40, 1)):
        # Some pieces of the head are no image any more, and named as what they are.
        with pytest.raises(Rejected):
            judge(checker, whole[:length])


def test_where_damage_is_no_reason_to_refuse_it_stands_in_the_facts(checker: Checker) -> None:
    anything = Policy.anything()
    for data in (without_tables(p.jpeg()), p.jpeg()[:-2]):
        assert judge(checker, data, anything).details == Details(findings=("damaged",))


def test_an_image_that_nobody_looks_into_is_taken_as_it_is(checker: Checker) -> None:
    policy = Policy(types="image/*", check_content=False)
    assert judge(checker, p.SIGNATURE + b"anything", policy).details == Details()


@pytest.mark.parametrize("kind", ["jpeg", "png", "gif"])
def test_files_of_the_system_and_others_give_the_same(
    checker: Checker, kind: str, tmp_path: Path
) -> None:
    make, _, width, height, frames = HONEST[kind]
    path, packed = tmp_path / "image", tmp_path / "image.gz"
    path.write_bytes(make())
    with gzip.open(packed, "wb") as writer:
        writer.write(make())
    facts = Facts(size=path.stat().st_size, type="", sha256="")
    with path.open("rb") as file, gzip.open(packed) as inside:
        file.seek(5)
        found = checker.check(file, facts, policy=ANY_IMAGE)
        # A gzip's descriptor is that of the packed bytes.
        assert checker.check(inside, facts, policy=ANY_IMAGE) == found  # type: ignore[arg-type]
    assert found.details == Details(width=width, height=height, frames=frames)


def failing(job: str, **options: object) -> Checker:
    """Return a checker whose decoder misbehaves."""
    jobs = dict.fromkeys(("image", "rewrite", "pdf"), decoders.JOBS[job])
    return Checker(seconds=1, pool=Pool(processes=1, jobs=jobs))


@pytest.mark.parametrize(
    ("job", "why"),
    [
        ("crash", "crashed"),
        ("hang", "not done after 1 seconds"),
        ("hoard", "more memory"),
        ("babble", "without an answer"),
        ("read", "cannot be decoded"),
    ],
)
def test_a_decoder_that_fails_means_that_the_file_is_damaged(job: str, why: str) -> None:
    with failing(job) as checker:
        with pytest.raises(ContentDamaged, match=why):
            judge(checker, p.jpeg())
        anything = Policy.anything()
        assert judge(checker, p.jpeg(), anything).details == Details(findings=("damaged",))


@pytest.mark.parametrize("job", ["crash", "hoard"])
def test_a_pdf_reader_that_fails_means_that_the_file_is_damaged(job: str) -> None:
    pytest.importorskip("pikepdf")
    document = b"%PDF-1.7\n1 0 obj\n<<>>\nendobj\ntrailer\n<<>>\n%%EOF\n"
    with failing(job) as checker:
        found = judge(checker, document, Policy(refuse=[]))
        assert "damaged" in found.details.findings


def test_without_a_process_nobody_can_say(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.executable", "/nowhere/python")
    with Checker() as checker, pytest.raises(Unavailable):
        judge(checker, p.jpeg())


def test_a_deadline_is_at_least_a_second() -> None:
    with pytest.raises(UsageError, match="at least 1"):
        Checker(seconds=0)


def test_the_memory_of_the_program_that_asks_stays_flat(checker: Checker, tmp_path: Path) -> None:
    path = tmp_path / "large.jpg"
    with path.open("wb") as large:
        p.gradient((60, 40)).resize((6000, 4000)).save(large, "JPEG")
    facts = Facts(size=path.stat().st_size, type="", sha256="")
    policy = Policy(types="images", reencode=True)
    with path.open("rb") as file, Process(os.getpid()).memory_growth_below(32 * MIB):
        made = (tmp_path / "new.jpg").open("wb")
        with made:
            found = checker.check(file, facts, policy=policy, rewrite=lambda: made)
    assert found.details.width == 6000
    assert (tmp_path / "new.jpg").stat().st_size == found.size


def test_an_image_that_grows_beyond_measure_when_written_anew_is_refused(
    checker: Checker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wharfinger.checking.checker._ROOM", 1000)
    monkeypatch.setattr("wharfinger.checking.checker._MOST_GROWTH", 1)
    # Numbers of colours become the colours themselves.
    numbered = p.noise("PNG", (400, 400), "P")
    made: list[io.BytesIO] = []
    with pytest.raises(TooLarge, match=f"more than {len(numbered)} bytes when it is written anew"):
        judge(checker, numbered, Policy(types=PNG, reencode=True), lambda: kept(made))
    assert made == []


def kept(made: list[io.BytesIO]) -> io.BytesIO:
    made.append(io.BytesIO())
    return made[-1]
