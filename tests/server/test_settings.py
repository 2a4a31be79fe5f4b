"""Configuration: a flag wins over the environment, that over the file, that over the default."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from wharfinger.errors import ConfigError
from wharfinger.server import load_settings

TOML = """
[server]
host = "10.0.0.1"
port = 1001
public_url = "https://file.example"
"""
ENVIRONMENT = {
    "WHARFINGER_HOST": "10.0.0.2",
    "WHARFINGER_PORT": "1002",
    "WHARFINGER_PUBLIC_URL": "https://variable.example",
    "WHARFINGER_DATA": "from-variable",
}
FLAGS = {
    "host": "10.0.0.3",
    "port": "1003",
    "public_url": "https://flag.example",
    "data": "from-flag",
}

# flags, environment, file -> host, port, public_url, data
ORDER = {
    "nothing": ({}, {}, "", ("127.0.0.1", 8080, None, "data")),
    "file": ({}, {}, TOML, ("10.0.0.1", 1001, "https://file.example", "data")),
    "environment": (
        {}, ENVIRONMENT, "", ("10.0.0.2", 1002, "https://variable.example", "from-variable"),
    ),
    "environment over file": (
        {}, ENVIRONMENT, TOML, ("10.0.0.2", 1002, "https://variable.example", "from-variable"),
    ),
    "flag over file": (FLAGS, {}, TOML, ("10.0.0.3", 1003, "https://flag.example", "from-flag")),
    "flag over all": (
        FLAGS, ENVIRONMENT, TOML, ("10.0.0.3", 1003, "https://flag.example", "from-flag"),
    ),
    "each on its own": (
        {"port": "0"}, {"WHARFINGER_DATA": "d"}, TOML, ("10.0.0.1", 0, "https://file.example", "d"),
    ),
    "an empty variable is none": (
        {}, {"WHARFINGER_PORT": "", "WHARFINGER_DATA": ""}, TOML,
        ("10.0.0.1", 1001, "https://file.example", "data"),
    ),
    "a store is the data folder": (
        {}, {}, '[store]\nurl = "file:///srv/x"\n', ("127.0.0.1", 8080, None, "/srv/x"),
    ),
    "a data folder beside a store": (
        {"data": "d"}, {}, '[store]\nurl = "file:///srv/x"\n', ("127.0.0.1", 8080, None, "d"),
    ),
}  # fmt: skip
Row = tuple[Mapping[str, object], Mapping[str, str], str, tuple[str, int, str | None, str]]


@pytest.mark.parametrize("row", ORDER.values(), ids=list(ORDER))
def test_the_nearest_source_decides(tmp_path: Path, row: Row) -> None:
    flags, environment, text, expected = row
    if text:
        (tmp_path / "wharfinger.toml").write_text(text)
    found = load_settings(flags, environment, folder=tmp_path)
    wharf = found.wharf
    assert (found.host, found.port, wharf.public_url, str(wharf.data)) == expected


def test_every_setting_says_what_decided_it(tmp_path: Path) -> None:
    (tmp_path / "wharfinger.toml").write_text('[server]\nhost = "::1"\n')
    found = load_settings({"port": "1"}, {"WHARFINGER_DATA": "d"}, folder=tmp_path)
    assert found.sources == {
        "config": "found in this folder",
        "data": "WHARFINGER_DATA",
        "host": "file",
        "offload": "default",
        "port": "flag",
        "public_url": "default",
        "tls_cert": "default",
        "tls_key": "default",
        "workers": "default",
    }
    assert found.config == tmp_path / "wharfinger.toml"


def test_a_named_file_is_read_instead_of_the_one_in_the_folder(tmp_path: Path) -> None:
    (tmp_path / "wharfinger.toml").write_text("[server]\nport = 1\n")
    (tmp_path / "other.toml").write_text("[server]\nport = 2\n")
    other = str(tmp_path / "other.toml")
    assert load_settings({"config": other}, {}, folder=tmp_path).port == 2
    assert load_settings({}, {"WHARFINGER_CONFIG": other}, folder=tmp_path).port == 2


def test_a_named_file_that_is_missing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="There is no configuration file"):
        load_settings({"config": str(tmp_path / "none.toml")}, {}, folder=tmp_path)


@pytest.mark.parametrize("port", ["-1", "65536", "80a", "", "８０", True, 1.5])
def test_a_port_is_a_number_that_ports_can_have(tmp_path: Path, port: object) -> None:
    with pytest.raises(ConfigError, match="port"):
        load_settings({"port": port}, {}, folder=tmp_path)


def test_collections_of_the_file_join_those_that_are_always_there(tmp_path: Path) -> None:
    (tmp_path / "wharfinger.toml").write_text(
        '[collections.avatars]\ntypes = "images"\nmax_size = "2 MiB"\nexpires_in = "30 d"\n'
        '[collections.files]\nmax_size = 7\nvisibility = "public"\n'
    )
    found = load_settings({}, {}, folder=tmp_path).wharf.collections
    assert sorted(found) == ["avatars", "files", "images"]
    assert found["avatars"].expires_in == 2_592_000
    assert found["avatars"].policy.max_size == 2_097_152
    assert (found["files"].policy.max_size, found["files"].visibility) == (7, "public")
