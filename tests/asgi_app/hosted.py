"""The application that test_uvicorn.py runs in a process of its own."""

from __future__ import annotations

import os

from wharfinger import Principal, Wharf
from wharfinger.asgi import App, create_app

EVERYTHING = Principal(id="user:7", scopes=frozenset({"admin"}))


def make() -> App:
    wharf = Wharf.open(os.environ["DATA_FOLDER"])
    return create_app(wharf, authorize=lambda _: EVERYTHING)
