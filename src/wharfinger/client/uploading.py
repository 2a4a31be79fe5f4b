"""One upload: the policy first, then the connection, then the bytes at flat memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from wharfinger.client.answers import FIRST_ERROR, response_error
from wharfinger.client.body import FormBody, RawBody
from wharfinger.client.reply import Reply
from wharfinger.client.request import Request
from wharfinger.errors import BadResponse, ConnectFailed, TransferTimeout, UsageError
from wharfinger.protocol.disposition import format_disposition

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from wharfinger.client.body import Content
    from wharfinger.client.progress import Meter
    from wharfinger.client.retrying import Retrying
    from wharfinger.client.timeouts import Stopwatch
    from wharfinger.client.transport import Answer, Transport
    from wharfinger.net.urls import Url
    from wharfinger.policy import Policy

Protocol = Literal["multipart", "raw", "tus", "resumable", "auto"]

_MAX_REPLY: Final = 4 * 1024 * 1024


@dataclass(kw_only=True)
class Job:
    """One upload that is under way."""

    transport: Transport
    url: Url
    theirs: tuple[tuple[str, str], ...]
    contents: Sequence[Content]
    policy: Policy | None
    protocol: Protocol
    method: str
    field: str
    fields: Mapping[str, str]
    watch: Stopwatch
    retrying: Retrying
    meter: Meter

    def run(self) -> Reply:
        """Judge every file, send them, and return the server's reply."""
        if self.policy is not None:
            for content in self.contents:
                content.judge(self.policy, self.meter)
        request = self._request()
        while True:
            self.meter.enter("connecting")
            try:
                answer = self.transport.send(request, self.watch)
            except (ConnectFailed, TransferTimeout) as error:
                # Only before any byte of the body was sent; else a file could be stored twice.
                if self.meter.done or not self.retrying.again(error, self.watch.left()):
                    raise
                continue
            with answer:
                reply = self._reply(answer)
            self.meter.finish()
            return reply

    def _request(self) -> Request:
        if self.protocol == "raw":
            content = self.contents[0]
            ours: tuple[tuple[str, str], ...] = (("Content-Type", content.type),)
            if not any(name.lower() == "content-disposition" for name, _ in self.theirs):
                ours += (("Content-Disposition", format_disposition("attachment", content.name)),)
            return Request(
                method=self.method,
                url=self.url,
                ours=ours,
                theirs=self.theirs,
                body=RawBody(content=content, meter=self.meter),
            )
        form = FormBody.of(self.contents, self.fields, self.field, self.meter)
        return Request(
            method=self.method,
            url=self.url,
            ours=(("Content-Type", form.framed.content_type),),
            theirs=self.theirs,
            body=form,
        )

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
        UsageError: it is unknown, not available yet, or does not fit the other arguments.
    """
    match protocol:
        case "auto" | "multipart":
            if method != "POST":
                raise UsageError(f"A form is sent by POST, not by {method}.")
            return "multipart"
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
            raise UsageError(
                f"The protocol {protocol!r} is not yet available.",
                hint='Use protocol="multipart" or protocol="raw".',
            )
        case _:
            raise UsageError(
                f"Unknown protocol {protocol!r}.", hint="Known: multipart, raw and auto."
            )


__all__ = ["Job", "Protocol", "check_protocol"]
