"""The examination of an installation: one function a check, nothing made or changed."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import BinaryIO, Final, Literal, TypeAlias, cast

from wharfinger.catalog.events import MOST_TRIES
from wharfinger.catalog.migrations import HEAD
from wharfinger.checking import decoders, second_opinion
from wharfinger.errors import ConfigError, DataFolderError, Unavailable
from wharfinger.scanners import Unscannable
from wharfinger.scanners.clamd import Clamd
from wharfinger.service import keyring
from wharfinger.service.counters import RedisCounters
from wharfinger.service.limits import LimitSettings
from wharfinger.service.scan_settings import ScanSettings
from wharfinger.service.settings import WharfSettings
from wharfinger.service.settling import MOST_TRIES as MOST_CHECKS
from wharfinger.service.webhooks import SECRET_VARIABLE, load_secrets
from wharfinger.units import GIB, show_size

Grade: TypeAlias = Literal["ok", "warning", "failure"]

_LITTLE_SPACE: Final = 1 * GIB
_NEARLY: Final = 0.9
# Released after this, so a clock before it is wrong, and links and expiry with it.
_BUILT: Final = datetime(2026, 1, 1, tzinfo=UTC)
_CLOCK_SLACK: Final = timedelta(minutes=2)
_OPTIONAL: Final = {
    "aiohttp": "the stand-alone server: pip install 'wharfinger[server]'",
    "Flask": "the Flask extension: pip install 'wharfinger[flask]'",
    "pyvips": "AVIF images: pip install 'wharfinger[vips]'",
    "pillow-heif": "HEIC images: pip install 'wharfinger[heif]'",
    "pikepdf": "scripts and programs in PDFs, else judged by their bytes alone: "
    "pip install 'wharfinger[pdf]'",
    "python-magic": "second opinions on types: pip install 'wharfinger[magic]'",
}


# One statement, so that a running service cannot come between the two counts.
_USAGE: Final = """
    SELECT usage.name, usage.files, usage.bytes, count(files.id), coalesce(sum(files.size), 0)
    FROM usage LEFT JOIN files
        ON files.collection = usage.name AND files.state NOT IN ('expired', 'removed', 'refused')
    WHERE usage.kind = 'collection' GROUP BY usage.name
"""


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found, and what to do about it ("" when nothing)."""

    check: str
    grade: Grade
    detail: str
    advice: str = ""


def examine(settings: WharfSettings, *, workers: int = 1) -> Iterator[Finding]:
    """Yield the findings of every check; `workers` is in how many processes it is to run."""
    checks: tuple[Callable[[WharfSettings], Finding], ...] = (
        _data_folder,
        _store_folder,
        _same_file_system,
        _free_space,
        _catalog,
        _key,
        _clock,
        _quotas,
    )
    for check in checks:
        yield check(settings)
    yield _limits(settings.limits, workers)
    yield _events(settings)
    yield _checks(settings)
    yield from _images(settings)
    yield from _second_opinions(settings)
    yield from _scanners(settings.scan)
    yield from _optional_parts()


def _data_folder(settings: WharfSettings) -> Finding:
    return _folder(
        "data folder", settings.data, "choose another folder with --data",
        handed_over=settings.offload is not None and settings.store_folder == settings.data,
    )  # fmt: skip


def _store_folder(settings: WharfSettings) -> Finding:
    if settings.store_folder == settings.data:
        return Finding("store folder", "ok", "It is the data folder.")
    return _folder(
        "store folder", settings.store_folder, "change [store] url",
        handed_over=settings.offload is not None,
    )  # fmt: skip


def _folder(check: str, folder: Path, otherwise: str, *, handed_over: bool) -> Finding:
    """Judge a folder; where a web server sends the files, its group may pass through it."""
    if not folder.exists():
        parent = next(near for near in folder.absolute().parents if near.exists())
        if parent.is_dir() and os.access(parent, os.W_OK | os.X_OK):
            return Finding(check, "ok", f"{folder} is not there yet; the service will make it.")
        advice = f"Let the service's user write to {parent}, or {otherwise}."
        return Finding(check, "failure", f"{folder} is not there and cannot be made.", advice)
    if not folder.is_dir():
        return Finding(check, "failure", f"{folder} is a file.", f"Move it away, or {otherwise}.")
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        return Finding(
            check, "failure", f"{folder} cannot be written by this user.",
            "Run this as the service's user, or give that user the folder (chown).",
        )  # fmt: skip
    if folder.stat().st_mode & (0o067 if handed_over else 0o077):
        return Finding(
            check, "warning", f"{folder} can be entered by other users.", f"chmod 700 {folder}"
        )
    return Finding(check, "ok", f"{folder} can be written.")


