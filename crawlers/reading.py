"""Pure readers of what sites print: HTML to text, headed sections, JSON inside strings, strict fields.

A selector that must find one element and finds none or several raises `Unreadable`: a layout that changed
is a fault to be told, not an empty record.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from html import unescape
from typing import Any
from urllib.parse import urldefrag, urljoin

from bs4 import BeautifulSoup, Tag
from bs4.element import Comment, NavigableString
from bs4.filter import SoupStrainer

_BLOCKS = frozenset(
    "address article aside blockquote div dl dd dt fieldset figure footer form h1 h2 h3 h4 h5 h6 header hr "
    "li main nav ol p pre section table tbody td th tr ul br".split()
)
_HIDDEN = ["script", "style", "template", "noscript", "iframe", "object"]
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\u200b-\u200f\u202a-\u202e\u2066-\u2069\ufeff]")
_HEADINGS = re.compile(
    r"^(Expected Outcomes?|Expected Impacts?|Expected results|Objectives?|Scope|Specific Challenge)\s*:\s*",
    re.MULTILINE | re.IGNORECASE,
)
_MARK = "\ue000"  # private use: cannot stand in a page after cleaning, so it parts sections safely


class Unreadable(ValueError):
    """A page is not laid out as its reader knows it; the message says what is missing, in one line."""


def parsed(html: str, only: str | None = None) -> BeautifulSoup:
    """A page as a tree; with `only`, just the elements of that name, which is much quicker."""
    return BeautifulSoup(html.replace(_MARK, ""), "lxml", parse_only=SoupStrainer(only) if only else None)


def one(node: Tag, selector: str) -> Tag:
    """The one element that a CSS selector must find. Raises Unreadable where it finds none or several."""
    found = node.select(selector, limit=2)
    if len(found) != 1:
        raise Unreadable(f"{'no' if not found else 'more than one'} element {selector!r}")
    return found[0]


def json_script(html: str, identity: str) -> Any:
    """The JSON in the one script element of that id, without building the page's tree. Raises Unreadable."""
    pattern = rf"<script\b[^>]*\bid=[\"']?{re.escape(identity)}[\"'\s>][^>]*?>?(\{{.*?\}})\s*</script>"
    found = re.findall(pattern, html, re.DOTALL | re.IGNORECASE)
    if len(found) != 1:
        raise Unreadable(f"{'no' if not found else 'more than one'} script {identity!r} with JSON in it")
    try:
        return parse_json(found[0])
    except ValueError as error:
        raise Unreadable(f"the script {identity!r} holds no JSON ({error})") from error


def labelled(node: Tag) -> list[dict[str, str]]:
    """The pairs of an element's definition lists as `[{"label", "text"}]`; without words there is no pair."""
    pairs = []
    for label in node.find_all("dt"):
        value = label.find_next_sibling(["dd", "dt"])
        if isinstance(value, Tag) and value.name == "dd" and (text := clean(value.get_text(" "))):
            pairs.append({"label": clean(label.get_text(" ")).rstrip(" :"), "text": text})
    return pairs


def sitemap(text: str) -> list[str]:
    """Addresses that a sitemap lists, in order."""
    return [unescape(url) for url in re.findall(r"<loc>\s*([^<\s]+)\s*</loc>", text)]


def clean(text: str) -> str:
    """Text without control and direction characters, single-spaced; no empty line before a dash."""
    text = _CONTROL.sub("", text.replace(_MARK, "").replace("\r", "\n"))
    lines = [" ".join(line.split()) for line in text.split("\n")]
    text = re.sub(r"\n{3,}", "\n\n", "\n".join(lines))
    return re.sub(r"\n+(?=- )", "\n", text).strip()


def html_to_text(html: str) -> str:
    """Visible text of a piece of HTML: blocks on lines of their own, list items with a dash."""
    return clean(_visible_text(BeautifulSoup(html, "lxml")))


def sections(html: str) -> list[dict[str, str]]:
    """The headed sections of a topic's description as `[{"heading", "text"}]`, in order.

    Headings stand in an element of class `topicdescriptionkind` (any tag, any case). A heading that
    reads "null" heads nothing. Where no element is marked, a line that opens with one of the portal's
    known headings and a colon starts a section.
    """
    soup = BeautifulSoup(html.replace(_MARK, ""), "lxml")
    marked = soup.find_all(class_=re.compile("^topicdescriptionkind$", re.IGNORECASE))
    for element in marked:
        heading = clean(element.get_text(" ")).rstrip(":").strip()
        heading = "" if heading.lower() == "null" else heading
        element.replace_with(NavigableString(f"\n{_MARK}{heading}{_MARK}"))
    text = _visible_text(soup)
    if not marked:
        text = _HEADINGS.sub(lambda m: f"{_MARK}{m[1]}{_MARK}", clean(text))
    return _parted(text)


