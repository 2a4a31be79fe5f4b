"""The system calls of a server, as strace tells them."""

from __future__ import annotations

import subprocess

from support.require import program, require

TRACED = (
    "pwrite64,fdatasync,fsync,linkat,link,rename,renameat,renameat2,sendto,write,writev,sendmsg"
)


def tracing() -> list[str]:
    strace = program("strace")
    works = subprocess.run([strace, "-o", "/dev/null", "true"], check=False, capture_output=True)
    require(works.returncode == 0, "this machine does not let strace trace")
    return [strace, "-D", "-f", "-q", "-y", "-s", "64", "-e", f"trace={TRACED}", "-o"]


def finished(lines: list[str]) -> list[str]:
    """Return one line a call, in the order in which the calls returned."""
    begun: dict[str, str] = {}
    calls = []
    for line in lines:
        pid, text = line.split(maxsplit=1)
        if text.endswith("<unfinished ...>"):
            begun[pid] = text.removesuffix("<unfinished ...>").rstrip()
        elif text.startswith("<... "):
            calls.append(begun.pop(pid, "") + text.partition("resumed>")[2])
        else:
            calls.append(text)
    return calls