def _same_file_system(settings: WharfSettings) -> Finding:
    staging, files = settings.store_folder / "staging", settings.store_folder / "files"
    if not staging.exists() or not files.exists():
        return Finding("file system", "ok", "The store is not there yet.")
    if staging.stat().st_dev != files.stat().st_dev:
        return Finding(
            "file system", "failure", f"{staging} and {files} are on different file systems.",
            "Publishing is one rename or link: mount both from one file system.",
        )  # fmt: skip
    return Finding("file system", "ok", "Staging and files are on one file system.")


def _free_space(settings: WharfSettings) -> Finding:
    folder = settings.store_folder.absolute()
    while not folder.exists():
        folder = folder.parent
    stats = os.statvfs(folder)
    free = stats.f_bavail * stats.f_frsize
    if free < _LITTLE_SPACE or stats.f_favail == 0 < stats.f_files:
        return Finding(
            "free space", "warning", f"{show_size(free)} are left.",
            "Uploads that do not fit are refused with 507: make room.",
        )  # fmt: skip
    return Finding("free space", "ok", f"{show_size(free)} are left.")


def _catalog(settings: WharfSettings) -> Finding:
    path = settings.catalog_file
    if not path.exists():
        return Finding("catalog", "ok", "It is not there yet; the service will make it.")
    try:
        with closing(_read_only(path)) as database:
            if not database.execute("SELECT 1 FROM sqlite_master").fetchone():
                return Finding("catalog", "ok", "It is empty; the next start fills it.")
            (revision,) = database.execute("SELECT version_num FROM alembic_version").fetchone()
            (state,) = database.execute("PRAGMA quick_check(1)").fetchone()
    except (sqlite3.Error, TypeError) as error:
        return Finding(
            "catalog", "failure", f"{path} cannot be read: {error}.", "Restore it from a backup."
        )
    if state != "ok":
        return Finding("catalog", "failure", f"It is damaged: {state}", "Restore it from a backup.")
    if revision > HEAD:
        return Finding(
            "catalog", "failure", f"It has revision {revision}; this version knows {HEAD}.",
            "A newer version made it: install that version again.",
        )  # fmt: skip
    if revision < HEAD:
        return Finding(
            "catalog", "ok", f"Revision {revision}; it is brought to {HEAD} at the next start."
        )
    return Finding("catalog", "ok", f"Revision {revision}, sound.")


def _key(settings: WharfSettings) -> Finding:
    path = settings.data / "keys"
    if not path.exists():
        return Finding("key", "ok", "It is not there yet; the service will make it.")
    try:
        keys = keyring.load_or_make(path)
    except DataFolderError as error:
        return Finding("key", "failure", error.detail, error.hint)
    if path.stat().st_mode & 0o077:
        return Finding("key", "failure", f"{path} can be read by others.", f"chmod 600 {path}")
    return Finding("key", "ok", f"{len(keys)} in the ring.")


def _clock(settings: WharfSettings) -> Finding:
    now = datetime.now(UTC)
    if now < _BUILT:
        return Finding(
            "clock", "failure", f"It says {now:%Y-%m-%d}, which is over.",
            "Links and expiry depend on it: set the clock (timedatectl set-ntp true).",
        )  # fmt: skip
    newest = _newest_record(settings.catalog_file)
    if newest is not None and newest > now + _CLOCK_SLACK:
        return Finding(
            "clock", "warning", f"It says {now:%Y-%m-%d %H:%M}; the newest file is from {newest:%Y-%m-%d %H:%M}.",
            "The clock was or is wrong: check it (timedatectl).",
        )  # fmt: skip
    return Finding("clock", "ok", f"{now:%Y-%m-%d %H:%M} UTC.")


