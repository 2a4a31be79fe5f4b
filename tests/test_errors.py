"""The tree of errors is part of the interface: its codes, its builtin bases, its pages."""

from __future__ import annotations

import pickle
import re
from collections import Counter
from pathlib import Path

import pytest

from wharfinger import errors
from wharfinger.errors import WharfingerError

PAGES = Path(__file__).parents[1] / "docs" / "errors"
DETAIL = "What happened, with 2 numbers: 1 and 2."

# One made instance of every class, its own arguments included.
INSTANCES: tuple[WharfingerError, ...] = (
    WharfingerError(DETAIL),
    errors.UsageError(DETAIL),
    errors.ConfigError(DETAIL, hint="Did you mean 'max_size'?"),
    errors.Rejected(DETAIL),
    errors.TooLarge(DETAIL, limit=5, size=6),
    errors.QuotaExceeded(DETAIL, what="bytes", limit=10, used=11),
    errors.TooSmall(DETAIL),
    errors.TypeNotAllowed(DETAIL),
    errors.ContentTypeMismatch(DETAIL, expected="image/", actual="text/html"),
    errors.ContentMismatch(DETAIL),
    errors.ActiveContent(DETAIL),
    errors.NameRejected(DETAIL),
    errors.ContentRefused(DETAIL, finding="macros"),
    errors.ContentDamaged(DETAIL, finding="damaged"),
    errors.HiddenContent(DETAIL, finding="trailing-data"),
    errors.UnsafeArchive(DETAIL, finding="unsafe-members"),
    errors.TooComplex(DETAIL, what="pixels", limit=50),
    errors.Infected(DETAIL),
    errors.Unscannable(DETAIL),
    errors.AddressRefused(DETAIL),
    errors.TransferError(DETAIL),
    errors.ConnectFailed(DETAIL),
    errors.TransferTimeout(DETAIL),
    errors.Interrupted(DETAIL, received=3, expected=4),
    errors.BadResponse(DETAIL),
    errors.ResponseError(
        DETAIL, status=503, url="http://a.example/", problem={"code": "x"}, retry_after=2.5
    ),
    errors.IntegrityError(DETAIL),
    errors.ChecksumMismatch(DETAIL),
    errors.LocalFileError(DETAIL),
    errors.SourceMissing(DETAIL),
    errors.DestinationExists(DETAIL),
    errors.DestinationUnsafe(DETAIL),
    errors.DataFolderError(DETAIL),
    errors.StorageFull(DETAIL),
    errors.RequestError(DETAIL),
    errors.LengthRequired(DETAIL),
    errors.LengthMismatch(DETAIL),
    errors.OffsetMismatch(DETAIL, expected=10, provided=20),
    errors.InconsistentLength(DETAIL, lengths=(10, 20)),
    errors.UploadTakenOver(DETAIL),
    errors.UploadOver(DETAIL),
    errors.IdempotencyKeyReused(DETAIL),
    errors.RequestInProgress(DETAIL),
    errors.TooSlow(DETAIL),
    errors.MalformedMultipart(DETAIL),
    errors.UnsupportedEncoding(DETAIL),
    errors.UnsupportedContentType(DETAIL),
    errors.UnsupportedVersion(DETAIL, supported=("1.0.0",)),
    errors.MethodNotAllowed(DETAIL, allowed=("GET", "HEAD")),
    errors.PreconditionFailed(DETAIL),
    errors.RangeNotSatisfiable(DETAIL, length=1000),
    errors.Unauthenticated(DETAIL, invalid=True),
    errors.PasswordRequired(DETAIL, invalid=True),
    errors.Forbidden(DETAIL, scope="share"),
    errors.NotFound(DETAIL),
    errors.NotReady(DETAIL),
    errors.TooManyRequests(DETAIL, retry_after=30),
    errors.Unavailable(DETAIL),
    errors.PortInUse(DETAIL),
    errors.InternalError(DETAIL, reference="4f0c9a7d"),
)


def tree(root: type[WharfingerError] = WharfingerError) -> list[type[WharfingerError]]:
    """Return the class and all its descendants that live in the module of errors, depth first."""
    own = [kind for kind in root.__subclasses__() if kind.__module__ == errors.__name__]
    return [root, *(kind for child in own for kind in tree(child))]


EVERY_CLASS = tree()
each_class = pytest.mark.parametrize("kind", EVERY_CLASS, ids=lambda kind: kind.__name__)


def test_the_table_of_instances_holds_every_class_once() -> None:
    assert Counter(map(type, INSTANCES)) == Counter(EVERY_CLASS)


def test_every_class_is_exported_and_nothing_else_is() -> None:
    assert sorted(errors.__all__) == sorted(kind.__name__ for kind in EVERY_CLASS)


def test_no_two_classes_share_a_code() -> None:
    repeated = [code for code, n in Counter(kind.code for kind in EVERY_CLASS).items() if n > 1]
    assert repeated == []


@each_class
def test_a_class_states_its_own_code_and_title(kind: type[WharfingerError]) -> None:
    assert {"code", "title"} <= kind.__dict__.keys()
    assert re.fullmatch(r"[a-z0-9-]+", kind.code)


@each_class
def test_status_and_exit_code_lie_in_their_documented_ranges(kind: type[WharfingerError]) -> None:
    assert 400 <= kind.http_status <= 599
    assert kind.exit_code in {1, 2, 4, 5, 6, 7, 8, 9, 10}


