"""Downloads against curl, and against what people use from Python: one large file, many small ones.

A figure is a whole command, start to exit, unless its row says "alone". `get` judges the
content, computes the SHA-256, syncs and renames; none of the others does any of these, so
small files are also compared with curl and a sync of each file after it, and with the floor:
threads that write, sync and name as many files and fetch nothing.
Programs that are not installed have no row.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
import tempfile
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
# Nothing is fetched: what remains is the floor for whoever keeps files as `get` does.
_DISK_ALONE = """
import os, sys, threading, time
names = sorted(os.listdir(sys.argv[1]))
content = [open(os.path.join(sys.argv[1], name), "rb").read() for name in names]
folder = os.open(sys.argv[2], os.O_RDONLY)
def keep(first):
    for name, data in list(zip(names, content))[first::8]:
        file = os.open(".", os.O_TMPFILE | os.O_RDWR, 0o666, dir_fd=folder)
        os.write(file, data)
        os.fsync(file)
        os.link(f"/proc/self/fd/{file}", name, dst_dir_fd=folder, follow_symlinks=True)
        os.close(file)
threads = [threading.Thread(target=keep, args=(n,)) for n in range(8)]
started = time.perf_counter()
[thread.start() for thread in threads], [thread.join() for thread in threads]
os.fsync(folder)
print(time.perf_counter() - started)
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
    """Yield many small files, eight at a time; and what the disk alone takes for as many."""
    names = _make_small_files(root / "small")
    many = scratch / "many"
    env = _trusting(secure)
    for scheme, server in (("http", peer), ("https", secure)):
        many.mkdir()
        urls = [f"{server.url}/small/{name}" for name in names]
        listing = scratch / "list"
        listing.write_text("\n".join(urls) + "\n", "ascii")
        config = scratch / "curl.conf"
        config.write_text("".join(f'url = "{url}"\nremote-name\n' for url in urls), "ascii")

        def ours(into: Path, listing: Path = listing) -> list[str]:
            return [*WHARFINGER, "get", "-i", str(listing), str(into), "--at-once", str(AT_ONCE)]

        def alone(into: Path, listing: Path = listing) -> list[str]:
            return [sys.executable, "-c", _CALL_ALONE, str(listing), str(into)]

        def curl(into: Path, config: Path = config) -> list[str]:
            command = [find("curl"), "-fsS", "--parallel", "--parallel-max", str(AT_ONCE)]
            return [*command, "--output-dir", str(into), "-K", str(config)]

        def disk(into: Path) -> list[str]:
            return [sys.executable, "-c", _DISK_ALONE, str(root / "small"), str(into)]

        figures = medians(
            {
                "get": _files_a_second(ours, many, env),
                "alone": _files_a_second(alone, many, env, says_seconds=True),
                "curl": _files_a_second(curl, many, env),
                "curl, synced": _files_a_second(curl, many, env, synced=True),
                "disk": _files_a_second(disk, many, env, says_seconds=True),
            },
            plan.rounds,
        )
        what = f"get {SMALL_FILES} files of {SMALL_SIZE // 1024} KiB over {scheme}"
        for name, words, theirs, against in (
            ("get", what, "curl", f"curl --parallel-max {AT_ONCE}"),
            ("get", what, "curl, synced", "the same, then sync of each file"),
            ("alone", "the same, the call alone", "curl", f"curl --parallel-max {AT_ONCE}"),
            (
                "alone",
                "the same, the call alone",
                "curl, synced",
                "the same, then sync of each file",
            ),
            ("alone", "the same, the call alone", "disk", "the disk alone: write, sync, name"),
        ):
            yield Row(
                measure=words,
                unit="files/s",
                ours=figures[name],
                against=against,
                theirs=figures[theirs],
            )
        yield _memory(f"{scheme}: peak memory", peak_memory(ours(_afresh(many)), env=env))
        shutil.rmtree(many)


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
    command: Callable[[Path], Sequence[str]],
    many: Path,
    env: Mapping[str, str],
    *,
    says_seconds: bool = False,
    synced: bool = False,
) -> Callable[[], float]:
    def measure() -> float:
        into = _afresh(many)
        run = timed(command(into), env=env)
        seconds = float(run.stdout) if says_seconds else run.seconds
        if synced:
            seconds += timed([find("sync"), str(into), *map(str, into.iterdir())]).seconds
        return SMALL_FILES / seconds

    return measure


def _afresh(many: Path) -> Path:
    # Nothing is removed between two runs: ext4 looks at every inode that was freed lately
    # before it gives out a new one, which would be charged to whoever comes next.
    return Path(tempfile.mkdtemp(dir=many))


def _memory(measure: str, peak: int) -> Row:
    return Row(
        measure=measure,
        unit="MiB",
        ours=peak / MIB,
        against="our bound",
        theirs=MEMORY_BOUND,
        lower_is_better=True,
    )
