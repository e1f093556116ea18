"""The catalogue of European Digital Innovation Hubs: who they are and what they offer, from its own export.

The export calls itself .xls and is an .xlsx. Lists in it are joined with commas, though names in them hold
commas as well, so they are parted by the closed lists of names that the catalogue prints.
"""

from __future__ import annotations

import re
import unicodedata
import zlib
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from io import BytesIO
from typing import ClassVar
from urllib.parse import urlsplit
from zipfile import BadZipFile, ZipFile

from openpyxl import load_workbook
from scrapy import Request

from crawlers.reading import Unreadable, clean
from crawlers.source import FetchError, Source
from pipeline.expect import Expect
from pipeline.schema import Issue, Level, Organisation, Page

CATALOGUE = "https://european-digital-innovation-hubs.ec.europa.eu/edih-catalogue/"
EXPORT = f"{CATALOGUE}export-edih?page&_format=xls"
LARGEST_WORKBOOK = 16 * 1024 * 1024  # bytes, inflated; the real one has below 2 MB of text
COLUMNS = {
    "EDIH Name": "name",
    "EDIH Title": "title",
    "Description (indexed field)": "description",
    "Country": "country",
    "Contact Location": "place",
    "EDIH/SoE": "kind",
    "Website": "website",
    "Formatted sectors": "sectors",
    "Formatted services": "services",
    "Formatted technologies": "technologies",
}
NAMES = {
    "sectors": """Aeronautics; Agricultural biotechnology and food biotechnology; Automotive;
        Community-Led Local Development; Construction & Assembly; Consumer products;
        Cultural and creative economy; Defence; Education; Electricity; Energy;
        Energy, fuels and petroleum engineering; Environment; Financial; Fishery; Food and beverages;
        Health care; Leather; Legal Aspects; Life sciences; Manufacturing and processing; Maritime;
        Metal working and industrial production; Mining and extraction;
        NMP Non-Metallic Materials & basic processes; Nuclear; Paper and wood; Personal services;
        Polymers and plastics; Public administration; Real estate; Regulation;
        Retail, wholesale or distribution; Security; Smart City; Space; Telecommunications; Textiles; Tobacco;
        Transport & Mobility; Transport sector; Travel and tourism""",
    "services": """Circular economy; Ecosystem building; Field trial; Finance; Innovation management;
        Knowledge transfer; Prototyping; Public sector innovation; Regional development; SME support;
        Smart Specialisation strategies; Sme Business Development; Technological innovation;
        Technology transfer; Vocational training""",
    "technologies": """Additive manufacturing; Artificial Intelligence & Decision support; BI tools; Big data;
        Blockchain and Distributed Ledger Technology (DLT); Chemical engineering (plants, products);
        Cloud Services; Communication network; Cyber-physical systems; Cybersecurity; data; Digital twins;
        Displays; Gamification; High performance computing; Human computer interaction;
        Industrial biotechnology; Internet of Things; Internet Services & Applications;
        Laser-based manufacturing and materials processing; Location-based applications; Logistics;
        Micro- and nanoelectronics, optoelectronics; Mobility;
        New technologies for Audio-Visual sector - Media; Organic and large area electronics; Photonics;
        Quantum Technologies (computing/communication); Robotics; Semiconductors and Nanotechnology;
        Sensors & Vision Processing Systems; Simulation engineering and modelling; Software Architectures;
        Virtual Reality""",
}


def _known(names: str) -> re.Pattern[str]:
    """A name of the list at the start of a text, longest first, with its rating and the comma after it."""
    longest_first = sorted((" ".join(name.split()) for name in names.split(";")), key=len, reverse=True)
    return re.compile(rf"({'|'.join(map(re.escape, longest_first))})(?: - \d)?\s*(?:,\s*|$)", re.IGNORECASE)


_KNOWN = {field: _known(names) for field, names in NAMES.items()}
_UNKNOWN = re.compile(r"(.+? - \d)\s*(?:,|$)|([^,]+)")  # up to its rating, or else to the next comma

_DAMAGE = (
    BadZipFile,
    zlib.error,
    EOFError,
    KeyError,
    IndexError,
    OSError,
    SyntaxError,
    TypeError,
    ValueError,
)

Row = Mapping[str, str | None]
Oddity = tuple[str, str, str | None]  # code, one line, key


