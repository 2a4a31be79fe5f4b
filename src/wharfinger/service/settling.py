"""What a judgement makes of a file that was waiting for it.

The bytes rest in staging under the file's id. Passed: they are published, then the record
says so, then the staged name goes; a crash in between is made good by whoever does the job
next. Refused: the record says why, with it the upload and the links, then the bytes go. All of
it only while the record stands where it stood, and only with the newest lease of the job. Who
publishes holds the staged bytes' lock until that is recorded: what one has published, and perhaps
recorded, no other replaces.
"""

from __future__ import annotations

import contextlib
import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final, Protocol

from wharfinger.catalog import Catalog, FileState, Job, JobKind, StoredFile
from wharfinger.catalog import files as file_statements
from wharfinger.catalog import jobs as job_statements
from wharfinger.catalog import links as link_statements
from wharfinger.catalog import upload_links as upload_link_statements
from wharfinger.catalog import uploads as upload_statements
from wharfinger.errors import NotFound, StorageFull, Unavailable, WharfingerError
from wharfinger.service.events import FAILED, HELD, READY, REFUSED, RELEASED
from wharfinger.service.judging import Held, Passed
from wharfinger.service.refusals import problem_of
from wharfinger.stores import Staging, Store

if TYPE_CHECKING:
    from sqlalchemy import Connection

log = logging.getLogger("wharfinger")

# A file whose check failed so often is given up: somebody has to look at it.
MOST_TRIES: Final = 5
_LONGEST_WAIT: Final = 300.0


class Note(Protocol):
    """Records events of a file in the transaction that makes them happen: `Events.note`."""

    def __call__(
        self,
        connection: Connection,
        stored: StoredFile,
        *types: str,
        problem: Mapping[str, object] | None = None,
    ) -> None:
        """Record them."""
        ...


