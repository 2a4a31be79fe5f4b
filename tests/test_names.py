from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wharfinger import names
from wharfinger.errors import NameRejected


@pytest.mark.parametrize(
    ("claimed", "expected"),
    [
        ("photo.jpg", "photo.jpg"),
        ("  photo.jpg ", "photo.jpg"),
        ("Übersicht 2024.pdf", "Übersicht 2024.pdf"),
        ("U\u0308bersicht.pdf", "Übersicht.pdf"),
        ("写真.png", "写真.png"),
        (".bashrc", ".bashrc"),
        ("a..b", "a..b"),
        ("Screenshot 12:30:05.png", "Screenshot 12:30:05.png"),
        ("price: $5", "price: $5"),
        ("x" * 255, "x" * 255),
    ],
)
def test_an_honest_name_is_kept(claimed: str, expected: str) -> None:
    assert names.judge(claimed) == expected


@pytest.mark.parametrize(
    ("claimed", "reason"),
    [
        ("", "is empty"),
        ("   ", "is empty"),
        (".", "is empty"),
        ("..", "is empty"),
        (". . .", "is empty"),
        ("../x", "path separator"),
        ("a/b", "path separator"),
        ("C:\\x", "path separator"),
        ("a\x00.jpg", "U\\+0000"),
        ("a\r\nb", "U\\+000D"),
        ("a\n", "U\\+000A"),
        ("a\x1b[31m", "U\\+001B"),
        ("a\x7f", "U\\+007F"),
        ("a\x85b", "U\\+0085"),
        ("photo\u202egpj.exe", "U\\+202E"),
        ("a\u2066b", "U\\+2066"),
        ("a\u2028b", "U\\+2028"),
        ("a\ud800", "U\\+D800"),
        ("a.php::$DATA", "another stream"),
        ("a.php:b.jpg:$data", "another stream"),
        ("folder::$INDEX_ALLOCATION. ", "another stream"),
        ("x" * 256, "256 bytes long"),
        ("ü" * 128, "256 bytes long"),
    ],
)
def test_a_hostile_name_is_refused_with_its_reason(claimed: str, reason: str) -> None:
    with pytest.raises(NameRejected, match=reason):
        names.judge(claimed)


@pytest.mark.parametrize("claimed", ["a\x1b[31m/b", "a\u202eb", "a\nb"])
def test_a_refusal_shows_the_name_escaped(claimed: str) -> None:
    with pytest.raises(NameRejected) as caught:
        names.judge(claimed)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("claimed", "expected"),
    [
        ("photo.jpg", "photo.jpg"),
        ("../../etc/passwd", "passwd"),
        ("..\\..\\windows\\system.ini", "system.ini"),
        ("/", "download"),
        ("..", "download"),
        ("", "download"),
        (".bashrc", "bashrc"),
        ("-rf", "rf"),
        ("-\u00a0x", "x"),
        ("name. . ", "name"),
        ("a\x00b\x1b[1m.txt", "ab[1m.txt"),
        ("photo\u202egpj.exe", "photogpj.exe"),
        ("zero\u200bwidth", "zerowidth"),
        ("e\u200b\u0301", "é"),
        ('a<b>:"|?*c', "a_b______c"),
        ("file.php::$DATA", "file.php__$DATA"),
        ("CON", "_CON"),
        ("nul.txt", "_nul.txt"),
        ("NUL .txt", "_NUL .txt"),
        ("com1.tar.gz", "_com1.tar.gz"),
        ("COM\u00b9", "_COM\u00b9"),
        ("console.log", "console.log"),
        ("a\ud800b", "ab"),
    ],
)
def test_a_proposed_name_is_cleaned(claimed: str, expected: str) -> None:
    assert names.clean(claimed) == expected


def test_the_fallback_is_the_callers_choice() -> None:
    assert names.clean("//", fallback="file.bin") == "file.bin"


