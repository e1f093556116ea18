"""Stand-ins for websites on 127.0.0.1: one that serves the recorded exchanges, and one with every bad habit.

A reply is an iterator: bytes are sent as they are, a number is a wait in seconds, and its end hangs up.
"""

from __future__ import annotations

import gzip
import json
import random
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Self, cast
from urllib.parse import urljoin, urlsplit

import brotli
from scrapy import Request, Spider
from scrapy.settings import Settings

from crawlers.archive import ReplayStorage

Reply = Iterator[bytes | float]
MIB = 1024 * 1024
LINKS = 100_000


@dataclass(frozen=True)
class Asked:
    """A request as it came in: `url` is the real site's, `door` what stood before it in the path."""

    method: str
    door: str
    url: str
    body: bytes


@dataclass(frozen=True)
class Page:
    """A whole answer, before a mode spoils it."""

    body: bytes
    kind: str = "text/html; charset=utf-8"
    status: int = 200
    location: str = ""

    @property
    def is_html(self) -> bool:
        return "html" in self.kind

    @property
    def is_json(self) -> bool:
        return "json" in self.kind


def whole(page: Page, **more: str) -> bytes:
    """The bytes of an honest answer; `more` are headers, with _ for -."""
    headers = {"Content-Type": page.kind, "Content-Length": str(len(page.body)), "Connection": "close"}
    headers |= {"Location": page.location} if page.location else {}
    headers |= {name.replace("_", "-"): value for name, value in more.items()}
    lines = [f"HTTP/1.1 {page.status} As asked", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + page.body


class RecordedSite:
    """Serves recorded exchanges at `{url}/{host}{path}?{query}` while its context is open.

    `folders` hold exchanges as `crawlers/samples/<source>` does. A request is known by method, address
    and body, as in a replay; the n-th time it gets the n-th answer, the last one from then on. What is
    not recorded is answered with 404, and `missed` tells its address. A redirect stays on this server.
    """

    def __init__(self, *folders: Path) -> None:
        self.folders = folders
        self.missed: list[str] = []
        self._lock = threading.Lock()
        self.rewind()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, self))
        self._server.daemon_threads, self._server.block_on_close = True, False
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self.closing = threading.Event()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.closing.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def rewind(self) -> None:
        """Begin again with the first answers."""
        self._storages = [ReplayStorage(Settings({"FUNDMATCH_REPLAY": str(f)})) for f in self.folders]
        for storage in self._storages:
            storage.open_spider(cast(Spider, SimpleNamespace()))

    def door(self, path: str) -> str:
        """What stands before the host in a path, "" or as "/x"; then `url` + door is the base URL."""
        return ""

    def robots(self) -> Reply:
        """What is said to robots."""
        yield whole(Page(b"User-agent: *\nAllow: /\n", "text/plain"))

    def reply(self, asked: Asked) -> Reply:
        """The answer to a request."""
        yield whole(self.recorded(asked))

    def recorded(self, asked: Asked) -> Page:
        """The exchange that was recorded for a request, or 404."""
        with self._lock:
            for storage in self._storages:
                for url in (asked.url, asked.url.replace("https://", "http://", 1)):
                    request = Request(url, method=asked.method, body=asked.body)
                    found = storage.retrieve_response(cast(Spider, SimpleNamespace()), request)
                    if found is not None:
                        kind = (found.headers.get("Content-Type") or b"text/html").decode("latin-1")
                        to = (found.headers.get("Location") or b"").decode("latin-1")
                        return Page(found.body, kind, found.status, self._inside(asked, to))
            self.missed.append(f"{asked.method} {asked.url}")
        return Page(b"<h1>Not found</h1>", status=404)

    def _inside(self, asked: Asked, location: str) -> str:
        if not location:
            return ""
        to = urlsplit(urljoin(asked.url, location))
        return f"{self.url}{asked.door}/{to.netloc}{to.path}" + (f"?{to.query}" if to.query else "")


