from __future__ import annotations

import dataclasses
import json
import pickle

import pytest

from wharfinger import Policy
from wharfinger.errors import ConfigError, UsageError

MIB = 1_048_576


def test_a_policy_without_arguments_takes_any_type_up_to_five_gibibytes() -> None:
    policy = Policy()
    assert policy.types is None
    assert (policy.max_size, policy.min_size) == (5_368_709_120, 0)
    assert policy.require_agreement is True


@pytest.mark.parametrize(
    ("policy", "permitted", "refused", "max_size"),
    [
        (Policy.images(), "image/png", "application/pdf", 20 * MIB),
        (Policy.images(max_size="5 MiB"), "image/tiff", "image/svg+xml", 5 * MIB),
        (Policy.documents(), "text/csv", "image/png", 100 * MIB),
        (Policy.media(), "video/mp4", "application/zip", 2048 * MIB),
        (Policy.archives(), "application/zip", "text/html", 1024 * MIB),
    ],
    ids=["images", "images with a size", "documents", "media", "archives"],
)
def test_a_preset_permits_its_family_alone(
    policy: Policy, permitted: str, refused: str, max_size: int
) -> None:
    assert policy.permits(permitted)
    assert not policy.permits(refused)
    assert not policy.permits("application/octet-stream")
    assert policy.max_size == max_size


def test_anything_permits_anything() -> None:
    assert Policy.anything().permits("application/octet-stream")


@pytest.mark.parametrize(
    ("types", "expected"),
    [
        ("image/png", {"image/png"}),
        (" Image/PNG ", {"image/png"}),
        ("image/*", {"image/*"}),
        (["image/png", "text/*"], {"image/png", "text/*"}),
        (("application/vnd.ms-excel", "image/svg+xml"), {"application/vnd.ms-excel", "image/svg+xml"}),
        ("anything", None),
        (["images", "anything"], None),
    ],
)  # fmt: skip
def test_types_are_presets_types_or_families(
    types: str | list[str], expected: set[str] | None
) -> None:
    assert Policy(types=types).types == expected


def test_presets_and_types_may_be_mixed() -> None:
    policy = Policy(types=["images", "application/pdf"])
    assert policy.permits("image/png")
    assert policy.permits("application/pdf")
    assert not policy.permits("text/plain")


def test_a_family_permits_all_its_types_and_no_other() -> None:
    policy = Policy(types="image/*")
    assert policy.permits("image/png")
    assert not policy.permits("imagery/png")
    assert not policy.permits("text/image")


def test_a_family_does_not_mean_drawings_that_run_scripts() -> None:
    assert not Policy(types="image/*").permits("image/svg+xml")
    assert not Policy(types="image/*").permits("image/svg")
    assert Policy(types=["image/*", "image/svg+xml"]).permits("image/svg+xml")
    assert Policy().permits("image/svg+xml")


@pytest.mark.parametrize(
    "types",
    ["", "png", "image/", "/png", "*/*", "image/png; q=1", "image/p ng", "image/*x", [], [""],
     ["image/png", 5], 5, b"image/png"],
)  # fmt: skip
def test_a_wrong_type_is_refused_at_birth(types: object) -> None:
    with pytest.raises(UsageError):
        Policy(types=types)  # type: ignore[arg-type]  # that is what is tested