class LeaseLost(Exception):
    """Somebody else does the job by now, or the file is not what it was."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Settling:
    """Settles files of one service."""

    catalog: Callable[[], Catalog]
    store: Callable[[], Store]
    now: Callable[[], datetime]
    note: Note

    def passed(self, stored: StoredFile, judgement: Passed, job: Job | None) -> StoredFile:
        """Make a staged file one that is handed out. Raises LeaseLost."""
        ready = _as_judged(replace(stored, state=FileState.READY, problem=None), judgement)

        def settle(connection: Connection) -> None:
            if job is not None and not job_statements.done(connection, job):
                raise LeaseLost
            self._make_ready(connection, ready, stored.state)
            self.note(connection, ready, READY)

        try:
            self._publish(stored, job, judgement.rewritten, settle)
        finally:
            judgement.discard()
        return ready

    def released(
        self, stored: StoredFile, judgement: Passed | None, reason: str, by: str
    ) -> StoredFile:
        """Make a held file one that is handed out, because a person says so. Raises LeaseLost.

        `judgement` has what the policy has written anew of it; None: it is kept as it is.
        """
        ready = replace(stored, state=FileState.READY, problem=None)
        if judgement is not None:
            ready = _as_judged(ready, judgement)

        def settle(connection: Connection) -> None:
            self._make_ready(connection, ready, stored.state)
            told = {"code": "released", "detail": reason, "by": by}
            self.note(connection, ready, RELEASED, READY, problem=told)

        try:
            self._publish(stored, None, None if judgement is None else judgement.rewritten, settle)
        finally:
            if judgement is not None:
                judgement.discard()
        return ready

    def held(self, stored: StoredFile, judgement: Held, job: Job) -> None:
        """Keep a file that nobody can judge where nobody can read it. Raises LeaseLost."""
        judgement.discard()  # it is written anew when it is judged again
        problem = json.loads(problem_of(judgement.problem))
        held = replace(
            stored,
            name=judgement.name or stored.name,
            type=judgement.facts.type,
            details=judgement.facts.details.describe(),
            state=FileState.HELD,
            problem=problem,
        )

        def settle(connection: Connection) -> None:
            if not self._put_back(connection, job, judgement):
                raise LeaseLost
            if not file_statements.settle(connection, held, stored.state):
                raise LeaseLost
            if stored.state is not FileState.HELD:
                self.note(connection, held, HELD, problem=problem)

        self.catalog().write(settle)

    def later(self, judgement: Held, job: Job) -> None:
        """Ask again later, and leave the file as it is."""
        self.catalog().write(lambda connection: self._put_back(connection, job, judgement))

    def refused(self, stored: StoredFile, error: WharfingerError, job: Job | None) -> None:
        """Withdraw a file for good, its links with it. Raises LeaseLost."""
        kept = problem_of(error)
        problem = json.loads(kept)

        def settle(connection: Connection) -> None:
            if job is not None and not job_statements.done(connection, job):
                raise LeaseLost
            refused = file_statements.refuse(connection, stored.id, problem, self.now())
            if refused is None:
                raise LeaseLost
            job_statements.forget(connection, stored.id)
            link_id = file_statements.declared(connection, stored.id).get("link")
            if link_id is not None and stored.state is not FileState.READY:
                upload_link_statements.give_back(connection, link_id, stored.size)
            upload_statements.refuse_of_file(connection, stored.id, kept)
            link_statements.remove_of_file(connection, stored.id)
            self.note(connection, refused, REFUSED, problem=problem)

        self.catalog().write(settle, revokes=True)
        self.store().delete(stored.id)
        self.store().delete_part(stored.id)

    def failed(self, stored: StoredFile, error: Exception, job: Job) -> None:
        """Put a job back whose check went wrong; after `MOST_TRIES` give the file up.

        What passes by itself is no reason to: a scanner that is away, a full disk.
        """
        tries = job.tries + 1
        parked = tries >= MOST_TRIES and not isinstance(error, (Unavailable, StorageFull))
        problem = {
            "code": "internal",
            "detail": f"The check of the file failed {tries} times; an operator has to look.",
            "hint": "",
        }
        given_up = replace(stored, state=FileState.FAILED, problem=problem)

        def settle(connection: Connection) -> bool:
            again = job_statements.again(
                connection,
                job,
                tries=tries,
                next_at=self.now() + _wait(tries),
                error=f"{type(error).__name__}: {error}"[:500],
                parked=parked,
            )
            lost = again and parked and job.kind is not JobKind.RESCAN
            if lost and file_statements.settle(connection, given_up, stored.state):
                self.note(connection, given_up, FAILED, problem=problem)
            return again

        if self.catalog().write(settle):  # else the file was removed, or somebody else does it
            log.error(
                "the check of file %s failed (%d of %d)",
                stored.id,
                tries,
                MOST_TRIES,
                exc_info=error,
            )

    def _make_ready(self, connection: Connection, ready: StoredFile, before: FileState) -> None:
        if not file_statements.settle(connection, ready, before):
            raise LeaseLost
        job_statements.forget(connection, ready.id)  # those that were given up, too

    def _publish(
        self,
        stored: StoredFile,
        job: Job | None,
        rewritten: Staging | None,
        settle: Callable[[Connection], None],
    ) -> None:
        """Publish what is kept of a file, or what was written anew, and record it. Raises LeaseLost."""
        store = self.store()
        try:
            part = store.open_part(stored.id)
        except NotFound:
            self._check_stands(stored, job)
            raise
        with contextlib.closing(part), part.locked():
            self._check_stands(stored, job)
            try:
                store.publish(rewritten or part, stored.id)
            except FileExistsError:
                # A crash came between publishing and recording. What was written anew then may
                # have other bytes, and nobody can have read it.
                store.delete(stored.id)
                store.publish(rewritten or part, stored.id)
            try:
                self.catalog().write(settle)
            except LeaseLost:
                store.delete(stored.id)  # it was refused or removed meanwhile, or comes again
                raise
            store.delete_part(stored.id)

    def _check_stands(self, stored: StoredFile, job: Job | None) -> None:
        """Raise LeaseLost when somebody else does the job, or has done it."""

        def stands(connection: Connection) -> bool:
            found = file_statements.find(connection, stored.id)
            mine = job is None or job_statements.is_leased(connection, job)
            return mine and found is not None and found.state is stored.state

        if not self.catalog().read(stands):
            raise LeaseLost

    def _put_back(self, connection: Connection, job: Job, judgement: Held) -> bool:
        if not judgement.again:
            return job_statements.done(connection, job)
        tries = job.tries + 1
        return job_statements.again(
            connection,
            job,
            tries=tries,
            next_at=self.now() + _wait(tries),
            error=str(judgement.problem),
            parked=False,
        )


def _as_judged(stored: StoredFile, judgement: Passed) -> StoredFile:
    facts = judgement.facts
    return replace(
        stored,
        name=judgement.name or stored.name,
        type=facts.type,
        size=facts.size,
        sha256=facts.sha256,
        details=facts.details.describe(),
    )


def _wait(tries: int) -> timedelta:
    return timedelta(seconds=min(2.0**tries, _LONGEST_WAIT))
