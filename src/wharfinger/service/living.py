"""Which processes of a service live: what a dead one had begun is free for others at once.

Each process holds a lock on one byte, drawn at random, of a file that nothing is ever written
to. The kernel lets go of it when the process ends, however it ends. These locks belong to the
opening of the file (fcntl(2), "open file description locks"), so that closing it elsewhere in
the process changes nothing, and they do not depend on process numbers, which containers share.
"""

from __future__ import annotations

import errno
import fcntl
import os
import secrets
import struct
import threading
from pathlib import Path
from typing import Final

# struct flock: l_type, l_whence, l_start, l_len, l_pid (64-bit offsets).
_FLOCK: Final = "hhqqi4x"
_PLACES: Final = 2**62


class Living:
    """This process among those of one service."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._fd = -1
        self._pid = 0
        self._name = ""

    @property
    def name(self) -> str:
        """What others know this process by; it lives as long as `is_alive(name)` is True."""
        with self._lock:
            if self._pid != os.getpid():  # a child has a life of its own
                self._pid = os.getpid()
                self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
                self._name = self._begin()
            return self._name

    def is_alive(self, name: str) -> bool:
        """Return whether the process of that name lives (this one does)."""
        if name == self.name:
            return True
        if not name.isdigit() or int(name) >= _PLACES:
            return False
        asked = struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, int(name), 1, 0)
        answer = fcntl.fcntl(self._fd, fcntl.F_OFD_GETLK, asked)
        return bool(struct.unpack(_FLOCK, answer)[0] != fcntl.F_UNLCK)

    def close(self) -> None:
        """Live no more: what this process had begun is free."""
        with self._lock:
            if self._fd >= 0 and self._pid == os.getpid():
                os.close(self._fd)
            self._fd, self._pid = -1, 0

    def _begin(self) -> str:
        while True:
            place = secrets.randbelow(_PLACES)
            wanted = struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, place, 1, 0)
            try:
                fcntl.fcntl(self._fd, fcntl.F_OFD_SETLK, wanted)
            except OSError as error:
                if error.errno not in (errno.EAGAIN, errno.EACCES):
                    raise
            else:
                return str(place)
