"""`Wharfinger`: what a Flask application calls, put together from its parts."""

from __future__ import annotations

from wharfinger.flask.delivering import Delivering
from wharfinger.flask.interface import Interface
from wharfinger.flask.receiving import Form, Receiving

__all__ = ["Form", "Wharfinger"]


class Wharfinger(Receiving, Delivering, Interface):
    """Files for a Flask application.

    Args:
        app: the application; or call `init_app` later.
        wharf: a service that exists already. Without it the application's configuration
            makes one: `WHARFINGER_DATA` (a folder; relative to `app.root_path`; by
            default `wharfinger` in the instance folder), `WHARFINGER_CONFIG` (a
            `wharfinger.toml`), `WHARFINGER_PUBLIC_URL`, and `WHARFINGER_COLLECTIONS`
            (names to tables, as in the file); further keys are those of
            docs/reference/configuration.md.
    """
