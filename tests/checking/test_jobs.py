"""What a job sees of its file, and what becomes of one that cannot be run."""

from __future__ import annotations

import io
import os
import tempfile
from collections.abc import Iterator

import pytest

from wharfinger.checking import worker
from wharfinger.checking.jobs import JOBS, FileAt, Request


@pytest.fixture
def descriptor() -> Iterator[int]:
    with tempfile.TemporaryFile() as file:
        file.write(b"0123456789")
        file.flush()
        file.seek(4)
        yield file.fileno()


def request_for(descriptor: int, size: int = 10) -> Request:
    options = {"most": 3, "name": "x", "on": True}
    return Request(descriptor=descriptor, size=size, options=options, output=None)


def test_the_file_is_read_from_its_beginning_and_the_shared_place_stays(descriptor: int) -> None:
    with request_for(descriptor).open() as file:
        assert file.read(3) == b"012"
        assert file.tell() == 3
        assert file.seek(-2, os.SEEK_END) == 8
        assert file.read() == b"89"
        assert file.seek(1) == 1
        assert file.seek(1, os.SEEK_CUR) == 2
        assert file.seek(100) == 100
        assert file.read() == b""
    assert os.lseek(descriptor, 0, os.SEEK_CUR) == 4


def test_no_more_is_read_than_the_file_had_when_it_was_judged(descriptor: int) -> None:
    with request_for(descriptor, size=6).open() as file:
        assert file.read() == b"012345"


def test_the_file_cannot_be_written_and_shows_no_descriptor(descriptor: int) -> None:
    raw = FileAt(descriptor, 10)
    assert (raw.readable(), raw.seekable(), raw.writable()) == (True, True, False)
    with pytest.raises(io.UnsupportedOperation):
        raw.fileno()
    with pytest.raises(ValueError, match="before the file"):
        raw.seek(-1)


def test_options_are_taken_for_what_they_are(descriptor: int) -> None:
    request = request_for(descriptor)
    assert request.limit("most") == 3
    assert (request.flag("on"), request.flag("name"), request.flag("absent")) == (
        True, False, False,
    )  # fmt: skip
    with pytest.raises(TypeError, match="name"):
        request.limit("name")


def test_a_job_that_is_not_known_is_an_answer_and_no_crash(descriptor: int) -> None:
    question: dict[str, object] = {"job": "nonsense", "size": 10, "options": {}}
    assert worker._answer(JOBS, question, (descriptor,)) == {"raised": "KeyError: 'nonsense'"}


def test_a_module_that_is_not_there_is_an_answer(descriptor: int) -> None:
    question: dict[str, object] = {"job": "gone", "size": 10, "options": {}}
    answer = worker._answer({"gone": "no_such_module:x"}, question, (descriptor,))
    assert answer == {"raised": "ModuleNotFoundError: No module named 'no_such_module'"}


def test_memory_that_is_not_there_is_an_answer(
    descriptor: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def greedy(request: Request) -> dict[str, object]:
        raise MemoryError

    monkeypatch.setattr("wharfinger.checking.jobs.check_pdf", greedy)
    question: dict[str, object] = {"job": "pdf", "size": 10, "options": {}}
    assert worker._answer(JOBS, question, (descriptor,)) == {"memory": True}
