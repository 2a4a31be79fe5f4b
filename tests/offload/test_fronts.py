"""Behind the real nginx and Caddy, as the documentation configures them: every answer is the one that
the service gives by itself."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from support import fronts, samples
from support.measure import connection
from support.services import Clock, make_wharf, token
from support.shells import SHELLS, Answered, Browser, form, running
from wharfinger import Wharf
from wharfinger.protocol.dates import format_http_date

DIGITS = b"0123456789"
ALL = ("read", "write", "share", "admin")
# Longer than what is remembered and than any buffer of the proxies.
LARGE = bytes(range(256)) * 1200
FRONTS: Mapping[str, Callable[[Path, str, Path], AbstractContextManager[str]]] = {
    "nginx": fronts.nginx,
    "caddy": fronts.caddy,
}
# What a connection has of its own, and what names the program at its other end.
OF_THE_HOP = {"date", "server", "connection", "keep-alive", "transfer-encoding"}


@dataclass(frozen=True)
class Both:
    """A service asked directly, and through the web server in front of it."""

    wharf: Wharf
    direct: Browser
    front: Browser

    def put(self, content: bytes, collection: str = "files") -> str:
        answer = self.direct.ask("POST", f"/uploads/{collection}", content, {"Content-Type": ""})
        assert answer.status == 201, answer
        return str(answer.json()["id"])

    def same(self, path: str, method: str = "GET", **headers: str) -> Answered:
        """Return the answer through the front after comparing it with the direct one."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        direct, front = (
            browser.ask(method, path, headers=sent) for browser in (self.direct, self.front)
        )
        assert essence(front) == essence(direct), (path, sent)
        return front


def of(wharf: Wharf, url: str, outside: str) -> Both:
    secret = token(wharf, *ALL)
    return Both(wharf, Browser(url, secret), Browser(outside, secret))


def essence(answer: Answered) -> tuple[int, dict[str, str], bytes]:
    """Return what has to be the same: status, our headers, body."""
    kept = {name: value for name, value in answer.headers.items() if name not in OF_THE_HOP}
    return answer.status, kept, answer.body


@pytest.fixture(params=[(f, s) for f in FRONTS for s in SHELLS], ids="-".join)
def both(
    request: pytest.FixtureRequest, wharf: Wharf, files: Path, tmp_path: Path
) -> Iterator[Both]:
    front, shell = request.param
    with running(shell, wharf) as url, FRONTS[front](tmp_path / "front", url, files) as outside:
        yield of(wharf, url, outside)


def test_every_answer_about_a_file_is_the_same(both: Both, clock: Clock) -> None:
    for content in (DIGITS, LARGE):
        path = f"/files/{both.put(content)}"
        etag = both.direct.ask("HEAD", path).headers["etag"]
        modified = both.direct.ask("HEAD", path).headers["last-modified"]
        clock.forward(3600)  # a date that is so old is a strong validator
        whole = both.same(path)
        assert (whole.status, whole.body) == (200, content)
        assert both.same(path).body == content  # now from memory
        assert both.same(path, "HEAD").headers["content-length"] == str(len(content))
        for asked, status, body in (
            ("bytes=2-4", 206, content[2:5]),
            ("bytes=5-", 206, content[5:]),
            ("bytes=-3", 206, content[-3:]),
            ("bytes=0-", 206, content),
            ("bytes=4-99999999", 206, content[4:]),
            ("bytes=4-99999999999999999999", 206, content[4:]),
            ("Bytes=2-4", 206, content[2:5]),
            ("bytes=2-4,5-6", 206, content[2:7]),
            ("bytes=4-2", 200, content),
            ("lines=1-2", 200, content),
        ):
            answer = both.same(path, Range=asked)
            assert (answer.status, answer.body) == (status, body), asked
        assert both.same(path, Range="bytes=400000-").status == 416
        for tag, status in ((etag, 206), (modified, 206), ('"x"', 200), (f"W/{etag}", 200)):
            assert both.same(path, Range="bytes=1-1", If_Range=tag).status == status, tag
        assert both.same(path, If_None_Match=etag).status == 304
        assert both.same(path, If_None_Match='"x"').status == 200
        assert both.same(path, If_Match=etag).status == 200
        assert both.same(path, If_Match='"x"').status == 412
        assert both.same(path, If_Modified_Since=modified).status == 304
        assert both.same(path, If_Unmodified_Since=modified).status == 200
        assert both.same(path, Want_Content_Digest="sha-256=1").status == 200
        assert both.same(path, Want_Repr_Digest="sha-256=0").status == 200
        assert both.same(path, Accept_Encoding="gzip, br, zstd").body == content


def test_what_is_no_file_is_the_same(both: Both) -> None:
    record = both.same(f"/files/{both.put(DIGITS)}/info")
    assert record.json()["size"] == 10
    for path in ("/files/" + "0" * 32, "/nowhere", "/d/forged", "/policy/files", "/health/ready"):
        both.same(path)
    both.same("/files", "DELETE")


