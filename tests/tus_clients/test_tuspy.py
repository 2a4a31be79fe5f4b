"""tuspy, the Python client of the tus project, against every shell."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.require import module
from support.services import make_wharf, token
from support.shells import SHELLS, running
from wharfinger import Wharf

module("tusclient")

SIZE = 700_001


@pytest.fixture
def wharf(tmp_path: Path) -> Iterator[Wharf]:
    with make_wharf(tmp_path / "data") as wharf:
        yield wharf


@pytest.fixture(params=SHELLS)
def client(request: pytest.FixtureRequest, wharf: Wharf) -> Iterator[Any]:
    from tusclient.client import TusClient

    with running(request.param, wharf) as url:
        yield TusClient(f"{url}/uploads/files", headers={"Authorization": f"Bearer {token(wharf)}"})


def digests(wharf: Wharf) -> list[str]:
    return [stored.sha256 for stored in wharf.list_files()[0]]


@pytest.mark.parametrize("checksum", [False, True], ids=["plain", "with checksums"])
@pytest.mark.parametrize("metadata", [None, {"filename": "data.bin"}], ids=["no name", "a name"])
def test_a_file_arrives_in_chunks(
    wharf: Wharf, client: Any, checksum: bool, metadata: dict[str, str] | None
) -> None:
    content = os.urandom(SIZE)
    uploader = client.uploader(
        file_stream=io.BytesIO(content), chunk_size=200_000, metadata=metadata,
        upload_checksum=checksum,
    )  # fmt: skip
    uploader.upload()
    assert uploader.offset == SIZE
    assert digests(wharf) == [hashlib.sha256(content).hexdigest()]
    (stored,) = wharf.list_files()[0]
    assert metadata is None or stored.name == "data.bin"


def test_another_process_goes_on_by_the_address(wharf: Wharf, client: Any) -> None:
    content = os.urandom(SIZE)
    first = client.uploader(file_stream=io.BytesIO(content), chunk_size=200_000)
    first.upload_chunk()
    first.upload_chunk()
    second = client.uploader(file_stream=io.BytesIO(content), chunk_size=200_000, url=first.url)
    assert second.offset == 400_000
    second.upload()
    assert digests(wharf) == [hashlib.sha256(content).hexdigest()]


def test_an_empty_file_arrives(wharf: Wharf, client: Any) -> None:
    client.uploader(file_stream=io.BytesIO(b""), chunk_size=100).upload()
    assert digests(wharf) == [hashlib.sha256(b"").hexdigest()]


def test_a_refusal_is_an_exception(wharf: Wharf, client: Any) -> None:
    from tusclient.exceptions import TusCommunicationError

    client.url = client.url.replace("/files", "/images")
    uploader = client.uploader(
        file_stream=io.BytesIO(b"no image at all"), chunk_size=10, metadata={"filename": "me.png"}
    )
    with pytest.raises(TusCommunicationError):
        uploader.upload()
    assert digests(wharf) == []
