"""`wharf info`: the record of a file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import click

from wharfinger import names
from wharfinger.cli import output
from wharfinger.cli.remote import Service, service_options


@click.command("info", help="Show the record of the file ID (or the address of a file).")
@click.argument("identity", metavar="ID")
@service_options
def command(
    *,
    identity: str,
    service: Service,
) -> None:
    """Show a record."""
    with service.connect() as wharf:
        record = wharf.info(identity)
    output.emit(record, "\n".join(_lines(record)))


def _lines(record: Mapping[str, object]) -> Iterator[str]:
    """Yield `key: value` for people: what is within `details` in lines of its own."""
    for key, value in record.items():
        if key == "details" and isinstance(value, dict):
            yield from (_line(inner, _text(one)) for inner, one in value.items())
        elif key == "problem" and isinstance(value, dict):
            yield _line(key, f"{value.get('detail')} ({value.get('code')})")
        elif key == "expires_at" and value is None:
            yield _line(key, "never")
        else:
            yield _line(key, _text(value))


def _text(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return "" if value is None else str(value)


def _line(key: str, value: str) -> str:
    return f"{names.show(key)}: {names.show(value, limit=4096)}"
