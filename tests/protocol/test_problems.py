from __future__ import annotations

import json

import pytest

from wharfinger import errors
from wharfinger.protocol.problems import parse_problem, problem

JSON = "application/problem+json"


def test_an_error_becomes_a_problem_document() -> None:
    answer = problem(
        errors.TooLarge("The file has 7 bytes; 5 are accepted.", limit=5, size=7, hint="Cut it.")
    )
    expected = {
        "type": "urn:wharfinger:error:too-large",
        "title": "Too large",
        "status": 413,
        "detail": "The file has 7 bytes; 5 are accepted.",
        "code": "too-large",
        "hint": "Cut it.",
        "limit": 5,
        "size": 7,
    }
    assert answer.document == expected
    assert json.loads(answer.body) == expected
    assert answer.status == 413
    assert answer.headers == (
        ("Content-Type", "application/problem+json"),
        ("Content-Length", str(len(answer.body))),
        ("Cache-Control", "no-store"),
        ("X-Content-Type-Options", "nosniff"),
    )


def test_head_gets_the_fields_without_the_body() -> None:
    whole = problem(errors.NotFound())
    bare = problem(errors.NotFound(), method="HEAD")
    assert bare.body == b""
    assert whole.body != b""
    assert bare.headers == whole.headers


def test_what_is_not_known_is_left_out() -> None:
    document = problem(errors.TooLarge("Over the limit.", limit=5)).document
    assert "size" not in document
    assert "hint" not in document


@pytest.mark.parametrize(
    ("error", "name", "value"),
    [
        (errors.Unauthenticated(), "WWW-Authenticate", 'Bearer realm="wharfinger"'),
        (
            errors.Unauthenticated(invalid=True),
            "WWW-Authenticate",
            'Bearer realm="wharfinger", error="invalid_token"',
        ),
        (
            errors.Forbidden("No.", scope="write"),
            "WWW-Authenticate",
            'Bearer realm="wharfinger", error="insufficient_scope", scope="write"',
        ),
        (errors.Forbidden("No."), "WWW-Authenticate", None),
        (errors.Forbidden("No.", scope='x"\r\n'), "WWW-Authenticate", None),
        (errors.NotFound(), "WWW-Authenticate", None),
        (errors.MethodNotAllowed("No.", allowed=("GET", "HEAD")), "Allow", "GET, HEAD"),
        (errors.RangeNotSatisfiable("No.", length=7), "Content-Range", "bytes */7"),
        (errors.RangeNotSatisfiable("No.", length=0), "Content-Range", "bytes */0"),
        (errors.RangeNotSatisfiable("No.", length=7), "Accept-Ranges", "bytes"),
        (errors.Unavailable("Away."), "Retry-After", "5"),
        (errors.TooManyRequests("Slowly.", retry_after=17), "Retry-After", "17"),
        (
            errors.PasswordRequired(),
            "WWW-Authenticate",
            'Basic realm="wharfinger link", charset="UTF-8"',
        ),
        (
            errors.UnsupportedVersion("No.", supported=("1.0.0", "0.2.2")),
            "Tus-Version",
            "1.0.0,0.2.2",
        ),
        (errors.StorageFull("Full."), "Retry-After", None),
    ],
)
def test_the_status_brings_its_field(
    error: errors.WharfingerError, name: str, value: str | None
) -> None:
    assert dict(problem(error).headers).get(name) == value


@pytest.mark.parametrize(
    ("error", "name", "value"),
    [
        (errors.Forbidden("No.", scope="write"), "scope", "write"),
        (errors.RangeNotSatisfiable("No.", length=0), "length", 0),
        (errors.MethodNotAllowed("No.", allowed=("GET", "HEAD")), "allowed", ["GET", "HEAD"]),
        (errors.InternalError("No.", reference="abc"), "reference", "abc"),
    ],
)
def test_public_facts_are_members(error: errors.WharfingerError, name: str, value: object) -> None:
    assert problem(error).document[name] == value


SECRET = "/var/lib/wharfinger/secret"


@pytest.mark.parametrize(
    "error",
    [
        errors.LocalFileError(SECRET),
        errors.SourceMissing(SECRET),
        errors.DestinationExists(SECRET),
        errors.DestinationUnsafe(SECRET),
        errors.DataFolderError(SECRET, hint=SECRET),
        errors.StorageFull(SECRET),
        errors.ConfigError(SECRET, hint=SECRET),
        errors.InternalError(SECRET, reference="r"),
        errors.Unavailable(SECRET),
        errors.PortInUse(SECRET),
        errors.AddressRefused(SECRET),
        errors.ConnectFailed(SECRET),
        errors.ResponseError(SECRET, status=500, url=SECRET, problem={"x": SECRET}),
        errors.WharfingerError(SECRET),
    ],
    ids=lambda error: type(error).__name__,
)
def test_errors_about_this_machine_say_a_fixed_sentence(error: errors.WharfingerError) -> None:
    answer = problem(error)
    assert SECRET not in repr(answer)
    assert "hint" not in answer.document
    detail = answer.document["detail"]
    assert isinstance(detail, str)
    assert detail.endswith(".")


def test_hostile_text_stays_inside_its_json_string() -> None:
    detail = 'a"\r\n\u202e</script>\ud800'
    answer = problem(errors.RequestError(detail))
    assert answer.body.isascii()
    assert b"\r" not in answer.body
    assert json.loads(answer.body)["detail"] == detail


@pytest.mark.parametrize(
    ("content_type", "body", "document"),
    [
        (JSON, b'{"title": "x", "other": [1]}', {"title": "x", "other": [1]}),
        ("Application/Problem+JSON; charset=utf-8", b"{}", {}),
        (None, b"{}", None),
        ("application/json", b"{}", None),
        ("text/html", b"{}", None),
        ("rubbish", b"{}", None),
        (JSON, b"", None),
        (JSON, b"[]", None),
        (JSON, b'"x"', None),
        (JSON, b"{", None),
        (JSON, b"\xff", None),
        (JSON, '{"a": 1}'.encode("utf-16"), None),
        (JSON, b"[" * 60_000, None),
        (JSON, b'{"a": ' * 10_000, None),
        (JSON, b'{"a": ' + b"9" * 5000 + b"}", None),
        (JSON, b'{"a": "' + b"x" * 65_536 + b'"}', None),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_somebody_elses_problem_is_read_or_ignored(
    content_type: str | None, body: bytes, document: dict[str, object] | None
) -> None:
    assert parse_problem(content_type, body) == document


def test_our_own_problems_are_read_back() -> None:
    answer = problem(errors.NotReady("Being checked."))
    assert parse_problem(dict(answer.headers)["Content-Type"], answer.body) == answer.document
