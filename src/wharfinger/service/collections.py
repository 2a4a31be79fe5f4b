"""`Collection`: a named place for files with its own policy, expiry and visibility."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

from wharfinger.errors import ConfigError, UsageError
from wharfinger.keys import refuse_unknown
from wharfinger.policy import POLICY_KEYS, Policy
from wharfinger.service.rates import LEAST_BANDWIDTH, parse_bandwidth
from wharfinger.service.usage import KEYS as QUOTA_KEYS
from wharfinger.service.usage import Quotas
from wharfinger.units import GIB, MIB, parse_duration

Visibility: TypeAlias = Literal["private", "public"]

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_KEYS: Final = (*POLICY_KEYS, *QUOTA_KEYS, "bandwidth", "expires_in", "visibility")


@dataclass(frozen=True, kw_only=True, slots=True)
class Collection:
    """A named place for files.

    Args:
        name: lower-case letters, digits, hyphen and underscore; at most 64.
        policy: what it accepts.
        expires_in: seconds after which its files expire; None keeps them.
        visibility: "private" (the owner reads) or "public" (everybody who has the id).
        bandwidth: bytes per second that its files are sent with, all transfers of one process
            together, those by link too; None for as fast as it goes.
        quotas: how many files, bytes and open uploads it, and each owner in it, may have.

    Raises:
        UsageError: a value is wrong.
    """

    name: str
    policy: Policy
    expires_in: int | None = None
    visibility: Visibility = "private"
    bandwidth: int | None = None
    quotas: Quotas = field(default_factory=Quotas)

    def __post_init__(self) -> None:
        if _NAME.fullmatch(self.name) is None:
            raise UsageError(
                f"{self.name[:80]!r} is not a collection name.",
                hint="Use lower-case letters, digits, - and _, at most 64 of them.",
            )
        if self.visibility not in ("private", "public"):
            raise UsageError(f"visibility is 'private' or 'public', not {self.visibility!r}.")
        if self.bandwidth is not None and self.bandwidth < LEAST_BANDWIDTH:
            raise UsageError(f"bandwidth is at least {LEAST_BANDWIDTH} bytes per second.")

    @classmethod
    def from_mapping(cls, name: str, table: Mapping[str, object]) -> Collection:
        """Return the collection that a `[collections.NAME]` table describes.

        Raises:
            ConfigError: a key is unknown (with a suggestion) or a value is wrong.
        """
        where = f"[collections.{name}]"
        refuse_unknown(table, _KEYS, where)
        policy = Policy.from_mapping(
            {key: value for key, value in table.items() if key in POLICY_KEYS}, where=where
        )
        expires_in, bandwidth = table.get("expires_in"), table.get("bandwidth")
        try:
            return cls(
                name=name,
                policy=policy,
                expires_in=None if expires_in is None else parse_duration(expires_in),  # type: ignore[arg-type]
                visibility=table.get("visibility", "private"),  # type: ignore[arg-type]
                bandwidth=None if bandwidth is None else parse_bandwidth(bandwidth),
                quotas=Quotas.from_mapping(table),
            )
        except UsageError as error:
            raise ConfigError(f"In {where}: {error}", hint=error.hint) from error

    def describe(self) -> dict[str, object]:
        """Return the rules as plain JSON values, as `GET /policy/{collection}` answers them."""
        return {
            "collection": self.name,
            **self.policy.describe(),
            "expires_in": self.expires_in,
            "visibility": self.visibility,
        }


# Out of the box: any type whose content and name agree, and images.
DEFAULT_COLLECTIONS: Final = (
    Collection(name="files", policy=Policy.anything(max_size=5 * GIB)),
    Collection(name="images", policy=Policy.images(max_size=5 * MIB)),
)
