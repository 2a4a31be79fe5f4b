"""The whole HTTP interface under a prefix of the application, and links that it answers."""

from __future__ import annotations

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


class Interface(Application):
    """`blueprint` and `link`."""

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
        blueprint = current_app.blueprints.get(_BLUEPRINT)
        if blueprint is None:
            raise ConfigError(
                "Links need the blueprint that answers them.",
                hint='app.register_blueprint(files.blueprint(), url_prefix="/storage")',
            )
        link: Link = self.wharf.share(
            file_id,
            expires_in=expires_in,
            max_downloads=max_downloads,
            download_name=download_name,
            password=password,
            owner=self._owner(),
        )
        if self.wharf.settings.public_url:
            return link.url
        try:
            return url_for(f"{_BLUEPRINT}.interface", path=link.url.lstrip("/"), _external=True)
        except (RuntimeError, BuildError) as error:
            self.wharf.links.revoke(link.id)
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
