"""The client against curl: down into a file, up into a sink and into the service, and its memory.

Each figure is a whole command, start to exit: what a person waits for. `get` also computes the
SHA-256, syncs and renames; curl does none of these.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from benchmarks.measure import GB, MIB, peak_memory, timed
from benchmarks.peers import WHARFINGER, Server, Service, find
from benchmarks.rounds import Plan, medians
from benchmarks.table import Row

MEMORY_BOUND = 40  # MiB, whatever the size


def uploads(plan: Plan, sink: Server, service: Service, large: Path) -> Iterator[Row]:
    """Yield put against `curl -F` and `curl -T`, into a sink and into our own service."""
    for where, url, env, extra, clear in (
        ("a sink", f"{sink.url}/", None, (), lambda: None),
        ("serve", service.uploads, service.env, ("-H", f"@{service.header}"), service.clear),
    ):
        figures = medians(
            {
                "form": _rate(plan, [*WHARFINGER, "put", str(large), url], env),
                "raw": _rate(
                    plan, [*WHARFINGER, "put", "--raw", str(large), url], env
                ),
                "curl -F": _rate(plan, _curl(url, extra, "-F", f"file=@{large}")),
                "curl -T": _rate(
                    plan,
                    _curl(
                        url, extra, "-X", "POST", "-T", str(large),
                        "-H", f'Content-Disposition: attachment; filename="{large.name}"',
                    ),
                ),
            },
            plan.rounds,
            after_each=clear,
        )  # fmt: skip
        for kind, name, peer in (("form", "form", "curl -F"), ("raw body", "raw", "curl -T")):
            yield Row(
                measure=f"put {plan.size // MIB} MiB into {where}, {kind}",
                unit="GB/s",
                ours=figures[name],
                against=peer,
                theirs=figures[peer],
            )
    yield _memory_row(
        "put: peak memory", peak_memory([*WHARFINGER, "put", str(large), f"{sink.url}/"])
    )


def _curl(url: str, extra: Sequence[str], *arguments: str) -> list[str]:
    return [find("curl"), "-fsS", "-o", "/dev/null", *extra, *arguments, url]


def _rate(
    plan: Plan, command: Sequence[str], env: Mapping[str, str] | None = None
) -> Callable[[], float]:
    return lambda: plan.size / GB / timed(command, env=env).seconds


def _memory_row(measure: str, peak: int) -> Row:
    return Row(
        measure=measure,
        unit="MiB",
        ours=peak / MIB,
        against="our bound",
        theirs=MEMORY_BOUND,
        lower_is_better=True,
    )
