"""CORDIS bulk files read one record at a time, so that memory stays flat: a folder, a zip or a single file.

Whatever is damaged, cut off or far too large raises CordisError: it would else look like the end of the data.
"""

from __future__ import annotations

import csv
import io
import json
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any

from lxml import etree

CHUNK = 1 << 18  # characters of a JSON array read at a time
LARGEST_RECORD = 16 << 20  # characters or bytes of one record
LARGEST_TOTAL = 64 << 30  # bytes that a zip says it holds, inflated
_ABOUT = ("information", "readme", "changelog")  # files about the files
_GAP = re.compile(r"[\s,]*")
_DAMAGE = (OSError, zipfile.BadZipFile, zlib.error, EOFError, UnicodeDecodeError, NotImplementedError)


class CordisError(ValueError):
    """The files cannot be trusted as a whole; the message says why in one line."""


@dataclass(frozen=True)
class Files:
    """The files that hold records, by name; all have one suffix: .csv, .json or .xml."""

    path: Path
    suffix: str
    names: tuple[str, ...]

    def read(self, reader: Callable[[IO[bytes]], Iterator[Any]]) -> Iterator[tuple[str, Any]]:
        """What `reader` makes of each file, one after the other, with the file's name. Raises CordisError."""
        name = self.path.name
        try:
            for name, stream in self._open():
                for value in reader(stream):
                    yield name, value
        except (*_DAMAGE, RuntimeError) as error:  # RuntimeError: a zip with a password
            raise CordisError(f"{self.path}: {name} is damaged or cut off ({error})") from error
        except CordisError as error:
            raise CordisError(f"{self.path}: {name}: {error}") from error

    def _open(self) -> Iterator[tuple[str, IO[bytes]]]:
        if self.path.suffix.lower() == ".zip" and self.path.is_file():
            with zipfile.ZipFile(self.path) as archive:
                for name in self.names:
                    with archive.open(name) as stream:
                        yield name, stream
            return
        for name in self.names:
            with (self.path / name if self.path.is_dir() else self.path).open("rb") as stream:
                yield name, stream


def find_files(path: Path) -> Files:
    """The record files at a path. Raises CordisError where there are none, or of several suffixes."""
    try:
        names = sorted(_names(path))
    except _DAMAGE as error:
        raise CordisError(f"{path}: cannot be read, or is cut off ({error})") from error
    useful = [(name, file.suffix.lower()) for name in names if _holds_records(file := PurePosixPath(name))]
    suffixes = {suffix for _, suffix in useful}
    if len(suffixes) != 1:
        held = ", ".join(names[:5]) or "nothing"
        raise CordisError(f"{path}: {'several shapes' if suffixes else 'no known shape'}; it holds {held}")
    return Files(path, suffixes.pop(), tuple(name for name, _ in useful))


def _names(path: Path) -> list[str]:
    if path.is_dir():
        return [file.relative_to(path).as_posix() for file in path.rglob("*") if file.is_file()]
    if path.suffix.lower() != ".zip":
        path.stat()
        return [path.name]
    with zipfile.ZipFile(path) as archive:
        members = [member for member in archive.infolist() if not member.is_dir()]
    if sum(member.file_size for member in members) > LARGEST_TOTAL:
        raise CordisError(f"{path}: says it holds more than a bulk file can")
    return [member.filename for member in members]


def _holds_records(file: PurePosixPath) -> bool:
    parts = [part.lower() for part in (*file.parts[:-1], file.stem)]
    return file.suffix.lower() in (".csv", ".json", ".xml") and not any(
        part in _ABOUT or part.startswith((".", "__")) for part in parts
    )


def csv_rows(stream: IO[bytes]) -> Iterator[dict[str, str] | str]:
    """The rows of a ";" table by column; a row of another length, or badly quoted, as a line on its fault."""
    text = io.TextIOWrapper(stream, "utf-8-sig", newline="")
    reader = csv.reader(_lines(text), delimiter=";", strict=True)
    columns: list[str] | None = None
    while True:
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            if "end of data" in str(error):
                raise CordisError("the table is cut off inside a cell") from error
            yield str(error)
            continue
        if columns is None:
            columns = row
        elif len(row) == len(columns):
            yield dict(zip(columns, row, strict=True))
        elif row:
            yield f"{len(row)} cells instead of {len(columns)}"


def _lines(text: io.TextIOWrapper) -> Iterator[str]:
    while line := text.readline(LARGEST_RECORD):
        if len(line) >= LARGEST_RECORD:
            raise CordisError("a line is longer than a record can be")
        yield line


def json_rows(stream: IO[bytes]) -> Iterator[dict[str, Any]]:
    """The objects of a JSON array, numbers as printed, each decoded when enough of it is read."""
    text = io.TextIOWrapper(stream, "utf-8-sig")
    decoder = json.JSONDecoder(parse_float=str, parse_int=str)
    buffer = text.read(CHUNK).lstrip()
    if not buffer.startswith("["):
        raise CordisError("the table is no JSON array")
    position = 1
    while True:
        position = _skip(buffer, position)
        if buffer[position : position + 1] == "]":
            return
        try:
            row, position = decoder.raw_decode(buffer, position)
        except (json.JSONDecodeError, RecursionError) as error:
            left = buffer[position:]
            more = text.read(max(CHUNK, len(left)))  # doubled: a long record is not begun anew often
            if not more or len(left) > LARGEST_RECORD:
                raise CordisError(f"the table is cut off, or no JSON ({error})") from error
            buffer, position = left + more, 0
            continue
        if not isinstance(row, dict):
            raise CordisError("the table holds other things than objects")
        yield row


def _skip(buffer: str, position: int) -> int:
    gap = _GAP.match(buffer, position)
    return gap.end() if gap else position


def json_object(stream: IO[bytes]) -> Iterator[dict[str, Any]]:
    """The one object of a JSON file, numbers as printed."""
    try:
        record = json.loads(_all(stream).decode("utf-8-sig"), parse_float=str, parse_int=str)
    except (json.JSONDecodeError, RecursionError) as error:
        raise CordisError(f"cut off, or no JSON ({error})") from error
    if not isinstance(record, dict):
        raise CordisError("the file holds no object")
    yield record


def xml_root(stream: IO[bytes]) -> Iterator[Any]:
    """The root element of an XML file. No entity is resolved, and a document type is refused."""
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    try:
        root = etree.fromstring(_all(stream), parser)
    except etree.XMLSyntaxError as error:
        raise CordisError(f"cut off, or no XML ({error})") from error
    if root.getroottree().docinfo.doctype:
        raise CordisError("the file declares a document type")
    yield root


def _all(stream: IO[bytes]) -> bytes:
    body = stream.read(LARGEST_RECORD + 1)
    if len(body) > LARGEST_RECORD:
        raise CordisError("the file is larger than a record can be")
    return body
