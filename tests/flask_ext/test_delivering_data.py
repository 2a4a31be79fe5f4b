"""`deliver_data`: bytes, files and generators."""

from __future__ import annotations

import codecs
import gc
import gzip
import io
import os
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import pytest
from flask.typing import ResponseReturnValue

from flask_ext.conftest import Ask
from wharfinger.errors import LocalFileError, UsageError
from wharfinger.flask import Wharfinger

DIGITS = b"0123456789"


def sources(folder: Path) -> dict[str, Any]:
    path = folder / "digits.bin"
    path.write_bytes(DIGITS)
    at_the_end = io.BytesIO()
    at_the_end.write(DIGITS)
    return {
        "bytes": DIGITS,
        "bytearray": bytearray(DIGITS),
        "memoryview": memoryview(DIGITS),
        "BytesIO": io.BytesIO(DIGITS),
        "BytesIO as it was written": at_the_end,
        "open file": path.open("rb"),
        "open file, unbuffered": path.open("rb", buffering=0),
    }


KINDS = ("bytes", "bytearray", "memoryview", "BytesIO", "BytesIO as it was written", "open file",
         "open file, unbuffered")  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_data_with_a_known_length_has_ranges(
    ask: Ask, files: Wharfinger, tmp_path: Path, kind: str
) -> None:
    def view() -> ResponseReturnValue:
        made = sources(tmp_path)
        wanted = made.pop(kind)
        for other in made.values():
            if hasattr(other, "close"):
                other.close()
        return files.deliver_data(wanted, download_name="digits.csv")

    whole = ask(view)
    assert (whole.status, whole.body) == (200, DIGITS)
    assert whole.headers["content-type"] == "text/csv; charset=utf-8"
    assert whole.headers["content-length"] == "10"
    assert whole.headers["cache-control"] == "private, no-cache"
    part = ask(view, headers={"Range": "bytes=7-8"})
    assert (part.status, part.body, part.headers["content-range"]) == (206, b"78", "bytes 7-8/10")
    head = ask(view, "HEAD")
    assert (head.body, head.headers["content-length"]) == (b"", "10")
    assert ask(view, headers={"Range": "bytes=10-"}).status == 416
    posted = ask(view, "POST", b"", {"Range": "bytes=7-8"})
    assert (posted.status, posted.body) == (200, DIGITS)
    gc.collect()  # a file left open is a ResourceWarning here, and that an error


def test_bytes_have_an_etag_of_their_content(ask: Ask, files: Wharfinger) -> None:
    def view() -> ResponseReturnValue:
        return files.deliver_data(DIGITS, mimetype="application/octet-stream")

    etag = ask(view).headers["etag"]
    assert ask(view, headers={"If-None-Match": etag}).status == 304
    assert ask(view, headers={"If-None-Match": '"other"'}).status == 200


def test_a_file_is_closed_when_it_was_sent(ask: Ask, files: Wharfinger, tmp_path: Path) -> None:
    (tmp_path / "digits.bin").write_bytes(DIGITS)
    opened: list[BinaryIO] = []

    def view() -> ResponseReturnValue:
        opened.append((tmp_path / "digits.bin").open("rb"))
        return files.deliver_data(opened[-1], mimetype="application/octet-stream")

    for method, headers in (("GET", {}), ("HEAD", {}), ("GET", {"Range": "bytes=20-"})):
        ask(view, method, headers=headers)
    assert [file.closed for file in opened] == [True, True, True]


class _Buffered(io.BufferedReader):
    def read(self, size: int | None = -1) -> bytes:
        raise AssertionError(f"it would wait until {size} bytes are there")


@pytest.mark.parametrize("buffered", [False, True])
def test_a_pipe_is_sent_as_it_comes(ask: Ask, files: Wharfinger, buffered: bool) -> None:
    reading, writing = os.pipe()
    os.write(writing, DIGITS)
    raw = io.FileIO(reading)
    pipe: BinaryIO = _Buffered(raw) if buffered else raw

    def view() -> ResponseReturnValue:
        made = files.deliver_data(pipe, mimetype="text/plain")
        pieces = iter(made.iter_encoded())
        # What is there goes out at once, although the pipe has not ended.
        first = next(pieces)
        os.write(writing, b"more")
        os.close(writing)
        rest = b"".join(pieces)
        made.close()
        return {"first": first.decode(), "rest": rest.decode()}

    assert ask(view).json() == {"first": "0123456789", "rest": "more"}
    assert pipe.closed


class _Endless:
    """A generator that counts how often it was asked and tells when it was closed."""

    def __init__(self) -> None:
        self.made = 0
        self.closed = False

    def pieces(self) -> Iterator[bytes]:
        try:
            while True:
                self.made += 1
                yield b"x" * 1000
        finally:
            self.closed = True


