"""ar: Debian packages and libraries."""

from __future__ import annotations

import lzma

import pytest

from support.archives import ar_of, gz, tar_file, tar_of
from support.walked import told, walked
from wharfinger.errors import TooComplex
from wharfinger.policy import Policy

CONTROL = gz(tar_of(tar_file(b"./", kind=b"5"), tar_file(b"./control", b"Package: x\n")))
DATA = lzma.compress(tar_of(tar_file(b"./usr/bin/x", b"program")))
PACKAGE = ar_of((b"debian-binary", b"2.0\n"), (b"control.tar.gz", CONTROL), (b"data.tar.xz", DATA))


def test_a_debian_package_is_looked_through() -> None:
    found, walk = walked(PACKAGE)
    assert found == {
        "debian-binary": b"2.0\n",
        "control.tar.gz/./control": b"Package: x\n",
        "data.tar.xz/./usr/bin/x": b"program",
    }
    assert (told(PACKAGE), walk.count.members) == ([], 5)


def test_names_of_gnu_and_bsd_are_read() -> None:
    bsd = ar_of((b"#1/12", b"long name.o\0" + b"x"), (b"b.o/", b"y"), (b"b.o/", b"z"))
    assert told(bsd) == []
    assert list(walked(bsd)[0]) == ["long name.o", "b.o"]
    gnu = ar_of(
        (b"/", b"table"), (b"//", b"a very long name.o/\n"), (b"/0", b"x"), (b"/SYM64/", b"")
    )
    assert told(gnu) == []
    assert walked(gnu)[0]["0"] == b"x"


@pytest.mark.parametrize(
    ("data", "word"),
    [
        pytest.param(PACKAGE[:100], "damaged", id="cut in a header"),
        pytest.param(PACKAGE[:-10], "damaged", id="cut in the data"),
        pytest.param(PACKAGE.replace(b"`\n", b"``", 1), "damaged", id="header overwritten"),
        pytest.param(ar_of((b"#1/20", b"short")), "damaged", id="a name longer than its member"),
        pytest.param(ar_of((b"#1/6", b"../../x")), "unsafe-members", id="upwards in a BSD name"),
        pytest.param(ar_of((b"/etc/x", b"1")), "unsafe-members", id="absolute"),
    ],
)
def test_a_bad_one_is_told(data: bytes, word: str) -> None:
    assert word in {heard for heard, _ in told(data)}


def test_its_members_and_their_bytes_are_limited() -> None:
    data = ar_of(*((b"%d" % number, b"x" * 10) for number in range(11)))
    with pytest.raises(TooComplex):
        walked(data, Policy(max_members=10))
    with pytest.raises(TooComplex):
        walked(data, Policy(max_unpacked=109))
    assert walked(data, Policy(max_members=11, max_unpacked=110))[1].count.unpacked == 110
