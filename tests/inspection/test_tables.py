"""CSV and TSV: which cells a spreadsheet would compute."""

from __future__ import annotations

import io

import pytest

from wharfinger.errors import ContentRefused
from wharfinger.inspection.content import examine
from wharfinger.inspection.findings import Findings
from wharfinger.inspection.tables import look
from wharfinger.policy import Policy

CALC = b"cmd|' /C ca" + b"lc'!A0"


def found(data: bytes, *, media_type: str = "text/csv") -> tuple[str, ...]:
    findings = Findings(Policy(types="documents"))
    assert look(io.BytesIO(data), len(data), media_type, findings) is None
    return findings.words


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"=" + CALC + b"\n", id="a program, at the beginning"),
        pytest.param(b"name,note\nAnn,=1+1\n", id="the last cell of a line"),
        pytest.param(b"a,b\n=1+1,2", id="the first cell of a line"),
        pytest.param(b"a,b\n1,=A1", id="the last cell of a file without a line end"),
        pytest.param(b'a,b\n1,"=HYPERLINK(""http://x.test"",""see"")"\n', id="in quotes"),
        pytest.param(b"a;b\n1;=A1\n", id="semicolons"),
        pytest.param(b"a|b\n1|=A1\n", id="bars"),
        pytest.param(b"a\tb\n1\t=A1\n", id="tabs"),
        pytest.param(b"a,b\r=A1,2\r", id="lines of an old Macintosh"),
        pytest.param(b"a,@SUM(1+1)*" + CALC, id="an at sign"),
        pytest.param(b"a,+" + CALC, id="a plus sign"),
        pytest.param(b"a,-2+3+" + CALC + b",b", id="a minus sign and numbers before"),
        pytest.param(b'a,"-2+3+' + CALC + b'"', id="the same in quotes"),
        pytest.param(b"a,-1e5x\n", id="a number that goes on"),
        pytest.param(b'a,"\t=A1"\n', id="a tab before"),
        pytest.param(b'a,"\r=A1"\n', id="a carriage return before"),
        pytest.param("a,＝A1\n".encode(), id="in full width"),
        pytest.param(b"\xef\xbb\xbf=A1,b\n", id="behind a byte order mark"),
        pytest.param("a\t=A1\r\n".encode("utf-16"), id="UTF-16 as Excel writes it"),
        pytest.param(b"\xfe\xff" + "=A1\n".encode("utf-16-be"), id="UTF-16, big end first"),
        pytest.param(b'"a ""b"" c",=A1\n', id="behind quotes in quotes"),
        pytest.param(b'5" pipe,=A1\n', id="behind a quote within a cell"),
        pytest.param(b'"a"b,=A1\n', id="behind text after quotes"),
        pytest.param(b"a" * 600_000 + b",=A1\n", id="behind a huge cell"),
        pytest.param(b"=" + b"A" * 600_000, id="in a huge cell"),
        pytest.param(b'"' + b"a\n" * 300_000 + b"=A1\n", id="behind a quote that never ends"),
        pytest.param(b"a,b\n" * 100_000 + b"1,=A1\n", id="after many lines"),
    ],
)
def test_a_cell_that_would_be_computed_is_found(data: bytes) -> None:
    assert found(data) == ("formulas",)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"name,age\nAnn,30\n", id="plain"),
        pytest.param(b"a,-1.5\nb,-3\nc,+7\n", id="numbers with signs"),
        pytest.param(b"-1,5;+2.000,00\n", id="numbers of other countries"),
        pytest.param(b"a,-1.5e+10,-2E5\n", id="numbers with exponents"),
        pytest.param(b"a,+49 (0)30 / 123-45,\n", id="a telephone number"),
        pytest.param("a,-5 €\nb,-£5\nc,-10 %\n".encode(), id="amounts"),
        pytest.param(b"a,-\x80\n".replace(b"\x80", b"\xa35"), id="an amount in an old code page"),
        pytest.param(b"a,-,--,---\n", id="dashes"),
        pytest.param(b"a,-12", id="a number at the end"),
        pytest.param(b'a,"-1,234.50"\n', id="a number in quotes"),
        pytest.param(b'a,"one\n=two\n- three"\n', id="lines within quotes"),
        pytest.param(b'"a ""=b"" c",d\n', id="quotes within quotes"),
        pytest.param(b"a=b,c@d,e+f,g-h\n", id="signs within cells"),
        pytest.param(b"me@example.org,https://x.test/?a=b\n", id="addresses"),
        pytest.param(b'""\n"",""\n', id="empty cells in quotes"),
        pytest.param("Größe\t1\r\n".encode("utf-16"), id="UTF-16"),
        pytest.param(b"-" + b"1" * 600_000 + b"+A1\n", id="too long for any spreadsheet"),
        pytest.param(b'"' + b"a\n=b\n" * 20_000 + b'"\n', id="a long cell in quotes"),
    ],
)
def test_an_honest_table_has_no_findings(data: bytes) -> None:
    assert found(data) == ()


@pytest.mark.parametrize("size", range(65_530, 65_542))
@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        (b"-1.5e+10,", ()),
        (b'"a ""b"" =c",', ()),
        ("-5€,".encode(), ()),
        (b"-1.5e+A1,", ("formulas",)),
        (b'"=A1",', ("formulas",)),
    ],
)
def test_where_the_file_is_cut_into_pieces_makes_no_difference(
    size: int, cell: bytes, expected: tuple[str, ...]
) -> None:
    assert found(b"a" * size + b"," + cell + b"b\n") == expected


def test_tabs_separate_where_the_type_says_so_too() -> None:
    assert found(b"a\t=A1\n", media_type="text/tab-separated-values") == ("formulas",)


def test_other_texts_are_not_looked_at() -> None:
    assert found(b"=A1\n", media_type="text/plain") == ()


def test_formulas_are_told_and_refused_only_where_the_policy_says_so() -> None:
    data = b"name,note\nAnn,=1+1\n"
    media_type, details = examine(
        io.BytesIO(data), len(data), policy=Policy.documents(), name="a.csv"
    )
    assert (media_type, details.findings) == ("text/csv", ("formulas",))
    strict = Policy(types="documents", refuse=["formulas"])
    with pytest.raises(ContentRefused, match="spreadsheet would compute") as caught:
        examine(io.BytesIO(data), len(data), policy=strict, name="a.csv")
    assert caught.value.finding == "formulas"