def test_a_generator_is_sent_while_it_runs_and_closed_at_the_end(
    ask: Ask, files: Wharfinger
) -> None:
    ended: list[bool] = []

    def rows() -> Iterator[bytes]:
        try:
            for number in range(3):
                yield b"%d\n" % number
        finally:
            ended.append(True)

    answer = ask(lambda: files.deliver_data(rows(), download_name="r.csv", as_attachment=True))
    assert (answer.status, answer.body) == (200, b"0\n1\n2\n")
    assert answer.headers["content-disposition"] == 'attachment; filename="r.csv"'
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "content-length" not in answer.headers
    assert answer.headers["accept-ranges"] == "none"
    # With nothing to ask about, a cache could not ask before it uses its copy.
    assert answer.headers["cache-control"] == "private, no-store"
    assert ended == [True]


def test_a_generator_is_never_run_for_head(ask: Ask, files: Wharfinger) -> None:
    endless = _Endless()
    answer = ask(lambda: files.deliver_data(endless.pieces(), mimetype="text/plain"), "HEAD")
    assert (answer.status, answer.body) == (200, b"")
    assert endless.made == 0


def test_a_generator_takes_the_validators_it_is_given(ask: Ask, files: Wharfinger) -> None:
    answer = ask(
        lambda: files.deliver_data(
            iter([b"a", b"b"]),
            mimetype="text/plain",
            etag="v1",
            last_modified=1709208000,
            max_age=5,
        )
    )
    assert answer.body == b"ab"
    assert answer.headers["etag"] == '"v1"'
    assert answer.headers["last-modified"] == "Thu, 29 Feb 2024 12:00:00 GMT"
    assert answer.headers["cache-control"] == "private, max-age=5"


def of_text(folder: Path) -> dict[str, Any]:
    (folder / "text.txt").write_text("text", "utf-8")
    return {
        "str": "text",
        "StringIO": io.StringIO("text"),
        "a file opened as text": (folder / "text.txt").open(encoding="utf-8"),
        "a named temporary file": tempfile.NamedTemporaryFile("w+", encoding="utf-8"),
        "a spooled temporary file": tempfile.SpooledTemporaryFile(mode="w+", encoding="utf-8"),
        "a reader with a codec": codecs.getreader("utf-8")(io.BytesIO(b"text")),
    }


def test_text_is_refused_because_its_encoding_is_not_known(
    ask: Ask, files: Wharfinger, tmp_path: Path
) -> None:
    for kind, data in of_text(tmp_path).items():

        def view(data: Any = data) -> ResponseReturnValue:
            try:
                return files.deliver_data(data, mimetype="text/plain")
            except UsageError as error:
                return error.hint

        assert ask(view).body == b"Encode it, or open the file in mode 'rb'.", kind
    gc.collect()  # a file left open is a ResourceWarning here, and that an error


async def _asynchronous() -> AsyncIterator[bytes]:
    yield DIGITS


def unfit(folder: Path) -> dict[str, tuple[Any, str]]:
    closed = io.BytesIO(DIGITS)
    closed.close()
    path = folder / "new.bin"
    return {
        "closed": (closed, "Open it without `with`: deliver_data closes it when it was sent."),
        "for writing": (path.open("wb"), "Open it in mode 'rb'."),
        "asynchronous": (_asynchronous(), "Write it with `def`; or use the ASGI application."),
    }


def test_a_file_that_cannot_be_read_is_refused_with_what_to_do(
    ask: Ask, files: Wharfinger, tmp_path: Path
) -> None:
    for data, hint in unfit(tmp_path).values():

        def view(data: Any = data) -> ResponseReturnValue:
            try:
                return files.deliver_data(data, mimetype="text/plain")
            except UsageError as error:
                return error.hint

        assert ask(view).body.decode() == hint
    gc.collect()


@pytest.mark.parametrize("piece", ["text", 7, None])
def test_a_generator_that_yields_no_bytes_fails_and_is_closed(
    ask: Ask, files: Wharfinger, piece: Any
) -> None:
    ended: list[bool] = []

    def rows() -> Iterator[Any]:
        try:
            yield b"bytes"
            yield piece
        finally:
            ended.append(True)

    with pytest.raises(UsageError, match="not bytes"):
        ask(lambda: files.deliver_data(rows(), mimetype="text/plain"))
    assert ended == [True]


def test_a_list_of_pieces_and_other_kinds_of_bytes_are_sent(ask: Ask, files: Wharfinger) -> None:
    pieces: list[Any] = [b"01", bytearray(b"23"), memoryview(b"45"), b"", b"6789"]
    assert ask(lambda: files.deliver_data(pieces, mimetype="text/plain")).body == DIGITS


