"""Publishing: the Parquet beside the file is the same in any engine; a death between two steps is mended."""

from __future__ import annotations

import os
import shutil
from datetime import timedelta
from pathlib import Path
from typing import Any

import polars
import pyarrow.dataset as ds
import pytest
from test_warehouse import AS_OF, call, hostile, match, published, week

from warehouse import publish as publishing
from warehouse.errors import WarehouseError
from warehouse.publish import PARTED
from warehouse.read import open_warehouse


def two_weeks(home: Path) -> Path:
    moved = [call("1", title="New"), hostile()]
    return published(home, week(1, matches=[match()]), week(2, calls=moved, matches=[match()]))


def test_every_table_is_there_for_pyarrow_and_polars(tmp_path: Path) -> None:
    two_weeks(tmp_path)
    latest = tmp_path / "parquet" / "latest"
    with open_warehouse(tmp_path) as warehouse:
        names = warehouse.sql(
            "SELECT table_schema, table_name FROM information_schema.tables "
            "WHERE table_catalog = 'published' AND table_schema IN ('core', 'mart')"
        ).fetchall()
        assert len(names) > 25
        for layer, name in names:
            rows = len(warehouse.sql(f"FROM {layer}.{name}"))
            parted = f"{layer}.{name}" in PARTED
            path = latest / layer / (name if parted else f"{name}.parquet")
            files = f"{path}/**/*.parquet" if parted else path
            if rows:
                assert polars.scan_parquet(files, hive_partitioning=parted).collect().height == rows, name
                assert ds.dataset(path, partitioning="hive" if parted else None).count_rows() == rows, name
    matches = polars.read_parquet(f"{latest}/core/matches/**/*.parquet", hive_partitioning=True)
    assert {str(day) for day in matches["as_of"]} == {str(AS_OF), str(AS_OF + timedelta(weeks=1))}


@pytest.mark.parametrize("step", ["_sync", "_lead_to"])
def test_a_death_between_two_steps_is_mended_by_the_next_week(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    two_weeks(tmp_path)

    def die(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as dying:
        dying.setattr(publishing, step, die)
        with pytest.raises(KeyboardInterrupt):
            published(tmp_path, week(3, calls=[call("1", title="Third")], matches=[]))
    latest = tmp_path / "parquet" / "latest"
    assert polars.read_parquet(latest / "core" / "runs.parquet").height == 2  # a week behind, and whole
    with open_warehouse(tmp_path) as warehouse:
        assert len(warehouse.runs()) == 3
    published(tmp_path, week(4, calls=[call("1", title="Fourth")], matches=[]))
    assert polars.read_parquet(latest / "core" / "runs.parquet").height == 4
    assert not list(tmp_path.glob("**/*.building*"))


def test_the_folder_before_stays_for_its_readers_and_older_ones_go(tmp_path: Path) -> None:
    for number in range(1, 5):
        published(tmp_path, week(number, calls=[call("1", deadlines=())], matches=[]))
    folders = [each for each in (tmp_path / "parquet").iterdir() if not each.is_symlink()]
    assert len(folders) <= 2 and (tmp_path / "parquet" / "latest").is_symlink()


def test_a_home_whose_copy_followed_the_link_is_published_into(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    two_weeks(tmp_path / "a")
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    assert not (tmp_path / "b" / "parquet" / "latest").is_symlink()
    published(tmp_path / "b", week(3, calls=[call("1")], matches=[]))
    assert (tmp_path / "b" / "parquet" / "latest").is_symlink()
    assert polars.read_parquet(tmp_path / "b" / "parquet" / "latest" / "core" / "runs.parquet").height == 3


def test_without_room_for_parquet_nothing_is_published_or_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    two_weeks(tmp_path)

    def full(built: Path, folder: Path) -> None:
        folder.mkdir(parents=True)
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(publishing, "_write_parquet", full)
    with pytest.raises(WarehouseError, match="make room there"):
        published(tmp_path, week(3, calls=[call("1")], matches=[]))
    with open_warehouse(tmp_path) as warehouse:
        assert len(warehouse.runs()) == 2
    assert not list(tmp_path.glob("**/*.building*"))
