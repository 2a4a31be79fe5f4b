"""The service that an application's configuration keys describe."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

from flask import Flask

from wharfinger.errors import ConfigError
from wharfinger.keys import refuse_unknown
from wharfinger.service import Collection, Wharf
from wharfinger.service.checking_settings import CheckingSettings
from wharfinger.service.event_settings import EventSettings
from wharfinger.service.limits import LimitSettings
from wharfinger.service.scan_settings import ScanSettings
from wharfinger.service.settings import WharfSettings, read_toml
from wharfinger.web.proxies import Proxies

_CONFIG_KEYS: Final = (
    "WHARFINGER_DATA",
    "WHARFINGER_CONFIG",
    "WHARFINGER_PUBLIC_URL",
    "WHARFINGER_COLLECTIONS",
    "WHARFINGER_OFFLOAD",
    "WHARFINGER_LIMITS",
    "WHARFINGER_CHECKING",
    "WHARFINGER_SCAN",
    "WHARFINGER_EVENTS",
    "WHARFINGER_TRUSTED_PROXIES",
)


def wharf_from(app: Flask) -> Wharf:
    """Return the service that the application's configuration describes. Raises ConfigError."""
    config = app.config
    given = [key for key in config if key.startswith("WHARFINGER_")]
    refuse_unknown(given, _CONFIG_KEYS, "app.config")
    root = Path(app.root_path)
    named = config.get("WHARFINGER_CONFIG")
    more = config.get("WHARFINGER_COLLECTIONS", {})
    if not isinstance(more, Mapping):
        raise ConfigError("WHARFINGER_COLLECTIONS must be names with their tables.")
    for name, table in more.items():
        if not isinstance(table, Mapping):
            raise ConfigError(f"WHARFINGER_COLLECTIONS: {name!r} must be a table.")
    data = config.get("WHARFINGER_DATA")
    for key, value in (("WHARFINGER_DATA", data), ("WHARFINGER_CONFIG", named)):
        if value is not None and not isinstance(value, (str, os.PathLike)):
            raise ConfigError(f"{key} must be a path, not {type(value).__name__}.")
    tables = {} if named is None else read_toml(root / named)
    if data is None and not tables.get("store"):
        data = Path(app.instance_path) / "wharfinger"
    settings = WharfSettings.from_tables(
        tables,
        data=None if data is None else root / data,
        public_url=config.get("WHARFINGER_PUBLIC_URL"),
        offload=config.get("WHARFINGER_OFFLOAD"),
    )
    if (limits := _table(config, "limits")) is not None:
        settings = replace(settings, limits=LimitSettings.from_mapping(limits))
    if (checking := _table(config, "checking")) is not None:
        settings = replace(settings, checking=CheckingSettings.from_mapping(checking))
    if (scan := _table(config, "scan")) is not None:
        settings = replace(settings, scan=ScanSettings.from_mapping(scan))
    if (events := _table(config, "events")) is not None:
        found = EventSettings.from_mapping(events)
        if found.secret_file is not None:
            found = replace(found, secret_file=root / found.secret_file)
        settings = replace(settings, events=found)
    return Wharf(
        settings.with_collections(
            {name: Collection.from_mapping(name, table) for name, table in more.items()}
        )
    )


def _table(config: Mapping[str, object], name: str) -> Mapping[str, object] | None:
    """Return what stands for a section of a configuration file. Raises ConfigError."""
    key = f"WHARFINGER_{name.upper()}"
    found = config.get(key)
    if found is not None and not isinstance(found, Mapping):
        raise ConfigError(f"{key} must be a table, as [{name}] is.")
    return found


def proxies_from(app: Flask) -> Proxies:
    """Return the proxies that the application's configuration trusts. Raises ConfigError."""
    named = app.config.get("WHARFINGER_TRUSTED_PROXIES", ())
    if not isinstance(named, (list, tuple)) or not all(isinstance(one, str) for one in named):
        raise ConfigError("WHARFINGER_TRUSTED_PROXIES must be a list of addresses and networks.")
    return Proxies(named)
