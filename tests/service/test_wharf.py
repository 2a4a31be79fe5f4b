from __future__ import annotations

import errno
import hashlib
import io
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from support import samples
from support.services import Clock, blobs_on_disk, make_wharf
from wharfinger import Collection, Policy, Wharf
from wharfinger.catalog import FileState
from wharfinger.errors import (
    ActiveContent,
    ConfigError,
    ContentMismatch,
    DataFolderError,
    Infected,
    LengthMismatch,
    NameRejected,
    NotFound,
    NotReady,
    StorageFull,
    TooLarge,
    TypeNotAllowed,
    Unavailable,
    UsageError,
    WharfingerError,
)
from wharfinger.stores import MemoryStore
from wharfinger.testing import DownScanner, WordScanner


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def wharf(tmp_path: Path, clock: Clock) -> Iterator[Wharf]:
    with make_wharf(tmp_path / "data", clock=clock) as wharf:
        yield wharf


def test_a_received_file_comes_back_byte_for_byte(wharf: Wharf) -> None:
    content = os.urandom(3_000_000)
    stored = wharf.receive(
        io.BytesIO(content), collection="files", name="noise.bin", owner="user:7"
    )
    assert stored.size == 3_000_000
    assert stored.sha256 == hashlib.sha256(content).hexdigest()
    assert (stored.name, stored.collection, stored.owner) == ("noise.bin", "files", "user:7")
    assert stored.state is FileState.READY
    with wharf.open_file(stored.id) as file:
        assert file.read() == content
    assert wharf.info(stored.id) == stored


def test_the_type_is_what_the_content_proves(wharf: Wharf) -> None:
    stored = wharf.receive([samples.image("PNG")], collection="images")
    assert (stored.type, stored.name) == ("image/png", "file.png")


REFUSED = {
    "html as a picture": ("images", "me.png", None, samples.HTML, ActiveContent),
    "html as text": ("files", "notes.txt", None, samples.HTML, ActiveContent),
    "a script as a document": ("files", "report.pdf", None, samples.SCRIPT, ActiveContent),
    "a program as a picture": ("files", "a.jpg", None, b"\x7fELF" + b"\0" * 100, ActiveContent),
    "a png called jpg": ("files", "me.jpg", None, samples.image("PNG"), ContentMismatch),
    "a pdf among images": ("images", "me.pdf", None, samples.PDF, TypeNotAllowed),
    "a claim that is wrong": (
        "files",
        "x.png",
        "image/jpeg",
        samples.image("PNG"),
        ContentMismatch,
    ),
    "unknown content among images": ("images", None, None, b"\1\2\3" * 40, TypeNotAllowed),
    "too large": ("small", "x.bin", None, b"\1" * 100_001, TooLarge),
    "a path for a name": ("files", "../x.txt", None, samples.TEXT, NameRejected),
    "a Windows path": ("files", "C:\\x.txt", None, samples.TEXT, NameRejected),
    "a NUL in the name": ("files", "x\0.txt", None, samples.TEXT, NameRejected),
    "a control character": ("files", "x\n.txt", None, samples.TEXT, NameRejected),
    "300 characters": ("files", "x" * 296 + ".txt", None, samples.TEXT, NameRejected),
    "right-to-left override": ("files", "gpj\u202etxt.jpg", None, samples.TEXT, NameRejected),
    "an unknown collection": ("nowhere", "x.txt", None, samples.TEXT, NotFound),
}


@pytest.mark.parametrize("case", REFUSED.values(), ids=list(REFUSED))
def test_what_breaks_the_policy_is_refused_and_nothing_is_kept(
    wharf: Wharf,
    tmp_path: Path,
    case: tuple[str, str | None, str | None, bytes, type[WharfingerError]],
) -> None:
    collection, name, claimed, content, expected = case
    with pytest.raises(expected):
        wharf.receive([content], collection=collection, name=name, type=claimed)
    assert wharf.list_files() == ([], None)
    assert blobs_on_disk(tmp_path / "data") == []


def test_a_declared_length_over_the_limit_is_refused_before_the_first_byte(wharf: Wharf) -> None:
    with pytest.raises(TooLarge) as caught:
        wharf.begin("small", length=100_001)
    assert (caught.value.limit, caught.value.size) == (100_000, 100_001)


