"""Bombs, each judged in a process of its own: refused, in under 2 s of CPU and 100 MiB."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from support.archives import (
    MIB,
    Item,
    bomb_item,
    bzip2_of,
    full_overlap,
    gz,
    gzip_of,
    nested,
    noise,
    quoted_overlap,
    streamed,
    tar_file,
    tar_header,
    tar_of,
    xz_of,
    xz_with_dictionary,
    zip_of,
)

# The time of a quiet machine with as much again for a busy one.
MOST_SECONDS = 2 * 2
MOST_MEMORY = 100 * MIB

# The peak comes from /proc: that of getrusage still holds what the parent had at the fork.
JUDGE = """
import json, os, resource, sys
from wharfinger import Policy
from wharfinger.errors import Rejected
from wharfinger.inspection.content import examine

def seconds():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime

path, refuse = sys.argv[1], None if sys.argv[2] == "usual" else []
before, verdict = seconds(), "accepted"
with open(path, "rb") as file:
    try:
        policy = Policy(types=["application/*"], refuse=refuse)
        examine(file, os.path.getsize(path), policy=policy)
    except Rejected as error:
        verdict = getattr(error, "what", None) or getattr(error, "finding", None) or error.code
status = open("/proc/self/status").read()
peak = int(status.partition("VmHWM:")[2].split()[0]) * 1024
print(json.dumps([verdict, seconds() - before, peak]))
"""


class Verdict(NamedTuple):
    word: str
    seconds: float
    memory: int


def judged(data: bytes, folder: Path, *, refuse: str = "usual") -> Verdict:
    path = folder / "bomb"
    path.write_bytes(data)
    answer = subprocess.run(
        [sys.executable, "-c", JUDGE, str(path), refuse], check=True, capture_output=True
    )
    return Verdict(*json.loads(answer.stdout))


def layers_of_sixteen() -> bytes:
    """Five layers of sixteen zips each around 4 MiB, as 42.zip has them: 4 TiB in all."""
    made = zip_of(bomb_item("0", 4 * MIB))
    for _ in range(5):
        made = zip_of(*(Item(f"{number}.zip", made, deflate=True) for number in range(16)))
    return made


def two_layers() -> bytes:
    made = zip_of(bomb_item("0", 16 * MIB))
    return zip_of(*(Item(f"{number}.zip", made, deflate=True) for number in range(200)))


BOMBS = [
    pytest.param(lambda: zip_of(bomb_item("0", 100 * MIB)), "ratio", id="flat, 1028 : 1"),
    pytest.param(
        lambda: zip_of(bomb_item("0", 100 * MIB, unpacked=10)), "damaged", id="says 10 bytes"
    ),
    pytest.param(lambda: nested(3, bytes(32 * MIB)), "ratio", id="three zips"),
    pytest.param(two_layers, "ratio", id="200 zips of 16 MiB in a zip"),
    pytest.param(layers_of_sixteen, "depth", id="five layers of sixteen"),
    pytest.param(lambda: full_overlap(250, 20 * MIB), "bytes", id="250 x 20 MiB, the same bytes"),
    pytest.param(
        lambda: full_overlap(250, MIB // 32, one_name=True),
        "doubled-members",
        id="the same bytes, small",
    ),
    pytest.param(lambda: quoted_overlap(100, 10 * MIB), "ratio", id="quoted, 100 x 10 MiB"),
    pytest.param(lambda: quoted_overlap(100, 10_000), "unsafe-members", id="quoted, small"),
    pytest.param(lambda: zip_of(Item("z", gzip_of(100 * MIB))), "ratio", id="gzip in zip"),
    pytest.param(
        lambda: zip_of(
            Item("z.zip", zip_of(Item("n", noise(9 * MIB)), streamed("0", bytes(100 * MIB))))
        ),
        "accepted",
        id="within the limits: 109 MiB of 9 MiB",
    ),
    pytest.param(
        lambda: tar_of(
            tar_file(b"z", zip_of(Item("n", noise(9 * MIB)), bomb_item("0", 100 * MIB)))
        ),
        "accepted",
        id="within the limits, in tar",
    ),
    pytest.param(lambda: gzip_of(200 * MIB), "ratio", id="200 MiB of zeros, gzip"),
    pytest.param(lambda: gz(gz(gzip_of(64 * MIB))), "ratio", id="gzip of gzip of gzip"),
    pytest.param(lambda: xz_of(64 * MIB), "ratio", id="64 MiB of zeros, xz"),
    pytest.param(lambda: xz_with_dictionary(31), "memory", id="a dictionary of 2 GiB, xz"),
    pytest.param(lambda: bzip2_of(32 * MIB), "ratio", id="32 MiB of zeros, bzip2"),
    pytest.param(lambda: gz(b"") * 100_000, "members", id="100,000 empty streams"),
    pytest.param(lambda: tar_header(b"0") * 100_000, "members", id="100,000 empty members, tar"),
    pytest.param(
        lambda: gz(tar_header(b"0") * 100_000), "members", id="100,000 empty members, tar.gz"
    ),
    pytest.param(
        lambda: tar_of(tar_file(b"s", b"x", b"S", realsize=b"77777777777\0")), "bytes", id="sparse"
    ),
    pytest.param(
        lambda: nested(4, noise(7 * MIB), deflate=False),
        "accepted",
        id="honest: four zips that are held",
    ),
]


@pytest.mark.parametrize(("make", "word"), BOMBS)
def test_a_bomb_ends_soon_and_takes_no_memory(
    make: Callable[[], bytes], word: str, tmp_path: Path
) -> None:
    data = make()
    # Equal names may be told before; the limits hold whatever is refused.
    refuse = (
        "usual" if word in {"damaged", "doubled-members", "unsafe-members", "accepted"} else "none"
    )
    verdict = judged(data, tmp_path, refuse=refuse)
    assert verdict.word == word
    assert verdict.seconds < MOST_SECONDS
    assert verdict.memory < MOST_MEMORY
