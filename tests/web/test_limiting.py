"""Limits at the door: what is counted of which request, and what a refusal looks like."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from support.redis import redis_server
from support.services import COLLECTIONS, Clock, make_wharf, token
from wharfinger import Collection, Policy, Principal, StoredFile, Wharf
from wharfinger.protocol.headers import Headers
from wharfinger.service.limits import LimitSettings
from wharfinger.service.rates import Rate
from wharfinger.web import Answer, FileBody, RequestHead, WebInterface
from wharfinger.web.limiting import FREE, network_of

PUBLIC = "203.0.113.5"  # for documentation, so `is_global` says no
GLOBAL = "8.8.8.8"
TEXT = b"counted\n" * 100
ME = Principal(id="me", scopes=frozenset({"read", "write", "share"}))


class Service:
    """A service under limits, one file of it, and a token that may read it."""

    def __init__(self, folder: Path, **limits: object) -> None:
        self.clock = Clock()
        slow = Collection(name="slow", policy=Policy.anything(), bandwidth=1_000_000)
        self.wharf = make_wharf(
            folder / "data",
            clock=self.clock,
            collections=(*COLLECTIONS, slow),
            limits=LimitSettings(**limits),  # type: ignore[arg-type]
        )
        self.interface = WebInterface(self.wharf)
        self.secret = token(self.wharf, "read", "write", "share", "admin")
        self.stored = self.add()

    def add(self, collection: str = "files") -> StoredFile:
        return self.wharf.receive([TEXT], collection=collection, name="a.txt")

    def head(
        self,
        path: str | None = None,
        *,
        method: str = "GET",
        client: str = PUBLIC,
        secret: str | None = "",
        length: int | None = 0,
        principal: Principal | None = None,
        **fields: str,
    ) -> RequestHead:
        pairs = [("Host", "a.example")]
        if secret is not None:
            pairs.append(("Authorization", f"Bearer {secret or self.secret}"))
        pairs += [(name.replace("_", "-"), value) for name, value in fields.items()]
        return RequestHead(
            method=method,
            path=path or f"/files/{self.stored.id}",
            headers=Headers(pairs),
            client=client,
            length=length,
            principal=principal,
        )

    def answer(self, head: RequestHead, body: list[bytes] | None = None) -> Answer:
        """Do what a shell does; the body of the answer is let go of."""
        exchange = self.interface.exchange(head)
        answer = exchange.at_once() or exchange.begin()
        if answer is None:
            stopped = (exchange.write(piece) for piece in body or [])
            answer = next(filter(None, stopped), None) or exchange.finish()
        answer.close()
        return answer

    def status(self, head: RequestHead) -> int:
        return self.answer(head).status

    def statuses(self, head: RequestHead, count: int) -> list[int]:
        return [self.status(head) for _ in range(count)]


@contextmanager
def limited(folder: Path, **limits: object) -> Iterator[Service]:
    service = Service(folder, **limits)
    with service.wharf:
        yield service


def field(answer: Answer, name: str) -> str | None:
    found = [value for key, value in answer.headers if key.lower() == name.lower()]
    assert len(found) < 2
    return found[0] if found else None


# --- requests -----------------------------------------------------------------------------

THREE = Rate(3, 60)


def test_a_token_has_its_requests_and_then_none_until_the_time_is_over(tmp_path: Path) -> None:
    with limited(tmp_path, requests_per_token=THREE) as service:
        # The second and third go the short way of remembered files; they count alike.
        assert service.statuses(service.head(), 4) == [200, 200, 200, 429]
        service.clock.forward(59)
        assert service.status(service.head()) == 429
        other = token(service.wharf, "read", "admin")
        assert service.status(service.head(secret=other)) == 200
        service.clock.forward(1)
        assert service.statuses(service.head(), 4) == [200, 200, 200, 429]


def test_it_counts_who_asks_and_not_from_where(tmp_path: Path) -> None:
    with limited(tmp_path, requests_per_token=THREE) as service:
        clients = ["198.51.100.1", "198.51.100.2", "2001:db8::1", "198.51.100.3"]
        found = [service.status(service.head(client=client)) for client in clients]
        assert found == [200, 200, 200, 429]


def test_the_application_s_own_principal_is_counted_like_a_token(tmp_path: Path) -> None:
    with limited(tmp_path, requests_per_token=THREE) as service:
        head = service.head("/files", secret=None, principal=ME)
        assert service.statuses(head, 4) == [200, 200, 200, 429]


def test_one_request_counts_once_also_where_the_gate_is_passed_twice(tmp_path: Path) -> None:
    with limited(tmp_path, requests_per_token=THREE) as service:
        # An empty listing of a collection asks the gate once more for the collection.
        query = service.head("/files")
        head = RequestHead(
            method="GET", path="/files", query="collection=images", headers=query.headers
        )
        assert service.statuses(head, 4) == [200, 200, 200, 429]


def test_an_address_is_counted_whoever_asks_before_anything_is_looked_up(tmp_path: Path) -> None:
    with limited(tmp_path, requests_per_address=THREE) as service:
        asked = ["/files/absent", "/policy/files", "/nowhere", "/policy/files"]
        found = [service.status(service.head(path, secret=None)) for path in asked]
        assert found == [401, 200, 404, 429]
        assert service.status(service.head(client="203.0.113.6")) == 200


def test_one_site_s_ipv6_addresses_are_one(tmp_path: Path) -> None:
    with limited(tmp_path, requests_per_address=THREE) as service:
        clients = [f"2001:db8:1:2::{number:x}" for number in range(4)]
        found = [service.status(service.head(client=client)) for client in clients]
        assert found == [200, 200, 200, 429]
        assert service.status(service.head(client="2001:db8:1:3::")) == 200


NETWORKS = {
    "203.0.113.5": "203.0.113.5",
    "::ffff:203.0.113.5": "203.0.113.5",
    "2001:db8:1:2:3:4:5:6": "2001:db8:1:2::/64",
    "fe80::1%eth0": "fe80::/64",
    "": "",
    "/run/x.sock": "/run/x.sock",
}


@pytest.mark.parametrize(("client", "network"), NETWORKS.items())
def test_what_counts_as_one_address(client: str, network: str) -> None:
    assert network_of(client) == network


def test_a_link_is_counted_whoever_has_it(tmp_path: Path) -> None:
    with limited(tmp_path, requests_per_link=THREE) as service:
        path = service.wharf.share(service.stored.id).url
        other = service.wharf.share(service.stored.id).url
        clients = ["198.51.100.1", "198.51.100.2", "198.51.100.3", "198.51.100.4"]
        found = [service.status(service.head(path, client=one, secret=None)) for one in clients]
        assert found == [200, 200, 200, 429]
        assert service.status(service.head(other, secret=None)) == 200


def test_a_browser_gets_a_page_that_says_when_to_come_again(tmp_path: Path) -> None:
    with limited(tmp_path, requests_per_link=Rate(1, 60)) as service:
        path = service.wharf.share(service.stored.id).url
        head = service.head(path, secret=None, Accept="text/html", Sec_Fetch_Mode="navigate")
        assert service.status(head) == 200
        answer = service.answer(head)
        assert (answer.status, field(answer, "Retry-After")) == (429, "60")
        assert (field(answer, "Content-Type") or "").startswith("text/html")


def test_health_is_never_counted(tmp_path: Path) -> None:
    with limited(tmp_path, requests_per_address=Rate(1, 60)) as service:
        for path in ("/health/live", "/health/ready"):
            assert service.statuses(service.head(path, secret=None), 3) == [200, 200, 200]
        assert service.statuses(service.head(), 2) == [200, 429]


def test_who_has_no_address_is_not_counted_by_it(tmp_path: Path) -> None:
    with limited(tmp_path, requests_per_address=Rate(1, 60)) as service:
        assert service.statuses(service.head(client=""), 3) == [200, 200, 200]


def test_a_refusal_is_a_problem_document_with_retry_after(tmp_path: Path) -> None:
    with limited(tmp_path, requests_per_token=Rate(1, 3600)) as service:
        service.status(service.head())
        service.clock.forward(600.5)
        answer = service.answer(service.head())
        assert answer.status == 429
        assert field(answer, "Retry-After") == "3000"
        assert field(answer, "Content-Type") == "application/problem+json"
        assert field(answer, "RateLimit") is None
        assert isinstance(answer.body, bytes)
        assert b'"code": "too-many-requests"' in answer.body
        assert b"1 request per hour" in answer.body


def test_of_fifty_at_once_exactly_as_many_pass_as_the_rate_says(tmp_path: Path) -> None:
    with limited(tmp_path, requests_per_token=Rate(20, 60)) as service:
        barrier = threading.Barrier(50)
        found: list[int] = []

        def ask() -> None:
            barrier.wait()
            found.append(service.status(service.head()))

        threads = [threading.Thread(target=ask) for _ in range(50)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(found) == [200] * 20 + [429] * 30


# --- wrong credentials --------------------------------------------------------------------

WRONG = "whf_" + "A" * 43


def test_wrong_tokens_are_counted_and_then_no_credentials_are_judged(tmp_path: Path) -> None:
    with limited(tmp_path, wrong_credentials_per_address=THREE) as service:
        wrong = service.head(secret=WRONG)
        assert service.statuses(wrong, 5) == [401, 401, 401, 429, 429]
        assert service.status(service.head()) == 429
        assert service.status(service.head("/policy/files", secret=None)) == 200
        assert service.status(service.head(client="203.0.113.6")) == 200
        service.clock.forward(60)
        assert service.status(service.head()) == 200


def test_what_was_right_lately_is_no_guess(tmp_path: Path) -> None:
    with limited(tmp_path, wrong_credentials_per_address=THREE) as service:
        assert service.status(service.head()) == 200
        service.statuses(service.head(secret=WRONG), 4)
        assert service.status(service.head()) == 200


def test_no_credentials_are_no_wrong_ones(tmp_path: Path) -> None:
    with limited(tmp_path, wrong_credentials_per_address=THREE) as service:
        assert service.statuses(service.head(secret=None), 5) == [401] * 5
        assert service.status(service.head()) == 200


def test_links_that_lead_nowhere_are_guesses(tmp_path: Path) -> None:
    with limited(tmp_path, wrong_credentials_per_address=THREE) as service:
        path = service.wharf.share(service.stored.id).url
        forged = service.head(f"{path[:-1]}{'A' if path[-1] != 'A' else 'B'}", secret=None)
        assert service.statuses(forged, 4) == [404, 404, 404, 429]
        assert service.status(service.head(path, secret=None)) == 429
        assert service.status(service.head("/files/absent", principal=ME, secret=None)) == 404


def test_wrong_passwords_are_guesses_too(tmp_path: Path) -> None:
    with limited(tmp_path, wrong_credentials_per_address=Rate(1, 60)) as service:
        path = service.wharf.share(service.stored.id, password="right password").url
        wrong = service.head(path, secret=None, Authorization="Basic Ondyb25nIHBhc3N3b3Jk")
        assert service.status(service.head(path, secret=None)) == 401
        assert service.statuses(wrong, 2) == [401, 429]


def test_the_default_spares_addresses_behind_which_a_proxy_may_stand(tmp_path: Path) -> None:
    with limited(tmp_path) as service:
        for client in ("127.0.0.1", "10.0.0.1", "::1", "fd00::1", "192.168.1.1", ""):
            wrong = service.head(secret=WRONG, client=client)
            assert set(service.statuses(wrong, 65)) == {401}
            assert service.interface.limiting.turn(wrong) is FREE
        found = service.statuses(service.head(secret=WRONG, client=GLOBAL), 62)
        assert found == [401] * 60 + [429] * 2


def test_it_can_be_switched_off(tmp_path: Path) -> None:
    with limited(tmp_path, wrong_credentials_per_address=None) as service:
        assert set(service.statuses(service.head(secret=WRONG, client=GLOBAL), 65)) == {401}


def test_an_application_s_own_bearer_token_is_no_wrong_one(tmp_path: Path) -> None:
    with limited(tmp_path, wrong_credentials_per_address=Rate(1, 60)) as service:
        service.statuses(service.head(secret=WRONG), 2)
        head = service.head("/files", secret="a.jwt.of-theirs", principal=ME)
        assert service.status(head) == 200


# --- bytes --------------------------------------------------------------------------------

SIZE = len(TEXT)  # 800
KINDS = {"token": "bytes_per_token", "address": "bytes_per_address"}


@pytest.mark.parametrize("name", KINDS.values(), ids=list(KINDS))
def test_a_transfer_begins_while_anything_is_left_and_is_counted_whole(
    tmp_path: Path, name: str
) -> None:
    with limited(tmp_path, **{name: Rate(2 * SIZE + 1, 60, "bytes")}) as service:
        assert service.statuses(service.head(), 4) == [200, 200, 200, 429]
        service.clock.forward(60)
        assert service.status(service.head()) == 200


def test_a_file_larger_than_the_rate_can_be_had(tmp_path: Path) -> None:
    with limited(tmp_path, bytes_per_token=Rate(1, 60, "bytes")) as service:
        assert service.statuses(service.head(), 2) == [200, 429]


def test_only_what_is_sent_counts(tmp_path: Path) -> None:
    with limited(tmp_path, bytes_per_token=Rate(100, 60, "bytes")) as service:
        tenth = service.head(Range="bytes=0-9")
        assert service.statuses(service.head(method="HEAD"), 3) == [200] * 3
        assert service.statuses(tenth, 11) == [206] * 10 + [429]


def test_bytes_by_a_link_are_the_link_s(tmp_path: Path) -> None:
    with limited(tmp_path, bytes_per_link=Rate(SIZE + 1, 60, "bytes")) as service:
        head = service.head(service.wharf.share(service.stored.id).url, secret=None)
        assert service.statuses(head, 3) == [200, 200, 429]


def test_a_refused_transfer_uses_up_no_download_of_a_limited_link(tmp_path: Path) -> None:
    with limited(tmp_path, requests_per_link=Rate(1, 60)) as service:
        link = service.wharf.share(service.stored.id, max_downloads=2)
        head = service.head(link.url, secret=None)
        assert service.statuses(head, 3) == [200, 429, 429]
        assert service.wharf.links.find(link.id).downloads == 1


def test_what_comes_in_counts_by_its_length(tmp_path: Path) -> None:
    with limited(tmp_path, bytes_per_token=Rate(1000, 60, "bytes")) as service:
        head = service.head("/uploads/files", method="POST", length=600, Content_Length="600")
        bodies = [service.answer(head, [b"x" * 600]).status for _ in range(3)]
        assert bodies == [201, 201, 429]


def test_what_comes_in_without_a_length_counts_as_it_comes(tmp_path: Path) -> None:
    with limited(tmp_path, bytes_per_token=Rate(1000, 60, "bytes")) as service:
        head = service.head("/uploads/files", method="POST", length=None)
        bodies = [service.answer(head, [b"x" * 300] * 2).status for _ in range(3)]
        assert bodies == [201, 201, 429]


# --- fields, settings, Redis --------------------------------------------------------------


def test_what_is_left_is_told_on_request(tmp_path: Path) -> None:
    limits = {"requests_per_token": THREE, "bytes_per_address": Rate(5000, 3600, "bytes")}
    with limited(tmp_path, headers=True, **limits) as service:
        service.status(service.head())
        service.clock.forward(10)
        answer = service.answer(service.head())
        assert field(answer, "RateLimit-Policy") == (
            '"bytes-per-address";q=5000;qu="content-bytes";w=3600, "requests-per-token";q=3;w=60'
        )
        assert field(answer, "RateLimit") == (
            '"bytes-per-address";r=3400;t=3590, "requests-per-token";r=1;t=50'
        )
        service.status(service.head())
        refusal = service.answer(service.head())
        assert refusal.status == 429
        assert '"requests-per-token";r=0;t=50' in (field(refusal, "RateLimit") or "")


def test_nothing_is_told_where_nothing_was_counted(tmp_path: Path) -> None:
    with limited(tmp_path, headers=True, requests_per_token=THREE) as service:
        assert (
            field(service.answer(service.head("/policy/files", secret=None)), "RateLimit") is None
        )


def test_redis_that_is_away_is_503_where_the_settings_say_so(tmp_path: Path) -> None:
    with redis_server(tmp_path / "redis") as redis:
        limits = {"url": redis.url, "requests_per_token": THREE, "when_down": "refuse"}
        with limited(tmp_path, **limits) as service:
            assert service.status(service.head()) == 200
            redis.stop()
            answer = service.answer(service.head())
            assert (answer.status, field(answer, "Retry-After")) == (503, "5")
            assert service.status(service.head("/health/live", secret=None)) == 200


def test_redis_that_is_away_lets_each_process_count_by_default(tmp_path: Path) -> None:
    with (
        redis_server(tmp_path / "redis") as redis,
        limited(tmp_path, url=redis.url, requests_per_token=THREE) as service,
    ):
        assert service.statuses(service.head(), 2) == [200, 200]
        redis.stop()
        assert service.statuses(service.head(), 4) == [200, 200, 200, 429]


def test_where_counting_may_wait_nothing_is_answered_from_an_event_loop(tmp_path: Path) -> None:
    with limited(tmp_path, requests_per_token=THREE) as service:
        service.status(service.head())
        assert service.interface.exchange(service.head()).at_once() is not None
    url = "redis://127.0.0.1:1/0"
    with limited(tmp_path, url=url, requests_per_token=THREE) as service:
        service.status(service.head())
        assert service.interface.exchange(service.head()).at_once() is None


# --- paces --------------------------------------------------------------------------------


def test_files_of_a_collection_with_a_bandwidth_keep_to_its_pace(tmp_path: Path) -> None:
    with limited(tmp_path) as service:
        stored = service.add("slow")
        link = service.wharf.share(stored.id, max_downloads=5).url
        asked = {
            "the file": service.head(f"/files/{stored.id}"),
            "again": service.head(f"/files/{stored.id}"),
            "a part": service.head(f"/files/{stored.id}", Range="bytes=1-5"),
            "a digested part": service.head(
                f"/files/{stored.id}", Range="bytes=1-5", Want_Content_Digest="sha-256=1"
            ),
            "by link": service.head(link, secret=None),
        }
        for what, head in asked.items():
            exchange = service.interface.exchange(head)
            assert exchange.at_once() is None, what
            answer = exchange.begin()
            assert answer is not None
            assert isinstance(answer.body, FileBody), what
            assert answer.body.pace is service.wharf.pace("slow"), what
            assert b"".join(answer.body.blocks(1_000_000)) == (
                TEXT if answer.status == 200 else TEXT[1:6]
            ), what
            answer.close()
        assert service.wharf.pace("files") is None


def test_an_unlimited_service_has_nothing_to_count(wharf: Wharf) -> None:
    limiting = WebInterface(wharf).limiting
    assert not limiting.counts
    assert limiting.may_answer_at_once


@pytest.fixture
def wharf(tmp_path: Path) -> Iterator[Wharf]:
    with make_wharf(tmp_path / "data") as wharf:
        yield wharf


def test_what_keeps_to_a_pace_is_not_handed_to_the_web_server_in_front(tmp_path: Path) -> None:
    slow = Collection(name="slow", policy=Policy.anything(), bandwidth=1_000_000)
    with make_wharf(tmp_path / "data", collections=(*COLLECTIONS, slow), offload="nginx") as wharf:
        interface, secret = WebInterface(wharf), token(wharf, "read", "admin")
        handed = {}
        for collection in ("files", "slow"):
            stored = wharf.receive([TEXT], collection=collection, name="a.txt")
            fields = [
                ("Authorization", f"Bearer {secret}"),
                ("X-Sendfile-Type", "X-Accel-Redirect"),
            ]
            head = RequestHead(
                method="GET", path=f"/files/{stored.id}", headers=Headers([("Host", "x"), *fields])
            )
            answer = interface.exchange(head).begin()
            assert answer is not None
            answer.close()
            handed[collection] = field(answer, "X-Accel-Redirect") is not None
        assert handed == {"files": True, "slow": False}