def test_counting_stops_one_byte_after_the_limit(wharf: Wharf) -> None:
    with wharf.begin("small", name="x.bin") as reception:
        reception.write(b"\1" * 100_000)
        with pytest.raises(TooLarge):
            reception.write(b"\1")


def test_a_length_that_is_not_kept_is_an_error(wharf: Wharf, tmp_path: Path) -> None:
    with pytest.raises(LengthMismatch):
        wharf.receive([b"short"], collection="files", name="a.txt", length=6)
    with pytest.raises(LengthMismatch):
        wharf.receive([b"longer"], collection="files", name="a.txt", length=5)
    assert blobs_on_disk(tmp_path / "data") == []


def test_an_aborted_reception_leaves_nothing(wharf: Wharf, tmp_path: Path) -> None:
    with wharf.begin("files", name="a.bin") as reception:
        reception.write(os.urandom(100_000))
    with pytest.raises(UsageError):
        reception.write(b"more")
    assert blobs_on_disk(tmp_path / "data") == []


def test_several_files_are_accepted_together_or_not_at_all(wharf: Wharf, tmp_path: Path) -> None:
    receptions = [wharf.begin("files", name=name) for name in ("a.txt", "b.txt")]
    receptions[0].write(b"fine")
    receptions[1].write(b"fine too")
    assert [stored.name for stored in wharf.finish_all(receptions)] == ["a.txt", "b.txt"]
    before = blobs_on_disk(tmp_path / "data")
    receptions = [wharf.begin("files", name="c.txt"), wharf.begin("files", name="d.png")]
    receptions[0].write(b"fine")
    receptions[1].write(b"not a picture")
    with pytest.raises(ContentMismatch):
        wharf.finish_all(receptions)
    assert blobs_on_disk(tmp_path / "data") == before
    assert len(wharf.list_files()[0]) == 2


