"""Configuration of the stand-alone server: flags, then environment, then file, then defaults."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from wharfinger.errors import ConfigError
from wharfinger.keys import refuse_unknown
from wharfinger.server.certificates import Certificate
from wharfinger.service.settings import WharfSettings, read_toml, section
from wharfinger.web.offloading import check_offload
from wharfinger.web.proxies import Proxies

DEFAULT_HOST: Final = "127.0.0.1"
DEFAULT_PORT: Final = 8080
DEFAULT_CONFIG: Final = Path("wharfinger.toml")
_MAX_PORT: Final = 65535
MAX_WORKERS: Final = 64

# Variables of the environment, with what they mean; the client's are here too, so that
# an unknown one can be told from them.
VARIABLES: Final[Mapping[str, str]] = {
    "WHARFINGER_CONFIG": "the configuration file",
    "WHARFINGER_DATA": "the data folder",
    "WHARFINGER_DEBUG": "shows the trace of an unknown error",
    "WHARFINGER_HOST": "the address that serve listens on",
    "WHARFINGER_OFFLOAD": "how files are handed to the web server in front",
    "WHARFINGER_PORT": "the port that serve listens on",
    "WHARFINGER_PUBLIC_URL": "the address under which others reach the service",
    "WHARFINGER_SERVER": "the service that commands speak to",
    "WHARFINGER_TLS_CERT": "the certificate chain that serve uses, a PEM file",
    "WHARFINGER_TLS_KEY": "its private key, a PEM file",
    "WHARFINGER_TOKEN": "the bearer token of commands",
    "WHARFINGER_TOKEN_FILE": "a file with that token",
    "WHARFINGER_WORKERS": "the number of processes that serve",
}
_SERVER_KEYS: Final = (
    "host", "interim", "offload", "port", "public_url", "tls_cert", "tls_key", "trusted_proxies", "workers",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class ServerSettings:
    """Where the server listens (port 0 picks a free one) and in how many processes.

    With a `certificate` it speaks TLS, and nothing else. What `trusted_proxies` (addresses and
    networks) say of clients is believed. `interim` tells whether uploads get answers before
    the final one (104); None: when they come directly. `sources` tells for every setting whether a flag, the environment, the file or a
    default decided it.
    """

    host: str
    port: int
    workers: int = 1
    certificate: Certificate | None = None
    trusted_proxies: tuple[str, ...] = ()
    interim: bool | None = None
    wharf: WharfSettings
    config: Path | None
    sources: Mapping[str, str]


def load_settings(
    flags: Mapping[str, object], environ: Mapping[str, str], *, folder: Path = Path()
) -> ServerSettings:
    """Return the settings that flags, environment, file and defaults make together.

    Args:
        flags: what was given on the command line: `config`, `data`, `host`, `port`,
            `public_url`, `tls_cert`, `tls_key`, `workers`; None and absent mean not given.
        environ: the environment; every WHARFINGER_ name in it must be known.
        folder: where `wharfinger.toml` is looked for when no file was named.

    Raises:
        ConfigError: a name is unknown (with a suggestion) or a value is wrong.
    """
    refuse_unknown(
        [name for name in environ if name.startswith("WHARFINGER_")], VARIABLES, "the environment"
    )
    sources: dict[str, str] = {}

    def chosen(key: str, table: Mapping[str, object], default: object) -> object:
        variable = f"WHARFINGER_{key.upper()}"
        for source, value in (
            ("flag", flags.get(key)),
            (variable, environ.get(variable) or None),
            ("file", table.get(key)),
        ):
            if value is not None:
                sources[key] = source
                return value
        sources[key] = "default"
        return default

    config = chosen("config", {}, None)
    path = Path(str(config)) if config is not None else folder / DEFAULT_CONFIG
    tables = read_toml(path) if config is not None or path.exists() else {}
    if config is None and path.exists():
        sources["config"] = "found in this folder"
    server_table = section(tables, "server", None)
    refuse_unknown(server_table, _SERVER_KEYS, "[server]")
    data = chosen("data", {}, None)
    public_url = chosen("public_url", server_table, None)
    offload = chosen("offload", server_table, None)
    wharf = WharfSettings.from_tables(
        tables,
        data=None if data is None else Path(str(data)),
        public_url=public_url,  # type: ignore[arg-type]  # checked there
        offload=offload,
    )
    trusted_proxies = _proxies(server_table.get("trusted_proxies", ()))
    check_offload(wharf, Proxies(trusted_proxies))
    return ServerSettings(
        host=str(chosen("host", server_table, DEFAULT_HOST)),
        port=_number(chosen("port", server_table, DEFAULT_PORT), "port", 0, _MAX_PORT),
        workers=_number(chosen("workers", server_table, 1), "number of workers", 1, MAX_WORKERS),
        certificate=_certificate(
            chosen("tls_cert", server_table, None), chosen("tls_key", server_table, None)
        ),
        trusted_proxies=trusted_proxies,
        interim=_interim(server_table.get("interim")),
        wharf=wharf,
        config=path if tables else None,
        sources=sources,
    )


def _number(value: object, what: str, least: int, most: int) -> int:
    text = str(value)
    if (
        isinstance(value, bool)
        or not (text.isascii() and text.isdigit() and len(text) <= len(str(most)))
        or not least <= int(text) <= most
    ):
        raise ConfigError(f"The {what} {text[:20]!r} is not a number from {least} to {most}.")
    return int(text)


def _interim(value: object) -> bool | None:
    if value is None or isinstance(value, bool):
        return value
    raise ConfigError("interim must be true or false.")


def _proxies(values: object) -> tuple[str, ...]:
    if not isinstance(values, (list, tuple)) or not all(isinstance(one, str) for one in values):
        raise ConfigError(
            "trusted_proxies must be a list of addresses and networks.",
            hint='Write it like ["127.0.0.1", "10.0.0.0/8"].',
        )
    Proxies(values)  # says what is wrong with one
    return tuple(values)


def _certificate(chain: object, key: object) -> Certificate | None:
    if chain is None and key is None:
        return None
    if not isinstance(chain, str) or not isinstance(key, str) or not chain or not key:
        raise ConfigError(
            "TLS needs tls_cert and tls_key, the paths of two PEM files.",
            hint="The first holds the certificate and those of its issuers, the second its key.",
        )
    return Certificate(chain=Path(chain), key=Path(key))
