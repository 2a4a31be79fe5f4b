"""Jobs of decoders run in this process: quick, measured by coverage, without limits."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from wharfinger.checking import limits, worker
from wharfinger.checking.jobs import JOBS
from wharfinger.checking.messages import Message
from wharfinger.checking.pool import Pool


class Here(Pool):
    """Runs a job at once, where it is asked for."""

    def run(
        self,
        job: str,
        *,
        size: int,
        options: Mapping[str, object],
        files: tuple[int, ...],
        seconds: int,  # noqa: ARG002 - nothing is ended here
    ) -> Message:
        question: Message = {"job": job, "size": size, "options": dict(options)}
        return worker._answer(JOBS, question, files)


def without_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the limits of a decoder from this process."""
    monkeypatch.setattr(limits, "_limit", lambda *_: None)
