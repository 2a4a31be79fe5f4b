"""YARA rules: what they find, and where."""

from __future__ import annotations

import gzip
import io
import zipfile
from pathlib import Path

import pytest

from support.require import module
from wharfinger.errors import ConfigError
from wharfinger.scanners import Clean, Infected, Unscannable, Verdict
from wharfinger.scanners.yara import Yara
from wharfinger.units import MIB

RULE = 'rule Marked { strings: $a = "a mark to find" condition: $a }'
MARK = b"a mark " + b"to find"


@pytest.fixture
def yara(tmp_path: Path) -> Yara:
    module("yara")
    rules = tmp_path / "rules.yar"
    rules.write_text(RULE)
    return Yara([rules])


def scan(yara: Yara, content: bytes) -> Verdict:
    return yara.scan(io.BytesIO(content), len(content))


def zipped(content: bytes) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("inside.txt", content * 2)
    return packed.getvalue()


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (MARK, "Marked"),
        (zipped(MARK), "Marked in inside.txt"),
        (gzip.compress(MARK * 3), "Marked in content"),
        (zipped(zipped(MARK)), "Marked in inside.txt/inside.txt"),
    ],
    ids=["raw", "in zip", "in gzip", "in zip in zip"],
)
def test_what_the_rules_describe_is_found(yara: Yara, content: bytes, name: str) -> None:
    assert scan(yara, content) == Infected(name)


def test_other_content_is_clean(yara: Yara) -> None:
    assert scan(yara, b"nothing of it") == Clean()
    assert scan(yara, zipped(b"nothing of it")) == Clean()
    assert scan(yara, b"") == Clean()


@pytest.mark.parametrize("at", [32 * MIB - 7, 32 * MIB - MIB - 3, 40 * MIB])
def test_it_is_found_at_the_edges_of_windows(yara: Yara, at: int) -> None:
    assert scan(yara, bytes(at) + MARK + bytes(100)) == Infected("Marked")


def test_an_archive_that_cannot_be_read_cannot_be_scanned(yara: Yara) -> None:
    assert isinstance(scan(yara, zipped(b"a text")[:-40]), Unscannable)


def test_rules_that_are_none_are_refused(tmp_path: Path) -> None:
    module("yara")
    wrong = tmp_path / "wrong.yar"
    wrong.write_text("rule { }")
    with pytest.raises(ConfigError, match="The YARA rules cannot be used"):
        Yara([wrong])
    with pytest.raises(ConfigError, match="The YARA rules cannot be used"):
        Yara([tmp_path / "absent.yar"])


SLOW = "rule slow { condition: for all i in (1..2000000000) : ( i > 0 ) }"


def test_what_takes_the_rules_too_long_cannot_be_scanned(tmp_path: Path) -> None:
    rules = tmp_path / "rules.yar"
    rules.write_text(SLOW)
    found = Yara([rules], timeout=1).scan(io.BytesIO(b"a" * 100), 100)
    assert found == Unscannable("the rules take longer than 1 s")


def test_rules_that_are_not_there_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"missing\.yar' is no file"):
        Yara([tmp_path / "missing.yar"])