class HostileSite(RecordedSite):
    """Has a door for each way to be hostile: `{url}/{mode}` is a base URL. `robots.txt` may be hostile too.

    At `{url}/behind` only the addresses in `pages` are hostile, each in its mode, so that listings lead
    there. `doors` gives doors of other names a mode; "recorded" is the mode that is not hostile.
    """

    def __init__(
        self, *folders: Path, pages: Mapping[str, str] | None = None, robots: str = "recorded"
    ) -> None:
        super().__init__(*folders)
        self.doors: dict[str, str] = {}
        self._pages = pages or {}
        self._robots = robots

    def door(self, path: str) -> str:
        return "/" + path.split("/")[1]

    def robots(self) -> Reply:
        if self._robots == "recorded":
            return super().robots()
        return MODES[self._robots](self, Asked("GET", "", f"{self.url}/robots.txt", b""))

    def reply(self, asked: Asked) -> Reply:
        name = asked.door[1:]
        mode = self._pages.get(asked.url, "recorded") if name == "behind" else self.doors.get(name, name)
        return super().reply(asked) if mode == "recorded" else MODES[mode](self, asked)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def __init__(self, site: RecordedSite, *args: Any) -> None:
        self.site = site
        super().__init__(*args)

    def do_GET(self) -> None:
        self.close_connection = True
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        door = self.site.door(self.path)
        asked = Asked(self.command, door, "https:/" + self.path[len(door) :], body)
        try:
            for piece in self.site.robots() if self.path == "/robots.txt" else self.site.reply(asked):
                if isinstance(piece, bytes):
                    self.wfile.write(piece)
                elif self.site.closing.wait(piece):
                    return
        except OSError:
            pass  # the other side has had enough

    do_POST = do_HEAD = do_GET

    def log_message(self, *_: object) -> None:
        """Nothing on the terminal."""


Mode = Callable[[HostileSite, Asked], Reply]
MODES: dict[str, Mode] = {}  # by name: the ways to be hostile
CHOKING: dict[str, str] = {}  # those made to choke a reader, with their content type
NO_ANSWER: set[str] = set()  # pages with HTTP 200 that are no answer
SPOILT: set[str] = set()  # those that spoil recorded pages; all others serve nothing true


def mode(answer: Mode) -> Mode:
    """A way to answer."""
    MODES[answer.__name__] = answer
    return answer


def always(
    name: str, body: bytes | str, kind: str = "text/html; charset=utf-8", status: int = 200, **more: str
) -> None:
    """A mode that gives the same answer to all."""
    page = Page(body.encode() if isinstance(body, str) else body, kind, status)
    MODES[name] = lambda site, asked: iter([whole(page, **more)])


def spoils(spoil: Callable[[Page], bytes | Page]) -> None:
    """A mode that serves the recorded pages, each spoilt."""

    def answer(site: HostileSite, asked: Asked) -> Reply:
        page = site.recorded(asked)
        spoilt = page if page.status != 200 else spoil(page)
        yield spoilt if isinstance(spoilt, bytes) else whole(spoilt)

    MODES[spoil.__name__] = answer
    SPOILT.add(spoil.__name__)


# The line: slow, silent, cut, or no HTTP at all.


@mode
def trickles(site: HostileSite, asked: Asked) -> Reply:
    yield b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 5000\r\n\r\n"
    while True:
        yield b"<"
        yield 0.1


@mode
def never_answers(site: HostileSite, asked: Asked) -> Reply:
    yield 3600.0


@mode
def hangs_up(site: HostileSite, asked: Asked) -> Reply:
    yield from ()


@mode
def cuts_a_length(site: HostileSite, asked: Asked) -> Reply:
    page = site.recorded(asked)
    yield whole(page, Content_Length=str(len(page.body) + 1000))


@mode
def cuts_chunks(site: HostileSite, asked: Asked) -> Reply:
    page = site.recorded(asked)
    yield f"HTTP/1.1 200 OK\r\nContent-Type: {page.kind}\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    yield b"%x\r\n%b\r\n" % (len(page.body), page.body) + b"fffff\r\nhalf"


@mode
def endless_headers(site: HostileSite, asked: Asked) -> Reply:
    yield b"HTTP/1.1 200 OK\r\n"
    line = b"x" * 15_000
    for number in range(1 << 40):
        yield b"X-%d: %b\r\n" % (number, line)


