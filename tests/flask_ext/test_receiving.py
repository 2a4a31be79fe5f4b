"""`receive` and `receive_form`: what they take in, and what leaves nothing behind."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable
from pathlib import Path
from wsgiref.simple_server import WSGIRequestHandler, make_server

import pytest
from flask import Flask, request
from flask.typing import ResponseReturnValue

from flask_ext.conftest import Ask
from support import samples
from support.services import blobs_on_disk
from support.shells import Browser, form
from wharfinger import Principal, Rejected, Wharf
from wharfinger.errors import LengthMismatch
from wharfinger.flask import Wharfinger, requests
from wharfinger.units import KIB, MIB

TEXT = {"Content-Type": "text/plain", "Content-Disposition": 'attachment; filename="notes.txt"'}
ONE = form(("note", None, b"hello", None), ("file", "me.png", samples.image("PNG"), "image/png"))
TWO = form(
    ("a", "one.txt", samples.TEXT, "text/plain"),
    ("tag", None, b"x", None),
    ("b", "two.png", samples.image("PNG"), "image/png"),
    ("tag", None, "größe".encode(), None),
)
CHUNKED = {"Transfer-Encoding": "chunked", "Content-Type": "text/plain"}


def nothing_kept(wharf: Wharf) -> bool:
    return wharf.list_files() == ([], None) and blobs_on_disk(wharf.settings.data) == []


@pytest.fixture
def receiving(files: Wharfinger) -> Callable[[], ResponseReturnValue]:
    def view() -> ResponseReturnValue:
        stored = files.receive("files")
        return {"id": stored.id, "name": stored.name, "size": stored.size, "owner": stored.owner}

    return view


Receiving = Callable[[], ResponseReturnValue]


def test_a_raw_body_is_one_file(ask: Ask, receiving: Receiving, wharf: Wharf) -> None:
    answer = ask(receiving, "POST", samples.TEXT, TEXT)
    assert answer.status == 200
    assert answer.json() | {"id": ""} == {
        "id": "", "name": "notes.txt", "size": len(samples.TEXT), "owner": None,
    }  # fmt: skip
    with wharf.open_file(answer.json()["id"]) as file:
        assert file.read() == samples.TEXT


def test_a_form_with_one_file_is_one_file(ask: Ask, receiving: Receiving, wharf: Wharf) -> None:
    answer = ask(receiving, "POST", *ONE)
    assert answer.json()["name"] == "me.png"
    with wharf.open_file(answer.json()["id"]) as file:
        assert file.read() == samples.image("PNG")


def test_an_empty_raw_body_with_its_length_is_an_empty_file(ask: Ask, receiving: Receiving) -> None:
    answer = ask(receiving, "POST", b"", TEXT, environ_overrides={"CONTENT_LENGTH": "0"})
    assert (answer.status, answer.json()["size"]) == (200, 0)


def test_several_files_are_refused_and_none_is_kept(
    ask: Ask, receiving: Receiving, wharf: Wharf
) -> None:
    answer = ask(receiving, "POST", *TWO)
    assert (answer.status, answer.code) == (400, "malformed-multipart")
    assert nothing_kept(wharf)


def test_a_form_without_a_file_is_an_error(ask: Ask, receiving: Receiving, wharf: Wharf) -> None:
    answer = ask(receiving, "POST", *form(("note", None, b"hello", None)))
    assert (answer.status, answer.code) == (400, "bad-request")
    assert nothing_kept(wharf)


def test_a_request_without_a_body_is_411(ask: Ask, receiving: Receiving) -> None:
    assert ask(receiving).status == 411


def test_receive_form_takes_files_and_fields(ask: Ask, files: Wharfinger) -> None:
    def view() -> ResponseReturnValue:
        taken = files.receive_form("files")
        return {"names": [stored.name for stored in taken.files], "fields": taken.fields}

    assert ask(view, "POST", *TWO).json() == {
        "names": ["one.txt", "two.png"],
        "fields": {"tag": ["x", "größe"]},
    }


def test_receive_form_is_all_or_nothing(ask: Ask, files: Wharfinger, wharf: Wharf) -> None:
    def view() -> ResponseReturnValue:
        return {"files": len(files.receive_form("files").files)}

    body = form(("a", "a.txt", samples.TEXT, None), ("b", "b.png", samples.HTML, "image/png"))
    answer = ask(view, "POST", *body)
    assert (answer.status, answer.code) == (415, "active-content")
    assert nothing_kept(wharf)


def test_what_is_received_belongs_to_who_is_signed_in(
    ask: Ask, files: Wharfinger, receiving: Receiving, wharf: Wharf
) -> None:
    @files.authorize
    def who() -> Principal | None:
        user = request.headers.get("X-User")
        return Principal(id=f"user:{user}", scopes=frozenset({"read"})) if user else None

    assert ask(receiving, "POST", *ONE).json()["owner"] is None
    assert ask(receiving, "POST", ONE[0], {**ONE[1], "X-User": "7"}).json()["owner"] == "user:7"
    assert len(wharf.list_files(owner="user:7")[0]) == 1


# --- somebody was here before -------------------------------------------------------------


def test_a_part_that_flask_has_parsed_is_accepted(ask: Ask, files: Wharfinger) -> None:
    def view() -> ResponseReturnValue:
        part = request.files["file"]
        part.read(5)  # a look at it does not make it shorter
        stored = files.receive("images", file=part)
        return {"name": stored.name, "type": stored.type, "size": stored.size}

    assert ask(view, "POST", *ONE).json() == {
        "name": "me.png",
        "type": "image/png",
        "size": len(samples.image("PNG")),
    }


def test_a_parsed_part_is_judged_like_any_other(ask: Ask, files: Wharfinger, wharf: Wharf) -> None:
    def view() -> ResponseReturnValue:
        return {"id": files.receive("files", file=request.files["file"]).id}

    answer = ask(view, "POST", *form(("file", "me.png", samples.HTML, "image/png")))
    assert (answer.status, answer.code) == (415, "active-content")
    nobody_chose = ask(view, "POST", *form(("file", "", b"", "application/octet-stream")))
    assert (nobody_chose.status, nobody_chose.code) == (400, "bad-request")
    assert nothing_kept(wharf)


READERS: dict[str, Callable[[], object]] = {
    "request.form": lambda: request.form,
    "request.files": lambda: request.files,
    "request.values of a POST": lambda: request.values,
    "request.data": lambda: request.data,
    "get_data()": lambda: request.get_data(cache=True),
    "get_data(cache=False)": lambda: request.get_data(cache=False),
    "request.json": lambda: request.get_json(force=True, silent=True),
    "request.stream": lambda: request.stream.read(-1),
}


@pytest.mark.parametrize("read", READERS.values(), ids=list(READERS))
@pytest.mark.parametrize("whole", [ONE, (samples.TEXT, CHUNKED)], ids=["form", "chunked"])
def test_a_body_that_was_read_before_is_an_error_and_never_an_empty_file(
    ask: Ask,
    files: Wharfinger,
    wharf: Wharf,
    read: Callable[[], object],
    whole: tuple[bytes, dict[str, str]],
    caplog: pytest.LogCaptureFixture,
) -> None:
    def view() -> ResponseReturnValue:
        read()
        return {"id": files.receive("files").id}

    body, headers = whole
    answer = ask(
        view,
        "POST",
        headers=headers,
        input_stream=io.BytesIO(body),
        environ_overrides={"wsgi.input_terminated": True},
    )
    # The view's mistake: the visitor sees a reference, the log what to do.
    assert (answer.status, answer.code) == (500, "internal")
    assert answer.json()["reference"] in caplog.text
    assert "file=request.files" in caplog.text
    assert nothing_kept(wharf)


def test_a_body_is_received_once(ask: Ask, files: Wharfinger, wharf: Wharf) -> None:
    def view() -> ResponseReturnValue:
        files.receive("files")
        files.receive("files")
        return {}

    answer = ask(
        view,
        "POST",
        headers=CHUNKED,
        input_stream=io.BytesIO(b"hello"),
        environ_overrides={"wsgi.input_terminated": True},
    )
    assert answer.code == "internal"
    assert [stored.size for stored in wharf.list_files()[0]] == [5]


def test_a_refusal_by_the_head_leaves_the_body_for_another_try(ask: Ask, files: Wharfinger) -> None:
    def view() -> ResponseReturnValue:
        try:
            stored = files.receive("images")
        except Rejected:
            stored = files.receive("files")
        return {"collection": stored.collection}

    assert ask(view, "POST", samples.TEXT, TEXT).json() == {"collection": "files"}


# --- bodies without an end ----------------------------------------------------------------


def test_a_chunked_body_needs_a_server_that_shows_its_end(
    ask: Ask, receiving: Receiving, wharf: Wharf
) -> None:
    refused = ask(receiving, "POST", headers=CHUNKED, input_stream=io.BytesIO(b"hello"))
    assert (refused.status, refused.code) == (411, "length-required")
    assert nothing_kept(wharf)
    taken = ask(
        receiving,
        "POST",
        headers=CHUNKED,
        input_stream=io.BytesIO(b"hello"),
        environ_overrides={"wsgi.input_terminated": True},
    )
    assert taken.json()["size"] == 5


class _Quiet(WSGIRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


def test_wsgiref_does_not_show_the_end_of_a_chunked_body_so_it_is_411(
    app: Flask, receiving: Receiving, wharf: Wharf
) -> None:
    app.add_url_rule("/", "receive", receiving, methods=["POST"])
    with make_server("127.0.0.1", 0, app, handler_class=_Quiet) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            browser = Browser(f"http://127.0.0.1:{server.server_port}")
            got = browser.raw(
                b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
                b"5\r\nhello\r\n0\r\n\r\n"
            )
            with_length = browser.ask("POST", "/", samples.TEXT, TEXT)
        finally:
            server.shutdown()
            thread.join()
    assert got.split(b" ")[1] == b"411"
    assert b"length-required" in got
    assert with_length.json()["size"] == len(samples.TEXT)
    assert len(wharf.list_files()[0]) == 1


class _Breaking(io.RawIOBase):
    """A body that gives some bytes and then fails as a server's own reader does."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        if not self._data:
            raise OSError("NoMoreData")
        piece, self._data = self._data[: len(buffer)], self._data[len(buffer) :]
        buffer[: len(piece)] = piece
        return len(piece)


