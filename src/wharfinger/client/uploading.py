"""One upload: the policy first, then the connection, then the bytes at flat memory."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from wharfinger.client.answers import FIRST_ERROR, response_error
from wharfinger.client.body import FormBody, RawBody
from wharfinger.client.reply import Reply
from wharfinger.client.request import Request
from wharfinger.errors import BadResponse, ResponseError, TransferError, UsageError
from wharfinger.protocol.digests import repr_digest
from wharfinger.protocol.disposition import format_disposition

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from wharfinger.client.call import Call
    from wharfinger.client.content import Content
    from wharfinger.client.transport import Answer
    from wharfinger.policy import Policy

Protocol = Literal["multipart", "raw", "tus", "resumable", "auto"]

_MAX_REPLY: Final = 4 * 1024 * 1024
_VISIBLE: Final = re.compile(r"[!-~]+")
_MAX_KEY: Final = 255  # what the services accept that made the field known


@dataclass(kw_only=True)
class Job:
    """One upload that is under way."""

    call: Call
    contents: Sequence[Content]
    policy: Policy | None
    protocol: Protocol
    method: str
    field: str
    fields: Mapping[str, str]
    idempotency_key: str | None = None
    digest: bool = False

    def run(self) -> Reply:
        """Judge every file, send them, and return the server's reply."""
        if self.policy is not None:
            for content in self.contents:
                content.judge(self.policy, self.call.meter)
        body, described = self._body()
        request = Request(
            method=self.method,
            url=self.call.url,
            ours=(*described, *self._promises(body)),
            theirs=self.call.theirs,
            body=body,
            repeatable=self._repeatable,
        )
        while True:
            body.begun = False
            self.call.meter.enter("connecting")
            try:
                with self.call.transport.send(request, self.call.watch) as answer:
                    reply = self._reply(answer)
            except (TransferError, ResponseError) as error:
                # Once bytes of the body went out, nobody knows whether it was stored.
                safe = self._repeatable or not body.begun
                if not (
                    safe
                    and body.replayable
                    and self.call.retrying.again(error, self.call.watch.left())
                ):
                    raise
                continue
            self.call.meter.finish()
            return reply

    @property
    def _repeatable(self) -> bool:
        # RFC 9110 section 9.2.2, and draft-ietf-httpapi-idempotency-key-header.
        return self.method == "PUT" or self.idempotency_key is not None

    def _body(self) -> tuple[RawBody | FormBody, tuple[tuple[str, str], ...]]:
        if self.protocol != "raw":
            form = FormBody.of(self.contents, self.fields, self.field, self.call.meter)
            return form, (("Content-Type", form.framed.content_type),)
        content = self.contents[0]
        given = {name.lower() for name, _ in self.call.theirs}
        # A presigned PUT is signed with its headers: what nobody gave is not added.
        describes = self.method != "PUT"
        fields: list[tuple[str, str]] = []
        if describes or content.typed:
            fields.append(("Content-Type", content.type))
        if (describes or content.named) and "content-disposition" not in given:
            fields.append(("Content-Disposition", format_disposition("attachment", content.name)))
        return RawBody(content=content, meter=self.call.meter), tuple(fields)

    def _promises(self, body: RawBody | FormBody) -> list[tuple[str, str]]:
        fields: list[tuple[str, str]] = []
        if self.idempotency_key is not None:
            fields.append(("Idempotency-Key", self.idempotency_key))
        if self.digest:
            if body.length is None:
                raise UsageError(
                    "digest=True needs the content before it is sent; a stream has it only after.",
                    hint="Save the stream to a file first, or leave digest out.",
                )
            value = repr_digest(body.sha256())
            # Without a content coding both are about the same bytes (RFC 9530 section 3).
            fields += [("Content-Digest", value), ("Repr-Digest", value)]
        return fields

    @staticmethod
    def _reply(answer: Answer) -> Reply:
        if answer.status >= FIRST_ERROR:
            raise response_error(answer)
        if not answer.sent_whole:
            raise BadResponse(
                f"The server answered {answer.status} before it had the whole content."
            )
        body = answer.read(_MAX_REPLY + 1)
        if len(body) > _MAX_REPLY:
            raise BadResponse(f"The server's reply is longer than {_MAX_REPLY} bytes.")
        return Reply(
            status=answer.status, headers=answer.headers, body=body, posted_to=str(answer.url)
        )


def check_protocol(protocol: str, method: str, fields: Mapping[str, str], count: int) -> Protocol:
    """Return the protocol that a call means.

    Raises:
        UsageError: it is unknown, or does not fit the other arguments.
    """
    match protocol:
        case "auto" | "multipart":
            if method != "POST":
                raise UsageError(f"A form is sent by POST, not by {method}.")
            return "auto" if protocol == "auto" else "multipart"
        case "raw":
            if method not in {"POST", "PUT"}:
                raise UsageError(f"A raw upload is sent by POST or PUT, not by {method}.")
            if fields or count != 1:
                raise UsageError(
                    "A raw upload is one file without fields.",
                    hint='Use protocol="multipart" for fields or for several files.',
                )
            return "raw"
        case "tus" | "resumable":
            if method != "POST":
                raise UsageError(f"A {protocol} upload begins with POST, not with {method}.")
            if count != 1:
                raise UsageError(f"A {protocol} upload is one file.")
            if protocol == "tus":
                return "tus"
            if fields:
                raise UsageError(
                    "A resumable upload has no fields.",
                    hint='Use protocol="tus", whose metadata they become, or "multipart".',
                )
            return "resumable"
        case _:
            raise UsageError(
                f"Unknown protocol {protocol!r}.",
                hint="Known: multipart, raw, tus, resumable and auto.",
            )


def check_key(key: str | None) -> str | None:
    """Return an idempotency key that can be sent.

    Raises:
        UsageError: it is empty, too long, or not visible ASCII.
    """
    if key is None:
        return None
    if not 0 < len(key) <= _MAX_KEY or not _VISIBLE.fullmatch(key):
        raise UsageError(
            f"An idempotency key is up to {_MAX_KEY} visible ASCII characters.",
            hint="Use str(uuid.uuid4()), and the same one when you repeat the call.",
        )
    return key


__all__ = ["Job", "Protocol", "check_key", "check_protocol"]
