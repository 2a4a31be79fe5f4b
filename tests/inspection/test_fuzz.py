"""Damaged files for as long as there is time: 2 s, in CI a minute.

WHARFINGER_FUZZ_SECONDS sets another time, WHARFINGER_FUZZ_SEED repeats a run: the seed is in the
message of a failure.
"""

from __future__ import annotations

import contextlib
import io
import os
import random
import time

import pytest

from support import content as c
from support.oles import compound
from support.zips import Entry, built, packed
from wharfinger.errors import Rejected
from wharfinger.inspection import HEAD_SIZE, Inspection, detect
from wharfinger.inspection.content import examine
from wharfinger.inspection.whole import detect_whole
from wharfinger.policy import Policy

_SECONDS = float(os.environ.get("WHARFINGER_FUZZ_SECONDS") or (60 if os.environ.get("CI") else 2))
_TYPES = (
    '<Types><Override PartName="/word/document.xml" ContentType="application/vnd.ms-word.'
    'document.macroEnabled.main+xml"/><Default Extension="xml" ContentType="application/xml"/></Types>'
)
_SEEDS = [
    *(c.JPEG, c.PNG, c.GIF, c.WEBP, c.BMP, c.TIFF, c.ICO, c.PDF, c.SVG, c.GZIP, c.ELF, c.WAV),
    *(c.MACHO, c.JAVA_CLASS, c.SHORTCUT, c.SHELL, c.HTML, c.PHP, c.DOCX, c.XLSX, c.ODT, c.JAR),
    *(c.tar(), c.mp3(), c.program(), c.iso_media(b"avif", b"mif1"), c.ebml(b"webm")),
    packed({"[Content_Types].xml": _TYPES.encode(), "word/document.xml": b"<x/>" * 99}),
    packed({"mimetype": b"application/epub+zip", "a.xhtml": b"<p/>" * 99}, stored="mimetype"),
    built(Entry(name=b"a/", data=b""), Entry(name=b"../b", method=8, data=b"hello" * 99)),
    compound("a", "Workbook", directory_at=(7, 5)),
    "zwölf Boxkämpfer\n".encode("utf-16") * 400,
    b'{"a": [1, 2, {"b": null}]}\n' * 400,
    b"a,b\n1,=1+1\n" * 900,
    b"<?xml version='1.0'?>\n<!-- c -->\n<feed>" + b"<a b='c'/>" * 900 + b"</feed>",
]
_POLICIES = [Policy.anything(), Policy.images(), Policy.documents(), Policy.archives()]
_NAMES = [None, "a.jpg", "a.txt", "a.csv", "a.docx", "a.zip", "a.xml", "a.pdf", "a.doc", "a.json"]


def _damaged(chance: random.Random) -> bytes:
    data = bytearray(chance.choice(_SEEDS))
    for _ in range(chance.randrange(6)):
        at = chance.randrange(len(data) + 1)
        match chance.randrange(6):
            case 0:
                data[at : at + 1] = chance.randbytes(1)
            case 1:
                data[at : at + chance.randrange(40)] = b""
            case 2:
                data[at:at] = chance.randbytes(chance.randrange(40))
            case 3:
                other = chance.choice(_SEEDS)
                data[at:at] = other[: chance.randrange(len(other) + 1)]
            case 4:
                data[at : at + 4] = chance.choice([bytes(4), b"\xff" * 4, b"\0\0\0\x80"])
            case _:
                data *= chance.randrange(1, 4)
    return bytes(data[: chance.choice([len(data), chance.randrange(len(data) + 1)])])


def _streamed(data: bytes, cuts: list[int], policy: Policy, name: str | None) -> str:
    """Return the type, or the class of the refusal, of a content fed in these pieces."""
    try:
        inspection = Inspection(policy, name=name)
        for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True):
            inspection.feed(data[start:end])
        return inspection.finish()[1].type
    except Rejected as error:
        return error.code


def _judge(chance: random.Random, data: bytes) -> None:
    for complete in (True, False):
        assert detect(data[:HEAD_SIZE], complete=complete).type.count("/") == 1
    file = io.BytesIO(data)
    found = detect_whole(file, len(data))
    assert found.type.count("/") == 1
    assert detect_whole(file, len(data)) == found
    policy, name = chance.choice(_POLICIES), chance.choice(_NAMES)
    cuts = sorted(chance.randrange(len(data) + 1) for _ in range(chance.randrange(4)))
    assert _streamed(data, cuts, policy, name) == _streamed(data, [], policy, name)
    with contextlib.suppress(Rejected):
        examine(file, len(data), policy=policy, name=name)


def test_no_damage_raises_and_no_cut_changes_a_verdict() -> None:
    first = int(os.environ.get("WHARFINGER_FUZZ_SEED") or time.time_ns() % 1_000_000_000)
    end = time.monotonic() + _SECONDS
    count = 0
    while time.monotonic() < end or not count:
        chance = random.Random(first + count)  # noqa: S311 - repeatable, not secret
        data = _damaged(chance)
        try:
            _judge(chance, data)
        except Exception as error:  # noqa: BLE001 - any of them is a find
            pytest.fail(f"WHARFINGER_FUZZ_SEED={first + count}: {error!r} for {data[:200]!r}")
        count += 1
