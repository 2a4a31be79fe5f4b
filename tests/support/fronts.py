"""Real web servers in front of a service, configured as the documentation shows it."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit

from support.processes import free_port, running
from support.require import program

HOW_TO = Path(__file__).parents[2] / "docs" / "how-to"


def shown(page: str, which: str) -> str:
    """Return the block of a page that stands after `<!-- tested: which -->`."""
    text = (HOW_TO / page).read_text("utf-8")
    found = re.search(
        rf"<!-- tested: {which} -->\s+```\w+\n(.*?)^```$", text, re.DOTALL | re.MULTILINE
    )
    assert found is not None, f"{page} shows nothing marked {which!r}"
    return found[1]


def put_in(text: str, real: Mapping[str, str]) -> str:
    """Return a configuration with what is true here for what the page says; each must be there."""
    for said, true in real.items():
        assert said in text, f"the page does not say {said!r}"
        text = text.replace(said, true)
    return text


@contextlib.contextmanager
def nginx(
    folder: Path,
    service: str,
    files: Path | None = None,
    *,
    user: str | None = None,
    buffering: bool = False,
) -> Iterator[str]:
    """Run nginx as docs/how-to/nginx.md shows it, taking over `files` if they are given.

    With `buffering` it takes a whole request in before the service hears of it, as it does by
    default and as the page advises against.
    """
    folder.mkdir()
    port = free_port()
    server = put_in(
        shown("nginx.md", "passing on" if files is None else "taking over"),
        {
            "127.0.0.1:8080": _address(service),
            "listen 443 ssl;": f"listen 127.0.0.1:{port};",
            "    ssl_certificate     /etc/ssl/files.example.org.pem;\n": "",
            "    ssl_certificate_key /etc/ssl/private/files.example.org.key;\n": "",
            "/var/log/nginx/files.log": str(folder / "access.log"),
        }
        | ({"proxy_request_buffering off;": "proxy_request_buffering on;"} if buffering else {})
        | ({} if files is None else {"/srv/wharfinger/files/": f"{files}/"}),
    )
    temporary = "".join(
        f"{kind}_temp_path {folder}/{kind};\n"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    config = folder / "nginx.conf"
    config.write_text(
        f"daemon off; worker_processes 1; pid {folder}/pid; error_log {folder}/error.log;\n"
        f"{_as_user(user or 'root')}\n"
        f"events {{}}\nhttp {{ gzip on; gzip_types *; {temporary}\n{server}\n}}\n",
        "utf-8",
    )
    command: list[str | Path] = [
        program("nginx"),
        "-c",
        config,
        "-p",
        folder,
        "-e",
        folder / "error.log",
    ]
    with running(command, port, folder / "log"):
        yield f"http://127.0.0.1:{port}"


@contextlib.contextmanager
def caddy(folder: Path, service: str, files: Path | None = None) -> Iterator[str]:
    """Run Caddy as docs/how-to/caddy.md shows it, taking over `files` if they are given."""
    folder.mkdir()
    port = free_port()
    site = put_in(
        shown("caddy.md", "passing on" if files is None else "taking over"),
        {
            "127.0.0.1:8080": _address(service),
            "files.example.org {": f"http://127.0.0.1:{port} {{",
        }
        | ({} if files is None else {"/srv/wharfinger/files": str(files)}),
    )
    config = folder / "Caddyfile"
    config.write_text(f"{{\n\tadmin off\n\tauto_https off\n}}\n{site}", "utf-8")
    command: list[str | Path] = [
        program("caddy"),
        "run",
        "--config",
        config,
        "--adapter",
        "caddyfile",
    ]
    homes = {name: str(folder) for name in ("HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME")}
    with running(command, port, folder / "log", environment=homes):
        yield f"http://127.0.0.1:{port}"


def _as_user(user: str) -> str:
    return f"user {user};" if os.geteuid() == 0 else ""


def _address(url: str) -> str:
    return urlsplit(url).netloc