def headed(node: Tag, drop: str = "") -> list[dict[str, str]]:
    """The text of an element as `[{"heading", "text"}]`, parted at h2 to h6.

    Elements that the CSS selector `drop` finds are left out. The element is used up.
    """
    for element in node.select(drop) if drop else ():
        element.decompose()
    for element in node.find_all(["h2", "h3", "h4", "h5", "h6"]):
        heading = clean(element.get_text(" ")).replace("\n", " ").rstrip(":").strip()
        element.replace_with(NavigableString(f"\n{_MARK}{heading}{_MARK}"))
    return _parted(_visible_text(node))


def _parted(text: str) -> list[dict[str, str]]:
    first, *rest = text.split(_MARK)
    pairs = [("", first), *zip(rest[::2], rest[1::2], strict=True)]
    found = [{"heading": clean(heading), "text": clean(body)} for heading, body in pairs]
    return [section for section in found if section["text"]]


def links(node: Tag, base: str) -> list[str]:
    """Distinct http(s) addresses that an element links to, absolute, without fragment, in order."""
    found = (urldefrag(urljoin(base, str(a["href"]).strip())).url for a in node.find_all("a", href=True))
    return list(dict.fromkeys(url for url in found if url.startswith(("https://", "http://"))))


def _visible_text(soup: Tag) -> str:
    for hidden in soup.find_all(_HIDDEN):
        hidden.decompose()
    parts: list[str] = []
    for node in soup.descendants:
        if isinstance(node, Tag):
            if node.name in _BLOCKS:
                parts.append("\n- " if node.name == "li" else "\n")
        elif isinstance(node, NavigableString) and not isinstance(node, Comment):
            parts.append(str(node).replace("\n", " ") if _MARK not in node else str(node))
            parent = node.parent
            if parent is not None and parent.name in _BLOCKS and node.next_sibling is None:
                parts.append("\n")
    return "".join(parts)


_HALF = re.compile(
    r"\\u[dD][89a-fA-F]|[\ud800-\udfff]"
)  # where half a character may be; most pages have none


def parse_json(text: str | bytes) -> Any:
    """A JSON value that can be stored: half characters, which no file can hold, read "?". Or ValueError."""
    if isinstance(text, bytes):
        text = text.decode(json.detect_encoding(text), "surrogatepass")
    try:
        value = json.loads(text)
        return _storable(value) if _HALF.search(text) else value
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def _storable(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, list):
        return [_storable(item) for item in value]
    if isinstance(value, dict):
        return {_storable(name): _storable(item) for name, item in value.items()}
    return value


def json_in_string(value: Any) -> Any:
    """The value inside a JSON string, or `value` itself where it is no JSON string."""
    if isinstance(value, str) and value[:1] in ("[", "{"):
        try:
            return parse_json(value)
        except ValueError:
            return value
    return value


def words(values: Iterable[Any]) -> list[str]:
    """Distinct strings of a list whose items may be strings or JSON-encoded lists of strings."""
    found: dict[str, None] = {}
    for value in values:
        inner = json_in_string(value)
        for item in inner if isinstance(inner, list) else [inner]:
            if isinstance(item, str) and clean(item):
                found[clean(item)] = None
    return list(found)


class Fields:
    """A record's fields, taken one by one; what nobody took shows that the source has changed."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._left = dict(values)

    def first(self, *names: str) -> str | None:
        """First non-empty text among the named fields (scalars, or lists whose first item counts)."""
        taken = [self.all(name) for name in names]
        return next((text for values in taken for text in values[:1] if text), None)

    def all(self, name: str) -> list[str]:
        """All non-empty texts of a field, printed as they are; numbers and booleans as JSON prints them."""
        value = self._left.pop(name, None)
        items = value if isinstance(value, list) else [value]
        texts = (i if isinstance(i, str) else json.dumps(i) for i in items if i is not None)
        return [text.strip() for text in texts if text.strip()]

    def drop(self, names: Iterable[str]) -> None:
        """Take fields that are known and of no use."""
        for name in names:
            self._left.pop(name, None)

    def leftovers(self) -> Counter[str]:
        """Names of the fields that nobody took."""
        return Counter(self._left.keys())
