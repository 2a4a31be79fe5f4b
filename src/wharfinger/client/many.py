"""Many downloads into one folder, several at a time, with one report of how each went.

No single file ends the rest: what went wrong with it is in the report. Names are settled
before anything is fetched; of two files that would have the same name (upper and lower
case count as the same, as on many disks) only the first is fetched.
"""

from __future__ import annotations

import os
import threading
import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Final, Self, TypeAlias, Unpack

from wharfinger import names
from wharfinger.client import arguments
from wharfinger.client.folder import Folder, Place, local_error
from wharfinger.client.options import ClientOptions, shown_in_full
from wharfinger.client.partial import beside
from wharfinger.errors import (
    DestinationExists,
    LocalFileError,
    NameRejected,
    UsageError,
    WharfingerError,
)
from wharfinger.net import cancelling
from wharfinger.net.cancelling import Cancelled, Canceller
from wharfinger.net.urls import parse

if TYPE_CHECKING:
    from wharfinger.client.downloading import Download
    from wharfinger.policy import Policy

Item: TypeAlias = str | tuple[str, str]
"""A URL, or a URL and the name that the file gets."""

DEFAULT_CONCURRENCY: Final = 8
MAX_CONCURRENCY: Final = 64
# Seconds in which results wait for one another: to be woken for each, and to sync the folder
# for each, costs more than a small file.
_TOGETHER: Final = 0.05
_OWN_NAME: Final = "Give each address a name of its own."


@dataclass(frozen=True, kw_only=True, slots=True)
class DownloadResult:
    """How one of many downloads went: either `download` or `error` is there.

    `name` is what the file is called in the folder, "" when that could not be settled.
    """

    url: str
    name: str
    download: Download | None = None
    error: WharfingerError | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class DownloadReport:
    """How many downloads went: `results` in the order of the addresses."""

    results: tuple[DownloadResult, ...]

    @property
    def failed(self) -> tuple[DownloadResult, ...]:
        """Those that failed, in their order; empty when everything is there."""
        return tuple(result for result in self.results if result.error is not None)

    @property
    def size(self) -> int:
        """The bytes of all files that are there now."""
        return sum(one.download.size for one in self.results if one.download is not None)


_Order: TypeAlias = tuple[int, DownloadResult]
Told: TypeAlias = Callable[[DownloadResult], object]
_Fetch: TypeAlias = "Callable[[str, os.PathLike[str]], Download]"


@shown_in_full
def download_many(
    urls: Iterable[Item],
    directory: str | os.PathLike[str],
    *,
    concurrency: int = DEFAULT_CONCURRENCY,
    expect: str | Iterable[str] | None = None,
    policy: Policy | None = None,
    max_size: int | str | None = None,
    resume: bool = True,
    overwrite: bool = False,
    on_result: Told | None = None,
    **client: Unpack[ClientOptions],
) -> DownloadReport:
    """Return how each of many downloads into one folder went; no single one ends the rest.

    Each file is there, whole and verified, or its error is in the report; the rules, and the
    credentials, are the same for all. They share pooled connections.

    Args:
        urls: absolute http or https URLs, or pairs of a URL and the name of its file. Without
            one, a file is called like the URL's last segment, cleaned. Of two files of the
            same name only the first is fetched.
        directory: an existing folder; every file lies directly inside.
        concurrency: how many are fetched at a time, up to 64.
        on_result: is called with each `DownloadResult` when it is there, in this thread.
        expect: what every file must be; this and what follows is as for `wharfinger.download`.
        policy: what may pass.
        max_size: the largest size of each.
        resume: go on from what an earlier call left, and leave what can be resumed.
        overwrite: replace files that are there.
        **client: how to connect, and as whom, as in `Client`: `allow_private`, `allow_hosts`,
            `allow_networks`, `allow_ports`, `proxy`, `trust_proxy`, `netrc`, `tls`, `headers`,
            `auth` (it goes to every server of the list); `timeout` and `retries` are for each
            file.

    Raises:
        UsageError: the call itself is wrong.
        LocalFileError: the folder is not there.
    """
    from wharfinger.client.session import Client

    with Client(**client) as one:
        return one.download_many(
            urls,
            directory,
            concurrency=concurrency,
            expect=expect,
            policy=policy,
            max_size=max_size,
            resume=resume,
            overwrite=overwrite,
            on_result=on_result,
        )


def fetch_all(
    items: Iterable[Item],
    directory: str | os.PathLike[str],
    fetch: _Fetch,
    *,
    concurrency: int,
    on_result: Told | None,
) -> DownloadReport:
    """Fetch each item into a folder and return how it went.

    Args:
        items: what to fetch.
        directory: an existing folder.
        fetch: downloads a URL to a path; from any thread.
        concurrency: how many at a time.
        on_result: is called with each result when it is there, in this thread.

    Raises:
        UsageError: the number is none, or an item is neither a URL nor a pair.
        LocalFileError: the folder is not there.
    """
    if isinstance(items, str) or not isinstance(items, Iterable):
        raise UsageError("The URLs must be a list, also when there is one.")
    arguments.concurrency(concurrency, MAX_CONCURRENCY)
    folder = Path(directory)
    if not folder.is_dir():
        raise LocalFileError(f"The folder {names.show(str(folder))} does not exist.")
    results = _planned(items)
    tell = on_result or (lambda _result: None)
    todo: list[int] = []
    for number, result in enumerate(results):
        if result.error is None:
            todo.append(number)
        else:
            tell(result)
    orders = [(number, results[number]) for number in todo]
    with (
        Folder(folder, synced_later=True) as opened,
        _Crew(opened, fetch, orders, min(concurrency, len(todo))) as crew,
    ):
        missing = len(todo)
        while missing:
            for number, result in crew.next():
                results[number] = result
                missing -= 1
                tell(result)
    return DownloadReport(results=tuple(results))


