"""Configuration keys, `init_app`, and where the state lies."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from support import samples
from support.services import make_wharf
from wharfinger.errors import ConfigError, UsageError
from wharfinger.flask import Wharfinger


@pytest.fixture
def application(app: Flask) -> Iterator[Flask]:
    """The application; its service, if it got one, is closed in the end."""
    yield app
    if "wharfinger" in app.extensions:
        app.extensions["wharfinger"].wharf.close()


def receive(app: Flask, files: Wharfinger) -> None:
    with app.test_request_context(method="POST", data=samples.TEXT, content_type="text/plain"):
        files.receive("files")


def test_the_data_folder_is_relative_to_the_application(
    application: Flask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    application.config["WHARFINGER_DATA"] = "kept"
    receive(application, Wharfinger(application))
    assert (Path(application.root_path) / "kept" / "catalog.sqlite3").is_file()
    assert list(elsewhere.iterdir()) == []


def test_an_absolute_data_folder_stays(application: Flask, tmp_path: Path) -> None:
    application.config["WHARFINGER_DATA"] = tmp_path / "absolute"
    receive(application, Wharfinger(application))
    assert (tmp_path / "absolute" / "catalog.sqlite3").is_file()


def test_without_a_key_the_data_lies_in_the_instance_folder(application: Flask) -> None:
    receive(application, Wharfinger(application))
    assert (Path(application.instance_path) / "wharfinger" / "catalog.sqlite3").is_file()


def test_nothing_is_made_before_it_is_needed(application: Flask) -> None:
    application.config["WHARFINGER_DATA"] = "kept"
    Wharfinger(application)
    assert list(Path(application.root_path).iterdir()) == []


WRONG: dict[str, tuple[dict[str, Any], str, str]] = {
    "a slip of the pen": (
        {"WHARFINGER_DATTA": "x"},
        "Unknown key 'WHARFINGER_DATTA' in app.config.",
        "Did you mean 'WHARFINGER_DATA'?",
    ),
    "a key of an unknown kind": (
        {"WHARFINGER_": "x"},
        "Unknown key 'WHARFINGER_' in app.config.",
        "Did you mean 'WHARFINGER_",
    ),
    "collections that are no table": (
        {"WHARFINGER_COLLECTIONS": ["avatars"]},
        "WHARFINGER_COLLECTIONS must be names with their tables.",
        "",
    ),
    "a collection that is no table": (
        {"WHARFINGER_COLLECTIONS": {"avatars": "images"}},
        "WHARFINGER_COLLECTIONS: 'avatars' must be a table.",
        "",
    ),
    "an unknown key in a collection": (
        {"WHARFINGER_COLLECTIONS": {"avatars": {"max_sise": "5 MiB"}}},
        "",
        "Did you mean 'max_size'?",
    ),
    "a public address that is none": (
        {"WHARFINGER_PUBLIC_URL": "example.org"},
        "",
        "https://files.example.org",
    ),
    "limits that are no table": (
        {"WHARFINGER_LIMITS": "600/minute"},
        "WHARFINGER_LIMITS must be a table, as [limits] is.",
        "",
    ),
    "a limit that is none": (
        {"WHARFINGER_LIMITS": {"requests_per_token": "many"}},
        "[limits] requests_per_token: 'many' is not a rate.",
        "600/minute",
    ),
    "events that are no table": (
        {"WHARFINGER_EVENTS": "https://hooks.example.org/"},
        "WHARFINGER_EVENTS must be a table, as [events] is.",
        "",
    ),
    "an unknown key of events": (
        {"WHARFINGER_EVENTS": {"webhok": "https://hooks.example.org/"}},
        "Unknown key 'webhok' in [events].",
        "Did you mean 'webhook'?",
    ),
    "a webhook that is no address": (
        {"WHARFINGER_EVENTS": {"webhook": "hooks.example.org"}},
        "In [events]:",
        "",
    ),
    "checks that are no table": (
        {"WHARFINGER_CHECKING": "10 s"},
        "WHARFINGER_CHECKING must be a table, as [checking] is.",
        "",
    ),
    "a scanner that is none": ({"WHARFINGER_SCAN": {"clamd": "here"}}, "[scan] clamd", "unix:///"),
    "a file that is not there": ({"WHARFINGER_CONFIG": "nothing.toml"}, "nothing.toml", ""),
}


@pytest.mark.parametrize("case", WRONG.values(), ids=list(WRONG))
def test_a_wrong_configuration_is_an_error_that_says_what_to_do(
    application: Flask, case: tuple[dict[str, Any], str, str]
) -> None:
    config, detail, hint = case
    application.config.update(config)
    with pytest.raises(ConfigError) as raised:
        Wharfinger(application)
    assert detail in raised.value.detail
    assert hint in raised.value.hint
    assert "wharfinger" not in application.extensions


def test_collections_come_from_the_configuration(application: Flask) -> None:
    application.config["WHARFINGER_COLLECTIONS"] = {
        "avatars": {"types": "images", "max_size": "1 MiB", "expires_in": "30 d"}
    }
    Wharfinger(application)
    collections = application.extensions["wharfinger"].wharf.collections
    assert set(collections) == {"files", "images", "avatars"}
    assert collections["avatars"].policy.max_size == 1024 * 1024
    assert collections["avatars"].expires_in == 30 * 24 * 3600


def test_events_come_from_the_configuration(application: Flask) -> None:
    application.config["WHARFINGER_EVENTS"] = {
        "webhook": "https://hooks.example.org/files",
        "secret_file": "webhook-secret",
        "allow_networks": ["10.1.0.0/16"],
    }
    Wharfinger(application)
    wharf = application.extensions["wharfinger"].wharf
    assert wharf.events.webhook is not None
    assert wharf.settings.events.webhook == "https://hooks.example.org/files"
    assert wharf.settings.events.allow_networks == ("10.1.0.0/16",)
    # As every path in the configuration: relative to the application.
    assert wharf.settings.events.secret_file == Path(application.root_path) / "webhook-secret"


def test_checks_and_scanners_come_from_the_configuration(application: Flask) -> None:
    application.config["WHARFINGER_CHECKING"] = {"workers": 2, "wait": "3 s"}
    application.config["WHARFINGER_SCAN"] = {
        "clamd": "tcp://127.0.0.1:3310",
        "when_down": "refuse",
    }
    Wharfinger(application)
    wharf = application.extensions["wharfinger"].wharf
    assert (wharf.settings.checking.workers, wharf.settings.checking.wait) == (2, 3)
    assert wharf.settings.scan.when_down == "refuse"
    assert wharf.checking.scans


def test_events_of_the_application_win_over_those_of_its_file(application: Flask) -> None:
    toml = Path(application.root_path) / "wharfinger.toml"
    toml.write_text('[events]\nwebhook = "https://one.example.org/"\n', "utf-8")
    application.config["WHARFINGER_CONFIG"] = "wharfinger.toml"
    application.config["WHARFINGER_EVENTS"] = {"webhook": "https://two.example.org/"}
    Wharfinger(application)
    settings = application.extensions["wharfinger"].wharf.settings
    assert settings.events.webhook == "https://two.example.org/"


def test_a_configuration_file_is_read_from_beside_the_application(application: Flask) -> None:
    toml = Path(application.root_path) / "wharfinger.toml"
    toml.write_text('[collections.papers]\ntypes = "documents"\n', "utf-8")
    application.config["WHARFINGER_CONFIG"] = "wharfinger.toml"
    application.config["WHARFINGER_COLLECTIONS"] = {"avatars": {"types": "images"}}
    Wharfinger(application)
    collections = application.extensions["wharfinger"].wharf.collections
    assert {"papers", "avatars"} < set(collections)


def test_an_extension_can_meet_its_application_later(application: Flask) -> None:
    files = Wharfinger()

    @files.authorize
    def nobody() -> None:
        return None

    application.config["WHARFINGER_DATA"] = "kept"
    files.init_app(application)
    receive(application, files)
    with application.app_context():
        assert files.wharf is application.extensions["wharfinger"].wharf
        assert len(files.wharf.list_files()[0]) == 1


def test_a_service_that_exists_can_be_given(application: Flask, tmp_path: Path) -> None:
    with make_wharf(tmp_path / "given") as wharf:
        files = Wharfinger()
        files.init_app(application, wharf=wharf)
        receive(application, files)
        assert len(wharf.list_files()[0]) == 1


def test_a_service_without_an_application_is_a_mistake(tmp_path: Path) -> None:
    with make_wharf(tmp_path / "given") as wharf, pytest.raises(UsageError, match="init_app"):
        Wharfinger(wharf=wharf)


def test_an_application_that_was_never_given_is_told_so(application: Flask) -> None:
    with application.test_request_context(), pytest.raises(ConfigError) as raised:
        Wharfinger().receive("files")
    assert raised.value.hint == "files.init_app(app)"
