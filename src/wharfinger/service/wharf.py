"""`Wharf`: the service. It receives, delivers, shares and removes files.

Synchronous and safe to use from any thread. Nothing is opened before it is first
needed, and in each process anew: forking servers and mounted applications work.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, BinaryIO, Final, Literal, Self, cast

from wharfinger.catalog import Catalog, FileState, Link, StoredFile, UploadLink
from wharfinger.catalog import files as statements
from wharfinger.catalog.records import from_millis, to_millis
from wharfinger.checking import second_opinion
from wharfinger.errors import (
    DataFolderError,
    NotFound,
    NotReady,
    Unavailable,
    UsageError,
)
from wharfinger.scanners import Scanner
from wharfinger.service import keyring
from wharfinger.service.checking import Checking
from wharfinger.service.checking_settings import CheckingSettings
from wharfinger.service.collections import Collection
from wharfinger.service.events import Events
from wharfinger.service.judging import Judge
from wharfinger.service.limits import Limiter, LimitSettings
from wharfinger.service.links import DEFAULT_EXPIRES_IN, Links
from wharfinger.service.living import Living
from wharfinger.service.noting import Noting
from wharfinger.service.pacing import Pace
from wharfinger.service.receiving import Reception, finish_all
from wharfinger.service.refusals import error_of_problem
from wharfinger.service.replies import Replies
from wharfinger.service.scan_settings import ScanSettings
from wharfinger.service.settings import Offload, WharfSettings, read_toml
from wharfinger.service.settling import Settling
from wharfinger.service.sweeping import SweepReport, end_file, sweep
from wharfinger.service.tokens import Tokens
from wharfinger.service.upload_links import UploadLinks
from wharfinger.service.uploads import Uploads
from wharfinger.service.whole_upload import WholeUpload
from wharfinger.stores import LocalStore, Staging, Store
from wharfinger.units import MIB

if TYPE_CHECKING:
    from sqlalchemy import Connection

MAX_PAGE: Final = 1000
_READ_SIZE: Final = 1 * MIB


@dataclass(frozen=True, slots=True)
class _Parts:
    """What one process has open."""

    pid: int
    store: Store
    catalog: Catalog
    keys: keyring.KeyRing
    living: Living


class Wharf:
    """The service over one store and one catalog.

    Args:
        settings: where it keeps its things.
        store: another store than the folder that the settings name.
        scanner: asked about every file before it is accepted; None for those that the
            settings name.
        now: the clock, as a function that returns an aware `datetime`.
    """

    def __init__(
        self,
        settings: WharfSettings,
        *,
        store: Store | None = None,
        scanner: Scanner | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        for name, collection in settings.collections.items():
            second_opinion.require(collection.policy, where=f"The collection {name}")
        if scanner is None:
            settings = settings.as_scannable()
        self.settings = settings
        self._given_store = store
        clock = _seconds(now)
        now = _in_millis(now)
        self._now = now
        self._parts: _Parts | None = None
        self._opening = threading.Lock()
        self._closed = False
        self.limiter = Limiter(settings.limits, clock)
        self._paces = {
            name: Pace(collection.bandwidth)
            for name, collection in settings.collections.items()
            if collection.bandwidth is not None
        }
        self.tokens = Tokens(lambda: self._open().catalog, now)
        self.events = Events(
            catalog=lambda: self._open().catalog,
            now=now,
            base_url=settings.public_url or "",
            settings=settings.events,
            data=settings.data,
        )
        self.upload_links = UploadLinks(
            lambda: self._open().catalog,
            lambda: self._open().keys,
            now,
            settings.collections,
            settings.public_url or "",
        )
        self._noting = Noting(self.events, self.upload_links, lambda: self._open().catalog)
        self.checking = Checking(
            settings.checking,
            judge=Judge(
                self._stage,
                scanner or settings.scan.scanner(),
                when_down=settings.scan.when_down,
                when_unscannable=settings.scan.when_unscannable,
            ),
            settling=Settling(
                catalog=lambda: self._open().catalog,
                store=lambda: self._open().store,
                now=now,
                note=self.events.note,
            ),
            catalog=lambda: self._open().catalog,
            store=lambda: self._open().store,
            living=lambda: self._open().living,
            collections=settings.collections,
            now=now,
        )
        self.uploads = Uploads(
            catalog=lambda: self._open().catalog,
            store=lambda: self._open().store,
            collection=self.collection,
            finish=self._finish_upload,
            now=now,
            narrowed=self.upload_links.narrowed,
            link_owner=lambda link_id: self.upload_links.find(link_id).owner,
            reserve=self.upload_links.reserve,
            check_link=self.upload_links.check_growth,
            refused=self._noting.refused_upload,
            verdict=self.checking.verdict,
        )
        self.replies = Replies(lambda: self._open().catalog, lambda: self._open().living, now)
        self.links = Links(
            lambda: self._open().catalog,
            lambda: self._open().keys,
            now,
            settings.public_url or "",
            self._noting.spent,
        )

    @classmethod
    def open(
        cls,
        data: str | os.PathLike[str] | None = None,
        *,
        config: str | os.PathLike[str] | None = None,
        collections: Iterable[Collection] = (),
        public_url: str | None = None,
        offload: Offload | None = None,
        limits: Mapping[str, object] | None = None,
        checking: Mapping[str, object] | None = None,
        scan: Mapping[str, object] | None = None,
        scanner: Scanner | None = None,
    ) -> Self:
        """Return the service in a folder, with embedded defaults or a configuration file.

        The folder is made, and its catalog brought up to date, on first use.

        Args:
            data: the folder; it wins over what `config` says.
            config: a `wharfinger.toml`; its `[server]` section is for the stand-alone server.
            collections: further places for files; they win over those of `config`.
            public_url: the address under which others reach the service.
            offload: hand stored files to the web server in front to send: "nginx" by
                `X-Accel-Redirect`, "sendfile" by `X-Sendfile`. Its group may read them then.
            limits: how much one token, address or link may do in a time, as the `[limits]`
                table of a configuration file says it; it wins over that table as a whole.
            checking: how files are checked, as the `[checking]` table says it; likewise.
            scan: who is asked about every file, as the `[scan]` table says it; likewise.
            scanner: asked about every file before it is accepted.

        Raises:
            ConfigError: the file or a value in it is wrong.
        """
        tables = read_toml(Path(config)) if config is not None else {}
        more = {collection.name: collection for collection in collections}
        settings = WharfSettings.from_tables(
            tables,
            data=Path(data) if data is not None else None,
            public_url=public_url,
            offload=offload,
        )
        settings = settings.with_collections(more)
        if limits is not None:
            settings = replace(settings, limits=LimitSettings.from_mapping(limits))
        if checking is not None:
            settings = replace(settings, checking=CheckingSettings.from_mapping(checking))
        if scan is not None:
            settings = replace(settings, scan=ScanSettings.from_mapping(scan))
        return cls(settings, scanner=scanner)

    def __repr__(self) -> str:
        return f"Wharf({str(self.settings.data)!r})"

    # --- receiving ----------------------------------------------------------------------

    def begin(
        self,
        collection: str,
        *,
        name: str | None = None,
        type: str | None = None,  # noqa: A002 - the field's own word
        length: int | None = None,
        owner: str | None = None,
        link: UploadLink | None = None,
    ) -> Reception:
        """Return a reception to push one file's bytes into.

        What is declared is judged now, before any byte: the name, the claimed type and
        the length in bytes (None: unknown). What comes by an upload `link` is under its
        limits.

        Raises:
            NotFound: there is no such collection, or the link has ended.
            Rejected: name, type or length break the collection's policy.
            QuotaExceeded: the quota has no room for it.
        """
        parts, place = self._open(), self._place(collection, link)
        room = None
        if place.quotas.whole.is_given or (owner is not None and place.quotas.per_owner.is_given):
            room = parts.catalog.read(
                lambda connection: place.quotas.room(connection, collection, owner, length=length)
            )
        return Reception(
            parts.store,
            place,
            name=name,
            type=type,
            length=length,
            owner=owner,
            room=room,
            finish_all=self.finish_all,
            link_id=None if link is None else link.id,
            refused=self._noting.refused,
        )

    def _finish_upload(
        self, whole: WholeUpload, also: Callable[[Connection, StoredFile], None]
    ) -> StoredFile:
        parts, link_id = self._open(), whole.upload.link_id
        if link_id is not None:  # it was the sender's; the file is its who made the link
            whole.owner = self.upload_links.find(link_id).owner

        def recorded(connection: Connection, stored: StoredFile) -> None:
            self._noting.received(connection, stored, link_id)
            also(connection, stored)

        (stored,) = finish_all(
            [whole],
            store=parts.store,
            catalog=parts.catalog,
            checking=self.checking,
            now=self._now(),
            also=recorded,
        )
        return stored

    def finish_all(self, receptions: Sequence[Reception]) -> list[StoredFile]:
        """Accept several files or none of them; return their records in order.

        On return they are durable. Raises what `Reception.finish` raises.
        """
        parts = self._open()
        # Those of one request came by one link, or by none.
        link_id = receptions[0].link_id if receptions else None
        stored = finish_all(
            receptions,
            store=parts.store,
            catalog=parts.catalog,
            checking=self.checking,
            now=self._now(),
            also=lambda connection, stored: self._noting.received(connection, stored, link_id),
        )
        return self.checking.verdicts(stored)

    def receive(
        self,
        stream: BinaryIO | Iterable[bytes],
        *,
        collection: str,
        name: str | None = None,
        type: str | None = None,  # noqa: A002
        length: int | None = None,
        owner: str | None = None,
    ) -> StoredFile:
        """Take in a whole file from a binary file object or an iterable of bytes.

        Memory stays flat. On return the file is durable; on any error nothing is kept.

        Raises:
            NotFound: there is no such collection.
            Rejected: the file breaks the collection's policy.
            LengthMismatch: it is not `length` bytes long.
            StorageFull: there is no room.
        """
        with self.begin(collection, name=name, type=type, length=length, owner=owner) as reception:
            for data in _pieces(stream):
                reception.write(data)
            return reception.finish()

    # --- handing out --------------------------------------------------------------------

    def info(self, file_id: str) -> StoredFile:
        """Return the record of a live file. Raises NotFound."""
        stored = self._open().catalog.read(lambda connection: statements.find(connection, file_id))
        if (
            stored is None
            or stored.state in statements.ENDED
            or (stored.expires_at is not None and stored.expires_at <= self._now())
        ):
            raise NotFound
        return stored

    def open_file(self, file: str | StoredFile) -> BinaryIO:
        """Return a ready file for reading; the caller closes it.

        Raises:
            NotFound: there is no such file (any more).
            NotReady: it may not be handed out: it is being checked, or held.
            Rejected: a check refused it.
            DataFolderError: the stored bytes are damaged.
        """
        stored = file if isinstance(file, StoredFile) else self.info(file)
        if stored.state is not FileState.READY:
            if stored.state is FileState.REFUSED and stored.problem is not None:
                raise error_of_problem(stored.problem)
            raise _not_ready(stored)
        opened = self._open().store.open(stored.id)
        size = opened.seek(0, os.SEEK_END)
        if size != stored.size:
            opened.close()
            raise DataFolderError(
                f"The stored file {stored.id} has {size} bytes; its record says {stored.size}."
            )
        opened.seek(0)
        return opened

    def list_files(
        self,
        *,
        collection: str | None = None,
        owner: str | None = None,
        collections: Iterable[str] | None = None,
        after: str | None = None,
        limit: int = 100,
    ) -> tuple[list[StoredFile], str | None]:
        """Return a page of live files, newest first, and the id to ask for the next page after.

        Args:
            collection: only files of this one.
            owner: only files of this principal; None for everybody's.
            collections: only files of these (what a principal may use); None for all.
            after: the id that the page before gave.
            limit: at most this many, 1 to 1000.

        Raises:
            UsageError: the limit is out of bounds.
        """
        if not 1 <= limit <= MAX_PAGE:
            raise UsageError(f"limit must be 1 to {MAX_PAGE}, not {limit}.")
        wanted = None if collections is None else set(collections)
        if collection is not None:
            wanted = {collection} if wanted is None else wanted & {collection}
        now = self._now()
        page = self._open().catalog.read(
            lambda connection: statements.page(
                connection,
                owner=owner,
                collections=None if wanted is None else sorted(wanted),
                after=after,
                limit=limit + 1,
                now=now,
            )
        )
        if len(page) > limit:
            return page[:limit], page[limit - 1].id
        return page, None

    # --- sharing and removing -----------------------------------------------------------

    def share(
        self,
        file_id: str,
        *,
        expires_in: int = DEFAULT_EXPIRES_IN,
        max_downloads: int | None = None,
        download_name: str | None = None,
        disposition: Literal["attachment", "inline"] = "attachment",
        password: str | None = None,
        owner: str | None = None,
    ) -> Link:
        """Return a new link by which whoever has it may download the file.

        Args:
            file_id: a ready file.
            expires_in: seconds until it ends; a week by default, at most 366 days.
            max_downloads: how often; None for any number.
            download_name: the name that browsers save it under; None for the file's own.
            disposition: "inline" shows harmless types in the browser instead of saving.
            password: asked for at every download; 8 to 256 characters.
            owner: the principal that makes it.

        Raises:
            NotFound: there is no such file.
            NotReady: the file may not be handed out.
            UsageError, NameRejected: a value is wrong.
        """
        return self.links.create(
            self.info(file_id),
            owner=owner,
            expires_in=expires_in,
            max_downloads=max_downloads,
            download_name=download_name,
            disposition=disposition,
            password=password,
        )

    def request(
        self,
        collection: str,
        *,
        expires_in: int = DEFAULT_EXPIRES_IN,
        max_files: int | None = None,
        max_bytes: int | None = None,
        types: str | Iterable[str] | None = None,
        owner: str | None = None,
    ) -> UploadLink:
        """Return a new link by which whoever has it may send files into a collection.

        The collection's policy holds for what comes; the link can only narrow it.

        Args:
            collection: its name.
            expires_in: seconds until it ends; a week by default, at most 366 days.
            max_files: how many files may come by it in all; None for any number.
            max_bytes: how many bytes may come by it in all; None for any number.
            types: the media types that may come, as `Policy` takes them; None for those
                of the collection.
            owner: the principal that makes it; what comes belongs to it.

        Raises:
            NotFound: there is no such collection.
            UsageError: a value is wrong, or the collection accepts none of the types.
        """
        return self.upload_links.create(
            self.collection(collection),
            owner=owner,
            expires_in=expires_in,
            max_files=max_files,
            max_bytes=max_bytes,
            types=types,
        )

    def rotate_keys(self, *, keep: int | None = None) -> int:
        """Sign links with a new key from now on; return how many keys are good.

        Args:
            keep: how many of the older keys stay good, with the links they signed; None
                for all there is room for (15). 0 ends every link made so far.

        Raises:
            UsageError: `keep` is out of bounds.
            DataFolderError: the keys cannot be read or written.
        """
        self._open()
        with self._alone():
            return keyring.rotate(self.settings.data / "keys", keep=keep)

    def remove(self, file_id: str) -> None:
        """End a file and its links at once. Raises NotFound."""
        parts = self._open()
        if not end_file(
            parts.catalog,
            parts.store,
            file_id,
            FileState.REMOVED,
            now=self._now(),
            note=self._noting.ended,
        ):
            raise NotFound

    def release(self, file_id: str, *, reason: str, by: str) -> StoredFile:
        """Hand a held file out after all, because a person looked at it; return its record.

        Args:
            file_id: a file that is held, or whose check failed.
            reason: why; it is kept in the log and in the event.
            by: who says so.

        Raises:
            NotFound: there is no such file.
            NotReady: it is neither held nor failed.
            UsageError: no reason is given.
        """
        return self.checking.release(file_id, reason=reason, by=by)

    def sweep(self) -> SweepReport:
        """End what has expired and remove what nobody owns; return what was done."""
        parts, now = self._open(), self._now()
        report = sweep(parts.catalog, parts.store, now, self._noting.ended)
        self.upload_links.forget(now)
        self.events.forget(now)
        return report

    # --- the house ----------------------------------------------------------------------

    @property
    def collections(self) -> Mapping[str, Collection]:
        """The places for files, by name."""
        return self.settings.collections

    def collection(self, name: str) -> Collection:
        """Return a collection by its name. Raises NotFound."""
        found = self.settings.collections.get(name)
        if found is None:
            raise NotFound(f"There is no collection {name[:64]!r}.")
        return found

    def pace(self, collection: str) -> Pace | None:
        """Return the pace that everybody who is sent files of a collection shares, if it has one."""
        return self._paces.get(collection)

    def check(self) -> None:
        """Return if files can be received and handed out now; raise what is wrong otherwise."""
        parts = self._open()
        parts.catalog.read(lambda connection: statements.live_ids(connection, [""]))
        parts.store.check()

    @property
    def epoch(self) -> int:
        """A number that changes when anything is revoked, removed or ended, by any process."""
        return self._open().catalog.epoch

    def now(self) -> datetime:
        """Return the time by the service's clock."""
        return self._now()

    def close(self) -> None:
        """Finish what was begun and let go of everything. The service cannot be used afterwards."""
        with self._opening:
            self._closed = True
        self.checking.close()
        with self._opening:
            self.uploads.close()
            if self._parts is not None and self._parts.pid == os.getpid():
                self._parts.catalog.close()
                self._parts.living.close()
            self._parts = None
        self.events.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _stage(self) -> Staging:
        return self._open().store.stage()

    def _place(self, collection: str, link: UploadLink | None) -> Collection:
        return self.collection(collection) if link is None else self.upload_links.place(link)

    def _open(self) -> _Parts:
        parts = self._parts
        if parts is not None and parts.pid == os.getpid():
            return parts
        with self._opening:
            if self._closed:
                raise Unavailable("The service was closed.")
            if self._parts is None or self._parts.pid != os.getpid():
                self._parts = self._opened()
            return self._parts

    def _opened(self) -> _Parts:
        data = self.settings.data
        try:
            data.mkdir(mode=0o700, parents=True, exist_ok=True)
            # Several processes may start at once: one migrates, the others wait for it.
            with self._alone():
                return _Parts(
                    pid=os.getpid(),
                    store=self._given_store
                    or LocalStore(
                        self.settings.store_folder, group_reads=self.settings.offload is not None
                    ),
                    keys=keyring.KeyRing(data / "keys"),
                    catalog=Catalog(self.settings.catalog_file),
                    living=Living(data / "living"),
                )
        except DataFolderError:
            raise
        except OSError as error:
            raise DataFolderError(
                f"The data folder {str(data)!r} cannot be used: {error.strerror}."
            ) from error

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """Hold the lock of the data folder, which one process has at a time."""
        path = self.settings.data / "lock"
        with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def _not_ready(stored: StoredFile) -> NotReady:
    if stored.problem is None:
        return NotReady("The file is being checked; it can be read once it has passed.")
    return NotReady(f"The file is {stored.state.value}: {stored.problem['detail']}")


def _seconds(now: Callable[[], datetime]) -> Callable[[], float]:
    return lambda: now().timestamp()


def _in_millis(now: Callable[[], datetime]) -> Callable[[], datetime]:
    """Return a clock in the steps of the catalog, so that a record equals what is read back."""
    return lambda: from_millis(to_millis(now()))


def _pieces(stream: BinaryIO | Iterable[bytes]) -> Iterable[bytes]:
    read = getattr(stream, "read", None)
    if read is None:
        return stream
    return iter(lambda: cast("bytes", read(_READ_SIZE)), b"")
