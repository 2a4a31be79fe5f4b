"""What a caller may expect of a Content-Type."""

from __future__ import annotations

import pytest

from wharfinger.client.expectation import Expectation, judge_content_type
from wharfinger.errors import ContentTypeMismatch, UsageError
from wharfinger.policy import Policy

FITS = [
    ("image/png", "image/png", True),
    ("image/png", "image/x-png", True),
    ("image/png", "image/gif", False),
    ("image/*", "image/anything", True),
    ("image/", "image/jpeg", True),
    ("image/*", "imagery/jpeg", False),
    ("images", "image/jpeg", True),
    ("images", "image/svg+xml", False),
    ("documents", "application/pdf", True),
    ("anything", "application/x-whatever", True),
    ("application/zip", "application/x-zip-compressed", True),
    (" IMAGE/PNG ", "image/png", True),
    (["image/png", "text/*"], "text/csv", True),
    (["image/png", "text/*"], "image/gif", False),
]


@pytest.mark.parametrize(("expect", "media_type", "fits"), FITS)
def test_what_fits(expect: str | list[str], media_type: str, *, fits: bool) -> None:
    assert Expectation.of(expect).fits(media_type) is fits


@pytest.mark.parametrize(
    "expect", ["", "png", "*", "*/*", "image", "image/png; q=1", [], [""], "/"]
)
def test_what_cannot_be_expected(expect: str | list[str]) -> None:
    with pytest.raises(UsageError):
        Expectation.of(expect)


def test_what_the_content_is_judged_by() -> None:
    assert Expectation.of(["text/*", "image/png"]).policy_types == ("image/png", "text/*")
    assert Expectation.beginning("image/p").policy_types is None


@pytest.mark.parametrize("claimed", [None, "", "application/octet-stream", "nonsense"])
def test_under_a_policy_alone_a_silent_answer_is_left_to_its_content(claimed: str | None) -> None:
    judge_content_type(claimed, None, Policy.images(), "x")


@pytest.mark.parametrize("claimed", ["text/html", "application/x-unknown", "image/svg+xml"])
def test_under_a_policy_a_claim_must_be_permitted(claimed: str) -> None:
    with pytest.raises(ContentTypeMismatch):
        judge_content_type(claimed, None, Policy.images(), "x")
    assert judge_content_type("image/jpg", None, Policy.images(), "x") == "image/jpg"
