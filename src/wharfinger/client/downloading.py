"""One download from its first attempt to the published file.

Order is the point: head judged, first bytes judged, only then a file is made; all bytes
counted, hashed and judged, only then it gets its name.
"""

from __future__ import annotations

import hmac
import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from wharfinger import names
from wharfinger.client import heads
from wharfinger.client.beginning import Beginning, ReadAgain
from wharfinger.client.decoding import ASKED_FOR, DecodedBody
from wharfinger.client.expectation import Expectation, judge_content_type
from wharfinger.client.parallel import GoOnAlone, Helpers
from wharfinger.client.pipeline import Pipeline
from wharfinger.client.request import Request
from wharfinger.errors import (
    BadResponse,
    IntegrityError,
    Interrupted,
    Rejected,
    StorageFull,
    TooLarge,
    TransferError,
    TransferTimeout,
    TypeNotAllowed,
    UsageError,
    WharfingerError,
)
from wharfinger.inspection import HEAD_SIZE, Buffer, Facts, Inspection
from wharfinger.policy import DEFAULT_MAX_SIZE, Policy
from wharfinger.units import show_size

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from wharfinger.client.pipeline import Digest
    from wharfinger.client.progress import Meter
    from wharfinger.client.retrying import Retrying
    from wharfinger.client.sinks import Sink
    from wharfinger.client.timeouts import Stopwatch
    from wharfinger.client.transport import Answer, Transport
    from wharfinger.net.bodies import BodyReader
    from wharfinger.net.urls import Url

_SHA256: Final = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Download:
    """A finished download.

    `path` is where it lies (None: it went into a file object), `size` its bytes, `type`
    what its content is, `sha256` their digest in hexadecimal, `name` what the server calls
    it (cleaned), `resumed_from` how many bytes were there already, `seconds` how long it
    took, `url` where it came from in the end, `length_verified` whether the server or a
    digest told how long it is.
    """

    path: Path | None
    size: int
    type: str
    sha256: str
    name: str
    resumed_from: int
    seconds: float
    url: str
    length_verified: bool


@dataclass(frozen=True, kw_only=True)
class Rules:
    """What a download must be: the expectation of its head, the policy and digest of its content."""

    expectation: Expectation | None
    policy: Policy | None
    max_size: int
    sha256: str | None

    @classmethod
    def of(
        cls,
        *,
        expectation: Expectation | None,
        policy: Policy | None,
        max_size: int | None,
        sha256: str | None,
    ) -> Rules:
        """Return the rules of a call.

        Raises:
            UsageError: the digest is none.
        """
        if sha256 is not None:
            sha256 = str(sha256).strip().lower()
            if not _SHA256.fullmatch(sha256):
                raise UsageError("sha256 must be 64 hexadecimal digits.")
        if not isinstance(policy, (Policy, type(None))):
            raise UsageError(
                f"policy= is a {policy.__class__.__name__}.",
                hint="It takes a Policy, such as Policy.images().",
            )
        if max_size is None:
            limit = DEFAULT_MAX_SIZE if policy is None else policy.max_size
        else:
            limit = max_size if policy is None else min(max_size, policy.max_size)
        return cls(expectation=expectation, policy=policy, max_size=limit, sha256=sha256)

    def inspection_policy(self) -> Policy:
        """Return the policy that the content is judged under."""
        if self.policy is not None:
            return self.policy
        types = None if self.expectation is None else self.expectation.policy_types
        # Without a wish nothing has to agree; active content in disguise is refused anyway.
        return Policy(
            types=types, max_size=self.max_size, require_agreement=self.expectation is not None
        )

    def judge_size(self, size: int | None, counted: int = 0) -> None:
        """Refuse a size, declared or counted, that is over the limit."""
        if max(size or 0, counted) <= self.max_size:
            return
        what = "at least that and more came" if size is None else f"it is {show_size(size)}"
        raise TooLarge(
            f"The content may be {show_size(self.max_size)} long, and {what}.",
            limit=self.max_size,
            size=size,
            hint="If you want it all the same, pass a larger max_size=.",
        )


