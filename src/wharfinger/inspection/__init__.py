"""What are these bytes, and may they pass? Pure: bytes and values in, values out.

`Inspection` judges a stream under a `Policy`; `detect` names a head of bytes, `detect_whole` a
whole file. Nothing here opens a file or a socket or decodes an image.
Names are imported when first used: who only asks for the type of an extension waits for no more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wharfinger.inspection.detection import HEAD_SIZE, Detected, detect
    from wharfinger.inspection.facts import Details, Facts
    from wharfinger.inspection.media_types import (
        describe_type,
        extension_of_type,
        type_of_extension,
    )
    from wharfinger.inspection.stream import Buffer, Hasher, Inspection
    from wharfinger.inspection.whole import detect_whole

__all__ = [
    "HEAD_SIZE",
    "Buffer",
    "Details",
    "Detected",
    "Facts",
    "Hasher",
    "Inspection",
    "describe_type",
    "detect",
    "detect_whole",
    "extension_of_type",
    "type_of_extension",
]

_HOME_OF = {
    "HEAD_SIZE": "detection",
    "Buffer": "stream",
    "Detected": "detection",
    "Details": "facts",
    "Facts": "facts",
    "Hasher": "stream",
    "Inspection": "stream",
    "describe_type": "media_types",
    "detect": "detection",
    "detect_whole": "whole",
    "extension_of_type": "media_types",
    "type_of_extension": "media_types",
}


def __getattr__(name: str) -> object:
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module 'wharfinger.inspection' has no attribute {name!r}")
    from importlib import import_module

    value: object = getattr(import_module(f"wharfinger.inspection.{home}"), name)
    globals()[name] = value
    return value
