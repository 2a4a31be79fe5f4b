"""Safe file transfer for Python, both ends of it.

The names below are the public interface; everything else may move. They are
imported when first used, so that `import wharfinger` costs next to nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from wharfinger._version import __version__

if TYPE_CHECKING:
    from wharfinger import aio
    from wharfinger.client import (
        Client,
        Download,
        DownloadReport,
        DownloadResult,
        Progress,
        Reply,
        Timeout,
        UploadReport,
        UploadResult,
        download,
        download_many,
        inspect,
        upload,
        upload_many,
    )
    from wharfinger.errors import ContentTypeMismatch, Rejected, WharfingerError
    from wharfinger.inspection import Facts
    from wharfinger.policy import Policy
    from wharfinger.recipes import ProfilePictureUploader, download_file
    from wharfinger.service import Collection, Event, Link, Principal, StoredFile, UploadLink, Wharf

__all__ = [
    "Client",
    "Collection",
    "ContentTypeMismatch",
    "Download",
    "DownloadReport",
    "DownloadResult",
    "Event",
    "Facts",
    "Link",
    "Policy",
    "Principal",
    "ProfilePictureUploader",
    "Progress",
    "Rejected",
    "Reply",
    "StoredFile",
    "Timeout",
    "UploadLink",
    "UploadReport",
    "UploadResult",
    "Wharf",
    "WharfingerError",
    "__version__",
    "aio",
    "download",
    "download_file",
    "download_many",
    "inspect",
    "upload",
    "upload_many",
]

_HOMES = {
    "wharfinger.client": (
        "Client", "Download", "DownloadReport", "DownloadResult", "Progress", "Reply", "Timeout",
        "UploadReport", "UploadResult", "download", "download_many", "inspect", "upload",
        "upload_many",
    ),
    "wharfinger.errors": ("ContentTypeMismatch", "Rejected", "WharfingerError"),
    "wharfinger.inspection": ("Facts",),
    "wharfinger.policy": ("Policy",),
    "wharfinger.recipes": ("ProfilePictureUploader", "download_file"),
    "wharfinger.service": (
        "Collection", "Event", "Link", "Principal", "StoredFile", "UploadLink", "Wharf",
    ),
}  # fmt: skip
_MODULES = ("aio",)
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> object:
    home = _HOME_OF.get(name)
    if home is None and name not in _MODULES:
        raise AttributeError(f"module 'wharfinger' has no attribute {name!r}")
    from importlib import import_module

    value: object
    if home is None:
        value = import_module(f"wharfinger.{name}")
    else:
        value = getattr(import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
