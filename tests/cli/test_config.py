"""`wharf config show`: what is configured, and by what."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.called import Caller


@pytest.fixture
def wharf(capsys: pytest.CaptureFixture[str]) -> Caller:
    return Caller(capsys)


def test_without_any_setting_the_defaults_are_shown(folder: Path, wharf: Caller) -> None:
    said = wharf("config", "show")
    assert (said.code, said.err) == (0, "")
    assert said.text.splitlines()[:10] == [
        "config = None  (default)",
        "data = data  (default)",
        "host = 127.0.0.1  (default)",
        "port = 8080  (default)",
        "workers = 1  (default)",
        "tls_cert = None  (default)",
        "tls_key = None  (default)",
        "public_url = None  (default)",
        "store = data",
        "catalog = data/catalog.sqlite3",
    ]
    assert "collection files: private; any type; at most 5.0 GiB" in said.text
    assert "; max_uploads = 10000; max_uploads_per_owner = 1000" in said.text
    assert list(folder.iterdir()) == []


def test_quotas_are_shown(folder: Path, wharf: Caller) -> None:
    (folder / "wharfinger.toml").write_text(
        '[collections.a]\nmax_files = 7\nmax_bytes_per_owner = "1 GiB"\n'
    )
    assert "; max_files = 7; max_uploads = 10000; max_bytes_per_owner = 1.0 GiB;" in (
        wharf("config", "show").text
    )
    rules = wharf("config", "show", "--json").records[0]["collections"]["a"]
    assert (rules["max_files"], rules["max_bytes_per_owner"]) == (7, 1_073_741_824)


def test_each_value_says_what_decided_it(
    folder: Path, wharf: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "wharfinger.toml").write_text(
        '[server]\nport = 9000\nhost = "::1"\n[delivery]\ncors_origins = ["https://a.example"]\n'
        '[collections.avatars]\ntypes = "images"\n'
        'max_size = "2 MiB"\nexpires_in = "1 d"\nvisibility = "public"\n'
    )
    monkeypatch.setenv("WHARFINGER_PORT", "9001")
    said = wharf("config", "show", "--data", "elsewhere")
    lines = said.text.splitlines()
    assert lines[:4] == [
        "config = wharfinger.toml  (found in this folder)",
        "data = elsewhere  (flag)",
        "host = ::1  (file)",
        "port = 9001  (WHARFINGER_PORT)",
    ]
    assert "cors_origins = ['https://a.example']" in lines
    assert "revalidate_private = False" in lines
    (avatars,) = [line for line in lines if line.startswith("collection avatars")]
    assert avatars.startswith("collection avatars: public; image/")
    assert avatars.endswith(
        "at most 2.0 MiB; expires after 86400 s; max_uploads = 10000; max_uploads_per_owner = 1000"
    )


def test_as_json_it_is_one_object(folder: Path, wharf: Caller) -> None:
    (record,) = wharf("config", "show", "--json").records
    assert (record["host"], record["port"], record["config"]) == ("127.0.0.1", 8080, None)
    assert record["sources"]["port"] == "default"
    assert sorted(record["collections"]) == ["files", "images"]
    assert record["collections"]["images"]["max_size"] == 5_242_880


def test_secrets_of_the_environment_are_not_shown(
    folder: Path, wharf: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WHARFINGER_TOKEN", "whf_secret")
    assert "whf_secret" not in wharf("config", "show").text + wharf("config", "show", "--json").text


WRONG = {
    "an unknown key": ("[server]\nprot = 1\n", "Did you mean 'port'?"),
    "an unknown section": ("[sever]\n", "Did you mean 'server'?"),
    "an unknown policy key": ("[collections.a]\ntype = 'images'\n", "Did you mean 'types'?"),
}


@pytest.mark.parametrize("case", WRONG.values(), ids=list(WRONG))
def test_an_unknown_key_is_2_with_a_suggestion(
    folder: Path, wharf: Caller, case: tuple[str, str]
) -> None:
    (folder / "wharfinger.toml").write_text(case[0])
    said = wharf("config", "show")
    assert (said.code, said.out) == (2, b"")
    assert f"hint: {case[1]}" in said.err


def test_an_unknown_variable_is_2_with_a_suggestion(
    folder: Path, wharf: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WHARFINGER_DATTA", "x")
    said = wharf("config", "show")
    assert (said.code, said.out) == (2, b"")
    assert "hint: Did you mean 'WHARFINGER_DATA'?" in said.err


def test_a_file_that_is_named_and_missing_is_2(folder: Path, wharf: Caller) -> None:
    said = wharf("config", "show", "--config", "none.toml")
    assert (said.code, said.out) == (2, b"")
    assert "There is no configuration file 'none.toml'." in said.err


def test_no_hint_leads_back_to_where_it_is_read(folder: Path, wharf: Caller) -> None:
    (folder / "wharfinger.toml").write_text("[server]\nport = 'x'\n")
    said = wharf("config", "show")
    assert said.code == 2
    assert "hint: docs/reference/configuration.md explains every setting." in said.err
    assert "wharf config show" in wharf("doctor").err