@pytest.mark.parametrize("kind", ["raw", "form"])
@pytest.mark.parametrize("how", ["too short for its length", "broken off while chunked"])
def test_a_body_cut_short_leaves_nothing(
    ask: Ask, receiving: Receiving, wharf: Wharf, kind: str, how: str
) -> None:
    body, headers = (b"\1" * 50_000, {"Content-Type": ""}) if kind == "raw" else ONE
    if how == "too short for its length":
        answer = ask(
            receiving, "POST", headers=headers, input_stream=io.BytesIO(body[:-8]),
            environ_overrides={"CONTENT_LENGTH": str(len(body))},
        )  # fmt: skip
    else:
        answer = ask(
            receiving, "POST", headers={**headers, "Transfer-Encoding": "chunked"},
            environ_overrides={"wsgi.input": _Breaking(body[:-8]), "wsgi.input_terminated": True},
        )  # fmt: skip
    assert (answer.status, answer.code) == (400, "length-mismatch")
    assert f"after {len(body) - 8}" in answer.json()["detail"]
    assert nothing_kept(wharf)


@pytest.mark.parametrize("declared", [True, False], ids=["declared", "chunked"])
def test_the_limit_of_the_application_holds_and_answers_as_ours_do(
    app: Flask, ask: Ask, receiving: Receiving, wharf: Wharf, declared: bool
) -> None:
    app.config["MAX_CONTENT_LENGTH"] = 1000
    if declared:
        answer = ask(receiving, "POST", b"x" * 1001, TEXT)
    else:
        answer = ask(
            receiving, "POST", headers=CHUNKED, input_stream=io.BytesIO(b"x" * 1001),
            environ_overrides={"wsgi.input_terminated": True},
        )  # fmt: skip
    assert (answer.status, answer.code) == (413, "too-large")
    assert "1000 bytes" in answer.json()["detail"]
    assert nothing_kept(wharf)
    assert ask(receiving, "POST", b"x" * 1000, TEXT).status == 200


