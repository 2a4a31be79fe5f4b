"""Many downloads into one folder: each is there or its error is in the report."""

from __future__ import annotations

import errno
import os
import threading
from pathlib import Path
from typing import NoReturn

import pytest

import wharfinger
from conftest import StartPeer
from support.content import HTML
from support.folders import listing
from support.peer import Exchange, response
from wharfinger import DownloadReport, DownloadResult
from wharfinger.client import many
from wharfinger.client.folder import Folder
from wharfinger.errors import (
    ActiveContent,
    AddressRefused,
    DestinationExists,
    DestinationUnsafe,
    LocalFileError,
    NameRejected,
    ResponseError,
    UsageError,
)


def answer(exchange: Exchange) -> None:
    path = exchange.line.split()[1]
    if "missing" in path:
        exchange.send(response(b"", status="404 Not Found"))
    elif "page" in path:
        exchange.send(response(HTML, Content_Type="image/png"))
    else:
        exchange.send(response(path.encode(), ETag='"v"'))


def fetch(items: object, dest: object = ".", **options: object) -> DownloadReport:
    options = {"allow_private": True, "retries": 0, "timeout": 5, **options}
    return wharfinger.download_many(items, dest, **options)  # type: ignore[arg-type]


def test_every_file_is_there_and_the_report_is_in_order(peer: StartPeer, folder: Path) -> None:
    url = peer(answer).url
    report = fetch([f"{url}/f{number}" for number in range(40)])
    assert [result.name for result in report.results] == [f"f{number}" for number in range(40)]
    assert [one.download.path for one in report.results if one.download] == [
        Path(f"f{number}") for number in range(40)
    ]
    assert report.failed == ()
    assert report.size == 10 * 3 + 30 * 4
    assert (folder / "f17").read_bytes() == b"/f17"
    assert len(listing(folder)) == 40


def test_what_goes_wrong_with_one_is_in_the_report(peer: StartPeer, folder: Path) -> None:
    url = peer(answer).url
    (folder / "taken").write_bytes(b"old")
    (folder / "inner").mkdir()
    items = [
        f"{url}/good",
        f"{url}/missing",
        f"{url}/page",
        f"{url}/taken",
        f"{url}/inner",
        "ftp://127.0.0.1/x",
        "nonsense",
        (f"{url}/x", "../outside"),
        (f"{url}/y", ".bashrc"),
        (f"{url}/z", ""),
        f"{url}/last",
    ]
    report = fetch(items)
    errors = [type(result.error) for result in report.results]
    assert errors == [
        type(None), ResponseError, ActiveContent, DestinationExists, DestinationUnsafe,
        AddressRefused, UsageError, NameRejected, NameRejected, NameRejected, type(None),
    ]  # fmt: skip
    assert len(report.failed) == 9
    assert listing(folder) == ["good", "inner", "last", "taken"]
    assert listing(folder / "inner") == []
    assert (folder / "taken").read_bytes() == b"old"


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("same", "same"),
        ("Photo.JPG", "photo.jpg"),
        ("stra\u00dfe", "STRASSE"),
        ("e\u0301", "\u00e9"),
    ],
    ids=["equal", "case", "sharp s", "composed"],
)
def test_of_two_files_of_one_name_the_first_is_fetched(
    first: str, second: str, peer: StartPeer, folder: Path
) -> None:
    server = peer(answer)
    # The second way to write an accent is the clean one: the first is not taken as a name.
    report = fetch([(f"{server.url}/a", first), (f"{server.url}/b", second)])
    assert sum(result.error is None for result in report.results) == 1
    assert server.connections == 1
    assert len(listing(folder)) == 1


@pytest.mark.parametrize(
    "names",
    [
        ("x", "x.part"),
        ("x.part", "x"),
        ("x", "x.part.json"),
        ("x.part.json", "x"),
        ("x", "X.PART"),
    ],
    ids=" then ".join,
)
def test_no_file_is_called_like_what_lies_beside_an_earlier_one(
    names: tuple[str, str], peer: StartPeer, folder: Path
) -> None:
    server = peer(answer)
    report = fetch([(f"{server.url}/{name}", name) for name in names])
    first, second = report.results
    assert first.error is None
    assert isinstance(second.error, DestinationExists)
    assert "gets in the way of an earlier file" in str(second.error)
    assert server.connections == 1
    assert listing(folder) == [names[0]]


def test_no_more_than_asked_for_are_fetched_at_a_time(peer: StartPeer, folder: Path) -> None:
    lock = threading.Lock()
    now, most = [0], [0]
    together = threading.Barrier(3)

    def counting(exchange: Exchange) -> None:
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
        together.wait(5)
        with lock:
            now[0] -= 1
        answer(exchange)

    url = peer(counting).url
    assert fetch([f"{url}/f{n}" for n in range(9)], concurrency=3).failed == ()
    assert most == [3]


