"""The judgement of one staged file: its whole content, then the scanner.

There are three ends. It passed; or it is refused, which is an error; or nobody can say, and
then it is held or refused as the operator chose. A scanner that is away never makes it clean.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, replace
from typing import BinaryIO, Final, Literal, TypeAlias, assert_never, cast

from wharfinger import scanners
from wharfinger.checking import Checker
from wharfinger.errors import Infected, Unavailable, Unscannable
from wharfinger.inspection import Facts
from wharfinger.inspection.media_types import Family, kind_of_type
from wharfinger.inspection.naming import named_by_type
from wharfinger.policy import Policy
from wharfinger.scanners import Scanner
from wharfinger.stores import Staging
from wharfinger.units import MIB

log = logging.getLogger("wharfinger")

OnDoubt: TypeAlias = Literal["hold", "refuse"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Staged:
    """A whole file that waits to be judged: `open` returns its bytes, `type` was claimed.

    `link` is the id of the upload link by which it came, and `only` are the types that this
    narrowed its policy to.
    """

    open: Callable[[], BinaryIO]
    facts: Facts
    policy: Policy
    name: str | None
    type: str | None
    link: str | None = None
    only: frozenset[str] | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Passed:
    """Nothing is against the file.

    `name` is what it is called from now on; `rewritten` are its bytes, synced, where the policy
    has images written anew, and `facts` are theirs then.
    """

    facts: Facts
    name: str | None = None
    rewritten: Staging | None = None

    def discard(self) -> None:
        """Let go of what was written anew. Harmless once it was published."""
        _discard(self.rewritten)


@dataclass(frozen=True, kw_only=True, slots=True)
class Held:
    """Nobody can say, because of `problem`; with `again` it is worth asking later."""

    facts: Facts
    problem: Unavailable | Unscannable
    again: bool
    name: str | None = None
    rewritten: Staging | None = None

    def discard(self) -> None:
        """Let go of what was written anew. Harmless once it was kept."""
        _discard(self.rewritten)


@dataclass(frozen=True, slots=True)
class Unjudged:
    """The judgement goes on, or is another process's: `future` is None then."""

    future: Future[Passed | Held] | None

    def discard(self) -> None:
        """Have nobody judge it, or let go of what was written anew when the judgement comes."""
        if self.future is not None:
            self.future.cancel()
            self.future.add_done_callback(_discard_result)


Judgement: TypeAlias = Passed | Held | Unjudged

# Families whose content is decoded or unpacked.
_LOOKED_INTO: Final = frozenset({Family.IMAGE, Family.DOCUMENT, Family.ARCHIVE})
_QUICK_SIZE: Final = 32 * MIB
_DOWN: Final = "The scanner is away, so that nobody can say whether the file is clean."


class Judge:
    """Judges staged files. Safe to use from any thread.

    Args:
        stage: begins to receive the bytes of an image that is written anew.
        scanner: asked about every file; None for none.
        when_down: whether a file is held or refused while the scanner is away.
        when_unscannable: the same for a file that the scanner cannot read.
    """

    def __init__(
        self,
        stage: Callable[[], Staging],
        scanner: Scanner | None,
        *,
        when_down: OnDoubt,
        when_unscannable: OnDoubt,
    ) -> None:
        self._stage = stage
        self.scanner = scanner
        self._away = False
        self._when_down = when_down
        self._when_unscannable = when_unscannable
        self._checker = Checker()

    def is_quick(self, staged: Staged) -> bool:
        """Return whether the judgement is a matter of milliseconds: no thread is needed for it."""
        if self.scanner is not None or staged.policy.second_opinion:
            return False
        kind = kind_of_type(staged.facts.type)
        if kind is None or not staged.policy.check_content:
            return True
        return kind.family not in _LOOKED_INTO and staged.facts.size <= _QUICK_SIZE

    def judge(self, staged: Staged, file: BinaryIO, *, scanned: bool = True) -> Passed | Held:
        """Return what is to become of a file, which `staged.open` returned; it is closed.

        With `scanned` False the scanner is not asked: a person has decided about that.

        Raises:
            Rejected: its content breaks the policy, or the scanner found something.
            Unavailable: the scanner is away, and nothing is held.
        """
        policy, anew = staged.policy, _Anew(self._stage)
        try:
            with file:
                facts = self._checker.check(
                    file,
                    staged.facts,
                    policy=policy,
                    name=staged.name,
                    type=staged.type,
                    rewrite=anew,
                )
                # What was sent is scanned, whatever is kept of it.
                judgement: Passed | Held = Passed(facts=facts)
                if scanned:
                    judgement = self.scan(file, staged.facts.size, facts)
            name = staged.name
            if name is not None and policy.rename_to_type:
                name = named_by_type(name, facts.type)
            return replace(judgement, name=name, rewritten=anew.synced())
        except BaseException:
            anew.discard()
            raise

    def scan(self, file: BinaryIO, size: int, facts: Facts) -> Passed | Held:
        """Ask the scanner alone about a file of so many bytes. Raises as `judge` does."""
        if self.scanner is None:
            return Passed(facts=facts)
        file.seek(0)
        try:
            verdict = self.scanner.scan(file, size)
        except Unavailable as error:
            self._note(error)
            if self._when_down == "refuse":
                raise
            return Held(facts=facts, problem=Unavailable(_DOWN, hint=error.hint), again=True)
        self._note(None)
        match verdict:
            case scanners.Clean():
                return Passed(facts=facts)
            case scanners.Infected(name=name):
                raise Infected(f"The scanner found {name!r}.")
            case scanners.Unscannable(reason=reason):
                problem = Unscannable(f"The scanner could not read the file: {reason}.")
                if self._when_unscannable == "refuse":
                    raise problem
                return Held(facts=facts, problem=problem, again=False)
            case _:  # a scanner that forgot to answer: no file is clean because of that
                assert_never(verdict)

    def _note(self, error: Unavailable | None) -> None:
        """Say in the log when the scanner goes away, and when it is back."""
        if (error is not None) is self._away:
            return
        self._away = error is not None
        if error is None:
            log.warning("the scanner answers again")
        else:
            verb = "held" if self._when_down == "hold" else "refused"
            log.warning("the scanner is away, and what comes is %s: %s", verb, error)

    def close(self) -> None:
        """End the decoders' processes."""
        self._checker.close()


def _discard(staging: Staging | None) -> None:
    if staging is not None:
        staging.discard()


def _discard_result(future: Future[Passed | Held]) -> None:
    if not future.cancelled() and future.exception() is None:
        future.result().discard()


class _Anew:
    """Where an image is written anew: staging, once it comes to that."""

    def __init__(self, stage: Callable[[], Staging]) -> None:
        self._stage = stage
        self._staging: Staging | None = None

    def __call__(self) -> BinaryIO:
        self._staging = self._stage()
        return cast("BinaryIO", _Writing(self._staging))

    def synced(self) -> Staging | None:
        """Return what was written, if anything was; it would survive a power cut."""
        if self._staging is not None:
            self._staging.sync()
        return self._staging

    def discard(self) -> None:
        """Give up what was written."""
        if self._staging is not None:
            self._staging.discard()


@dataclass(frozen=True, slots=True)
class _Writing:
    """Staging as a file that is written to."""

    staging: Staging

    def write(self, data: bytes) -> int:
        self.staging.write(data)
        return len(data)

    def flush(self) -> None:
        """Do nothing: staging keeps nothing back."""
