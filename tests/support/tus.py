"""Requests of tus 1.0, written out field by field."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from support.shells import Answered, Browser

VERSION = {"Tus-Resumable": "1.0.0"}
BYTES = {"Content-Type": "application/offset+octet-stream"}


def meta(**pairs: str) -> str:
    return ",".join(
        f"{key} {base64.b64encode(value.encode()).decode()}" for key, value in pairs.items()
    )


def digest(name: str, content: bytes) -> str:
    return f"{name} {base64.b64encode(hashlib.new(name, content).digest()).decode()}"


@dataclass(frozen=True)
class Tus:
    """A client that does just what it is told."""

    browser: Browser
    endpoint: str = "/uploads/files"

    def post(
        self, fields: Mapping[str, str], body: bytes = b"", *, token: str | None = None
    ) -> Answered:
        sent = {**VERSION, **(BYTES if body else {}), **fields}
        return self.browser.ask("POST", self.endpoint, body, sent, token=token)

    def create(self, length: int | None, **more: str) -> str:
        """Begin an upload and return its path; `more` has underscores for hyphens."""
        fields = {name.replace("_", "-"): value for name, value in more.items()}
        if length is None:
            fields["Upload-Defer-Length"] = "1"
        else:
            fields["Upload-Length"] = str(length)
        answer = self.post(fields)
        assert answer.status == 201, answer
        return answer.headers["location"]

    def patch(
        self,
        path: str,
        offset: int | str,
        body: bytes,
        fields: Mapping[str, str] | None = None,
        *,
        token: str | None = None,
    ) -> Answered:
        sent = {**VERSION, **BYTES, "Upload-Offset": str(offset), **(fields or {})}
        return self.browser.ask("PATCH", path, body, sent, token=token)

    def head(self, path: str, *, token: str | None = None) -> Answered:
        return self.browser.ask("HEAD", path, headers=VERSION, token=token)

    def delete(self, path: str, *, token: str | None = None) -> Answered:
        return self.browser.ask("DELETE", path, headers=VERSION, token=token)

    def offset(self, path: str) -> int:
        answer = self.head(path)
        assert answer.status == 200, answer
        return int(answer.headers["upload-offset"])

    def file(self, answer: Answered) -> bytes:
        """Return the content of the file that an upload became."""
        found = self.browser.ask("GET", answer.headers["content-location"])
        assert found.status == 200, found
        return found.body