def test_each_result_is_told_in_the_callers_thread(peer: StartPeer, folder: Path) -> None:
    told: list[DownloadResult] = []
    threads: set[int] = set()

    def tell(result: DownloadResult) -> None:
        told.append(result)
        threads.add(threading.get_ident())

    url = peer(answer).url
    report = fetch([f"{url}/a", "nonsense", f"{url}/b"], on_result=tell)
    assert sorted(result.url for result in told) == sorted(r.url for r in report.results)
    assert threads == {threading.get_ident()}


def test_a_result_is_told_when_its_name_is_durable(
    peer: StartPeer, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    durable: set[str] = set()
    told: list[str] = []

    def sync(_folder: Folder) -> None:
        durable.update(entry.name for entry in folder.iterdir())

    def tell(result: DownloadResult) -> None:
        assert result.name in durable
        told.append(result.name)

    monkeypatch.setattr(Folder, "sync", sync)
    url = peer(answer).url
    assert fetch([f"{url}/f{n}" for n in range(20)], on_result=tell).failed == ()
    assert len(told) == 20


def test_results_wait_for_one_another_but_not_when_the_list_ends(
    peer: StartPeer, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    syncs: list[Folder] = []

    def sync(opened: Folder) -> None:
        syncs.append(opened)

    monkeypatch.setattr(Folder, "sync", sync)
    monkeypatch.setattr(many, "_TOGETHER", 3600.0)
    url = peer(answer).url
    assert fetch([f"{url}/f{n}" for n in range(20)], concurrency=4).failed == ()
    assert 1 <= len(syncs) <= 4  # one for all but the last of each thread


def test_what_is_no_error_of_a_file_is_raised_without_waiting_for_results(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(many, "_TOGETHER", 3600.0)

    def fails(_url: str, _target: object) -> NoReturn:
        raise RecursionError

    urls = [f"https://a.test/{n}" for n in range(20)]
    with pytest.raises(RecursionError):
        many.fetch_all(urls, folder, fails, concurrency=4, on_result=None)


def test_a_folder_that_cannot_be_synced_is_an_error_of_its_files(
    peer: StartPeer, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_folder: Folder) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(Folder, "sync", fail)
    url = peer(answer).url
    report = fetch([f"{url}/a", f"{url}/missing"], concurrency=1)
    assert [type(result.error) for result in report.results] == [LocalFileError, ResponseError]
    assert report.size == 0


def test_an_interruption_ends_all_of_them_and_leaves_what_can_be_resumed(
    peer: StartPeer, folder: Path
) -> None:
    stalled = threading.Event()

    def stall(exchange: Exchange) -> None:
        if "quick" in exchange.line:
            exchange.sock.settimeout(5)
            stalled.wait(5)
            answer(exchange)
            return
        exchange.send(response(bytes(50_000), length=60_000, ETag='"v"'))
        stalled.set()
        exchange.sock.settimeout(10)
        exchange.sock.recv(1)

    def interrupt(_result: DownloadResult) -> None:
        raise KeyboardInterrupt

    url = peer(stall).url
    with pytest.raises(KeyboardInterrupt):
        fetch([f"{url}/slow", f"{url}/quick"], on_result=interrupt, timeout=30)
    assert "quick" in listing(folder)
    assert "slow" not in listing(folder)


@pytest.mark.parametrize(
    "options",
    [{"concurrency": 0}, {"concurrency": 65}, {"concurrency": True}, {"expect": "nonsense"},
     {"max_size": "much"}, {"retries": -1}, {"auth": ""}, {"headers": {"Range": "x"}}],
    ids=str,
)  # fmt: skip
def test_a_wrong_call_is_an_error_of_the_call(options: dict[str, object], folder: Path) -> None:
    with pytest.raises(UsageError):
        fetch(["http://127.0.0.1:1/"], **options)


@pytest.mark.parametrize("item", [5, None, ("a",), ("a", 5), ("a", "b", "c")], ids=str)
def test_an_item_is_an_address_or_a_pair(item: object, folder: Path) -> None:
    with pytest.raises(UsageError):
        fetch([item])


def test_the_folder_must_be_there(folder: Path) -> None:
    with pytest.raises(LocalFileError):
        fetch(["http://127.0.0.1:1/"], "absent")


def test_nothing_to_do_is_an_empty_report(folder: Path) -> None:
    assert fetch([]) == DownloadReport(results=())


def test_no_file_is_left_open(peer: StartPeer, folder: Path) -> None:
    url = peer(answer).url
    fetch([f"{url}/f{number}" for number in range(20)], concurrency=4)
    opened = [os.path.realpath(entry) for entry in Path("/proc/self/fd").iterdir()]
    assert [name for name in opened if str(folder) in name] == []