def test_a_file_that_hides_another_is_read_and_not_looked_through(
    ask: Ask, files: Wharfinger, tmp_path: Path
) -> None:
    """A GzipFile shows the descriptor of the compressed file: the kernel would send that one."""
    with gzip.open(tmp_path / "digits.gz", "wb") as file:
        file.write(DIGITS)

    class Shouting(io.FileIO):
        def read(self, size: int | None = -1) -> bytes:
            return super().read(size).replace(b"0", b"!")

    (tmp_path / "digits").write_bytes(DIGITS)
    gunicorn: dict[str, Any] = {"SERVER_SOFTWARE": "gunicorn", "wsgi.file_wrapper": _Sendfile}
    for made, body in (
        (lambda: gzip.GzipFile(tmp_path / "digits.gz"), DIGITS),
        (lambda: Shouting(tmp_path / "digits"), b"!123456789"),
    ):
        answer = ask(
            lambda made=made: files.deliver_data(made(), mimetype="text/plain"),  # type: ignore[misc]
            environ_overrides=gunicorn,
        )
        assert (answer.headers["content-length"], answer.body) == ("10", body)


@pytest.mark.parametrize("asked", [None, "bytes=2-3"])
def test_a_file_that_the_view_closed_is_not_sent_and_no_other_in_its_place(
    ask: Ask, files: Wharfinger, tmp_path: Path, asked: str | None
) -> None:
    (tmp_path / "digits").write_bytes(DIGITS)
    (tmp_path / "secret").write_bytes(b"nobody may see this")

    def view() -> ResponseReturnValue:
        with io.FileIO(tmp_path / "digits") as file:
            made = files.deliver_data(file, mimetype="text/plain")
            number = file.fileno()
        other = io.FileIO(tmp_path / "secret")
        assert other.fileno() == number  # the lowest free one: a server with threads does it too
        opened.append(other)
        return made

    opened: list[io.FileIO] = []
    gunicorn: dict[str, Any] = {"SERVER_SOFTWARE": "gunicorn", "wsgi.file_wrapper": _Sendfile}
    headers = {} if asked is None else {"Range": asked}
    for environ in (gunicorn, {}):
        with pytest.raises(UsageError, match="closed before it was sent"):
            ask(view, headers=headers, environ_overrides=environ)
        opened.pop().close()


class _Sendfile:
    """A server's file wrapper that sends what the descriptor shows."""

    def __init__(self, file: Any, _: int) -> None:
        self.file = file

    def __iter__(self) -> Iterator[bytes]:
        yield os.pread(self.file.fileno(), 1000, 0)

    def close(self) -> None:
        self.file.close()


def test_a_plain_file_has_the_validators_that_a_path_has(
    ask: Ask, files: Wharfinger, tmp_path: Path
) -> None:
    path = tmp_path / "digits.bin"
    path.write_bytes(DIGITS)
    os.utime(path, (1709208000, 1709208000))
    by_path = ask(lambda: files.deliver_path(tmp_path, "digits.bin"))
    by_file = ask(lambda: files.deliver_data(path.open("rb"), download_name="digits.bin"))
    assert by_file.headers["etag"] == by_path.headers["etag"]
    assert by_file.headers["last-modified"] == "Thu, 29 Feb 2024 12:00:00 GMT"


def test_a_device_has_no_length_and_is_sent_as_a_stream(ask: Ask, files: Wharfinger) -> None:
    answer = ask(lambda: files.deliver_data(io.FileIO("/dev/null"), mimetype="text/plain"))
    assert (answer.status, answer.body) == (200, b"")
    assert "content-length" not in answer.headers


@pytest.mark.parametrize("asked", [None, "bytes=2-"])
def test_a_file_that_becomes_shorter_is_no_whole_answer(
    ask: Ask, files: Wharfinger, tmp_path: Path, asked: str | None
) -> None:
    path = tmp_path / "digits.bin"
    path.write_bytes(DIGITS)

    def view() -> ResponseReturnValue:
        made = files.deliver_data(path.open("rb", buffering=0), mimetype="text/plain")
        os.truncate(path, 5)
        return made

    with pytest.raises(LocalFileError, match="shorter"):
        ask(view, headers={} if asked is None else {"Range": asked})


def test_data_without_a_type_is_refused(
    ask: Ask, files: Wharfinger, caplog: pytest.LogCaptureFixture
) -> None:
    answer = ask(lambda: files.deliver_data(DIGITS))
    assert (answer.status, answer.code) == (500, "internal")
    assert "mimetype or download_name" in caplog.text


def test_html_of_the_application_is_not_shown_either(ask: Ask, files: Wharfinger) -> None:
    answer = ask(lambda: files.deliver_data(b"<p>hi", mimetype="text/html"))
    assert answer.headers["content-disposition"] == "attachment"


def test_empty_data_is_sent(ask: Ask, files: Wharfinger) -> None:
    answer = ask(lambda: files.deliver_data(b"", mimetype="text/plain"))
    assert (answer.status, answer.body, answer.headers["content-length"]) == (200, b"", "0")
