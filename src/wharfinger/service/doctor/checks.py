"""The checks of files: are they made, and can what they rely on be relied on?"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from typing import BinaryIO, cast

from wharfinger.checking import decoders, second_opinion
from wharfinger.errors import ConfigError, Unavailable
from wharfinger.scanners import Unscannable
from wharfinger.scanners.clamd import Clamd
from wharfinger.service.doctor.finding import Finding, read_only
from wharfinger.service.scan_settings import ScanSettings
from wharfinger.service.settings import WharfSettings
from wharfinger.service.settling import MOST_TRIES
from wharfinger.units import show_size


def waiting(settings: WharfSettings) -> Finding:
    """Tell of files that wait, are held, or were given up."""
    try:
        with closing(read_only(settings.catalog_file)) as database:
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
            "checks", "failure", f"{parked} were given up after {MOST_TRIES} tries.",
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


def images(settings: WharfSettings) -> Iterator[Finding]:
    """Tell of types that a collection names and that no decoder here can prove."""
    for name, collection in sorted(settings.collections.items()):
        for gap in decoders.missing(collection.policy):
            detail = f"{gap.sentence} The collection {name} names them, and refuses all of them."
            yield Finding("images", "failure", detail, gap.advice)


def second_opinions(settings: WharfSettings) -> Iterator[Finding]:
    """Tell of collections that keep the service from starting: libmagic is not there."""
    for name, collection in sorted(settings.collections.items()):
        try:
            second_opinion.require(collection.policy, where=f"The collection {name}")
        except ConfigError as error:
            yield Finding("second opinion", "failure", error.detail, error.hint)


def scanners(scan: ScanSettings) -> Iterator[Finding]:
    """Tell whether those who are asked about files can be relied on."""
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