def _planned(items: Iterable[Item]) -> list[DownloadResult]:
    """Return each item with its name, or with what is wrong with it."""
    taken = _Taken()
    planned: list[DownloadResult] = []
    for item in items:
        url, name = _url_and_name(item)
        try:
            name = names.clean(parse(url).last_segment) if name is None else _judged(name)
            taken.take(name)
        except WharfingerError as error:
            planned.append(DownloadResult(url=url, name="", error=error))
        else:
            planned.append(DownloadResult(url=url, name=name))
    return planned


class _Taken:
    """The names that are spoken for, of files and of what lies beside them meanwhile."""

    def __init__(self) -> None:
        self._files: set[str] = set()
        self._beside: set[str] = set()

    def take(self, name: str) -> None:
        """Take a name for a file.

        Raises:
            DestinationExists: an earlier file needs it, or a name beside it.
        """
        key, parts = _folded(name), {_folded(part) for part in beside(name)}
        shown = names.show(name)
        if key in self._files:
            raise DestinationExists(
                f"An earlier address of this list is called {shown}, too.", hint=_OWN_NAME
            )
        if key in self._beside or not parts.isdisjoint(self._files):
            raise DestinationExists(
                f"The name {shown} gets in the way of an earlier file of this list: while it is "
                "being fetched, a file lies beside itself as NAME.part and NAME.part.json.",
                hint=_OWN_NAME,
            )
        self._files.add(key)
        self._beside |= parts


def _folded(name: str) -> str:
    # Upper and lower case, and the ways to write an accent, are the same on many disks.
    return unicodedata.normalize("NFC", name).casefold()


def _url_and_name(item: object) -> tuple[str, str | None]:
    match item:
        case str():
            return item, None
        case (str() as url, str() as name):
            return url, name
        case _:
            raise UsageError("Each address is text, or a pair of an address and a name.")


def _judged(name: str) -> str:
    # A list may come from elsewhere: its names lie directly inside the folder, too.
    if names.clean(name) != name:
        raise NameRejected(f"{names.show(name)!r} cannot be the name of a file here.")
    return name


class _Crew:
    """Threads that share one client; all of them end when the block does."""

    def __init__(self, folder: Folder, fetch: _Fetch, orders: list[_Order], count: int) -> None:
        self._todo: SimpleQueue[_Order | None] = SimpleQueue()
        for order in (*orders, *[None] * count):
            self._todo.put(order)
        self._done: SimpleQueue[_Order | BaseException] = SimpleQueue()
        self._ending = threading.Event()  # nobody begins anything any more
        self._folder = folder
        self._fetch = fetch
        self._canceller = Canceller()
        self._threads = [threading.Thread(target=self._work, daemon=True) for _ in range(count)]

    def next(self) -> list[_Order]:
        """Return the next results; raises what is no error of a single file.

        The names of all files among them are durable by then: the folder is synced once for
        as many as are there, while others are being fetched.
        """
        done = [self._done.get()]
        self._ending.wait(_TOGETHER)
        while True:
            try:
                done.append(self._done.get_nowait())
            except Empty:
                break
        results = []
        for one in done:
            if isinstance(one, BaseException):
                raise one
            results.append(one)
        if any(result.error is None for _, result in results):
            try:
                self._folder.sync()
            except OSError as error:
                lost = local_error(error, f"The folder {names.show(str(self._folder.path))}")
                return [(number, _failed(result, lost)) for number, result in results]
        return results

    def __enter__(self) -> Self:
        outer = cancelling.current()
        self._release = None if outer is None else outer.when_cancelled(self._canceller.cancel)
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            self._canceller.cancel()
        for thread in self._threads:
            thread.join()
        if self._release is not None:
            self._release()

    def _work(self) -> None:
        try:
            with self._canceller.in_charge():
                while (order := self._todo.get()) is not None:
                    number, planned = order
                    self._done.put((number, self._fetched(planned)))
        except BaseException as error:  # noqa: BLE001 - raised by `next`
            self._done.put(error)
        finally:
            self._ending.set()

    def _fetched(self, planned: DownloadResult) -> DownloadResult:
        if self._canceller.cancelled:
            raise Cancelled
        try:
            download = self._fetch(planned.url, Place(self._folder, planned.name))
        except WharfingerError as error:
            return _failed(planned, error)
        return DownloadResult(url=planned.url, name=planned.name, download=download)


def _failed(result: DownloadResult, error: WharfingerError) -> DownloadResult:
    return DownloadResult(url=result.url, name=result.name, error=result.error or error)
