"""Links at all three shells: limits, ranges under a claim, broken transfers, passwords, pages."""

from __future__ import annotations

import base64
import os
import re
import socket
import struct
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

import wharfinger
from support.services import Clock, make_wharf
from support.shells import SHELLS, Answered, Browser, running
from support.waiting import soon
from wharfinger import Link, StoredFile, Wharf

TEN = b"0123456789"
SHA_OF_TEN = "84d89877f0d4041efb6bf91a16f0248f2fd573e6af05c19f96bedb9f882f7882"
RIGHT = "correct horse"
# What Firefox, Chromium and Safari send for an address that somebody opens.
BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
LARGE = 24 * 1024 * 1024


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def wharf(tmp_path: Path, clock: Clock) -> Iterator[Wharf]:
    with make_wharf(tmp_path / "data", clock=clock) as wharf:
        yield wharf


@pytest.fixture
def anyone(shell: str, wharf: Wharf) -> Iterator[Browser]:
    """A client without a token, at each shell in turn."""
    with running(shell, wharf) as url:
        yield Browser(url)


@pytest.fixture
def ten(wharf: Wharf) -> StoredFile:
    return wharf.receive([TEN], collection="files", name="ten.txt")


@pytest.fixture(scope="module")
def noise() -> bytes:
    return os.urandom(LARGE)


def path_of(link: Link) -> str:
    return urlsplit(link.url).path


def used(wharf: Wharf, link: Link) -> int:
    return wharf.links.find(link.id).downloads


def basic(password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"me:{password}".encode()).decode()}


def part(browser: Browser, link: Link, first: int, last: int, **headers: str) -> Answered:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    return browser.ask("GET", path_of(link), headers={"Range": f"bytes={first}-{last}", **sent})


# --- limits and ranges ----------------------------------------------------------------------


@pytest.mark.parametrize("naming", ["If-Range", "If-Match"])
def test_a_series_of_ranges_is_one_download(
    anyone: Browser, wharf: Wharf, ten: StoredFile, naming: str
) -> None:
    link = wharf.share(ten.id, max_downloads=1)
    first = part(anyone, link, 0, 3)
    assert (first.status, first.body) == (206, b"0123")
    assert first.headers["content-range"] == "bytes 0-3/10"
    assert first.headers["accept-ranges"] == "bytes"
    etag = first.headers["etag"]
    assert re.fullmatch(rf'"{SHA_OF_TEN}\.[0-9a-f]{{32}}"', etag)
    for start, end, body in ((4, 6, b"456"), (7, 9, b"789")):
        answer = part(anyone, link, start, end, **{naming: etag})
        assert (answer.status, answer.body, answer.headers["etag"]) == (206, body, etag)
        assert used(wharf, link) == 1
        if start == 4:  # nobody else gets in between
            assert anyone.ask("GET", path_of(link)).status == 404
    assert soon(lambda: part(anyone, link, 0, 3, **{naming: etag}).status == 404)


def test_a_part_with_a_digest_is_counted_like_one_without(
    anyone: Browser, wharf: Wharf, ten: StoredFile
) -> None:
    link = wharf.share(ten.id, max_downloads=1)
    etag = part(anyone, link, 0, 4, Want_Content_Digest="sha-256=1").headers["etag"]
    for _ in range(2):  # as many bytes as the file has, and its last one is not among them
        again = part(anyone, link, 0, 4, If_Range=etag, Want_Content_Digest="sha-256=1")
        assert (again.status, again.body) == (206, b"01234")
        assert again.headers["content-digest"].startswith("sha-256=:")
        assert used(wharf, link) == 1
    assert part(anyone, link, 5, 9, If_Range=etag).body == b"56789"


def test_a_new_request_that_names_no_claim_is_a_download_of_its_own(
    anyone: Browser, wharf: Wharf, ten: StoredFile
) -> None:
    link = wharf.share(ten.id, max_downloads=2)
    first, second = part(anyone, link, 0, 1), part(anyone, link, 2, 3)
    assert (first.status, second.status) == (206, 206)
    assert first.headers["etag"] != second.headers["etag"]
    assert part(anyone, link, 4, 5).status == 404


