"""What libmagic says against us, through the real library in a process of its own."""

from __future__ import annotations

import importlib
import io
import sys
import tarfile
import types
from collections.abc import Iterator
from pathlib import Path

import pytest

from support import decoders, require
from support import pictures as p
from support.services import blobs_on_disk, make_wharf
from wharfinger import Policy, Wharf
from wharfinger.checking import Checker, files, second_opinion
from wharfinger.checking.pool import Pool
from wharfinger.errors import ConfigError, ContentRefused
from wharfinger.inspection import Facts
from wharfinger.policy import FINDINGS
from wharfinger.service.collections import Collection
from wharfinger.service.doctor import examine
from wharfinger.service.settings import WharfSettings

UNKNOWN = "application/octet-stream"
PLAIN, HTML, SVG = "text/plain", "text/html", "image/svg+xml"
PDF, ZIP, OLE = "application/pdf", "application/zip", "application/x-ole-storage"
PNG, MP4, EXE = "image/png", "video/mp4", "application/x-dosexec"
DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
DOCM = "application/vnd.ms-word.document.macroenabled.12"


@pytest.mark.parametrize(
    ("theirs", "ours", "against"),
    [
        (PNG, PNG, False),
        ("image/x-png", PNG, False),
        ("image/x-tga", "image/vnd.microsoft.icon", False),
        ("video/ogg", "audio/ogg", False),
        (UNKNOWN, PNG, False),
        ("inode/x-empty", PNG, False),
        ("application/x-never-heard-of", PNG, False),
        ("font/ttf", PNG, False),
        (PLAIN, PNG, False),
        # another family
        (PDF, PNG, True),
        (PNG, PDF, True),
        (ZIP, PDF, True),
        (DOCX, PDF, True),
        (MP4, PNG, True),
        ("audio/x-mod", ZIP, True),
        (OLE, "font/ttf", True),
        (PDF, PLAIN, True),
        # content that runs
        (EXE, PNG, True),
        ("application/x-bytecode.python", PNG, True),
        ("image/x-garmin-exe", PNG, True),
        ("text/x-shellscript", PNG, True),
        (HTML, PDF, True),
        (SVG, PNG, True),
        ("application/x-mach-binary", "application/x-elf", False),
        (EXE, HTML, False),
        (PNG, HTML, True),
        # one is the other
        (ZIP, DOCX, False),
        (DOCX, ZIP, False),
        (DOCX, DOCM, False),
        (OLE, "application/msword", False),
        ("application/CDFV2", "application/vnd.ms-excel", False),
        ("application/gzip", "application/x-svgz", False),
        ("application/java-archive", ZIP, True),
        (ZIP, "application/java-archive", False),
        # among texts it guesses
        (HTML, PLAIN, False),
        ("application/javascript", "text/csv", False),
        (SVG, "application/xml", False),
        ("text/x-script.python", "text/x-never-heard-of", False),
        # where we know nothing
        (PNG, UNKNOWN, False),
        (HTML, UNKNOWN, False),
        ("application/x-lx-executable", UNKNOWN, True),
        (EXE, UNKNOWN, False),
    ],
)
def test_only_what_libmagic_knows_better_counts(theirs: str, ours: str, against: bool) -> None:
    assert second_opinion.contradicts(theirs, ours) is against


# --- through the library ------------------------------------------------------------------


@pytest.fixture(scope="module")
def checker() -> Iterator[Checker]:
    require.require(second_opinion.missing() == "", "libmagic and python-magic are not installed")
    with Checker(processes=1) as made:
        yield made


def judge(checker: Checker, data: bytes, policy: Policy) -> Facts:
    facts = Facts(size=len(data), type="", sha256="")
    return checker.check(io.BytesIO(data), facts, policy=policy)


def tar_named(name: str) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as tar:
        tar.addfile(tarfile.TarInfo(name))
    return file.getvalue()


