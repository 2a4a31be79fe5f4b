"""What RFC 9110 says a server answers to GET and HEAD, said a second time and in another way.

Written from the text of the RFC alone, for small contents: ranges are painted byte by byte
and joined by looking at what is painted. Nothing of the package is used here.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

MOST_PARTS = 10
SMALLEST_GAP = 80

# The values by which the table's fields say: this version (True), or another (False).
Table = dict[str, dict[bool, str]]


@dataclass(frozen=True)
class Resource:
    content: bytes
    etag: str
    modified: datetime
    now: datetime
    media_type: str = "text/plain; charset=utf-8"


@dataclass(frozen=True)
class Expected:
    """A status, and the parts to send as (first byte, last byte); none for the whole or nothing."""

    status: int
    parts: tuple[tuple[int, int], ...] = ()


def values(resource: Resource, *, before: str, same: str) -> Table:
    return {
        "If-Match": {True: resource.etag, False: '"other"'},
        "If-Unmodified-Since": {True: same, False: before},
        "If-None-Match": {True: resource.etag, False: '"other"'},
        "If-Modified-Since": {True: same, False: before},
        "If-Range": {True: resource.etag, False: '"other"'},
    }


def table(
    found: Table, *, most: int = 5
) -> list[tuple[str, bool, dict[str, bool | None], dict[str, str]]]:
    """Every combination of method, range or none, and the five fields, at most `most` of them."""
    rows = []
    for method, ranged in itertools.product(("GET", "HEAD"), (False, True)):
        for said in itertools.product((None, True, False), repeat=5):
            if sum(one is not None for one in said) > most:
                continue
            fields = dict(zip(found, said, strict=True))
            sent = {name: found[name][one] for name, one in fields.items() if one is not None}
            if ranged:
                sent["Range"] = "bytes=2-5"
            rows.append((method, ranged, fields, sent))
    return rows


def expected(resource: Resource, method: str, sent: Mapping[str, str]) -> Expected:
    """Section 13.2.2, step by step in its own words, then section 14."""
    # 1. When recipient is the origin server and If-Match is present, evaluate it:
    #    if true, continue to step 3; if false, respond 412.
    if "If-Match" in sent:
        if not _matches(sent["If-Match"], resource.etag, strong=True):
            return Expected(412)
    # 2. ... If-Match is not present, and If-Unmodified-Since is present, evaluate it:
    #    if true, continue to step 3; if false, respond 412.
    elif "If-Unmodified-Since" in sent and resource.modified > _date(sent["If-Unmodified-Since"]):
        return Expected(412)
    # 3. When If-None-Match is present: if true, continue to step 5; if false for GET/HEAD, 304.
    if "If-None-Match" in sent:
        if _matches(sent["If-None-Match"], resource.etag, strong=False):
            return Expected(304)
    # 4. When the method is GET or HEAD, If-None-Match is not present, and If-Modified-Since is
    #    present: if true, continue to step 5; if false, respond 304.
    elif "If-Modified-Since" in sent and resource.modified <= _date(sent["If-Modified-Since"]):
        return Expected(304)
    # 5. When the method is GET and both Range and If-Range are present: if true and the Range is
    #    applicable, respond 206; otherwise, ignore the Range header field.
    if method == "GET" and "Range" in sent:
        if "If-Range" in sent and not _if_range(sent["If-Range"], resource):
            return Expected(200)
        return _ranged(sent["Range"], resource)
    # 6. Otherwise, perform the requested method.
    return Expected(200)


def body(resource: Resource, answer: Expected, boundary: str) -> bytes:
    """The content of a 200 or 206 for GET."""
    if answer.status == 200:
        return resource.content
    if len(answer.parts) == 1:
        ((first, last),) = answer.parts
        return resource.content[first : last + 1]
    whole = len(resource.content)
    sent = b""
    for number, (first, last) in enumerate(answer.parts):
        sent += b"\r\n" * bool(number)
        sent += f"--{boundary}\r\nContent-Type: {resource.media_type}\r\n".encode()
        sent += f"Content-Range: bytes {first}-{last}/{whole}\r\n\r\n".encode()
        sent += resource.content[first : last + 1]
    return sent + f"\r\n--{boundary}--\r\n".encode()


def _ranged(value: str, resource: Resource) -> Expected:
    asked = _specs(value)
    whole = len(resource.content)
    if asked is None or whole == 0:
        return Expected(200)
    # Section 14.1.2: what a spec selects of this content ...
    positions = range(whole)
    selected = [
        positions[first : last + 1] if first >= 0 else positions[max(0, whole - last) :]
        for first, last in asked
    ]
    selected = [one for one in selected if one]
    if not selected:
        return Expected(416)
    # ... is painted, byte by byte.
    canvas = bytearray(b"." * whole)
    for one in selected:
        canvas[one[0] : one[-1] + 1] = b"#" * len(one)
    # Section 15.3.7.2: what overlaps, or has a small gap between, goes together ...
    small = re.compile(rb"(?<=#)\.{1,%d}(?=#)" % (SMALLEST_GAP - 1))
    filled = small.sub(lambda gap: b"#" * len(gap[0]), bytes(canvas))
    runs = [(run.start(), run.end() - 1) for run in re.finditer(rb"#+", filled)]
    # ... in the order in which the ranges were asked for.
    runs.sort(
        key=lambda run: min(n for n, one in enumerate(selected) if run[0] <= one[0] <= run[1])
    )
    answer = Expected(206, tuple(runs))
    if len(runs) > MOST_PARTS:
        return Expected(200)
    if len(runs) > 1 and len(body(resource, answer, "b" * 32)) > whole:
        return Expected(200)
    return answer


def _specs(value: str) -> list[tuple[int, int]] | None:
    """(first, last) of each int-range, (-1, n) for the last n bytes; None for no valid set."""
    unit, _, specs = value.partition("=")
    if unit.strip().lower() != "bytes":
        return None
    found = []
    for spec in (one.strip(" \t") for one in specs.split(",")):
        if not spec:
            continue
        first, dash, last = spec.partition("-")
        if not dash or not all(c in "0123456789" for c in first + last) or not (first or last):
            return None
        if not first:
            found.append((-1, int(last)))
        else:
            if last and int(last) < int(first):
                return None
            found.append((int(first), int(last) if last else 10**30))
    return found or None


def _matches(value: str, etag: str, *, strong: bool) -> bool:
    if value.strip() == "*":
        return True
    tags = [tag.strip() for tag in value.split(",")]
    if strong:
        return etag in tags and not etag.startswith("W/")
    return etag.removeprefix("W/") in [tag.removeprefix("W/") for tag in tags]


def _if_range(value: str, resource: Resource) -> bool:
    if value.endswith('"'):
        return value == resource.etag and not value.startswith("W/")
    return (
        _date(value) == resource.modified
        and (resource.now - resource.modified).total_seconds() >= 1
    )


def _date(value: str) -> datetime:
    return parsedate_to_datetime(value).astimezone(UTC)
