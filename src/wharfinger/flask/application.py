"""What belongs to one Flask application: the service, the sign-in, and answers for errors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from flask import Flask, Response, current_app

from wharfinger.errors import ConfigError, UsageError, WharfingerError
from wharfinger.flask.configuration import proxies_from, wharf_from
from wharfinger.flask.requests import request_head
from wharfinger.flask.responses import response
from wharfinger.service import Principal, Wharf
from wharfinger.web import WebInterface
from wharfinger.web.exchange import error_answer

Authorize: TypeAlias = Callable[[], "Principal | None"]


@dataclass(frozen=True, slots=True)
class State:
    """What lies in `app.extensions["wharfinger"]`."""

    wharf: Wharf
    interface: WebInterface


class Application:
    """The part of the extension that knows applications; the others are built on it.

    One object may serve several applications: what differs between them lies in the
    application, never here.
    """

    def __init__(self, app: Flask | None = None, *, wharf: Wharf | None = None) -> None:
        self._authorize: Authorize | None = None
        if app is not None:
            self.init_app(app, wharf=wharf)
        elif wharf is not None:
            raise UsageError("Give the wharf to init_app, together with the application.")

    def init_app(self, app: Flask, *, wharf: Wharf | None = None) -> None:
        """Make the extension work in this application. Raises ConfigError."""
        wharf = wharf or wharf_from(app)
        interface = WebInterface(wharf, proxies=proxies_from(app), remembers=False)
        app.extensions["wharfinger"] = State(wharf, interface)
        if WharfingerError not in app.error_handler_spec[None][None]:  # the application's own wins
            app.register_error_handler(WharfingerError, _error_response)

    def authorize(self, function: Authorize) -> Authorize:
        """Take the application's own sign-in; usable as a decorator.

        `function` is called in the request's context and returns a `Principal`, or None
        for nobody. The blueprint then knows who asks; what `receive` takes in belongs to
        that principal. Bearer tokens work besides it. Requests to the blueprint that
        change something and rest on a cookie need a same-origin proof.
        """
        self._authorize = function
        return function

    @property
    def wharf(self) -> Wharf:
        """The service of the current application."""
        return self._state.wharf

    @property
    def _state(self) -> State:
        state = current_app.extensions.get("wharfinger")
        if state is None:
            raise ConfigError("This application has no Wharfinger yet.", hint="files.init_app(app)")
        return state  # type: ignore[no-any-return]  # only init_app puts it there

    def _principal(self) -> Principal | None:
        return None if self._authorize is None else self._authorize()

    def _owner(self) -> str | None:
        principal = self._principal()
        return None if principal is None else principal.id


def _error_response(error: WharfingerError) -> Response:
    if isinstance(error, UsageError):
        # The view's mistake and not the visitor's: the trace goes to the log, and only there.
        mistake = RuntimeError(f"{error} {error.hint}".strip())
        mistake.__cause__ = error
        return response(error_answer(mistake, request_head()))
    return response(error_answer(error, request_head()))
