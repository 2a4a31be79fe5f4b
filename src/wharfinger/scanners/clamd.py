"""`Clamd`: the ClamAV daemon as a scanner, by INSTREAM over a unix socket or TCP.

The file goes over the connection, so that the daemon needs no access to the store. Three rules:

1. Only the answer "OK" to the whole file means clean. An answer that cannot be read, a silence
   or a closed connection is `Unavailable`, and nothing is concluded.
2. What the daemon did not look into to its end is `Unscannable`: a limit was exceeded, or it
   is encrypted. The daemon says so only with `AlertExceedsMax yes`; without it a file that
   hides behind a limit is "OK", which `exceeds_max_is_told` finds out (see `wharf doctor`).
3. When the daemon closes the connection in the middle of a file it has said why before: the
   answer is read although nothing more can be sent.

The protocol: clamd(8), COMMANDS.
"""

from __future__ import annotations

import io
import socket
import struct
import time
import zipfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import BinaryIO, Final
from urllib.parse import urlsplit

from wharfinger.errors import ConfigError, Unavailable
from wharfinger.scanners import Clean, Infected, Unscannable, Verdict
from wharfinger.units import KIB, MIB, show_size

__all__ = ["Clamd"]

# clamd's own default of StreamMaxLength (clamd.conf(5), since 1.0).
DEFAULT_MAX_SIZE: Final = 100 * MIB
_CHUNK: Final = 256 * KIB
_LONGEST_ANSWER: Final = 4 * KIB
_CONNECT_SECONDS: Final = 5.0
_DEFAULT_PORT: Final = 3310
# Names under which the daemon reports what it could not look into, not what it found.
_LIMITS: Final = "Heuristics.Limits.Exceeded"
_ENCRYPTED: Final = "Heuristics.Encrypted"
# More layers than any daemon's MaxRecursion (clamd.conf(5): 17 by default, 100 at most).
_PROBE_LAYERS: Final = 105


@dataclass(frozen=True, kw_only=True, slots=True)
class Clamd:
    """The daemon at one address. Safe to use from any thread: each file has its own connection.

    Args:
        address: "unix:///run/clamav/clamd.ctl" or "tcp://127.0.0.1:3310".
        timeout: seconds that one whole scan may take.
        max_size: the bytes of the largest file that is sent; at most the daemon's
            StreamMaxLength, which nobody can ask it for.

    Raises:
        ConfigError: the address is none.
    """

    address: str
    timeout: float = 120.0
    max_size: int = DEFAULT_MAX_SIZE

    def __post_init__(self) -> None:
        _place(self.address)

    def __repr__(self) -> str:
        return f"Clamd({self.address!r})"

    def scan(self, file: BinaryIO, size: int) -> Verdict:
        """Send a file of `size` bytes, from where it stands, and return what the daemon says.

        Raises:
            Unavailable: the daemon is away, too slow, or says something else.
        """
        if size > self.max_size:
            return Unscannable(
                f"{show_size(size)} are more than the {show_size(self.max_size)} that are scanned"
            )
        with self._connected() as connection:
            try:
                connection.send(b"zINSTREAM\0")
                for chunk in _chunks(file):
                    connection.send(struct.pack("!L", len(chunk)) + chunk)
                connection.send(struct.pack("!L", 0))
            except (BrokenPipeError, ConnectionResetError):
                # It has closed its end, and said why before that.
                pass
            return _verdict(connection.answer())

    def ping(self) -> None:
        """Return if the daemon answers. Raises Unavailable."""
        said = self._ask(b"zPING\0")
        if said != "PONG":
            raise Unavailable(f"clamd answers {said[:100]!r} instead of PONG.")

    def version(self) -> str:
        """Return what the daemon says of itself and its signatures. Raises Unavailable."""
        return self._ask(b"zVERSION\0")

    def exceeds_max_is_told(self) -> bool:
        """Return whether the daemon says so when a file exceeds its limits (`AlertExceedsMax`).

        Asked with archives in archives, deeper than any daemon looks.

        Raises:
            Unavailable: the daemon is away.
        """
        content = b"A file that nobody unpacks."
        for _ in range(_PROBE_LAYERS):
            packed = io.BytesIO()
            with zipfile.ZipFile(packed, "w") as archive:
                archive.writestr("inner", content)
            content = packed.getvalue()
        return not isinstance(self.scan(io.BytesIO(content), len(content)), Clean)

    def _ask(self, command: bytes) -> str:
        with self._connected() as connection:
            connection.send(command)
            return connection.answer()

    @contextmanager
    def _connected(self) -> Iterator[_Connection]:
        family, place = _place(self.address)
        try:
            with closing(socket.socket(family, socket.SOCK_STREAM)) as stream:
                stream.settimeout(min(_CONNECT_SECONDS, self.timeout))
                stream.connect(place)
                yield _Connection(stream, time.monotonic() + self.timeout)
        except TimeoutError as error:
            raise Unavailable(f"clamd did not answer within {self.timeout:g} s.") from error
        except OSError as error:
            raise Unavailable(f"clamd cannot be reached: {error.strerror or error}.") from error


class _Connection:
    """A connection that everything is over on at one moment."""

    def __init__(self, stream: socket.socket, until: float) -> None:
        self._stream = stream
        self._until = until

    def send(self, data: bytes) -> None:
        self._limit()
        self._stream.sendall(data)

    def answer(self) -> str:
        """Return what the daemon says, which ends with a NUL. Raises Unavailable."""
        said = bytearray()
        while b"\0" not in said and len(said) < _LONGEST_ANSWER:
            self._limit()
            try:
                more = self._stream.recv(_LONGEST_ANSWER)
            except ConnectionResetError:
                more = b""
            if not more:
                break
            said += more
        text, end, _ = bytes(said).partition(b"\0")
        if not end:
            raise Unavailable("clamd closed the connection without an answer.")
        return text.decode("utf-8", "replace").strip()

    def _limit(self) -> None:
        left = self._until - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self._stream.settimeout(left)


def _verdict(said: str) -> Verdict:
    answer = said.removeprefix("stream: ")
    if answer == "OK":
        return Clean()
    if answer.endswith(" FOUND"):
        name = answer.removesuffix(" FOUND")
        if name.startswith(_ENCRYPTED):
            return Unscannable("it is encrypted")
        if name.startswith(_LIMITS):
            return Unscannable(f"it exceeds a limit of clamd ({name.removeprefix(_LIMITS)[1:]})")
        return Infected(name)
    if "size limit exceeded" in answer:
        return Unscannable("it is larger than clamd's StreamMaxLength")
    raise Unavailable(f"clamd answers {answer[:200]!r}.")


def _chunks(file: BinaryIO) -> Iterator[bytes]:
    while chunk := file.read(_CHUNK):
        yield chunk


def _place(address: str) -> tuple[int, str | tuple[str, int]]:
    """Return the family and the address of a socket. Raises ConfigError."""
    parts = urlsplit(address)
    try:
        if parts.scheme == "unix" and not parts.netloc and parts.path.startswith("/"):
            return socket.AF_UNIX, parts.path
        if parts.scheme == "tcp" and parts.hostname and parts.path in {"", "/"}:
            family = socket.AF_INET6 if ":" in parts.hostname else socket.AF_INET
            return family, (parts.hostname, parts.port or _DEFAULT_PORT)
    except ValueError:  # a port that is none
        pass
    raise ConfigError(
        f"[scan] clamd = {address[:200]!r} is no address of clamd.",
        hint='Write it like "unix:///run/clamav/clamd.ctl" or "tcp://127.0.0.1:3310".',
    )
