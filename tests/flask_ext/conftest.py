"""A Flask application with the extension, over a service in a temporary folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import pytest
from flask import Flask
from flask.typing import ResponseReturnValue

from support.services import make_wharf
from support.shells import Answered
from wharfinger import Wharf
from wharfinger.flask import Wharfinger

View = Callable[[], ResponseReturnValue]


class Ask(Protocol):
    def __call__(
        self,
        view: View | str,
        method: str = "GET",
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        **more: Any,
    ) -> Answered: ...


@pytest.fixture
def wharf(tmp_path: Path) -> Iterator[Wharf]:
    with make_wharf(tmp_path / "data") as wharf:
        yield wharf


@pytest.fixture
def app(tmp_path: Path) -> Flask:
    root = tmp_path / "application"
    root.mkdir()
    return Flask("app", root_path=str(root), instance_path=str(tmp_path / "instance"))


@pytest.fixture
def files(app: Flask, wharf: Wharf) -> Wharfinger:
    return Wharfinger(app, wharf=wharf)


@dataclass
class _Asking:
    app: Flask
    view: View = str

    def __call__(
        self,
        view: View | str,
        method: str = "GET",
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        **more: Any,
    ) -> Answered:
        if not isinstance(view, str):
            self.view, view = view, "/view"
        # Buffered: the body is read to its end and closed, as a server does it.
        answer = self.app.test_client().open(
            view, method=method, data=body, headers=dict(headers or {}), buffered=True, **more
        )
        lowered = {name.lower(): value for name, value in answer.headers.items()}
        assert len(lowered) == len(list(answer.headers)), answer.headers
        return Answered(answer.status_code, lowered, answer.data)


@pytest.fixture
def ask(app: Flask) -> Ask:
    """Return a function that sends a request to a view (or a path) and returns the answer."""
    asking = _Asking(app)

    def current() -> ResponseReturnValue:
        return asking.view()

    app.add_url_rule("/view", "view", current, methods=["GET", "POST"])
    return asking
