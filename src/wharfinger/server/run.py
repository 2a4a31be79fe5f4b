"""Running the server: listening, saying so, sweeping, and stopping in good order."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import resource
import signal
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from aiohttp import web

from wharfinger.errors import ConfigError, PortInUse, WharfingerError
from wharfinger.server.connections import Server
from wharfinger.server.settings import ServerSettings
from wharfinger.server.shell import Shell
from wharfinger.service import SCOPES, Wharf, keyring
from wharfinger.web import WebInterface

log = logging.getLogger("wharfinger.server")

ADMIN_TOKEN_FILE: Final = "admin-token"  # noqa: S105 - the name of a file
_THREADS: Final = 16
_BACKLOG: Final = 1024
# asyncio accepts in a loop of so many, and logs each failure: a small one stays readable.
_ACCEPT_AT_ONCE: Final = 64
# Half of them for connections, the other half for the files they move.
_MOST_DESCRIPTORS: Final = 65_536
_SWEEP_SECONDS: Final = 600
# Transfers that run get this long to finish after a stop was asked for.
_STOP_SECONDS: Final = 30
# And what is cancelled then, this long to clean up.
_CANCEL_SECONDS: Final = 2
# Idle connections cost a socket each; nginx keeps them 75 s.
_KEEPALIVE_SECONDS: Final = 75
_MAX_HEADER_LINE: Final = 16 * 1024
_READ_BUFFER: Final = 256 * 1024


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
        settings: where to listen and where things are kept.
        announce: called once, when connections are accepted.
        log_requests: write a line to the log "wharfinger.access" for each request.

    Raises:
        PortInUse: another program listens there.
        ConfigError: the host is not an address of this machine.
        DataFolderError: the data folder cannot be used.
    """
    wharf = Wharf(settings.wharf)
    try:
        listener = _listen(settings.host, settings.port)
        with contextlib.closing(listener):
            token_file = first_token(wharf)
            asyncio.run(
                _serve(wharf, listener, settings, token_file, announce, log_requests=log_requests)
            )
    finally:
        wharf.close()


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


async def _serve(
    wharf: Wharf,
    listener: socket.socket,
    settings: ServerSettings,
    token_file: Path | None,
    announce: Callable[[Listening], None],
    *,
    log_requests: bool,
) -> None:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    with (
        ThreadPoolExecutor(_THREADS, thread_name_prefix="wharfinger") as pool,
        ThreadPoolExecutor(_THREADS, thread_name_prefix="wharfinger-finish") as finishing,
    ):
        interface = WebInterface(wharf)
        shell = Shell(interface, pool, finishing, log_requests=log_requests)
        server = Server(
            shell,
            most=_descriptors() // 2,
            access_log=None,
            auto_decompress=False,  # a coded body is refused, never inflated
            keepalive_timeout=_KEEPALIVE_SECONDS,
            max_line_size=_MAX_HEADER_LINE,
            max_field_size=_MAX_HEADER_LINE,
            read_bufsize=_READ_BUFFER,
        )
        runner = web.ServerRunner(server, shutdown_timeout=_CANCEL_SECONDS)
        await runner.setup()
        janitor = asyncio.create_task(_sweep_on(interface, pool))
        try:
            site = web.SockSite(runner, listener, backlog=_ACCEPT_AT_ONCE)
            await site.start()
            listener.listen(_BACKLOG)  # the kernel's queue, which asyncio has just shortened
            announce(
                Listening(
                    url=_url(settings.host, listener.getsockname()[1]),
                    data=wharf.settings.data,
                    admin_token_file=token_file,
                )
            )
            await stop.wait()
            await stop_accepting(listener)
            # Not left to cleanup(): from its first moment on, aiohttp drops what uploads send.
            await site.stop()
            await shell.finish(_STOP_SECONDS)
        finally:
            janitor.cancel()
            await runner.cleanup()


async def stop_accepting(listener: socket.socket) -> None:
    """Accept nothing more, and let what was accepted already become connections.

    asyncio loses a connection, socket and all, when its server is closed between the two.
    """
    asyncio.get_running_loop().remove_reader(listener)
    await asyncio.sleep(0)


def _descriptors() -> int:
    """Allow this process as many descriptors as the system lets it have; return how many."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = _MOST_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, _MOST_DESCRIPTORS)
    if soft == resource.RLIM_INFINITY or soft >= most:
        return most
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    return most


async def _sweep_on(interface: WebInterface, pool: ThreadPoolExecutor) -> None:
    loop = asyncio.get_running_loop()
    while True:
        try:
            report = await loop.run_in_executor(pool, interface.wharf.sweep)
            interface.memory.forget()
        except (WharfingerError, OSError) as error:
            log.error("the sweep failed and is tried again later: %s", error)  # noqa: TRY400
        else:
            if report.expired or report.orphans or report.leftovers:
                log.info("swept: %s", report)
        await asyncio.sleep(_SWEEP_SECONDS)


def _listen(host: str, port: int) -> socket.socket:
    try:
        (family, kind, protocol, _, address), *_ = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        listener = socket.socket(family, kind, protocol)
    except OSError as error:
        raise ConfigError(f"{host!r} is not an address to listen on: {error.strerror}.") from error
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise PortInUse(f"Another program listens on {host}:{port}.") from error
        raise ConfigError(f"Cannot listen on {host}:{port}: {error.strerror}.") from error
    listener.setblocking(False)
    return listener


def _url(host: str, port: int) -> str:
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
