"""Why an upload was refused, as the catalog keeps it, and as the error that it was."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import cache

from wharfinger.catalog import Upload
from wharfinger.errors import WharfingerError


def problem_of(error: WharfingerError) -> str:
    """Return an error as the catalog keeps it."""
    facts = {
        name: value
        for name, value in vars(error).items()
        if name not in {"detail", "hint"} and isinstance(value, int | str | tuple | None)
    }
    return json.dumps(
        {"code": error.code, "detail": str(error), "hint": error.hint, "facts": facts}
    )


def error_of(upload: Upload) -> WharfingerError:
    """Return the error that ended a refused upload, to be raised again for whoever asks."""
    return error_of_problem(json.loads(upload.problem or "{}"))


def error_of_problem(problem: Mapping[str, object] | None) -> WharfingerError:
    """Return the error that a file or upload was refused with, to be raised again."""
    document = problem or {}
    kind = _kinds().get(str(document.get("code", "")), WharfingerError)
    error = kind.__new__(kind)
    detail = str(document.get("detail", "It was refused."))
    error.args = (detail,)
    facts = document.get("facts", {})
    vars(error).update(facts if isinstance(facts, Mapping) else {}, detail=detail)
    error.advise(str(document.get("hint", "")))
    return error


@cache
def _kinds() -> dict[str, type[WharfingerError]]:
    def below(kind: type[WharfingerError]) -> Iterator[type[WharfingerError]]:
        yield kind
        for one in kind.__subclasses__():
            yield from below(one)

    return {kind.code: kind for kind in below(WharfingerError)}
