"""`Checker`: everything a policy asks of a whole file, in one call.

The structure is judged here, by pure code; what needs a decoder is judged by a process of its
own. An answer of that process is believed only in its form: whole numbers, known words.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from types import TracebackType
from typing import BinaryIO, Final, Self, TypeAlias

from wharfinger.checking import decoders, files, pdf, second_opinion
from wharfinger.checking.messages import Message
from wharfinger.checking.pool import Pool
from wharfinger.checking.process import Lost
from wharfinger.errors import (
    ContentDamaged,
    StorageFull,
    TooComplex,
    TooLarge,
    TypeNotAllowed,
    UsageError,
)
from wharfinger.inspection.content import examine
from wharfinger.inspection.facts import Details, Facts
from wharfinger.inspection.findings import Findings
from wharfinger.inspection.media_types import describe_type
from wharfinger.policy import Policy
from wharfinger.units import MIB

__all__ = ["Checker", "Rewrite"]

Rewrite: TypeAlias = Callable[[], BinaryIO]
"""Returns an empty file, open for writing, for an image that is written anew."""

# The largest image that others accept takes about 5 s; an animation, several times that.
SECONDS: Final = 30
# Encoding takes longer than decoding.
_SLOWER: Final = 3
# An image written anew may grow: our encoder does not know all tricks of others'.
_MOST_GROWTH: Final = 4
_ROOM: Final = 16 * MIB
_PDF: Final = "application/pdf"
_DAMAGED: Final = "damaged"
_LONGEST_SENTENCE: Final = 500


class Checker:
    """Judges whole files. Safe to use from any thread, and after a fork.

    Processes are started when first needed; they end when they have had no work for a minute,
    when this program ends (also by a signal), and by `close`.

    Args:
        processes: how many decode at the same time; None for as many as there are
            processors, at most 4.
        seconds: how long the decoding of one file may take; writing it anew, three times that.
        pool: where jobs run; for tests.
    """

    def __init__(
        self, *, processes: int | None = None, seconds: int = SECONDS, pool: Pool | None = None
    ) -> None:
        if seconds < 1:
            raise UsageError(f"seconds must be at least 1, not {seconds}.")
        self._pool = pool or Pool(processes=processes)
        self._seconds = seconds

    def check(
        self,
        file: BinaryIO,
        facts: Facts,
        *,
        policy: Policy,
        name: str | None = None,
        type: str | None = None,  # noqa: A002 - the word of the whole interface
        rewrite: Rewrite | None = None,
    ) -> Facts:
        """Return the facts of a file whose bytes have passed, after a look at its whole content.

        Where the policy says `strip_metadata` or `reencode` and `rewrite` is given, an image is
        written anew: `rewrite` is called once, when the new image is complete, and the bytes are
        written to what it returns (flushed, not closed). The facts are those of the new image
        then, size and sha256 too. If nothing had to go, `rewrite` is not called.

        Args:
            file: the content, open for reading and seekable.
            facts: what the stream of bytes gave.
            policy: what may pass.
            name: the file's name.
            type: the media type that the sender claimed.
            rewrite: where an image goes that is written anew; None: it is only judged.

        Raises:
            Rejected: the policy refuses it; the class says why. An image that cannot be written
                anew is refused, too, whatever the policy says of damaged ones.
            Unavailable: no process for decoding can be started.
            StorageFull: there is no room for the image written anew.
            ConfigError: the policy asks for a second opinion, and libmagic is missing.
        """
        media_type, details = examine(file, facts.size, policy=policy, name=name, type=type)
        facts = facts.with_content(media_type, details)
        if not policy.check_content:
            return facts
        if policy.second_opinion and facts.size:
            facts = self._asked(file, facts, policy)
        if decoders.is_picture(media_type):
            return self._picture(file, facts, policy, rewrite)
        if media_type == _PDF and pdf.available() and _DAMAGED not in details.findings:
            return self._pdf(file, facts, policy)
        return facts

    def _picture(
        self, file: BinaryIO, facts: Facts, policy: Policy, rewrite: Rewrite | None
    ) -> Facts:
        anew = rewrite is not None and (policy.strip_metadata or policy.reencode)
        label = describe_type(facts.type)
        if not decoders.can_decode(facts.type):
            if anew or _DAMAGED in policy.refuse:
                why = decoders.why_missing(facts.type)
                raise TypeNotAllowed(why.sentence, hint="Send it as JPEG or PNG.")
            return facts
        broken = _DAMAGED in facts.details.findings
        with files.descriptor_of(file, facts.size) as descriptor:
            if not broken:
                findings = Findings(policy)
                told = self._decoded(descriptor, facts, policy, findings)
                broken = _DAMAGED in findings.words
                facts = facts.with_content(facts.type, _joined(facts.details, told, findings))
            if not anew or rewrite is None:
                return facts
            if broken:
                raise ContentDamaged(
                    f"The {label} is damaged and cannot be written anew.", finding=_DAMAGED
                )
            return self._rewritten(descriptor, facts, policy, rewrite)

    def _decoded(
        self, descriptor: int, facts: Facts, policy: Policy, findings: Findings
    ) -> Details:
        """Report an image that cannot be decoded; return its width, height and frames."""
        label = describe_type(facts.type)
        options = _limits(policy) | {"type": facts.type}
        try:
            told = self._run("image", (descriptor,), facts.size, options)
        except Lost as error:
            findings.report(_DAMAGED, f"The {label} cannot be decoded: {error}.")
            return Details()
        exceeded = told.get("exceeded")
        match exceeded:
            case ["pixels" | "frames" as what, int(limit), str(sentence)]:
                raise TooComplex(sentence[:_LONGEST_SENTENCE], what=what, limit=limit)
            case _:
                pass
        if told.get("memory") is True:
            findings.report(
                _DAMAGED, f"The {label} cannot be decoded: it needs more memory than its size."
            )
            return Details()
        width, height, frames = (_count(told, key) for key in ("width", "height", "frames"))
        if not (width and height and frames):
            findings.report(_DAMAGED, f"The {label} cannot be decoded.")
            return Details()
        return Details(width=width, height=height, frames=frames)

    def _rewritten(self, descriptor: int, facts: Facts, policy: Policy, rewrite: Rewrite) -> Facts:
        label = describe_type(facts.type)
        most = max(_MOST_GROWTH * facts.size, _ROOM)
        options = _limits(policy) | {
            "type": facts.type,
            "reencode": policy.reencode,
            "max_length": most,
        }
        with files.scratch() as held:
            try:
                told = self._run(
                    "rewrite", (descriptor, held.fileno()), facts.size, options, _SLOWER
                )
            except Lost as error:
                raise ContentDamaged(
                    f"The {label} cannot be written anew: {error}.", finding=_DAMAGED
                ) from None
            if told.get("too_long") is True:
                raise TooLarge(
                    f"The {label} has more than {most} bytes when it is written anew.", limit=most
                )
            if told.get("full") is True:
                raise StorageFull(f"There is no room to write the {label} anew.")
            if told.get("written") is False:
                return facts
            length = _count(told, "length")
            if told.get("written") is not True or not length or length > most:
                raise ContentDamaged(f"The {label} cannot be written anew.", finding=_DAMAGED)
            digest = files.copy(held.fileno(), length, rewrite())
            frames = _count(told, "frames") or facts.details.frames
            # What was found behind the end of the old image is not there any more.
            details = replace(facts.details, frames=frames, findings=())
            return replace(facts, size=length, sha256=digest, details=details)

    def _asked(self, file: BinaryIO, facts: Facts, policy: Policy) -> Facts:
        """Return the facts after asking libmagic, too; it sees the beginning of the file."""
        findings = Findings(policy)
        told: Message = {}
        length = min(facts.size, second_opinion.READ)
        # A file on which libmagic crashes or hangs has no second opinion: `report` says so.
        with (
            files.descriptor_of(file, facts.size, most=length) as descriptor,
            contextlib.suppress(Lost),
        ):
            told = self._run("opinion", (descriptor,), length, {})
        second_opinion.report(told, facts.type, findings)
        return facts.with_content(facts.type, _joined(facts.details, Details(), findings))

    def _pdf(self, file: BinaryIO, facts: Facts, policy: Policy) -> Facts:
        findings = Findings(policy)
        told: Message = {}
        with files.descriptor_of(file, facts.size) as descriptor:
            try:
                told = self._run("pdf", (descriptor,), facts.size, {})
            except Lost as error:
                findings.report(_DAMAGED, f"The PDF cannot be read: {error}.")
        if told.get("memory") is True or "raised" in told:
            findings.report(_DAMAGED, "The PDF cannot be read.")
            told = {}
        details = pdf.report(told, findings) if told else Details()
        return facts.with_content(facts.type, _joined(facts.details, details, findings))

    def _run(
        self,
        job: str,
        descriptors: tuple[int, ...],
        size: int,
        options: Mapping[str, object],
        slower: int = 1,
    ) -> Message:
        seconds = slower * self._seconds
        return self._pool.run(job, size=size, options=options, files=descriptors, seconds=seconds)

    def close(self) -> None:
        """End the processes. A later check starts others."""
        self._pool.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _limits(policy: Policy) -> dict[str, object]:
    return {
        "max_pixels": policy.max_pixels,
        "max_total_pixels": policy.max_total_pixels,
        "max_frames": policy.max_frames,
    }


def _count(told: Message, key: str) -> int | None:
    """Return a number that a process told, if it is one."""
    value = told.get(key)
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None


def _joined(before: Details, more: Details, findings: Findings) -> Details:
    """Return all that was found, in both looks."""
    return replace(
        before,
        width=more.width or before.width,
        height=more.height or before.height,
        frames=more.frames or before.frames,
        pages=more.pages or before.pages,
        findings=tuple(sorted({*before.findings, *findings.words, *more.findings})),
    )
