"""Whom an installation relies on or tells: Redis, and the webhook's receiver."""

from __future__ import annotations

import importlib.util
import os
import sqlite3
from contextlib import closing

from wharfinger.catalog.events import MOST_TRIES
from wharfinger.errors import ConfigError, Unavailable
from wharfinger.service.counters import RedisCounters
from wharfinger.service.doctor.finding import Finding, read_only
from wharfinger.service.limits import LimitSettings
from wharfinger.service.settings import WharfSettings
from wharfinger.service.webhooks import SECRET_VARIABLE, load_secrets


def limits(limits: LimitSettings, workers: int) -> Finding:
    """Tell where limits are counted, and whether that can be reached."""
    if not limits.is_shared:
        if workers == 1 or not limits.is_given:
            return Finding("limits", "ok", "They are counted by each process for itself.")
        return Finding(
            "limits", "warning", f"Each of {workers} processes counts for itself.",
            f"Together they let through {workers} times as much: give [limits] url a Redis.",
        )  # fmt: skip
    if importlib.util.find_spec("redis") is None or importlib.util.find_spec("limits") is None:
        return Finding(
            "limits", "failure", "The packages that count in Redis are not installed.",
            "pip install 'wharfinger[redis]'",
        )  # fmt: skip
    try:
        RedisCounters(limits.url, None).check()
    except Unavailable as error:
        if limits.when_down == "local":
            detail = f"{error} Until it does, each process counts for itself."
            return Finding("limits", "warning", detail, "Start it, or change [limits] url.")
        detail = f"{error} Until it does, requests are answered 503."
        return Finding("limits", "failure", detail, "Start it, or change [limits] url.")
    return Finding("limits", "ok", "They are counted in Redis.")


def events(settings: WharfSettings) -> Finding:
    """Tell whether events reach the webhook."""
    if settings.events.webhook is None:
        return Finding("events", "ok", "No webhook is set.")
    given = settings.events.secret_file is not None or os.environ.get(SECRET_VARIABLE) is not None
    if given or (settings.data / "webhook-secret").exists():
        try:
            load_secrets(settings.events, settings.data)
        except ConfigError as error:
            return Finding("events", "failure", error.detail, error.hint)
    try:
        with closing(read_only(settings.catalog_file)) as database:
            parked, tried = database.execute(
                "SELECT coalesce(sum(tries >= ?1), 0), coalesce(sum(tries BETWEEN 1 AND ?1 - 1), 0)"
                " FROM events WHERE done_at IS NULL",
                (MOST_TRIES,),
            ).fetchone()
    except sqlite3.Error:
        return Finding("events", "ok", "None yet.")  # of its state the check of the catalog tells
    if parked:
        return Finding(
            "events", "failure", f"{parked} were given up: the webhook took none of them for days.",
            "`wharf events ls --parked` lists them. Mend the receiver, then `wharf events retry`.",
        )  # fmt: skip
    if tried:
        return Finding(
            "events", "warning", f"The webhook did not take {tried} so far; they are tried again.",
            "The log of the service says why.",
        )  # fmt: skip
    return Finding("events", "ok", "The webhook takes them.")
