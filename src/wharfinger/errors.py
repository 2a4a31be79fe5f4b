"""Every error that wharfinger raises on purpose: one tree, each with a stable code.

`code` never changes its meaning and is never reused; `http_status` is what the
service answers, `exit_code` what the command line ends with, `retryable` whether
the same call may succeed later. The text says what happened, with the numbers;
`hint` says what to do. HTTP answers (`protocol.problems`) and terminal messages
(`cli.output`) are derived from these values and from nothing else.

    WharfingerError
    ├── UsageError (ValueError)          the call itself is wrong
    │   └── ConfigError                  the configuration is wrong
    ├── Rejected                         the file broke a policy
    │   ├── TooLarge
    │   ├── TooSmall
    │   ├── QuotaExceeded                no more files, bytes or open uploads for this one
    │   ├── TypeNotAllowed
    │   │   └── ContentTypeMismatch      the answer's Content-Type is not the expected one
    │   ├── ContentMismatch              name, claimed type and content disagree
    │   ├── ActiveContent                HTML, script or executable in other clothes
    │   ├── NameRejected
    │   ├── ContentRefused               a look at the whole content found what the policy refuses
    │   │   ├── ContentDamaged           it cannot be decoded or parsed to its end
    │   │   ├── HiddenContent            more than its type says: bytes after the end
    │   │   └── UnsafeArchive            members that lead outside, links, devices, passwords
    │   ├── TooComplex                   pixels, frames, members, unpacked size over a limit
    │   ├── Infected
    │   └── Unscannable
    ├── AddressRefused                   the address guard said no (not an OSError: never retried)
    ├── TransferError                    the network, or the peer's way of speaking HTTP
    │   ├── ConnectFailed (ConnectionError)
    │   ├── TransferTimeout (TimeoutError)
    │   ├── Interrupted                  the body ended before it was complete
    │   └── BadResponse                  the peer's message breaks HTTP
    ├── ResponseError                    the peer answered with an error status
    ├── IntegrityError                   length or digest is not what was promised
    │   └── ChecksumMismatch             bytes of one request are not those that were sent
    ├── LocalFileError (OSError)         this machine's file system
    │   ├── SourceMissing (FileNotFoundError)
    │   ├── DestinationExists (FileExistsError)
    │   ├── DestinationUnsafe            a symbolic link, a folder, a device
    │   ├── DataFolderError              the service's folder cannot be used
    │   └── StorageFull
    ├── RequestError                     a request to the service is malformed
    │   ├── LengthRequired
    │   ├── LengthMismatch
    │   ├── MalformedMultipart
    │   ├── UnsupportedEncoding
    │   ├── UnsupportedContentType       the body is not what this address takes
    │   ├── UnsupportedVersion           of the protocol that the request speaks
    │   ├── MethodNotAllowed
    │   ├── PreconditionFailed
    │   ├── RangeNotSatisfiable
    │   ├── OffsetMismatch               the bytes do not go on where the upload stands
    │   ├── InconsistentLength           the whole is said to have two lengths
    │   ├── UploadTakenOver              a newer request goes on with it
    │   ├── UploadOver                   it takes no more bytes
    │   ├── IdempotencyKeyReused
    │   ├── RequestInProgress            the first request with that key is not over
    │   └── TooSlow
    ├── Unauthenticated
    │   └── PasswordRequired             a link asks for its password
    ├── Forbidden
    ├── NotFound                         absent, expired or not yours: one answer
    ├── NotReady                         known, but not (or no longer) to be handed out
    ├── TooManyRequests                  later again
    ├── Unavailable                      a part the service needs is away
    ├── PortInUse
    └── InternalError
"""

from __future__ import annotations

from typing import Final

