"""One process of the server: connections, threads, the sweep, and stopping in good order."""

from __future__ import annotations

import asyncio
import logging
import resource
import signal
import socket
import ssl
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

from wharfinger.errors import WharfingerError
from wharfinger.server.accepting import LEAST_HANDSHAKES, MOST_HANDSHAKES, SecureAccepting
from wharfinger.server.certificates import Certificate, keep_fresh
from wharfinger.server.connections import Server
from wharfinger.server.shell import Shell
from wharfinger.service import Wharf
from wharfinger.service.leases import lease
from wharfinger.web import WebInterface
from wharfinger.web.proxies import NOBODY, Proxies

log = logging.getLogger("wharfinger.server")

_THREADS: Final = 16
_BACKLOG: Final = 1024
# asyncio accepts in a loop of so many, and logs each failure: a small one stays readable.
_ACCEPT_AT_ONCE: Final = 64
# Half of them for connections, the other half for the files they move.
_MOST_DESCRIPTORS: Final = 65_536
_SWEEP_SECONDS: Final = 600
_DELIVER_SECONDS: Final = 1.0
_LONGEST_DELIVER_SECONDS: Final = 30.0
# Transfers that run get this long to finish after a stop was asked for.
_STOP_SECONDS: Final = 30
# And what is cancelled then, this long to clean up.
_CANCEL_SECONDS: Final = 2
# Idle connections cost a socket each; nginx keeps them 75 s.
_KEEPALIVE_SECONDS: Final = 75
# As patient as with senders, and twice that: a player may pause. nginx gives up after 60 s.
_UNREAD_SECONDS: Final = 120
_MAX_HEADER_LINE: Final = 16 * 1024
_READ_BUFFER: Final = 256 * 1024


@dataclass(frozen=True, kw_only=True, slots=True)
class Worker:
    """What one process serves.

    `listener` listens already; `certificate` makes it speak TLS; `proxies` are believed what
    they say of clients; `log_requests` writes a line to the log "wharfinger.access" for each request;
    `interim` is what it is for `Shell`.
    """

    wharf: Wharf
    listener: socket.socket
    certificate: Certificate | None = None
    proxies: Proxies = NOBODY
    log_requests: bool = False
    interim: bool | None = None

    def run(self, ready: Callable[[], None], *, parent: int | None = None) -> None:
        """Serve until SIGINT or SIGTERM, then finish what runs, close the service and return.

        Args:
            ready: called once, when connections are accepted.
            parent: a descriptor that becomes readable when there is no parent any more: a
                reason to stop, too.

        Raises:
            ConfigError: the certificate cannot be used.
        """
        try:
            asyncio.run(self._serve(ready, parent))
        finally:
            self.wharf.close()

    async def _serve(self, ready: Callable[[], None], parent: int | None) -> None:
        loop = asyncio.get_running_loop()
        stop = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop.set)
        if parent is not None:
            loop.add_reader(parent, stop.set)
        context = None if self.certificate is None else self.certificate.context()
        with (
            ThreadPoolExecutor(_THREADS, thread_name_prefix="wharfinger") as pool,
            ThreadPoolExecutor(_THREADS, thread_name_prefix="wharfinger-finish") as finishing,
        ):
            interface = WebInterface(self.wharf, proxies=self.proxies)
            shell = Shell(
                interface, pool, finishing, log_requests=self.log_requests, interim=self.interim
            )
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
            await loop.run_in_executor(pool, self.wharf.checking.start)
            chores = [asyncio.create_task(_sweep_on(interface, pool))]
            if self.wharf.events.webhook is not None:
                chores.append(asyncio.create_task(_deliver_on(self.wharf)))
            if self.certificate is not None and context is not None:
                chores.append(asyncio.create_task(keep_fresh(self.certificate, context)))
            try:
                accepting = await self._accept(server, context)
                ready()
                await stop.wait()
                self.wharf.checking.hurry()
                await stop_accepting(self.listener)
                accepting.close()
                # Not left to the server's shutdown: from its first moment on, aiohttp drops
                # what uploads send.
                await shell.finish(_STOP_SECONDS)
            finally:
                if self.wharf.events.webhook is not None:
                    self.wharf.events.webhook.stop()
                for chore in chores:
                    chore.cancel()
                server.pre_shutdown()
                await server.shutdown(_CANCEL_SECONDS)

    async def _accept(
        self, server: Server, context: ssl.SSLContext | None
    ) -> asyncio.base_events.Server | SecureAccepting:
        give_up_on_silent_readers(self.listener)
        if context is not None:
            most = min(MOST_HANDSHAKES, max(LEAST_HANDSHAKES, _descriptors() // 8))
            return SecureAccepting(self.listener, server, context, most=most)
        accepting = await asyncio.get_running_loop().create_server(
            server, sock=self.listener, backlog=_ACCEPT_AT_ONCE
        )
        self.listener.listen(_BACKLOG)  # the kernel's queue, which asyncio has just shortened
        return accepting


async def stop_accepting(listener: socket.socket) -> None:
    """Accept nothing more, and let what was accepted already become connections.

    asyncio loses a connection, socket and all, when its server is closed between the two.
    """
    asyncio.get_running_loop().remove_reader(listener)
    await asyncio.sleep(0)


def give_up_on_silent_readers(listener: socket.socket) -> None:
    """Have the system end connections whose other end has taken nothing for `_UNREAD_SECONDS`.

    Such a client, gone or never reading, would keep its connection, the file and a claim on its
    link for as long as it likes. The sockets that are accepted have it from the listener.
    """
    option: int | None = getattr(socket, "TCP_USER_TIMEOUT", None)  # Linux
    if option is not None and listener.family in (socket.AF_INET, socket.AF_INET6):
        listener.setsockopt(socket.IPPROTO_TCP, option, _UNREAD_SECONDS * 1000)


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
        interface.memory.forget()
        try:
            await loop.run_in_executor(pool, _sweep, interface.wharf)
        except (WharfingerError, OSError) as error:
            log.error("the sweep failed and is tried again later: %s", error)  # noqa: TRY400
        await asyncio.sleep(_SWEEP_SECONDS)


async def _deliver_on(wharf: Wharf) -> None:
    """Deliver events about a second after they happened, less often while that fails."""
    wait = _DELIVER_SECONDS
    loop = asyncio.get_running_loop()
    # A thread of its own: an address that is slow takes none from those who wait for files.
    with ThreadPoolExecutor(1, thread_name_prefix="wharfinger-webhook") as thread:
        while True:
            await asyncio.sleep(wait)
            try:
                came = await loop.run_in_executor(thread, wharf.events.deliver)
            except (WharfingerError, OSError) as error:
                log.error("events could not be delivered: %s", error)  # noqa: TRY400
                wait = _LONGEST_DELIVER_SECONDS
                continue
            failing = came.failed and not came.delivered
            wait = min(2 * wait, _LONGEST_DELIVER_SECONDS) if failing else _DELIVER_SECONDS


def _sweep(wharf: Wharf) -> None:
    wharf.uploads.tidy()
    with lease(wharf.settings.data / "janitor") as held:
        if not held:
            return
        report = wharf.sweep()
    if report.removed_bytes:
        log.info("swept: %s", report)
