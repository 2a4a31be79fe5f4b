from __future__ import annotations

import re

import pytest

from wharfinger.inspection import describe_type, extension_of_type, type_of_extension
from wharfinger.inspection.media_types import KINDS, kinds_of_extension
from wharfinger.inspection.words import with_article
from wharfinger.policy import ONLY_BY_NAME, PRESETS


@pytest.mark.parametrize(
    ("extension", "expected"),
    [
        (".jpg", "image/jpeg"),
        ("jpg", "image/jpeg"),
        (".JPEG", "image/jpeg"),
        (".csv", "text/csv"),
        (".ts", "text/x-typescript"),
        (".ogg", "audio/ogg"),
        (".mp4", "video/mp4"),
        (".bin", None),
        ("", None),
    ],
)
def test_an_extension_means_a_type(extension: str, expected: str | None) -> None:
    assert type_of_extension(extension) == expected


@pytest.mark.parametrize(
    ("media_type", "expected"),
    [
        ("image/jpeg", ".jpg"),
        ("image/pjpeg", ".jpg"),
        ("Text/HTML; charset=utf-8", ".html"),
        ("text/plain", ".txt"),
        ("application/octet-stream", ""),
        ("application/x-ole-storage", ""),
        ("image/x-foo", ""),
    ],
)
def test_a_type_has_a_usual_extension(media_type: str, expected: str) -> None:
    assert extension_of_type(media_type) == expected


@pytest.mark.parametrize(
    ("media_type", "expected"),
    [
        ("image/jpeg", "JPEG image"),
        ("image/x-png", "PNG image"),
        ("text/html", "HTML"),
        ("application/octet-stream", "unknown data"),
        ("image/x-foo", "image/x-foo"),
    ],
)
def test_a_type_has_words_for_people(media_type: str, expected: str) -> None:
    assert describe_type(media_type) == expected


@pytest.mark.parametrize(
    ("label", "expected"),
    [
        ("JPEG image", "a JPEG image"),
        ("SVG image", "an SVG image"),
        ("MP4 video", "an MP4 video"),
        ("icon", "an icon"),
        ("HTML", "HTML"),
        ("plain text", "plain text"),
        ("C source", "C source"),
        ("HTML application", "an HTML application"),
    ],
)
def test_a_label_gets_its_article(label: str, expected: str) -> None:
    assert with_article(label) == expected


def test_every_type_and_alias_stands_once_and_is_well_formed() -> None:
    spellings = [spelling for kind in KINDS for spelling in (kind.type, *kind.aliases)]
    assert len(spellings) == len(set(spellings))
    assert [s for s in spellings if not re.fullmatch(r"[a-z]+/[a-z0-9.+-]+", s)] == []


def test_every_extension_is_lower_case_with_a_dot_and_few_mean_two_things() -> None:
    extensions = {extension for kind in KINDS for extension in kind.extensions}
    assert [e for e in extensions if not re.fullmatch(r"\.[a-z0-9]+", e)] == []
    assert {e for e in extensions if len(kinds_of_extension(e)) > 1} == {
        ".ts", ".mts", ".ogg", ".o", ".so",
    }  # fmt: skip


def test_what_a_row_refers_to_is_itself_a_row() -> None:
    types = {kind.type for kind in KINDS}
    referred = {other for kind in KINDS for other in (*kind.accepts, *kind.isa)}
    assert referred - types == {"text/*"}


def test_every_type_of_the_presets_is_known() -> None:
    types = {kind.type for kind in KINDS}
    named = {media_type for preset in PRESETS.values() if preset for media_type in preset}
    assert named <= types


def test_no_family_that_people_take_for_harmless_means_a_type_that_runs() -> None:
    names = {name for kind in KINDS if kind.active for name in (kind.type, *kind.aliases)}
    families = ("image/", "audio/", "video/", "font/")
    assert {name for name in names if name.startswith(families)} == ONLY_BY_NAME
