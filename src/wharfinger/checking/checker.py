"""`Checker`: everything a policy asks of a whole file, in one call."""

from __future__ import annotations

from types import TracebackType
from typing import BinaryIO, Self

from wharfinger.inspection.content import examine
from wharfinger.inspection.facts import Facts
from wharfinger.policy import Policy

__all__ = ["Checker"]


class Checker:
    """Judges whole files. Safe to use from any thread; processes are started when first needed."""

    def check(
        self,
        file: BinaryIO,
        facts: Facts,
        *,
        policy: Policy,
        name: str | None = None,
        type: str | None = None,  # noqa: A002 - the word of the whole interface
    ) -> Facts:
        """Return the facts of a file whose bytes have passed, after a look at its whole content.

        Args:
            file: the content, open for reading and seekable.
            facts: what the stream of bytes gave.
            policy: what may pass.
            name: the file's name.
            type: the media type that the sender claimed.

        Raises:
            Rejected: the policy refuses it; the class says why.
        """
        media_type, details = examine(file, facts.size, policy=policy, name=name, type=type)
        return facts.with_content(media_type, details)

    def close(self) -> None:
        """End the processes."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