# A PDF for readers that look for its header in the first 1024 bytes, and text for us.
LATE_PDF = b"Dear reader,\n%PDF-1.4\n1 0 obj <</Type /Catalog>> endobj\n"
OS2_PROGRAM = b"LX\0\0" + bytes(60)
REFUSED = {
    "late pdf": (
        LATE_PDF, "text/plain",
        "libmagic takes the plain text for something else: PDF document.",
    ),
    "program": (
        OS2_PROGRAM, UNKNOWN,
        "libmagic takes the unknown data for something else: application/x-lx-executable.",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("data", "accepted", "sentence"), REFUSED.values(), ids=REFUSED)
def test_a_disputed_file_is_refused_where_types_are_named(
    checker: Checker, data: bytes, accepted: str, sentence: str
) -> None:
    assert judge(checker, data, Policy(types=accepted)).details.findings == ()
    with pytest.raises(ContentRefused) as caught:
        judge(checker, data, Policy(types=accepted, second_opinion=True))
    assert (caught.value.finding, str(caught.value)) == ("disputed", sentence)
    assert caught.value.hint == "Open the file, save it anew and send that."
    assert "disputed" in FINDINGS


def test_where_any_type_is_taken_it_is_told_beside_the_other_findings(checker: Checker) -> None:
    # A PDF by its first bytes, with nothing of a PDF behind them.
    facts = judge(checker, tar_named("%PDF-1.4 x"), Policy(second_opinion=True))
    assert facts.type == PDF
    assert {"damaged", "disputed"} <= set(facts.details.findings)


@pytest.mark.parametrize(
    "data",
    [p.picture("PNG", (30, 20)), b"plain text\n", b"a,b\n1,2\n", b"", bytes(2_000_000)],
    ids=["png", "text", "table", "nothing", "zeros"],
)
def test_where_both_agree_nothing_is_found(checker: Checker, data: bytes) -> None:
    assert judge(checker, data, Policy(second_opinion=True)).details.findings == ()


def test_an_image_keeps_what_the_decoder_told(checker: Checker) -> None:
    facts = judge(checker, p.picture("PNG", (30, 20)), Policy.images())
    assert judge(checker, p.picture("PNG", (30, 20)), Policy(types="images", second_opinion=True)) == (
        facts
    )  # fmt: skip


def test_no_more_is_copied_than_libmagic_reads() -> None:
    with files.descriptor_of(io.BytesIO(b"0123456789"), 10, most=4) as descriptor:
        assert Path(f"/proc/self/fd/{descriptor}").stat().st_size == 4


# --- when there is no answer --------------------------------------------------------------


def asked(pool: Pool, policy: Policy, *, seconds: int = 30) -> Facts:
    with Checker(pool=pool, seconds=seconds) as checker:
        return judge(checker, b"text", policy)


@pytest.mark.parametrize("job", ["crash", "hang", "babble"])
def test_a_file_on_which_libmagic_fails_is_disputed(job: str) -> None:
    pool = Pool(processes=1, jobs={"opinion": decoders.JOBS[job]})
    with pytest.raises(ContentRefused, match="could not say what the plain text is"):
        asked(pool, Policy(types=PLAIN, second_opinion=True), seconds=1)


class Answering(Pool):
    """Gives the answer of a process in which something is missing."""

    def run(self, job: str, **_: object) -> dict[str, object]:
        assert job == "opinion"
        return {"missing": "the package python-magic is not installed"}


def test_without_libmagic_no_file_passes_and_the_error_says_what_to_install() -> None:
    with pytest.raises(ConfigError) as caught:
        asked(Answering(), Policy(second_opinion=True))
    assert str(caught.value) == (
        "A second opinion cannot be had: the package python-magic is not installed."
    )
    assert caught.value.hint.startswith("pip install 'wharfinger[magic]', with libmagic")
    assert asked(Answering(), Policy()).details.findings == ()


def test_without_the_package_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "magic", None)
    assert second_opinion.missing() == "the package python-magic is not installed"


def test_without_the_library_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    require.module("magic")
    loader = importlib.import_module("magic.loader")

    def lacking() -> None:
        raise ImportError("failed to find libmagic")

    monkeypatch.setattr(loader, "load_lib", lacking)
    monkeypatch.delitem(sys.modules, "magic")
    assert second_opinion.missing().startswith("the library libmagic is not installed")


def test_another_package_of_that_name_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "magic", types.ModuleType("magic"))
    assert second_opinion.missing() == "another package than python-magic is installed as 'magic'"


def test_a_library_without_its_database_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, checker: Checker
) -> None:
    monkeypatch.setenv("MAGIC", str(tmp_path / "absent"))
    second_opinion._magic.cache_clear()
    try:
        assert second_opinion.missing().startswith("libmagic finds no database (")
    finally:
        second_opinion._magic.cache_clear()


# --- told beforehand ----------------------------------------------------------------------


def settings(tmp_path: Path, policy: Policy) -> WharfSettings:
    collection = Collection(name="scans", policy=policy)
    return WharfSettings(data=tmp_path, collections={"scans": collection})


def test_a_service_that_cannot_ask_does_not_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "magic", None)
    Wharf(settings(tmp_path, Policy())).close()
    asking = settings(tmp_path, Policy(second_opinion=True))
    told = (
        "The collection scans has second_opinion, which needs libmagic: "
        "the package python-magic is not installed."
    )
    with pytest.raises(ConfigError) as caught:
        Wharf(asking)
    assert str(caught.value) == told
    found = [f for f in examine(asking) if f.check == "second opinion"]
    assert [(f.grade, f.detail) for f in found] == [("failure", told)]
    assert "leave second_opinion out" in found[0].advice


def test_a_service_that_can_ask_starts(tmp_path: Path, checker: Checker) -> None:
    asking = settings(tmp_path, Policy(second_opinion=True))
    Wharf(asking).close()
    assert [f for f in examine(asking) if f.check == "second opinion"] == []


def test_a_disputed_upload_is_refused_or_told(tmp_path: Path, checker: Checker) -> None:
    named = Policy(types=PLAIN, second_opinion=True)
    collections = (
        Collection(name="scans", policy=named),
        Collection(name="inbox", policy=Policy(second_opinion=True)),
    )
    with make_wharf(tmp_path / "data", collections=collections) as service:
        with pytest.raises(ContentRefused):
            service.receive([LATE_PDF], collection="scans", name="letter.txt")
        told = service.receive([LATE_PDF], collection="inbox", name="letter.txt")
        assert told.details == {"findings": ["disputed"]}
        assert service.receive([b"text"], collection="scans", name="a.txt").details == {}
        assert len(blobs_on_disk(tmp_path / "data")) == 2
