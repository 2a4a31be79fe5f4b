"""`Exchange`: one request and its answer, driven by a shell.

    answer = exchange.begin()            # None: it wants the body
    answer = exchange.write(data)        # an answer: stop reading, send it
    answer = exchange.finish()
    exchange.abort()                     # the client is gone; nothing is kept

A shell that has all of a small body when its request begins may do the three in one go
(`whole`), and need not have a thread wait for the disk (`Promised`).

Every error becomes an answer here; nothing is raised. The calls may come from different
threads; a lock keeps an `abort` from closing a file that a `write` is still using.
"""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from typing import Any

from wharfinger.errors import InternalError, MethodNotAllowed, Unavailable, WharfingerError
from wharfinger.protocol.problems import problem
from wharfinger.service import Wharf
from wharfinger.service.patience import Wait
from wharfinger.web import routes, tus_handlers
from wharfinger.web.answers import Answer, FileBody, empty_answer
from wharfinger.web.asking import Asked, Interim, Promise, Wanted
from wharfinger.web.cors import Cors
from wharfinger.web.gate import Gate
from wharfinger.web.intake import short_body
from wharfinger.web.limiting import FREE, Limiting
from wharfinger.web.proxies import NOBODY, Proxies
from wharfinger.web.remembering import MOST, Kept, Memory
from wharfinger.web.requests import RequestHead

log = logging.getLogger("wharfinger")


class WebInterface:
    """The HTTP interface of one service.

    Args:
        wharf: the service.
        proxies: those that are believed what they say of the clients behind them.
        remembers: whether the shell asks for answers at once: then small files stay open.
    """

    def __init__(self, wharf: Wharf, *, proxies: Proxies = NOBODY, remembers: bool = True) -> None:
        self.wharf = wharf
        self.gate = Gate(wharf)
        self.limiting = Limiting(wharf.limiter)
        self.proxies = proxies
        self.memory = Memory(wharf, most=MOST if remembers else 0, proxies=proxies)
        self.cors = Cors(wharf.settings.cors_origins)

    def exchange(self, head: RequestHead) -> Exchange:
        """Return the exchange for a request."""
        self.wharf.checking.start()  # what another process left behind is checked, too
        return Exchange(self, head)

    def refusal(self, error: Exception, head: RequestHead) -> Answer:
        """Return the answer for an error that a shell met before or besides an exchange."""
        return self.cors.mark(head, error_answer(error, head))


@dataclass(frozen=True, slots=True)
class Promised:
    """An answer that is there when `done` has a result, and then at once: an event loop may ask."""

    done: Future[Any]
    answer: Callable[[], Answer]


