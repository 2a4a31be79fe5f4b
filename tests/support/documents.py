"""Office documents: honest ones by the libraries that people use, and changes to their parts."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from functools import cache

RELATIONS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
PACKAGE = "http://schemas.openxmlformats.org/package/2006/relationships"


@cache
def docx() -> bytes:
    """Return a Word document by python-docx: headings, a table, a picture of its own."""
    import docx as library

    from support.samples import image

    made = library.Document()
    made.add_heading("Report", 0)
    made.add_paragraph("Words, and = signs. DDEAUTO is a word here.")
    made.add_table(2, 2).cell(0, 0).text = "a cell"
    made.add_picture(io.BytesIO(image("PNG")))
    file = io.BytesIO()
    made.save(file)
    return file.getvalue()


@cache
def xlsx() -> bytes:
    """Return an Excel workbook by openpyxl: formulas, a link, two sheets."""
    import openpyxl  # type: ignore[import-untyped]

    made = openpyxl.Workbook()
    sheet = made.active
    assert sheet is not None
    sheet["A1"] = 1
    sheet["A2"] = "=SUM(A1:A1)"
    sheet["A3"].hyperlink = "https://example.org/"
    made.create_sheet("second")
    file = io.BytesIO()
    made.save(file)
    return file.getvalue()


@cache
def pptx() -> bytes:
    """Return a presentation by python-pptx, with a chart and so with a workbook inside."""
    import pptx as library
    from pptx.chart.data import CategoryChartData
    from pptx.enum.chart import XL_CHART_TYPE
    from pptx.util import Inches

    made = library.Presentation()
    slide = made.slides.add_slide(made.slide_layouts[5])
    data = CategoryChartData()  # type: ignore[no-untyped-call]
    data.categories = ["a", "b"]
    data.add_series("s", (1, 2))  # type: ignore[no-untyped-call]
    place = (Inches(1), Inches(1), Inches(4), Inches(3))
    slide.shapes.add_chart(XL_CHART_TYPE.COLUMN_CLUSTERED, *place, data)
    file = io.BytesIO()
    made.save(file)
    return file.getvalue()


@cache
def open_document(kind: str) -> bytes:
    """Return an OpenDocument "text", "spreadsheet" or "presentation" by odfpy."""
    from odf import opendocument, table, text  # type: ignore[import-untyped]

    if kind == "spreadsheet":
        made = opendocument.OpenDocumentSpreadsheet()
        sheet = table.Table(name="one")
        row = table.TableRow()
        cell = table.TableCell(formula="of:=1+1", valuetype="float", value="2")
        row.addElement(cell)
        sheet.addElement(row)
        made.spreadsheet.addElement(sheet)
    elif kind == "presentation":
        made = opendocument.OpenDocumentPresentation()
    else:
        made = opendocument.OpenDocumentText()
        paragraph = text.P()
        paragraph.addElement(text.A(href="https://example.org/", text="a link"))
        made.text.addElement(paragraph)
    file = io.BytesIO()
    made.write(file)
    return file.getvalue()


def changed(
    document: bytes,
    add: Mapping[str, bytes | str] | None = None,
    replace: Mapping[str, tuple[str, str]] | None = None,
) -> bytes:
    """Return a document with more parts, and with texts in some of its parts replaced."""
    add = dict(add or {})
    replace = dict(replace or {})
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(document)) as old, zipfile.ZipFile(file, "w") as new:
        for info in old.infolist():
            data = old.read(info)
            if info.filename in replace:
                before, after = replace.pop(info.filename)
                assert before.encode() in data
                data = data.replace(before.encode(), after.encode(), 1)
            new.writestr(info, data, zipfile.ZIP_DEFLATED)
        for name, content in add.items():
            new.writestr(name, content)
    assert not replace
    return file.getvalue()


def related(document: bytes, part: str, kind: str, target: str, *, external: bool = True) -> bytes:
    """Return a document one of whose .rels parts has one relationship more."""
    mode = ' TargetMode="External"' if external else ""
    one = f'<Relationship Id="rIdX" Type="{RELATIONS}/{kind}" Target="{target}"{mode}/>'
    return changed(document, replace={part: ("</Relationships>", f"{one}</Relationships>")})


def typed(document: bytes, part: str, content_type: str) -> bytes:
    """Return a document with a part of this content type."""
    one = f'<Override PartName="/{part}" ContentType="{content_type}"/>'
    return changed(document, {part: b"\0"}, {"[Content_Types].xml": ("</Types>", f"{one}</Types>")})
