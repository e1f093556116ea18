"""Shared by all tests: the real portal records where they are kept, and a home that is thrown away."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from embeddings.encode import Encoder

ROOT = Path(__file__).resolve().parent.parent
SAMPLES = ROOT / "crawlers" / "samples"
SHARED = Path(os.environ.get("FUNDMATCH_SHARED_DATA", ROOT.parent / "shared" / "data"))


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
