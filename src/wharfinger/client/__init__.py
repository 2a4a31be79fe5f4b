"""The client: downloads and uploads that are judged, verified, resumed, at flat memory."""

from wharfinger.client.downloading import Download
from wharfinger.client.local import inspect
from wharfinger.client.progress import Progress
from wharfinger.client.reply import Reply
from wharfinger.client.session import Client, download, upload
from wharfinger.client.timeouts import Timeout

__all__ = ["Client", "Download", "Progress", "Reply", "Timeout", "download", "inspect", "upload"]
