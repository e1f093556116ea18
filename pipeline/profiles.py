"""Profile files to `Profile` records (YAML, JSON, CSV, Excel), and a profile's texts to search with."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from pydantic import ValidationError

from pipeline.prose import sentences
from pipeline.schema import Profile
from pipeline.themes import themes
from pipeline.yaml_text import read_yaml

MOST_BYTES = 20 * 1024 * 1024
MOST_ROWS = 5_000
MOST_CELLS = 2_000_000  # with empty ones: a sheet can say in few bytes that it has 17 thousand million
PASSAGE_WORDS = 40
TAIL_WORDS = 12  # a shorter last piece says too little to be compared alone
LISTS = ("nuts", "offers", "seeks", "themes", "sources", "partner_countries")
WHOLE = ("employees", "trl", "partners", "pic")  # Excel gives whole numbers as 12.0
# Column names that a Dutch hub uses in its own sheets.
DUTCH_COLUMNS = {
    "naam": "name",
    "soort": "kind",
    "taal": "language",
    "status": "label",
    "land": "country",
    "plaats": "place",
    "medewerkers": "employees",
    "omschrijving": "description",
    "biedt": "offers",
    "zoekt": "seeks",
    "thema's": "themes",
    "themas": "themes",
    "bronnen": "sources",
    "projectkosten": "project_costs_eur",
    "landen van partners": "partner_countries",
    "aangewezen hub": "designated_hub",
}


class ProfileError(Exception):
    """A profile file that cannot be used; `problems` are one line each, naming file, entry and field."""

    def __init__(self, *problems: str) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


def read_profiles(data: bytes, name: str) -> list[Profile]:
    """Profiles of a .yml, .yaml, .json, .csv or .xlsx file, all valid or none.

    In CSV and Excel the first row names the fields (English, or Dutch), and lists are written with "|"
    between their items. Raises ProfileError with every problem found.
    """
    readers = {".yml": _yaml, ".yaml": _yaml, ".json": _json, ".csv": _csv, ".xlsx": _excel}
    reader = readers.get(PurePath(name).suffix.lower())
    if reader is None:
        raise ProfileError(f"{name}: unknown kind of file; use .yml, .json, .csv or .xlsx")
    if len(data) > MOST_BYTES:
        raise ProfileError(f"{name}: larger than {MOST_BYTES // 1024**2} MB; no list of profiles is")
    try:
        entries = reader(data)
    except ProfileError as error:
        raise ProfileError(f"{name}: {error}") from error
    except UnicodeDecodeError as error:
        raise ProfileError(f"{name}: not UTF-8 text (byte {error.start}); save it as UTF-8") from error
    except Exception as error:
        # parsers of four formats fail in their own ways, and to the reader all mean the same
        line = " ".join(str(error).split())[:160] or type(error).__name__
        raise ProfileError(f"{name}: cannot be read ({line})") from error
    if not entries:
        raise ProfileError(f"{name}: holds no profiles")
    return _validated(entries, name)


def _validated(entries: list[Any], name: str) -> list[Profile]:
    problems: list[str] = []
    found: dict[str, Profile] = {}
    for number, entry in enumerate(entries, start=1):
        where = f"{name}: entry {number}"
        if not isinstance(entry, Mapping):
            problems.append(f"{where}: is not a profile but {type(entry).__name__}")
            continue
        where += f" ({str(entry.get('id') or entry.get('name') or 'no id')[:60]})"
        try:
            profile = Profile.model_validate(entry)
        except ValidationError as error:
            problems += [f"{where}: {_in_words(problem)}" for problem in error.errors()]
            continue
        if profile.id in found:
            problems.append(f"{where}: the id {profile.id!r} is there twice")
        found[profile.id] = profile
    if problems:
        raise ProfileError(*problems)
    return list(found.values())


def _in_words(problem: Any) -> str:
    field = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "missing":
        return f"{field} is missing"
    if problem["type"] == "extra_forbidden":
        return f"there is no field {field!r}; fields are {', '.join(Profile.model_fields)}"
    if problem["type"] == "string_too_short":
        return f"{field} is empty"
    given = " ".join(str(problem["input"]).split())[:60]
    return f"{field} is {given!r}: {problem['msg'][0].lower()}{problem['msg'][1:]}"


def _yaml(data: bytes) -> list[Any]:
    return _listed(read_yaml(data.decode("utf-8-sig")))


def _json(data: bytes) -> list[Any]:
    return _listed(json.loads(data.decode("utf-8-sig")))


def _listed(value: Any) -> list[Any]:
    if isinstance(value, dict) and "profiles" in value:
        value = value["profiles"]
    if value is None:
        return []
    if not isinstance(value, list):
        raise ProfileError("must be a list of profiles")
    return value


def _csv(data: bytes) -> list[Any]:
    text = data.decode("utf-8-sig")
    header = text.split("\n", 1)[0]
    separator = ";" if header.count(";") > header.count(",") else ","
    return _table(csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True))


def _excel(data: bytes) -> list[Any]:
    from openpyxl import load_workbook

    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        if sum(item.file_size for item in archive.infolist()) > MOST_BYTES:
            raise ProfileError(f"larger than {MOST_BYTES // 1024**2} MB when unpacked")
    book = load_workbook(io.BytesIO(data), read_only=True, data_only=True)
    try:
        sheet = book.worksheets[0]
        sheet.reset_dimensions()  # what a file says of its size is often wrong, and rows would be lost
        return _table(sheet.iter_rows(values_only=True))
    finally:
        book.close()


def _table(rows: Iterable[Iterable[Any]]) -> list[Any]:
    """Rows under a header row as entries; empty cells and empty rows are not there."""
    names: list[str] | None = None
    entries: list[Any] = []
    seen = 0
    for row in rows:
        row = tuple(row)
        seen += len(row) or 1
        if seen > MOST_CELLS:
            raise ProfileError("more cells than a list of profiles has; delete its empty rows and columns")
        cells = [str(cell).strip() if cell is not None else "" for cell in row]
        if not any(cells):
            continue
        if names is None:
            names = [DUTCH_COLUMNS.get(cell.lower(), cell.lower()) for cell in cells]
            continue
        if len(entries) >= MOST_ROWS:
            raise ProfileError(f"more than {MOST_ROWS} rows")
        if len(cells) > len(names) and any(cells[len(names) :]):
            raise ProfileError(f"row {len(entries) + 2} has more cells than the header")
        entry: dict[str, Any] = {
            name: cell for name, cell in zip(names, cells, strict=False) if name and cell
        }
        for name in LISTS:
            if name in entry:
                entry[name] = [item.strip() for item in entry[name].split("|") if item.strip()]
        for name in WHOLE:
            if name in entry:
                entry[name] = entry[name].removesuffix(".0")
        entries.append(entry)
    return entries


@dataclass(frozen=True)
class OwnPassage:
    """A piece of a profile: what its reader is shown, and what calls are searched with."""

    shown: str
    searched: str
    language: str  # of what is searched with
    of_themes: bool = False  # terms of the theme list, not the profile's own words


def passages_of(profile: Profile) -> list[OwnPassage]:
    """Texts to search with: pieces of the description, each offer and wish, and the themes in English.

    A Dutch profile also gets each theme's English terms as a passage of their own, shown in Dutch, since
    calls of the EU are in English and the packaged model knows little Dutch.
    """
    own = [*pieces_of(sentences(profile.description)), *profile.offers, *profile.seeks]
    found = {text: OwnPassage(text, text, profile.language) for text in own}
    groups = [list(profile.themes)] if profile.themes else []
    groups += [[theme] for theme in profile.themes] if profile.language == "nl" else []
    for number, group in enumerate(groups):
        most = 1 if number == 0 else None  # of all themes together the labels, of each alone every term
        shown, searched = (
            ", ".join(
                term for theme in group for term in themes().get(theme, {}).get(language, [theme])[:most]
            )
            for language in (profile.language, "en")
        )
        found.setdefault(searched, OwnPassage(shown, searched, "en", of_themes=True))
    return list(found.values())


def pieces_of(whole: Iterable[str]) -> list[str]:
    """Sentences joined to pieces of some length; a short tail goes with the piece before it."""
    pieces: list[list[str]] = [[]]
    for sentence in whole:
        if sum(len(part.split()) for part in pieces[-1]) >= PASSAGE_WORDS:
            pieces.append([])
        pieces[-1].append(sentence)
    if len(pieces) > 1 and len(" ".join(pieces[-1]).split()) < TAIL_WORDS:
        tail = pieces.pop()
        pieces[-1] += tail
    return [" ".join(piece) for piece in pieces if piece]
