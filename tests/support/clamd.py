"""A real clamd with signatures of the test string alone, that tests start, stop and start again."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from support.processes import free_port, running
from support.require import program

# The EICAR test string, in two halves, so that this file is not found itself.
EICAR = rb"X5O!P%@AP[4\PZX54(P^)7CC)7}$EICAR" + b"-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"
NAME = "Test.EICAR.Body.UNOFFICIAL"
_SETTINGS = {
    "Foreground": "yes",
    "StreamMaxLength": "10M",
    "MaxScanSize": "100M",
    "MaxFileSize": "100M",
    "MaxRecursion": "10",
    "MaxFiles": "1000",
    "SelfCheck": "0",
    "AlertExceedsMax": "yes",
    "AlertEncryptedArchive": "yes",
}


@dataclass
class ClamdPeer:
    """Where it listens; between `start` and `stop` it runs."""

    folder: Path
    port: int
    settings: Mapping[str, str]
    _running: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)

    @property
    def unix(self) -> str:
        return f"unix://{self.folder}/clamd.sock"

    @property
    def tcp(self) -> str:
        return f"tcp://127.0.0.1:{self.port}"

    def start(self) -> None:
        config = self.folder / "clamd.conf"
        lines = {
            **_SETTINGS,
            **self.settings,
            "DatabaseDirectory": str(self.folder / "db"),
            "TemporaryDirectory": str(self.folder / "tmp"),
            "LocalSocket": str(self.folder / "clamd.sock"),
            "TCPSocket": str(self.port),
            "TCPAddr": "127.0.0.1",
        }
        if os.getuid() == 0:
            lines["User"] = "root"
        config.write_text("".join(f"{key} {value}\n" for key, value in lines.items()))
        command = [program("clamd"), f"--config-file={config}"]
        self._running.enter_context(running(command, self.port, self.folder / "clamd.log"))

    def stop(self) -> None:
        self._running.close()


@contextlib.contextmanager
def clamd_server(folder: Path, **settings: str) -> Iterator[ClamdPeer]:
    """Run a clamd until the block ends; `settings` are lines of clamd.conf(5)."""
    program("clamd")
    for name in ("db", "tmp"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / "db" / "test.ndb").write_text(f"Test.EICAR.Body:0:*:{EICAR.hex()}\n")
    digest = hashlib.md5(EICAR, usedforsecurity=False).hexdigest()
    (folder / "db" / "test.hdb").write_text(f"{digest}:{len(EICAR)}:Test.EICAR.Hash\n")
    clamd = ClamdPeer(folder, free_port(), settings)
    try:
        clamd.start()
        yield clamd
    finally:
        clamd.stop()