@mode
def an_endless_header_line(site: HostileSite, asked: Asked) -> Reply:
    yield b"HTTP/1.1 200 OK\r\nX-Long: "
    while True:
        yield b"x" * 65536


@mode
def continues_forever(site: HostileSite, asked: Asked) -> Reply:
    while True:
        yield b"HTTP/1.1 100 Continue\r\n\r\n"
        yield 0.001


@mode
def a_broken_status_line(site: HostileSite, asked: Asked) -> Reply:
    yield b"HTTP/1.1 twohundred \x00\xff\r\nContent-Length: 2\r\n\r\nhi"


@mode
def noise(site: HostileSite, asked: Asked) -> Reply:
    yield random.Random(1).randbytes(50_000)


@mode
def two_lengths(site: HostileSite, asked: Asked) -> Reply:
    yield b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 7\r\n\r\nhi"


# Size.


def _zeros(size: int) -> Iterator[bytes]:
    yield from (b"0" * 65536 for _ in range(size // 65536))


@mode
def huge_with_length(site: HostileSite, asked: Asked) -> Reply:
    yield b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: %d\r\n\r\n" % (200 * MIB)
    yield from _zeros(200 * MIB)


@mode
def huge_without_length(site: HostileSite, asked: Asked) -> Reply:
    yield b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n"
    yield from _zeros(200 * MIB)


# Redirects.


def _redirects(name: str, to: str, status: int = 302) -> None:
    def answer(site: HostileSite, asked: Asked) -> Reply:
        yield whole(
            Page(b"moved", status=status), Location=to.format(site=site.url, asked=site.url + asked.door)
        )

    MODES[name] = answer


_redirects("redirects_in_a_circle", "{asked}/circle", 307)
_redirects("redirects_to_cloud_metadata", "http://169.254.169.254/latest/meta-data/")
_redirects("redirects_to_another_port", "http://127.0.0.1:1/")
_redirects("redirects_to_a_lookalike", "{site}@127.0.0.1:1/")
_redirects("redirects_to_a_file", "file:///etc/passwd", 301)
_redirects("redirects_to_a_broken_address", "http://[::1/%zz")


always(
    "refreshes_to_the_intranet",
    '<html><head><meta http-equiv="refresh" content="0; url=http://10.0.0.1/"></head><body>Wait.</body></html>',
)

# Codings.


@cache
def _bomb(times: int) -> bytes:
    packed = b"".join(gzip.compress(b"0" * MIB, mtime=0) for _ in range(220))
    return packed if times == 1 else gzip.compress(packed * 20, mtime=0)


@mode
def a_gzip_bomb(site: HostileSite, asked: Asked) -> Reply:
    yield whole(Page(_bomb(1)), Content_Encoding="gzip")


@mode
def a_nested_gzip_bomb(site: HostileSite, asked: Asked) -> Reply:
    yield whole(Page(_bomb(2)), Content_Encoding="gzip, gzip")


@mode
def a_brotli_bomb(site: HostileSite, asked: Asked) -> Reply:
    packer, mebibyte = brotli.Compressor(quality=1), b"0" * MIB
    packed = b"".join(packer.process(mebibyte) for _ in range(220)) + packer.finish()
    yield whole(Page(packed), Content_Encoding="br")


for _coding in ("gzip", "deflate", "br"):
    always(f"not_{_coding}", "<h1>Open calls</h1>", Content_Encoding=_coding)
always("gzip_without_end", gzip.compress(b"<h1>Open calls</h1>" * 9)[:-12], Content_Encoding="gzip")

# Refusals.

always("not_found", "<h1>Pagina niet gevonden</h1>", status=404)
always("forbidden", "<h1>Access denied</h1>", status=403)
always("too_many_requests", "Slow down", "text/plain", 429, Retry_After="86400")
always("closed_until_next_year", "Maintenance", status=503, Retry_After="Fri, 31 Dec 2099 23:59:59 GMT")
always("server_error", "Oops", status=500)
always("not_modified", "", status=304)
# Pages that are no answer.

_before = set(MODES)
always("nothing", "")
always(
    "a_login_page",
    "<html lang='nl'><title>Inloggen</title><main><h1>Inloggen</h1><form action='/login' method='post'>"
    "<label>Naam <input name='n'></label><input type='password' name='p'><a href='/wachtwoord'>Wachtwoord "
    "vergeten?</a></form><p>Status: open tot en met 1 juli 2026. Maximaal € 50.000.</p></main></html>",
)
always(
    "an_error_page_with_200",
    "<html lang='en'><title>Error</title><body><h1>Something went wrong</h1><p>Error 500. Please try again "
    "before 31 December 2026.</p></body></html>",
)
always(
    "an_empty_listing",
    "<html lang='nl'><title>Subsidies</title><main><h1>Subsidies</h1><ul></ul></main></html>",
)
always(
    "an_alien_layout",
    "<html><x-app><x-card data-call='1'><x-t>Open call 1</x-t><x-d>Deadline: 1 July 2026</x-d></x-card>"
    "</x-app></html>",
)
for _json in ("null", "[]", "{}"):
    always(f"json_{_json}", _json, "application/json")
always(
    "json_of_nulls",
    '{"results": null, "totalResults": null, "hits": null, "items": null}',
    "application/json",
)
always(
    "json_of_wrong_types",
    '{"results": {"a": 1}, "totalResults": "x", "hits": [1], "items": "x"}',
    "application/json",
)
always("an_image", b"\x89PNG\r\n\x1a\n" + bytes(2000), "image/png")
NO_ANSWER |= set(MODES) - _before

# Content made to choke a parser.


def chokes(name: str, body: str, kind: str = "text/html") -> None:
    """A mode whose answer is made to take a reader's time or memory, or to make it read elsewhere."""
    whole_page = f"<html><head><title>Calls</title></head><body>{body}</body></html>"
    always(name, whole_page if kind == "text/html" else body, f"{kind}; charset=utf-8")
    CHOKING[name] = kind


chokes("deep_html", "<div>" * 100_000 + "deep")
chokes("deep_lists", "<ul><li>" * 50_000 + "deep")
chokes("a_huge_attribute", f"<main class='{'a ' * 2_000_000}'><a href='/{'x' * 2_000_000}'>x</a></main>")
chokes("many_attributes", f"<main {' '.join(f'a{n}=1' for n in range(300_000))}></main>")
chokes("many_tags", "<p>" * 2_600_000)
chokes("many_entities", "<main><h1>" + "&#38;&amp;&nosuch;" * 400_000)
chokes("many_unclosed", "<b><i><table>" * 30_000)
chokes("many_open_comments", "<!-- " * 30_000)
chokes("one_long_word", f"<main><p>{'9' * 1_000_000}{'a' * 1_000_000}</p></main>")
chokes("json_in_a_script", f'<script id="__NEXT_DATA__" type="application/json">{"[" * 100_000}</script>')
chokes("deep_json", "[" * 100_000 + "]" * 100_000, "application/json")
chokes("many_json_lists", f'{{"results": [{",".join(["[]"] * 2_500_000)}]}}', "application/json")
chokes("a_json_number_without_end", f'{{"totalResults": 1{"0" * 5_000_000}}}', "application/json")
_DOCTYPE = '<?xml version="1.0"?><!DOCTYPE l [{}]><l>{}</l>'
_LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 12))
chokes("billion_laughs", _DOCTYPE.format(f'<!ENTITY l0 "lol">{_LAUGHS}', "&l11;"), "text/xml")
chokes("a_quadratic_blowup", _DOCTYPE.format(f'<!ENTITY a "{"a" * 100_000}">', "&a;" * 100_000), "text/xml")
chokes("an_external_entity", _DOCTYPE.format('<!ENTITY f SYSTEM "file:///etc/passwd">', "&f;"), "text/xml")
chokes("deep_xml", '<?xml version="1.0"?>' + "<a>" * 100_000, "text/xml")