def test_the_tree_in_the_docstring_is_the_real_tree() -> None:
    drawn: list[tuple[str, str, frozenset[str]]] = []
    above = ["WharfingerError"]
    for line in (errors.__doc__ or "").splitlines():
        match = re.match(r"^    ((?:[│ ]   )*)[├└]── (\w+)(?: \((\w+)\))?", line)
        if match:
            depth = len(match[1]) // 4
            del above[depth + 1 :]
            drawn.append((match[2], above[-1], frozenset(filter(None, [match[3]]))))
            above.append(match[2])
    real = [
        (
            kind.__name__,
            next(base.__name__ for base in kind.__bases__ if issubclass(base, WharfingerError)),
            frozenset(
                base.__name__ for base in kind.__bases__ if not issubclass(base, WharfingerError)
            ),
        )
        for kind in EVERY_CLASS[1:]
    ]
    assert drawn == real


@pytest.mark.parametrize("error", INSTANCES, ids=lambda error: type(error).__name__)
def test_an_error_survives_pickling_with_all_it_carries(error: WharfingerError) -> None:
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        copy = pickle.loads(pickle.dumps(error, protocol))  # noqa: S301 - made two lines above
        assert type(copy) is type(error)
        assert str(copy) == DETAIL
        assert copy.args == error.args
        assert vars(copy) == vars(error)
        assert copy.hint == error.hint


def test_a_hint_given_to_one_error_does_not_become_that_of_its_class() -> None:
    errors.ConfigError(DETAIL, hint="only here")
    assert "config show" in errors.ConfigError(DETAIL).hint


@pytest.mark.parametrize(
    ("kind", "builtin"),
    [
        (errors.UsageError, ValueError),
        (errors.ConfigError, ValueError),
        (errors.ConnectFailed, ConnectionError),
        (errors.TransferTimeout, TimeoutError),
        (errors.LocalFileError, OSError),
        (errors.SourceMissing, FileNotFoundError),
        (errors.DestinationExists, FileExistsError),
        (errors.StorageFull, OSError),
    ],
    ids=lambda kind: kind.__name__,
)
def test_people_may_catch_the_builtin_they_expect(
    kind: type[WharfingerError], builtin: type[Exception]
) -> None:
    assert issubclass(kind, builtin)


def test_a_refused_address_is_no_oserror_so_that_no_transport_retries_it() -> None:
    assert not issubclass(errors.AddressRefused, OSError)
    assert not errors.AddressRefused.retryable


@pytest.mark.parametrize(
    ("status", "exit_code", "retryable"),
    [
        (400, 1, False),
        (401, 4, False),
        (403, 4, False),
        (404, 5, False),
        (408, 6, True),
        (409, 1, False),
        (410, 5, False),
        (413, 8, False),
        (415, 8, False),
        (422, 8, False),
        (425, 6, True),
        (429, 6, True),
        (500, 7, True),
        (501, 7, False),
        (503, 7, True),
        (504, 7, True),
        (507, 7, False),
    ],
)
def test_an_answered_status_decides_exit_code_and_retry(
    status: int, exit_code: int, retryable: bool
) -> None:
    error = errors.ResponseError(DETAIL, status=status)
    assert (error.exit_code, error.retryable) == (exit_code, retryable)


# --- the pages ----------------------------------------------------------------------------


def rows(page: str) -> dict[str, str]:
    """Return the table at the top of a page: the first word of each value by its label."""
    return dict(re.findall(r"(?m)^\| ([A-Z][\w ]+) \| `?([\w.-]+)", page))


@each_class
def test_every_class_has_a_page_that_says_what_the_class_says(kind: type[WharfingerError]) -> None:
    page = (PAGES / f"{kind.code}.md").read_text(encoding="utf-8")
    table = rows(page)
    assert page.startswith(f"# {kind.code}: {kind.title}\n")
    assert table["HTTP status"] == str(kind.http_status)
    assert table["Exit code"] == str(kind.exit_code)
    assert table["Worth retrying"] == ("yes" if kind.retryable else "no")
    assert table["Class"] == f"wharfinger.errors.{kind.__name__}"


@each_class
def test_every_page_says_who_sees_it_and_what_to_do(kind: type[WharfingerError]) -> None:
    page = (PAGES / f"{kind.code}.md").read_text(encoding="utf-8")
    headings = re.findall(r"(?m)^## (.+)$", page)
    assert headings == ["Who sees it", "What to do", "For example"]
    for section in re.split(r"(?m)^## .+$", page)[1:]:
        assert section.strip()


def test_no_page_is_about_a_code_that_does_not_exist() -> None:
    pages = {page.stem for page in PAGES.glob("*.md")} - {"README"}
    assert pages == {kind.code for kind in EVERY_CLASS}


def test_the_index_names_every_code_once_with_its_status_and_exit_code() -> None:
    index = (PAGES / "README.md").read_text(encoding="utf-8")
    lines = re.findall(r"(?m)^ *\* \[`([\w-]+)`\]\(\1\.md\): (.+) \((\d+), exit (\d+)\)$", index)
    assert sorted(lines) == sorted(
        (kind.code, kind.title, str(kind.http_status), str(kind.exit_code))
        for kind in EVERY_CLASS
        if kind is not WharfingerError
    )
