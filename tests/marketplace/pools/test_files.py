"""Files of codes as merchants have them, and as nobody should."""

from __future__ import annotations

import zipfile
from io import BytesIO

import pytest

from marketplace.errors import Invalid
from marketplace.pools import files
from marketplace.pools.files import read
from tests.marketplace.pools.filling import a_spreadsheet
from web.locale import LANGUAGES, text


def codes(content: bytes, name: str = "codes.txt") -> list[str]:
    return [line.code for line in read(content, name=name)]


def faults(content: bytes, name: str = "codes.txt") -> list[tuple[int, str]]:
    return [(line.number, line.fault) for line in read(content, name=name) if line.fault]


def fault_of(content: bytes, name: str = "codes.txt") -> str:
    with pytest.raises(Invalid) as invalid:
        read(content, name=name)
    (error,) = invalid.value.errors
    assert error.field == "file"
    assert all(text(language, f"field.{error.code}") for language in LANGUAGES)
    return error.code


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "utf-16"])
def test_a_file_is_read_in_every_encoding_that_spreadsheets_save(encoding):
    assert codes("券码一\r\n券码二\r\n".encode(encoding)) == ["券码一", "券码二"]


def test_full_width_letters_and_spaces_are_made_plain():
    assert codes(" ＡＢ１２ \n".encode()) == ["AB12"]


def test_blank_lines_are_told_by_number_but_those_at_the_end_are_none():
    assert faults(b"A\n\n \nB\n\n\n") == [(2, "blank"), (3, "blank")]


def test_a_line_of_text_is_a_code_whatever_is_in_it():
    assert codes(b'CC,1\n"D,D"\n"E') == ["CC,1", "D,D", '"E']


def test_the_codes_of_a_csv_are_its_first_column():
    assert codes(b'AA,1\r\n"B,B",2\r\n', "codes.CSV") == ["AA", "B,B"]


@pytest.mark.parametrize("heading", ["券码", "code", " Code ", "兑换码"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_the_codes_of_a_csv_are_the_column_that_is_headed_so(heading, delimiter):
    rows = [["序号", heading], ["1", "AA"], ["2", "BB"], ["3"]]
    content = "\r\n".join(delimiter.join(row) for row in rows).encode()
    assert codes(content, "c.csv") == ["AA", "BB"]
    lines = read(content + b"\r\n4" + delimiter.encode() + b"DD", name="c.csv")
    assert [(line.number, line.code, line.fault) for line in lines][2:] == [(4, "", "blank"), (5, "DD", None)]


def test_the_lines_of_a_csv_are_counted_as_an_editor_does():
    assert faults(b'AA\n"B\nB"\n\nCC\n', "c.csv") == [(2, "invalid"), (4, "blank")]


def test_the_codes_of_a_spreadsheet_keep_their_digits_and_formulas_are_refused():
    content = a_spreadsheet(
        ("备注", "券码"), ("x", "0012"), ("x", 123456789012345), ("x", 12.0), ("x", '="A"&"B"'),
        ("x", 1234567890123456), ("x", 1.5), ("x", True), ("x", None), ("x", "ＺＺ"), ("x", -5),
    )  # fmt: skip
    lines = read(content)
    assert [(line.number, line.code) for line in lines if not line.fault] == [
        (2, "0012"), (3, "123456789012345"), (4, "12"), (10, "ZZ"),
    ]  # fmt: skip
    assert [(line.number, line.fault) for line in lines if line.fault] == [
        (5, "formula"), (6, "mangled"), (7, "mangled"), (8, "mangled"), (9, "blank"), (11, "mangled"),
    ]  # fmt: skip


def test_what_a_spreadsheet_has_made_of_a_code_in_a_csv_is_found_out():
    assert faults(b'AA\n=1+1\n"=""007"""\n1.23457E+15\n', "c.csv") == [
        (2, "formula"), (3, "formula"), (4, "mangled"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("content", "name", "code"),
    [
        (b"", "c.txt", "required"),
        (b"\n \n\n", "c.txt", "required"),
        ("券码\n".encode(), "c.txt", "required"),
        (b"A" * (files.MAX_FILE_BYTES + 1), "c.txt", "file_too_large"),
        (b"A\n" * 100_001, "c.txt", "too_many_lines"),
        (b"\xff\xff\xff", "c.txt", "not_text"),
        (b"AB\0CD", "c.txt", "not_text"),
        (b"\xff\xfeA", "c.txt", "not_text"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "c.xls", "old_spreadsheet"),
        (b'A\n"B\nC\n', "c.csv", "not_csv"),
        (b"PK\x03\x04\0\0", "c.xlsx", "not_spreadsheet"),
    ],
)
def test_a_file_that_is_no_list_of_codes_is_refused_in_words(content, name, code):
    assert fault_of(content, name) == code


def test_a_hundred_thousand_codes_and_their_heading_are_not_too_many():
    assert len(read(b"code\n" + b"A\n" * 100_000, name="c.csv")) == 100_000


def an_archive(name: str, content: bytes, *, over: bytes | None = None) -> bytes:
    """The spreadsheet `over`, with `content` as its part `name`."""
    source, made = zipfile.ZipFile(BytesIO(over or a_spreadsheet(("A",)))), BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for entry in source.infolist():
            if entry.filename != name:
                archive.writestr(entry.filename, source.read(entry))
        archive.writestr(name, content)
    return made.getvalue()


SHEET = "xl/worksheets/sheet1.xml"
CELL = '<c t="inlineStr"><is><t>A</t></is></c>'
ROWS = '<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>{}</sheetData></worksheet>'


@pytest.mark.parametrize(
    ("archive", "code"),
    [
        (lambda: an_archive("bomb.bin", b"\0" * 40_000_000), "file_too_large"),
        (lambda: an_archive("bomb.bin", b"\0" * 4_000_000), "not_spreadsheet"),
        (lambda: an_archive(SHEET, b"<!DOCTYPE x [<!ENTITY a 'a'>]>" + ROWS.format("").encode()), "not_spreadsheet"),
        (lambda: an_archive(SHEET, ('<!DOCTYPE x [<!ENTITY a "a">]>' + ROWS.format("")).encode("utf-16")),
         "not_spreadsheet"),
        (lambda: an_archive(SHEET, b"<worksheet>"), "not_spreadsheet"),
        (lambda: an_archive("[Content_Types].xml", b"<nothing/>"), "not_spreadsheet"),
        (lambda: an_archive(SHEET, ROWS.format(f'<row r="9000000">{CELL}</row>').encode()), "too_many_lines"),
        (lambda: a_spreadsheet(*[(None,)] * 3), "required"),
    ],
    ids=["a bomb", "a small bomb", "entities", "entities in UTF-16", "no sheet", "no types", "a gap", "nothing"],
)  # fmt: skip
def test_a_hostile_spreadsheet_is_refused_before_it_does_harm(archive, code):
    assert fault_of(archive(), "c.xlsx") == code


def test_a_spreadsheet_that_lies_about_its_size_is_read_as_it_is():
    huge = '</sheetData><dimension ref="A1:XFD1048576"/><sheetData>'
    content = an_archive(SHEET, ROWS.format(f'{huge}<row r="1">{CELL}</row>').encode())
    assert codes(content, "c.xlsx") == ["A"]
