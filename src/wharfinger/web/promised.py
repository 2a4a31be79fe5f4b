"""What the head of an upload promises of its body: digests (RFC 9530).

The body of one request is the whole content and, since no coding is accepted, the whole
representation too: Content-Digest and Repr-Digest are about the same bytes (section 3), those
of a form about the whole form. A body that does not keep the promise becomes no file.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from wharfinger.errors import IntegrityError
from wharfinger.protocol.digests import parse_digest

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from wharfinger.protocol.headers import Headers
    from wharfinger.stores.base import Buffer
    from wharfinger.web.intake import Intake, Intaken

_FIELDS: Final = ("Content-Digest", "Repr-Digest")
_ALGORITHMS: Final = {"sha-256": "sha256", "sha-512": "sha512"}


def promised_digests(headers: Headers) -> list[tuple[str, str, bytes]]:
    """Return the digests that a body must have, as field, algorithm and digest.

    Raises:
        RequestError: a field is malformed.
    """
    return [
        (field, algorithm, digest)
        for field in _FIELDS
        if (value := headers.single(field)) is not None
        for algorithm, digest in parse_digest(value).items()
    ]


class PromisedIntake:
    """Takes a body in that has to have these digests.

    Args:
        intake: takes the body in.
        digests: what `promised_digests` returned; at least one.
    """

    def __init__(self, intake: Intake, digests: list[tuple[str, str, bytes]]) -> None:
        self._intake = intake
        self._digests = digests
        self._hashers = {name: hashlib.new(_ALGORITHMS[name]) for _, name, _ in digests}

    def write(self, data: Buffer) -> None:
        self._intake.write(data)
        for hasher in self._hashers.values():
            hasher.update(data)

    def finish(self) -> Intaken:
        """Accept what came. Raises IntegrityError when it is not what was promised."""
        for field, algorithm, digest in self._digests:
            if self._hashers[algorithm].digest() != digest:
                self._intake.abort()
                raise IntegrityError(
                    f"The content of this request does not have the {algorithm} that its "
                    f"{field} says; nothing of it was kept."
                )
        return self._intake.finish()

    def abort(self) -> None:
        self._intake.abort()

    def when_accepted(self, then: Callable[[Connection, Intaken], None]) -> None:
        self._intake.when_accepted(then)