def test_a_removed_file_is_gone_at_once(both: Both) -> None:
    path = f"/files/{both.put(DIGITS)}"
    assert both.same(path).status == 200
    assert both.same(path).status == 200
    assert both.front.ask("DELETE", path).status == 204
    gone = both.same(path)
    assert (gone.status, gone.code) == (404, "not-found")


NAMES = (
    'a "quoted" name.txt', "semi;colon=1; filename=x.txt", "back%5Cslash.txt", "Übersicht.txt",
    "名前.txt", "emoji 🎉.txt", "comma, and 'quotes'.txt", "a" * 250 + ".txt", "$document_root.txt",
    "{http.request.uri}.txt",
)  # fmt: skip


def test_hostile_names_survive(both: Both) -> None:
    for name in NAMES:
        body, headers = form(("file", name.replace('"', "%22"), samples.TEXT, None))
        answer = both.front.ask("POST", "/uploads/files", body, headers)
        assert answer.status == 201, answer
        record = answer.json()["files"][0]
        assert record["name"] == name
        path = f"/files/{record['id']}"
        disposition = both.same(path).headers["content-disposition"]
        assert both.same(path, Range="bytes=1-").headers["content-disposition"] == disposition
        assert disposition.startswith("attachment; filename=")


def test_clients_see_neither_paths_nor_what_they_are_made_of(both: Both, tmp_path: Path) -> None:
    file = both.put(DIGITS)
    inside = f"/wharfinger-files/{file[:3]}/{file}"
    seen = [
        both.front.ask("GET", path, headers=headers)
        for path in (f"/files/{file}", inside, "/wharfinger-files/", f"/wharfinger-files/../{file}")
        for headers in (
            {}, {"Range": "bytes=1-2"}, {"X-Sendfile-Type": "X-Sendfile"}, {"X-Sendfile-Type": "off"},
            {"X-Accel-Redirect": inside}, {"X-Accel-Mapping": f"{tmp_path}=/x"},
        )
    ]  # fmt: skip
    for answer in seen:
        text = f"{answer.headers}{answer.body!r}".lower()
        assert "x-accel-redirect" not in text
        assert "x-sendfile" not in text
        assert str(tmp_path).lower() not in text
        # The address inside the web server is none outside, whoever asks.
        assert answer.body in (DIGITS, DIGITS[1:3]) or answer.status in (400, 404)
    assert both.front.ask("GET", inside).status == 404


def test_a_link_without_a_limit_leads_to_the_same(both: Both) -> None:
    link = both.wharf.share(both.put(LARGE), download_name="Größe")
    assert both.same(link.url).body == LARGE
    assert both.same(link.url, Range="bytes=-9").body == LARGE[-9:]
    assert both.same(link.url, "HEAD").headers["x-robots-tag"] == "noindex, nofollow"


def test_a_limited_link_is_good_for_one_download(both: Both) -> None:
    link = both.wharf.share(both.put(LARGE), max_downloads=1)
    assert both.front.ask("HEAD", link.url).status == 200
    answer = both.front.ask("GET", link.url, token="")
    assert (answer.status, answer.body) == (200, LARGE)
    assert answer.headers["vary"] == "Accept, User-Agent"
    assert both.front.ask("GET", link.url, token="").status == 404


def test_pages_of_other_origins_see_the_same(tmp_path: Path) -> None:
    from wharfinger.service import WharfSettings

    origin = "https://app.example.org"
    settings = WharfSettings(data=tmp_path / "data", offload="nginx", cors_origins=(origin,))
    with Wharf(settings) as wharf, running("server", wharf) as url:
        for name, front in FRONTS.items():
            with front(tmp_path / name, url, tmp_path / "data" / "files") as outside:
                both = of(wharf, url, outside)
                path = f"/files/{both.put(LARGE)}"
                shown = both.same(path, Origin=origin)
                assert shown.headers["access-control-allow-origin"] == origin
                assert both.same(path, Origin="https://other.example").headers["vary"] == "Origin"
                assert both.same(path).headers["vary"] == "Origin"


# --- every combination --------------------------------------------------------------------


@pytest.mark.parametrize("front", FRONTS)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_all_preconditions_and_ranges_together_are_answered_alike(
    wharf: Wharf, files: Path, tmp_path: Path, front: str, method: str
) -> None:
    stored = wharf.receive([DIGITS], collection="files", name="a.txt")
    etag, before, at = (
        f'"{stored.sha256}"',
        format_http_date(stored.created_at - timedelta(days=1)),
        format_http_date(stored.created_at),
    )
    choices: Mapping[str, tuple[str | None, ...]] = {
        "If-Match": (None, etag, '"other"'),
        "If-Unmodified-Since": (None, at, before),
        "If-None-Match": (None, etag, '"other"'),
        "If-Modified-Since": (None, at, before),
        "If-Range": (None, etag, '"other"'),
        "Range": (None, "bytes=2-4", "bytes=10-"),
    }
    asked = {"Authorization": f"Bearer {token(wharf, *ALL)}"}
    seen = set()
    with (
        running("server", wharf) as url,
        FRONTS[front](tmp_path / "front", url, files) as outside,
        connection(url) as direct,
        connection(outside) as through,
    ):
        for values in itertools.product(*choices.values()):
            given = {n: v for n, v in zip(choices, values, strict=True) if v is not None}
            answers = []
            for talk in (direct, through):
                talk.request(method, f"/files/{stored.id}", headers={**asked, **given})
                answer = talk.getresponse()
                headers = {name.lower(): value for name, value in answer.getheaders()}
                answers.append(essence(Answered(answer.status, headers, answer.read())))
            assert answers[0] == answers[1], given
            seen.add(answers[0][0])
    assert seen == ({200, 206, 304, 412, 416} if method == "GET" else {200, 304, 412})


