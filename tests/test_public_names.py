"""The public interface: its names, its signatures, and what importing it costs."""

from __future__ import annotations

import inspect
import pickle
import subprocess
import sys

import pytest

import wharfinger
from wharfinger import errors

# Written out: a name that vanishes or appears is a decision, not an accident.
NAMES = {
    "Client", "Collection", "ContentTypeMismatch", "Download", "DownloadReport", "DownloadResult", "Facts", "Link", "Policy",
    "Principal", "ProfilePictureUploader", "Progress", "Rejected", "Reply", "StoredFile",
    "Event", "UploadLink", "Timeout", "UploadReport", "UploadResult", "Wharf", "WharfingerError", "__version__", "aio", "download", "download_file",
    "download_many", "inspect",
    "upload", "upload_many",
}  # fmt: skip


def test_the_public_names_are_these() -> None:
    assert set(wharfinger.__all__) == NAMES
    assert set(dir(wharfinger)) == NAMES


@pytest.mark.parametrize("name", sorted(NAMES - {"__version__"}))
def test_every_public_name_can_be_imported_and_has_a_docstring(name: str) -> None:
    assert inspect.getdoc(getattr(wharfinger, name))


def test_a_name_that_is_not_public_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError):
        _ = wharfinger.nonsense


OF_THE_CLIENT = [
    "allow_private", "allow_hosts", "allow_networks", "allow_ports", "proxy", "trust_proxy",
    "netrc", "tls", "headers", "auth", "timeout", "retries",
]  # fmt: skip
SIGNATURES = {
    "download": ["url", "dest", "expect", "policy", "max_size", "sha256", "connections", "resume",
                 "overwrite", "remote_name", "decode", "progress", *OF_THE_CLIENT],
    "download_many": ["urls", "directory", "concurrency", "expect", "policy", "max_size", "resume",
                      "overwrite", "on_result", *OF_THE_CLIENT],
    "upload": ["file", "url", "protocol", "method", "field", "fields", "name", "type", "policy",
               "digest", "idempotency_key", "connections", "chunk_size", "resume", "progress",
               "json", *OF_THE_CLIENT],
    "upload_many": ["files", "url", "concurrency", "protocol", "method", "field", "fields",
                    "policy", "digest", "chunk_size", "resume", "on_result", *OF_THE_CLIENT],
    "download_file": ["url", "output_path", "expected_prefix", "chunk_size", "timeout",
                      "allow_private", "headers", "auth"],
    "ProfilePictureUploader": ["user_id", "url", "timeout", "allow_private", "auth"],
    "Timeout": ["connect", "head", "idle", "total", "min_rate"],
}  # fmt: skip


@pytest.mark.parametrize("name", SIGNATURES)
def test_the_arguments_are_these(name: str) -> None:
    assert list(inspect.signature(getattr(wharfinger, name)).parameters) == SIGNATURES[name]


@pytest.mark.parametrize("name", ["download", "download_many", "upload", "upload_many"])
def test_what_a_plain_call_shares_with_the_client_is_the_same_there(name: str) -> None:
    of_the_client = inspect.signature(wharfinger.Client).parameters
    parameters = inspect.signature(getattr(wharfinger, name)).parameters
    for option in OF_THE_CLIENT:
        assert parameters[option] == of_the_client[option]


@pytest.mark.parametrize("name", ["download", "upload"])
def test_at_most_two_arguments_are_positional(name: str) -> None:
    parameters = inspect.signature(getattr(wharfinger, name)).parameters.values()
    positional = [p.name for p in parameters if p.kind is not p.KEYWORD_ONLY]
    assert len(positional) == 2


def test_functions_stay_functions_whatever_was_imported_before() -> None:
    # A module of the same name in the package would take the function's place.
    code = (
        "import wharfinger, wharfinger.client.uploading, wharfinger.client.downloading\n"
        "import pkgutil, wharfinger.client as c\n"
        "modules = {m.name for m in pkgutil.iter_modules(c.__path__)}\n"
        "assert not modules & set(c.__all__), modules & set(c.__all__)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


HEAVY = ["urllib3", "ssl", "click", "rich", "PIL", "sqlalchemy", "aiohttp", "flask", "http_sf"]


def test_importing_loads_nothing_heavy() -> None:
    code = f"import sys, wharfinger; print([m for m in {HEAVY!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"


def test_tls_is_loaded_when_a_transfer_starts_and_not_before() -> None:
    code = (
        "import sys, wharfinger\n"
        "wharfinger.Client(), wharfinger.inspect(b'x'), wharfinger.download_file\n"
        "assert 'ssl' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_command_line_loads_no_command_for_its_version() -> None:
    code = (
        "import sys\nfrom wharfinger.cli import main\n"
        "try:\n    main(['--version'])\nexcept SystemExit as end:\n    assert end.code == 0\n"
        "loaded = [m for m in ('urllib3', 'rich', 'PIL', 'ssl', 'wharfinger.cli.get', "
        "'wharfinger.client', 'sqlalchemy') if m in sys.modules]\n"
        "assert not loaded, loaded\n"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout == f"wharfinger {wharfinger.__version__}\n"


def test_the_errors_of_the_client_survive_pickling() -> None:
    examples: list[errors.WharfingerError] = [
        errors.Interrupted("x", received=5, expected=9, hint="h"),
        errors.ResponseError("x", status=503, problem={"a": 1}, retry_after=2.0),
        errors.ContentTypeMismatch("x", expected="a/b", actual="c/d"),
        errors.TooLarge("x", limit=5),
        errors.AddressRefused("x"),
    ]
    for error in examples:
        again = pickle.loads(pickle.dumps(error))  # noqa: S301 - made one line above
        assert type(again) is type(error)
        assert again.__dict__ == error.__dict__
        assert str(again) == str(error)
