"""Checks of a whole file that need more than its bytes: decoders, in processes of their own.

`Checker` is used by the client for local files and by the service before a file is published.
Nothing here knows HTTP, records or stores.
"""

from __future__ import annotations

from wharfinger.checking.checker import Checker

__all__ = ["Checker"]