# Recorded pages, spoilt: what is still read from them must be what the good pages say.


@spoils
def latin_1_called_utf_8(page: Page) -> Page:
    return Page(page.body.decode().encode("latin-1", "replace"), f"{page.kind.split(';')[0]}; charset=utf-8")


@spoils
def utf_16_called_utf_8(page: Page) -> Page:
    return Page(page.body.decode().encode("utf-16-le"), f"{page.kind.split(';')[0]}; charset=utf-8")


@spoils
def utf_8_called_utf_16(page: Page) -> Page:
    return Page(page.body, f"{page.kind.split(';')[0]}; charset=utf-16")


@spoils
def invalid_bytes(page: Page) -> Page:
    return Page(re.sub(rb"[aeio]", b"\xff\\g<0>", page.body), page.kind)


@spoils
def an_unknown_charset(page: Page) -> Page:
    return Page(page.body, f"{page.kind.split(';')[0]}; charset=klingon")


@spoils
def nothing_declared(page: Page) -> bytes:
    return b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + page.body


@spoils
def called_an_image(page: Page) -> Page:
    return Page(page.body, "image/png")


@spoils
def null_bytes(page: Page) -> Page:
    return Page(re.sub(rb"[ >,]", b"\\g<0>\x00\x07\x1b", page.body), page.kind)