class Edih(Source):
    """Reads the whole catalogue out of one file."""

    name = "edih"
    level: ClassVar[Level] = "european"
    home = CATALOGUE
    hosts = ("european-digital-innovation-hubs.ec.europa.eu",)
    expect = Expect(min_records=5)

    async def start(self) -> AsyncIterator[Organisation | Issue]:
        """Yield every hub once, and what was odd about the list."""
        try:
            response = await self.fetch(Request(self.at(EXPORT)))
            hubs, oddities = read_rows(read_workbook(response.body), self.page(response))
        except FetchError as error:
            yield self.issue("error", "export_missing", str(error))
            return
        except Unreadable as error:
            yield self.issue("error", "layout_changed", f"{EXPORT}: {error}")
            return
        self.total = len(hubs)
        for hub in hubs:
            yield hub
        for code, detail, key in oddities:
            yield self.issue("info", code, detail, key)


def read_workbook(body: bytes) -> Iterator[dict[str, str | None]]:
    """The rows of the first sheet, by the names in its first row. Raises Unreadable for anything else."""
    if not body.startswith(b"PK\x03\x04"):
        what = "an old binary .xls" if body.startswith(b"\xd0\xcf\x11\xe0") else "no workbook"
        raise Unreadable(f"the export is {what}")
    try:
        if sum(part.file_size for part in ZipFile(BytesIO(body)).infolist()) > LARGEST_WORKBOOK:
            raise Unreadable("the export is larger than a catalogue can be")
        sheet = load_workbook(BytesIO(body), read_only=True, data_only=True).worksheets[0]
        sheet.reset_dimensions()  # what a file says of its size is often wrong, and cells would be lost
        rows = list(sheet.iter_rows(values_only=True))
    except Unreadable:
        raise
    except _DAMAGE as error:
        raise Unreadable(f"the workbook is damaged ({type(error).__name__})") from error
    names = [str(cell or "").strip() for cell in rows[0]] if rows else []
    if missing := [name for name in COLUMNS if name not in names]:
        raise Unreadable(f"no column {missing[0]!r}")
    return (
        {name: None if cell is None else str(cell) for name, cell in zip(names, row, strict=False)}
        for row in rows[1:]
        if any(cell is not None for cell in row)
    )


def read_rows(rows: Iterable[Row], page: Page) -> tuple[list[Organisation], list[Oddity]]:
    """Hubs out of the catalogue's rows, in their order. Raises Unreadable where there is none.

    Persons' names, which the catalogue has in a column of their own, are not read.
    """
    read = [{field: _text(row.get(column)) for column, field in COLUMNS.items()} for row in rows]
    named = [row for row in read if row["name"] and slug(row["name"])]
    if not named:
        raise Unreadable("the catalogue lists no hub")
    shared = Counter(slug(row["name"]) for row in named)
    hubs: dict[str, Organisation] = {}
    odd: list[Oddity] = [("no_name", "a row without a name", None)] * (len(read) - len(named))
    for row in named:
        key = slug(row["name"])
        # hubs of one name differ in country or kind; all of them say so, whatever the order of the rows
        key = slug(f"{row['name']} {row['country']} {row['kind']}") if shared[key] > 1 else key
        if key in hubs:
            odd.append(("same_hub", "the catalogue has the hub twice", key))
            continue
        lists = {}
        for field in NAMES:
            lists[field], unknown = split_names(row.pop(field), field)
            odd += [("unknown_name", f"{field}: {name!r} is not in our list", key) for name in unknown]
        website = read_website(row.pop("website"))
        hubs[key] = Organisation(
            org_id=f"edih:{key}", source="edih", website=website, **row, **lists, page=page
        )
    return list(hubs.values()), odd


def _text(printed: str | None) -> str | None:
    return clean(printed or "") or None


def slug(name: str | None) -> str:
    """A name in lower-case ASCII letters, digits and dashes."""
    ascii_name = unicodedata.normalize("NFKD", name or "").encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", "-", ascii_name.lower()).strip("-")


def split_names(printed: str | None, field: str) -> tuple[tuple[str, ...], list[str]]:
    """The known names in a comma-joined list, as printed and without rating; and what is left over."""
    left, found, unknown = (printed or "").strip(", "), [], []
    while left:
        known = _KNOWN[field].match(left)
        match = known or _UNKNOWN.match(left)
        assert match is not None  # a text without a comma in front begins with something
        if known:
            found.append(known[1])
        else:
            unknown.append(match[0].strip(", "))
        left = left[match.end() :].lstrip(", ")
    return tuple(dict.fromkeys(found)), unknown


def read_website(printed: str | None) -> str | None:
    """A whole http(s) address. Some cells hold the word "Website", and some an address that is cut off."""
    if not printed or " " in printed or printed.endswith(("…", "...")):
        return None
    try:
        parts = urlsplit(printed)
    except ValueError:
        return None
    return printed if parts.scheme in ("http", "https") and "." in parts.netloc else None
