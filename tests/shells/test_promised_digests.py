"""An upload in one request is what the digests in its head say, in every shell."""

from __future__ import annotations

import pytest

from support.services import blobs_on_disk
from support.shells import Browser, form
from wharfinger import Wharf

# printf hello | sha256sum | xxd -r -p | base64, and the same with sha512sum
SHA256 = "LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ="
SHA512 = "m3HSJL1i83hdltRq0+o9czGb+8KJDKra4t/3JRlnPKcjI8PZm6XBHXx6zG4UuMXaDEZjR1wuXDre9G9zvN7AQw=="
# The same of "hallo".
OTHER = "03UdM/nNUEnErytGJzVFfk07rxMLy7h/OJ40n7rrILk="
TEXT = {"Content-Type": "text/plain", "Content-Disposition": 'attachment; filename="a.txt"'}

KEPT = [
    pytest.param({"Content-Digest": f"sha-256=:{SHA256}:"}, id="content"),
    pytest.param({"Repr-Digest": f"sha-256=:{SHA256}:"}, id="representation"),
    pytest.param({"Content-Digest": f"sha-512=:{SHA512}:"}, id="sha-512"),
    pytest.param({"Content-Digest": f"sha-256=:{SHA256}:, sha-512=:{SHA512}:"}, id="two"),
    pytest.param({"Content-Digest": "md5=:AAAAAAAAAAAAAAAAAAAAAA==:"}, id="unknown-algorithm"),
]
BROKEN = [
    pytest.param({"Content-Digest": f"sha-256=:{OTHER}:"}, id="content"),
    pytest.param({"Repr-Digest": f"sha-256=:{OTHER}:"}, id="representation"),
    pytest.param({"Content-Digest": f"sha-256=:{OTHER}:, sha-512=:{SHA512}:"}, id="one-of-two"),
    pytest.param(
        {"Content-Digest": f"sha-256=:{SHA256}:", "Repr-Digest": f"sha-256=:{OTHER}:"},
        id="one-of-the-fields",
    ),
]


@pytest.mark.parametrize("digests", KEPT)
def test_a_body_with_its_digest_is_kept(
    browser: Browser, wharf: Wharf, digests: dict[str, str]
) -> None:
    answer = browser.ask("POST", "/uploads/files", b"hello", {**TEXT, **digests})
    assert answer.status == 201
    assert len(wharf.list_files()[0]) == 1


@pytest.mark.parametrize("digests", BROKEN)
def test_a_body_without_its_digest_is_refused_and_not_kept(
    browser: Browser, wharf: Wharf, digests: dict[str, str]
) -> None:
    answer = browser.ask("POST", "/uploads/files", b"hello", {**TEXT, **digests})
    assert (answer.status, answer.code) == (400, "integrity")
    assert wharf.list_files()[0] == []
    assert blobs_on_disk(wharf.settings.data) == []


def test_a_malformed_digest_is_refused(browser: Browser, wharf: Wharf) -> None:
    headers = {**TEXT, "Content-Digest": "sha-256=:AAAA:"}
    answer = browser.ask("POST", "/uploads/files", b"hello", headers)
    assert (answer.status, answer.code) == (400, "bad-request")
    assert wharf.list_files()[0] == []


def test_the_digest_of_a_form_is_that_of_the_whole_form(browser: Browser, wharf: Wharf) -> None:
    body, headers = form(("f", "a.txt", b"hello", None))
    answer = browser.ask(
        "POST", "/uploads/files", body, {**headers, "Content-Digest": f"sha-256=:{SHA256}:"}
    )
    assert (answer.status, answer.code) == (400, "integrity")
    assert wharf.list_files()[0] == []
    assert blobs_on_disk(wharf.settings.data) == []


def test_a_refused_body_leaves_its_idempotency_key_free(browser: Browser, wharf: Wharf) -> None:
    headers = {**TEXT, "Idempotency-Key": "one", "Content-Digest": f"sha-256=:{SHA256}:"}
    damaged = browser.ask("POST", "/uploads/files", b"hallo", headers)
    again = browser.ask("POST", "/uploads/files", b"hello", headers)
    assert (damaged.status, again.status) == (400, 201)
    assert len(wharf.list_files()[0]) == 1
