"""The Flask extension: take files in and hand files out from your own views.

    files = Wharfinger(app)

    @app.post("/avatar")
    def avatar():
        stored = files.receive("avatars")
        return {"id": stored.id}

The body is streamed from the request into the service; nothing is spooled to /tmp and
nothing is held in memory. Errors of wharfinger that a view does not catch become
problem documents.
"""

# ruff: noqa: E402
from wharfinger.extras import require

require("flask", extra="flask")

from wharfinger.flask.extension import Form, Wharfinger

__all__ = ["Form", "Wharfinger"]
