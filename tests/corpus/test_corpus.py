"""What inspection says of real files that this project did not make, against what they are.

The corpus is cut in two by the content of its files: detection may be improved by looking at
the development half; the holdout half is only counted. Run with -s to see the table.
"""

from __future__ import annotations

import io
import warnings
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from support.corpus import Sample, families, samples
from support.require import require
from wharfinger.checking import Checker, second_opinion
from wharfinger.errors import HiddenContent, Rejected
from wharfinger.inspection import Detected, Facts
from wharfinger.inspection.content import examine
from wharfinger.inspection.media_types import Family as Kind
from wharfinger.inspection.media_types import kind_of_type
from wharfinger.inspection.whole import detect_whole
from wharfinger.policy import Policy

_BYTES_ONLY = Policy(check_content=False)
_HARMLESS = {Kind.IMAGE, Kind.DOCUMENT, Kind.MEDIA, Kind.ARCHIVE}
_RASTER = {"jpeg", "png", "gif", "webp", "bmp", "tiff"}
# What macros make of a document, and what it is without.
_PLAIN_OF = {"docm": "docx", "xlsm": "xlsx", "xlsb": "xlsx", "pptm": "pptx"}
_DISGUISES = [
    ("photo.jpg", Policy.images()),
    ("paper.pdf", Policy.documents()),
    ("film.mp4", Policy.media()),
    ("all.tar", Policy.archives()),
]


@dataclass(frozen=True)
class _Verdict:
    """A file, what its bytes alone were taken for, and what it is together with its name."""

    sample: Sample
    found: Detected
    named: str

    @property
    def right(self) -> bool:
        told = self.found.type if self.sample.family.by_bytes else self.named
        return told in self.sample.family.types


def _named(data: bytes, name: str) -> str:
    try:
        return examine(io.BytesIO(data), len(data), policy=_BYTES_ONLY, name=name)[0]
    except Rejected as error:
        return f"refused as {error.code}"


@pytest.fixture(scope="module")
def verdicts() -> list[_Verdict]:
    judged = []
    for sample in samples():
        data = sample.read()
        found = detect_whole(io.BytesIO(data), len(data))
        judged.append(_Verdict(sample, found, _named(data, sample.name)))
    return judged


@pytest.fixture(params=[False, True], ids=["development", "holdout"])
def half(request: pytest.FixtureRequest, verdicts: list[_Verdict]) -> list[_Verdict]:
    return [verdict for verdict in verdicts if verdict.sample.holdout is request.param]


def _say(line: str) -> None:
    print(line)  # noqa: T201 - the figures are for people


def _print(half: list[_Verdict], total: Counter[str], right: Counter[str]) -> None:
    holdout = half[0].sample.holdout
    _say(f"\n{'holdout' if holdout else 'development'}: {right.total()} of {total.total()} right")
    for family in families():
        if total[family]:
            _say(f"  {family:20} {right[family]:5} of {total[family]:5}")
    for verdict in () if holdout else half:
        if not verdict.right:
            sample = verdict.sample
            told = f"{verdict.found.type}, with its name {verdict.named}"
            _say(f"  {sample.origin}/{sample.name}: {sample.family.name}, found {told}")


def test_the_families_of_real_files_are_told(half: list[_Verdict]) -> None:
    total = Counter(verdict.sample.family.name for verdict in half)
    right = Counter(verdict.sample.family.name for verdict in half if verdict.right)
    _print(half, total, right)
    assert total.total() > 1500
    assert right.total() / total.total() >= 0.975
    assert sum(right[family] / total[family] for family in total) / len(total) >= 0.93


def test_nothing_that_runs_is_taken_for_an_image_document_medium_or_archive(
    half: list[_Verdict],
) -> None:
    programs = [v for v in half if v.sample.family.active]
    wrong = [
        v.sample.path
        for v in programs
        if (kind := kind_of_type(v.found.type)) and kind.family in _HARMLESS and not v.found.active
    ]
    assert len(programs) > 300
    assert wrong == []


