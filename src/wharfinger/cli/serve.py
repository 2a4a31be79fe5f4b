"""`wharf serve`: run the service."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import click

from wharfinger.cli import output, service

if TYPE_CHECKING:
    from wharfinger.server.run import Listening


@click.command(
    "serve",
    help="""Run the service until it is stopped.

    Without any setting it keeps everything in the folder `data`, listens on
    http://127.0.0.1:8080, and makes its key and a first admin token.
    """,
)
@service.data_options
@click.option("--host", metavar="ADDRESS", help="Where to listen; 127.0.0.1 by default.")
@click.option("--port", metavar="PORT", help="8080 by default; 0 picks a free one.")
@click.option("--public-url", metavar="URL", help="The address under which others reach it.")
@click.option("--workers", metavar="N", help="How many processes; 1 by default.")
@click.option("--tls-cert", metavar="FILE", help="Speak TLS with this certificate chain (PEM).")
@click.option("--tls-key", metavar="FILE", help="The private key of the certificate (PEM).")
@click.option("--access-log", is_flag=True, help="Write a line for each request to stderr.")
def command(
    *,
    data: str | None,
    config: str | None,
    host: str | None,
    port: str | None,
    public_url: str | None,
    workers: str | None,
    tls_cert: str | None,
    tls_key: str | None,
    access_log: bool,
) -> None:
    """Serve."""
    settings = service.load(
        data=data,
        config=config,
        host=host,
        port=port,
        public_url=public_url,
        workers=workers,
        tls_cert=tls_cert,
        tls_key=tls_key,
    )
    with service.installed():
        from wharfinger.server.run import serve

    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    logging.getLogger("alembic").setLevel(logging.WARNING)
    serve(settings, _announce, log_requests=access_log)
    output.note("stopped")


def _announce(listening: Listening) -> None:
    token_file = listening.admin_token_file
    if output.is_json():
        output.emit(
            {
                "event": "listening",
                "url": listening.url,
                "data": str(listening.data),
                "admin_token_file": None if token_file is None else str(token_file),
            }
        )
        return
    output.note(f"wharfinger listens on {listening.url} and keeps its files in {listening.data}/")
    if token_file is None:
        output.note(
            f"Make a token: wharf token create --data {listening.data} --name me --scopes read,write,share"
        )
    else:
        output.note(f"The first token, for everything, lies in {token_file}")