def _quotas(settings: WharfSettings) -> Finding:
    """Compare the counts that quotas go by with the files, and tell which are nearly used up."""
    given = {
        name: place.quotas.whole
        for name, place in settings.collections.items()
        if place.quotas.whole.is_given
    }
    rows = _usage(settings.catalog_file)
    wrong = sorted(name for name, (counted, there) in rows.items() if counted != there)
    if wrong:
        return Finding(
            "quotas", "failure", f"The count of {', '.join(wrong)} is not that of its files.",
            "Say so to the makers; until then raise the quota.",
        )  # fmt: skip
    tight = []
    for name, quota in sorted(given.items()):
        files, size = rows.get(name, ((0, 0), (0, 0)))[0]
        if quota.files is not None and files >= quota.files * _NEARLY:
            tight.append(f"{name} has {files} of {quota.files} files")
        if quota.bytes is not None and size >= quota.bytes * _NEARLY:
            tight.append(f"{name} has {show_size(size)} of {show_size(quota.bytes)}")
    if tight:
        return Finding(
            "quotas", "warning", f"{'; '.join(tight)}.", "Remove files or raise the quota."
        )
    if not given:
        return Finding("quotas", "ok", "No collection has one for its files.")
    return Finding("quotas", "ok", f"There is room in {', '.join(sorted(given))}.")


def _limits(limits: LimitSettings, workers: int) -> Finding:
    if not limits.is_shared:
        if workers == 1 or not limits.is_given:
            return Finding("limits", "ok", "They are counted by each process for itself.")
        return Finding(
            "limits", "warning", f"Each of {workers} processes counts for itself.",
            f"Together they let through {workers} times as much: give [limits] url a Redis.",
        )  # fmt: skip
    if importlib.util.find_spec("redis") is None or importlib.util.find_spec("limits") is None:
        return Finding(
            "limits", "failure", "The packages that count in Redis are not installed.",
            "pip install 'wharfinger[redis]'",
        )  # fmt: skip
    try:
        RedisCounters(limits.url, None).check()
    except Unavailable as error:
        if limits.when_down == "local":
            detail = f"{error} Until it does, each process counts for itself."
            return Finding("limits", "warning", detail, "Start it, or change [limits] url.")
        detail = f"{error} Until it does, requests are answered 503."
        return Finding("limits", "failure", detail, "Start it, or change [limits] url.")
    return Finding("limits", "ok", "They are counted in Redis.")


def _events(settings: WharfSettings) -> Finding:
    if settings.events.webhook is None:
        return Finding("events", "ok", "No webhook is set.")
    given = settings.events.secret_file is not None or os.environ.get(SECRET_VARIABLE) is not None
    if given or (settings.data / "webhook-secret").exists():
        try:
            load_secrets(settings.events, settings.data)
        except ConfigError as error:
            return Finding("events", "failure", error.detail, error.hint)
    try:
        with closing(_read_only(settings.catalog_file)) as database:
            parked, tried = database.execute(
                "SELECT coalesce(sum(tries >= ?1), 0), coalesce(sum(tries BETWEEN 1 AND ?1 - 1), 0)"
                " FROM events WHERE done_at IS NULL",
                (MOST_TRIES,),
            ).fetchone()
    except sqlite3.Error:
        return Finding("events", "ok", "None yet.")  # of its state the check of the catalog tells
    if parked:
        return Finding(
            "events", "failure", f"{parked} were given up: the webhook took none of them for days.",
            "`wharf events ls --parked` lists them. Mend the receiver, then `wharf events retry`.",
        )  # fmt: skip
    if tried:
        return Finding(
            "events", "warning", f"The webhook did not take {tried} so far; they are tried again.",
            "The log of the service says why.",
        )  # fmt: skip
    return Finding("events", "ok", "The webhook takes them.")


def _checks(settings: WharfSettings) -> Finding:
    try:
        with closing(_read_only(settings.catalog_file)) as database:
            (parked,) = database.execute("SELECT count(*) FROM jobs WHERE parked").fetchone()
            held = dict(
                database.execute(
                    "SELECT state, count(*) FROM files WHERE state IN ('held', 'checking')"
                    " GROUP BY state"
                ).fetchall()
            )
    except sqlite3.Error:
        return Finding("checks", "ok", "None yet.")  # of its state the check of the catalog tells
    if parked:
        return Finding(
            "checks", "failure", f"{parked} were given up after {MOST_CHECKS} tries.",
            "The log says why. `wharf rescan` tries them again, `wharf release` and `wharf rm` end it.",
        )  # fmt: skip
    if held.get("held"):
        return Finding(
            "checks", "warning", f"{held['held']} files are held.",
            "`wharf info ID` says why; `wharf release` hands one out, `wharf rm` removes it.",
        )  # fmt: skip
    waiting = held.get("checking", 0)
    if waiting and not settings.checking.workers:
        return Finding(
            "checks", "warning", f"{waiting} files wait for a worker.", "Start `wharf worker`."
        )
    return Finding("checks", "ok", f"{waiting} files are being checked; none is held.")


