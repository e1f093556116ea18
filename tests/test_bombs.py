"""A small file that stands for an enormous one is refused, in plain words, before it costs anything."""

from __future__ import annotations

import io
import json
import time
import tracemalloc
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from openpyxl import DEFUSEDXML, Workbook

from crawlers.cordis import read_projects
from crawlers.cordis_files import CordisError
from crawlers.reading import Unreadable
from crawlers.sources.edih import COLUMNS, read_workbook
from crawlers.sources.evergreen import read_entries
from pipeline.profiles import ProfileError, read_profiles
from pipeline.yaml_text import read_yaml

SHEET = "xl/worksheets/sheet1.xml"
ENTITIES = "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10 if n else "ha" * 500}">' for n in range(9))
# Twelve lists, each of nine times the one before; the last stands for 10 to the 11th words
LAUGHS = "- key: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"  k{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12)
)


@pytest.fixture(autouse=True)
def costs_little() -> Iterator[None]:
    """Each refusal takes below two seconds and 100 MB."""
    begun = time.monotonic()
    tracemalloc.start()
    try:
        yield
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (peak < 100_000_000, time.monotonic() - begun < 10) == (True, True)


def workbook(rows: list[list[str]], **parts: tuple[str, str]) -> bytes:
    """A workbook, with a text of a part replaced by another."""
    whole, changed = io.BytesIO(), io.BytesIO()
    book = Workbook()
    assert book.active is not None
    for row in rows:
        book.active.append(row)  # type: ignore[union-attr]
    book.save(whole)
    with zipfile.ZipFile(whole) as source, zipfile.ZipFile(changed, "w", zipfile.ZIP_DEFLATED) as target:
        for name in source.namelist():
            text = source.read(name).decode()
            old, new = parts.get(Path(name).stem, ("", ""))
            assert old in text
            target.writestr(name, text.replace(old, new, 1) if old else text)
    return changed.getvalue()


def with_entities(rows: list[list[str]]) -> bytes:
    """A workbook whose first cell is a word of some billion letters."""
    declared = f"<!DOCTYPE worksheet [{ENTITIES}]><worksheet"
    bomb = workbook(rows, sheet1=("<worksheet", declared))
    return rewritten(bomb, f"<t>{rows[0][0]}</t>", "<t>&a8;</t>")


def rewritten(body: bytes, old: str, new: str) -> bytes:
    """A workbook with a text of its first sheet replaced."""
    changed = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(body)) as source,
        zipfile.ZipFile(changed, "w", zipfile.ZIP_DEFLATED) as to,
    ):
        for name in source.namelist():
            text = source.read(name).decode()
            assert name != SHEET or old in text
            to.writestr(name, text.replace(old, new) if name == SHEET else text)
    return changed.getvalue()


def test_aliases_that_multiply_are_refused_in_profiles_and_in_the_evergreen_list() -> None:
    with pytest.raises(ProfileError, match="aliases stand for more than a file can hold"):
        read_profiles(LAUGHS.encode(), "p.yml")
    with pytest.raises(Unreadable, match="aliases stand for more"):
        read_entries(LAUGHS.encode())


@pytest.mark.parametrize(
    "text", ["&a [*a]", "&a {b: *a}", "- &a {<<: [*a, *a]}", LAUGHS.replace("k11:", "<<:")]
)
def test_what_holds_itself_has_no_end(text: str) -> None:
    with pytest.raises(yaml.YAMLError):
        read_yaml(text)


@pytest.mark.parametrize(
    "text", ["!!python/object/apply:os.getcwd []", "!!python/name:os.system", "[" * 100_000]
)
def test_no_object_is_built_and_no_depth_is_endless(text: str) -> None:
    with pytest.raises((yaml.YAMLError, RecursionError)):
        read_yaml(text)
    with pytest.raises(ProfileError, match="cannot be read"):
        read_profiles(text.encode(), "p.yml")


def test_an_alias_that_repeats_a_little_is_plain_yaml() -> None:
    assert read_yaml("- &a [1, 2]\n- *a\n- {<<: {b: 1}, c: *a}\n") == [[1, 2], [1, 2], {"b": 1, "c": [1, 2]}]
    assert read_yaml("") is None


def test_entities_of_a_workbook_are_refused() -> None:
    assert DEFUSEDXML  # openpyxl then reads no entity at all
    with pytest.raises(ProfileError, match=r"p\.xlsx: cannot be read"):
        read_profiles(with_entities([["id", "name"], ["x", "y"]]), "p.xlsx")
    with pytest.raises(Unreadable, match="damaged"):
        list(read_workbook(with_entities([list(COLUMNS), ["Hub"]])))


def test_a_workbook_that_inflates_beyond_a_list_of_profiles_is_not_opened() -> None:
    body = io.BytesIO()
    with zipfile.ZipFile(body, "w", zipfile.ZIP_DEFLATED) as bomb:
        bomb.writestr(SHEET, b" " * (21 << 20))
    with pytest.raises(ProfileError, match="larger than 20 MB when unpacked"):
        read_profiles(body.getvalue(), "p.xlsx")


def test_a_sheet_of_countless_empty_cells_is_given_up() -> None:
    wide = "".join(f'<row r="{n}"><c r="XFD{n}"/></row>' for n in range(2, 2000))
    body = rewritten(workbook([["id", "name"]]), "</sheetData>", f"{wide}</sheetData>")
    with pytest.raises(ProfileError, match="delete its empty rows and columns"):
        read_profiles(body, "p.xlsx")
    with pytest.raises(ProfileError, match="delete its empty rows and columns"):
        read_profiles(b"id,name\n" + b"," * 2_000_001, "p.csv")


def test_rows_beyond_what_a_sheet_says_of_its_size_are_read() -> None:
    body = rewritten(workbook([["id", "name"], ["x", "y"]]), 'ref="A1:B2"', 'ref="A1:A1"')
    with pytest.raises(ProfileError, match=r"entry 1 \(x\): kind is missing"):
        read_profiles(body, "p.xlsx")


def test_a_line_without_end_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("crawlers.cordis_files.LARGEST_RECORD", 1 << 20)
    path = tmp_path / "bulk.zip"
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("project.csv", "w") as member,
    ):
        for _ in range(200):
            member.write(b"x" * (1 << 20))
    with pytest.raises(CordisError, match="a line is longer than a record can be"):
        list(read_projects(path))


def test_a_zip_that_claims_too_much_is_not_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("crawlers.cordis_files.LARGEST_TOTAL", 1000)
    path = tmp_path / "bulk.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("project.json", json.dumps([{"id": "1" * 1000}]))
    with pytest.raises(CordisError, match="more than a bulk file can"):
        list(read_projects(path))


def test_names_in_a_zip_are_names_and_nothing_is_written(tmp_path: Path) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    path = inside / "bulk.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("../../project.json", "[]")
    with pytest.raises(CordisError, match="no known shape"):
        list(read_projects(path))
    assert [file.name for file in tmp_path.rglob("*")] == ["inside", "bulk.zip"]
