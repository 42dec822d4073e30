"""Tables: CSV files and Excel workbooks, a section a sheet; formulas give their stored values."""

import csv
import io
from collections.abc import Iterable
from datetime import date, datetime, time
from itertools import islice
from pathlib import Path

from knowledge.documents import Document, Limits, Loader, title_from_name
from knowledge.loaders.decoding import read_text
from knowledge.loaders.office import package
from knowledge.loaders.writing import Writing

SAMPLE = 8_192
MAX_COLUMNS = 512
"""Columns of a sheet that are read: it may claim 16,384 empty ones."""


def load_csv(path: Path, limits: Limits) -> Document:
    """Read a table parted by commas, semicolons, tabs or bars; the delimiter is found by trial."""
    text = read_text(path)
    csv.field_size_limit(limits.text)
    writing = Writing(path.name, limits)
    _write(writing, csv.reader(io.StringIO(text, newline=""), _dialect(text[:SAMPLE], path)))
    return writing.document(title_from_name(path))


def load_workbook(path: Path, limits: Limits) -> Document:
    """Read an Excel workbook: each sheet is a section, reached by its name."""
    import openpyxl  # only where such a file is read

    writing = Writing(path.name, limits)
    with package(path, limits):
        book = openpyxl.load_workbook(path, read_only=True, data_only=True, keep_links=False)
        try:
            for sheet in book.worksheets:
                sheet.reset_dimensions()  # what the file says of its size may be wrong
                writing.heading(1, sheet.title, sheet.title)
                rows = sheet.iter_rows(values_only=True, max_col=MAX_COLUMNS)
                _write(writing, ([_shown(value) for value in row] for row in rows))
        finally:
            book.close()
    return writing.document(title_from_name(path))


def _write(writing: Writing, rows: Iterable[list[str]]) -> None:
    """Write the rows, without those that are empty and without empty columns at their ends."""
    for row in rows:
        filled = [place for place, cell in enumerate(row, start=1) if cell.strip()]
        if filled:
            writing.row(list(islice(row, filled[-1])))


def _dialect(sample: str, path: Path) -> type[csv.Dialect]:
    if path.suffix.lower() == ".tsv":
        return csv.excel_tab
    try:
        return csv.Sniffer().sniff(sample, delimiters=",;\t|")
    except csv.Error:  # a single column
        return csv.excel


def _shown(value: object) -> str:
    """A cell's value as a person writes it."""
    if value is None:
        return ""
    if isinstance(value, datetime) and value.time() == time():
        return value.date().isoformat()
    if isinstance(value, (datetime, date, time)):
        return value.isoformat()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


csv_files = Loader(suffixes=(".csv", ".tsv"), load=load_csv)
workbook = Loader(suffixes=(".xlsx", ".xlsm"), load=load_workbook)
