"""A site is read only where its certificate holds: what a neighbour on the network says is no deadline."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import trustme

from crawlers.crawl import crawl

AUTHORITY = trustme.CA()


@contextmanager
def site(certificate: trustme.LeafCert) -> Iterator[tuple[str, list[str]]]:
    """A site on loopback that has no page, and the paths that were asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_error(404)

        def log_message(self, *args: object) -> None:
            """Nothing on the terminal."""

    class Quiet(ThreadingHTTPServer):
        def handle_error(self, *args: object) -> None:
            """A client that hangs up is what is wanted."""

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    server = Quiet(("127.0.0.1", 0), Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"https://localhost:{server.server_port}", asked
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[object]:
    """What a live crawl of RVO at an address says of faults, where it trusts AUTHORITY or not."""

    def crawled(url: str, *, trusting: bool) -> list[str]:
        authority = tmp_path / "authority.pem"
        AUTHORITY.cert_pem.write_to_path(str(authority))
        if trusting:
            monkeypatch.setenv("SSL_CERT_FILE", str(authority))
        monkeypatch.setenv("FUNDMATCH_DOWNLOAD_DELAY", "0")
        monkeypatch.setenv("FUNDMATCH_CONTACT", "tests@example.org")
        monkeypatch.setenv("FUNDMATCH_BASE_URL__RVO", url)
        found = crawl("rvo", tmp_path / "rvo.jsonl", archive=tmp_path / "rvo.warc.gz")
        return [issue.detail for issue in found.issues]

    yield crawled


@pytest.mark.parametrize(("name", "trusting"), [("localhost", False), ("elsewhere.example", True)])
def test_a_certificate_that_does_not_hold_ends_it_before_a_page_is_asked_for(
    told: object, name: str, trusting: bool
) -> None:
    with site(AUTHORITY.issue_cert(name)) as (url, asked):
        faults = told(url, trusting=trusting)  # type: ignore[operator]
    assert asked == []
    assert faults and all("its certificate does not hold" in fault for fault in faults)


def test_a_certificate_that_holds_is_enough(told: object) -> None:
    with site(AUTHORITY.issue_cert("localhost")) as (url, asked):
        faults = told(url, trusting=True)  # type: ignore[operator]
    assert "/robots.txt" in asked and len(asked) > 1
    assert faults and not [fault for fault in faults if "certificate" in fault]
