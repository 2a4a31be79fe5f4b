"""`wharf serve` as a command: its help, its missing parts, its words. See tests/server for the rest."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from support.called import Caller
from support.command import environment


@pytest.fixture
def wharf(capsys: pytest.CaptureFixture[str]) -> Caller:
    return Caller(capsys)


def test_the_help_says_what_happens_without_any_setting(wharf: Caller) -> None:
    said = wharf("serve", "--help")
    assert said.code == 0
    text = " ".join(said.text.split())
    assert "keeps everything in the folder `data`" in text
    assert "http://127.0.0.1:8080" in text
    for option in ("--data", "--config", "--host", "--port", "--public-url", "--json"):
        assert option in text


@pytest.mark.parametrize("port", ["-1", "65536", "http", "80.5", "٣"])
def test_a_port_that_is_none_is_2(wharf: Caller, port: str) -> None:
    said = wharf("serve", f"--port={port}", "--json")
    error = said.records[0]["error"]
    assert (said.code, error["code"]) == (2, "config")
    assert "0 to 65535" in error["detail"]


def test_a_word_too_many_is_2(wharf: Caller) -> None:
    said = wharf("serve", "data")
    assert (said.code, said.out) == (2, b"")


@pytest.mark.parametrize("package", ["aiohttp", "sqlalchemy"])
def test_without_the_packages_of_the_server_it_says_how_to_get_them(package: str) -> None:
    without = (
        f"import sys; sys.modules[{package!r}] = None; from wharfinger.cli import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", without, "serve", "--json"],
        capture_output=True, check=False, timeout=20, env=environment(),
    )  # fmt: skip
    error = json.loads(done.stdout)["error"]
    assert (done.returncode, error["code"]) == (2, "config")
    assert package in error["detail"]
    assert "pip install 'wharfinger[" in error["hint"]