# --- errors -------------------------------------------------------------------------------


def test_a_refusal_in_a_view_is_a_problem_document(
    ask: Ask, receiving: Receiving, wharf: Wharf
) -> None:
    answer = ask(receiving, "POST", *form(("file", "me.png", samples.HTML, "image/png")))
    assert (answer.status, answer.code) == (415, "active-content")
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["cache-control"] == "no-store"
    assert nothing_kept(wharf)


def test_a_view_may_catch_a_refusal_and_say_it_in_its_own_words(
    ask: Ask, files: Wharfinger
) -> None:
    def view() -> ResponseReturnValue:
        try:
            files.receive("images")
        except Rejected as error:
            return f"Sorry: {error.code}", 400
        except LengthMismatch:
            return "Once more, please", 400
        return "thanks"

    assert ask(view, "POST", samples.PDF, {"Content-Type": "application/pdf"}).body == (
        b"Sorry: type-not-allowed"
    )
    short = ask(
        view, "POST", headers={"Content-Type": "image/png"}, input_stream=io.BytesIO(b"\x89PNG"),
        environ_overrides={"CONTENT_LENGTH": "100"},
    )  # fmt: skip
    assert short.body == b"Once more, please"


def test_the_applications_own_handlers_are_left_alone(
    app: Flask, ask: Ask, receiving: Receiving
) -> None:
    app.register_error_handler(ValueError, lambda _: ("my value", 418))
    app.register_error_handler(404, lambda _: ("my 404", 404))
    app.register_error_handler(Rejected, lambda error: (f"mine: {error.code}", 422))

    def broken() -> ResponseReturnValue:
        raise ValueError

    assert ask(broken).body == b"my value"
    assert ask("/nowhere").body == b"my 404"
    refused = ask(receiving, "POST", *form(("file", "me.png", samples.HTML, "image/png")))
    assert refused.body == b"mine: active-content"
    assert ask(receiving).code == "length-required"