def _scanners(scan: ScanSettings) -> Iterator[Finding]:
    try:
        scanner = scan.scanner()
    except ConfigError as error:
        yield Finding("scanner", "failure", error.detail, error.hint)
        return
    if scanner is None:
        yield Finding(
            "scanner", "ok", "None is named: files are looked into, and not scanned for malware."
        )
        return
    if scan.yara:
        yield Finding("yara", "ok", f"The rules of {len(scan.yara)} files can be used.")
    if (clamd := scan.of_clamd()) is not None:
        yield _clamd(clamd, scan)


def _clamd(clamd: Clamd, scan: ScanSettings) -> Finding:
    try:
        clamd.ping()
        version = clamd.version()
        tells = clamd.exceeds_max_is_told()
        taken = clamd.scan(cast("BinaryIO", _Zeros(clamd.max_size)), clamd.max_size)
    except Unavailable as error:
        until = "what comes is held" if scan.when_down == "hold" else "uploads are refused"
        return Finding(
            "clamd", "failure", f"{error} Until it answers, {until}.",
            "Start it (systemctl start clamav-daemon), or change [scan] clamd.",
        )  # fmt: skip
    if not tells:
        return Finding(
            "clamd", "failure",
            f"{version} says OK to archives that it did not look into to their end.",
            "Malware behind a limit would pass: put `AlertExceedsMax yes` into clamd.conf, restart it.",
        )  # fmt: skip
    if isinstance(taken, Unscannable) and "StreamMaxLength" in taken.reason:
        return Finding(
            "clamd", "warning", f"It takes no file as large as [scan] max_size, {show_size(clamd.max_size)}.",
            "Raise StreamMaxLength in clamd.conf, or lower max_size to it.",
        )  # fmt: skip
    return Finding("clamd", "ok", f"{version}; it tells when a limit keeps it from looking.")


class _Zeros:
    """A file of so many zeros, which takes no room."""

    def __init__(self, size: int) -> None:
        self._left = size

    def read(self, size: int) -> bytes:
        size = min(size, self._left)
        self._left -= size
        return bytes(size)


def _images(settings: WharfSettings) -> Iterator[Finding]:
    """Tell of types that a collection names and that no decoder here can prove."""
    for name, collection in sorted(settings.collections.items()):
        for gap in decoders.missing(collection.policy):
            detail = f"{gap.sentence} The collection {name} names them, and refuses all of them."
            yield Finding("images", "failure", detail, gap.advice)


def _second_opinions(settings: WharfSettings) -> Iterator[Finding]:
    """Tell of collections that keep the service from starting: libmagic is not there."""
    for name, collection in sorted(settings.collections.items()):
        try:
            second_opinion.require(collection.policy, where=f"The collection {name}")
        except ConfigError as error:
            yield Finding("second opinion", "failure", error.detail, error.hint)


def _optional_parts() -> Iterator[Finding]:
    for package, use in _OPTIONAL.items():
        try:
            version = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            yield Finding(package, "ok", f"not installed; it is for {use}")
        else:
            yield Finding(package, "ok", version)


def _newest_record(path: Path) -> datetime | None:
    if not path.exists():
        return None
    try:
        with closing(_read_only(path)) as database:
            (millis,) = database.execute("SELECT max(created_at) FROM files").fetchone()
    except (sqlite3.Error, TypeError):
        return None  # the check of the catalog says what is wrong with it
    return None if millis is None else datetime.fromtimestamp(millis / 1000, UTC)


def _usage(path: Path) -> dict[str, tuple[tuple[int, int], tuple[int, int]]]:
    """Return files and bytes of each collection, as counted and as there are."""
    if not path.exists():
        return {}
    try:
        with closing(_read_only(path)) as database:
            return {
                name: ((files, size), (there, bytes_there))
                for name, files, size, there, bytes_there in database.execute(_USAGE)
            }
    except sqlite3.Error:
        return {}  # the check of the catalog says what is wrong with it


def _read_only(path: Path) -> sqlite3.Connection:
    # Without a log nobody has the catalog open. Then "immutable" keeps SQLite from making
    # one, which would stay behind and, made by root, lock the service's user out.
    stopped = not path.with_name(f"{path.name}-wal").exists()
    mode = "mode=ro&immutable=1" if stopped else "mode=ro"
    return sqlite3.connect(f"{path.absolute().as_uri()}?{mode}", uri=True)
