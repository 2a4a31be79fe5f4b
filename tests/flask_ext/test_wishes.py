"""The arguments of `send_file`: what they mean, and what is said about those that cannot be meant."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from flask.typing import ResponseReturnValue

from flask_ext.conftest import Ask
from wharfinger import StoredFile, Wharf
from wharfinger.errors import UsageError
from wharfinger.flask import Wharfinger
from wharfinger.flask.wishes import type_by_name

DIGITS = b"0123456789"
View = Callable[[], ResponseReturnValue]
Sending = Callable[..., View]


@pytest.fixture(params=["deliver", "deliver_path", "deliver_data", "deliver_data of a generator"])
def sending(
    request: pytest.FixtureRequest, files: Wharfinger, wharf: Wharf, tmp_path: Path
) -> Sending:
    """Each way to send ten digits; a wish means the same in all."""
    stored = wharf.receive([DIGITS], collection="files", name="digits.txt")
    (tmp_path / "digits.txt").write_bytes(DIGITS)

    def ways(wishes: dict[str, Any]) -> ResponseReturnValue:
        match request.param:
            case "deliver":
                return files.deliver(stored.id, **wishes)
            case "deliver_path":
                return files.deliver_path(tmp_path, "digits.txt", **wishes)
            case "deliver_data":
                return files.deliver_data(DIGITS, **{"mimetype": "text/plain", **wishes})
            case _:
                made = iter([DIGITS])
                return files.deliver_data(made, **{"mimetype": "text/plain", **wishes})

    return lambda **wishes: lambda: ways(wishes)


def refusal(view: View) -> View:
    """Return the view that tells what the call says to whoever wrote it."""

    def told() -> ResponseReturnValue:
        try:
            view()
        except UsageError as error:
            return {"code": error.code, "said": str(error), "hint": error.hint}
        return "sent"

    return told


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "mimetype: no slash": ({"mimetype": "png"}, "mimetype='png' is not a media type."),
    "mimetype: a line break": ({"mimetype": "text/plain\r\nX: 1"}, "is not a media type."),
    "mimetype: not ASCII": ({"mimetype": "text/pläin"}, "is not a media type."),
    "mimetype: bytes": ({"mimetype": b"text/plain"}, "is not a media type."),
    "mimetype: empty": ({"mimetype": ""}, "mimetype='' is not a media type."),
    "download_name: a path": ({"download_name": Path("x.txt")}, "download_name is text, not PosixPath."),
    "max_age: text": ({"max_age": "60"}, "max_age='60' is not a number of whole seconds."),
    "max_age: negative": ({"max_age": -1}, "max_age=-1 is not a number of whole seconds."),
    "max_age: a fraction": ({"max_age": 1.5}, "max_age=1.5 is not a number of whole seconds."),
    "max_age: a duration": ({"max_age": timedelta(1)}, "is not a number of whole seconds."),
    "max_age: a function": ({"max_age": len}, "is not a number of whole seconds."),
    "max_age: a truth": ({"max_age": True}, "max_age=True is not a number of whole seconds."),
    "etag: quoted": ({"etag": '"v1"'}, "is not an entity-tag."),
    "etag: a space": ({"etag": "v 1"}, "etag='v 1' is not an entity-tag."),
    "etag: not ASCII": ({"etag": "größe"}, "etag='größe' is not an entity-tag."),
    "etag: a number": ({"etag": 7}, "etag=7 is not an entity-tag."),
    "etag: None": ({"etag": None}, "etag=None is not an entity-tag."),
    "last_modified: text": ({"last_modified": "2024-02-29"}, "is not a moment."),
    "last_modified: a day": ({"last_modified": date(2024, 2, 29)}, "is not a moment."),
    "last_modified: too late": ({"last_modified": 1e30}, "last_modified=1e+30 is not a moment."),
    "last_modified: no number": ({"last_modified": float("nan")}, "is not a moment."),
    "last_modified: a truth": ({"last_modified": True}, "last_modified=True is not a moment."),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG.values(), ids=list(WRONG))
def test_a_wish_that_cannot_be_understood_says_so_at_the_call(
    ask: Ask, sending: Sending, case: tuple[dict[str, Any], str]
) -> None:
    wishes, said = case
    told = ask(refusal(sending(**wishes))).json()
    assert told["code"] == "usage"
    assert told["said"].endswith(said)


def test_the_visitor_learns_nothing_of_the_views_mistake(
    ask: Ask, sending: Sending, caplog: pytest.LogCaptureFixture
) -> None:
    answer = ask(sending(etag="a b"))
    assert (answer.status, answer.code) == (500, "internal")
    assert b"a b" not in answer.body
    assert "etag='a b' is not an entity-tag." in caplog.text


def test_conditional_false_sends_all_of_it_whatever_is_asked(ask: Ask, sending: Sending) -> None:
    view = sending(conditional=False, etag="v1", last_modified=1709208000)
    for headers in (
        {"Range": "bytes=2-3"},
        {"Range": "bytes=99-"},
        {"If-None-Match": '"v1"'},
        {"If-Match": '"other"'},
        {"If-Modified-Since": "Thu, 29 Feb 2024 12:00:00 GMT"},
    ):
        answer = ask(view, headers=headers)
        assert (answer.status, answer.body) == (200, DIGITS)
        assert answer.headers["accept-ranges"] == "none"
        assert answer.headers["etag"] == '"v1"'
    head = ask(view, "HEAD", headers={"If-None-Match": '"v1"'})
    assert (head.status, head.body) == (200, b"")


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"If-None-Match": '"v1"'}, 304),
        ({"If-None-Match": 'W/"v1"'}, 304),
        ({"If-None-Match": "*"}, 304),
        ({"If-None-Match": '"v2"'}, 200),
        ({"If-Match": '"v1"'}, 200),
        ({"If-Match": '"v2"'}, 412),
        ({"If-Modified-Since": "Thu, 29 Feb 2024 12:00:00 GMT"}, 304),
        ({"If-Modified-Since": "Thu, 29 Feb 2024 11:59:59 GMT"}, 200),
        ({"If-Unmodified-Since": "Thu, 29 Feb 2024 11:59:59 GMT"}, 412),
        ({"If-None-Match": '"v2"', "If-Modified-Since": "Fri, 01 Mar 2024 12:00:00 GMT"}, 200),
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_preconditions_hold_for_everything_that_is_sent(
    ask: Ask, sending: Sending, method: str, headers: dict[str, str], status: int
) -> None:
    view = sending(etag="v1", last_modified=1709208000)
    answer = ask(view, method, headers=headers)
    assert answer.status == status
    if status == 200:
        assert answer.body == (DIGITS if method == "GET" else b"")
    if status == 304:
        assert answer.body == b""
        assert answer.headers["etag"] == '"v1"'
        assert "content-type" not in answer.headers
    if status == 412 and method == "GET":
        assert answer.code == "precondition-failed"


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("headers", [{}, {"If-None-Match": '"v1"'}, {"If-Match": '"v2"'}])
def test_a_source_is_closed_whatever_the_answer_is(
    ask: Ask, files: Wharfinger, method: str, headers: dict[str, str]
) -> None:
    class Counting:
        closed = 0

        def __iter__(self) -> Iterator[bytes]:
            yield DIGITS

        def close(self) -> None:
            self.closed += 1

    class Unseekable(io.BytesIO):
        def seekable(self) -> bool:
            return False

    counting, unseekable, memory = Counting(), Unseekable(DIGITS), io.BytesIO(DIGITS)
    for data in (counting, unseekable, memory):
        ask(
            lambda data=data: files.deliver_data(data, mimetype="text/plain", etag="v1"),  # type: ignore[misc]
            method,
            headers=headers,
        )
    assert (counting.closed, unseekable.closed, memory.closed) == (1, True, True)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.csv", "text/csv"),
        ("A.PNG", "image/png"),
        ("archive.tar.gz", "application/gzip"),
        ("page.html.gz", "application/gzip"),
        ("page.html.br", "application/octet-stream"),
        ("page.html.Z", "application/octet-stream"),
        ("movie.avi", "video/x-msvideo"),
        ("README", "application/octet-stream"),
        (".htaccess", "application/octet-stream"),
        ("strange.!", "application/octet-stream"),
        ("", "application/octet-stream"),
    ],
)
def test_a_type_comes_from_the_name_and_an_unknown_one_is_no_guess(
    name: str, expected: str
) -> None:
    assert type_by_name(name) == expected


def test_moments_before_1970_and_of_other_zones_are_moments(ask: Ask, sending: Sending) -> None:
    early = datetime(1944, 6, 6, 6, 30, tzinfo=UTC)
    told = ask(sending(last_modified=early)).headers["last-modified"]
    assert told == "Tue, 06 Jun 1944 06:30:00 GMT"


MISUSED: dict[str, tuple[Callable[[Wharfinger, StoredFile], Any], str, str]] = {
    "deliver a path": (
        lambda files, _: files.deliver(Path("a.txt")),  # type: ignore[arg-type]
        "deliver takes a record or its id, not PosixPath.",
        "A path is for deliver_path, bytes and open files are for deliver_data.",
    ),
    "deliver nothing": (
        lambda files, _: files.deliver(None),  # type: ignore[arg-type]
        "deliver takes a record or its id, not NoneType.",
        "A path is for deliver_path, bytes and open files are for deliver_data.",
    ),
    "data that is a path": (
        lambda files, _: files.deliver_data(Path("a.txt"), mimetype="text/plain"),  # type: ignore[arg-type]
        "This is a path.",
        "Call files.deliver_path(folder, name).",
    ),
    "data that is a record": (
        lambda files, stored: files.deliver_data(stored, mimetype="text/plain"),  # type: ignore[arg-type]
        "This is the record of a stored file.",
        "Call files.deliver(stored).",
    ),
    "data that is nothing": (
        lambda files, _: files.deliver_data(None, mimetype="text/plain"),  # type: ignore[arg-type]
        "NoneType is not data.",
        "Give bytes, a binary file object, or a generator of bytes.",
    ),
    "data that is a number": (
        lambda files, _: files.deliver_data(7, mimetype="text/plain"),  # type: ignore[arg-type]
        "int is not data.",
        "Give bytes, a binary file object, or a generator of bytes.",
    ),
    "data that is a dictionary": (
        lambda files, _: files.deliver_data({b"a": 1}, mimetype="text/plain"),
        "dict is not data.",
        "Give bytes, a binary file object, or a generator of bytes.",
    ),
    "a name that is no text": (
        lambda files, _: files.deliver_path(".", 7),  # type: ignore[arg-type]
        "The name of a file is text, not int.",
        "",
    ),
}


@pytest.mark.parametrize("case", MISUSED.values(), ids=list(MISUSED))
def test_a_call_with_the_wrong_thing_says_which_call_is_right(
    ask: Ask, files: Wharfinger, wharf: Wharf, case: tuple[Callable[..., Any], str, str]
) -> None:
    call, said, hint = case
    stored = wharf.receive([DIGITS], collection="files", name="digits.txt")
    told = ask(refusal(lambda: call(files, stored))).json()
    assert told == {"code": "usage", "said": said, "hint": hint}
