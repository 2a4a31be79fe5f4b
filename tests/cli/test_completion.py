"""`wharf completion SHELL`: the scripts parse, and complete what people type."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from support.called import Caller
from support.command import command, environment
from support.require import program


@pytest.fixture
def wharf(capsys: pytest.CaptureFixture[str]) -> Caller:
    return Caller(capsys)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_serves_both_names_and_is_alone_on_stdout(wharf: Caller, shell: str) -> None:
    said = wharf("completion", shell)
    assert (said.code, said.err) == (0, "")
    assert said.text.count(f"_WHARF_COMPLETE={shell}_complete") == 2
    for name in ("wharf", "wharfinger"):
        assert f"_{name}_completion" in said.text
    (record,) = wharf("completion", shell, "--json").records
    assert record == {"shell": shell, "script": said.text.removesuffix("\n")}


def test_bash_itself_can_parse_it(wharf: Caller) -> None:
    said = wharf("completion", "bash")
    done = subprocess.run(
        [program("bash"), "-n"], input=said.out, capture_output=True, check=False, timeout=20
    )
    assert (done.returncode, done.stderr) == (0, b"")


def test_an_unknown_shell_is_2(wharf: Caller) -> None:
    said = wharf("completion", "tcsh")
    assert (said.code, said.out) == (2, b"")
    assert "'bash', 'zsh', 'fish'" in said.err


# The words typed so far, the number of the one being typed, and what is proposed.
TYPED = {
    "a command": ("wharf se", "1", {"serve"}),
    "all commands": (
        "wharf ", "1",
        {"get", "put", "inspect", "serve", "ls", "info", "share", "request", "rm", "token", "worker", "release", "rescan", "sweep", "events",
         "policy", "doctor", "config", "completion"},
    ),
    "a command below": ("wharf token re", "2", {"revoke"}),
    "an option": ("wharf serve --po", "2", {"--port"}),
    "a choice": ("wharf completion z", "2", {"zsh"}),
    "nothing": ("wharf nonsense", "1", set()),
}  # fmt: skip


@pytest.mark.parametrize("case", TYPED.values(), ids=list(TYPED))
def test_what_is_typed_is_completed(case: tuple[str, str, set[str]]) -> None:
    typed, number, proposed = case
    words = {"_WHARF_COMPLETE": "bash_complete", "COMP_WORDS": typed, "COMP_CWORD": number}
    done = subprocess.run(
        command(), capture_output=True, check=False, timeout=20, env=environment(words)
    )
    assert (done.returncode, done.stderr) == (0, b"")
    lines = done.stdout.decode().split()
    assert {line.partition(",")[2] for line in lines} == proposed


@pytest.mark.parametrize(
    ("shell", "extra"),
    [
        ("zsh", {"COMP_WORDS": "wharf se", "COMP_CWORD": "1"}),
        ("fish", {"COMP_WORDS": "wharf se", "COMP_CWORD": "se"}),
    ],
)
def test_the_other_shells_get_their_own_form(shell: str, extra: dict[str, str]) -> None:
    words = {"_WHARF_COMPLETE": f"{shell}_complete", **extra}
    done = subprocess.run(
        command(), capture_output=True, check=False, timeout=20, env=environment(words)
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert "serve" in done.stdout.decode()
    assert "share" not in done.stdout.decode()


@pytest.mark.parametrize("name", ["wharf", "wharfinger"])
def test_bash_completes_after_it_read_the_script(tmp_path: Path, wharf: Caller, name: str) -> None:
    """The function that the script defines, called as bash calls it."""
    (tmp_path / "script").write_bytes(wharf("completion", "bash").out)
    shim = tmp_path / name
    python, *rest = command()
    quoted = " ".join(f"'{word}'" for word in (python, *rest))
    shim.write_text(f'#!/bin/sh\nexec {quoted} "$@"\n')
    shim.chmod(0o755)
    typed = (
        f"source script; COMP_WORDS=({name} se); COMP_CWORD=1; _{name}_completion {name};"
        ' printf "%s\\n" "${COMPREPLY[@]}"'
    )
    done = subprocess.run(
        [program("bash"), "--norc", "-c", typed],
        capture_output=True, check=False, timeout=20, cwd=tmp_path,
        env=environment({"PATH": f"{tmp_path}:{os.environ['PATH']}"}),
    )  # fmt: skip
    assert (done.stdout, done.stderr) == (b"serve\n", b"")
