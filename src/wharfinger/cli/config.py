"""`wharf config`: what is configured, and by what."""

from __future__ import annotations

from collections.abc import Mapping

import click

from wharfinger.cli import output, service
from wharfinger.errors import ConfigError
from wharfinger.units import show_size


@click.group("config", help="Look at the configuration.")
def command() -> None:
    """Configuration."""


@command.command(
    "show",
    help="""Show every setting and what decided it: a flag, a variable, the file or a default.""",
)
@service.data_options
def show(*, data: str | None, config: str | None) -> None:
    """Show the configuration."""
    try:
        settings = service.load(data=data, config=config)
    except ConfigError as error:
        if error.hint == ConfigError.hint:  # which leads here
            error.hint = "docs/reference/configuration.md explains every setting."
        raise
    wharf = settings.wharf
    values: Mapping[str, object] = {
        "config": None if settings.config is None else str(settings.config),
        "data": str(wharf.data),
        "host": settings.host,
        "port": settings.port,
        "workers": settings.workers,
        "tls_cert": None if settings.certificate is None else str(settings.certificate.chain),
        "tls_key": None if settings.certificate is None else str(settings.certificate.key),
        "public_url": wharf.public_url,
        "store": str(wharf.store_folder),
        "catalog": str(wharf.catalog_file),
        "offload": wharf.offload,
        "cors_origins": list(wharf.cors_origins),
        "revalidate_private": wharf.revalidate_private,
        "trusted_proxies": list(settings.trusted_proxies),
        "webhook": wharf.events.webhook,
        "interim": settings.interim,
    }
    limits = wharf.limits.describe()
    receiving = wharf.patience.describe()
    checking = wharf.checking.describe()
    scan = wharf.scan.describe()
    collections = {
        name: {**found.describe(), **found.quotas.describe()}
        for name, found in sorted(wharf.collections.items())
    }
    if output.is_json():
        output.emit(
            {
                **values,
                "sources": dict(settings.sources),
                "limits": limits,
                "receiving": receiving,
                "checking": checking,
                "scan": scan,
                "collections": collections,
            }
        )
        return
    for key, value in values.items():
        source = settings.sources.get(key)
        output.emit({}, f"{key} = {value}" + (f"  ({source})" if source else ""))
    for key, value in limits.items():
        output.emit({}, f"limits.{key} = {value}")
    for key, value in receiving.items():
        output.emit({}, f"receiving.{key} = {value}")
    for key, value in checking.items():
        output.emit({}, f"checking.{key} = {value}")
    for key, value in scan.items():
        output.emit({}, f"scan.{key} = {value}")
    for name, rules in collections.items():
        types = rules["types"]
        shown = ", ".join(types) if isinstance(types, list) else "any type"
        text = f"collection {name}: {rules['visibility']}; {shown}; "
        text += f"at most {show_size(int(str(rules['max_size'])))}"
        if rules["expires_in"] is not None:
            text += f"; expires after {rules['expires_in']} s"
        bandwidth = wharf.collections[name].bandwidth
        if bandwidth is not None:
            text += f"; sent at {show_size(bandwidth)}/s"
        for key, limit in wharf.collections[name].quotas.describe().items():
            text += f"; {key} = {show_size(limit) if 'bytes' in key else limit}"
        output.emit({}, text)
