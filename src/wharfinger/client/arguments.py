"""What arguments of calls must be: each check returns the value or raises UsageError."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, TypeVar

from wharfinger.errors import UsageError

if TYPE_CHECKING:
    from wharfinger.client.sources import File

_T = TypeVar("_T")


def several(values: Sequence[_T], argument: str) -> tuple[_T, ...]:
    """Return the values of a list; text is none."""
    if isinstance(values, (str, bytes, int)):
        raise UsageError(f"{argument} must be a list, also for a single value.")
    return tuple(values)


def files(file: File | Sequence[File]) -> list[File]:
    """Return the file, or the files, to be sent."""
    if isinstance(file, (list, tuple)):
        if not file:
            raise UsageError("There is no file to upload.")
        return list(file)
    return [file]  # type: ignore[list-item]  # a Sequence that is no list is text or bytes


def form_fields(fields: Mapping[str, str] | None) -> dict[str, str]:
    """Return the fields of a form as text."""
    if not isinstance(fields, (Mapping, type(None))):
        raise UsageError(
            f"fields= is a {fields.__class__.__name__}.",
            hint='It takes a mapping of names to values, like {"user_id": "12345"}.',
        )
    checked: dict[str, str] = {}
    for name, value in (fields or {}).items():
        if not (_is(name, str) and _is(value, str, int, float)):
            raise UsageError(
                f"The form field {name!r} is a {value.__class__.__name__}.",
                hint="fields= takes text and numbers.",
            )
        checked[name] = str(value)
    return checked


def retries(count: int | None) -> int | None:
    """Return how often to try again; None leaves it to the defaults."""
    if count is None:
        return None
    if not _is(count, int) or count < 0:
        raise UsageError("retries must be a whole number, 0 or more.")
    return count


def connections(value: int) -> int:
    """Return how many connections one transfer may take."""
    from wharfinger.client.parallel import MAX_CONNECTIONS

    if not _is(value, int) or not 1 <= value <= MAX_CONNECTIONS:
        raise UsageError(f"connections must be a number from 1 to {MAX_CONNECTIONS}.")
    return value


def concurrency(value: int, most: int) -> int:
    """Return how many transfers may run at a time."""
    if not _is(value, int):
        raise UsageError("concurrency must be a whole number.")
    if not 1 <= value <= most:
        raise UsageError(f"concurrency must be from 1 to {most}.")
    return value


def chunk_size(size: int | str | None) -> int | None:
    """Return the largest request of a resumable upload in bytes."""
    if size is None:
        return None
    from wharfinger.units import parse_size

    count = parse_size(size)
    if not _is(count, int) or count < 1:
        raise UsageError("chunk_size must be a whole number, 1 or more.")
    return count


def callback(function: Callable[..., object] | None, argument: str) -> None:
    """Refuse what cannot be called."""
    if function is not None and not callable(function):
        raise UsageError(
            f"{argument}= is a {function.__class__.__name__}, which cannot be called.",
            hint=f"Pass a function that takes one argument, or leave {argument} out.",
        )


def _is(value: object, *kinds: type) -> bool:
    return isinstance(value, kinds) and not isinstance(value, bool)
