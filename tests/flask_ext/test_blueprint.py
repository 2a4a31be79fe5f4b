"""The blueprint: the whole interface under a prefix, with the application's own sign-in."""

from __future__ import annotations

import json
from urllib.parse import urlsplit

import pytest
from flask import Flask, session
from flask.testing import FlaskClient
from flask.typing import ResponseReturnValue

from flask_ext.conftest import Ask
from support import samples
from support.services import blobs_on_disk, make_wharf, token
from support.shells import form
from wharfinger import Principal, Wharf
from wharfinger.flask import Wharfinger

TEXT = {"Content-Type": "text/plain", "Content-Disposition": 'attachment; filename="notes.txt"'}


@pytest.fixture
def storage(app: Flask, files: Wharfinger) -> Flask:
    app.register_blueprint(files.blueprint(), url_prefix="/storage")
    return app


@pytest.fixture
def bearer(storage: Flask, wharf: Wharf) -> dict[str, str]:
    return {"Authorization": f"Bearer {token(wharf)}"}


def test_addresses_in_answers_carry_the_prefix(ask: Ask, bearer: dict[str, str]) -> None:
    answer = ask("/storage/uploads/files", "POST", samples.TEXT, {**TEXT, **bearer})
    record = answer.json()
    assert answer.status == 201
    assert record["url"] == f"/storage/files/{record['id']}" == answer.headers["location"]
    assert ask(record["url"], headers=bearer).body == samples.TEXT
    listed = ask("/storage/files", headers=bearer).json()
    assert [file["url"] for file in listed["files"]] == [record["url"]]
    link = ask(f"{record['url']}/links", "POST", b"", bearer).json()
    assert link["url"].startswith("http://localhost/storage/d/")
    assert ask(urlsplit(link["url"]).path).body == samples.TEXT
    assert ask("/storage/openapi.json").json()["servers"] == [{"url": "/storage"}]


def test_the_root_of_the_host_server_comes_before_the_prefix(
    ask: Ask, bearer: dict[str, str]
) -> None:
    record = ask(
        "/storage/uploads/files", "POST", samples.TEXT, {**TEXT, **bearer},
        base_url="http://localhost/app",
    ).json()  # fmt: skip
    assert record["url"] == f"/app/storage/files/{record['id']}"


def test_forms_are_taken_in(ask: Ask, bearer: dict[str, str]) -> None:
    body, headers = form(("who", None, b"me", None), ("file", "a.txt", samples.TEXT, None))
    answer = ask("/storage/uploads/files", "POST", body, {**headers, **bearer})
    assert answer.status == 201
    assert answer.json()["fields"] == {"who": "me"}


def test_head_options_and_unknown_methods_are_answered_by_the_interface(
    ask: Ask, bearer: dict[str, str]
) -> None:
    record = ask("/storage/uploads/files", "POST", samples.TEXT, {**TEXT, **bearer}).json()
    head = ask(record["url"], "HEAD", headers=bearer)
    assert (head.status, head.body) == (200, b"")
    assert head.headers["content-length"] == str(len(samples.TEXT))
    options = ask(record["url"], "OPTIONS")
    assert (options.status, options.headers["allow"]) == (204, "DELETE, GET, HEAD, OPTIONS")
    put = ask(record["url"], "PUT", b"x", bearer)
    assert (put.status, put.code) == (405, "method-not-allowed")
    assert put.headers["allow"] == "DELETE, GET, HEAD, OPTIONS"
    assert ask(record["url"], "DELETE", headers=bearer).status == 204


@pytest.mark.parametrize("path", ["/storage", "/storage/", "/storage/nothing", "/storage/files/"])
def test_what_is_not_there_is_a_problem_and_not_the_applications_page(
    storage: Flask, ask: Ask, path: str
) -> None:
    answer = ask(path)
    assert (answer.status, answer.code) == (404, "not-found")


