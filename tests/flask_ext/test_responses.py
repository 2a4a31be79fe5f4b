"""What a WSGI server is handed: its own file wrapper only where that sends just the span."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any
from wsgiref.util import FileWrapper

import pytest
from flask import Flask

from flask_ext.conftest import Ask
from wharfinger.errors import LocalFileError
from wharfinger.flask import Wharfinger, responses
from wharfinger.protocol.ranges import Span

DIGITS = b"0123456789"


class _Wrapper(FileWrapper):
    """A server's wrapper that reads to the end, and counts how often one was asked for."""

    made = 0

    def __init__(self, filelike: Any, blksize: int = 8192) -> None:
        type(self).made += 1
        super().__init__(filelike, blksize)


@pytest.fixture
def digits(app: Flask, files: Wharfinger) -> Flask:
    (Path(app.root_path) / "digits.bin").write_bytes(DIGITS)
    app.add_url_rule("/digits", "digits", lambda: files.deliver_path(".", "digits.bin"))
    return app


@pytest.mark.parametrize(
    "case",
    [
        ("gunicorn/27.0.1", None, DIGITS, 1),
        ("gunicorn/27.0.1", "bytes=2-4", b"234", 1),
        ("gunicorn/27.0.1", "bytes=7-", b"789", 1),
        ("SomeServer/1.0", None, DIGITS, 1),
        ("SomeServer/1.0", "bytes=2-4", b"234", 0),
        ("SomeServer/1.0", "bytes=7-", b"789", 0),
        ("SomeServer/1.0", "bytes=0-4", b"01234", 0),
    ],
)
def test_a_server_that_reads_its_wrapper_to_the_end_sends_the_span_alone(
    digits: Flask, ask: Ask, case: tuple[str, str | None, bytes, int]
) -> None:
    server, asked, body, wrapped = case
    # gunicorn under TLS has no sendfile and reads what it was handed until it ends.
    _Wrapper.made = 0
    answer = ask(
        "/digits",
        headers={"Range": asked} if asked else {},
        environ_overrides={"SERVER_SOFTWARE": server, "wsgi.file_wrapper": _Wrapper},
    )
    assert (answer.body, _Wrapper.made) == (body, wrapped)
    assert answer.headers["content-length"] == str(len(body))


def test_several_parts_are_read_by_us_and_their_file_is_closed(
    app: Flask, files: Wharfinger, ask: Ask
) -> None:
    content = bytes(range(250)) * 10_000
    (Path(app.root_path) / "large.bin").write_bytes(content)
    app.add_url_rule("/large", "large", lambda: files.deliver_path(".", "large.bin"))
    _Wrapper.made = 0
    answer = ask(
        "/large",
        headers={"Range": "bytes=2000000-2400000,0-1500000"},
        environ_overrides={"SERVER_SOFTWARE": "gunicorn/27.0.1", "wsgi.file_wrapper": _Wrapper},
    )
    assert (answer.status, _Wrapper.made) == (206, 0)
    assert answer.headers["content-length"] == str(len(answer.body))
    boundary = answer.headers["content-type"].partition("boundary=")[2]
    parts = answer.body.split(f"--{boundary}".encode())[1:-1]
    found = [part.partition(b"\r\n\r\n")[2][:-2] for part in parts]
    assert found == [content[2_000_000:2_400_001], content[:1_500_001]]
    names = [os.path.realpath(link) for link in Path("/proc/self/fd").iterdir()]
    assert not [name for name in names if name.endswith("large.bin")]


def test_a_stored_file_that_became_shorter_while_the_kernel_sent_it_is_noticed(
    tmp_path: Path,
) -> None:
    """A server with sendfile seeks to where it came to stand: that is the moment to look."""
    path = tmp_path / "stored"
    path.write_bytes(bytes(1000))
    with path.open("rb") as file:
        sent = responses._SpanFile(file, Span(start=100, length=900))
        assert sent.seek(1000) == 1000
        os.truncate(path, 500)
        with pytest.raises(LocalFileError, match="became shorter"):
            sent.seek(500)