class Exchange:
    """One request and its answer."""

    def __init__(self, interface: WebInterface, head: RequestHead) -> None:
        self._interface = interface
        head = interface.memory.offloading.screened(head)
        self._head = head = interface.proxies.believed(head)
        self._turn = interface.limiting.turn(head)
        self._wanted: Wanted | None = None
        self._wait: Wait | None = None
        self._received = 0
        self._busy = threading.RLock()

    def at_once(self) -> Answer | None:
        """Return the answer if it can be had without waiting for anything: an event loop may ask."""
        try:
            if self._head.path == routes.LIVE:  # says that the process answers, whatever is busy
                return self.begin()
            limiting = self._interface.limiting
            if not limiting.may_answer_at_once:
                return None
            may_pass = self._may_pass if limiting.counts else None
            answer = self._interface.memory.answer(self._head, may_pass)
        except Exception as error:  # noqa: BLE001 - the outermost function: every error is an answer
            return self._refused(error)
        return None if answer is None else self._marked(answer)

    def begin(self) -> Answer | None:
        """Return the answer, or None when the body is wanted first."""
        try:
            self._turn.arrive()
            keep = self._interface.memory.begin(self._head)
            outcome = self._dispatch()
            if isinstance(outcome, Answer):
                keep(self._interface.cors.mark_plain(outcome), self._turn.principal)
                answer = self._marked(self._charged(outcome))
                return self._interface.memory.offloading.hand_off(self._head, answer)
            self._wanted = outcome
            self._turn.charge(self._head.length or 0)
            self._wait = Wait(self._interface.wharf.settings.patience, time.monotonic())
        except Exception as error:  # noqa: BLE001 - the outermost function: every error is an answer
            self.abort()
            return self._refused(error)
        return None

    def interims(self) -> Sequence[Interim]:
        """Return what may be said before the final answer, each once; never waits."""
        wanted = self._wanted
        return () if wanted is None or wanted.interims is None else wanted.interims()

    def write(self, data: bytes | bytearray | memoryview) -> Answer | None:
        """Take more of the body; return an answer when no more of it is wanted."""
        assert self._wanted is not None  # noqa: S101 - begin() asked for it
        assert self._wait is not None  # noqa: S101 - the same
        self._received += len(data)
        arrived = time.monotonic()
        try:
            with self._busy:
                self._wanted.sink.write(data)
            if self._head.length is None:
                self._turn.charge(len(data))
            self._wait.came(len(data), arrived)
            self._wait.goes_on(time.monotonic())
        except Exception as error:  # noqa: BLE001 - as in begin
            self.abort()
            return self._refused(error)
        return None

    def finish(self) -> Answer:
        """Return the answer to the whole request."""
        assert self._wanted is not None  # noqa: S101 - begin() asked for it
        try:
            with self._busy:
                return self._marked(self._wanted.answer(self._wanted.sink.finish()))
        except Exception as error:  # noqa: BLE001 - as in begin
            return self._refused(error)
        finally:
            self.abort()

    def last(self, data: bytes | bytearray | memoryview) -> Answer:
        """Take the last of the body and return the answer to the whole request."""
        return self.write(data) or self.finish()

    @property
    def may_speak(self) -> bool:
        """Whether there may be something to be said before the answer."""
        return self._wanted is not None and self._wanted.interims is not None

    def whole(self, data: bytes | bytearray | memoryview) -> Answer | Promised | None:
        """Take a whole body in, judged by its head first; return the answer, or what has it soon.

        None when there is more to do: what `interims` returns, then `finish`.
        """
        answer = self.begin() or self.write(data)
        wanted = self._wanted
        if answer is not None or wanted is None or wanted.soon is None:
            return answer
        if not self._interface.limiting.may_answer_at_once:
            return None
        try:
            with self._busy:
                promise = wanted.soon()
        except Exception as error:  # noqa: BLE001 - as in begin
            self.abort()
            return self._refused(error)
        if promise is None:
            return None
        return Promised(promise.done, lambda: self._kept(wanted, promise))

    def _kept(self, wanted: Wanted, promise: Promise) -> Answer:
        try:
            return self._marked(wanted.answer(promise.result()))
        except Exception as error:  # noqa: BLE001 - as in begin
            return self._refused(error)
        finally:
            self.abort()

    def cut_short(self) -> Answer:
        """Return the answer for a body that ended before it was complete; nothing is kept."""
        self.abort()
        return self._refused(short_body(self._received, self._head.length))

    def refuse(self, error: Exception) -> Answer:
        """Return the answer for an error that the shell met on the way."""
        return self._refused(error)

    def abort(self) -> None:
        """Keep nothing of what came. Harmless after the end."""
        if self._wanted is not None:
            with self._busy:
                self._wanted.sink.abort()

    def _refused(self, error: Exception) -> Answer:
        try:
            error = self._turn.judged(error)
        except Unavailable as away:
            error = away
        if tus_handlers.is_spoken(self._head):
            error = tus_handlers.told(error)
        return self._marked(self._dressed(error, error_answer(error, self._head)))

    def _dressed(self, error: Exception, answer: Answer) -> Answer:
        if self._wanted is None or self._wanted.refused is None:
            return answer
        try:
            return self._wanted.refused(error, answer)
        except Exception as worse:  # noqa: BLE001 - as in begin
            return error_answer(worse, self._head)

    def _marked(self, answer: Answer) -> Answer:
        answer = self._interface.cors.mark(self._head, tus_handlers.marked(self._head, answer))
        fields = self._turn.fields()
        return replace(answer, headers=(*answer.headers, *fields)) if fields else answer

    def _charged(self, answer: Answer) -> Answer:
        body = answer.body
        try:
            self._turn.charge(body.length if isinstance(body, FileBody) else len(body))
        except BaseException:
            answer.close()
            raise
        return answer

    def _may_pass(self, kept: Kept, size: int) -> bool:
        return self._interface.limiting.may_pass(self._head.client, kept.principal, size)

    def _dispatch(self) -> Answer | Wanted:
        interface, head = self._interface, routes.overridden(self._head)
        try:
            route, parameters = routes.find(head.method, head.path)
        except MethodNotAllowed as error:
            if head.method == "OPTIONS":
                return empty_answer(204, (("Allow", ", ".join(error.allowed)),))
            raise
        turn = self._turn
        gate = interface.gate if turn is FREE else Gate(interface.wharf, turn)
        outcome = route.handler(Asked(interface.wharf, gate, head, parameters, turn))
        if head.method == "OPTIONS" and isinstance(outcome, Answer):
            allow = ("Allow", ", ".join(routes.methods(head.path)))
            return replace(outcome, headers=(allow, *outcome.headers))
        return outcome


def error_answer(error: Exception, head: RequestHead) -> Answer:
    """Return the answer for an error: a problem document, and nothing internal in it.

    An error that is not of our tree is a bug: it gets a random reference that is also in
    the log, next to the trace.
    """
    if not isinstance(error, WharfingerError):
        reference = secrets.token_hex(8)
        log.error("internal error %s", reference, exc_info=error)
        error = InternalError(
            f"Something went wrong here; reference {reference}.", reference=reference
        )
    elif error.http_status >= 500:  # noqa: PLR2004 - the class of server errors
        log.error("%s %s: %s", head.method, error.code, error)
    found = problem(error, method=head.method)
    return Answer(status=found.status, headers=tuple(found.headers), body=found.body)
