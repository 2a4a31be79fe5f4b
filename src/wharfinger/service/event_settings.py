"""`EventSettings`: where events are sent, from the `[events]` table of a configuration file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from wharfinger.errors import AddressRefused, ConfigError, UsageError
from wharfinger.keys import refuse_unknown
from wharfinger.net import urls
from wharfinger.net.guard import AddressGuard

_KEYS: Final = ("webhook", "secret_file", "allow_private", "allow_networks")


@dataclass(frozen=True, kw_only=True, slots=True)
class EventSettings:
    """Where events are sent.

    Args:
        webhook: the address that each event is posted to; None for none.
        secret_file: a file with the secrets that sign, one a line, newest first; None for
            `webhook-secret` in the data folder, which is made when it is missing. The
            variable WHARFINGER_WEBHOOK_SECRET wins over both.
        allow_private: the webhook may be at a private, loopback or link-local address.
        allow_networks: networks it may be in, like "10.1.0.0/16".

    Raises:
        ConfigError: a value is wrong.
    """

    webhook: str | None = None
    secret_file: Path | None = None
    allow_private: bool = False
    allow_networks: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not isinstance(self.allow_private, bool):
            raise ConfigError("[events] allow_private must be true or false.")
        try:
            self.guard()
            if self.webhook is not None:
                urls.parse(self.webhook)
        except (UsageError, AddressRefused) as error:
            raise ConfigError(f"In [events]: {error}", hint=error.hint) from error

    def guard(self) -> AddressGuard:
        """Return what decides where the webhook may be."""
        return AddressGuard(allow_private=self.allow_private, allow_networks=self.allow_networks)

    @classmethod
    def from_mapping(cls, table: Mapping[str, object]) -> EventSettings:
        """Return the settings that an `[events]` table describes. Raises ConfigError."""
        refuse_unknown(table, _KEYS, "[events]")
        for key in ("webhook", "secret_file"):
            if not isinstance(table.get(key), (str, type(None))):
                raise ConfigError(f"[events] {key} must be text.")
        networks = table.get("allow_networks", ())
        if not isinstance(networks, (list, tuple)) or not all(
            isinstance(network, str) for network in networks
        ):
            raise ConfigError("[events] allow_networks must be a list of networks.")
        secret_file = table.get("secret_file")
        webhook = table.get("webhook")
        return cls(
            webhook=None if webhook is None else str(webhook),
            secret_file=None if secret_file is None else Path(str(secret_file)),
            allow_private=table.get("allow_private", False),  # type: ignore[arg-type]  # checked there
            allow_networks=tuple(networks),
        )
