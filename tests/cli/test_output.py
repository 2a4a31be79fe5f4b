"""What every command does with its output and its errors."""

from __future__ import annotations

import json
import sys
import time

import click
import pytest

from wharfinger import Progress
from wharfinger.cli import output, progress
from wharfinger.errors import (
    AddressRefused,
    DestinationExists,
    NotFound,
    PasswordRequired,
    WharfingerError,
)


def _command(error: BaseException) -> click.Command:
    def fail() -> None:
        raise error

    return click.Command("x", callback=fail)


ENDS: list[tuple[BaseException, int, str]] = [
    (NotFound(), 5, "not-found"),
    (click.UsageError("no"), 2, "usage"),
    (KeyboardInterrupt(), 130, "interrupted-by-user"),
    (click.Abort(), 130, "interrupted-by-user"),
    (ZeroDivisionError("secret text"), 1, "internal"),
]


@pytest.mark.parametrize(("error", "code", "name"), ENDS, ids=[row[2] for row in ENDS])
def test_how_a_command_ends(
    error: BaseException, code: int, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert output.run(_command(error), []) == code
    said = capsys.readouterr()
    assert said.out == ""
    assert f"({name})" in said.err
    assert "secret text" not in said.err


def test_an_unknown_error_has_a_reference_and_details_on_request(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    output.run(_command(ZeroDivisionError("x")), [])
    assert "reference " in capsys.readouterr().err
    monkeypatch.setenv("WHARFINGER_DEBUG", "1")
    output.run(_command(ZeroDivisionError("x")), [])
    assert "Traceback" in capsys.readouterr().err


def test_a_command_gets_json_unless_it_has_its_own() -> None:
    command = click.Command("x", callback=lambda: output.emit({"a": "ü"}, "text"))
    group = click.Group("g", commands=[command])
    output.prepare(group)
    output.prepare(group)
    assert [parameter.name for parameter in command.params] == ["as_json"]


def test_a_record_is_a_line_of_json_a_text_or_its_values(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def show() -> None:
        output.emit({"a": "ü", "b": None}, "text")
        output.emit({"a": "\x1b", "b": None})

    command = click.Command("x", callback=show)
    output.prepare(command)
    assert output.run(command, []) == 0
    assert capsys.readouterr().out == "text\na: \\x1b\nb: \n"
    assert output.run(command, ["--json"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [json.loads(line) for line in lines] == [{"a": "ü", "b": None}, {"a": "\x1b", "b": None}]


def test_an_exit_code_that_a_command_returns_is_kept() -> None:
    assert output.run(click.Command("x", callback=lambda: 3), []) == 3


def test_without_a_terminal_progress_is_a_line_per_half_minute(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    with progress.shown("a\x1b.bin") as tell:
        assert tell is not None
        for second in range(65):
            now[0] = 1000.0 + second
            tell(Progress(stage="receiving", done=second * 1024, total=65536, rate=1024.0))
    assert capsys.readouterr().err.splitlines() == [
        "a\\x1b.bin: 30.0 KiB of 64.0 KiB, 1.0 KiB/s, 0:34 left",
        "a\\x1b.bin: 60.0 KiB of 64.0 KiB, 1.0 KiB/s, 0:04 left",
    ]


def test_on_a_terminal_progress_is_a_bar(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    with progress.shown("a.bin") as tell:
        assert tell is not None
        tell(Progress(stage="connecting", done=0, total=None, rate=0.0))
        tell(Progress(stage="receiving", done=512, total=1024, rate=10.0))


WORDS: list[tuple[WharfingerError, str]] = [
    (AddressRefused("no"), "Name it with --allow-host or --allow-network if you trust it."),
    (
        DestinationExists("no"),
        "Choose another name, or ask for it: --force (or, with get, --rename).",
    ),
    (
        PasswordRequired("no"),
        "Give --password to be asked for it, or --password-file FILE.",
    ),
]


@pytest.mark.parametrize(("error", "hint"), WORDS, ids=["address", "destination", "password"])
def test_a_hint_speaks_of_options_and_not_of_arguments(
    error: WharfingerError, hint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    output.run(_command(error), [])
    assert capsys.readouterr().err.splitlines()[1] == f"hint: {hint}"


def test_transfers_at_the_same_time_are_drawn_as_their_sum() -> None:
    now = [10.0]
    drawn: list[Progress] = []
    several = progress.Several(drawn.append, 300, clock=lambda: now[0])
    first, second = several.one(), several.one()
    assert first is not None
    assert second is not None
    now[0] = 12.0
    first(Progress(stage="connecting", done=0, total=None, rate=0.0))
    first(Progress(stage="sending", done=40, total=100, rate=1.0))
    second(Progress(stage="sending", done=60, total=200, rate=1.0))
    first(Progress(stage="sending", done=50, total=100, rate=1.0))
    second(Progress(stage="done", done=200, total=200, rate=1.0))
    assert [(one.done, one.total, one.rate) for one in drawn] == [
        (40, 300, 20.0),
        (100, 300, 50.0),
        (110, 300, 55.0),
    ]


def test_what_is_printed_beside_a_bar_stays_on_stdout(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    with progress.several("2 files", 100) as bar:
        tell = bar.one()
        assert tell is not None
        tell(Progress(stage="sending", done=10, total=50, rate=1.0))
        with bar.aside():
            output.emit({}, "http://files.example/" + "a" * 200)
    assert capsys.readouterr().out == "http://files.example/" + "a" * 200 + "\n"
