"""`Checking`: files are judged on a few threads, and whoever needs the verdict waits for it.

A file is judged while its upload waits. When that takes longer than anybody should wait, the
file is recorded as being checked, together with a job that this process has taken on; the
judgement goes on, and settles the file when it comes. A job whose process died is done again by
another one, or by `wharf worker`. Nothing of a file can be read before it is settled.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, BinaryIO, Final

from wharfinger.catalog import Catalog, FileState, Job, JobKind, StoredFile
from wharfinger.catalog import files as file_statements
from wharfinger.catalog import jobs as job_statements
from wharfinger.errors import (
    NotFound,
    NotReady,
    Rejected,
    UsageError,
    WharfingerError,
)
from wharfinger.policy import Policy
from wharfinger.service.checking_settings import CheckingSettings
from wharfinger.service.collections import Collection
from wharfinger.service.crew import LOOK_SECONDS, Crew
from wharfinger.service.declared import (
    declared_of,
    facts_of,
    named,
    policy_of,
    staged_again,
)
from wharfinger.service.judging import Held, Judge, Judgement, Passed, Staged, Unjudged
from wharfinger.service.living import Living
from wharfinger.service.refusals import error_of_problem
from wharfinger.service.settling import LeaseLost, Settling
from wharfinger.stores import Store

if TYPE_CHECKING:
    from sqlalchemy import Connection


log = logging.getLogger("wharfinger")

# A scanner that is away is asked again after this, and then less and less often.
_SOON: Final = timedelta(seconds=2)
# Each check that waits for a thread has a file open; more of them wait in the catalog alone.
_MOST_UNDER_WAY: Final = 128
# So long is waited for checks that run when the service ends.
_STOP_SECONDS: Final = 5.0


class Checking:
    """The checks of one service, in one process.

    Args:
        settings: how many at a time, and how long they may take.
        judge: says what is to become of a file.
        settling: makes it come true.
        catalog: returns the open catalog.
        store: returns the open store.
        living: returns who this process is.
        collections: the places for files; those of others are left to who knows them.
        now: the clock.
    """

    def __init__(
        self,
        settings: CheckingSettings,
        *,
        judge: Judge,
        settling: Settling,
        catalog: Callable[[], Catalog],
        store: Callable[[], Store],
        living: Callable[[], Living],
        collections: Mapping[str, Collection],
        now: Callable[[], datetime],
    ) -> None:
        self.settings = settings
        self._judge = judge
        self._settling = settling
        self._catalog = catalog
        self._store = store
        self._living = living
        self._collections = collections
        self._now = now
        self._stop = threading.Event()
        self._crew = Crew(settings.workers, self._next)

    @property
    def scans(self) -> bool:
        """Whether a scanner is asked about files."""
        return self._judge.scanner is not None

    # --- while an upload waits ----------------------------------------------------------------

    def judge_all(self, files: Sequence[Staged]) -> list[Judgement | Rejected]:
        """Return what is to become of the files of one request, as far as that is known in time.

        Raises:
            Unavailable: the scanner is away, and nothing is held.
        """
        if all(self._judge.is_quick(staged) for staged in files):
            return [
                _now_or_rejected(partial(self._judge.judge, staged, staged.open()))
                for staged in files
            ]
        if not self.settings.workers or self._crew.under_way >= _MOST_UNDER_WAY:
            return [Unjudged(None) for _ in files]
        futures: list[Future[Passed | Held]] = []
        try:
            for staged in files:
                # Opened here: when a thread comes to it, the upload may have let go of its own.
                file = staged.open()
                futures.append(self._crew.submit(self._judge.judge, staged, file))
                futures[-1].add_done_callback(partial(_close, file))  # also when it is cancelled
            with self._crew.patience(self.settings.wait) as seconds:
                self._crew.wait_for(futures, seconds)
            return [
                _now_or_rejected(future.result) if future.done() else Unjudged(future)
                for future in futures
            ]
        except BaseException:
            for future in futures:
                Unjudged(future).discard()
            raise

    def enqueue(
        self, connection: Connection, stored: StoredFile, staged: Staged, judgement: Judgement
    ) -> Job | None:
        """Record with the file that it is still to be judged; return the job if this process does it."""
        now = self._now()
        if not isinstance(judgement, Passed):
            file_statements.declare(connection, stored.id, declared_of(staged))
        match judgement:
            case Passed() | Held(again=False):
                return None
            case Held():
                job_statements.enqueue(connection, stored.id, self._kind, now + _SOON)
                return None
            case Unjudged(future):
                job_statements.enqueue(connection, stored.id, self._kind, now)
                if future is None:
                    return None
                until = now + timedelta(seconds=self.settings.deadline)
                return job_statements.lease_of(connection, stored.id, self._living().name, until)

    def go_on(self, stored: StoredFile, job: Job | None, judgement: Judgement) -> None:
        """Settle a recorded file when its judgement comes."""
        if job is None or not isinstance(judgement, Unjudged) or judgement.future is None:
            return
        lease = job

        def settle(future: Future[Passed | Held]) -> None:
            if not future.cancelled():  # else this process ends, and another one does the job
                self._settle(stored, lease, future.result)

        judgement.future.add_done_callback(settle)

    def verdict(self, stored: StoredFile) -> StoredFile:
        """Return the record once the file is checked, or as it is when that takes too long.

        Raises:
            Rejected: the file was refused.
        """
        stored = self._settled(stored, time.monotonic() + self.settings.wait)
        if stored.state is FileState.REFUSED:
            raise error_of_problem(stored.problem)
        return stored

    def verdicts(self, files: Sequence[StoredFile]) -> list[StoredFile]:
        """Return the records of the files of one request likewise; of several each has its own.

        Raises:
            Rejected: the only one was refused.
        """
        if len(files) == 1:
            return [self.verdict(files[0])]
        until = time.monotonic() + self.settings.wait
        return [self._settled(stored, until) for stored in files]

    # --- jobs ---------------------------------------------------------------------------------

    def start(self) -> None:
        """Do, from now on, the jobs that nobody does. Harmless when called twice, or too late."""
        if self.settings.workers and not self._stop.is_set():
            self._crew.begin()

    def run(self, *, until_idle: bool = True, stop: threading.Event | None = None) -> int:
        """Do jobs on this thread: those that are due, or until `stop` is set; return how many."""
        stop = self._stop if stop is None else stop
        done = 0
        while not stop.is_set():
            try:
                did = self._one()
            except (WharfingerError, OSError) as error:
                if until_idle:
                    raise
                log.error("jobs could not be done and are tried again: %s", error)  # noqa: TRY400
                did = False
            if did:
                done += 1
            elif until_idle:
                break
            else:
                stop.wait(LOOK_SECONDS)
        return done

    def rescan(self, *, collection: str | None = None, since: datetime | None = None) -> int:
        """Have ready files scanned again, held and failed ones checked again; return how many.

        Without a scanner only what was given up is checked again.

        Raises:
            UsageError: there is neither a scanner nor a check that was given up.
        """
        now = self._now()
        kinds = {FileState.READY: JobKind.RESCAN, FileState.HELD: JobKind.SCAN}

        def enqueue(connection: Connection) -> int:
            count = job_statements.hurry(connection, now, collection=collection, since=since)
            for state, kind in kinds.items() if self.scans else ():
                count += job_statements.enqueue_all(
                    connection, (state,), kind, now, collection=collection, since=since
                )
            return count

        count = self._catalog().write(enqueue)
        if not count and not self.scans:
            raise UsageError(
                "There is no scanner to ask, and no check was given up.",
                hint="Name a scanner in [scan] of the configuration file.",
            )
        return count

    def release(self, file_id: str, *, reason: str, by: str) -> StoredFile:
        """Hand a held file out after all, because a person looked at it and says so.

        Raises:
            NotFound: there is no such file.
            NotReady: it is not held.
            UsageError: no reason is given.
            Rejected: the policy has images written anew, and this one cannot be.
        """
        if not reason.strip():
            raise UsageError("A held file is released for a reason; none is given.")
        stored = self._find(file_id)
        if stored.state not in (FileState.HELD, FileState.FAILED):
            raise NotReady(f"The file is {stored.state.value}; only held files are released.")
        try:
            judgement = self._written_anew(stored)
            released = self._settling.released(stored, judgement, reason.strip(), by)
        except LeaseLost:
            raise NotReady("The file has just been settled by a check.") from None
        log.warning("file %s was released by %s: %s", file_id, by, reason.strip())
        return released

    def counts(self) -> tuple[int, int]:
        """Return how many checks wait or go on, and how many were given up."""
        return self._catalog().read(job_statements.counts)

    def hurry(self) -> None:
        """Let no request wait for its verdict from now on: the service is about to end."""
        self._crew.hurry()

    def close(self) -> None:
        """Let no check begin any more, and wait a while for those that run.

        One that hangs is not waited for: its job is another process's from then on.
        """
        self._stop.set()
        if not self._crew.close(_STOP_SECONDS):
            log.warning("a check that takes long was left; it is done again later")
        self._judge.close()

    # --- inside -------------------------------------------------------------------------------

    def _next(self) -> Callable[[], None] | None:
        """Take on a job; return what does it."""
        job = self._lease()
        return None if job is None else partial(self._do, job)

    def _one(self) -> bool:
        """Do one job; return whether there was one."""
        job = self._lease()
        if job is not None:
            self._do(job)
        return job is not None

    def _lease(self) -> Job | None:
        """Take on the job that waits longest, also that of a process that died."""
        now, living = self._now(), self._living()
        until = now + timedelta(seconds=self.settings.deadline)
        dead = [
            worker
            for worker in self._catalog().read(job_statements.workers)
            if not living.is_alive(worker)
        ]

        def lease(connection: Connection) -> Job | None:
            for worker in dead:
                job_statements.release(connection, worker)
            return job_statements.lease(
                connection,
                living.name,
                kinds=self._kinds,
                collections=self._collections,
                now=now,
                until=until,
            )

        if not dead and not self._catalog().read(
            lambda connection: job_statements.is_due(
                connection, self._kinds, self._collections, now
            )
        ):
            return None
        return self._catalog().write(lease)

    def _do(self, job: Job) -> None:
        try:
            stored = self._find(job.file_id)
        except NotFound:
            self._catalog().write(lambda connection: job_statements.done(connection, job))
            return
        if job.kind is JobKind.RESCAN:
            self._settle(stored, job, lambda: self._scan_again(stored))
        else:
            self._settle(stored, job, lambda: self._check_again(stored))

    def _settle(self, stored: StoredFile, job: Job, judgement: Callable[[], Passed | Held]) -> None:
        """Judge a file and settle it; whatever goes wrong is in the log and on the job."""
        try:
            try:
                match judgement():
                    case Passed() as passed if job.kind is not JobKind.RESCAN:
                        self._settling.passed(stored, passed, job)
                    case Held() as held if job.kind is not JobKind.RESCAN:
                        self._settling.held(stored, held, job)
                    case Held(again=True) as held:
                        self._settling.later(held, job)
                    case _:
                        self._catalog().write(
                            lambda connection: job_statements.done(connection, job)
                        )
            except Rejected as error:
                self._settling.refused(stored, error, job)
            except LeaseLost:
                log.info("file %s was settled by somebody else", stored.id)
            except Exception as error:  # noqa: BLE001 - one file's check harms no other
                self._settling.failed(stored, error, job)
        except Exception:
            log.exception("the check of file %s could not be recorded", stored.id)

    @property
    def _kind(self) -> JobKind:
        """What a file waits for that comes in here."""
        return JobKind.SCAN if self.scans else JobKind.CHECK

    @property
    def _kinds(self) -> tuple[JobKind, ...]:
        """What can be done here."""
        return tuple(JobKind) if self.scans else (JobKind.CHECK,)

    def _policy(self, collection: str) -> Policy:
        found = self._collections.get(collection)
        if found is None:
            raise NotFound(
                f"The collection {collection!r} is not known here, and with it what it asks of files.",
                hint="Name the configuration that it stands in (--config).",
            )
        return found.policy

    def _written_anew(self, stored: StoredFile) -> Passed | None:
        """Return what the policy has written anew of a file, whatever a scanner says."""
        policy = self._policy(stored.collection)
        if not (policy.strip_metadata or policy.reencode):
            return None
        judgement = self._check_again(stored, scanned=False)
        return judgement if isinstance(judgement, Passed) else None

    def _check_again(self, stored: StoredFile, *, scanned: bool = True) -> Passed | Held:
        declared = self._catalog().read(
            lambda connection: file_statements.declared(connection, stored.id)
        )
        policy = policy_of(declared, self._policy(stored.collection))
        part = self._store().open_part(stored.id)
        with contextlib.closing(part):
            staged = staged_again(stored, declared, policy, part.reader)
            judgement = self._judge.judge(staged, staged.open(), scanned=scanned)
            return named(declared, judgement)

    def _scan_again(self, stored: StoredFile) -> Passed | Held:
        with self._store().open(stored.id) as file:
            return self._judge.scan(file, stored.size, facts_of(stored))

    def _settled(self, stored: StoredFile, until: float) -> StoredFile:
        if self.settings.workers:  # what this process judges was waited for already
            return stored
        while stored.state is FileState.CHECKING and time.monotonic() < until:
            if self._crew.pause():
                break
            stored = self._find(stored.id)
        return stored

    def _find(self, file_id: str) -> StoredFile:
        stored = self._catalog().read(lambda connection: file_statements.find(connection, file_id))
        if stored is None or stored.state in file_statements.ENDED:
            raise NotFound
        return stored


def _now_or_rejected(judge: Callable[[], Passed | Held]) -> Judgement | Rejected:
    try:
        return judge()
    except Rejected as error:
        return error


def _close(file: BinaryIO, _: object) -> None:
    file.close()
