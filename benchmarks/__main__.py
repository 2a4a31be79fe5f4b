"""`python -m benchmarks`: client and service side by side with their peers, in one run.

Everything happens on loopback and in one temporary folder; every step has a time limit. The
figures compare programs on one machine at one time: read ratios, not absolute speeds.
"""

from __future__ import annotations

import argparse
import compileall
import os
import shutil
import sys
import tempfile
from collections.abc import Iterable
from contextlib import ExitStack
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from benchmarks import (
    client,
    crowd,
    delivering,
    fetching,
    flask_delivery,
    inspecting,
    offload,
    patching,
    peers,
    receiving,
    server,
)
from benchmarks.measure import MIB, BenchmarkError
from benchmarks.rounds import Plan
from benchmarks.table import Row, as_markdown, as_text, machine

FULL = Plan(size=1024 * MIB, rounds=5, load_seconds=3.0)
QUICK = Plan(size=128 * MIB, rounds=1, load_seconds=1.0)


def main() -> int:
    """Measure and print; return an exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one round, smaller files")
    parser.add_argument("--rounds", type=int, help="how many rounds the medians are of")
    parser.add_argument("--markdown", action="store_true", help="print for docs/benchmarks.md")
    parser.add_argument("--folder", type=Path, help="where to work (default: the temporary folder)")
    options = parser.parse_args()
    _compile_package()
    plan = QUICK if options.quick else FULL
    if options.rounds:
        plan = Plan(size=plan.size, rounds=options.rounds, load_seconds=plan.load_seconds)
    try:
        with tempfile.TemporaryDirectory(prefix="bench-", dir=options.folder) as folder:
            rows = measure(plan, Path(folder))
        modules = [f"{name} {version(name)}" for name in ("Flask", "gunicorn")]
        notes = machine([peers.version("curl"), peers.version("nginx"), *modules])
    except BenchmarkError as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return 1
    notes.append(f"medians of {plan.rounds}; loopback; client and server share the machine")
    if options.markdown:
        print("\n".join(f"* {note}" for note in notes), as_markdown(rows), sep="\n\n")
    else:
        print("\n".join(notes), as_text(rows), sep="\n\n")
    return 0


def measure(plan: Plan, folder: Path) -> list[Row]:
    """Start the peers, measure everything, stop them; return the rows of the table."""
    _check_room(folder, plan)
    root = folder / "root"
    root.mkdir()
    large = _random_file(root / "large.bin", plan.size)
    small = _random_file(root / "small.bin", 64 * 1024)
    scratch = folder / "scratch"
    scratch.mkdir()
    rows: list[Row] = []
    _collect(rows, inspecting.rows(plan))
    with ExitStack() as running:
        peer, secure = running.enter_context(peers.nginx(folder / "nginx", root))
        sink = running.enter_context(peers.sink())
        fresh = running.enter_context(peers.service(folder / "fresh"))
        _collect(rows, server.own_memory(plan, fresh, large))
        _collect(rows, fetching.large_file(plan, peer, secure, large, scratch))
        _collect(rows, fetching.small_files(plan, peer, secure, root, scratch))
        _collect(rows, client.uploads(plan, sink, fresh, large))
        _collect(rows, receiving.rows(plan, fresh, folder / "receiving", large))
        _collect(rows, patching.rows(plan, fresh, folder / "tus"))
        _collect(rows, delivering.large_file(plan, peer, fresh, large))
        _collect(rows, delivering.small_files(plan, peer, folder, small))
        _collect(rows, delivering.many_ranges(plan, fresh, small))
        _collect(rows, offload.rows(plan, peer, folder / "offload", large, small))
        _collect(rows, crowd.slow_clients(plan, fresh, large, small))
        _collect(rows, crowd.idle_connections(folder, small))
        _collect(rows, flask_delivery.rows(plan, folder / "flask", large))
    return rows


def _compile_package() -> None:
    # pip compiles what it installs. A checkout is compiled at every start where Python may not
    # write (PYTHONDONTWRITEBYTECODE): 0.1 s that say nothing about the program.
    found = find_spec("wharfinger")
    for folder in (found and found.submodule_search_locations) or ():
        compileall.compile_dir(folder, quiet=1)


def _collect(rows: list[Row], more: Iterable[Row]) -> None:
    for row in more:
        print(f"measured: {row.measure.strip()}", file=sys.stderr)
        rows.append(row)


def _random_file(path: Path, size: int) -> Path:
    with path.open("wb") as file:
        for _ in range(0, size, MIB):
            file.write(os.urandom(min(MIB, size)))
    return path


def _check_room(folder: Path, plan: Plan) -> None:
    # The file itself, one copy by the client, one in the service, and one on its way out.
    needed = 4 * plan.size
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise BenchmarkError(f"{folder} has {free // MIB} MiB free; {needed // MIB} MiB are needed")


if __name__ == "__main__":
    sys.exit(main())
