"""The instruments of `make bench` measure what they say; the figures themselves are no test."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.loader import load
from benchmarks.measure import (
    BenchmarkError,
    cpu_seconds,
    family,
    memory,
    peak_memory,
    timed,
)
from benchmarks.peers import nginx
from benchmarks.rounds import medians
from benchmarks.table import Row, as_markdown, as_text, machine

MIB = 1024**2


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def test_the_median_of_each_competitor_counts_and_each_round_begins_with_another() -> None:
    order: list[str] = []
    figures = {"ours": iter([1.0, 9.0, 2.0]), "theirs": iter([5.0, 4.0, 6.0])}

    def measured(name: str) -> float:
        order.append(name)
        return next(figures[name])

    cleaned: list[None] = []
    found = medians(
        {"ours": lambda: measured("ours"), "theirs": lambda: measured("theirs")},
        3,
        after_each=lambda: cleaned.append(None),
    )
    assert found == {"ours": 2.0, "theirs": 5.0}
    assert order == ["ours", "theirs", "theirs", "ours", "ours", "theirs"]
    assert len(cleaned) == 6


def test_a_command_that_fails_yields_no_figure() -> None:
    with pytest.raises(BenchmarkError, match=r"ended with 3: it broke"):
        timed(python("import sys; sys.exit(print('it broke', file=sys.stderr) or 3)"))
    with pytest.raises(BenchmarkError, match="ended with 3"):
        peak_memory(python("raise SystemExit(3)"))


def test_peak_memory_is_that_of_the_command_and_not_of_the_one_who_measures() -> None:
    ballast = bytearray(os.urandom(MIB)) * 200
    small = peak_memory(python("import time; time.sleep(0.3)"))
    large = peak_memory(python("import time; b = b'x' * (96 * 1024**2); time.sleep(0.3)"))
    assert len(ballast) == 200 * MIB
    assert 2 * MIB < small < 64 * MIB
    assert 96 * MIB < large < 96 * MIB + 64 * MIB


def test_cpu_time_includes_living_children() -> None:
    burn = (
        "import subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', "
        "'import sys, time\\nwhile time.process_time() < 0.4: pass\\nprint(1, flush=True)\\n"
        "sys.stdin.read()'], stdin=subprocess.PIPE)\n"
        "sys.stdin.read()\n"
        "child.stdin.close()\n"
        "child.wait()\n"
    )
    with subprocess.Popen(python(burn), stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
        assert parent.stdin is not None
        assert parent.stdout is not None
        assert parent.stdout.readline() == b"1\n"
        assert len(family(parent.pid)) == 2
        assert cpu_seconds(parent.pid) >= 0.3  # the kernel counts in ticks
        assert memory(parent.pid, "VmRSS") > MIB
        parent.stdin.close()
    assert memory(parent.pid, "VmRSS") == 0
    assert cpu_seconds(parent.pid) == 0.0


def test_the_loader_counts_whole_answers(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "file").write_bytes(bytes(1000))
    with nginx(tmp_path / "nginx", tmp_path / "root") as (server, _):
        rate, answered = load(f"{server.url}/file", 1, header="X-Any: thing", connections=4)
    assert answered > 8
    assert rate == pytest.approx(answered, rel=0.5)


def test_the_loader_refuses_to_count_error_answers(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    with (
        nginx(tmp_path / "nginx", tmp_path / "root") as (server, _),
        pytest.raises(BenchmarkError, match="Non-2xx"),
    ):
        load(f"{server.url}/missing", 1)


ROWS = [
    Row(measure="deliver", unit="GB/s", ours=1.5, against="nginx", theirs=2.0),
    Row(
        measure="memory", unit="MiB", ours=120.4, against="our bound", theirs=96, lower_is_better=True
    ),
]  # fmt: skip


def test_the_table_is_the_same_for_a_terminal_and_for_the_documentation() -> None:
    assert as_markdown(ROWS).splitlines() == [
        "| measure | wharfinger | against | value | ratio | better |",
        "| --- | --- | --- | --- | --- | --- |",
        "| deliver | 1.50 GB/s | nginx | 2.00 GB/s | 0.75 | higher |",
        "| memory | 120 MiB | our bound | 96.0 MiB | 1.25 | lower |",
    ]
    assert as_text(ROWS).splitlines() == [
        "measure  wharfinger  against    value      ratio  better",
        "--------------------------------------------------------",
        "deliver  1.50 GB/s   nginx      2.00 GB/s  0.75   higher",
        "memory   120 MiB     our bound  96.0 MiB   1.25   lower",
    ]


def test_the_machine_is_named_with_the_figures() -> None:
    notes = machine(["curl 8.0"])
    assert notes[0].startswith("processor: ")
    assert f"{os.cpu_count()} cores" in notes[0]
    assert "curl 8.0" in notes[2]
