"""Which images can be checked here, and what is said of those that cannot."""

from __future__ import annotations

from importlib.util import find_spec

import pytest

from wharfinger import Policy
from wharfinger.checking import decoders


def without(monkeypatch: pytest.MonkeyPatch, *packages: str) -> None:
    """Make these packages look as if they were not installed."""
    monkeypatch.setattr(
        "wharfinger.checking.decoders.find_spec",
        lambda name: None if name in packages else find_spec(name),
    )


@pytest.mark.parametrize("media_type", sorted(Policy.images().types or ()))
def test_everything_in_the_preset_is_decoded_without_an_extra(
    monkeypatch: pytest.MonkeyPatch, media_type: str
) -> None:
    without(monkeypatch, "pyvips", "pillow_heif")
    assert decoders.is_picture(media_type)
    assert decoders.can_decode(media_type)
    assert decoders.missing(Policy.images()) == ()


@pytest.mark.parametrize(
    ("media_type", "package", "extra"),
    [
        ("image/avif", "pyvips", "vips"),
        ("image/heic", "pillow_heif", "heif"),
        ("image/heif", "pillow_heif", "heif"),
    ],
)
def test_a_type_without_its_decoder_is_told_with_what_brings_it(
    monkeypatch: pytest.MonkeyPatch, media_type: str, package: str, extra: str
) -> None:
    policy = Policy(types=["images", media_type])
    without(monkeypatch, package)
    (gap,) = decoders.missing(policy)
    assert gap.type == media_type
    assert "cannot be checked here" in gap.sentence
    assert f"pip install 'wharfinger[{extra}]'" in gap.advice


def test_a_type_that_nothing_decodes_is_told() -> None:
    (gap,) = decoders.missing(Policy(types=["image/jxl"]))
    assert gap.sentence == "JPEG XL images cannot be checked here: no decoder is installed."
    assert gap.advice.startswith("There is none for them: take image/jxl out of the types")


@pytest.mark.parametrize(
    "policy",
    [
        Policy(types="image/jxl", refuse=[]),
        Policy(types="image/jxl", check_content=False),
        Policy(types="image/*"),
        Policy.anything(),
        Policy(types="image/svg+xml"),
    ],
    ids=["damage is taken", "nobody looks", "no type is named", "any type", "not of pixels"],
)
def test_nothing_is_missing_where_no_proof_is_asked_for(policy: Policy) -> None:
    assert decoders.missing(policy) == ()
