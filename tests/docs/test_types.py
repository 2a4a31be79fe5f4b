"""The page of types is made from the tables that inspection goes by."""

from __future__ import annotations

from pathlib import Path

from support.types_page import page
from wharfinger.inspection.media_types import KINDS, extension_of_type, kinds_of_extension
from wharfinger.inspection.signatures import FORMATS

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "types.md"


def test_the_page_of_types_is_current() -> None:
    assert PAGE.read_text("utf-8") == page()


def test_every_signature_says_where_it_comes_from() -> None:
    assert [signature.magic for signature in FORMATS if len(signature.source) < 4] == []


def test_every_signature_tells_a_known_type() -> None:
    known = {kind.type for kind in KINDS}
    assert {row.type for row in FORMATS if row.type} <= known


def test_the_usual_extension_of_a_type_means_it() -> None:
    for kind in KINDS:
        extension = extension_of_type(kind.type)
        assert not extension or kind in kinds_of_extension(extension)
