"""What are these bytes, and may they pass? Pure: bytes and values in, values out.

`Inspection` judges a stream under a `Policy`; `detect` names a head of bytes. Nothing here
opens a file or a socket, decodes an image or unpacks an archive beyond its first entries.
"""

from __future__ import annotations

from wharfinger.inspection.detection import HEAD_SIZE, Detected, detect
from wharfinger.inspection.media_types import describe_type, extension_of_type, type_of_extension
from wharfinger.inspection.stream import Buffer, Facts, Hasher, Inspection

__all__ = [
    "HEAD_SIZE",
    "Buffer",
    "Detected",
    "Facts",
    "Hasher",
    "Inspection",
    "describe_type",
    "detect",
    "extension_of_type",
    "type_of_extension",
]