__all__ = [
    "ActiveContent",
    "AddressRefused",
    "BadResponse",
    "ChecksumMismatch",
    "ConfigError",
    "ConnectFailed",
    "ContentDamaged",
    "ContentMismatch",
    "ContentRefused",
    "ContentTypeMismatch",
    "DataFolderError",
    "DestinationExists",
    "DestinationUnsafe",
    "Forbidden",
    "HiddenContent",
    "IdempotencyKeyReused",
    "InconsistentLength",
    "Infected",
    "IntegrityError",
    "InternalError",
    "Interrupted",
    "LengthMismatch",
    "LengthRequired",
    "LocalFileError",
    "MalformedMultipart",
    "MethodNotAllowed",
    "NameRejected",
    "NotFound",
    "NotReady",
    "OffsetMismatch",
    "PasswordRequired",
    "PortInUse",
    "PreconditionFailed",
    "QuotaExceeded",
    "RangeNotSatisfiable",
    "Rejected",
    "RequestError",
    "RequestInProgress",
    "ResponseError",
    "SourceMissing",
    "StorageFull",
    "TooComplex",
    "TooLarge",
    "TooManyRequests",
    "TooSlow",
    "TooSmall",
    "TransferError",
    "TransferTimeout",
    "TypeNotAllowed",
    "Unauthenticated",
    "Unavailable",
    "UnsafeArchive",
    "Unscannable",
    "UnsupportedContentType",
    "UnsupportedEncoding",
    "UnsupportedVersion",
    "UploadOver",
    "UploadTakenOver",
    "UsageError",
    "WharfingerError",
]

# Exit codes of the command line (documented in docs/reference/command-line.md).
EXIT_OTHER: Final = 1
EXIT_USAGE: Final = 2
EXIT_SOME_FAILED: Final = 3
EXIT_SIGN_IN: Final = 4
EXIT_NOT_FOUND: Final = 5
EXIT_NETWORK: Final = 6
EXIT_SERVER: Final = 7
EXIT_REFUSED: Final = 8
EXIT_INTEGRITY: Final = 9
EXIT_LOCAL: Final = 10
EXIT_INTERRUPTED: Final = 130


