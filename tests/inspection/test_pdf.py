"""PDFs by their bytes: cut off, gone on, or something else at the same time."""

from __future__ import annotations

import io
import zipfile

import pytest

from support.content import HTML, PDF, PNG, SCRIPT
from wharfinger.errors import ContentDamaged, HiddenContent
from wharfinger.inspection.content import examine
from wharfinger.inspection.findings import Findings
from wharfinger.inspection.pdf import look
from wharfinger.policy import Policy

WHOLE = PDF + b"trailer\n<< /Root 1 0 R >>\nstartxref\n9\n%%EOF"


def archive(comment: bytes = b"") -> bytes:
    """Return a small ZIP archive with this comment."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as made:
        made.writestr("inside.txt", "hidden")
        made.comment = comment
    return file.getvalue()


def found(data: bytes, *, media_type: str = "application/pdf") -> tuple[str, ...]:
    findings = Findings(Policy(types="documents", refuse=[]))
    assert look(io.BytesIO(data), len(data), media_type, findings) is None
    return findings.words


def across_two_pieces() -> bytes:
    # The end mark begins two bytes before the last 64 KiB.
    return WHOLE[:-5] + b"%%EOF" + bytes(64 * 1024 - 3)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(WHOLE, id="without a line end"),
        pytest.param(WHOLE + b"\r\n", id="with a line end"),
        pytest.param(WHOLE + b"\n" + bytes(200_000), id="padded to whole sectors"),
        pytest.param(WHOLE + b"\n\x1a", id="with the end mark of an old system"),
        pytest.param(WHOLE + b"\n%\n\xff\xfe\n", id="a few bytes more"),
        pytest.param(WHOLE + b"\n" + WHOLE + b"\n", id="changed and saved behind the first end"),
        pytest.param(across_two_pieces(), id="the mark lies across two pieces"),
    ],
)
def test_an_honest_end_is_no_finding(data: bytes) -> None:
    assert found(data) == ()


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(WHOLE + b"\n" + HTML, id="a web page"),
        pytest.param(WHOLE + SCRIPT[:12], id="the beginning of a script"),
        pytest.param(WHOLE + b"\n" + PNG, id="an image"),
        pytest.param(WHOLE + bytes(70_000) + b"M" + b"Z" + b"\x90" * 300_000, id="a program, far"),
        pytest.param(WHOLE + archive(), id="an archive"),
        pytest.param(PDF + archive(b"stream ends %%EOF\n"), id="an archive in the document"),
    ],
)
def test_what_follows_the_end_is_found(data: bytes) -> None:
    assert found(data) == ("trailing-data",)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(PDF, id="short"),
        pytest.param(WHOLE[:-1], id="one byte short"),
        pytest.param(PDF + b"\x80" * 200_000, id="long"),
    ],
)
def test_a_document_that_was_cut_off_is_damaged(data: bytes) -> None:
    assert found(data) == ("damaged",)


def test_only_documents_of_this_type_are_looked_at() -> None:
    assert found(PDF, media_type="application/postscript") == ()


def test_a_policy_for_documents_refuses_both() -> None:
    policy = Policy.documents()
    cut = io.BytesIO(PDF)
    with pytest.raises(ContentDamaged, match="cut off"):
        examine(cut, len(PDF), policy=policy, name="a.pdf")
    more = WHOLE + b"\n" + HTML
    with pytest.raises(HiddenContent, match="69 bytes follow the end of the PDF") as caught:
        examine(io.BytesIO(more), len(more), policy=policy, name="a.pdf")
    assert caught.value.finding == "trailing-data"


def test_where_any_type_is_taken_both_are_noted() -> None:
    more = WHOLE + b"\n" + HTML
    _, details = examine(io.BytesIO(more), len(more), policy=Policy.anything(), name="a.pdf")
    assert details.findings == ("trailing-data",)
