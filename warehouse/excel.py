"""A table as an Excel workbook that people filter and follow: a sheet of rows, and one about them.

Text is never a formula, whatever it begins with, and only titles with an http(s) address are links.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date, datetime
from io import BytesIO
from pathlib import Path
from typing import Any

from pipeline.wording import READERS_ZONE, web_address
from warehouse.errors import WarehouseError

MOST_ROWS = 1_048_575  # Excel's, below the heading
MOST_LINKS = 65_530  # Excel's, on a sheet
LONGEST_CELL = 32_767  # Excel's, in UTF-16 units
LONGEST_LINK = 2_079  # Excel's
WIDEST = 50  # characters of a column
LINE, MOST_LINES = 15.0, 6  # points, and lines of a cell that are seen
_FONT: dict[str, Any] = {"name": "Calibri", "size": 11}
_INK, _HEAD, _LINK = "FFFFFF", "0F4C5C", "0563C1"
# what XML cannot hold, or Excel would read as an escaped character
_ILLEGAL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
_ESCAPED = re.compile(r"_(?=x[0-9A-Fa-f]{4}_)")
_COLOURS = {"pass": "D8EFE6", "fail": "FADCD8", "unknown": "FDF0CD"}
SOON, NEAR = 21, 60  # days


def plain(value: str) -> str:
    """A text as a cell can hold it."""
    text = _ILLEGAL.sub("", value.replace("\r\n", "\n").replace("\r", "\n"))
    if len(text) * 2 > LONGEST_CELL:  # only then can it be too long
        text = text.encode("utf-16-le")[: 2 * LONGEST_CELL - 200].decode("utf-16-le", "ignore")
    return text


def heading(name: str, values: Sequence[Any]) -> str:
    """A column's name for people; of moments with the zone they are told in."""
    words = re.sub(r" eur$", " (EUR)", name.replace("_", " ").replace("on date", "date"))
    zone = " (Amsterdam)" if any(isinstance(value, datetime) for value in values) else ""
    return f"{words[:1].upper()}{words[1:]}{zone}".replace("Trl", "TRL").replace("Url", "Address")


def write(
    out: Path, columns: Sequence[str], rows: Sequence[Sequence[Any]], about: Sequence[tuple[str, str]]
) -> None:
    """Write `rows` under `columns` to `out`, and `about` as pairs of words on a second sheet.

    Moments are told in Amsterdam's time. Raises OSError, and WarehouseError where the rows are too many.
    """
    from openpyxl import Workbook
    from openpyxl.styles import Alignment, Font, PatternFill
    from openpyxl.utils import get_column_letter

    if len(rows) > MOST_ROWS:
        raise WarehouseError(
            f"{len(rows)} rows are more than an Excel sheet holds ({MOST_ROWS}); write Parquet or CSV"
        )
    book = Workbook(write_only=True)
    sheet = book.create_sheet("fundmatch")
    headings = [heading(name, [row[i] for row in rows]) for i, name in enumerate(columns)]
    formats = [_format(name) for name in columns]
    _lay_out(sheet, columns, headings, rows)
    look = Font(**_FONT, bold=True, color=_INK), Alignment(vertical="center", wrap_text=True)
    fill = PatternFill("solid", fgColor=_HEAD)
    sheet.append([_cell(sheet, name, font=look[0], alignment=look[1], fill=fill) for name in headings])
    link = Font(**_FONT, color=_LINK, underline="single")
    top = Alignment(vertical="top", wrap_text=True)
    address = columns.index("url") if "url" in columns else None
    links = 0
    widths = [sheet.column_dimensions[get_column_letter(i + 1)].width for i in range(len(columns))]
    sheet.row_dimensions[1].height = 2 * LINE
    for number, row in enumerate(rows, start=2):
        lines = max((_lines(v, w) for v, w in zip(row, widths, strict=True)), default=1)
        sheet.row_dimensions[number].height = LINE * min(lines, MOST_LINES)
        cells = [_cell(sheet, v, number_format=f, alignment=top) for v, f in zip(row, formats, strict=True)]
        url = web_address(row[address]) if address is not None else None
        if url and "title" in columns and links < MOST_LINKS and len(url) <= LONGEST_LINK:
            titled = cells[columns.index("title")]
            titled.hyperlink, titled.font = plain(url), link
            links += 1
        sheet.append(cells)
    notes = book.create_sheet("About")
    notes.column_dimensions["A"].width, notes.column_dimensions["B"].width = 30, 100
    for label, words in about:
        notes.append(
            [
                _cell(notes, label, font=Font(**_FONT, bold=True), alignment=top),
                _cell(notes, words, alignment=top),
            ]
        )
    made = BytesIO()  # a disk that is full would leave the library in the middle of a file
    book.save(made)
    out.write_bytes(made.getvalue())