class WharfingerError(Exception):
    """The root of the tree: catch this to catch everything wharfinger raises on purpose.

    Args:
        detail: what happened, with the numbers, in one or two sentences.
        hint: what to do about it; the class has a default.
    """

    code: str = "error"
    title: str = "Error"
    http_status: int = 500
    exit_code: int = EXIT_OTHER
    retryable: bool = False
    hint: str = ""

    def __init__(self, detail: str, *, hint: str | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.advise(self.hint if hint is None else hint)

    def advise(self, hint: str) -> None:
        """Say what to do about it; a trace shows it below the message."""
        self.hint = hint
        if hint:
            self.add_note(hint)

    def __str__(self) -> str:
        return self.detail

    def __reduce__(self) -> tuple[object, ...]:
        # Subclasses take keyword arguments; the state of the instance is the truth.
        return _rebuild, (type(self), self.args, self.__dict__.copy())


def _rebuild(
    kind: type[WharfingerError], args: tuple[object, ...], state: dict[str, object]
) -> WharfingerError:
    error = kind.__new__(kind, *args)
    error.args = args
    error.__dict__.update(state)
    return error


# --- the call -----------------------------------------------------------------------------


class UsageError(WharfingerError, ValueError):
    """The arguments of a call contradict each other or cannot be understood."""

    code = "usage"
    title = "Wrong usage"
    http_status = 400
    exit_code = EXIT_USAGE


class ConfigError(UsageError):
    """A configuration file, environment variable or setting is wrong or unknown."""

    code = "config"
    title = "Wrong configuration"
    http_status = 500
    hint = "Compare with `wharf config show` and docs/reference/configuration.md."


# --- policy -------------------------------------------------------------------------------


class Rejected(WharfingerError):
    """The file broke the policy it was judged under; nothing of it was kept."""

    code = "rejected"
    title = "Refused by policy"
    http_status = 422
    exit_code = EXIT_REFUSED


class TooLarge(Rejected):
    """The content is (or says it is) longer than the policy allows.

    `limit` is the policy's limit in bytes; `size` the declared length in bytes, or
    None when the length was not declared and counting stopped at the limit.
    """

    code = "too-large"
    title = "Too large"
    http_status = 413

    def __init__(
        self, detail: str, *, limit: int, size: int | None = None, hint: str | None = None
    ) -> None:
        super().__init__(detail, hint=hint)
        self.limit = limit
        self.size = size


class TooSmall(Rejected):
    """The content is shorter than the policy asks for."""

    code = "too-small"
    title = "Too small"


class QuotaExceeded(Rejected):
    """A collection, or one owner in it, may take no more.

    `limit` and `used` are counts of `what`: "files", "bytes" or "uploads".
    """

    code = "quota-exceeded"
    title = "Quota exceeded"
    http_status = 413
    hint = "Remove files that are not needed any more, or ask for a larger quota."

    def __init__(
        self, detail: str, *, what: str, limit: int, used: int, hint: str | None = None
    ) -> None:
        super().__init__(detail, hint=hint)
        self.what = what
        self.limit = limit
        self.used = used


class TypeNotAllowed(Rejected):
    """The type of the content is not one the policy accepts."""

    code = "type-not-allowed"
    title = "Type not allowed"
    http_status = 415
    hint = "Send one of the accepted types; GET /policy/{collection} lists those of a service."


class ContentTypeMismatch(TypeNotAllowed):
    """The Content-Type of an answer is not the expected one; no body was asked for.

    `expected` and `actual` are media types (or the expected prefix) as text.
    """

    code = "content-type-mismatch"
    title = "Unexpected Content-Type"
    hint = "The address serves something else: often an error or sign-in page."

    def __init__(
        self, detail: str, *, expected: str = "", actual: str = "", hint: str | None = None
    ) -> None:
        super().__init__(detail, hint=hint)
        self.expected = expected
        self.actual = actual


class ContentMismatch(Rejected):
    """File name, claimed type and content do not agree."""

    code = "content-mismatch"
    title = "Name, type and content disagree"
    http_status = 415
    hint = "Give the file the name and type that fit its content."


class ActiveContent(Rejected):
    """HTML, a script or an executable that calls itself something harmless."""

    code = "active-content"
    title = "Active content in disguise"
    http_status = 415
    hint = "This is not the kind of file its name or type says; do not open it."


class NameRejected(Rejected):
    """A file name that no honest program sends: path separators, control characters and the like."""

    code = "name-rejected"
    title = "File name refused"
    hint = "Send the bare file name, at most 255 bytes of UTF-8, without separators or control characters."


class ContentRefused(Rejected):
    """A look at the whole content found what the policy refuses: macros, scripts, links.

    `finding` is the word of `wharfinger.policy.FINDINGS`.
    """

    code = "content-refused"
    title = "Content refused"
    hint = "Save the file without it and send it again."

    def __init__(self, detail: str, *, finding: str = "", hint: str | None = None) -> None:
        super().__init__(detail, hint=hint)
        self.finding = finding


class ContentDamaged(ContentRefused):
    """The content cannot be decoded or parsed to its end."""

    code = "content-damaged"
    title = "Content damaged"
    hint = "Open the file, save it anew and send that."


class HiddenContent(ContentRefused):
    """There is more in the file than its type says: bytes after the end of the content."""

    code = "hidden-content"
    title = "Hidden content"
    hint = "Save the file anew with the program that made it; what hides behind it is lost then."


class UnsafeArchive(ContentRefused):
    """Unpacking the archive would be dangerous, or cannot be judged: it is encrypted."""

    code = "unsafe-archive"
    title = "Unsafe archive"
    hint = (
        "Pack plain files and folders without a password, with names inside the archive's folder."
    )


class TooComplex(Rejected):
    """Pixels, frames, members or unpacked bytes over the policy's limit.

    `limit` is that of `what` ("pixels", "frames", "members", "bytes", "ratio", "depth", "memory").
    """

    code = "too-complex"
    title = "Too complex"
    hint = "Send something smaller, or ask for a higher limit."

    def __init__(self, detail: str, *, what: str, limit: int, hint: str | None = None) -> None:
        super().__init__(detail, hint=hint)
        self.what = what
        self.limit = limit


class Infected(Rejected):
    """A scanner found malware."""

    code = "infected"
    title = "Malware found"


class Unscannable(Rejected):
    """A scanner could not read the file, and the policy refuses what cannot be scanned."""

    code = "unscannable"
    title = "Cannot be scanned"
    hint = "Send it unencrypted and unpacked."


class AddressRefused(WharfingerError):
    """The address guard does not connect there. Not an `OSError`, so that nothing retries it."""

    code = "address-refused"
    title = "Address refused"
    http_status = 422
    exit_code = EXIT_REFUSED
    hint = "Pass allow_private=True if you trust this address and meant a private network."


# --- the network --------------------------------------------------------------------------


class TransferError(WharfingerError):
    """The transfer failed on the way; trying again may work."""

    code = "network"
    title = "Network failure"
    http_status = 502
    exit_code = EXIT_NETWORK
    retryable = True


class ConnectFailed(TransferError, ConnectionError):
    """No connection could be made: name not found, refused, TLS failure."""

    code = "connect-failed"
    title = "Cannot connect"


class TransferTimeout(TransferError, TimeoutError):
    """A time limit passed: for connecting, for the response head, for silence or in total."""

    code = "timeout"
    title = "Timed out"
    http_status = 504


class Interrupted(TransferError):
    """The body ended before it was complete. `received` and `expected` are bytes (None: unknown)."""

    code = "interrupted"
    title = "Transfer interrupted"

    def __init__(
        self, detail: str, *, received: int, expected: int | None = None, hint: str | None = None
    ) -> None:
        super().__init__(detail, hint=hint)
        self.received = received
        self.expected = expected


class BadResponse(TransferError):
    """The peer's answer breaks HTTP in a way that makes it unsafe to believe."""

    code = "bad-response"
    title = "Unsound answer"
    exit_code = EXIT_SERVER
    retryable = False


class ResponseError(WharfingerError):
    """The peer answered with an error status.

    `status` is that status, `url` the address without its query, `problem` the parsed
    application/problem+json object (or None), `retry_after` the seconds it asks to wait (or None).
    """

    code = "response"
    title = "The server refused"
    http_status = 502

    def __init__(
        self,
        detail: str,
        *,
        status: int,
        url: str = "",
        problem: dict[str, object] | None = None,
        retry_after: float | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(detail, hint=hint)
        self.status = status
        self.url = url
        self.problem = problem
        self.retry_after = retry_after
        self.exit_code = _exit_code_for_status(status)
        self.retryable = status in _RETRYABLE_STATUSES


_RETRYABLE_STATUSES: Final = frozenset({408, 425, 429, 500, 502, 503, 504})


def _exit_code_for_status(status: int) -> int:
    match status:
        case 401 | 403:
            return EXIT_SIGN_IN
        case 404 | 410:
            return EXIT_NOT_FOUND
        case 413 | 415 | 422:
            return EXIT_REFUSED
        case 408 | 425 | 429:
            return EXIT_NETWORK
        case _ if status >= 500:  # noqa: PLR2004 - the class of server errors
            return EXIT_SERVER
        case _:
            return EXIT_OTHER


class IntegrityError(WharfingerError):
    """Length or digest of the received bytes is not what was promised; nothing was kept."""

    code = "integrity"
    title = "Integrity check failed"
    http_status = 400
    exit_code = EXIT_INTEGRITY
    hint = "The content changed on the way or at its source; do not use it."


class ChecksumMismatch(IntegrityError):
    """The bytes of one request do not have the checksum that it names; they were thrown away."""

    code = "checksum-mismatch"
    title = "Checksum mismatch"
    http_status = 460  # the number that tus 1.0 gives it
    retryable = True
    hint = "The bytes changed on the way. The upload stands where it stood: send them again."


# --- the local machine --------------------------------------------------------------------


class LocalFileError(WharfingerError, OSError):
    """A file of this machine could not be read or written."""

    code = "local-file"
    title = "Local file problem"
    exit_code = EXIT_LOCAL


class SourceMissing(LocalFileError, FileNotFoundError):
    """The file to be read is not there."""

    code = "source-missing"
    title = "No such file"


class DestinationExists(LocalFileError, FileExistsError):
    """The destination exists, and overwriting was not asked for."""

    code = "destination-exists"
    title = "Destination exists"
    http_status = 409
    hint = "Choose another name, or ask for it: overwrite=True, on the command line --force."


class DestinationUnsafe(LocalFileError):
    """The destination is a symbolic link, a folder or a device: it is not written through."""

    code = "destination-unsafe"
    title = "Destination is not a plain file"


class DataFolderError(LocalFileError):
    """The service's data folder cannot be made, written or locked."""

    code = "data-folder"
    title = "Data folder unusable"
    hint = "Run `wharf doctor --data DIR` to see what is wrong with it."


class StorageFull(LocalFileError):
    """The disk is full. What was being written is gone; everything else is as before."""

    code = "storage-full"
    title = "Storage full"
    http_status = 507
    retryable = True


# --- requests to the service --------------------------------------------------------------


class RequestError(WharfingerError):
    """The request is malformed."""

    code = "bad-request"
    title = "Malformed request"
    http_status = 400


class LengthRequired(RequestError):
    """The request has a body without a length that this server can trust (RFC 9110 section 15.5.12)."""

    code = "length-required"
    title = "Length required"
    http_status = 411
    hint = "Send Content-Length, or Transfer-Encoding: chunked where the server supports it."


class LengthMismatch(RequestError):
    """The body is not as long as the request said. Nothing was kept."""

    code = "length-mismatch"
    title = "Body cut short"
    retryable = True


class MalformedMultipart(RequestError):
    """The multipart/form-data body breaks RFC 7578 or RFC 2046. Nothing was kept."""

    code = "malformed-multipart"
    title = "Malformed form"


class UnsupportedEncoding(RequestError):
    """The body has a content or transfer coding that is not accepted."""

    code = "unsupported-encoding"
    title = "Coding not accepted"
    http_status = 415
    hint = "Send the bytes as they are, without Content-Encoding."


class UnsupportedContentType(RequestError):
    """The Content-Type of the request is not the one that this address takes."""

    code = "unsupported-content-type"
    title = "Content-Type not accepted"
    http_status = 415


class UnsupportedVersion(RequestError):
    """The request speaks a version of a protocol that this service does not. `supported` are those."""

    code = "unsupported-version"
    title = "Protocol version not supported"
    http_status = 412

    def __init__(self, detail: str, *, supported: tuple[str, ...], hint: str | None = None) -> None:
        super().__init__(detail, hint=hint)
        self.supported = supported


class MethodNotAllowed(RequestError):
    """The resource does not know this method. `allowed` are the methods it knows."""

    code = "method-not-allowed"
    title = "Method not allowed"
    http_status = 405

    def __init__(self, detail: str, *, allowed: tuple[str, ...], hint: str | None = None) -> None:
        super().__init__(detail, hint=hint)
        self.allowed = allowed


class PreconditionFailed(RequestError):
    """If-Match or If-Unmodified-Since does not hold (RFC 9110 section 13.2.2)."""

    code = "precondition-failed"
    title = "Precondition failed"
    http_status = 412


class RangeNotSatisfiable(RequestError):
    """No asked range lies within the content. `length` is its length in bytes (RFC 9110 section 15.5.17)."""

    code = "range-not-satisfiable"
    title = "Range not satisfiable"
    http_status = 416

    def __init__(self, detail: str, *, length: int, hint: str | None = None) -> None:
        super().__init__(detail, hint=hint)
        self.length = length


class OffsetMismatch(RequestError):
    """The bytes do not go on where the upload stands. `expected` and `provided` are offsets in bytes."""

    code = "offset-mismatch"
    title = "Not where the upload stands"
    http_status = 409
    retryable = True

    hint = "Ask with HEAD where it stands and go on from there."

    def __init__(
        self, detail: str, *, expected: int, provided: int, hint: str | None = None
    ) -> None:
        super().__init__(detail, hint=hint)
        self.expected = expected
        self.provided = provided


class InconsistentLength(RequestError):
    """The length of an upload is said to be one and another. `lengths` are both, in bytes."""

    code = "inconsistent-length"
    title = "Two lengths for one upload"
    hint = "The length of an upload never changes: send what was announced, or begin another."

    def __init__(self, detail: str, *, lengths: tuple[int, int], hint: str | None = None) -> None:
        super().__init__(detail, hint=hint)
        self.lengths = lengths


class UploadTakenOver(RequestError):
    """A newer request goes on with this upload; this one has ended."""

    code = "upload-taken-over"
    title = "Taken over by a newer request"
    http_status = 409
    retryable = True
    hint = "Nothing to do if that was you; else ask with HEAD where the upload stands."


class UploadOver(RequestError):
    """The upload takes no more bytes: it is complete, was refused, or its time has ended."""

    code = "upload-over"
    title = "Upload is over"
    http_status = 410


class IdempotencyKeyReused(RequestError):
    """The Idempotency-Key was sent with another request before."""

    code = "idempotency-key-reused"
    title = "Idempotency-Key used for another request"
    http_status = 422
    hint = "Use a new key for each upload, and the same one only to send that upload again."


class RequestInProgress(RequestError):
    """The first request with this Idempotency-Key has not ended."""

    code = "request-in-progress"
    title = "The same request is running"
    http_status = 409
    retryable = True
    hint = "Send it again in a moment; the answer is stored once it is there."


class TooSlow(RequestError):
    """An upload came slower, or took longer, than the service waits for."""

    code = "too-slow"
    title = "Upload too slow"
    http_status = 408
    retryable = True
    hint = "Send it in several requests: what came is kept then."


class Unauthenticated(WharfingerError):
    """No valid token. `invalid` tells whether one was sent (RFC 6750 section 3.1)."""

    code = "unauthenticated"
    title = "Sign in first"
    http_status = 401
    exit_code = EXIT_SIGN_IN
    hint = "Send Authorization: Bearer TOKEN; on the command line set WHARFINGER_TOKEN."

    def __init__(
        self,
        detail: str = "This needs a valid token.",
        *,
        invalid: bool = False,
        hint: str | None = None,
    ) -> None:
        super().__init__(detail, hint=hint)
        self.invalid = invalid


class PasswordRequired(Unauthenticated):
    """A link asks for its password. `invalid` tells whether a wrong one was sent."""

    code = "password-required"
    title = "Password needed"
    hint = "Send it by HTTP Basic authentication; the user name does not matter."

    def __init__(
        self,
        detail: str = "This link has a password.",
        *,
        invalid: bool = False,
        hint: str | None = None,
    ) -> None:
        super().__init__(detail, invalid=invalid, hint=hint)


class Forbidden(WharfingerError):
    """The token lacks a scope. `scope` names it (empty: another proof is missing)."""

    code = "forbidden"
    title = "Not permitted"
    http_status = 403
    exit_code = EXIT_SIGN_IN

    def __init__(self, detail: str, *, scope: str = "", hint: str | None = None) -> None:
        super().__init__(detail, hint=hint)
        self.scope = scope


class NotFound(WharfingerError):
    """Absent, expired, revoked or not yours: outsiders get one answer for all of them."""

    code = "not-found"
    title = "Not found"
    http_status = 404
    exit_code = EXIT_NOT_FOUND

    def __init__(
        self, detail: str = "There is nothing here for you.", *, hint: str | None = None
    ) -> None:
        super().__init__(detail, hint=hint)


class NotReady(WharfingerError):
    """The file is known but may not be handed out: being checked, held or refused."""

    code = "not-ready"
    title = "Not ready"
    http_status = 409
    retryable = True


class TooManyRequests(WharfingerError):
    """More was asked than may be in this time. `retry_after` is in seconds."""

    code = "too-many-requests"
    title = "Too many requests"
    http_status = 429
    exit_code = EXIT_NETWORK
    retryable = True

    def __init__(self, detail: str, *, retry_after: int, hint: str | None = None) -> None:
        super().__init__(detail, hint=f"Try again in {retry_after} s." if hint is None else hint)
        self.retry_after = retry_after


class Unavailable(WharfingerError):
    """A part the service needs is away; nothing is handed out or accepted on doubt."""

    code = "unavailable"
    title = "Temporarily unavailable"
    http_status = 503
    exit_code = EXIT_SERVER
    retryable = True


class PortInUse(WharfingerError):
    """Another program listens on that port."""

    code = "port-in-use"
    title = "Port in use"
    hint = "Choose another with --port; --port 0 picks a free one."


class InternalError(WharfingerError):
    """A bug. `reference` is also in the log, next to the trace."""

    code = "internal"
    title = "Internal error"
    exit_code = EXIT_SERVER

    def __init__(self, detail: str, *, reference: str, hint: str | None = None) -> None:
        super().__init__(detail, hint=hint)
        self.reference = reference
