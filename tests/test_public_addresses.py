"""A name of a source that leads to this machine or to a neighbour is not followed, whoever set it so."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from crawlers.crawl import read_crawl
from crawlers.resolver import is_public
from crawlers.settings import live_settings

# A live crawl in which every name has the address 127.0.0.1, and every connection is noted
CRAWL = """
import socket, sys
asked, tried = [], []
def address(name):
    asked.append(name)
    return "127.0.0.1"
socket.gethostbyname = address
from twisted.internet import tcp
connect = tcp.Connector._makeTransport
def noted(self):
    tried.append((self.host, self.port))
    return connect(self)
tcp.Connector._makeTransport = noted
from crawlers.__main__ import main
status = main()
print(f"asked {sorted(set(asked))} tried {sorted(set(tried))}")
sys.exit(status)
"""


def crawled(folder: Path, monkeypatch: pytest.MonkeyPatch, **more: str) -> tuple[list[str], str]:
    """What a live crawl of RVO says of faults, and the names it asked for and the addresses it tried."""
    for name, value in {
        "FUNDMATCH_DOWNLOAD_DELAY": "0",
        "FUNDMATCH_CONTACT": "tests@example.org",
        **more,
    }.items():
        monkeypatch.setenv(name, value)
    out = folder / "rvo.jsonl"
    options = ["rvo", "--out", str(out), "--archive", str(folder / "rvo.warc.gz")]
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", CRAWL, *options], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return [issue.detail for issue in read_crawl("rvo", out).issues], done.stdout.splitlines()[-1]


def test_a_name_that_leads_to_this_machine_is_never_connected_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told, network = crawled(tmp_path, monkeypatch)
    assert network == "asked ['www.rvo.nl'] tried []"
    assert told and all("has the address 127.0.0.1, which is not public" in detail for detail in told)


def test_a_place_that_the_operator_named_may_be_on_this_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told, network = crawled(tmp_path, monkeypatch, FUNDMATCH_BASE_URL__RVO="http://stand-in.example:9")
    assert network == "asked ['stand-in.example'] tried [('127.0.0.1', 9)]"
    assert told and all("not public" not in detail for detail in told)


@pytest.mark.parametrize("address", ["93.184.215.14", "2606:2800:21f:cb07:6820:80da:af6b:8b2c"])
def test_a_site_on_the_internet_is_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "address",
    """
    0.0.0.0 10.0.0.1 100.64.0.1 127.0.0.1 127.8.8.8 169.254.169.254 172.16.0.1 192.0.2.1 192.168.1.1
    198.18.0.1 224.0.0.1 240.0.0.1 255.255.255.255 :: ::1 fc00::1 fd00:ec2::254 fe80::1 ff02::1
    ::ffff:127.0.0.1 ::ffff:10.0.0.1 2002:7f00:1:: 2001:db8::1 localhost
    """.split(),
)
def test_all_other_addresses_are_not(address: str) -> None:
    assert not is_public(address)


def test_only_a_base_url_lifts_the_guard(tmp_path: Path) -> None:
    for base, hosts in (("", ["www.rvo.nl"]), ("http://127.0.0.1:1", [])):
        assert live_settings(tmp_path, base, "2026-06-15", 1, ("www.rvo.nl",))["FUNDMATCH_HOSTS"] == hosts
