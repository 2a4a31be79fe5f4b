"""What the doctor says of collections; the rest is told through the command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from wharfinger import Policy
from wharfinger.service.collections import Collection
from wharfinger.service.doctor import examine
from wharfinger.service.settings import WharfSettings


def images(tmp_path: Path, policy: Policy) -> list[tuple[str, str]]:
    collection = Collection(name="photos", policy=policy)
    settings = WharfSettings(data=tmp_path, collections={"photos": collection})
    return [(f.detail, f.advice) for f in examine(settings) if f.check == "images"]


def test_a_collection_of_images_that_cannot_be_checked_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wharfinger.checking.decoders.find_spec", lambda _: None)
    assert images(tmp_path, Policy.images()) == []
    ((detail, advice),) = images(tmp_path, Policy(types=["images", "image/avif"]))
    assert detail == (
        "AVIF images cannot be checked here: no decoder is installed. "
        "The collection photos names them, and refuses all of them."
    )
    assert advice.startswith("pip install 'wharfinger[vips]'")
