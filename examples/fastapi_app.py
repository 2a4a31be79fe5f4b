"""A FastAPI application that mounts the service under /storage, with its own sign-in.

    python examples/fastapi_app.py [PORT]

On first start it makes its folder data/fastapi-example with the key that signs its
cookies. POST /sign-in?user=ada sets one; /storage then knows who asks.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import sys
from collections.abc import AsyncIterator, MutableMapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse

from wharfinger import Principal, Wharf
from wharfinger.asgi import create_app

DATA = Path("data/fastapi-example")
COOKIE = "signed_in"


class SignIn:
    """Who is signed in, by a cookie that only this application can make."""

    def __init__(self, key_file: Path) -> None:
        if not key_file.exists():
            key_file.parent.mkdir(parents=True, exist_ok=True)
            key_file.touch(mode=0o600)
            key_file.write_bytes(secrets.token_bytes(32))
        self._key = key_file.read_bytes()

    def cookie(self, user: str) -> str:
        """Return the value of the cookie for a user."""
        return f"{user}.{hmac.new(self._key, user.encode(), hashlib.sha256).hexdigest()}"

    def user(self, cookie: str) -> str | None:
        """Return who a cookie belongs to, or None when it was made by somebody else."""
        user = cookie.partition(".")[0]
        return user if hmac.compare_digest(self.cookie(user).encode(), cookie.encode()) else None


def make_app(data: Path | str = DATA) -> FastAPI:
    """Return the application over a data folder."""
    wharf = Wharf.open(data)
    sign_in = SignIn(Path(data) / "cookie-key")

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        wharf.close()

    app = FastAPI(lifespan=lifespan)

    @app.post("/sign-in")
    def enter(user: str) -> Response:  # an example: your own asks for a password
        if not user.isalnum() or not user.isascii():
            return JSONResponse({"sorry": "A name has letters and digits."}, 422)
        answer = JSONResponse({"welcome": user})
        answer.set_cookie(COOKIE, sign_in.cookie(user), httponly=True, samesite="lax")
        return answer

    @app.get("/my-files")
    def my_files(request: Request) -> list[dict[str, object]]:
        user = sign_in.user(request.cookies.get(COOKIE, ""))
        if user is None:
            return []
        files, _ = wharf.list_files(owner=f"user:{user}", limit=20)
        return [{"name": file.name, "size": file.size} for file in files]

    def who(scope: MutableMapping[str, Any]) -> Principal | None:
        user = sign_in.user(Request(scope).cookies.get(COOKIE, ""))
        if user is None:
            return None
        return Principal(id=f"user:{user}", scopes=frozenset({"read", "write", "share"}))

    app.mount("/storage", create_app(wharf, authorize=who))
    return app


if __name__ == "__main__":
    import uvicorn

    uvicorn.run(make_app(), port=int(sys.argv[1]) if len(sys.argv) > 1 else 8000)