def test_a_record_that_cannot_be_committed_takes_the_file_back(
    wharf: Wharf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(connection: object, records: object) -> None:
        raise StorageFull("no room for the record")

    monkeypatch.setattr("wharfinger.catalog.files.add", broken)
    with pytest.raises(StorageFull):
        wharf.receive([b"text"], collection="files", name="a.txt")
    assert blobs_on_disk(tmp_path / "data") == []


def test_a_full_disk_refuses_one_file_and_the_service_goes_on(
    wharf: Wharf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wharf.receive([b"before"], collection="files", name="a.txt")
    real = os.write

    def full(fd: int, data: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(StorageFull):
        wharf.receive([b"during"], collection="files", name="b.txt")
    monkeypatch.setattr(os, "write", real)
    wharf.receive([b"after"], collection="files", name="c.txt")
    assert sorted(stored.name for stored in wharf.list_files()[0]) == ["a.txt", "c.txt"]
    assert len(blobs_on_disk(tmp_path / "data")) == 2


def test_what_a_scanner_finds_never_gets_an_id(tmp_path: Path) -> None:
    with make_wharf(tmp_path / "data", scanner=WordScanner(b"evil")) as wharf:
        wharf.receive([b"good"], collection="files", name="a.txt")
        with pytest.raises(Infected):
            wharf.receive([b"evil"], collection="files", name="b.txt")
        assert len(blobs_on_disk(tmp_path / "data")) == 1


def test_what_comes_while_the_scanner_is_away_is_held_where_nobody_reads_it(tmp_path: Path) -> None:
    with make_wharf(tmp_path / "data", scanner=DownScanner()) as wharf:
        stored = wharf.receive([b"good"], collection="files", name="a.txt")
        assert stored.state is FileState.HELD
        assert wharf.info(stored.id).problem is not None
        with pytest.raises(NotReady):
            wharf.open_file(stored.id)
        with pytest.raises(NotReady):
            wharf.share(stored.id)
        (kept,) = blobs_on_disk(tmp_path / "data")
        assert "staging" in kept.parts


def test_a_removed_file_is_gone_with_its_links(wharf: Wharf, tmp_path: Path) -> None:
    stored = wharf.receive([b"text"], collection="files", name="a.txt")
    link = wharf.share(stored.id)
    wharf.remove(stored.id)
    for gone in (
        lambda: wharf.info(stored.id),
        lambda: wharf.open_file(stored.id),
        lambda: wharf.remove(stored.id),
        lambda: wharf.links.redeem(link.url.rpartition("/")[2]),
    ):
        with pytest.raises(NotFound):
            gone()
    assert blobs_on_disk(tmp_path / "data") == []


def test_an_expired_file_is_gone_before_it_is_swept(
    wharf: Wharf, clock: Clock, tmp_path: Path
) -> None:
    stored = wharf.receive([b"text"], collection="brief", name="a.txt")
    assert stored.expires_at == clock.time.replace(minute=1)
    clock.forward(59.9)
    assert wharf.info(stored.id) == stored
    clock.forward(0.1)
    with pytest.raises(NotFound):
        wharf.info(stored.id)
    assert wharf.list_files() == ([], None)
    assert wharf.sweep().expired == 1
    assert blobs_on_disk(tmp_path / "data") == []
    assert wharf.sweep().expired == 0


def test_the_sweep_removes_files_without_a_record_once_they_are_old(
    wharf: Wharf, clock: Clock, tmp_path: Path
) -> None:
    kept = wharf.receive([b"text"], collection="files", name="a.txt")
    orphan = tmp_path / "data" / "files" / "abc" / ("abc" + "0" * 29)
    orphan.parent.mkdir(exist_ok=True)
    orphan.write_bytes(b"a crash left me")
    now = clock.time.timestamp()
    os.utime(orphan, (now - 3599, now - 3599))
    assert wharf.sweep().orphans == 0
    os.utime(orphan, (now - 3601, now - 3601))
    assert wharf.sweep().orphans == 1
    clock.forward(30 * 86400)
    assert wharf.sweep().orphans == 0
    with wharf.open_file(kept.id) as file:
        assert file.read() == b"text"


def test_listing_is_by_owner_collection_and_page(wharf: Wharf) -> None:
    for number in range(5):
        owner = "odd" if number % 2 else "even"
        wharf.receive([b"x"], collection="files", name=f"{number}.txt", owner=owner)
    wharf.receive([b"x"], collection="public", name="p.txt", owner="odd")

    def names(**wish: object) -> list[str]:
        return [stored.name for stored in wharf.list_files(**wish)[0]]  # type: ignore[arg-type]

    assert names() == ["p.txt", "4.txt", "3.txt", "2.txt", "1.txt", "0.txt"]
    assert names(owner="odd") == ["p.txt", "3.txt", "1.txt"]
    assert names(collection="public") == ["p.txt"]
    assert names(collections=["public"], collection="files") == []
    page, following = wharf.list_files(limit=4)
    assert [stored.name for stored in page] == ["p.txt", "4.txt", "3.txt", "2.txt"]
    assert names(after=following) == ["1.txt", "0.txt"]
    assert wharf.list_files(limit=6)[1] is None
    with pytest.raises(UsageError):
        wharf.list_files(limit=0)


def test_only_ready_files_are_handed_out(wharf: Wharf) -> None:
    stored = wharf.receive([b"x"], collection="files", name="a.txt")
    from dataclasses import replace

    held = replace(stored, state=FileState.HELD)
    with pytest.raises(NotReady):
        wharf.open_file(held)


def test_a_wharf_opens_late_and_only_once(tmp_path: Path) -> None:
    data = tmp_path / "data"
    wharf = Wharf.open(data)
    assert not data.exists()
    threads = [threading.Thread(target=wharf.check) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (data / "catalog.sqlite3").exists()
    assert (data / "keys").stat().st_mode & 0o777 == 0o600
    wharf.close()
    with pytest.raises(Unavailable):
        wharf.check()


def test_what_was_kept_is_there_when_opened_again(tmp_path: Path) -> None:
    with Wharf.open(tmp_path / "data") as wharf:
        stored = wharf.receive([b"text"], collection="files", name="a.txt")
        link = wharf.share(stored.id)
    with Wharf.open(tmp_path / "data") as wharf:
        with wharf.open_file(stored.id) as file:
            assert file.read() == b"text"
        assert wharf.links.redeem(link.url.rpartition("/")[2])[1] == stored


def test_a_forked_process_opens_its_own(tmp_path: Path) -> None:
    wharf = make_wharf(tmp_path / "data")
    stored = wharf.receive([b"parent"], collection="files", name="a.txt")
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:  # pragma: no cover - another process
        status = 1
        try:
            with wharf.open_file(stored.id) as file:
                text = file.read()
            wharf.receive([b"child"], collection="files", name="b.txt")
            os.write(writing, text)
            status = 0
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert os.read(reading, 100) == b"parent"
    os.close(reading)
    os.close(writing)
    assert [stored.name for stored in wharf.list_files()[0]] == ["b.txt", "a.txt"]
    wharf.close()


def test_a_data_folder_that_cannot_be_used_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file is in the way")
    with pytest.raises(DataFolderError):
        Wharf.open(tmp_path / "data").check()


def test_a_damaged_key_file_is_a_clear_error(tmp_path: Path) -> None:
    Wharf.open(tmp_path).check()
    (tmp_path / "keys").write_text("nonsense")
    with pytest.raises(DataFolderError, match="damaged"):
        Wharf.open(tmp_path).check()


def test_another_store_can_be_given(tmp_path: Path) -> None:
    with make_wharf(tmp_path, store=MemoryStore(capacity=10)) as wharf:
        wharf.receive([b"tiny"], collection="files", name="a.txt")
        with pytest.raises(StorageFull):
            wharf.receive([b"not so tiny"], collection="files", name="b.txt")


def test_collections_come_from_toml(tmp_path: Path) -> None:
    config = tmp_path / "wharfinger.toml"
    config.write_text(
        """
        [collections.avatars]
        types = "images"
        max_size = "1 MiB"
        expires_in = "30 d"
        visibility = "public"
        """
    )
    wharf = Wharf.open(tmp_path / "data", config=config)
    avatars = wharf.collection("avatars")
    assert avatars == Collection(
        name="avatars",
        policy=Policy.images(max_size=1_048_576),
        expires_in=2_592_000,
        visibility="public",
    )
    assert sorted(wharf.collections) == ["avatars", "files", "images"]


BAD_TOML = {
    "an unknown section": ("[colections.a]\n", "collections"),
    "an unknown key": ("[collections.a]\nmaxsize = 5\n", "max_size"),
    "a wrong size": ('[collections.a]\nmax_size = "5 apples"\n', "5 MiB"),
    "a wrong type": ('[collections.a]\ntypes = "imges"\n', "images"),
    "a bad name": ('[collections."A B"]\n', "lower-case"),
    "a wrong visibility": ('[collections.a]\nvisibility = "secret"\n', ""),
    "a wrong duration": ('[collections.a]\nexpires_in = "soon"\n', "30 d"),
    "a store of later": ('[store]\nurl = "s3://bucket"\n', "file:///"),
    "a catalog of later": ('[catalog]\nurl = "postgresql://x"\n', "sqlite:///"),
    "a scanner that is none": ('[scan]\nclamd = "here"\n', "unix:///run"),
    "a word that is none": ('[scan]\nwhen_down = "pass"\n', ""),
    "checks at no time": ("[checking]\ndeadline = 0\n", ""),
    "not a table": ("collections = 3\n", ""),
    "no TOML": ("[[[\n", ""),
}


@pytest.mark.parametrize(("text", "hint"), BAD_TOML.values(), ids=list(BAD_TOML))
def test_a_wrong_configuration_is_refused_with_a_suggestion(
    tmp_path: Path, text: str, hint: str
) -> None:
    config = tmp_path / "wharfinger.toml"
    config.write_text(text)
    with pytest.raises(ConfigError) as caught:
        Wharf.open(tmp_path / "data", config=config)
    assert hint in caught.value.hint + caught.value.detail
    assert caught.value.exit_code == 2


def test_a_missing_configuration_file_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no configuration file"):
        Wharf.open(tmp_path, config=tmp_path / "nothing.toml")


def test_places_come_from_toml(tmp_path: Path) -> None:
    config = tmp_path / "wharfinger.toml"
    config.write_text(
        f'[store]\nurl = "file://{tmp_path}/bytes"\n[catalog]\nurl = "sqlite:///{tmp_path}/records.db"\n'
    )
    with Wharf.open(config=config) as wharf:
        assert wharf.settings.data == tmp_path / "bytes"
        wharf.receive([b"text"], collection="files", name="a.txt")
    assert (tmp_path / "records.db").exists()
    assert len(blobs_on_disk(tmp_path / "bytes")) == 1
