"""Images that a policy has written anew, and names that follow the type."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

import pytest
from PIL import Image

from support.services import blobs_on_disk, make_wharf
from support.waiting import soon
from wharfinger import Collection, Policy, Wharf
from wharfinger.errors import ContentDamaged, HiddenContent, Infected
from wharfinger.service import FileState
from wharfinger.service.checking_settings import CheckingSettings
from wharfinger.testing import DownScanner, WordScanner

SECRET = b"where it was taken"
COLLECTIONS = (
    Collection(name="stripped", policy=Policy(types="images", strip_metadata=True)),
    Collection(name="anew", policy=Policy(types="images", reencode=True)),
    Collection(
        name="named", policy=Policy(types="images", require_agreement=False, rename_to_type=True)
    ),
    Collection(name="kept", policy=Policy.images()),
)


def photo(*, comment: bytes = SECRET) -> bytes:
    made = io.BytesIO()
    Image.linear_gradient("L").save(made, "JPEG", comment=comment)
    return made.getvalue()


def content_of(wharf: Wharf, file_id: str) -> bytes:
    with wharf.open_file(file_id) as file:
        return file.read()


@pytest.mark.parametrize("collection", ["stripped", "anew"])
def test_what_is_kept_is_the_image_written_anew(tmp_path: Path, collection: str) -> None:
    sent = photo()
    assert SECRET in sent
    with make_wharf(tmp_path, collections=COLLECTIONS) as wharf:
        stored = wharf.receive([sent], collection=collection, name="a.jpg")
        kept = content_of(wharf, stored.id)
        assert SECRET not in kept
        assert Image.open(io.BytesIO(kept)).size == (256, 256)
        assert (stored.size, stored.sha256) == (len(kept), hashlib.sha256(kept).hexdigest())
        assert wharf.info(stored.id) == stored
        assert stored.details == {"width": 256, "height": 256, "frames": 1}
        assert [path.name for path in blobs_on_disk(tmp_path)] == [stored.id]


def test_it_is_so_by_a_resumable_upload_and_by_a_worker_too(tmp_path: Path) -> None:
    sent = photo()
    later = CheckingSettings(workers=0, wait=0)
    with make_wharf(tmp_path, collections=COLLECTIONS, checking=later) as wharf:
        upload = wharf.uploads.create("stripped", protocol="tus", owner=None, length=len(sent))
        with wharf.uploads.take(upload.id) as turn:
            turn.write(sent)
            stored = turn.complete()
        assert (stored.state, stored.size) == (FileState.CHECKING, len(sent))
        assert wharf.checking.run() == 1
        ready = wharf.info(stored.id)
        kept = content_of(wharf, stored.id)
        assert (ready.state, ready.size) == (FileState.READY, len(kept))
        assert SECRET not in kept
        assert soon(lambda: [path.name for path in blobs_on_disk(tmp_path)] == [stored.id])


def test_what_was_sent_is_scanned_whatever_is_kept(tmp_path: Path) -> None:
    scanner = WordScanner(SECRET)
    with make_wharf(tmp_path, collections=COLLECTIONS, scanner=scanner) as wharf:
        with pytest.raises(Infected):
            wharf.receive([photo()], collection="anew", name="a.jpg")
        assert blobs_on_disk(tmp_path) == []
        wharf.receive([photo(comment=b"harmless")], collection="anew", name="a.jpg")


def test_what_is_held_is_already_the_image_written_anew(tmp_path: Path) -> None:
    with make_wharf(tmp_path, collections=COLLECTIONS, scanner=DownScanner()) as wharf:
        stored = wharf.receive([photo()], collection="stripped", name="a.jpg")
        assert stored.state is FileState.HELD
        wharf.release(stored.id, reason="ours", by="ann")
        assert SECRET not in content_of(wharf, stored.id)


def test_what_a_job_held_is_written_anew_when_it_is_released(tmp_path: Path) -> None:
    later = CheckingSettings(workers=0, wait=0)
    with make_wharf(
        tmp_path, scanner=DownScanner(), collections=COLLECTIONS, checking=later
    ) as wharf:
        stored = wharf.receive([photo()], collection="stripped", name="a.jpg")
        wharf.checking.run()
        assert wharf.info(stored.id).state is FileState.HELD
        released = wharf.release(stored.id, reason="ours", by="ann")
        kept = content_of(wharf, stored.id)
        assert SECRET not in kept
        assert released.sha256 == hashlib.sha256(kept).hexdigest()
        assert wharf.checking.counts() == (0, 0)


def test_an_image_that_cannot_be_decoded_is_refused(tmp_path: Path) -> None:
    with make_wharf(tmp_path, collections=COLLECTIONS) as wharf:
        for collection in ("kept", "anew"):
            with pytest.raises(ContentDamaged):
                wharf.receive([photo()[:-200]], collection=collection, name="a.jpg")
        with pytest.raises(HiddenContent):
            wharf.receive([photo(), b"something else " * 9], collection="kept", name="a.jpg")
        assert blobs_on_disk(tmp_path) == []


def test_a_name_follows_the_type_where_the_policy_says_so(tmp_path: Path) -> None:
    with make_wharf(tmp_path, collections=COLLECTIONS) as wharf:
        named = {
            name: wharf.receive([photo()], collection="named", name=name).name
            for name in ("a.png", "b.JPEG", "c")
        }
    assert named == {"a.png": "a.jpg", "b.JPEG": "b.JPEG", "c": "c.jpg"}
