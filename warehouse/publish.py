"""Put a checked warehouse in place of the published one, at once: readers see the old or the new.

Beside it lies the same as Parquet, for any other engine: `parquet/latest` leads to the newest folder.
"""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import duckdb

from warehouse import SCHEMA_VERSION
from warehouse.build import check, upgrade
from warehouse.errors import WarehouseError, advice, first_line

# Tables that grow, and the column that parts them into folders; all others are one file each
PARTED = {"core.calls": "source", "core.call_versions": "source", "core.matches": "as_of"}
_ASIDE = re.compile(r"\.(\d+)\.building(\.\w+)?$")


def publish(built: Path, current: Path) -> None:
    """Move `built`, `<name>.<pid>.building`, to `current` atomically, its tables as Parquet beside it.

    Open readers keep the old. Files that earlier builds left behind are removed when their process is gone,
    and all Parquet but the newest and the one before, which may still be read. Raises WarehouseError when
    there is no room; nothing is then published, and `built` is removed.
    """
    folder = current.parent / "parquet"
    aside = folder / built.name
    try:
        _write_parquet(built, aside)
        with built.open("rb") as stream:
            os.fsync(stream.fileno())
        built.replace(current)
        _sync(current.parent)
        _lead_to(aside, folder / "latest")
    except (duckdb.Error, OSError) as error:
        shutil.rmtree(aside, ignore_errors=True)
        built.unlink(missing_ok=True)
        raise WarehouseError(
            f"{current.parent}: the new warehouse cannot be published ({first_line(error)}); "
            "make room there, then run again"
        ) from error
    _tidy(current)


def complete(current: Path, run_id: str) -> None:
    """Do what is left of publishing a run whose process died just after the new file was in place.

    Raises WarehouseError where there is no room.
    """
    folder = current.parent / "parquet"
    latest = folder / "latest"
    if latest.is_symlink() and latest.exists() and run_id in latest.readlink().name:
        return
    aside = folder / f"warehouse.{run_id}.{os.getpid()}.building"
    try:
        _write_parquet(current, aside)
        _lead_to(aside, latest)
    except (duckdb.Error, OSError) as error:
        shutil.rmtree(aside, ignore_errors=True)
        raise WarehouseError(
            f"{folder}: cannot be written ({first_line(error)}); make room there, then run again"
        ) from error
    _tidy(current)


def bring_up(current: Path) -> bool:
    """Publish a warehouse of an older schema version as the present one has it; whether there was need.

    Raises WarehouseError as `rebuilding` does; the published file is then as it was.
    """
    with duckdb.connect(":memory:") as con:
        quoted = str(current).replace("'", "''")
        try:
            con.execute(f"ATTACH '{quoted}' AS given (READ_ONLY)")
            if con.execute("SELECT schema_version FROM given.core.meta").fetchall() == [(SCHEMA_VERSION,)]:
                return False
        except duckdb.Error as error:
            raise WarehouseError(
                f"{current}: not a readable warehouse ({first_line(error)}); {advice(error)}"
            ) from error
    aside = current.with_name(f"warehouse.upgrade.{os.getpid()}.building")
    try:
        upgrade(aside, current)
        check(aside)
        publish(aside, current)
    finally:
        aside.unlink(missing_ok=True)
    return True


def _tidy(current: Path) -> None:
    """Remove what builds left behind whose process is gone."""
    for leftover in [*current.parent.glob("*.building*"), *(current.parent / "parquet").glob("*.building*")]:
        match = _ASIDE.search(leftover.name)
        if match and not _alive(int(match[1])):
            shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink(missing_ok=True)


def _write_parquet(built: Path, folder: Path) -> None:
    """Every table and view of `core` and `mart`: `<layer>/<table>.parquet`, or parted `<column>=…/`."""
    if folder.exists():
        shutil.rmtree(folder)
    with duckdb.connect(str(built), read_only=True) as con:
        con.execute("SET TimeZone = 'UTC'")
        names = con.execute(
            "SELECT table_schema, table_name FROM information_schema.tables "
            "WHERE table_schema IN ('core', 'mart') ORDER BY ALL"
        ).fetchall()
        for layer, name in names:
            (folder / layer).mkdir(parents=True, exist_ok=True)
            column = PARTED.get(f"{layer}.{name}")
            target = str(folder / layer / (name if column else f"{name}.parquet")).replace("'", "''")
            parted = f", PARTITION_BY ({column})" if column else ""
            con.execute(f"COPY {layer}.{name} TO '{target}' (FORMAT parquet, COMPRESSION zstd{parted})")


def _lead_to(folder: Path, link: Path) -> None:
    """Swap the link at once, then remove what neither it nor its predecessor leads to."""
    before = link.readlink().name if link.is_symlink() else None
    settled = folder.with_name(folder.name.removesuffix(".building"))
    if settled.exists():
        shutil.rmtree(settled)
    folder.replace(settled)
    aside = link.with_name(f"{link.name}.{os.getpid()}.building")
    aside.unlink(missing_ok=True)
    aside.symlink_to(settled.name)
    if link.is_dir() and not link.is_symlink():  # a copy of a home that followed the link
        shutil.rmtree(link)
    aside.replace(link)
    for other in link.parent.iterdir():
        if (
            other.is_dir()
            and other.name not in (settled.name, before, link.name)
            and not _ASIDE.search(other.name)
        ):
            shutil.rmtree(other)


def _sync(folder: Path) -> None:
    """Put a folder's names on disk."""
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
