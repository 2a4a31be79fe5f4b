"""Running the server: listening, making the first token, saying so, and one process or several."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from wharfinger.server.listening import Listeners
from wharfinger.server.settings import ServerSettings
from wharfinger.server.supervising import supervise
from wharfinger.server.worker import Worker
from wharfinger.service import SCOPES, Wharf, keyring
from wharfinger.web.proxies import Proxies

log = logging.getLogger("wharfinger.server")

ADMIN_TOKEN_FILE: Final = "admin-token"  # noqa: S105 - the name of a file


@dataclass(frozen=True, kw_only=True, slots=True)
class Listening:
    """Where the server listens and where its first token lies (None: there were tokens already)."""

    url: str
    data: Path
    admin_token_file: Path | None


def serve(
    settings: ServerSettings,
    announce: Callable[[Listening], None],
    *,
    log_requests: bool = False,
) -> None:
    """Serve until SIGINT or SIGTERM, then finish what runs and return.

    Args:
        settings: where to listen, in how many processes, and where things are kept.
        announce: called once, when connections are accepted.
        log_requests: write a line to the log "wharfinger.access" for each request.

    Raises:
        PortInUse: another program listens there.
        ConfigError: the host is not an address of this machine, or the certificate is none.
        DataFolderError: the data folder cannot be used.
    """
    if settings.certificate is not None:
        settings.certificate.context()  # what is wrong with it is said before anything is made
    limits = settings.wharf.limits
    if settings.workers > 1 and limits.is_given and not limits.is_shared:
        log.warning(
            "limits in memory:// with %d processes: each counts for itself, so that together they "
            "let through as many times as much; give [limits] url a Redis",
            settings.workers,
        )
    wharf = Wharf(settings.wharf)
    listeners = Listeners(settings.host, settings.port, settings.workers)
    with contextlib.closing(wharf), contextlib.closing(listeners):
        listening = Listening(
            url=_url(settings, listeners.port),
            data=settings.wharf.data,
            admin_token_file=first_token(wharf),
        )

        def worker(wharf: Wharf, place: int) -> Worker:
            return Worker(
                wharf=wharf,
                listener=listeners.take(place),
                certificate=settings.certificate,
                proxies=Proxies(settings.trusted_proxies),
                log_requests=log_requests,
                interim=settings.interim,
            )

        if settings.workers == 1:
            worker(wharf, 0).run(lambda: announce(listening))
            return
        wharf.close()  # a database must not be open across a fork
        supervise(
            settings.workers,
            lambda place, parent: worker(Wharf(settings.wharf), place).run(
                lambda: None, parent=parent
            ),
            lambda: announce(listening),
            listeners.close,
        )


def first_token(wharf: Wharf) -> Path | None:
    """Make an admin token if there is none yet; return the file it was written to, else None.

    Should this be interrupted between the two, `wharf token create` makes another.
    """
    path = wharf.settings.data / ADMIN_TOKEN_FILE
    if wharf.tokens.exist():
        return path if path.exists() else None
    _, secret = wharf.tokens.create("first admin", SCOPES)
    path.unlink(missing_ok=True)
    keyring.write_private(path, f"{secret}\n")
    return path


def _url(settings: ServerSettings, port: int) -> str:
    scheme = "http" if settings.certificate is None else "https"
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return f"{scheme}://{host}:{port}"