# --- passing on, logs, modes --------------------------------------------------------------


@pytest.mark.parametrize("front", ["nginx", "caddy"])
def test_the_plain_recipe_passes_everything_on(tmp_path: Path, front: str) -> None:
    run = {"nginx": fronts.nginx, "caddy": fronts.caddy}[front]
    with (
        make_wharf(tmp_path / "data") as wharf,
        running("server", wharf) as url,
        run(tmp_path / "front", url) as outside,
    ):
        both = of(wharf, url, outside)
        answer = both.front.ask("POST", "/uploads/files", LARGE, {"Content-Type": ""})
        assert answer.status == 201
        path = f"/files/{answer.json()['id']}"
        assert both.same(path).body == LARGE
        several = both.front.ask("GET", path, headers={"Range": "bytes=1-2,200-300,5000-5001"})
        assert several.status == 206
        assert several.headers["content-type"].startswith("multipart/byteranges; boundary=")
        assert both.same(path, If_Match='"x"').status == 412


def test_links_stay_out_of_the_log_of_nginx(wharf: Wharf, files: Path, tmp_path: Path) -> None:
    stored = wharf.receive([LARGE], collection="files", name="a.bin")
    link = wharf.share(stored.id)
    with running("server", wharf) as url, fronts.nginx(tmp_path / "n", url, files) as outside:
        browser = Browser(outside, token(wharf, *ALL))
        assert browser.ask("GET", link.url).body == LARGE
        assert browser.ask("GET", f"/files/{stored.id}").body == LARGE
    log = (tmp_path / "n" / "access.log").read_text("utf-8")
    assert f"/files/{stored.id}" in log
    assert "/d/" not in log


@pytest.fixture
def roomy() -> Iterator[Path]:
    """A folder that other users can pass through; pytest's own are closed to them."""
    folder = Path(tempfile.mkdtemp(prefix="wharfinger-"))
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can run nginx as another user")
@pytest.mark.parametrize(
    ("user", "reads"), [("nobody root", True), ("nobody nogroup", False)], ids=["group", "stranger"]
)
def test_the_group_of_the_service_reads_and_others_get_it_from_the_service(
    roomy: Path, user: str, reads: bool
) -> None:
    with (
        make_wharf(roomy / "data", offload="nginx") as wharf,
        running("server", wharf) as url,
        fronts.nginx(roomy / "n", url, roomy / "data" / "files", user=user) as outside,
    ):
        both = of(wharf, url, outside)
        assert both.same(f"/files/{both.put(LARGE)}").body == LARGE
    assert ("Permission denied" in (roomy / "n" / "error.log").read_text("utf-8")) is not reads


def test_caddy_sends_the_files_itself(wharf: Wharf, files: Path, tmp_path: Path) -> None:
    """Where it cannot find one, it says so without the service."""
    stored = wharf.receive([LARGE], collection="files", name="a.bin")
    with (
        running("server", wharf) as url,
        fronts.caddy(tmp_path / "there", url, files) as there,
        fronts.caddy(tmp_path / "elsewhere", url, tmp_path / "empty") as elsewhere,
    ):
        secret = token(wharf, *ALL)
        assert Browser(there, secret).ask("GET", f"/files/{stored.id}").body == LARGE
        missed = Browser(elsewhere, secret).ask("GET", f"/files/{stored.id}")
        assert (missed.status, missed.body) == (404, b"")


def test_a_file_that_vanishes_after_it_was_named_is_the_services_404(
    wharf: Wharf, files: Path, tmp_path: Path
) -> None:
    """What nginx cannot find it asks the service for again, which knows what to say."""
    stored = wharf.receive([LARGE], collection="files", name="a.bin")
    with (
        running("server", wharf) as url,
        fronts.nginx(tmp_path / "n", url, tmp_path / "empty") as outside,
    ):
        browser = Browser(outside, token(wharf, *ALL))
        # Not there for nginx, but for the service.
        assert browser.ask("GET", f"/files/{stored.id}").body == LARGE
        (files / stored.id[:3] / stored.id).unlink()
        gone = browser.ask("GET", f"/files/{stored.id}")
        assert (gone.status, json.loads(gone.body)["code"]) == (404, "not-found")
    assert "No such file" in (tmp_path / "n" / "error.log").read_text("utf-8")
