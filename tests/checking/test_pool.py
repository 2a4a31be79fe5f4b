"""Processes that decode: what they may, how they end, and that others do not notice."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO, cast

import pytest

from support import decoders
from support.measure import eventually
from wharfinger.checking.pool import Pool
from wharfinger.checking.process import Lost
from wharfinger.errors import Unavailable


@pytest.fixture
def file() -> Iterator[BinaryIO]:
    with tempfile.TemporaryFile() as made:
        made.write(b"content")
        made.flush()
        yield made


@pytest.fixture
def pool() -> Iterator[Pool]:
    made = Pool(processes=2, jobs=decoders.JOBS)
    yield made
    made.close()


def run(pool: Pool, job: str, file: BinaryIO, *, seconds: int = 20, **options: object) -> object:
    return pool.run(job, size=7, options=options, files=(file.fileno(),), seconds=seconds)


def told(pool: Pool, file: BinaryIO) -> dict[str, object]:
    return cast("dict[str, object]", run(pool, "who", file))


def is_running(pid: int) -> bool:
    """Whether a process is there and not only waits to be asked how it ended."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
    return status.rpartition(")")[2].split()[0] != "Z"


def test_a_process_is_started_when_it_is_first_needed_and_used_again(
    pool: Pool, file: BinaryIO
) -> None:
    assert pool.pids() == []
    first = told(pool, file)["pid"]
    assert told(pool, file)["pid"] == first
    assert pool.pids() == [first]


def test_a_job_reads_the_file_and_leaves_its_place_alone(pool: Pool, file: BinaryIO) -> None:
    file.seek(3)
    assert run(pool, "read", file) == {"content": "content", "size": 7}
    assert file.read() == b"tent"


def test_a_process_knows_no_secret_and_no_file_of_the_program(
    pool: Pool, file: BinaryIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "made-up")
    with Path(__file__).open("rb"):
        about = told(pool, file)
    assert not [key for key in cast("list[str]", about["environment"]) if "SECRET" in key]
    # Standard input and outputs, its line, the file, and the folder it is just listing.
    assert len(cast("list[int]", about["files"])) == 6
    assert about["folder"] == "/"
    assert cast("int", about["nice"]) >= 5
    assert about["core"] == 0
    # A Ctrl-C in the terminal does not reach it.
    assert about["session"] == about["pid"]


def test_a_crash_costs_one_file(pool: Pool, file: BinaryIO) -> None:
    before = told(pool, file)["pid"]
    with pytest.raises(Lost, match=r"^the decoder crashed \(signal 11\)$"):
        run(pool, "crash", file)
    assert told(pool, file)["pid"] != before


def test_a_decoder_that_hangs_is_ended(pool: Pool, file: BinaryIO) -> None:
    before = cast("int", told(pool, file)["pid"])
    with pytest.raises(Lost, match="not done after 1 seconds"):
        run(pool, "hang", file, seconds=1)
    assert not is_running(before)
    assert told(pool, file)["pid"] != before


def test_a_decoder_gets_no_more_memory_than_is_allowed(pool: Pool, file: BinaryIO) -> None:
    assert run(pool, "hoard", file) == {"memory": True}
    # That process has ended, and nobody notices.
    assert "pid" in told(pool, file)


def test_a_decoder_writes_no_file(pool: Pool, file: BinaryIO, tmp_path: Path) -> None:
    answer = cast("dict[str, str]", run(pool, "fill", file, path=str(tmp_path / "made")))
    assert "File too large" in answer["raised"]


def test_an_answer_that_is_none_counts_as_a_crash(pool: Pool, file: BinaryIO) -> None:
    with pytest.raises(Lost, match="without an answer"):
        run(pool, "babble", file)


def test_a_process_that_ended_while_it_waited_is_replaced(pool: Pool, file: BinaryIO) -> None:
    before = cast("int", told(pool, file)["pid"])
    os.kill(before, signal.SIGKILL)
    assert eventually(lambda: not is_running(before))
    assert told(pool, file)["pid"] != before


def test_a_process_ends_when_it_had_no_work_for_a_while(file: BinaryIO) -> None:
    pool = Pool(idle=0.2, jobs=decoders.JOBS)
    pid = cast("int", told(pool, file)["pid"])
    assert eventually(lambda: not is_running(pid))
    assert told(pool, file)["pid"] != pid
    pool.close()


