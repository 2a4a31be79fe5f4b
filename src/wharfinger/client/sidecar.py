"""`NAME.part.json`: where the bytes of a partial file came from, and under which validator.

It is written whole or not at all, and never into a file that somebody else has put there;
what is read is believed only from a plain file of ours alone.

It never vouches for more than is on the disk. A power cut can leave a partial file longer than
what of it was written: so the record says how many bytes were synced, always after they were,
and in which run of the machine it was written. In the same run the file is what it looks like
(also after `kill -9`); in a later one only what was synced is believed.
"""

from __future__ import annotations

import json
import os
import re
import secrets
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from wharfinger.client.folder import is_ours_alone
from wharfinger.errors import DestinationExists

if TYPE_CHECKING:
    from wharfinger.client.folder import Folder

_FORMAT: Final = 1
_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")  # random(4); Linux alone has it
_MAX_SIZE: Final = 64 * 1024
# It goes into a header as it is (RFC 9110 section 5.5).
_VALIDATOR: Final = re.compile(r"[\x20-\x7e\x80-\xff]*")


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """Where the bytes of a partial file come from.

    `url` is without its query, which may be secret; `query` is the SHA-256 of that.
    `validator` is a strong entity tag, "" when the server gave none. `mode` is what the
    finished file gets. `synced` bytes of the partial file were on the disk when it was written,
    in the run of the machine that `boot` names.
    """

    url: str
    query: str
    validator: str
    size: int | None
    mode: int = 0o600
    synced: int = 0
    boot: str = ""

    def believed(self, size: int) -> int:
        """Return how many bytes of a partial file that is `size` long were certainly written."""
        return size if self.boot and self.boot == this_boot() else min(size, self.synced)


class Sidecar:
    """The record beside one partial file.

    Args:
        folder: the folder of both.
        name: its own name there.
    """

    def __init__(self, folder: Folder, name: str) -> None:
        self.name = name
        self._folder = folder

    def read(self) -> Source | None:
        """Return what it says; None when it is not there, or says nothing that is ours."""
        try:
            # Not blocking: a FIFO of that name must not make anybody wait.
            descriptor = self._folder.open(self.name, os.O_RDONLY | os.O_NONBLOCK)
        except OSError:
            return None
        with os.fdopen(descriptor, "rb") as file:
            if not is_ours_alone(os.fstat(descriptor)):
                return None
            content = file.read(_MAX_SIZE)
        try:
            record = json.loads(content)
            if record.pop("wharfinger") != _FORMAT:
                return None
            source = Source(**record)
        except (ValueError, TypeError, AttributeError, KeyError, RecursionError):
            return None
        size = 0 if source.size is None else source.size
        texts: tuple[object, ...] = (source.validator, source.boot)
        numbers: tuple[object, ...] = (source.mode, size, source.synced)
        if {type(text) for text in texts} != {str} or {type(n) for n in numbers} != {int}:
            return None
        if min(size, source.synced) < 0:
            return None
        if not _VALIDATOR.fullmatch(source.validator):
            return None
        # Read and write for some, as new files have it; nothing else comes from a file.
        return replace(source, mode=source.mode & 0o666)

    def check(self) -> None:
        """Refuse to replace what is not ours.

        Raises:
            DestinationExists: a file of its name is there, and is none.
        """
        if self.read() is None and self._folder.lstat(self.name) is not None:
            raise DestinationExists(
                f"{self._folder.shown(self.name)} exists and is not ours.",
                hint="Remove it, or choose another destination.",
            )

    def write(self, source: Source, *, sync: bool = False) -> None:
        """Write it anew; raises OSError.

        Raises:
            DestinationExists: as `check`.
        """
        self.check()
        record = {"wharfinger": _FORMAT, **asdict(replace(source, boot=this_boot()))}
        temporary = f".wharfinger-{secrets.token_hex(8)}"
        descriptor = self._folder.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                json.dump(record, file, indent=1)
                file.write("\n")
                if sync:
                    file.flush()
                    os.fsync(descriptor)
            self._folder.rename(temporary, self.name, overwrite=True)
        except BaseException:
            self._folder.remove(temporary)
            raise

    def remove(self) -> None:
        """Remove it, if it is there."""
        self._folder.remove(self.name)


@cache
def this_boot() -> str:
    """Return what names the run of the machine since it was started; "" where nothing does."""
    try:
        return _BOOT_ID.read_text("ascii").strip()
    except OSError:
        return ""