def test_an_upload_whose_body_the_application_has_read_is_an_error(
    storage: Flask, ask: Ask, bearer: dict[str, str], wharf: Wharf
) -> None:
    from flask import request

    storage.before_request(lambda: request.get_data(cache=False) and None)
    answer = ask("/storage/uploads/files", "POST", samples.TEXT, {**TEXT, **bearer})
    assert answer.code == "usage"
    assert blobs_on_disk(wharf.settings.data) == []


def test_the_limit_of_the_application_is_a_problem_document(
    storage: Flask, ask: Ask, bearer: dict[str, str], wharf: Wharf
) -> None:
    storage.config["MAX_CONTENT_LENGTH"] = 10
    answer = ask("/storage/uploads/files", "POST", b"x" * 11, {**TEXT, **bearer})
    assert (answer.status, answer.code) == (413, "too-large")
    assert blobs_on_disk(wharf.settings.data) == []


def test_an_unknown_error_shows_a_reference_and_nothing_else(
    storage: Flask, ask: Ask, bearer: dict[str, str], monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("password hunter2")

    monkeypatch.setattr(Wharf, "list_files", broken)
    answer = ask("/storage/files", headers=bearer)
    assert (answer.status, answer.code) == (500, "internal")
    assert b"hunter2" not in answer.body
    assert answer.json()["reference"] in caplog.text


# --- the application's own sign-in --------------------------------------------------------


@pytest.fixture
def signed_in(storage: Flask, files: Wharfinger) -> FlaskClient:
    """A browser that carries the cookie of a session."""
    storage.secret_key = "only for this test"

    @files.authorize
    def who() -> Principal | None:
        user = session.get("user")
        if user is None:
            return None
        return Principal(id=f"user:{user}", scopes=frozenset({"read", "write", "share"}))

    def sign_in() -> ResponseReturnValue:
        session["user"] = 7
        return "welcome"

    storage.add_url_rule("/sign-in", "sign_in", sign_in, methods=["POST"])
    client = storage.test_client()
    assert client.post("/sign-in").data == b"welcome"
    return client


HOME = "http://localhost"
PROOFS = {
    "the browser says same-origin": ({"Sec-Fetch-Site": "same-origin"}, 201),
    "the person asked for it": ({"Sec-Fetch-Site": "none"}, 201),
    "our origin": ({"Origin": HOME}, 201),
    "no proof": ({}, 403),
    "cross-site": ({"Sec-Fetch-Site": "cross-site"}, 403),
    "same-site": ({"Sec-Fetch-Site": "same-site"}, 403),
    "cross-site although the origin looks right": (
        {"Sec-Fetch-Site": "cross-site", "Origin": HOME}, 403,
    ),
    "another origin": ({"Origin": "http://evil.example"}, 403),
    "our host on another scheme": ({"Origin": "https://localhost"}, 403),
    "our host on another port": ({"Origin": "http://localhost:81"}, 403),
    "an opaque origin": ({"Origin": "null"}, 403),
    "nonsense": ({"Sec-Fetch-Site": "same-origin, cross-site"}, 403),
}  # fmt: skip


@pytest.mark.parametrize("case", PROOFS.values(), ids=list(PROOFS))
def test_a_change_that_rests_on_a_cookie_needs_a_proof_of_its_page(
    signed_in: FlaskClient, wharf: Wharf, case: tuple[dict[str, str], int]
) -> None:
    headers, status = case
    answer = signed_in.post(
        "/storage/uploads/files", data=samples.TEXT, headers={**TEXT, **headers}
    )
    assert answer.status_code == status
    if status == 403:
        assert json.loads(answer.data)["code"] == "forbidden"
        assert blobs_on_disk(wharf.settings.data) == []
    else:
        assert wharf.list_files(owner="user:7")[0][0].name == "notes.txt"


def test_every_changing_request_needs_the_proof_and_reading_needs_none(
    signed_in: FlaskClient, wharf: Wharf
) -> None:
    stored = wharf.receive([samples.TEXT], collection="files", owner="user:7")
    path = f"/storage/files/{stored.id}"
    link = wharf.share(stored.id, owner="user:7")
    for method, changed in (("DELETE", path), ("POST", f"{path}/links"),
                            ("DELETE", f"/storage/links/{link.id}")):  # fmt: skip
        assert signed_in.open(changed, method=method).status_code == 403
    for method, read in (("GET", path), ("HEAD", path), ("GET", f"{path}/info"),
                         ("GET", "/storage/files"), ("GET", f"{path}/links")):  # fmt: skip
        headers = {"Sec-Fetch-Site": "cross-site"}
        assert (
            signed_in.open(read, method=method, headers=headers, buffered=True).status_code == 200
        )
    proof = {"Sec-Fetch-Site": "same-origin"}
    assert signed_in.delete(path, headers=proof).status_code == 204


def test_a_bearer_token_is_its_own_proof(signed_in: FlaskClient, bearer: dict[str, str]) -> None:
    headers = {**TEXT, **bearer, "Sec-Fetch-Site": "cross-site"}
    answer = signed_in.post("/storage/uploads/files", data=samples.TEXT, headers=headers)
    assert answer.status_code == 201


def test_a_wrong_token_of_ours_is_not_saved_by_a_cookie(signed_in: FlaskClient) -> None:
    headers = {"Authorization": "Bearer whf_" + "A" * 43}
    assert signed_in.get("/storage/files", headers=headers).status_code == 401


def test_nobody_signed_in_is_401(signed_in: FlaskClient, storage: Flask) -> None:
    assert storage.test_client().get("/storage/files").status_code == 401
    assert signed_in.get("/storage/files").status_code == 200


def test_a_sign_in_that_rests_on_a_bearer_token_of_its_own_works(
    storage: Flask, ask: Ask, files: Wharfinger
) -> None:
    @files.authorize
    def who() -> Principal | None:
        from flask import request

        known = request.headers.get("Authorization") == "Bearer aaaa.bbbb.cccc"
        return Principal(id="user:7", scopes=frozenset({"read", "write"})) if known else None

    theirs = {"Authorization": "Bearer aaaa.bbbb.cccc"}
    assert ask("/storage/uploads/files", "POST", samples.TEXT, {**TEXT, **theirs}).status == 201
    assert len(ask("/storage/files", headers=theirs).json()["files"]) == 1
    wrong = ask("/storage/files", headers={"Authorization": "Bearer aaaa.bbbb.dddd"})
    assert wrong.status == 401
    assert 'error="invalid_token"' in wrong.headers["www-authenticate"]


def test_the_scopes_and_files_of_the_signed_in_hold(signed_in: FlaskClient, wharf: Wharf) -> None:
    of_another = wharf.receive([samples.TEXT], collection="files", owner="user:8")
    absent = signed_in.get("/storage/files/" + "0" * 32)
    theirs = signed_in.get(f"/storage/files/{of_another.id}")
    assert (theirs.status_code, theirs.data) == (404, absent.data)


# --- several applications -----------------------------------------------------------------


def test_two_applications_in_one_process_keep_their_files_apart(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    one_app, other_app = Flask("one"), Flask("other")
    files = Wharfinger()  # one extension for both, as a module has it
    with (
        make_wharf(tmp_path_factory.mktemp("one")) as one,
        make_wharf(tmp_path_factory.mktemp("other")) as other,
    ):
        for app, wharf in ((one_app, one), (other_app, other)):
            files.init_app(app, wharf=wharf)
            app.register_blueprint(files.blueprint(), url_prefix="/storage")
            app.add_url_rule(
                "/receive", "receive", lambda: {"id": files.receive("files").id}, methods=["POST"]
            )
            app.add_url_rule("/<file>", "show", files.deliver)
        stored = one_app.test_client().post("/receive", data=samples.TEXT, headers=TEXT).json
        assert stored is not None
        with one_app.test_client().get(f"/{stored['id']}") as answer:
            assert answer.data == samples.TEXT
        assert other_app.test_client().get(f"/{stored['id']}").status_code == 404
        assert (len(one.list_files()[0]), len(other.list_files()[0])) == (1, 0)
        secret = {"Authorization": f"Bearer {token(one)}"}
        assert one_app.test_client().get("/storage/files", headers=secret).status_code == 200
        assert other_app.test_client().get("/storage/files", headers=secret).status_code == 401
