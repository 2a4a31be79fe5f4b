"""Judging a file that is here already."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

import pytest

import wharfinger
from support.content import HTML, PNG
from wharfinger import Policy
from wharfinger.errors import (
    ActiveContent,
    ContentMismatch,
    LocalFileError,
    SourceMissing,
    TooLarge,
    UsageError,
)


def test_facts_of_a_path_bytes_and_file_object(folder: Path) -> None:
    (folder / "a.png").write_bytes(PNG)
    digest = hashlib.sha256(PNG).hexdigest()
    for source in ("a.png", folder / "a.png", PNG, io.BytesIO(PNG)):
        facts = wharfinger.inspect(source)
        assert (facts.size, facts.type, facts.sha256) == (len(PNG), "image/png", digest)


def test_a_policy_is_applied(folder: Path) -> None:
    (folder / "a.jpg").write_bytes(PNG)
    with pytest.raises(ContentMismatch):
        wharfinger.inspect("a.jpg", policy=Policy.images())
    with pytest.raises(TooLarge):
        wharfinger.inspect(PNG, policy=Policy.images(max_size=10))
    assert wharfinger.inspect("a.jpg").type == "image/png"


def test_active_content_in_disguise_is_refused_without_a_policy(folder: Path) -> None:
    (folder / "a.jpg").write_bytes(HTML)
    with pytest.raises(ActiveContent):
        wharfinger.inspect("a.jpg")
    with pytest.raises(ActiveContent):
        wharfinger.inspect(HTML, name="a.png")
    assert wharfinger.inspect(HTML).type == "text/html"


def test_what_cannot_be_read_is_an_error(folder: Path) -> None:
    with pytest.raises(SourceMissing):
        wharfinger.inspect("absent")
    with pytest.raises(LocalFileError):
        wharfinger.inspect(folder)
    with pytest.raises(UsageError):
        wharfinger.inspect(io.StringIO("text"))  # type: ignore[arg-type]