def test_a_process_is_replaced_after_many_files(
    pool: Pool, file: BinaryIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wharfinger.checking.pool.MOST_FILES", 3)
    pids = [told(pool, file)["pid"] for _ in range(6)]
    assert pids[0] == pids[1] == pids[2]
    assert pids[3] == pids[4] == pids[5]
    assert pids[2] != pids[3]


def test_closing_ends_the_processes_and_a_later_job_starts_others(
    pool: Pool, file: BinaryIO
) -> None:
    pid = cast("int", told(pool, file)["pid"])
    pool.close()
    assert not is_running(pid)
    assert pool.pids() == []
    assert told(pool, file)["pid"] != pid


def test_many_threads_share_a_few_processes(pool: Pool, file: BinaryIO) -> None:
    with ThreadPoolExecutor(8) as threads:
        pids = {about["pid"] for about in threads.map(lambda _: told(pool, file), range(40))}
    assert 1 <= len(pids) <= 2
    assert set(pool.pids()) == pids


def test_nobody_waits_for_ever_for_a_free_process(file: BinaryIO) -> None:
    pool = Pool(processes=1, patience=0.1, jobs=decoders.JOBS)
    told(pool, file)
    begun = threading.Event()

    def occupy() -> None:
        begun.set()
        with pytest.raises(Lost):
            run(pool, "hang", file, seconds=2)

    thread = threading.Thread(target=occupy)
    thread.start()
    begun.wait()
    assert eventually(lambda: not pool.pids())
    with pytest.raises(Unavailable, match="All 1 decoders were busy"):
        told(pool, file)
    thread.join()
    pool.close()


def test_no_descriptor_is_left_behind(pool: Pool, file: BinaryIO) -> None:
    told(pool, file)
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(20):
        told(pool, file)
    with pytest.raises(Lost):
        run(pool, "crash", file)
    told(pool, file)
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_a_process_that_cannot_be_started_is_said_so(
    file: BinaryIO, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python-of-nowhere"))
    with pytest.raises(Unavailable, match="could be started: No such file"):
        told(Pool(jobs=decoders.JOBS), file)


def test_a_process_that_ends_before_it_begins_is_said_so(
    file: BinaryIO, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "python"
    broken.write_text("#!/bin/sh\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(broken))
    with pytest.raises(Unavailable, match="end before they begin"):
        told(Pool(processes=1, jobs=decoders.JOBS), file)


def test_a_program_that_embeds_python_finds_the_interpreter(
    pool: Pool, file: BinaryIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/usr/sbin/uwsgi")
    assert "pid" in told(pool, file)


PARENT = """
import os, sys, tempfile, time
sys.path[:0] = {path!r}
from support import decoders
from wharfinger.checking.pool import Pool
pool = Pool(processes=1, jobs=decoders.JOBS)
file = tempfile.TemporaryFile()
def told():
    return pool.run("who", size=0, options={{}}, files=(file.fileno(),), seconds=20)
"""


def program(body: str) -> subprocess.Popen[str]:
    source = PARENT.format(path=sys.path) + body
    return subprocess.Popen([sys.executable, "-c", source], stdout=subprocess.PIPE, text=True)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM], ids=["killed", "ended"])
def test_the_processes_end_with_their_program(how: signal.Signals) -> None:
    with program("print(told()['pid'], flush=True); time.sleep(60)") as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert is_running(pid)
        parent.send_signal(how)
    assert eventually(lambda: not is_running(pid))


def test_a_program_that_ends_by_itself_leaves_nothing() -> None:
    with program("print(told()['pid'], flush=True)") as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
    assert parent.returncode == 0
    assert not is_running(pid)


FORKING = """
mine = told()["pid"]
child = os.fork()
if child == 0:
    theirs = [told()["pid"], told()["pid"]]
    pool.close()
    sys.stdout.write(f"{theirs[0] == theirs[1]} {theirs[0] != mine}\\n")
    sys.stdout.flush()
    os._exit(0)
os.waitpid(child, 0)
print(told()["pid"] == mine, flush=True)
"""


def test_a_forked_process_has_decoders_of_its_own() -> None:
    with program(FORKING) as parent:
        assert parent.stdout is not None
        assert parent.stdout.read() == "True True\nTrue\n"
    assert parent.returncode == 0


def test_a_forked_process_does_not_keep_the_decoders_of_its_parent() -> None:
    body = (
        "print(told()['pid'], flush=True)\n"
        "child = os.fork()\n"
        "if child == 0:\n    os.close(1)\n    time.sleep(60)\n    os._exit(0)\n"
        "print(child, flush=True)\n"
        "os.kill(os.getpid(), 9)"
    )
    with program(body) as parent:
        assert parent.stdout is not None
        pid, child = int(parent.stdout.readline()), int(parent.stdout.readline())
    try:
        assert eventually(lambda: not is_running(pid))
        assert is_running(child)
    finally:
        os.kill(child, signal.SIGKILL)