def _cell(sheet: Any, value: Any, number_format: str | None = None, **look: Any) -> Any:
    from openpyxl.cell import WriteOnlyCell

    if isinstance(value, datetime):
        value = value.astimezone(READERS_ZONE).replace(tzinfo=None)
        number_format = "yyyy-mm-dd hh:mm"
    elif isinstance(value, date):
        number_format = "yyyy-mm-dd"
    made = WriteOnlyCell(sheet)
    if isinstance(value, str):
        made.value = _ESCAPED.sub("_x005F_", plain(value))
        made.data_type = "s"  # never a formula, whatever it begins with
    else:
        made.value = value
    if number_format and not isinstance(value, str):
        made.number_format = number_format
    for name, style in look.items():
        setattr(made, name, style)
    return made


def _format(name: str) -> str | None:
    if name.endswith("_eur"):
        return '"€" #,##0'
    if "rate" in name.split("_"):
        return "0.##%"
    return {"score": "0.000", "percentile": "0"}.get(name)


def _lay_out(
    sheet: Any, columns: Sequence[str], headings: Sequence[str], rows: Sequence[Sequence[Any]]
) -> None:
    """Widths, the frozen heading, the filter, and colours of what presses or shuts out."""
    from openpyxl.formatting.rule import CellIsRule
    from openpyxl.styles import PatternFill
    from openpyxl.utils import get_column_letter

    last = len(rows) + 1
    for number, (name, head) in enumerate(zip(columns, headings, strict=True)):
        letter = get_column_letter(number + 1)
        sheet.column_dimensions[letter].width = _width(name, head, [row[number] for row in rows[:500]])
        cells = f"{letter}2:{letter}{last}"

        def colour(operator: str, formula: list[str], shade: str, cells: str = cells) -> None:
            fill = PatternFill(bgColor=shade, fill_type="solid")
            rule = CellIsRule(  # type: ignore[no-untyped-call]
                operator=operator, formula=formula, fill=fill, stopIfTrue=True
            )
            sheet.conditional_formatting.add(cells, rule)

        if name == "days_left":
            colour("equal", ['""'], "FFFFFF")
            colour("between", ["0", str(SOON)], _COLOURS["fail"])
            colour("between", [str(SOON), str(NEAR)], _COLOURS["unknown"])
        if name == "verdict":
            for verdict, shade in _COLOURS.items():
                colour("equal", [f'"{verdict}"'], shade)
    sheet.freeze_panes = f"{get_column_letter(columns.index('title') + 2 if columns[0] == 'title' else 1)}2"
    sheet.print_title_rows = "1:1"
    sheet.page_setup.orientation = "landscape"
    sheet.auto_filter.ref = f"A1:{get_column_letter(len(columns))}{last}"


def _lines(value: Any, width: float) -> int:
    """About how many lines a value takes in a column."""
    if not isinstance(value, str):
        return 1
    return sum(1 + int(len(part) / max(width - 3, 1)) for part in value[:2_000].split("\n"))


def _width(name: str, head: str, values: Sequence[Any]) -> int:
    """As wide as most of its cells need; a heading may take two lines."""
    longest = sorted(len(_seen(name, value)) for value in values if value is not None)
    usual = longest[int(len(longest) * 0.9)] if longest else 0
    return min(max(usual, len(max(head.split(), key=len)) + 3, len(head) // 2 + 3, 8) + 2, WIDEST)


def _seen(name: str, value: Any) -> str:
    """About as long as what is seen of a value."""
    if isinstance(value, datetime):
        return "2026-01-01 00:00"
    if isinstance(value, float):
        return f"€ {value:,.0f}" if name.endswith("_eur") else "0.000"
    return str(value)
