"""`Inspection`: one stream of bytes judged under a policy while it passes.

Three rules. Nothing is cleared before the head was judged. The verdict depends on the
bytes alone, never on how they were cut. A refusal is final: every later call raises it
again.
"""

from __future__ import annotations

import hashlib
from typing import Protocol, TypeAlias

from wharfinger import units
from wharfinger.errors import LengthMismatch, TooLarge, TooSmall, UsageError, WharfingerError
from wharfinger.inspection.agreement import Claims, judge_content, judge_declared
from wharfinger.inspection.detection import HEAD_SIZE, detect
from wharfinger.inspection.facts import Facts
from wharfinger.policy import Policy

__all__ = ["Buffer", "Hasher", "Inspection"]

Buffer: TypeAlias = bytes | bytearray | memoryview


class Hasher(Protocol):
    """A digest in the making, as `hashlib.sha256()` is one."""

    def update(self, data: Buffer, /) -> object:
        """Take in more bytes."""
        ...

    def hexdigest(self) -> str:
        """Return the digest of all bytes so far, in hexadecimal."""
        ...


class Inspection:
    """The judgement of one stream of bytes.

    What is declared is judged at once, the content while it is fed: `feed` returns the
    bytes that are cleared to be kept, `finish` the last of them and the facts. As long as
    the first `HEAD_SIZE` bytes are being gathered nothing is cleared; these held bytes are
    copied. Later buffers are passed through without copying: a caller who reuses a buffer
    must be done with it first.

    Args:
        policy: what may pass.
        name: the file's name; only its extension counts here (`names.judge` judged the rest).
        type: the media type that the sender claims. None, "" and application/octet-stream
            claim nothing; parameters are ignored.
        length: the length in bytes that was declared, if one was.
        hasher: where the digest is made; SHA-256 by default. One that has already taken in
            earlier bytes of the file yields the digest of all of them.

    Raises:
        TooLarge: the declared length is over the policy's limit.
        TooSmall: the declared length is under it.
        TypeNotAllowed: extension or claimed type mean a type the policy does not permit.
    """

    __slots__ = (
        "_claims",
        "_error",
        "_hasher",
        "_head",
        "_length",
        "_limit",
        "_passing",
        "_policy",
        "_type",
        "_update",
        "size",
    )

    size: int
    """Bytes fed so far."""

    def __init__(
        self,
        policy: Policy,
        *,
        name: str | None = None,
        type: str | None = None,  # noqa: A002 - the word of the whole interface
        length: int | None = None,
        hasher: Hasher | None = None,
    ) -> None:
        if not isinstance(policy, Policy):
            raise UsageError(
                f"policy= is a {policy.__class__.__name__}.",
                hint="It takes a Policy, such as Policy.images().",
            )
        if length is not None:
            _judge_length(policy, length)
        self._policy = policy
        self._claims = Claims.of(name, type)
        judge_declared(policy, self._claims)
        self._limit = policy.max_size
        self._length = length
        self._hasher: Hasher = hashlib.sha256() if hasher is None else hasher
        self._update = self._hasher.update
        self._head = bytearray()
        self._passing = False
        self._error: WharfingerError | None = None
        self._type = ""
        self.size = 0

    def __repr__(self) -> str:
        refused = self._error is not None and not isinstance(self._error, UsageError)
        state = type(self._error).__name__ if refused else self._type or "gathering"
        return f"<Inspection {state}, {self.size} bytes>"

    def feed(self, data: Buffer) -> tuple[Buffer, ...]:
        """Return the buffers that are cleared now, in order; () while the head is gathered.

        Raises:
            TooLarge: this is the first byte over the limit. Nothing of `data` is cleared.
            Rejected: the head is complete, and the file is refused.
            UsageError: `finish` was called before.
        """
        if not self._passing:
            return self._feed_head(data)
        size = self.size + _length_of(data)
        if size > self._limit:
            raise self._refused(_too_large(self._limit))
        self.size = size
        self._update(data)
        return (data,)

    def go_on(self, head: Buffer, size: int) -> None:
        """Judge content of which `size` bytes were kept and hashed before; what follows is fed.

        The verdict is that which feeding all of them would give. Nothing is cleared by it.

        Args:
            head: the first `HEAD_SIZE` of these bytes.
            size: how many there are; the hasher has taken them in.

        Raises:
            TooLarge: they are over the limit.
            Rejected: the file is refused.
            UsageError: the head is shorter, or something was fed before.
        """
        self._refuse_again()
        if self.size or not HEAD_SIZE == _length_of(head) <= size:
            raise UsageError(f"To go on takes the first {HEAD_SIZE} bytes, and comes first.")
        if size > self._limit and self._limit < HEAD_SIZE:
            raise self._refused(_too_large(self._limit))
        self._judge(bytes(head), complete=False)
        if size > self._limit:
            raise self._refused(_too_large(self._limit))
        self.size = size
        self._passing = True

    def finish(self) -> tuple[tuple[Buffer, ...], Facts]:
        """Return the last cleared buffers and the facts of the whole content.

        Raises:
            LengthMismatch: the content is not as long as was declared.
            TooSmall: the content is shorter than the policy asks for.
            Rejected: the content is shorter than a head, and the file is refused.
            UsageError: `finish` was called before.
        """
        self._refuse_again()
        policy = self._policy
        if self._length is not None and self.size != self._length:
            raise self._refused(
                LengthMismatch(
                    f"{self._length} bytes were announced, {self.size} arrived; nothing was kept."
                )
            )
        last: tuple[Buffer, ...] = ()
        if not self._passing:
            held = bytes(self._head)
            self._judge(held, complete=True)
            last = (held,) if held else ()
            self._update(held)
        if self.size < policy.min_size:
            raise self._refused(_too_small(policy, self.size))
        facts = Facts(size=self.size, type=self._type, sha256=self._hasher.hexdigest())
        # Nothing follows: a later call is a mistake of the caller, and says so.
        self._refused(UsageError("This inspection is finished; make a new one for another file."))
        return last, facts

    def _feed_head(self, data: Buffer) -> tuple[Buffer, ...]:
        self._refuse_again()
        length = _length_of(data)
        if not length:
            return ()
        size = self.size + length
        held = len(self._head)
        # A head that is complete within the limit is judged before the limit is, as it
        # would be if the bytes came one by one: the verdict must not depend on the cut.
        if size > self._limit and self._limit < HEAD_SIZE:
            raise self._refused(_too_large(self._limit))
        missing = HEAD_SIZE - held
        self._head += memoryview(data).cast("B")[:missing]
        if length < missing:
            self.size = size
            return ()
        gathered = bytes(self._head)
        self._judge(gathered, complete=False)
        if size > self._limit:
            raise self._refused(_too_large(self._limit))
        self.size = size
        self._passing = True
        self._head.clear()
        earlier = gathered[:held]
        self._update(earlier)
        self._update(data)
        return (earlier, data) if earlier else (data,)

    def _judge(self, head: bytes, *, complete: bool) -> None:
        found = detect(head, complete=complete)
        try:
            self._type = judge_content(self._policy, self._claims, found, empty=not head)
        except WharfingerError as error:
            self._refused(error)
            raise

    def _refused(self, error: WharfingerError) -> WharfingerError:
        """Make a refusal final and let go of what was held."""
        self._error = error
        self._passing = False
        self._head.clear()
        return error

    def _refuse_again(self) -> None:
        if self._error is not None:
            raise self._error.with_traceback(None)


def _length_of(data: Buffer) -> int:
    return data.nbytes if isinstance(data, memoryview) else len(data)


def _judge_length(policy: Policy, length: int) -> None:
    if length < 0:
        raise UsageError(f"A length cannot be negative: {length}.")
    if length > policy.max_size:
        raise TooLarge(
            f"The content is {units.show_exactly(length)} long; "
            f"at most {units.show_exactly(policy.max_size)} are accepted.",
            limit=policy.max_size,
            size=length,
        )
    if length < policy.min_size:
        raise _too_small(policy, length)


def _too_large(limit: int) -> TooLarge:
    return TooLarge(f"The content is longer than {units.show_exactly(limit)}.", limit=limit)


def _too_small(policy: Policy, size: int) -> TooSmall:
    return TooSmall(
        f"The content is {units.show_size(size)} long; "
        f"at least {units.show_exactly(policy.min_size)} are asked for."
    )
