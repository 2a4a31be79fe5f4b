"""Programs whose first bytes they share with something else."""

from __future__ import annotations

from typing import Final

__all__ = ["cafebabe_type", "mz_type"]

_PE: Final = "application/vnd.microsoft.portable-executable"
# The first class files (JDK 1.0.2) have major version 45; no universal binary has as
# many architectures.
_FIRST_CLASS_VERSION: Final = 45


def mz_type(head: bytes) -> str:
    """Return the type of a Windows or DOS program, or "" for prose that begins with "MZ".

    A PE header, or a DOS header, which is binary. Text without a blank in its first
    64 bytes (the length of the header) stays a program: closed on doubt.
    """
    header = head[:64]
    at = int.from_bytes(head[60:64], "little")
    if head[at : at + 4] == b"PE\0\0":
        return _PE
    prose = all(byte >= 0x20 or byte in b"\t\r\n" for byte in header)  # noqa: PLR2004 - controls
    return "" if prose and any(blank in header for blank in (b" ", b"\n")) else _PE


def cafebabe_type(head: bytes) -> str:
    """Return which of its two owners begins with CA FE BA BE: Java classes or universal binaries."""
    count_or_version = int.from_bytes(head[4:8], "big")
    if count_or_version < _FIRST_CLASS_VERSION:
        return "application/x-mach-binary"
    return "application/java-vm"
