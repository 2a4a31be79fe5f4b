"""Real files that this project did not make, each with the family that its name says it is of.

They come from pinned source distributions (tests/corpus/sources.txt) and from the machine's own
Debian packages; none is committed. Gathered once, the first time a test asks, into the user's
cache folder. Labels come from extensions, put right by tests/corpus/exceptions.txt, which was
written by hand from the development half alone: the holdout half was never looked at.
"""

from __future__ import annotations

import contextlib
import fnmatch
import functools
import hashlib
import json
import os
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from support.require import require

_HERE = Path(__file__).parent.parent / "corpus"
_DEBIAN = ("/usr/bin", "/usr/lib", "/usr/share")
_LARGEST = 8 * 1024 * 1024
_MOST_OF_ONE_ORIGIN = 80
_SECONDS = 180


@dataclass(frozen=True)
class Family:
    """What an extension says, and which media types are right for it."""

    name: str
    extensions: frozenset[str]
    types: frozenset[str]
    by_bytes: bool
    active: bool


@dataclass(frozen=True)
class Sample:
    """One file: where it lies, what it was called and of which family it is."""

    path: Path
    name: str
    origin: str
    family: Family
    sha256: str

    @property
    def holdout(self) -> bool:
        """Whether it belongs to the half that nobody tunes on, by its content."""
        return int(self.sha256[:2], 16) % 2 == 1

    def read(self) -> bytes:
        return self.path.read_bytes()


@functools.cache
def families() -> dict[str, Family]:
    found: dict[str, Family] = {}
    for line in _lines("families.txt"):
        name, extensions, types, traits = (part.strip() for part in line.split(":"))
        found[name] = Family(
            name,
            frozenset(extensions.split()),
            frozenset(types.split()),
            by_bytes="bytes" in traits,
            active="active" in traits,
        )
    return found


def samples() -> tuple[Sample, ...]:
    """Return the corpus; where it cannot be gathered the test is skipped, in CI it fails."""
    found = gathered()
    require(found, "the package index cannot be reached, and the corpus is not in the cache")
    assert found is not None
    return found


@functools.cache
def gathered() -> tuple[Sample, ...] | None:
    """Return the corpus, gathered now if it is not in the cache; None where that fails."""
    folder = _gathered()
    if folder is None:
        return None
    seen: set[str] = set()
    found: list[Sample] = []
    for sample in (*_from_packages(folder), *_from_debian()):
        if sample.sha256 not in seen:
            seen.add(sample.sha256)
            found.append(sample)
    return tuple(found)


def _lines(name: str) -> list[str]:
    lines = (_HERE / name).read_text("utf-8").splitlines()
    return [line for line in lines if line.strip() and not line.startswith("#")]


# --- labels -------------------------------------------------------------------------------


@functools.cache
def _by_extension() -> dict[str, Family]:
    return {extension: f for f in families().values() for extension in f.extensions}


@functools.cache
def _exceptions() -> list[tuple[str, Family | None]]:
    rows = (line.rpartition(": ") for line in _lines("exceptions.txt"))
    return [(pattern, families().get(family.strip())) for pattern, _, family in rows]


def _family(origin: str, path: str) -> Family | None:
    """Return what a file is labelled as; None: no label, or one that is known to be wrong."""
    for pattern, family in _exceptions():
        if fnmatch.fnmatch(f"{origin}/{path}", pattern):
            return family
    return _by_extension().get(PurePosixPath(path).suffix.lower())


# --- source distributions -----------------------------------------------------------------

# pip asks the build backend of a source distribution for its metadata. This one only copies
# what lies there already, so that nothing is built and no build tool has to be installed.
_BACKEND = """
import email.parser, pathlib, shutil

class Backend:
    def get_requires_for_build_wheel(self, config_settings=None):
        return []
    def prepare_metadata_for_build_wheel(self, metadata_directory, config_settings=None):
        with open("PKG-INFO", encoding="utf-8", errors="replace") as file:
            told = email.parser.Parser().parse(file, headersonly=True)
        name = told["Name"].replace("-", "_")
        folder = pathlib.Path(metadata_directory) / f"{name}-{told['Version']}.dist-info"
        folder.mkdir()
        shutil.copy("PKG-INFO", folder / "METADATA")
        return folder.name
    def build_wheel(self, *args, **kwargs):
        raise SystemExit("nothing is built here")
    build_sdist = build_editable = prepare_metadata_for_build_editable = build_wheel
    get_requires_for_build_sdist = get_requires_for_build_wheel
    get_requires_for_build_editable = get_requires_for_build_wheel

_BuildMetaBackend = Backend
__legacy__ = Backend()
for _name in dir(__legacy__):
    if not _name.startswith("_"):
        globals()[_name] = getattr(__legacy__, _name)
"""
_BACKENDS = ("setuptools/build_meta.py", "flit_core/buildapi.py", "scikit_build_core/build.py")


