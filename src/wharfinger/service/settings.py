"""`WharfSettings`: where a service keeps its things, from arguments or `wharfinger.toml`.

The folder of a service:

    DATA/catalog.sqlite3   records
    DATA/catalog.epoch     tells processes when to forget what they remember of records
    DATA/files, staging    bytes (see stores.local)
    DATA/keys              the key ring that signs links
    DATA/lock              held while the catalog is brought up to date
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, Literal, TypeAlias
from urllib.parse import unquote, urlsplit

from wharfinger.errors import ConfigError
from wharfinger.keys import refuse_unknown
from wharfinger.names import show
from wharfinger.service.checking_settings import CheckingSettings
from wharfinger.service.collections import DEFAULT_COLLECTIONS, Collection
from wharfinger.service.event_settings import EventSettings
from wharfinger.service.limits import LimitSettings
from wharfinger.service.patience import Patience
from wharfinger.service.scan_settings import ScanSettings

DEFAULT_DATA: Final = Path("data")
# How the web server in front is told to send a file itself.
Offload: TypeAlias = Literal["nginx", "sendfile"]
# What a configuration file may hold; `server` belongs to the stand-alone server.
SECTIONS: Final = (
    "server",
    "store",
    "catalog",
    "collections",
    "delivery",
    "limits",
    "receiving",
    "checking",
    "scan",
    "events",
)
# RFC 6454 section 6.2, of http and https: lower case, and the default port is never written.
_ORIGIN: Final = re.compile(
    r"(?:http://(?!.*:80\Z)|https://(?!.*:443\Z))"
    r"(?:[a-z0-9](?:[a-z0-9._-]{0,253})|\[[0-9a-f:.]{2,45}\])(?::[1-9][0-9]{0,4})?"
)


@dataclass(frozen=True, kw_only=True, slots=True)
class WharfSettings:
    """Where a service keeps its things.

    Args:
        data: the folder for everything that has no place of its own below.
        store: the folder of the files; None for `data`.
        catalog: the SQLite file of the records; None for `data/catalog.sqlite3`.
        collections: the places for files, by name; `files` and `images` are always there.
        public_url: the address under which others reach the service, such as
            "https://files.example.org"; used for the urls of links.
        cors_origins: the origins whose pages may use the HTTP interface from a browser,
            such as "https://app.example.org"; none by default.
        revalidate_private: browsers may keep private files, and ask before each use whether
            they may still show them; by default they keep nothing.
        offload: stored files are handed to the web server in front to send, by
            `X-Accel-Redirect` ("nginx") or `X-Sendfile` ("sendfile"); its group may read them
            then. None: they are sent from here.
        limits: how much one token, address or link may do in a time.
        patience: how long is waited for the bytes of an upload.
        checking: how files are checked, and how long uploads wait for that.
        scan: who is asked about every file, and what happens when that says nothing.
        events: where events are sent.

    Raises:
        ConfigError: public_url is no http or https address, one of cors_origins no origin, or
            offload another word.
    """

    data: Path = DEFAULT_DATA
    store: Path | None = None
    catalog: Path | None = None
    collections: Mapping[str, Collection] = field(default_factory=dict)
    public_url: str | None = None
    cors_origins: tuple[str, ...] = ()
    revalidate_private: bool = False
    offload: Offload | None = None
    limits: LimitSettings = field(default_factory=LimitSettings)
    patience: Patience = field(default_factory=Patience)
    checking: CheckingSettings = field(default_factory=CheckingSettings)
    scan: ScanSettings = field(default_factory=ScanSettings)
    events: EventSettings = field(default_factory=EventSettings)

    def __post_init__(self) -> None:
        everything = {collection.name: collection for collection in DEFAULT_COLLECTIONS}
        everything.update(self.collections)
        object.__setattr__(self, "collections", everything)
        object.__setattr__(self, "public_url", _checked_public_url(self.public_url))
        object.__setattr__(self, "cors_origins", _checked_origins(self.cors_origins))
        if not isinstance(self.revalidate_private, bool):
            raise ConfigError("revalidate_private must be true or false.")
        _check_offload(self.offload)

    def with_collections(self, more: Mapping[str, Collection]) -> WharfSettings:
        """Return the same settings with further collections, which win over those of the same name."""
        return replace(self, collections={**self.collections, **more})

    def as_scannable(self) -> WharfSettings:
        """Return the same settings with collections that take no file too large for the scanner.

        It would be refused once it is there; so its sender is told at its head.
        """
        most = self.scan.most_scanned
        if most is None:
            return self
        return self.with_collections(
            {
                name: replace(place, policy=place.policy.at_most(most))
                for name, place in self.collections.items()
                if place.policy.min_size <= most < place.policy.max_size
            }
        )

    @property
    def store_folder(self) -> Path:
        """The folder of the files."""
        return self.store or self.data

    @property
    def catalog_file(self) -> Path:
        """The SQLite file of the records."""
        return self.catalog or self.data / "catalog.sqlite3"

    @classmethod
    def from_tables(
        cls,
        tables: Mapping[str, object],
        *,
        data: Path | None = None,
        public_url: str | None = None,
        offload: object = None,
    ) -> WharfSettings:
        """Return the settings that the tables of a configuration file describe.

        Args:
            tables: what `read_toml` returned.
            data: the data folder, if a flag or the environment named one: it wins.
            public_url: the same for the public address.
            offload: how files are handed to the web server in front, if they are.

        Raises:
            ConfigError: a section or key is unknown, or a value is wrong.
        """
        store_table = section(tables, "store", ("url",))
        catalog_table = section(tables, "catalog", ("url",))
        collections = section(tables, "collections", None)
        delivery = section(tables, "delivery", ("cors_origins", "revalidate_private"))
        store = _path_of(store_table.get("url"), "file", "[store] url")
        found: dict[str, Collection] = {}
        for name, table in collections.items():
            if not isinstance(table, Mapping):
                raise ConfigError(f"[collections] {name} must be a table: [collections.{name}].")
            found[name] = Collection.from_mapping(name, table)
        return cls(
            data=data or store or DEFAULT_DATA,
            store=store,
            catalog=_path_of(catalog_table.get("url"), "sqlite", "[catalog] url"),
            collections=found,
            public_url=public_url,
            cors_origins=delivery.get("cors_origins", ()),  # type: ignore[arg-type]  # checked there
            revalidate_private=delivery.get("revalidate_private", False),  # type: ignore[arg-type]
            offload=offload,  # type: ignore[arg-type]
            limits=LimitSettings.from_mapping(section(tables, "limits", None)),
            patience=Patience.from_mapping(section(tables, "receiving", None)),
            checking=CheckingSettings.from_mapping(section(tables, "checking", None)),
            scan=ScanSettings.from_mapping(section(tables, "scan", None)),
            events=EventSettings.from_mapping(section(tables, "events", None)),
        )


def read_toml(path: Path) -> dict[str, object]:
    """Return the tables of a configuration file, its section names checked.

    Raises:
        ConfigError: the file is missing, is not TOML, or has an unknown section.
    """
    try:
        tables: dict[str, object] = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError as error:
        raise ConfigError(f"There is no configuration file {str(path)!r}.") from error
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"The configuration file {str(path)!r} cannot be read: {error}."
        ) from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{str(path)!r} is not valid TOML: {error}.") from error
    refuse_unknown(tables, SECTIONS, path.name)
    return tables


def section(
    tables: Mapping[str, object], name: str, known: tuple[str, ...] | None
) -> Mapping[str, object]:
    """Return one section (empty when absent) with its keys checked against the known ones."""
    table = tables.get(name, {})
    if not isinstance(table, Mapping):
        raise ConfigError(f"[{name}] must be a table.")
    if known is not None:
        refuse_unknown(table, known, f"[{name}]")
    return table


def _checked_public_url(value: object) -> str | None:
    """Return a public address without its last slash, or None; raise ConfigError when it is none."""
    if value is None:
        return None
    parts = urlsplit(value) if isinstance(value, str) else None
    if (
        not isinstance(value, str)
        or parts is None
        or parts.scheme not in ("http", "https")
        or not parts.hostname
        or parts.query
        or parts.fragment
        or parts.username is not None
    ):
        raise ConfigError(
            f"public_url {show(str(value))!r} is not an http or https address.",
            hint='Write it like "https://files.example.org" or "https://example.org/storage".',
        )
    return value.rstrip("/")


def _check_offload(value: object) -> None:
    """Raise ConfigError when there is no such way to hand files over."""
    if value is None or value in ("nginx", "sendfile"):
        return
    if value == "redirect":
        raise ConfigError(
            'offload = "redirect" is not part of this version yet.',
            hint="It comes with object stores.",
        )
    raise ConfigError(
        f"offload {show(str(value))!r} is not known.",
        hint='"nginx" (X-Accel-Redirect) or "sendfile" (X-Sendfile); leave it out to send from here.',
    )


def _checked_origins(values: object) -> tuple[str, ...]:
    """Return origins as browsers write them; raise ConfigError when one is none."""
    if not isinstance(values, (list, tuple)):
        raise ConfigError("cors_origins must be a list of origins.")
    for value in values:
        if not isinstance(value, str) or _ORIGIN.fullmatch(value) is None:
            raise ConfigError(
                f"cors_origins: {show(str(value))!r} is not an origin.",
                hint='Write scheme and host as browsers do, such as "https://app.example.org"; '
                "no path, no default port, no wildcard.",
            )
    return tuple(values)


def _path_of(url: object, scheme: str, where: str) -> Path | None:
    if url is None:
        return None
    if not isinstance(url, str):
        raise ConfigError(f"{where} must be text.")
    parts = urlsplit(url)
    if parts.scheme != scheme or parts.netloc or not parts.path.startswith("/"):
        raise ConfigError(
            f"{where} = {show(url)!r} is not supported by this version.",
            hint=f"Use {scheme}:///absolute/path; other stores and catalogs come later.",
        )
    path = unquote(parts.path)
    if scheme == "sqlite":  # SQLAlchemy's form: sqlite:////absolute, sqlite:///relative
        path = path[1:]
    return Path(path)
