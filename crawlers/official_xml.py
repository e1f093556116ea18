"""The XML of official documents: read safely, and written out as text by heading. No I/O.

The shapes are those of the op-xsd-2012 and CVDR schemas; elements count by their local names.
"""

from __future__ import annotations

import re
from typing import Any

from lxml import etree

from crawlers.reading import Unreadable, clean

_INLINE = frozenset(
    """
    cur cursief datum extref extref-groep functie hoofdletter inf intref intref-groep label li.nr lidnr nadruk
    noot noot.nr nr ondlijn onderstreept plaats sub sup term vet
    """.split()
)
# Signatures are names of persons; pictures say nothing that can be read.
_DROPPED = frozenset("illustratie koning metadata naam ondertekenaar ondertekening plaatje".split())
_TITLED = {"bijlage": "Bijlage", "nota-toelichting": "Toelichting", "toelichting": "Toelichting"}
# An article that stands in one of these is explained or amended there, and not the decision's own.
_OWNERS = frozenset([*_TITLED, "wijzig-artikel", "wijzig-divisie"])
_CLOSING = frozenset("circulaire-sluiting regeling-sluiting slotformulering wetsluiting".split())
_INNER = frozenset("artikel entry lid li".split())  # a bold line in one of these heads nothing
_BOLD = re.compile(r"^(?:artikel|bijlage|hoofdstuk|paragraaf|titel|toelichting|§)\b", re.IGNORECASE)
_GLUE = "\ue001"  # private use: a number and the block after it share a line


class Garbled(Unreadable):
    """Not the XML that was asked for, but HTML or a part of it: worth asking for again."""