@pytest.mark.parametrize(
    ("claimed", "expected"),
    [
        ("x" * 300 + ".tar", "x" * 251 + ".tar"),
        ("ü" * 200 + ".txt", "ü" * 125 + ".txt"),
        ("x" * 300, "x" * 255),
        ("x." + "y" * 300, "x." + "y" * 253),
        # The capital sharp s is a byte longer than the small one.
        ("x" * 300 + ".ẞẞẞ", "x" * 245 + ".ẞẞẞ"),
    ],
)
def test_a_long_name_is_cut_and_keeps_its_extension(claimed: str, expected: str) -> None:
    assert names.clean(claimed) == expected


@given(claimed=st.text(st.characters(), max_size=400))
def test_a_cleaned_name_lies_directly_inside_one_folder(claimed: str) -> None:
    name = names.clean(claimed)
    assert 0 < len(name.encode()) <= 255
    assert name not in {".", ".."}
    assert name[0] not in ".- "
    assert name[-1] not in ". "
    assert not set(name) & set('/\\<>:"|?*\x00')
    assert not any(unicodedata.category(character) in {"Cc", "Cs"} for character in name)


@given(claimed=st.text(st.sampled_from("aẞ\u0301\u200b .-/CON\u00a0\u202e\x00:1"), max_size=300))
def test_a_cleaned_name_is_clean(claimed: str) -> None:
    name = names.clean(claimed)
    assert names.clean(name) == name


@given(claimed=st.text(st.characters(), max_size=300))
def test_a_judged_name_is_refused_or_within_the_rules(claimed: str) -> None:
    try:
        name = names.judge(claimed)
    except NameRejected:
        return
    assert 0 < len(name.encode()) <= 255
    assert "/" not in name
    assert "\\" not in name
    assert names.judge(name) == name


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("photo.jpg", ".jpg"),
        ("PHOTO.JPG", ".jpg"),
        ("a.tar.gz", ".gz"),
        ("shell.php.jpg", ".jpg"),
        ("noextension", ""),
        (".bashrc", ""),
        ("ends.", ""),
        ("a.b c", ""),
        ("a.7z", ".7z"),
        ("", ""),
    ],
)
def test_the_extension_is_the_last_one_in_lower_case(name: str, expected: str) -> None:
    assert names.extension(name) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain ü", "plain ü"),
        ("a\nb", "a\\nb"),
        ("\x1b]8;;x\x07", "\\x1b]8;;x\\x07"),
        ("\u202e", "\\u202e"),
        ("\u200b", "\\u200b"),
        ("\ud800", "\\ud800"),
    ],
)
def test_text_from_outside_is_shown_without_its_powers(text: str, expected: str) -> None:
    assert names.show(text) == expected


def test_long_text_is_cut_when_shown() -> None:
    assert names.show("abcdef", limit=3) == "abc…"
    assert names.show("abc", limit=3) == "abc"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.txt", "a.txt"),
        ("a/b\\c", "a_b_c"),
        ("a\r\nb\u202e\ud800", "ab"),
        ("\x00", ""),
        ("x" * 300 + ".png", "x" * 251 + ".png"),
        ("CON: ?", "CON: ?"),
    ],
)
def test_a_label_keeps_what_only_some_file_systems_forbid(name: str, expected: str) -> None:
    assert names.label(name) == expected


def test_a_name_cut_at_a_blank_does_not_end_in_one() -> None:
    assert names.clean("x" * 253 + "\u00a0" + "y" * 9) == "x" * 253


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.exe", "a.exe"),
        ("a.exe. . ", "a.exe"),
        ("a.php::$DATA", "a.php"),
        ("a.php:b:$DATA ", "a.php"),
        ("12:30.png", "12:30.png"),
    ],
)
def test_the_plain_end_of_a_name_is_what_windows_would_open(name: str, expected: str) -> None:
    assert names.plain_end(name) == expected
