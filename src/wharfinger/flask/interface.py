"""The whole HTTP interface under a prefix of the application, and links that it answers."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from flask import Blueprint, Response, current_app, request, url_for
from werkzeug.routing import BuildError

from wharfinger.errors import ConfigError, WharfingerError
from wharfinger.flask.application import Application
from wharfinger.flask.requests import check_unread, push_body, request_head
from wharfinger.flask.responses import response
from wharfinger.service import Link, StoredFile
from wharfinger.service.links import DEFAULT_EXPIRES_IN

_METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
_BLUEPRINT: Final = "wharfinger"


def _check_blueprint() -> None:
    if current_app.blueprints.get(_BLUEPRINT) is None:
        raise ConfigError(
            "Links need the blueprint that answers them.",
            hint='app.register_blueprint(files.blueprint(), url_prefix="/storage")',
        )


class Interface(Application):
    """`blueprint`, `link` and `request_link`."""

    def link(
        self,
        file: str | StoredFile,
        *,
        expires_in: int = DEFAULT_EXPIRES_IN,
        max_downloads: int | None = None,
        download_name: str | None = None,
        password: str | None = None,
    ) -> str:
        """Return the address of a new link by which whoever has it may download the file.

        The arguments are those of `Wharf.share`. The blueprint must be registered: it is
        what answers the link.

        Raises:
            ConfigError: the blueprint is not registered.
            NotFound, NotReady, UsageError: as `Wharf.share`.
        """
        file_id = file if isinstance(file, str) else file.id
        _check_blueprint()
        link: Link = self.wharf.share(
            file_id,
            expires_in=expires_in,
            max_downloads=max_downloads,
            download_name=download_name,
            password=password,
            owner=self._owner(),
        )
        return self._address(link.url, lambda: self.wharf.links.revoke(link.id))

    def request_link(
        self,
        collection: str,
        *,
        expires_in: int = DEFAULT_EXPIRES_IN,
        max_files: int | None = None,
        max_bytes: int | None = None,
        types: str | Iterable[str] | None = None,
    ) -> str:
        """Return the address of a new link by which others may send files into a collection.

        The arguments are those of `Wharf.request`. The blueprint must be registered: it is
        what answers the link.

        Raises:
            ConfigError: the blueprint is not registered.
            NotFound, UsageError: as `Wharf.request`.
        """
        _check_blueprint()
        link = self.wharf.request(
            collection,
            expires_in=expires_in,
            max_files=max_files,
            max_bytes=max_bytes,
            types=types,
            owner=self._owner(),
        )
        return self._address(link.url, lambda: self.wharf.upload_links.revoke(link.id))

    def _address(self, url: str, take_back: Callable[[], None]) -> str:
        """Return a link's whole address; if it has none, the link is taken back."""
        if self.wharf.settings.public_url:
            return url
        try:
            return url_for(f"{_BLUEPRINT}.interface", path=url.lstrip("/"), _external=True)
        except (RuntimeError, BuildError) as error:
            take_back()
            raise ConfigError(
                "Outside a request the link's address is not known.",
                hint="Set WHARFINGER_PUBLIC_URL, or SERVER_NAME.",
            ) from error

    def blueprint(self) -> Blueprint:
        """Return the whole HTTP interface as a blueprint; register it with a `url_prefix`."""
        blueprint = Blueprint(_BLUEPRINT, __name__)

        def interface(path: str = "") -> Response:
            return self._answer(path)

        for rule in ("/", "/<path:path>"):
            blueprint.add_url_rule(
                rule,
                endpoint="interface",
                view_func=interface,
                methods=list(_METHODS),
                provide_automatic_options=False,
                strict_slashes=False,
                merge_slashes=False,
            )
        return blueprint

    def _answer(self, path: str) -> Response:
        whole = request.path
        mount = whole[: len(whole) - len(path)].rstrip("/")
        head = request_head(
            path=f"/{path}", root=request.root_path.rstrip("/") + mount, principal=self._principal()
        )
        if request.environ.get("wsgi.multiprocess"):
            self._state.interface.limiting.notice_other_processes()
        exchange = self._state.interface.exchange(head)
        try:
            answer = exchange.begin()
            if answer is None:
                check_unread()
                answer = push_body(exchange.write) or exchange.finish()
        except WharfingerError as error:
            answer = exchange.refuse(error)
        finally:
            exchange.abort()
        return response(answer)
