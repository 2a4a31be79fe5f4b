"""Where unfinished uploads are, from one run to the next.

One small file for each upload, in `$XDG_STATE_HOME/wharfinger` (`~/.local/state` without
it): 0600 in a folder of 0700, because the address of an upload is what permits going on
with it. Its name is a hash of the endpoint, the file's path and identity, what it is called,
and the credentials: another file, another server or another user never meets it. A lock
keeps a second process off; it uploads on its own then.

What cannot be read or written here never fails an upload: it only cannot be resumed.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import stat
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

if TYPE_CHECKING:
    from types import TracebackType

    from wharfinger.client.content import Identity

_FORMAT: Final = 1
_MAX_STATE: Final = 64 * 1024
_SUFFIX: Final = ".upload.json"
# Servers that expire uploads do so after hours or days; nothing of use is older.
_FORGOTTEN_AFTER: Final = 30 * 24 * 3600.0


@dataclass(kw_only=True)
class Part:
    """A stretch of the file and where it is being uploaded; `expires` is in Unix time."""

    start: int
    length: int
    url: str | None = None
    expires: float | None = None


@dataclass(kw_only=True)
class State:
    """What is known of one upload: its parts, one unless it is uploaded in parallel."""

    path: Path | None = None
    parts: list[Part] = field(default_factory=list)
    _lock: int = -1

    @classmethod
    def open(cls, key: str) -> State:
        """Return what an earlier run left under a key, empty when there is nothing of use."""
        try:
            folder = _folder()
            path = folder / f"{key}{_SUFFIX}"
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        except (OSError, RuntimeError):  # RuntimeError: nobody knows where home is
            return cls()
        state = cls(path=path, _lock=descriptor)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # It may have been finished by another process a moment ago, or planted.
            useful = _is_at(path, descriptor) and _is_ours(descriptor)
            state.parts = _parsed(os.pread(descriptor, _MAX_STATE, 0))
        except OSError:
            useful = False
        if not useful:
            os.close(descriptor)
            return cls()
        _sweep(folder)
        return state

    def save(self) -> None:
        """Keep the parts for the next run."""
        if self._lock < 0:
            return
        record = {"wharfinger": _FORMAT, "parts": [asdict(part) for part in self.parts]}
        content = json.dumps(record).encode("ascii")
        with contextlib.suppress(OSError):
            # In place: the lock is on this file. A torn one is as good as none.
            os.pwrite(self._lock, content, 0)
            os.ftruncate(self._lock, len(content))

    def forget(self) -> None:
        """Remove what was kept: the upload is finished, or gone."""
        self.parts = []
        if self.path is not None:
            with contextlib.suppress(OSError):
                self.path.unlink(missing_ok=True)

    @property
    def kept(self) -> bool:
        """Whether the next run will find anything."""
        return self._lock >= 0 and any(part.url for part in self.parts)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._lock < 0:
            return
        if not any(part.url for part in self.parts):
            self.forget()
        os.close(self._lock)
        self._lock = -1


def state_key(
    endpoint: str, path: Path, identity: Identity, described: str, credentials: str
) -> str:
    """Return the name under which one upload is kept.

    Args:
        endpoint: the address that creates uploads.
        path: the file.
        identity: device, inode, size and time of change of the file.
        described: its name, type and whatever else the server was told.
        credentials: what the requests are signed with; only its hash is used.
    """
    secret = hashlib.sha256(credentials.encode("utf-8", "surrogateescape")).hexdigest()
    values = [endpoint, os.path.realpath(path), asdict(identity), described, secret]
    return hashlib.sha256(json.dumps(values).encode("ascii")).hexdigest()


def _folder() -> Path:
    base = os.environ.get("XDG_STATE_HOME", "")
    # The standard ignores what is not absolute (XDG Base Directory Specification).
    root = Path(base) if Path(base).is_absolute() else Path.home() / ".local" / "state"
    folder = root / "wharfinger"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
        raise OSError
    if found.st_mode & 0o077:
        folder.chmod(0o700)
    return folder


def _is_at(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.lstat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _is_ours(descriptor: int) -> bool:
    found = os.fstat(descriptor)
    return (
        stat.S_ISREG(found.st_mode)
        and found.st_uid == os.geteuid()
        and not found.st_mode & 0o077
        and found.st_nlink == 1
    )


def _parsed(content: bytes) -> list[Part]:
    try:
        record = json.loads(content)
        if record["wharfinger"] != _FORMAT:
            return []
        parts = [Part(**values) for values in record["parts"]]
    except (ValueError, TypeError, KeyError, RecursionError):
        return []
    sound = all(_sound(part.start, part.length, part.url, part.expires) for part in parts)
    return parts if sound else []


def _sound(start: object, length: object, url: object, expires: object) -> bool:
    return (
        type(start) is type(length) is int
        and isinstance(url, (str, type(None)))
        and isinstance(expires, (int, float, type(None)))
    )


def _sweep(folder: Path) -> None:
    """Remove what nobody came back for."""
    oldest = time.time() - _FORGOTTEN_AFTER
    with contextlib.suppress(OSError):
        for path in folder.glob(f"*{_SUFFIX}"):
            if path.lstat().st_mtime < oldest:
                path.unlink(missing_ok=True)
