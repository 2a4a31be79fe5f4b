"""Downloads against curl, and against what people use from Python: one large file, many small ones.

A figure is a whole command, start to exit, unless its row says "call alone". `get` judges the
content, computes the SHA-256, syncs and renames; none of the others does any of these.
Programs that are not installed have no row.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from benchmarks.measure import GB, MIB, peak_memory, timed
from benchmarks.peers import WHARFINGER, Server, find
from benchmarks.rounds import Plan, medians
from benchmarks.table import Row

MEMORY_BOUND = 40  # MiB, whatever the size and number
SMALL_FILES = 500
SMALL_SIZE = 20 * 1024
AT_ONCE = 8

_REQUESTS = """
import sys, requests
with requests.get(sys.argv[1], stream=True, timeout=60) as answer, open(sys.argv[2], "wb") as file:
    answer.raise_for_status()
    for piece in answer.iter_content(1024 * 1024):
        file.write(piece)
"""
_HTTPX = """
import sys, httpx
with httpx.stream("GET", sys.argv[1], timeout=60) as answer, open(sys.argv[2], "wb") as file:
    answer.raise_for_status()
    for piece in answer.iter_raw():
        file.write(piece)
"""
_POOCH = """
import os, sys, pooch
pooch.retrieve(sys.argv[1], None, fname=os.path.basename(sys.argv[2]), path=os.path.dirname(sys.argv[2]))
"""
_CALL_ALONE = """
import sys, time, wharfinger, wharfinger.client.downloading, wharfinger.net.pool
urls = open(sys.argv[1]).read().split()
started = time.perf_counter()
report = wharfinger.download_many(urls, sys.argv[2], concurrency=8, allow_private=True)
print(time.perf_counter() - started)
sys.exit(bool(report.failed))
"""


def large_file(
    plan: Plan, peer: Server, secure: Server, large: Path, scratch: Path
) -> Iterator[Row]:
    """Yield one large file over http and https into a new file, and the memory it takes."""
    target = scratch / "received"
    env = _trusting(secure)
    for scheme, url in (
        ("http", f"{peer.url}/{large.name}"),
        ("https", f"{secure.url}/{large.name}"),
    ):
        commands = {
            "get": [*WHARFINGER, "get", url, str(target)],
            "curl": [find("curl"), "-fsS", "-o", str(target), url],
            **(_others(url, target) if scheme == "http" else {}),
        }
        figures = medians(
            {name: _rate(plan.size, command, env) for name, command in commands.items()},
            plan.rounds,
            after_each=target.unlink,
        )
        for name in commands:
            if name != "get":
                yield Row(
                    measure=f"get {plan.size // MIB} MiB over {scheme} into a new file",
                    unit="GB/s",
                    ours=figures["get"],
                    against=name,
                    theirs=figures[name],
                )
        yield _memory(f"get over {scheme}: peak memory", peak_memory(commands["get"], env=env))
        target.unlink()


def small_files(
    plan: Plan, peer: Server, secure: Server, root: Path, scratch: Path
) -> Iterator[Row]:
    """Yield many small files, eight at a time."""
    names = _make_small_files(root / "small")
    target = scratch / "many"
    env = _trusting(secure)
    for scheme, server in (("http", peer), ("https", secure)):
        urls = [f"{server.url}/small/{name}" for name in names]
        listing = scratch / "list"
        listing.write_text("\n".join(urls) + "\n", "ascii")
        config = scratch / "curl.conf"
        config.write_text("".join(f'url = "{url}"\nremote-name\n' for url in urls), "ascii")
        ours = [*WHARFINGER, "get", "-i", str(listing), str(target), "--at-once", str(AT_ONCE)]
        curl = [find("curl"), "-fsS", "--parallel", "--parallel-max", str(AT_ONCE)]
        curl += ["--output-dir", str(target), "-K", str(config)]
        alone = [sys.executable, "-c", _CALL_ALONE, str(listing), str(target)]

        def afresh(target: Path = target) -> None:
            shutil.rmtree(target)
            target.mkdir()

        target.mkdir()
        figures = medians(
            {
                "get": _files_a_second(ours, env),
                "alone": _files_a_second(alone, env, says_seconds=True),
                "curl": _files_a_second(curl, env),
            },
            plan.rounds,
            after_each=afresh,
        )
        what = f"get {SMALL_FILES} files of {SMALL_SIZE // 1024} KiB over {scheme}"
        for name, words in (("get", what), ("alone", "the same, the call alone")):
            yield Row(
                measure=words,
                unit="files/s",
                ours=figures[name],
                against=f"curl --parallel-max {AT_ONCE}",
                theirs=figures["curl"],
            )
        yield _memory(f"{scheme}: peak memory", peak_memory(ours, env=env))
        shutil.rmtree(target)


def _others(url: str, target: Path) -> dict[str, list[str]]:
    scripts = {"requests": _REQUESTS, "httpx": _HTTPX, "pooch": _POOCH}
    found = {
        name: [sys.executable, "-c", script, url, str(target)]
        for name, script in scripts.items()
        if importlib.util.find_spec(name) is not None
    }
    aria2c = shutil.which("aria2c")
    if aria2c is not None:
        found["aria2c"] = [
            aria2c, "-q", "-x1", "--file-allocation=none", "-d", str(target.parent), "-o", target.name, url,
        ]  # fmt: skip
    return found


def _make_small_files(folder: Path) -> list[str]:
    folder.mkdir()
    names = [f"{number:03}.bin" for number in range(SMALL_FILES)]
    for name in names:
        (folder / name).write_bytes(os.urandom(SMALL_SIZE))
    return names


def _trusting(secure: Server) -> Mapping[str, str]:
    certificate = str(secure.certificate)
    return {**os.environ, "SSL_CERT_FILE": certificate, "CURL_CA_BUNDLE": certificate}


def _rate(size: int, command: Sequence[str], env: Mapping[str, str]) -> Callable[[], float]:
    return lambda: size / GB / timed(command, env=env).seconds


def _files_a_second(
    command: Sequence[str], env: Mapping[str, str], *, says_seconds: bool = False
) -> Callable[[], float]:
    def measure() -> float:
        run = timed(command, env=env)
        return SMALL_FILES / (float(run.stdout) if says_seconds else run.seconds)

    return measure


def _memory(measure: str, peak: int) -> Row:
    return Row(
        measure=measure,
        unit="MiB",
        ours=peak / MIB,
        against="our bound",
        theirs=MEMORY_BOUND,
        lower_is_better=True,
    )
