"""Fixtures for every test: real peers, started once when first asked for."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from support.peer import Handler, Peer
from support.processes import httpbin_server

# A suite that a shell started in the background has Ctrl-C ignored, and so would have every
# program that a test starts and interrupts.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take away what the machine of the developer would tell the code under test."""
    for name in list(os.environ):
        if name.startswith("WHARFINGER_") or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def httpbin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return the address of a real echo server."""
    with httpbin_server(tmp_path_factory.mktemp("httpbin")) as url:
        yield url


StartPeer = Callable[..., Peer]


@pytest.fixture
def peer() -> Iterator[StartPeer]:
    """Return a function that starts a peer of raw bytes; all are stopped after the test."""
    with contextlib.ExitStack() as stack:

        def start(handler: Handler, *, reads_body: bool = True) -> Peer:
            return stack.enter_context(Peer(handler, reads_body=reads_body))

        yield start


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an empty folder, which is also the current one."""
    monkeypatch.chdir(tmp_path)
    return tmp_path