def test_no_text_or_script_is_taken_for_an_image(half: list[_Verdict]) -> None:
    texts = [
        v for v in half if not v.sample.family.by_bytes and v.sample.family.name != "mp4 audio"
    ]
    images = [
        v.sample.path for v in texts if v.found.type.startswith("image/") and not v.found.active
    ]
    assert len(texts) > 300
    assert images == []


def test_documents_with_macros_are_told_from_those_without(half: list[_Verdict]) -> None:
    office = {*_PLAIN_OF, *_PLAIN_OF.values()}
    documents = [v for v in half if v.sample.family.name in office]
    wrong = [
        v.sample.path
        for v in documents
        if v.found.active is not (v.sample.family.name in _PLAIN_OF)
    ]
    assert sum(v.sample.family.name in _PLAIN_OF for v in documents) >= 5
    assert wrong == []


@pytest.mark.parametrize(("name", "policy"), _DISGUISES, ids=[row[0] for row in _DISGUISES])
def test_nothing_that_runs_passes_in_other_clothes(
    half: list[_Verdict], name: str, policy: Policy
) -> None:
    passed = []
    for verdict in half:
        # Without its name a script is the text that it is made of: only what shows counts.
        if verdict.sample.family.active and verdict.found.active:
            data = verdict.sample.read()
            try:
                examine(io.BytesIO(data), len(data), policy=policy, name=name)
            except Rejected:
                continue
            passed.append(verdict.sample.path)
    assert passed == []


def test_text_of_any_kind_is_refused_as_an_image(half: list[_Verdict]) -> None:
    passed = []
    for verdict in half:
        if not verdict.sample.family.by_bytes and verdict.sample.family.name != "mp4 audio":
            data = verdict.sample.read()
            try:
                examine(io.BytesIO(data), len(data), policy=Policy.images(), name="photo.jpg")
            except Rejected:
                continue
            passed.append(verdict.sample.path)
    assert passed == []


def test_libmagic_disputes_next_to_nothing_of_honest_files(half: list[_Verdict]) -> None:
    require(not second_opinion.missing(), "libmagic and python-magic are not installed")
    import magic

    library = magic.Magic(mime=True)
    disputed = []
    for verdict in half:
        said = library.from_buffer(verdict.sample.read()[: second_opinion.READ])
        told = verdict.found.type if verdict.named.startswith("refused") else verdict.named
        if second_opinion.contradicts(said, told):
            disputed.append(f"{verdict.sample.path}: {told}, libmagic says {said}")
    _say("\n".join(["", f"libmagic disputes {len(disputed)} of {len(half)}", *disputed]))
    assert len(disputed) / len(half) < 0.01


# --- images -------------------------------------------------------------------------------


def _pictures() -> Iterator[Sample]:
    yield from (sample for sample in samples() if sample.family.name in _RASTER)


def _decodes(data: bytes) -> bool:
    """Whether Pillow reads every frame of it to its end, without complaint."""
    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(data)) as image:
                for frame in range(getattr(image, "n_frames", 1)):
                    image.seek(frame)
                    image.load()
    except Exception:  # noqa: BLE001 - whatever a broken image raises: it does not decode
        return False
    return True


def test_honest_images_pass_and_no_image_that_cannot_be_decoded_does() -> None:
    policy = Policy.images(max_size="1 GiB")
    counts: Counter[str] = Counter()
    broken: list[object] = []
    checker = Checker(processes=2)
    try:
        for sample in _pictures():
            data = sample.read()
            facts = Facts(size=len(data), type="", sha256=sample.sha256)
            decodes = _decodes(data)
            counts["honest" if decodes else "broken"] += 1
            try:
                checker.check(io.BytesIO(data), facts, policy=policy)
            except Rejected as error:
                hidden = isinstance(error, HiddenContent)
                why = "trailing data" if hidden else "something else"
                counts[f"honest, refused for {why}"] += decodes
                if decodes and not sample.holdout:
                    _say(f"  {sample.origin}/{sample.name}: {error}")
            else:
                broken += [] if decodes else [sample.path]
    finally:
        checker.close()
    _say(f"\nimages: {dict(counts)}")
    assert counts["honest"] > 400
    assert broken == []
    assert counts["honest, refused for trailing data"] / counts["honest"] < 0.005
