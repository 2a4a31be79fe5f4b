"""Services in temporary folders, with a clock that tests move by hand."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from wharfinger import Collection, Policy, Wharf
from wharfinger.scanners import Scanner
from wharfinger.service import WharfSettings
from wharfinger.service.checking_settings import CheckingSettings
from wharfinger.service.limits import LimitSettings
from wharfinger.service.scan_settings import ScanSettings
from wharfinger.service.settings import Offload
from wharfinger.stores import Store


class Clock:
    """A clock that stands still until it is told to move."""

    def __init__(self) -> None:
        self.time = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.time

    def forward(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)


COLLECTIONS = (
    Collection(name="public", policy=Policy.anything(), visibility="public"),
    Collection(name="small", policy=Policy.anything(max_size=100_000)),
    Collection(name="brief", policy=Policy.anything(), expires_in=60),
)


def make_wharf(
    folder: Path,
    *,
    clock: Clock | None = None,
    store: Store | None = None,
    scanner: Scanner | None = None,
    collections: Iterable[Collection] = COLLECTIONS,
    public_url: str | None = None,
    offload: Offload | None = None,
    limits: LimitSettings | None = None,
    checking: CheckingSettings | None = None,
    scan: ScanSettings | None = None,
) -> Wharf:
    settings = WharfSettings(
        data=folder,
        collections={collection.name: collection for collection in collections},
        public_url=public_url,
        offload=offload,
        limits=limits or LimitSettings(),
        checking=checking or CheckingSettings(),
        scan=scan or ScanSettings(),
    )
    if clock is None:
        return Wharf(settings, store=store, scanner=scanner)
    return Wharf(settings, store=store, scanner=scanner, now=clock)


def token(wharf: Wharf, *scopes: str, collections: Iterable[str] | None = None) -> str:
    _, secret = wharf.tokens.create(
        "test",
        scopes or ("read", "write", "share"),
        collections=None if collections is None else set(collections),
    )
    return secret


def blobs_on_disk(folder: Path) -> list[Path]:
    """Return every file in the store and in staging: what an upload could have left behind."""
    return [
        path
        for name in ("files", "staging")
        for path in (folder / name).rglob("*")
        if path.is_file()
    ]