def _gathered() -> Path | None:
    """Return the folder with the unpacked files, gathered now if it is not there."""
    recipe = b"".join((_HERE / name).read_bytes() for name in ("sources.txt", "families.txt"))
    recipe += (_HERE / "exceptions.txt").read_bytes() + Path(__file__).read_bytes()
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "wharfinger-tests"
    pinned = hashlib.sha256((_HERE / "sources.txt").read_bytes()).hexdigest()[:16]
    folder = cache / f"corpus-{hashlib.sha256(recipe).hexdigest()[:16]}"
    if (folder / "index.json").exists():
        return folder
    cache.mkdir(parents=True, exist_ok=True)
    sources = cache / f"sources-{pinned}"
    if not sources.exists() and not _download(sources, cache):
        return None
    with tempfile.TemporaryDirectory(dir=cache) as temporary:
        unpacked = Path(temporary) / "corpus"
        unpacked.mkdir()
        _unpack(sources, unpacked)
        _publish(unpacked, folder)
    return folder


def _download(sources: Path, cache: Path) -> bool:
    with tempfile.TemporaryDirectory(dir=cache) as temporary:
        for name in _BACKENDS:
            backend = Path(temporary) / "backends" / name
            backend.parent.mkdir(parents=True)
            backend.write_text(_BACKEND, "utf-8")
            (backend.parent / "__init__.py").touch()
        got = Path(temporary) / "got"
        command = [
            *(sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "download"),
            *("--no-binary", ":all:", "--no-deps", "--no-build-isolation", "--use-pep517"),
            *("--require-hashes", "--dest", str(got), "-r", str(_HERE / "sources.txt")),
        ]
        environment = {**os.environ, "PYTHONPATH": str(Path(temporary) / "backends")}
        try:
            subprocess.run(
                command, check=True, timeout=_SECONDS, env=environment, capture_output=True
            )
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
            return False
        _publish(got, sources)
    return True


def _publish(made: Path, place: Path) -> None:
    # Two runs at the same time make the same; the second one finds the name taken.
    with contextlib.suppress(OSError):
        made.rename(place)


def _unpack(sources: Path, folder: Path) -> None:
    index: list[dict[str, str]] = []
    for archive in sorted(sources.iterdir()):
        origin = archive.name.rpartition("-")[0]
        count: Counter[str] = Counter()
        for path, data in _members(archive):
            family = _family(origin, path)
            if family is None or count[family.name] >= _MOST_OF_ONE_ORIGIN:
                continue
            count[family.name] += 1
            digest = hashlib.sha256(data).hexdigest()
            (folder / digest).write_bytes(data)
            index.append({"origin": origin, "path": path, "sha256": digest, "family": family.name})
    (folder / "index.json").write_text(json.dumps(index), "utf-8")


def _members(archive: Path) -> Iterator[tuple[str, bytes]]:
    """Yield the path within the distribution and the content of its files that are not empty."""
    if archive.suffix == ".zip":
        with zipfile.ZipFile(archive) as packed:
            for entry in packed.infolist():
                if 0 < entry.file_size <= _LARGEST:
                    yield entry.filename.partition("/")[2], packed.read(entry)
        return
    with tarfile.open(archive) as tar:
        for member in tar:
            file = tar.extractfile(member) if member.isfile() else None
            if file and 0 < member.size <= _LARGEST:
                yield member.name.partition("/")[2], file.read()


def _from_packages(folder: Path) -> Iterator[Sample]:
    for row in json.loads((folder / "index.json").read_text("utf-8")):
        name = PurePosixPath(row["path"]).name
        yield Sample(
            *(folder / row["sha256"], name, row["origin"]),
            *(families()[row["family"]], row["sha256"]),
        )


# --- the machine's own files --------------------------------------------------------------


def _from_debian() -> Iterator[Sample]:
    """Yield a few dozen files of each family, chosen by a digest of their paths."""
    paths: dict[str, list[tuple[bytes, str]]] = {}
    for root in _DEBIAN:
        for folder, _, names in os.walk(root):
            for name in names:
                path = f"{folder}/{name}"
                family = _family("debian", path)
                if family is not None:
                    key = hashlib.sha256(path.encode("utf-8", "replace")).digest()
                    paths.setdefault(family.name, []).append((key, path))
    for family_name, candidates in paths.items():
        taken = 0
        for _, path in sorted(candidates):
            if taken >= _MOST_OF_ONE_ORIGIN:
                break
            place = Path(path)
            if place.is_symlink() or not 0 < place.stat().st_size <= _LARGEST:
                continue
            taken += 1
            digest = hashlib.sha256(place.read_bytes()).hexdigest()
            yield Sample(place, place.name, "debian", families()[family_name], digest)
