"""What a handler gets and what it may wish for: `Asked`, `Wanted`, a small JSON body."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias

from wharfinger.errors import RequestError, TooLarge
from wharfinger.service import Wharf
from wharfinger.web.answers import Answer, HeaderPairs
from wharfinger.web.gate import Gate
from wharfinger.web.limiting import FREE, Turn
from wharfinger.web.requests import RequestHead

if TYPE_CHECKING:
    from wharfinger.stores.base import Buffer

_MAX_JSON: Final = 16 * 1024


@dataclass(frozen=True, slots=True)
class Asked:
    """One request on its way through a handler."""

    wharf: Wharf
    gate: Gate
    head: RequestHead
    parameters: Mapping[str, str]
    turn: Turn = FREE


class Sink(Protocol):
    """Takes the body of one request."""

    def write(self, data: Buffer) -> None:
        """Take more bytes. What it raises ends the request."""
        ...

    def finish(self) -> Any:
        """Return what the whole body came to: what `Wanted.answer` gets."""
        ...

    def abort(self) -> None:
        """No more will come. Harmless when it has ended, and after an error."""
        ...


@dataclass(frozen=True, slots=True)
class Interim:
    """An answer on the way to the final one (RFC 9110 section 15.2)."""

    status: int
    headers: HeaderPairs


class Promise(Protocol):
    """What a whole body is about to come to."""

    @property
    def done(self) -> Future[Any]:
        """Has a result when there is one here."""
        ...

    def result(self) -> Any:
        """Return what the sink's `finish` would have, or raise it."""
        ...


@dataclass(frozen=True, slots=True)
class Wanted:
    """A handler's wish for the body: where it goes, and what the answer is when it is whole.

    `refused` makes the answer to an error what the protocol wants it to be. `interims` returns
    what is to be said meanwhile, each once; a shell that cannot say it never asks. `soon` does what
    the sink's `finish` does without waiting for the disk, or returns None where that cannot be.
    """

    sink: Sink
    answer: Callable[[Any], Answer]
    refused: Callable[[Exception, Answer], Answer] | None = None
    interims: Callable[[], Sequence[Interim]] | None = None
    soon: Callable[[], Promise | None] | None = None


class JsonBody:
    """A small JSON body being gathered."""

    def __init__(self) -> None:
        self._bytes = bytearray()

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Gather more bytes. Raises TooLarge."""
        self._bytes += data
        if len(self._bytes) > _MAX_JSON:
            raise TooLarge(f"A JSON body may have {_MAX_JSON} bytes.", limit=_MAX_JSON)

    def finish(self) -> JsonBody:
        """Return itself, whole."""
        return self

    def abort(self) -> None:
        """Forget what came."""
        self._bytes.clear()

    def table(self, known: tuple[str, ...]) -> dict[str, object]:
        """Return the object in the body ({} for an empty one). Raises RequestError."""
        try:
            table = (
                json.loads(self._bytes, object_pairs_hook=_unique) if self._bytes.strip() else {}
            )
        except (ValueError, RecursionError) as error:
            raise RequestError("The body is not valid JSON.") from error
        if not isinstance(table, dict):
            raise RequestError("The body must be a JSON object.")
        for key in table:
            if key not in known:
                raise RequestError(
                    f"Unknown key {key[:40]!r} in the body.", hint=f"Known: {', '.join(known)}."
                )
        return table


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    table = dict(pairs)
    if len(table) != len(pairs):
        raise ValueError("a key came twice")
    return table


Handler: TypeAlias = Callable[[Asked], Answer | Wanted]


@dataclass(frozen=True, slots=True)
class Route:
    """One method on one path. `scope` is what it needs; "" marks those open to all."""

    method: str
    pattern: str
    handler: Handler
    scope: str
    summary: str
    statuses: tuple[int, ...]