@spoils
def cut_in_half(page: Page) -> Page:
    return Page(page.body[: len(page.body) // 2], page.kind)


@spoils
def renamed_layout(page: Page) -> Page:
    if page.is_json:
        return Page(re.sub(rb'"(\w+)":', rb'"new_\1":', page.body), page.kind)
    body = re.sub(rb"(</?)(h1|h2|dl|dt|dd|li|main|article|table|time)\b", rb"\1new-\2", page.body)
    return Page(re.sub(rb"\b(class|id|data-[\w-]+)=", rb"new-\1=", body), page.kind)


@spoils
def emptied(page: Page) -> Page:
    if page.is_json:
        return Page(json.dumps(_emptied(json.loads(page.body))).encode(), page.kind)
    return Page(re.sub(rb">[^<]+<", b"><", page.body), page.kind)


def _emptied(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _emptied(inner) for name, inner in value.items()}
    return [] if isinstance(value, list) else value


@spoils
def many_links(page: Page) -> Page:
    """A listing with a hundred thousand more links, as far as they fit in a page."""
    if page.is_html:
        found = re.findall(rb"<(?:li|article|tr|p|div)\b[^<>]*>\s*<a\b[^<>]*>.*?</a>", page.body, re.DOTALL)
        found = [piece for piece in found if len(piece) < 2000]
        more = bytearray()
        for number in range(LINKS if found else 0):
            piece = found[number % len(found)]
            more += re.sub(rb'(href="[^"#?]+?)(/?["#?])', rb"\1-%d\2" % number, piece)
            if len(more) > 6 * MIB:
                break
        middle = page.body.rfind(found[-1]) if found else 0
        return Page(page.body[:middle] + bytes(more) + page.body[middle:], page.kind)
    if page.is_json:
        return Page(json.dumps(_multiplied(json.loads(page.body))).encode()[: 30 * MIB], page.kind)
    return page


def _multiplied(value: Any) -> Any:
    """The largest list of objects at each level, grown to many; each item names another page."""
    if isinstance(value, dict):
        return {name: _multiplied(inner) for name, inner in value.items()}
    if isinstance(value, list) and value and all(isinstance(item, dict) for item in value):
        size = len(json.dumps(value[0]))
        return value + [_renumbered(value[0], n) for n in range(min(LINKS, 6 * MIB // size))]
    return value


def _renumbered(item: dict[str, Any], number: int) -> dict[str, Any]:
    names = ("url", "id", "path", "reference", "slug", "href", "link", "identifier")
    return {k: f"{v}-{number}" if k in names and isinstance(v, str) else v for k, v in item.items()}


@spoils
def a_bloated_text(page: Page) -> Page:
    """Six million characters of what regular expressions stumble over, where the text ends."""
    bait = "1.1.1. " * 100_000 + "EUR " * 100_000 + "\n- " * 200_000 + " " * 500_000 + "9" * 500_000
    bait += "tot en met " * 50_000 + "januari 2026 " * 30_000 + "a" * 1_000_000
    if page.is_html:
        cut = max(page.body.rfind(b"</p>"), 0)
        return Page(page.body[:cut] + bait.encode() + page.body[cut:], page.kind)
    return Page(page.body.replace(b"</p>", json.dumps(bait).encode()[1:-1] + b"</p>", 1), page.kind)
