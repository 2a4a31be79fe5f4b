"""What is told about a file, as Python values and as JSON."""

from __future__ import annotations

import json

from wharfinger.inspection.facts import Details, Facts


def test_details_that_there_are_none_of_are_not_told() -> None:
    assert Details().describe() == {}
    assert Details(width=30, height=20, frames=1).describe() == {
        "width": 30,
        "height": 20,
        "frames": 1,
    }


def test_nothing_inside_is_told_as_nothing() -> None:
    assert Details(members=0, unpacked=0, pages=0).describe() == {
        "members": 0,
        "unpacked": 0,
        "pages": 0,
    }


def test_findings_are_a_list_of_json() -> None:
    described = Details(members=2, findings=("encrypted", "macros")).describe()
    assert json.loads(json.dumps(described)) == {
        "members": 2,
        "findings": ["encrypted", "macros"],
    }


def test_a_look_at_the_whole_has_the_last_word_on_the_type() -> None:
    facts = Facts(size=3, type="application/zip", sha256="ab")
    looked_into = facts.with_content("application/java-archive", Details(members=1))
    assert looked_into == Facts(
        size=3, type="application/java-archive", sha256="ab", details=Details(members=1)
    )
    assert facts.details == Details()
