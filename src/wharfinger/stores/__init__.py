"""Where bytes rest: the `Store` interface and the stores that keep it.

A store knows ids, never names: a file's key is the random id that the service gave
it (32 hexadecimal digits). Bytes come in through a `Staging`, are made durable, and
are published whole; there is no way to change a published file.
"""

from wharfinger.stores.base import Blob, Part, Staging, Store
from wharfinger.stores.local import LocalStore
from wharfinger.stores.memory import MemoryStore

__all__ = ["Blob", "LocalStore", "MemoryStore", "Part", "Staging", "Store"]