def test_a_claim_that_is_over_names_another_version(
    anyone: Browser, wharf: Wharf, ten: StoredFile
) -> None:
    link = wharf.share(ten.id, max_downloads=3)
    etag = anyone.ask("GET", path_of(link)).headers["etag"]
    claim_id = etag.strip('"').rpartition(".")[2]
    token = path_of(link).rpartition("/")[2]
    assert soon(lambda: wharf.links.redeem(token, named=[claim_id]).claim is None)
    refused = part(anyone, link, 0, 1, **{"If-Match": etag})
    assert (refused.status, refused.code, used(wharf, link)) == (412, "precondition-failed", 1)
    anew = part(anyone, link, 0, 1, **{"If-Range": etag})
    assert (anew.status, anew.body, used(wharf, link)) == (200, TEN, 2)
    assert anew.headers["etag"] != etag


def test_only_bytes_that_are_sent_count(anyone: Browser, wharf: Wharf, ten: StoredFile) -> None:
    link = wharf.share(ten.id, max_downloads=1)
    path, plain = path_of(link), f'"{SHA_OF_TEN}"'
    claimed = f'"{SHA_OF_TEN}.{"0" * 32}"'
    free = {
        200: anyone.ask("HEAD", path),
        304: anyone.ask("GET", path, headers={"If-None-Match": plain}),
        412: anyone.ask("GET", path, headers={"If-Match": '"other"'}),
        416: part(anyone, link, 10, 11),
    }
    assert {status: answer.status for status, answer in free.items()} == {s: s for s in free}
    known = anyone.ask("GET", path, headers={"If-None-Match": claimed})
    assert (known.status, known.headers["etag"]) == (304, claimed)
    assert free[200].headers["etag"] == plain
    page = anyone.ask("GET", path, headers=BROWSER)
    assert (page.status, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert used(wharf, link) == 0
    # And what HEAD told is a version that a download may be tied to.
    assert anyone.ask("GET", path, headers={"If-Match": plain}).body == TEN
    assert used(wharf, link) == 1


def test_an_unlimited_link_counts_a_series_of_ranges_once(
    anyone: Browser, wharf: Wharf, ten: StoredFile
) -> None:
    link = wharf.share(ten.id)
    for first, last in ((0, 3), (4, 6), (7, 9)):
        assert part(anyone, link, first, last).status == 206
    assert soon(lambda: used(wharf, link) == 1)
    assert anyone.ask("GET", path_of(link)).headers["etag"] == f'"{SHA_OF_TEN}"'
    assert soon(lambda: used(wharf, link) == 2)


def test_an_empty_file_is_one_download(anyone: Browser, wharf: Wharf) -> None:
    empty = wharf.receive([b""], collection="files", name="empty.txt")
    link = wharf.share(empty.id, max_downloads=1)
    answer = anyone.ask("GET", path_of(link))
    assert (answer.status, answer.body) == (200, b"")
    assert anyone.ask("GET", path_of(link)).status == 404


def test_of_fifty_at_once_exactly_those_get_it_who_may(
    anyone: Browser, wharf: Wharf, ten: StoredFile
) -> None:
    link = wharf.share(ten.id, max_downloads=3)
    answers: list[Answered] = []
    start = threading.Barrier(50)

    def ask() -> None:
        start.wait()
        answers.append(anyone.ask("GET", path_of(link)))

    threads = [threading.Thread(target=ask) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    got = [answer for answer in answers if answer.status == 200]
    assert [answer.body for answer in got] == [TEN] * 3
    assert len({answer.headers["etag"] for answer in got}) == 3
    assert sorted(answer.status for answer in answers) == [200] * 3 + [404] * 47


def test_a_revoked_link_ends_a_series_of_ranges(
    anyone: Browser, wharf: Wharf, ten: StoredFile
) -> None:
    for limit in (1, None):
        link = wharf.share(ten.id, max_downloads=limit)
        etag = part(anyone, link, 0, 3).headers["etag"]
        wharf.links.revoke(link.id)
        assert part(anyone, link, 4, 6, **{"If-Range": etag}).status == 404


# --- broken transfers -----------------------------------------------------------------------


def break_off(browser: Browser, link: Link, after: int = 200_000) -> str:
    """Begin a download, read a little, and reset the connection; return the entity-tag."""
    with socket.create_connection((browser.host, browser.port), timeout=20) as sock:
        # A small window, so that what was not read was not sent either.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)
        sock.sendall(f"GET {path_of(link)} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        received = b""
        while len(received) < after:
            received += sock.recv(65536)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    head = received.partition(b"\r\n\r\n")[0].decode("latin-1")
    assert head.split(" ")[1] == "200", head
    found = re.search(r'(?im)^etag: *("[^"]+")', head)
    assert found is not None
    return found[1]


def test_a_broken_download_is_given_back_three_times_and_then_spent(
    anyone: Browser, wharf: Wharf, noise: bytes
) -> None:
    stored = wharf.receive([noise], collection="files", name="noise.bin")
    link = wharf.share(stored.id, max_downloads=1)
    for _ in range(3):
        break_off(anyone, link)
        assert soon(lambda: used(wharf, link) == 0)
    etag = break_off(anyone, link)
    assert anyone.ask("GET", path_of(link)).status == 404
    assert used(wharf, link) == 1
    # The last one is counted, and whoever began it may still end it.
    rest = part(anyone, link, 100_000, LARGE - 1, **{"If-Range": etag})
    assert (rest.status, rest.body == noise[100_000:]) == (206, True)
    assert used(wharf, link) == 1


def test_a_whole_download_is_never_given_back(anyone: Browser, wharf: Wharf, noise: bytes) -> None:
    """Also when the client closes as soon as it has the last byte."""
    stored = wharf.receive([noise], collection="files", name="noise.bin")
    link = wharf.share(stored.id, max_downloads=3)
    for number in range(1, 4):
        answer = anyone.ask("GET", path_of(link))
        assert answer.body == noise
        del answer
        token = path_of(link).rpartition("/")[2]
        assert used(wharf, link) == number, token
    assert soon(lambda: wharf.links.of_file(stored.id) == [])
    assert anyone.ask("GET", path_of(link)).status == 404


@pytest.mark.parametrize("connections", [1, 4])
def test_our_own_client_gets_a_file_by_a_link_for_one_download(
    anyone: Browser, wharf: Wharf, noise: bytes, tmp_path: Path, connections: int
) -> None:
    stored = wharf.receive([noise], collection="files", name="noise.bin")
    link = wharf.share(stored.id, max_downloads=1)
    url = anyone.url + path_of(link)
    wharfinger.download(url, tmp_path / "got.bin", connections=connections, allow_private=True)
    assert (tmp_path / "got.bin").read_bytes() == noise
    assert used(wharf, link) == 1
    with pytest.raises(wharfinger.errors.ResponseError) as raised:
        wharfinger.download(url, tmp_path / "again.bin", allow_private=True)
    assert raised.value.status == 404


# --- passwords ------------------------------------------------------------------------------


def test_a_link_asks_for_its_password(anyone: Browser, wharf: Wharf, ten: StoredFile) -> None:
    link = wharf.share(ten.id, password=RIGHT, max_downloads=1)
    path = path_of(link)
    for method in ("GET", "HEAD"):
        for headers in (
            {},
            basic("wrong one"),
            {"Authorization": "Bearer x"},
            {"Authorization": "Basic !"},
        ):
            answer = anyone.ask(method, path, headers=headers)
            assert answer.status == 401
            challenge = answer.headers["www-authenticate"]
            assert challenge == 'Basic realm="wharfinger link", charset="UTF-8"'
            assert answer.headers["cache-control"] == "no-store"
            assert TEN not in answer.body
            assert method == "HEAD" or answer.code == "password-required"
    assert used(wharf, link) == 0
    etag = part(anyone, link, 0, 3, **basic(RIGHT)).headers["etag"]
    # Every part of a series asks for it.
    assert part(anyone, link, 4, 9, **{"If-Range": etag}).status == 401
    assert part(anyone, link, 4, 9, **{"If-Range": etag}, **basic(RIGHT)).body == b"456789"
    # Once it has ended there is nothing to ask for.
    assert soon(lambda: anyone.ask("GET", path).status == 404)


def test_a_password_beyond_ascii_passes(anyone: Browser, wharf: Wharf, ten: StoredFile) -> None:
    link = wharf.share(ten.id, password="Zwölf Boxkämpfer: 12")
    assert anyone.ask("GET", path_of(link), headers=basic("Zwölf Boxkämpfer: 12")).body == TEN


def test_guessing_is_slow(anyone: Browser, wharf: Wharf, ten: StoredFile, clock: Clock) -> None:
    link = wharf.share(ten.id, password=RIGHT)
    tried = [anyone.ask("GET", path_of(link), headers=basic(f"guess {n}")) for n in range(11)]
    assert [answer.status for answer in tried] == [401] * 10 + [429]
    assert tried[-1].headers["retry-after"] == "60"
    assert tried[-1].code == "too-many-requests"
    assert anyone.ask("GET", path_of(link), headers=basic(RIGHT)).status == 429
    clock.forward(60)
    assert anyone.ask("GET", path_of(link), headers=basic(RIGHT)).body == TEN


# --- pages ----------------------------------------------------------------------------------

PAGE_HEADERS = {
    "content-type": "text/html; charset=utf-8",
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-robots-tag": "noindex, nofollow",
    "vary": "Accept, User-Agent",
}


def test_a_browser_gets_a_page_and_by_its_button_the_file(
    anyone: Browser, wharf: Wharf, ten: StoredFile
) -> None:
    link = wharf.share(ten.id, max_downloads=2)
    page = anyone.ask("GET", path_of(link), headers=BROWSER)
    assert page.status == 200
    assert page.headers.items() >= PAGE_HEADERS.items()
    text = page.body.decode()
    for shown in ("ten.txt", "10 bytes", "text/plain", "2026-03-08 12:00 UTC", "2 of 2"):
        assert shown in text
    assert '<form method="get"><button name="download" value="1">' in text
    assert "<script" not in text
    assert link.url not in text
    head = anyone.ask("HEAD", path_of(link), headers=BROWSER)
    assert (head.body, head.headers["content-length"]) == (b"", str(len(page.body)))
    assert used(wharf, link) == 0
    file = anyone.ask("GET", f"{path_of(link)}?download=1", headers=BROWSER)
    assert (file.status, file.body) == (200, TEN)
    assert file.headers["content-disposition"] == 'attachment; filename="ten.txt"'
    assert "1 of 2" in anyone.ask("GET", path_of(link), headers=BROWSER).body.decode()


def test_the_policy_of_the_page_permits_its_style_and_nothing_else(
    anyone: Browser, wharf: Wharf, ten: StoredFile
) -> None:
    import hashlib

    link = wharf.share(ten.id, max_downloads=1)
    page = anyone.ask("GET", path_of(link), headers=BROWSER)
    (style,) = re.findall(r"<style>(.*?)</style>", page.body.decode(), re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert page.headers["content-security-policy"] == (
        f"default-src 'none'; style-src 'sha256-{digest}'; form-action 'self'; "
        "base-uri 'none'; frame-ancestors 'none'"
    )
    assert "style=" not in page.body.decode()


# Accept and User-Agent of a request, and whether it gets the page of a limited link.
ASKERS = {
    "curl": ("*/*", "curl/8.5.0", False),
    "nothing said": (None, None, False),
    "a program that wants HTML less": ("application/pdf, text/html;q=0.5", "x", False),
    "a program that refuses HTML": ("text/html;q=0, */*", "x", False),
    "an image on a page": ("image/avif,image/webp,*/*;q=0.8", "Mozilla/5.0", False),
    "a browser": (BROWSER["Accept"], "Mozilla/5.0", True),
    "HTML alone": ("text/html", "x", True),
    "XHTML": ("APPLICATION/XHTML+XML;Q=1.0, */*;q=0.1", "x", True),
    "Slack": ("*/*", "Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)", True),
    "WhatsApp": ("*/*", "WhatsApp/2.23.20.0", True),
    "Facebook": ("*/*", "facebookexternalhit/1.1", True),
    "Telegram": ("*/*", "TelegramBot (like TwitterBot)", True),
    "Teams": ("*/*", "Mozilla/5.0 (Windows NT 6.1; WOW64) SkypeUriPreview Preview/0.5", True),
}


@pytest.mark.parametrize(("accept", "agent", "expected"), ASKERS.values(), ids=list(ASKERS))
@pytest.mark.parametrize("shell", ["asgi"], indirect=True)
def test_who_gets_the_page(
    anyone: Browser, wharf: Wharf, ten: StoredFile, accept: str | None, agent: str | None,
    expected: bool,
) -> None:  # fmt: skip
    link = wharf.share(ten.id, max_downloads=1)
    headers = {"Accept": accept, "User-Agent": agent}
    sent = {name: value for name, value in headers.items() if value is not None}
    answer = anyone.ask("GET", path_of(link), headers=sent)
    assert (answer.body != TEN, used(wharf, link) == 0) == (expected, expected)
    assert answer.headers["vary"] == "Accept, User-Agent"


def test_a_link_that_anybody_may_use_any_number_of_times_leads_straight_to_its_file(
    anyone: Browser, wharf: Wharf, ten: StoredFile
) -> None:
    link = wharf.share(ten.id)
    answer = anyone.ask("GET", path_of(link), headers=BROWSER)
    assert answer.body == TEN
    assert answer.headers["x-robots-tag"] == "noindex, nofollow"


HOSTILE = {
    "markup": "<img src=x onerror=alert(1)>.txt",
    "quotes": "\"'`><b>.txt",
    "an entity": "&lt;&amp;.txt",
    # A name has no slash; this is one that only looks like it.
    "the end of the title": "<\u2044title><script>alert(1)<\u2044script>.txt",
    "another direction": "שלום.txt",
    "a very long one": "x" * 200 + ".txt",
}


@pytest.mark.parametrize("name", HOSTILE.values(), ids=list(HOSTILE))
@pytest.mark.parametrize("shell", ["asgi"], indirect=True)
def test_no_name_reaches_out_of_its_place(anyone: Browser, wharf: Wharf, name: str) -> None:
    from html.parser import HTMLParser

    stored = wharf.receive([TEN], collection="files", name=name)
    link = wharf.share(stored.id, max_downloads=1)
    tags: list[str] = []
    text: list[str] = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag: str, _attrs: object) -> None:
            tags.append(tag)

        def handle_data(self, data: str) -> None:
            text.append(data)

    Reader().feed(anyone.ask("GET", path_of(link), headers=BROWSER).body.decode())
    assert tags == [
        "html", "head", "meta", "meta", "title", "style", "body", "main", "h1", "bdi",
        "dl", "dt", "dd", "dt", "dd", "dt", "dd", "time", "dt", "dd", "form", "button",
    ]  # fmt: skip
    assert text.count(stored.name) == 2


def test_a_browser_is_asked_for_the_password_and_then_sees_the_page(
    anyone: Browser, wharf: Wharf, ten: StoredFile
) -> None:
    link = wharf.share(ten.id, password=RIGHT)
    asked = anyone.ask("GET", path_of(link), headers=BROWSER)
    assert asked.status == 401
    assert asked.headers["www-authenticate"].startswith("Basic ")
    assert asked.headers.items() >= PAGE_HEADERS.items()
    assert b"This link has a password." in asked.body
    assert b"ten.txt" not in asked.body
    page = anyone.ask("GET", path_of(link), headers={**BROWSER, **basic(RIGHT)})
    assert b"ten.txt" in page.body
    assert b"Downloads left" not in page.body
    file = anyone.ask("GET", f"{path_of(link)}?download=1", headers={**BROWSER, **basic(RIGHT)})
    assert file.body == TEN


# --- one answer for whatever does not work --------------------------------------------------


def test_dead_links_get_one_answer_whatever_killed_them(
    anyone: Browser, wharf: Wharf, ten: StoredFile, clock: Clock
) -> None:
    revoked, spent, expired, guarded, removed, live = (
        wharf.share(ten.id),
        wharf.share(ten.id, max_downloads=1),
        wharf.share(ten.id, expires_in=60),
        wharf.share(ten.id, expires_in=60, password=RIGHT),
        wharf.share(wharf.receive([b"x"], collection="files", name="x.txt").id),
        wharf.share(ten.id),
    )
    wharf.links.revoke(revoked.id)
    assert anyone.ask("GET", path_of(spent)).body == TEN
    wharf.remove(removed.file_id)
    clock.forward(60)
    path = path_of(live)
    other = "A" if path[-1] != "A" else "B"
    dead = {
        "forged": path[:-1] + other,
        "of another link": f"{path_of(revoked)[:-43]}{path[-43:]}",
        "absent": f"/d/{'0' * 32}.{'A' * 43}",
        "no token at all": "/d/x",
        **{
            name: path_of(link)
            for name, link in (
                ("revoked", revoked), ("spent", spent), ("expired", expired),
                ("expired, with a password", guarded), ("its file is removed", removed),
            )
        },
    }  # fmt: skip
    assert anyone.ask("GET", path).body == TEN
    for headers in ({}, BROWSER, {**BROWSER, **basic(RIGHT)}):
        for method in ("GET", "HEAD"):
            answers = {
                name: anyone.ask(method, each, headers=headers) for name, each in dead.items()
            }
            seen = {
                name: (
                    answer.status,
                    sorted((k, v) for k, v in answer.headers.items() if k != "date"),
                    answer.body,
                )
                for name, answer in answers.items()
            }
            assert [name for name in seen if seen[name] != seen["absent"]] == []
            assert seen["absent"][0] == 404
    problem = anyone.ask("GET", dead["revoked"])
    assert problem.headers["content-type"] == "application/problem+json"
    assert problem.headers["vary"] == "Accept, User-Agent"
    assert problem.code == "not-found"
    page = anyone.ask("GET", dead["revoked"], headers=BROWSER)
    assert page.headers.items() >= PAGE_HEADERS.items()
    assert b"leads nowhere" in page.body
    assert revoked.id.encode() not in page.body + problem.body


def test_the_three_shells_give_the_same_answers(wharf: Wharf, ten: StoredFile) -> None:
    limited, counted = (wharf.share(ten.id, max_downloads=100) for _ in range(2))
    guarded = wharf.share(ten.id, password=RIGHT)
    requests: tuple[tuple[str, str, dict[str, str]], ...] = (
        ("GET", path_of(limited), BROWSER),
        ("HEAD", path_of(limited), BROWSER),
        ("HEAD", path_of(limited), {}),
        ("GET", path_of(limited), {"If-None-Match": f'"{SHA_OF_TEN}"'}),
        ("GET", path_of(limited), {"Range": "bytes=10-"}),
        ("GET", path_of(counted), {"Range": "bytes=0-1,4-5"}),
        ("GET", path_of(counted), {}),
        ("GET", path_of(guarded), {}),
        ("GET", path_of(guarded), BROWSER),
        ("GET", path_of(guarded), basic(RIGHT)),
        ("GET", path_of(guarded), {**BROWSER, **basic(RIGHT)}),
        ("GET", "/d/nothing", {}),
        ("GET", "/d/nothing", BROWSER),
        ("HEAD", "/d/nothing", BROWSER),
        ("POST", "/d/nothing", BROWSER),
    )
    seen: dict[str, list[tuple[int, dict[str, str], bytes]]] = {}
    for kind in SHELLS:
        with running(kind, wharf) as url:
            seen[kind] = []
            for method, path, headers in requests:
                answer = Browser(url).ask(method, path, headers=headers)
                own = {
                    name: value
                    for name, value in answer.headers.items()
                    if name not in ("date", "server", "connection", "etag")
                }
                body = answer.body
                if "boundary=" in own.get("content-type", ""):
                    boundary = own["content-type"].rpartition("=")[2]
                    own["content-type"] = own["content-type"].replace(boundary, "-")
                    body = body.replace(boundary.encode(), b"-")
                seen[kind].append((answer.status, own, body))
    for number, request in enumerate(requests):
        assert seen["flask"][number] == seen["server"][number], request
        assert seen["asgi"][number] == seen["server"][number], request


def test_a_link_can_be_made_with_a_password_over_http(
    shell: str, wharf: Wharf, ten: StoredFile
) -> None:
    with running(shell, wharf) as url:
        stored = wharf.receive([TEN], collection="files", name="b.txt", owner="me")
        _, secret = wharf.tokens.create("other", ("read", "share", "admin"))
        browser = Browser(url, secret)
        made = browser.ask("POST", f"/files/{stored.id}/links", b'{"password": "correct horse"}')
        assert (made.status, made.json()["has_password"]) == (201, True)
        assert b"correct" not in made.body
        listed = browser.ask("GET", f"/files/{stored.id}/links").json()["links"]
        assert [one["has_password"] for one in listed] == [True]
        assert Browser(url).ask("GET", urlsplit(made.json()["url"]).path).status == 401
