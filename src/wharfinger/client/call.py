"""What each transfer is given by its client: over what, where to, as whom, for how long."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from wharfinger.client import arguments
from wharfinger.client.progress import Callback, Meter
from wharfinger.client.request import Auth, callers_fields
from wharfinger.client.retrying import Retrying
from wharfinger.client.timeouts import Timeout

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wharfinger.client.netrc_file import Netrc
    from wharfinger.client.retrying import Sleep
    from wharfinger.client.timeouts import Stopwatch
    from wharfinger.client.transport import Transport
    from wharfinger.net.urls import Url

Fields = tuple[tuple[str, str], ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Call:
    """One transfer as far as it is the same for downloads and uploads.

    `theirs` are the header fields that the caller gave for the origin of `url`.
    """

    transport: Transport
    url: Url
    theirs: Fields
    watch: Stopwatch
    retrying: Retrying
    meter: Meter


@dataclass(frozen=True, kw_only=True, slots=True)
class Defaults:
    """What holds where a call says nothing of its own."""

    fields: Fields
    netrc: Netrc
    timeout: Timeout
    retries: int | None
    sleep: Sleep

    def call(
        self,
        transport: Transport,
        url: Url,
        *,
        headers: Mapping[str, str] | None,
        auth: Auth | None,
        timeout: float | Timeout | None,
        retries: int | None,
        progress: Callback | None,
    ) -> Call:
        """Return a call whose time begins now. Raises UsageError."""
        arguments.callback(progress, "progress")
        return Call(
            transport=transport,
            url=url,
            theirs=self._theirs(url, headers, auth),
            watch=self.timeout_for(timeout).start(transport.clock),
            retrying=Retrying(
                retries=self.retries_for(retries),
                answered=partial(transport.has_answered, url),
                sleep=self.sleep,
            ),
            meter=Meter(progress, transport.clock),
        )

    def timeout_for(self, timeout: float | Timeout | None) -> Timeout:
        """Return the time limits of a call."""
        return self.timeout if timeout is None else Timeout.of(timeout)

    def retries_for(self, retries: int | None) -> int | None:
        """Return how often a call is tried again; None for the defaults."""
        return self.retries if retries is None else arguments.retries(retries)

    def _theirs(self, url: Url, headers: Mapping[str, str] | None, auth: Auth | None) -> Fields:
        own = callers_fields(headers, auth)
        replaced = {name.lower() for name, _ in own}
        fields = (*(pair for pair in self.fields if pair[0].lower() not in replaced), *own)
        if self.netrc is False or any(name.lower() == "authorization" for name, _ in fields):
            return fields
        from wharfinger.client.netrc_file import auth_for

        return (*fields, *callers_fields(None, auth_for(url, self.netrc)))
