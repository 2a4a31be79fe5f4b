"""A real Redis on a free port, in a folder of its own, that tests start, stop and start again."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from support.processes import free_port, running
from support.require import module, program


@dataclass
class Redis:
    """Where it listens; between `start` and `stop` it runs."""

    port: int
    folder: Path
    _running: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        command = [
            program("redis-server"), "--port", str(self.port), "--bind", "127.0.0.1", "--save", "",
            "--appendonly", "no", "--daemonize", "no", "--dir", str(self.folder),
        ]  # fmt: skip
        self._running.enter_context(running(command, self.port, self.folder / "redis.log"))

    def stop(self) -> None:
        self._running.close()


@contextlib.contextmanager
def redis_server(folder: Path) -> Iterator[Redis]:
    """Run a Redis until the block ends."""
    module("redis")
    module("limits")
    folder.mkdir(parents=True, exist_ok=True)
    redis = Redis(free_port(), folder)
    try:
        redis.start()
        yield redis
    finally:
        redis.stop()
