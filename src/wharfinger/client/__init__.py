"""The client: downloads and uploads that are judged, verified, resumed, at flat memory.

Names are imported when first used: who uploads does not wait for what downloads need.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wharfinger.client.calls import download, upload
    from wharfinger.client.downloading import Download
    from wharfinger.client.local import inspect
    from wharfinger.client.many import DownloadReport, DownloadResult, download_many
    from wharfinger.client.many_uploads import UploadReport, UploadResult, upload_many
    from wharfinger.client.progress import Progress
    from wharfinger.client.reply import Reply
    from wharfinger.client.session import Client
    from wharfinger.client.timeouts import Timeout

__all__ = [
    "Client",
    "Download",
    "DownloadReport",
    "DownloadResult",
    "Progress",
    "Reply",
    "Timeout",
    "UploadReport",
    "UploadResult",
    "download",
    "download_many",
    "inspect",
    "upload",
    "upload_many",
]

_HOME_OF = {
    "Client": "session",
    "Download": "downloading",
    "DownloadReport": "many",
    "DownloadResult": "many",
    "Progress": "progress",
    "Reply": "reply",
    "Timeout": "timeouts",
    "UploadReport": "many_uploads",
    "UploadResult": "many_uploads",
    "download": "calls",
    "download_many": "many",
    "inspect": "local",
    "upload": "calls",
    "upload_many": "many_uploads",
}


def __getattr__(name: str) -> object:
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module 'wharfinger.client' has no attribute {name!r}")
    from importlib import import_module

    value: object = getattr(import_module(f"wharfinger.client.{home}"), name)
    globals()[name] = value
    return value