def tree(text: str) -> Any:
    """The root element of an XML document, without comments and processing instructions.

    Nothing outside it is read and no entity is expanded. Raises Garbled, and Unreadable for a document type.
    """
    text = text.lstrip("\ufeff \r\n\t")
    if re.match(r"(?:<\?xml[^>]*>\s*)?<(?:!doctype\s+)?html\b", text, re.IGNORECASE):
        raise Garbled("HTML where XML is expected")
    parser = etree.XMLParser(
        encoding="utf-8",  # of the bytes made here, whatever the document declares
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )
    try:
        root = etree.fromstring(text.encode("utf-8", "replace"), parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise Garbled(f"no XML ({str(error)[:120]})") from error
    if root.getroottree().docinfo.doctype:
        raise Unreadable("an official document declares no document type or entities; this one does")
    for element in root.iter("{*}*"):
        _mend(element)
    return root


def _mend(element: Any) -> None:
    """Take away the line break that indentation put into a number: "2", "3" is the 23rd, not the 2nd, 3rd."""
    tail, after = element.tail or "", element.getnext()
    if "\n" in tail and not tail.strip() and after is not None and {name(element), name(after)} <= _INLINE:
        seam = text_of(element)[-1:], text_of(after)[:1]
        element.tail = "" if all(map(str.isdecimal, seam)) else tail


def name(element: Any) -> str:
    """The local name of an element, whatever its namespace."""
    return str(etree.QName(element).localname)


def first(element: Any, wanted: str) -> Any | None:
    """The first descendant of that local name, or None."""
    return next(element.iter(f"{{*}}{wanted}"), None)


def text_of(element: Any | None) -> str:
    """All text of an element on one line; empty where there is no element."""
    return clean(" ".join("".join(element.itertext()).split())) if element is not None else ""


def heading_of(kop: Any, *parts: str) -> str:
    """The named parts of a `kop`, in order, on one line, without notes."""
    texts = []
    for part in (e for e in kop if name(e) in parts):
        for note in part.findall("{*}noot"):
            note.text, note[:] = "", []
        texts.append(text_of(part))
    return " ".join(filter(None, texts)).rstrip(" :")


def headed_text(body: Any, head: Any) -> list[dict[str, str]]:
    """The text of a publication's body as `[{"heading", "text"}]`, in order, without its title `head`.

    A heading is what is printed: "Artikel 3 Subsidieplafond"; in an annex, an explanation or an amendment it
    follows the heading of that: "Toelichting: Artikel 3".
    """
    writer = _Writer(head)
    writer.visit(body, owner="", inner=False)
    return writer.sections()


class _Writer:
    """Walks a publication once; `_parts` are (heading, whether it is a mere line, pieces of text)."""

    def __init__(self, head: Any) -> None:
        self._head = head
        self._parts: list[tuple[str, bool, list[str]]] = [("", False, [])]

    def sections(self) -> list[dict[str, str]]:
        """The parts that have a text. A line that turns out to head nothing is text."""
        found: list[dict[str, str]] = []
        for heading, is_line, pieces in self._parts:
            text = clean(re.sub(rf"{_GLUE}\s*", " ", "".join(pieces)))
            if text:
                found.append({"heading": heading, "text": text})
            elif is_line and found:
                found[-1]["text"] += f"\n\n{heading}"
            elif is_line:
                found.append({"heading": "", "text": heading})
        return found

    def visit(self, element: Any, owner: str, inner: bool) -> None:
        """Write an element. `owner` heads all headings in it; `inner`: bold lines in it head nothing."""
        kind = name(element)
        if kind in _DROPPED or element is self._head or (kind == "li" and not text_of(element)):
            return
        if kind == "table":
            self._parts[-1][2].append(f"\n{_table(element).replace(_GLUE, '')}\n")
            return
        if line := "" if inner else _line_heading(element, kind):
            self._open(_under(owner, line), is_line=True)
            return
        kop = next((e for e in element if name(e) == "kop" and e is not self._head), None)
        own = heading_of(kop, "label", "nr", "titel", "subtitel") if kop is not None else ""
        own = own or _TITLED.get(kind, "")
        heading = _under(owner, own) if own else ""
        if heading:
            self._open(heading)
        elif kind in _CLOSING and self._parts[-1][0]:
            self._open(owner)
        owner = heading if heading and kind in _OWNERS else owner
        self._write(element, heading, owner, inner or kind in _INNER)

    def _write(self, element: Any, heading: str, owner: str, inner: bool) -> None:
        """An element's text and children; what follows a child with a heading is its own again."""
        kind = name(element)
        if kind in ("li.nr", "lidnr"):
            self._number(text_of(element))
            return
        edge = None if kind in _INLINE else "\n"
        self._add(edge)
        if kind == "li":
            self._add("- ")
            self._number(element.get("nr"))
        self._add(element.text)
        for child in element:
            parts = len(self._parts)
            if not (heading and name(child) == "kop"):
                self.visit(child, owner, inner)
            if heading and len(self._parts) > parts:
                self._open(heading)
            self._add(child.tail)
        if kind == "term":
            self._add(":")
            self._add(_GLUE)
        self._add(edge)

    def _open(self, heading: str, is_line: bool = False) -> None:
        self._parts.append((heading, is_line, []))

    def _add(self, text: str | None) -> None:
        if text:
            plain = text if text in ("\n", _GLUE) else re.sub(r"\s+", " ", text.replace(_GLUE, ""))
            self._parts[-1][2].append(plain)

    def _number(self, printed: str | None) -> None:
        """A number before a list item or a paragraph; a mark that is no number says nothing."""
        self._add(printed if printed and re.search(r"\w", printed) else None)
        self._add(_GLUE)


def _under(owner: str, heading: str) -> str:
    return f"{owner}: {heading}" if owner else heading


def _table(table: Any) -> str:
    """A table as lines, its cells parted by bars."""
    lines = [text_of(title) for title in table.findall("{*}title")]
    for row in table.iter("{*}row"):
        cells = [" ".join(filter(None, map(text_of, entry))) or text_of(entry) for entry in row]
        lines += [" | ".join(cells)] if any(cells) else []
    return "\n".join(lines)


def _line_heading(element: Any, kind: str) -> str:
    """The words of a line that is printed as a heading: `tussenkop`, or a short line all in bold."""
    words = text_of(element)
    if kind == "tussenkop":
        return words.rstrip(" :")
    bold = all(name(e) == "vet" or (name(e) == "nadruk" and e.get("type") == "vet") for e in element)
    bare = not any(t and t.strip() for t in (element.text, *(e.tail for e in element)))
    if kind != "al" or not (len(element) and bold and bare and words) or len(words) > 150:
        return ""
    short = len(words.split()) <= 8 and not re.search(r"[.;,]$|\d{4}", words)
    return words.rstrip(" .:") if _BOLD.match(words) or short else ""
