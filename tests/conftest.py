"""Shared by all tests: the real portal records where they are kept, and a home that is thrown away."""

from __future__ import annotations

import os
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pipeline.schema import Call, Consortium, Deadline

if TYPE_CHECKING:
    from embeddings.encode import Encoder

ROOT = Path(__file__).resolve().parent.parent
SAMPLES = ROOT / "crawlers" / "samples"
SHARED = Path(os.environ.get("FUNDMATCH_SHARED_DATA", ROOT.parent / "shared" / "data"))


def a_call(**more: Any) -> Call:
    """An open call of which little is stated, but for `more`."""
    base: dict[str, Any] = {
        "call_id": "eu_portal:1",
        "source": "eu_portal",
        "level": "european",
        "programme": "Horizon Europe",
        "title": "Call 1",
        "url": "https://example.org/1",
        "status": "open",
        "opens_on": None,
        "deadlines": (Deadline(at=date(2026, 9, 1), printed="2026-09-01T00:00", kind="single"),),
        "budget_total_eur": None,
        "grant_max_eur": None,
        "grant_min_eur": None,
        "funding_rate": None,
        "trl_min": None,
        "trl_max": None,
        "applicants": (),
        "regions": (),
        "consortium": Consortium(),
        "language": "en",
        "fetched_at": datetime(2026, 6, 15, 5, tzinfo=UTC),
        "page_sha256": "a" * 64,
        "archive_record": "w.warc.gz#1",
        "printed": {},
    }
    return Call(**base | more)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what needs the real records where they are not kept."""
    if SHARED.is_dir():
        return
    skip = pytest.mark.skip(reason=f"the real portal records are not at {SHARED}")
    for item in items:
        if "shared_data" in item.keywords:
            item.add_marker(skip)


@pytest.fixture(autouse=True)
def quick_and_quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """No pauses between requests to a stand-in, and no settings of the person who runs the tests."""
    for name in list(os.environ):
        if name.startswith("FUNDMATCH_") and name != "FUNDMATCH_SHARED_DATA":
            monkeypatch.delenv(name)
    monkeypatch.setenv("FUNDMATCH_DOWNLOAD_DELAY", "0")
    monkeypatch.setenv("FUNDMATCH_CONTACT", "tests@example.org")


@pytest.fixture(scope="session")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Encoder:
    """The packaged model, loaded once, with a cache that all tests share."""
    from embeddings.encode import Encoder

    return Encoder(cache_dir=tmp_path_factory.mktemp("vectors"))