@dataclass(kw_only=True)
class Job:
    """One download that is under way."""

    transport: Transport
    url: Url
    theirs: tuple[tuple[str, str], ...]
    rules: Rules
    sink: Sink
    watch: Stopwatch
    retrying: Retrying
    meter: Meter
    file_name: str | None
    connections: int = 1
    decode: bool = False
    _resumed_from: int = 0
    _in_body: bool = False
    _anew: bool = False
    _beginning: Beginning = field(init=False)

    def __post_init__(self) -> None:
        self._beginning = Beginning(self.sink, self.watch, self.meter)

    def run(self) -> Download:
        """Download, as often as it is worth it, and return what came of it."""
        try:
            while True:
                try:
                    return self._attempt()
                except GoOnAlone:
                    self.connections = 1  # and from what is there, if that can be resumed
                except heads.StartOver:
                    self._anew = True  # the next request is for the whole, so this comes once
                except ReadAgain:
                    pass  # what is there, for one more of the few algorithms
                except WharfingerError as error:
                    if self._spoiled(error):
                        self.sink.discard()
                        raise
                    if not self.sink.restartable or not self.retrying.again(
                        error, self.watch.left()
                    ):
                        self._explain(error)
                        raise
        except KeyboardInterrupt as interrupt:
            hint = self.sink.resume_hint()
            if hint is not None:
                interrupt.add_note(hint)
            raise
        finally:
            self.sink.close()

    def _spoiled(self, error: WharfingerError) -> bool:
        """Return whether nothing that was written is of any use after this error.

        A head alone spoils nothing: the sign-in page of a hotel may have come instead of the
        rest, and the validator tells next time whether what is there still belongs to it.
        """
        spoils = (Rejected, IntegrityError, StorageFull, BadResponse)
        return self._in_body and isinstance(error, spoils)

    def _explain(self, error: WharfingerError) -> None:
        if isinstance(error, TransferError) and error.retryable:
            hint = self.sink.resume_hint()
            if hint is not None:
                error.hint = hint

    def _attempt(self) -> Download:
        self._in_body = False
        held = None if self._anew else self.sink.held()
        if held is not None:
            self._beginning.read(held.offset)
        self.meter.enter("connecting")
        with self.transport.send(self._request(held), self.watch) as answer:
            offer, body = self._readable(answer, heads.judge(answer, held))
            where = answer.url.shown
            claimed = judge_content_type(
                answer.headers.get("content-type"),
                self.rules.expectation,
                self.rules.policy,
                where,
            )
            self.rules.judge_size(offer.size)
            name = self._final_name(offer.name, answer)
            head = self._beginning.head if offer.offset else b""
            # What is too short to be judged goes the way of what comes, and is hashed with it.
            hashed = offer.offset if len(head) == HEAD_SIZE else 0
            digests = self._beginning.digests(offer.digests, offset=hashed)
            pipeline = Pipeline(
                tuple(digests.values()),
                self._writer(offer, there=offer.offset - hashed),
                size=_rest(offer),
            )
            inspection = Inspection(
                self.rules.inspection_policy(),
                name=self._judged_name(name),
                type=claimed or None,
                length=offer.size,
                hasher=pipeline,
            )
            self._in_body = True
            with self._helpers() as helpers, pipeline:
                if offer.offset:
                    self.sink.go_on(offer.offset)
                    if hashed:
                        inspection.go_on(head, offer.offset)
                    else:
                        pipeline.put_now(inspection.feed(head))
                facts = self._receive(
                    answer, body, offer, inspection=inspection, pipeline=pipeline, helpers=helpers
                )
            self._verify(facts, offer, digests)
            if isinstance(body, DecodedBody) and self.rules.sha256 is None:
                body.verify()
            facts = self._looked_into(facts, self._judged_name(name), claimed)
            return self._finished(answer, offer, facts, name)

    def _readable(
        self, answer: Answer, offer: heads.Offer
    ) -> tuple[heads.Offer, BodyReader | DecodedBody]:
        """Return the offer and the body as they are about the content that will be kept."""
        if not answer.coding:
            return offer, answer.body
        limit = self.rules.max_size
        body = DecodedBody(answer.body, answer.coding, digests=offer.digests, limit=limit)
        # Length, digests and ranges are those of the coded content (RFC 9530 section 2).
        return replace(offer, size=None, validator="", digests={}), body

    def _request(self, held: heads.Held | None) -> Request:
        ours = [("Want-Repr-Digest", "sha-256=10, sha-512=5")]
        if held is not None:
            last = "" if held.last is None else held.last
            ours += [("Range", f"bytes={held.offset}-{last}"), ("If-Range", held.validator)]
        return Request(
            method="GET",
            url=self.url,
            ours=tuple(ours),
            theirs=self.theirs,
            codings=ASKED_FOR if self.decode else "identity",
        )

    def _helpers(self) -> Helpers:
        return Helpers(
            connections=self.connections,
            transport=self.transport,
            watch=self.watch,
            sink=self.sink,
            request=self._request,
            retrying=self.retrying.of_a_helper,
        )

    def _final_name(self, claimed: str, answer: Answer) -> str:
        fallback = names.clean(answer.url.last_segment)
        name = names.clean(claimed, fallback=fallback) if claimed else fallback
        if self.file_name is None:
            self.sink.check(name)
        return name

    def _judged_name(self, name: str) -> str | None:
        # Also without a policy: a page must not lie about as a picture.
        return name if self.file_name is None else self.file_name or None

    def _receive(
        self,
        answer: Answer,
        body: BodyReader | DecodedBody,
        offer: heads.Offer,
        *,
        inspection: Inspection,
        pipeline: Pipeline,
        helpers: Helpers,
    ) -> Facts:
        self._resumed_from = offer.offset
        self.meter.enter("receiving", done=offer.offset, total=offer.size)
        received = offer.offset
        while received != helpers.boundary:
            room = pipeline.room()
            if helpers.boundary is not None:
                room = room[: helpers.boundary - received]
            count = body.readinto(room)
            if not count:
                break
            received += count
            self.rules.judge_size(offer.size, received)
            pipeline.put(inspection.feed(room[:count]))
            self.meter.reach(received + helpers.received)
            if helpers.may_start(offer, received):
                helpers.start(offer, received)
            elif received == helpers.boundary and helpers.failed():
                pipeline.close()
                helpers.dismiss(received)
        _check_end(received, offer, helpers.boundary)
        if helpers.boundary is not None:
            pipeline.close()
            try:
                for block in helpers.blocks(lambda: self.meter.reach(received + helpers.received)):
                    inspection.feed(block)
            except GoOnAlone as alone:
                helpers.dismiss(alone.kept)
                received = self._read_on(answer, received, alone.kept, inspection, pipeline)
                _check_end(received, offer, None)
            else:
                answer.abandon()
        rest, facts = inspection.finish()
        pipeline.put(rest)
        return facts

    def _read_on(
        self,
        answer: Answer,
        received: int,
        kept: int,
        inspection: Inspection,
        pipeline: Pipeline,
    ) -> int:
        """Read the rest over the first connection, which stopped before some bytes that are there.

        Returns:
            How many bytes came in all.

        Raises:
            GoOnAlone: the server has given it up meanwhile.
        """
        answer.body.patience = self.watch.body()
        try:
            while received < kept:
                count = answer.body.readinto(pipeline.room()[: kept - received])
                if not count:
                    raise GoOnAlone(kept)  # it ended before what is there
                received += count
            while count := answer.body.readinto(room := pipeline.room()):
                received += count
                pipeline.put(inspection.feed(room[:count]))
                self.meter.reach(received)
        except (Interrupted, TransferTimeout) as error:
            raise GoOnAlone(kept) from error
        return received

    def _finished(self, answer: Answer, offer: heads.Offer, facts: Facts, name: str) -> Download:
        self.meter.finish()
        if not self.sink.started:
            self.sink.begin(offer)  # an empty file
        target = name if self.file_name is None else self.file_name
        return Download(
            path=self.sink.publish(target),
            size=facts.size,
            type=facts.type,
            sha256=facts.sha256,
            name=name,
            resumed_from=self._resumed_from,
            seconds=self.watch.clock() - self.watch.started,
            url=answer.url.shown,
            length_verified=answer.body.exact or bool(offer.digests) or bool(self.rules.sha256),
        )

    def _looked_into(self, facts: Facts, name: str | None, claimed: str) -> Facts:
        """Judge the whole content as a policy of the caller asks for, before it appears.

        What goes to a stream is out already, and only its bytes were judged.
        """
        policy = self.rules.policy
        if policy is None or not policy.check_content or not self.sink.scatters or not facts.size:
            return facts
        from wharfinger.client.looking import looked_into, reading

        self.meter.enter("checking", total=facts.size)
        with reading(self.sink.read_at, facts.size) as file:
            return looked_into(file, facts, policy, name=name, type=claimed or None)

    def _writer(self, offer: heads.Offer, *, there: int) -> Callable[[Sequence[Buffer]], None]:
        """Return what writes cleared bytes; the first `there` of them are on disk already."""
        begun = bool(offer.offset)

        def write(blocks: Sequence[Buffer]) -> None:
            nonlocal begun, there
            for block in blocks:
                view = memoryview(block)[there:]
                there = max(there - len(block), 0)
                if view and not begun:
                    self.sink.begin(offer)
                    begun = True
                if view:
                    self.sink.write((view,))

        return write

    def _verify(self, facts: Facts, offer: heads.Offer, digests: Mapping[str, Digest]) -> None:
        # The caller's digest comes from another place than the content and wins.
        if self.rules.sha256 is not None and not hmac.compare_digest(
            facts.sha256, self.rules.sha256
        ):
            raise IntegrityError(
                f"The content's SHA-256 is {facts.sha256}, not {self.rules.sha256}."
            )
        if self.rules.sha256 is None:
            for algorithm, theirs in offer.digests.items():
                if not hmac.compare_digest(digests[algorithm].digest(), theirs):
                    raise IntegrityError(
                        f"The content does not have the {algorithm} digest that the server names."
                    )
        expectation = self.rules.expectation
        if expectation is not None and expectation.policy_types is None:
            self._judge_type(facts, expectation)

    @staticmethod
    def _judge_type(facts: Facts, expectation: Expectation) -> None:
        if not expectation.fits(facts.type):
            raise TypeNotAllowed(f"The content is {facts.type}, not {expectation.written}.")


def _check_end(received: int, offer: heads.Offer, boundary: int | None) -> None:
    """Refuse another length than the promised one: in chunks, a body can end anywhere."""
    end = offer.size if boundary is None else boundary
    if end is None or received == end:
        return
    if received > end:
        raise BadResponse(f"More bytes came than the {offer.size} that were announced.")
    raise Interrupted(
        f"{received} of {offer.size} bytes came.", received=received, expected=offer.size
    )


def _rest(offer: heads.Offer) -> int | None:
    return None if offer.size is None else offer.size - offer.offset
