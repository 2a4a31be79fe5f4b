"""Load from many keep-alive connections, by wrk: it is written in C and leaves the server the machine."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

from benchmarks.measure import BenchmarkError, timed
from benchmarks.peers import find

CONNECTIONS = 64
_DONE = re.compile(r"(\d+) requests in ")
_RATE = re.compile(r"Requests/sec:\s+([\d.]+)")
_FAILED = re.compile(r"(?:Non-2xx or 3xx responses|Socket errors).*")


def load(
    url: str, seconds: float, *, header: str = "", connections: int = CONNECTIONS, lua: str = ""
) -> tuple[float, int]:
    """Fetch one address over and over; return requests per second and their number.

    Args:
        url: an http address.
        seconds: how long; whole seconds.
        header: one more header line, without its line end.
        connections: how many at once.
        lua: more of wrk's script: another method, a body.
    """
    name, _, value = header.strip().partition(": ")
    with tempfile.TemporaryDirectory() as folder:
        # In a file, so that no token stands in a list of processes.
        script = Path(folder) / "ask.lua"
        asked = f"wrk.headers[{name!r}] = {value!r}\n" if name else ""
        script.write_text(asked + lua, "ascii")
        command = [find("wrk"), "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s"]
        said = timed([*command, "-s", str(script), url]).stdout
    done, rate, failed = _DONE.search(said), _RATE.search(said), _FAILED.search(said)
    if done is None or rate is None or failed is not None:
        raise BenchmarkError(f"wrk at {url}: {failed[0] if failed else said[-400:]}")
    return float(rate[1]), int(done[1])
