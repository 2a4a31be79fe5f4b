"""The examination of an installation: one function a check, nothing made or changed."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable, Iterator
from typing import Final

from wharfinger.service.doctor import checks, folders, neighbours, records
from wharfinger.service.doctor.finding import Finding
from wharfinger.service.settings import WharfSettings

__all__ = ["Finding", "examine"]

_OPTIONAL: Final = {
    "aiohttp": "the stand-alone server: pip install 'wharfinger[server]'",
    "Flask": "the Flask extension: pip install 'wharfinger[flask]'",
    "pyvips": "AVIF images: pip install 'wharfinger[vips]'",
    "pillow-heif": "HEIC images: pip install 'wharfinger[heif]'",
    "pikepdf": "scripts and programs in PDFs, else judged by their bytes alone: "
    "pip install 'wharfinger[pdf]'",
    "python-magic": "second opinions on types: pip install 'wharfinger[magic]'",
}


def examine(settings: WharfSettings, *, workers: int = 1) -> Iterator[Finding]:
    """Yield the findings of every check; `workers` is in how many processes it is to run."""
    looks: tuple[Callable[[WharfSettings], Finding], ...] = (
        folders.data_folder,
        folders.store_folder,
        folders.same_file_system,
        folders.free_space,
        records.catalog,
        records.key,
        records.clock,
        records.quotas,
    )
    for look in looks:
        yield look(settings)
    yield neighbours.limits(settings.limits, workers)
    yield neighbours.events(settings)
    yield checks.waiting(settings)
    yield from checks.images(settings)
    yield from checks.second_opinions(settings)
    yield from checks.scanners(settings.scan)
    yield from _optional_parts()


def _optional_parts() -> Iterator[Finding]:
    for package, use in _OPTIONAL.items():
        try:
            version = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            yield Finding(package, "ok", f"not installed; it is for {use}")
        else:
            yield Finding(package, "ok", version)
