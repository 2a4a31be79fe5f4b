"""Opening a path below a folder that nothing in the path can leave.

A relative symbolic link that stays below the folder is followed (`latest.zip` that points at
`app-1.2.zip`); one that leads out, and every absolute one, is not, also when somebody swaps
it for another while the path is walked. Linux resolves such a path itself (openat2(2),
since 5.6); elsewhere, and where a sandbox forbids that call, it is walked component by
component with O_NOFOLLOW, to the same end.
"""

from __future__ import annotations

import ctypes
import errno
import functools
import os
import platform
import sys
from typing import Final

# Not blocking: opening a FIFO must not wait for a writer. No terminal becomes ours.
_FILE: Final = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC

# linux/openat2.h; the number is the same on these (asm-generic/unistd.h).
_OPENAT2: Final = 437
_MACHINES: Final = frozenset({"x86_64", "aarch64", "riscv64", "ppc64le", "s390x", "loongarch64"})
_RESOLVE_NO_MAGICLINKS: Final = 0x02
_RESOLVE_BENEATH: Final = 0x08
# No such call, forbidden by a sandbox, or a folder moved meanwhile: the walk decides.
_UNDECIDED: Final = frozenset({errno.ENOSYS, errno.EPERM, errno.EAGAIN, errno.EINTR})
# As many as the kernel follows: path_resolution(7).
_MAX_LINKS: Final = 40


class _OpenHow(ctypes.Structure):
    _fields_ = (
        ("flags", ctypes.c_uint64),
        ("mode", ctypes.c_uint64),
        ("resolve", ctypes.c_uint64),
    )


def open_beneath(folder: int, path: str) -> int:
    """Return a descriptor of the file at `path` below the open `folder`, for reading.

    Raises:
        OSError: there is none, or the path leads out (EXDEV).
        UnicodeEncodeError: no file can have that name.
    """
    opened = _ask_kernel(folder, os.fsencode(path))
    return walk(folder, path) if opened is None else opened


def _ask_kernel(folder: int, path: bytes) -> int | None:
    """Return what the kernel opens, or None where it cannot resolve the path itself."""
    if sys.platform != "linux" or platform.machine() not in _MACHINES:
        return None
    how = _OpenHow(flags=_FILE, mode=0, resolve=_RESOLVE_BENEATH | _RESOLVE_NO_MAGICLINKS)
    opened: int = _libc().syscall(
        ctypes.c_long(_OPENAT2),
        ctypes.c_int(folder),
        ctypes.c_char_p(path),
        ctypes.byref(how),
        ctypes.c_size_t(ctypes.sizeof(how)),
    )
    if opened >= 0:
        return opened
    number = ctypes.get_errno()
    if number in _UNDECIDED:
        return None
    raise OSError(number, os.strerror(number))


@functools.cache
def _libc() -> ctypes.CDLL:
    library = ctypes.CDLL(None, use_errno=True)
    library.syscall.restype = ctypes.c_long
    return library


def walk(folder: int, path: str) -> int:
    """Do what `open_beneath` does, one component at a time.

    Links are read and resolved here, and `..` goes back to the folder that we came from: it
    is never asked of the file system, where it may mean another folder by now.
    """
    waiting = path.split("/")[::-1]
    trail = [folder]
    links = 0
    try:
        while waiting:
            part = waiting.pop()
            if part in {"", "."}:
                continue
            if part == "..":
                if len(trail) == 1:
                    raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))
                os.close(trail.pop())
                continue
            flags = _FOLDER if waiting else _FILE
            try:
                opened = os.open(part, flags | os.O_NOFOLLOW, dir_fd=trail[-1])
            except OSError as error:
                if error.errno not in {errno.ELOOP, errno.ENOTDIR}:
                    raise
                target = os.readlink(part, dir_fd=trail[-1])  # EINVAL when it is no link
                links += 1
                if links > _MAX_LINKS:
                    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP)) from error
                if target.startswith("/"):
                    raise OSError(errno.EXDEV, os.strerror(errno.EXDEV)) from error
                waiting.extend(target.split("/")[::-1])
                continue
            if not waiting:
                return opened
            trail.append(opened)
        raise OSError(errno.EISDIR, os.strerror(errno.EISDIR))
    finally:
        for descriptor in trail[1:]:
            os.close(descriptor)