@pytest.mark.parametrize(
    ("types", "hint"),
    [
        ("image", "Did you mean 'images'?"),
        ("qqq", "Write types like image/png or image/*, or one of"),
    ],
)
def test_a_wrong_type_comes_with_a_suggestion(types: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        Policy(types=types)
    assert caught.value.hint.startswith(hint)


@pytest.mark.parametrize("size", [-1, "many", True, None])
def test_a_wrong_size_is_refused_at_birth(size: object) -> None:
    with pytest.raises(UsageError):
        Policy(max_size=size)  # type: ignore[arg-type]  # that is what is tested


def test_limits_that_contradict_each_other_are_refused() -> None:
    with pytest.raises(UsageError, match="min_size 11 is larger than max_size 10"):
        Policy(min_size=11, max_size=10)


@pytest.mark.parametrize("value", ["no", "false", 0, None])
def test_agreement_is_true_or_false_and_nothing_that_looks_like_it(value: object) -> None:
    with pytest.raises(UsageError, match="require_agreement must be true or false"):
        Policy(require_agreement=value)  # type: ignore[arg-type]  # that is what is tested


def test_a_policy_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Policy().max_size = 1  # type: ignore[misc]  # that is what is tested


def test_equal_policies_are_one_value_also_after_pickling() -> None:
    policy = Policy(types="images", max_size="5 MiB")
    assert policy == Policy.images(max_size=5 * MIB)
    assert {policy, pickle.loads(pickle.dumps(policy))} == {policy}  # noqa: S301 - our own


def test_a_table_of_a_configuration_file_makes_a_policy() -> None:
    table = {"types": "images", "max_size": "5 MiB", "min_size": 10, "require_agreement": False}
    assert Policy.from_mapping(table) == Policy(
        types="images", max_size=5 * MIB, min_size=10, require_agreement=False
    )


@pytest.mark.parametrize(
    ("table", "text", "hint"),
    [
        ({"max_siez": 1}, "Unknown key 'max_siez' in collections.a.", "Did you mean 'max_size'?"),
        (
            {"zzz": 1},
            "Unknown key 'zzz'",
            "Known: types, max_size, min_size, require_agreement, check_content",
        ),
        ({"types": "imags"}, "In collections.a: 'imags' is neither", "Did you mean 'images'?"),
        ({"max_size": "big"}, "In collections.a: 'big' is not a size.", "Write it like 5 MiB"),
        ({"require_agreement": "no"}, "In collections.a: require_agreement must be", ""),
    ],
)
def test_a_wrong_table_is_refused_with_its_place(
    table: dict[str, object], text: str, hint: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        Policy.from_mapping(table, where="collections.a")
    assert str(caught.value).startswith(text)
    assert caught.value.hint.startswith(hint)


def test_a_description_is_plain_json() -> None:
    described = Policy(types=["image/png", "image/gif"], max_size=10).describe()
    assert json.loads(json.dumps(described)) == {
        "types": ["image/gif", "image/png"],
        "max_size": 10,
        "min_size": 0,
        "require_agreement": True,
        "check_content": True,
        "second_opinion": False,
        "refuse": sorted(
            [
                "damaged",
                "disputed",
                "encrypted",
                "external-references",
                "doubled-members",
                "launch",
                "links",
                "macros",
                "scripts",
                "trailing-data",
                "unsafe-members",
            ]
        ),
        "max_pixels": 50_000_000,
        "max_total_pixels": 500_000_000,
        "max_frames": 1000,
        "max_members": 10_000,
        "max_unpacked": 4096 * MIB,
        "max_ratio": 200,
        "max_depth": 3,
        "strip_metadata": False,
        "reencode": False,
        "rename_to_type": False,
    }
    assert Policy.anything().describe()["types"] is None


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"refuse": "macros"}, "refuse must be a list of findings, not 'macros'."),
        ({"refuse": ["macro"]}, "'macro' is not a finding."),
        ({"check_content": 1}, "check_content must be true or false, not 1."),
        ({"max_pixels": 0}, "max_pixels must be a whole number of at least 1, not 0."),
        ({"max_depth": True}, "max_depth must be a whole number of at least 1, not True."),
        ({"max_unpacked": "much"}, "'much' is not a size."),
        (
            {"check_content": False, "strip_metadata": True},
            "strip_metadata and reencode need check_content.",
        ),
        ({"second_opinion": "yes"}, "second_opinion must be true or false, not 'yes'."),
        (
            {"check_content": False, "second_opinion": True},
            "second_opinion needs check_content.",
        ),
    ],
)
def test_wrong_rules_about_content_are_refused(arguments: dict[str, object], text: str) -> None:
    with pytest.raises(UsageError) as caught:
        Policy(**arguments)  # type: ignore[arg-type]  # that is what is tested
    assert str(caught.value) == text


def test_where_any_type_is_taken_only_what_leads_outside_is_refused() -> None:
    assert Policy.anything().refuse == {"unsafe-members"}
    assert "macros" in Policy.documents().refuse
    assert "disputed" in Policy.documents().refuse
    assert Policy(refuse=["macros"]).refuse == {"macros"}
    assert Policy.documents().refuse.isdisjoint({"formulas", "embedded-files"})
