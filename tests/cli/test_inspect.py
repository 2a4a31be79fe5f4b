"""`wharf inspect`."""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path

import pytest

from support import require
from support.command import wharf
from support.content import HTML, PNG
from wharfinger.checking import pdf
from wharfinger.cli import policy
from wharfinger.policy import Policy


def test_facts_are_printed(folder: Path) -> None:
    (folder / "a.png").write_bytes(PNG)
    digest = hashlib.sha256(PNG).hexdigest()
    ran = wharf("inspect", "a.png")
    assert (ran.code, ran.text) == (
        0,
        f"a.png: image/png, {len(PNG)} bytes, {digest}, 8 x 8 pixels\n",
    )
    (record,) = wharf("inspect", "--json", "a.png").records
    facts = {"file": "a.png", "size": len(PNG), "type": "image/png", "sha256": digest}
    assert record == {**facts, "width": 8, "height": 8, "frames": 1}


def test_what_is_inside_is_told(folder: Path) -> None:
    with zipfile.ZipFile("a.zip", "w") as archive:
        archive.writestr("one.txt", "text")
        archive.writestr("../two.txt", "text")
    (folder / "b.csv").write_text("name,sum\nx,=1+1\n")
    assert wharf("inspect", "a.zip").code == 8
    assert wharf("inspect", "b.csv").text.endswith(", found: formulas\n")
    (record,) = wharf("inspect", "b.csv", "--policy", "documents", "--json").records
    assert record["findings"] == ["formulas"]


def test_stdin_is_judged(folder: Path) -> None:
    assert wharf("inspect", "-", stdin=PNG).text.startswith("-: image/png, ")
    assert wharf("inspect", "-", "--name", "a.png", stdin=HTML).code == 8


def test_a_policy_is_applied(folder: Path) -> None:
    (folder / "a.jpg").write_bytes(PNG)
    assert wharf("inspect", "a.jpg").code == 0
    ran = wharf("inspect", "a.jpg", "--policy", "images")
    assert (ran.code, ran.text) == (8, "")
    assert "(content-mismatch)" in ran.err
    assert wharf("inspect", "a.jpg", "--policy", "images", "--name", "a.png").code == 0


def test_some_failed(folder: Path) -> None:
    (folder / "a.png").write_bytes(PNG)
    (folder / "b.png").write_bytes(HTML)
    ran = wharf("inspect", "a.png", "b.png", "absent", "--json")
    assert ran.code == 3
    assert [next(iter(record)) for record in ran.records] == ["file", "error", "error"]
    assert [record["file"] for record in ran.records if "file" in record] == ["a.png"]
    assert [record["error"]["file"] for record in ran.records[1:]] == ["b.png", "absent"]
    said = wharf("inspect", "b.png", "absent").err.splitlines()
    assert said[0].startswith("error: b.png: ")
    assert said[-1] == "error: absent does not exist. (source-missing)"
    assert wharf("inspect", "b.png", "b.png").code == 8
    assert wharf("inspect", "absent").code == 10
    assert wharf("inspect").code == 2


def test_a_hostile_name_is_shown_escaped(folder: Path) -> None:
    (folder / "a\x1b[31m.png").write_bytes(PNG)
    ran = wharf("inspect", "a\x1b[31m.png")
    assert "\x1b" not in ran.text
    assert "a\\x1b[31m.png" in ran.text


def test_a_policy_says_when_nothing_is_said_of_scripts_in_pdfs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told = "PDFs: judged by their bytes alone; pip install 'wharfinger[pdf]' looks for scripts"
    require.module("pikepdf")
    assert told not in policy._lines(Policy.documents())
    monkeypatch.setattr(pdf, "find_spec", lambda _: None)
    assert told in policy._lines(Policy.documents())
    assert told not in policy._lines(Policy.images())
