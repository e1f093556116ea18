"""Names to addresses for live crawls: a source's host may lie on the public internet alone.

Whoever holds a name of a source could else point it at this machine, at a neighbour or at a cloud's metadata.
The address that is looked at is the one that is connected to. A proxy's own name is not asked about.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Sequence
from typing import Any
from urllib.parse import urlsplit

from scrapy.crawler import Crawler
from scrapy.resolver import CachingThreadedResolver
from twisted.internet.base import ReactorBase
from twisted.internet.defer import Deferred
from twisted.internet.error import DNSLookupError

# host → its address that is not public, of this process
not_public: dict[str, str] = {}


class PublicResolver(CachingThreadedResolver):
    """Scrapy's resolver, which finds no address where a source's host has a private one."""

    def __init__(
        self, reactor: ReactorBase, cache_size: int, timeout: float, hosts: Collection[str] = ()
    ) -> None:
        super().__init__(reactor, cache_size, timeout)
        self._hosts = {urlsplit(f"//{host}").hostname for host in hosts}

    @classmethod
    def from_crawler(cls, crawler: Crawler, reactor: ReactorBase) -> PublicResolver:
        settings = crawler.settings
        size, timeout = settings.getint("DNSCACHE_SIZE"), settings.getfloat("DNS_TIMEOUT")
        return cls(reactor, size, timeout, settings.getlist("FUNDMATCH_HOSTS"))

    def getHostByName(self, name: str, timeout: Sequence[int] = ()) -> Deferred[str]:
        """The address of a name; DNSLookupError where it is a source's and not public."""
        return super().getHostByName(name, timeout).addCallback(self._checked, name)

    def _checked(self, address: Any, name: str) -> Any:
        if name in self._hosts and not is_public(address):
            not_public[name] = address
            raise DNSLookupError(f"{name} has the address {address}, which is not public")
        return address


def is_public(address: str) -> bool:
    """Whether a site on the internet can have this address: none of loopback, a private or a shared net."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(found, ipaddress.IPv6Address) and (inner := found.ipv4_mapped or found.sixtofour):
        found = inner
    return found.is_global and not found.is_multicast
