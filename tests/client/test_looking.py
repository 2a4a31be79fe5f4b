"""Under a policy the whole content of a download is looked into before it appears."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import pytest

import wharfinger
from conftest import StartPeer
from support.content import PNG
from support.folders import listing
from support.peer import response, saying
from support.pictures import picture
from wharfinger import Policy
from wharfinger.errors import ContentDamaged, HiddenContent, Rejected, TooComplex, UnsafeArchive

PHOTO = picture("JPEG", (640, 480))
BEHIND = b"something else, behind the end of it. " * 40


def zipped(*names: str) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name in names:
            archive.writestr(name, "text")
    return packed.getvalue()


HOSTILE = {
    "breaks off": (PHOTO[: len(PHOTO) // 2], "a.jpg", Policy.images(), ContentDamaged),
    "more behind it": (PHOTO + BEHIND, "a.jpg", Policy.images(), HiddenContent),
    "too many pixels": (PHOTO, "a.jpg", Policy(types="images", max_pixels=100_000), TooComplex),
    "leads outside": (zipped("../a"), "a.zip", Policy.archives(), UnsafeArchive),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_what_the_policy_refuses_never_appears(peer: StartPeer, folder: Path, case: str) -> None:
    content, name, policy, error = HOSTILE[case]
    server = peer(saying(response(content)))
    with pytest.raises(error):
        wharfinger.download(f"{server.url}/{name}", name, policy=policy, allow_private=True)
    assert listing(folder) == []


@pytest.mark.parametrize(
    ("content", "name", "policy"),
    [
        (PHOTO, "a.jpg", Policy.images()),
        (PNG, "a.png", Policy.images()),
        (zipped("a", "b/c"), "a.zip", Policy.archives()),
        (PHOTO + BEHIND, "a.jpg", Policy(types="images", check_content=False)),
    ],
    ids=["a photo", "a small picture", "an archive", "judged by its bytes alone"],
)
def test_what_it_accepts_appears(
    peer: StartPeer, folder: Path, content: bytes, name: str, policy: Policy
) -> None:
    server = peer(saying(response(content)))
    wharfinger.download(f"{server.url}/{name}", name, policy=policy, allow_private=True)
    assert (folder / name).read_bytes() == content


def test_without_a_policy_the_bytes_alone_are_judged(peer: StartPeer, folder: Path) -> None:
    server = peer(saying(response(PHOTO + BEHIND, Content_Type="image/jpeg")))
    wharfinger.download(f"{server.url}/a.jpg", "a.jpg", expect="image/*", allow_private=True)
    assert listing(folder) == ["a.jpg"]


def test_several_downloads_are_looked_into_likewise(peer: StartPeer, folder: Path) -> None:
    server = peer(saying(response(PHOTO + BEHIND)))
    (report,) = wharfinger.download_many(
        [f"{server.url}/a.jpg"], folder, policy=Policy.images(), allow_private=True
    ).results
    assert isinstance(report.error, HiddenContent)
    assert listing(folder) == []


@pytest.mark.parametrize("content", [PHOTO[:900], PHOTO + BEHIND], ids=["breaks off", "more"])
def test_inspect_says_the_same_of_a_file_that_is_here(folder: Path, content: bytes) -> None:
    (folder / "a.jpg").write_bytes(content)
    for source in ("a.jpg", content, io.BytesIO(content)):
        with pytest.raises(Rejected):
            wharfinger.inspect(source, name="a.jpg", policy=Policy.images())
    assert wharfinger.inspect("a.jpg").details.findings
