"""The walk: archives inside archives, what is given out, and what scanners hear."""

from __future__ import annotations

import io
import zlib
from collections.abc import Callable, Iterator

import pytest

from support.archives import (
    Item,
    ar_of,
    bomb_item,
    deflated,
    gz,
    local_header,
    nested,
    tar_file,
    tar_of,
    zip_of,
)
from support.content import PNG, SVG
from support.walked import ARCHIVE, NOTHING_REFUSED, told, walked
from wharfinger.errors import ContentDamaged, TooComplex
from wharfinger.inspection.archives import look, members
from wharfinger.inspection.content import examine
from wharfinger.inspection.findings import Findings
from wharfinger.policy import Policy

LEAF = Item("leaf.txt", b"leaf")
TWO_IN_ONE = zip_of(
    Item("in.zip", zip_of(LEAF, Item("x/deep.tgz", gz(tar_of(tar_file(b"t", b"tar")))))),
    Item("z.txt", b"last"),
)


def test_members_of_inner_archives_come_with_the_path_that_leads_to_them() -> None:
    found, walk = walked(TWO_IN_ONE)
    assert found == {"in.zip/leaf.txt": b"leaf", "in.zip/x/deep.tgz/t": b"tar", "z.txt": b"last"}
    # in.zip, leaf.txt, deep.tgz, t and z.txt.
    assert walk.count.members == 5
    assert told(TWO_IN_ONE) == []


def test_what_is_inside_decides_its_bytes_and_not_its_name() -> None:
    assert list(walked(zip_of(Item("photo.jpg", zip_of(LEAF))))[0]) == ["photo.jpg/leaf.txt"]
    assert walked(zip_of(Item("fake.zip", b"text")))[0] == {"fake.zip": b"text"}


def test_a_scanner_may_read_as_much_as_it_wants() -> None:
    data = zip_of(Item("a", b"1" * 200_000), Item("b", b"2"))
    paths: list[str] = []
    for path, pieces in members(io.BytesIO(data), len(data), ARCHIVE, Policy()):
        paths.append(path)
        if path == "a":
            assert len(next(pieces)) <= 64 * 1024
    assert paths == ["a", "b"]


def test_pieces_are_small() -> None:
    data = zip_of(Item("a", bytes(1_000_000), deflate=True))
    for _, pieces in members(io.BytesIO(data), len(data), ARCHIVE, Policy()):
        lengths = [len(piece) for piece in pieces]
        assert sum(lengths) == 1_000_000
        assert max(lengths) <= 64 * 1024


def test_findings_of_inner_archives_say_where() -> None:
    inner = zip_of(Item("../up", b"1"))
    assert told(zip_of(Item("a\x1b.zip", inner)))[1] == (
        "unsafe-members",
        "In 'a\\\\x1b.zip': The member '../up' leads outside the archive's folder.",
    )


def test_damage_inside_ends_only_what_is_damaged() -> None:
    broken = bytearray(gz(b"x" * 5000))
    broken[-5] ^= 1
    data = tar_of(tar_file(b"a.gz", bytes(broken)), tar_file(b"b", b"fine"))
    assert told(data) == [("damaged", "In 'a.gz': Its compressed bytes are damaged.")]
    assert walked(data)[0]["b"] == b"fine"


def test_a_member_that_is_cut_short_inside_is_told_where_it_lies() -> None:
    data = tar_of(tar_file(b"a.tar", tar_of(tar_file(b"b", b"x" * 2000))[:1500]), LAST)
    assert ("damaged", "In 'a.tar': It is cut short.") in told(data)
    assert walked(data)[0]["last"] == b"1"


LAST = tar_file(b"last", b"1")


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda levels: nested(levels, b"x"), id="zip"),
        pytest.param(lambda levels: _repeated(gz, levels, b"x"), id="gzip"),
        pytest.param(
            lambda levels: _repeated(lambda data: tar_of(tar_file(b"t", data)), levels, b"x"),
            id="tar",
        ),
        pytest.param(
            lambda levels: _repeated(lambda data: ar_of((b"a", data)), levels, b"x"), id="ar"
        ),
    ],
)
def test_archives_inside_archives_end_at_the_limit(make: Callable[[int], bytes]) -> None:
    assert list(walked(make(4), Policy(max_depth=3))[0].values()) == [b"x"]
    with pytest.raises(TooComplex) as raised:
        walked(make(5), Policy(max_depth=3))
    assert (raised.value.what, raised.value.limit) == ("depth", 3)


def _repeated(pack: Callable[[bytes], bytes], levels: int, data: bytes) -> bytes:
    for _ in range(levels):
        data = pack(data)
    return data


def test_no_limit_goes_deeper_than_the_stack() -> None:
    with pytest.raises(TooComplex) as raised:
        walked(_repeated(gz, 40, b"x"), Policy(max_depth=1000))
    assert raised.value.limit == 16