def test_a_handler_for_our_errors_that_came_first_stays(tmp_path: Path, wharf: Wharf) -> None:
    from wharfinger import WharfingerError

    app = Flask("app", root_path=str(tmp_path))
    app.register_error_handler(WharfingerError, lambda error: (f"mine: {error.code}", 400))
    files = Wharfinger(app, wharf=wharf)
    app.add_url_rule("/<file>", "show", files.deliver)
    assert app.test_client().get("/nothing").data == b"mine: not-found"


class Line:
    """A body that comes at so many bytes a second, by a clock of its own."""

    def __init__(self, length: int, rate: float) -> None:
        self._left, self._rate = length, rate
        self.time = 0.0

    def read(self, size: int = -1) -> bytes:
        size = min(size, self._left)
        self._left -= size
        self.time += size / self._rate
        return bytes(size)

    def monotonic(self) -> float:
        return self.time


@pytest.mark.parametrize(
    ("rate", "largest"),
    [(1e9, MIB), (1e6, 128 * KIB), (50_000, 16 * KIB)],
    ids=["a fast sender", "a slow one", "one that drips"],
)
def test_of_a_sender_no_more_is_held_back_than_it_sends_in_a_moment(
    monkeypatch: pytest.MonkeyPatch, rate: float, largest: int
) -> None:
    line = Line(8 * MIB, rate)
    monkeypatch.setattr(requests, "time", line)
    app = Flask("app")
    environ = {"wsgi.input": line, "wsgi.input_terminated": True}
    with app.test_request_context("/", method="POST", headers=CHUNKED, environ_overrides=environ):
        pieces = [len(piece) for piece in requests.body()]
    assert sum(pieces) == 8 * MIB
    assert max(pieces) == largest
