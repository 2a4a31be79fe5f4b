"""The repository holds nothing of the machine or network it was written on.

Packages come from wherever the person who installs has configured; files that record another
place (lock files with addresses, index options) or somebody's folders do not belong here.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# Split, so that this file passes its own test.
REGISTRY_HOSTS = (
    "pypi" + ".org",
    "python" + "hosted.org",
    "npmjs" + ".org",
    "yarnpkg" + ".com",
    "crates" + ".io",
    "proxy.golang" + ".org",
    "rubygems" + ".org",
    "deb.debian" + ".org",
)
INSTALL_OPTIONS = (
    "--index" + "-url",
    "--extra-index" + "-url",
    "--find" + "-links",
    "--trusted" + "-host",
)
LOCK_FILES = frozenset(
    {
        "Pipfile.lock",
        "poetry.lock",
        "pdm.lock",
        "uv.lock",
        "pylock.toml",
        "package-lock.json",
        "npm-shrinkwrap.json",
        "yarn.lock",
        "pnpm-lock.yaml",
        "pip.conf",
        ".npmrc",
        ".pypirc",
    }
)
# Where people and build machines keep checkouts; paths of a Unix system (/etc, /var) are fine.
DEVELOPER_FOLDERS = re.compile(
    r"(?<![\w.])/(?:home|Users)/[A-Za-z][\w.-]*/|[A-Z]:\\Users\\|/\.pyenv/|/site-packages/|/work/[a-z]"
)


def tracked_files() -> list[Path]:
    """Return the files under version control, or of an unpacked source archive."""
    git = shutil.which("git")
    if git is not None and (ROOT / ".git").exists():
        listed = subprocess.run([git, "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True)
        names = [ROOT / name for name in listed.stdout.decode().split("\0") if name]
        return [path for path in names if path.is_file()]
    return [
        path
        for part in ("src", "tests", "docs", "examples", "benchmarks")
        for path in (ROOT / part).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    ]


def lines_that_match(pattern: re.Pattern[str]) -> list[str]:
    """Return "file:line" for each line of a tracked file in which the pattern is found."""
    found = []
    for path in tracked_files():
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        found += [
            f"{path.relative_to(ROOT)}:{number}"
            for number, line in enumerate(text.splitlines(), 1)
            if pattern.search(line)
        ]
    return found


def test_the_search_sees_the_files_of_the_repository() -> None:
    assert "pyproject.toml:1" in lines_that_match(re.compile(r"^\[build-system\]$"))
    assert len(tracked_files()) > 100


@pytest.mark.parametrize("host", REGISTRY_HOSTS)
def test_no_file_names_a_package_registry(host: str) -> None:
    assert lines_that_match(re.compile(re.escape(host))) == []


@pytest.mark.parametrize("option", INSTALL_OPTIONS)
def test_no_file_tells_an_installer_where_to_look(option: str) -> None:
    assert lines_that_match(re.compile(re.escape(option))) == []


def test_no_file_records_where_packages_came_from() -> None:
    assert [path.name for path in tracked_files() if path.name in LOCK_FILES] == []


def test_no_file_names_a_folder_of_somebody_s_machine() -> None:
    here = Path(__file__).relative_to(ROOT).as_posix()
    found = lines_that_match(DEVELOPER_FOLDERS)
    assert [place for place in found if not place.startswith(f"{here}:")] == []


@pytest.mark.parametrize(
    "text",
    [
        '  File "/home/alice/wharfinger/x.py"',
        "/Users/bob/src/",
        r"C:\Users\carol",
        "/opt/venv/lib/python3.11/site-packages/x",
    ],
)
def test_the_pattern_recognises_somebody_s_folder(text: str) -> None:
    assert DEVELOPER_FOLDERS.search(text)


@pytest.mark.parametrize("text", ["/etc/passwd", "https://a.example/home/index.html", "/var/lib/x"])
def test_the_pattern_leaves_other_paths_alone(text: str) -> None:
    assert not DEVELOPER_FOLDERS.search(text)