def test_layers_without_an_end_end_at_the_limit() -> None:
    # So do archives that hold themselves (R. Cox, "Zip files all the way down", 2010).
    made = zip_of(LEAF)
    for _ in range(30):
        made = zip_of(Item("self.zip", made), Item("again.zip", made[:100]))
    with pytest.raises(TooComplex) as raised:
        walked(made)
    assert raised.value.what == "depth"


@pytest.mark.parametrize(
    ("inner", "kind"),
    [
        pytest.param(b"7z\xbc\xaf\x27\x1c" + bytes(26), "application/x-7z-compressed", id="7z"),
        pytest.param(b"Rar!\x1a\7\1\0" + bytes(20), "application/vnd.rar", id="rar"),
        pytest.param(b"\x28\xb5\x2f\xfd" + bytes(20), "application/zstd", id="zstd"),
        pytest.param(b"MSCF\0\0\0\0" + bytes(36), "application/vnd.ms-cab-compressed", id="cab"),
    ],
)
def test_formats_that_are_not_looked_into_are_told_to_scanners_alone(
    inner: bytes, kind: str
) -> None:
    sentence = f"Archives of the type {kind} are not looked into."
    assert told(inner) == [("unreadable", sentence)]
    assert told(zip_of(Item("a", inner))) == [("unreadable", f"In 'a': {sentence}")]
    assert walked(zip_of(Item("a", inner)))[0] == {"a": inner}
    findings = Findings(Policy.anything())
    assert look(io.BytesIO(inner), len(inner), kind, findings) is None
    assert findings.words == ()


@pytest.mark.parametrize(
    ("data", "media_type"),
    [
        pytest.param(PNG, "image/png", id="image"),
        pytest.param(SVG, "image/svg+xml", id="SVG"),
        pytest.param(b"plain", "application/octet-stream", id="text"),
        pytest.param(b"", "application/octet-stream", id="nothing"),
    ],
)
def test_other_content_has_no_members(data: bytes, media_type: str) -> None:
    findings = Findings(Policy.anything())
    assert look(io.BytesIO(data), len(data), media_type, findings) is None
    assert list(members(io.BytesIO(data), len(data), media_type, Policy())) == []


def test_an_archive_that_passes_for_something_else_is_walked() -> None:
    data = tar_of(tar_file(b"GIF89a", gz(b"inside")))
    found = members(io.BytesIO(data), len(data), "image/gif", Policy())
    assert [path for path, _ in found] == ["GIF89a/content"]


def test_documents_that_are_zips_are_walked_whatever_they_are_called() -> None:
    data = zip_of(Item("mimetype", b"application/epub+zip"), Item("book.xhtml", b"<html/>"))
    media_type, details = examine(
        io.BytesIO(data), len(data), policy=Policy.anything(), name="a.epub"
    )
    assert (media_type, details.members, details.unpacked) == ("application/epub+zip", 2, 27)


def test_what_is_found_stands_in_the_facts_when_a_policy_takes_it() -> None:
    data = zip_of(Item("../a", b"1"), Item("b", b"2", flags=1)) + b"behind"
    _, details = examine(io.BytesIO(data), len(data), policy=NOTHING_REFUSED, name="a.zip")
    assert details.findings == ("encrypted", "trailing-data", "unsafe-members")
    assert (details.members, details.unpacked) == (2, 1)


def test_a_scanner_that_reports_damage_as_an_error_ends_the_walk() -> None:
    data = zip_of(Item("a", b"hello", central={"crc": 1}, local={"crc": 1}))
    findings = Findings(Policy.archives())
    walk = members(io.BytesIO(data), len(data), ARCHIVE, Policy(), findings.report)
    with pytest.raises(ContentDamaged):
        next(walk)
    large = zip_of(bomb_item("a", 100_000, crc=1))
    walk = members(io.BytesIO(large), len(large), ARCHIVE, Policy(), findings.report)
    _, pieces = next(walk)
    with pytest.raises(ContentDamaged):
        list(pieces)


def test_a_file_shorter_than_it_was_said_to_be_is_damaged() -> None:
    data = gz(b"x" * 5000)
    heard: list[str] = []
    found: Iterator[tuple[str, Iterator[bytes]]] = members(
        io.BytesIO(data[:-4]), len(data), ARCHIVE, Policy(), lambda word, _: heard.append(word)
    )
    assert [path for path, _ in found] == ["content"]
    assert heard == ["damaged"]


def test_helpers_build_what_the_standard_says() -> None:
    # The tests' own archives, against zlib: a wrong builder would prove nothing.
    assert zlib.decompress(deflated(b"abc"), wbits=-15) == b"abc"
    assert local_header(LEAF.told())[:4] == b"PK\x03\x04"
