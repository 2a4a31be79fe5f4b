"""What goes wrong in the middle of an upload costs nobody what was acknowledged."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import BinaryIO

import pytest

from support import samples
from support.services import make_wharf
from wharfinger import Collection, Policy
from wharfinger.catalog import FileState, UploadState
from wharfinger.errors import InconsistentLength, QuotaExceeded, Unavailable, UploadTakenOver
from wharfinger.scanners import Clean, Verdict
from wharfinger.service.usage import Quotas
from wharfinger.stores import LocalStore

OWNER = "user:1"


class AwayOnce:
    """A scanner that is away when it is asked first."""

    def __init__(self) -> None:
        self.asked = 0

    def scan(self, stream: BinaryIO, size: int) -> Verdict:  # noqa: ARG002
        self.asked += 1
        if self.asked == 1:
            raise Unavailable("The scanner is away.")
        return Clean()


def test_a_completion_that_failed_in_passing_can_be_asked_for_again(tmp_path: Path) -> None:
    with make_wharf(tmp_path / "data", scanner=AwayOnce()) as wharf:
        upload = wharf.uploads.create(
            "files", protocol="tus", owner=OWNER, length=len(samples.TEXT)
        )
        with wharf.uploads.take(upload.id) as turn:
            turn.write(samples.TEXT)
            with pytest.raises(Unavailable):
                turn.complete()
        with wharf.uploads.take(upload.id) as turn:
            assert turn.complete().state is FileState.READY


def test_bytes_whose_sync_failed_do_not_count_when_a_later_sync_succeeds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with make_wharf(tmp_path / "data") as wharf:
        upload = wharf.uploads.create("files", protocol="tus", owner=OWNER, length=12)
        with wharf.uploads.take(upload.id) as turn:
            turn.write(b"kept, ")
        turn = wharf.uploads.take(upload.id)
        turn.write(b"lost")

        def broken(_: int) -> None:
            raise OSError(errno.EIO, "Input/output error")

        with monkeypatch.context() as patch:
            patch.setattr(os, "fdatasync", broken)
            with pytest.raises(OSError, match="Input/output"):
                turn.keep()
        with pytest.raises(UploadTakenOver):  # whoever goes on asks where it stands
            turn.write(b"more")
        turn.close()
        with wharf.uploads.take(upload.id) as turn:
            assert turn.offset == wharf.uploads.find(upload.id, None).offset == 6
            turn.write(b"again.")
            stored = turn.complete()
        with wharf.open_file(stored.id) as file:
            assert file.read() == b"kept, again."


def test_who_was_taken_over_removes_nothing_by_a_refusal(tmp_path: Path) -> None:
    with make_wharf(tmp_path / "data") as one, make_wharf(tmp_path / "data") as other:
        upload = one.uploads.create("files", protocol="resumable", owner=OWNER, length=8)
        old = one.uploads.take(upload.id)
        old.write(b"old ")
        new = other.uploads.take(upload.id)
        new.write(b"new ")
        assert new.keep().offset == 4
        with pytest.raises(UploadTakenOver):
            old.refuse(InconsistentLength("too long", lengths=(8, 9)))
        old.close()
        assert other.uploads.find(upload.id, None).state is UploadState.OPEN
        new.write(b"file")
        stored = new.complete()
        with other.open_file(stored.id) as file:
            assert file.read() == b"new file"


def test_an_upload_of_unknown_length_stops_where_the_quota_ends(tmp_path: Path) -> None:
    quotas = Quotas.from_mapping({"max_bytes": 1000})
    box = Collection(name="box", policy=Policy.anything(), quotas=quotas)
    with make_wharf(tmp_path / "data", collections=[box]) as wharf:
        first, second = (wharf.uploads.create("box", protocol="tus", owner=OWNER) for _ in range(2))
        with wharf.uploads.take(first.id) as turn:
            turn.write(bytes(600))
        with wharf.uploads.take(second.id) as turn:
            turn.write(bytes(400))
            with pytest.raises(QuotaExceeded):
                turn.write(b"0")
        wharf.uploads.end(first.id)
        with wharf.uploads.take(second.id) as turn:  # it waited
            assert turn.offset == 400
            turn.write(bytes(600))


def test_what_is_published_late_is_young(tmp_path: Path) -> None:
    """Else a sweep between publishing and recording takes it for an orphan."""
    store = LocalStore(tmp_path)
    staging = store.stage()
    staging.write(b"slow")
    os.utime(staging.fileno(), (1, 1))
    staging.sync()
    store.publish(staging, "0" * 32)
    (blob,) = store.blobs()
    assert blob.modified_at > 1
