"""What the documentation shows is run, page by page, in an empty folder.

The convention, in HTML comments that a reader does not see:

    <!-- needs: service -->     the page runs against a service of its own; where it says
                                127.0.0.1:8080, the real port is put in, and WHARFINGER_SERVER
                                and WHARFINGER_TOKEN are set; further words are programs
    <!-- needs: tus -->         https://tus.example.org/files becomes a real tus server
    <!-- files: a.jpg b.pdf --> small valid files of these names lie in the folder
    <!-- not run: reason -->    the next block is not run (Python is still compiled)
    <!-- check ... -->          Python over several lines that prepares or checks what is shown

Blocks marked `python` and `sh` run in the order of the page; the Python blocks of one page share
their names, as in one session. Other blocks (toml, text, http, ...) are for reading, but TOML has
to parse.
"""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from PIL import Image

from support.processes import free_port
from support.require import program
from support.tus_server import tus_server

ROOT = Path(__file__).parents[2]
PAGES = sorted([ROOT / "README.md", *ROOT.glob("docs/**/*.md")])
BIN = Path(sys.executable).parent
# How many blocks may be shown without being run; each says why.
NOT_RUN_LIMIT = 8
STEP_LIMIT = 60.0

_TOKEN = re.compile(
    r"<!-- not run: (?P<reason>[^\n]+?) -->|<!-- check\n(?P<check>.*?)^-->|^```(?P<language>[\w-]*)\n(?P<code>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Block:
    """One fenced block of a page."""

    page: Path
    line: int
    language: str
    code: str
    not_run: str | None

    @property
    def where(self) -> str:
        """The block's place, as an editor takes it."""
        return f"{self.page.relative_to(ROOT)}:{self.line}"

    def compiled(self) -> object:
        """Return the code object of a Python block, with the page's own line numbers."""
        return compile("\n" * self.line + self.code, str(self.page), "exec", dont_inherit=True)


def blocks(page: Path) -> list[Block]:
    """Return the fenced blocks of a page in order."""
    text = page.read_text(encoding="utf-8")
    found = []
    reason: str | None = None
    for match in _TOKEN.finditer(text):
        if match["reason"] is not None:
            reason = match["reason"]
            continue
        line = text.count("\n", 0, match.start()) + 1
        if match["check"] is not None:
            found.append(Block(page, line, "python", match["check"], None))
            continue
        found.append(Block(page, line, match["language"], match["code"], reason))
        reason = None
    return found


def marks(page: Path, name: str) -> list[str]:
    """Return the words of the page's `<!-- name: words -->` comments."""
    text = page.read_text(encoding="utf-8")
    return " ".join(re.findall(rf"<!-- {name}: ([^\n]+?) -->", text)).split()


def runnable(page: Path) -> list[Block]:
    """Return the blocks that are to be run."""
    return [b for b in blocks(page) if b.language in {"python", "sh"} and b.not_run is None]


ALL_BLOCKS = [block for page in PAGES for block in blocks(page)]
PAGES_TO_RUN = [page for page in PAGES if runnable(page)]


# --- the surroundings of a page -----------------------------------------------------------


def sample(name: str) -> bytes:
    """Return a small file that is what its name says."""
    picture = Image.new("RGB", (8, 8), "navy")
    match name.rpartition(".")[2]:
        case "jpg" | "jpeg":
            return _encoded(picture, "JPEG")
        case "png":
            return _encoded(picture, "PNG")
        case "pdf":
            return (
                b"%PDF-1.4\n1 0 obj\n<</Type/Catalog/Pages 2 0 R>>\nendobj\n"
                b"2 0 obj\n<</Type/Pages/Kids[3 0 R]/Count 1>>\nendobj\n"
                b"3 0 obj\n<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]>>\nendobj\n"
                b"trailer\n<</Root 1 0 R/Size 4>>\n%%EOF\n"
            )
        case "csv":
            return b"name,size\na,1\nb,2\n"
        case "mp4":
            return b"\0\0\0\x18ftypisom\0\0\x02\0isomiso2" + bytes(2_000_000)
        case "txt":
            return b"hello, wharf\n"
        case other:
            raise AssertionError(f"no sample for .{other} files")


def _encoded(picture: Image.Image, kind: str) -> bytes:
    out = io.BytesIO()
    picture.save(out, kind)
    return out.getvalue()


@contextmanager
def running_service(folder: Path) -> Iterator[dict[str, str]]:
    """Start `wharfinger serve` on a free port; yield the environment that points at it."""
    data = folder / "data"
    with (
        (folder / "log").open("wb") as log,
        subprocess.Popen(
            [BIN / "wharfinger", "serve", "--data", data, "--port", "0", "--json"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        ) as server,
    ):
        try:
            assert server.stdout is not None
            first = server.stdout.readline()
            assert first, (folder / "log").read_text()
            made = subprocess.run(
                [BIN / "wharfinger", "token", "create", "--data", data, "--name", "docs",
                 "--scopes", "read,write,share,admin"],
                capture_output=True, text=True, check=True, timeout=STEP_LIMIT,
            )  # fmt: skip
            yield {
                "WHARFINGER_SERVER": json.loads(first)["url"],
                "WHARFINGER_TOKEN": made.stdout.strip(),
            }
        finally:
            server.terminate()
            server.wait(timeout=STEP_LIMIT)


@pytest.fixture
def service(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, str]]:
    """The environment of a service, if the page asks for one."""
    if "tus" in marks(request.getfixturevalue("page"), "needs"):
        with tus_server(tmp_path_factory.mktemp("tus"), free_port()) as url:
            yield {"TUS": url}
        return
    if "service" not in marks(request.getfixturevalue("page"), "needs"):
        yield {}
        return
    with running_service(tmp_path_factory.mktemp("service")) as environment:
        yield environment


# --- the tests ----------------------------------------------------------------------------


@pytest.mark.parametrize("page", PAGES_TO_RUN, ids=lambda page: str(page.relative_to(ROOT)))
def test_what_a_page_shows_works_from_top_to_bottom(
    page: Path, service: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for need in marks(page, "needs"):
        if need not in {"service", "tus"}:
            program(need)
    for name in marks(page, "files"):
        (tmp_path / name).write_bytes(sample(name))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", f"{BIN}{os.pathsep}{os.environ['PATH']}")
    for key, value in service.items():
        monkeypatch.setenv(key, value)
    address = service.get("WHARFINGER_SERVER", "").removeprefix("http://")
    names: dict[str, object] = {"__name__": "snippet"}
    for block in runnable(page):
        code = block.code.replace("127.0.0.1:8080", address) if address else block.code
        code = code.replace("https://tus.example.org/files", service.get("TUS", ""))
        if block.language == "python":
            source = "\n" * block.line + code
            exec(compile(source, str(page), "exec", dont_inherit=True), names)  # noqa: S102
        else:
            done = subprocess.run(
                ["/bin/sh", "-euc", code],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=STEP_LIMIT,
                check=False,
            )
            assert done.returncode == 0, f"{block.where}\n{done.stdout}\n{done.stderr}"


@pytest.mark.parametrize(
    "block", [b for b in ALL_BLOCKS if b.language == "python"], ids=lambda block: block.where
)
def test_every_python_block_compiles(block: Block) -> None:
    assert block.compiled() is not None


@pytest.mark.parametrize(
    "block", [b for b in ALL_BLOCKS if b.language == "toml"], ids=lambda block: block.where
)
def test_every_toml_block_is_a_configuration_file(block: Block) -> None:
    assert tomllib.loads(block.code)


def test_only_few_blocks_are_shown_without_being_run_and_each_says_why() -> None:
    shown_only = [b for b in ALL_BLOCKS if b.language in {"python", "sh"} and b.not_run is not None]
    assert len(shown_only) <= NOT_RUN_LIMIT, [block.where for block in shown_only]
    assert all(len(block.not_run or "") > 10 for block in shown_only)


def test_every_block_says_its_language() -> None:
    assert [block.where for block in ALL_BLOCKS if not block.language] == []


def test_the_main_pages_are_run() -> None:
    run = {page.relative_to(ROOT).as_posix() for page in PAGES_TO_RUN}
    assert {
        "docs/tutorial.md",
        "docs/how-to/download-safely.md",
        "docs/how-to/upload-a-form.md",
        "docs/how-to/flask.md",
        "docs/how-to/fastapi.md",
        "docs/reference/python.md",
    } <= run
