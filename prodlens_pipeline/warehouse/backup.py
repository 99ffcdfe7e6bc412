"""Backup and restore of a project's lake and landing zone, while others write.

Belongs here: the embedded lake. Does not: a catalog on PostgreSQL, which its own tools back up, nor Dagster's history
of runs, without which everything goes on: what was made is in `ops`.
A backup is consistent because data files and chunks never change: the catalog is copied in one read transaction, and
every file that it names was written before it.
"""

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from prodlens_pipeline.warehouse.errors import WarehouseError
from prodlens_pipeline.warehouse.lake import LAKE
from prodlens_pipeline.warehouse.opening import Location, open_lake

_DATA, _LANDING = "lake", "landing"


@dataclass(frozen=True)
class Backup:
    """What a backup or a restore copied."""

    snapshot: int
    files: int
    bytes: int


def backup(location: Location, landing: Path, target: Path) -> Backup:
    """Copy the lake at `location` and the landing zone to the new folder `target`.

    Raises:
        WarehouseError: there is no lake, its catalog is no file, `target` is not empty, or the copy is not whole.
    """
    data = _folder(location)
    if not location.catalog_file.exists():
        raise WarehouseError(f"{location.catalog_file}: there is no warehouse to back up; run 'prod-lens run' first")
    _refuse_what_is_there(target)
    unfinished = target.with_name(f".{target.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    copy = _location_in(unfinished, location)
    _copy_catalog(location.catalog_file, copy.catalog_file)
    _copy_files(data, _folder(copy))
    _copy_files(landing, unfinished / _LANDING)
    done = _verified(copy, unfinished / _LANDING)
    # an empty folder that is there already gives way
    unfinished.replace(target)
    return done


def restore(source: Path, location: Location, landing: Path) -> Backup:
    """Copy the backup in the folder `source` to where a project without a lake has its own.

    The catalog comes last: after a crash there is no lake rather than half a one.

    Raises:
        WarehouseError: `source` is no whole backup, or there is a lake already.
    """
    data = _folder(location)
    saved = _location_in(source, location)
    if not saved.catalog_file.exists():
        raise WarehouseError(f"{source}: there is no backup; it would have a {saved.catalog_file.name}")
    for occupied in (location.catalog_file, data, landing):
        _refuse_what_is_there(occupied)
    location.home.mkdir(parents=True, exist_ok=True)
    _copy_files(_folder(saved), data)
    _copy_files(source / _LANDING, landing)
    arriving = location.catalog_file.with_suffix(".restoring")
    arriving.unlink(missing_ok=True)
    _copy_catalog(saved.catalog_file, arriving)
    arriving.rename(location.catalog_file)
    return _verified(location, landing)


def _location_in(folder: Path, like: Location) -> Location:
    return Location(folder, like.catalog, folder / _DATA)


def _folder(location: Location) -> Path:
    """Where the data of an embedded lake lies; any other is refused."""
    if not location.embedded:
        raise WarehouseError(
            "the catalog is a PostgreSQL database: back it up with pg_dump, then copy data and landing/"
        )
    if location.folder is None:
        raise WarehouseError(
            f"{location.data}: the data lies in a bucket: copy {location.catalog_file}, then the bucket and landing/"
        )
    return location.folder


def _refuse_what_is_there(path: Path) -> None:
    if path.is_file() or (path.is_dir() and any(path.iterdir())):
        raise WarehouseError(f"{path}: is there already and is not overwritten; name another place or move it away")


def _copy_catalog(source: Path, target: Path) -> None:
    """All pages in one go: a consistent copy, whatever is committed meanwhile."""
    with closing(sqlite3.connect(source)) as original, closing(sqlite3.connect(target)) as copy:
        original.backup(copy, pages=-1)


def _copy_files(source: Path, target: Path) -> None:
    """All files of a folder; one that vanishes meanwhile was replaced, or is missed by `_verified`."""
    target.mkdir(parents=True, exist_ok=True)
    for file in source.rglob("*"):
        if file.is_dir() or file.name.startswith(".writing-"):
            continue
        copy = target / file.relative_to(source)
        copy.parent.mkdir(parents=True, exist_ok=True)
        try:
            shutil.copy2(file, copy)
        except FileNotFoundError:
            continue


def _verified(location: Location, landing: Path) -> Backup:
    """Whether every file that the catalog names is there."""
    with open_lake(location, read_only=True) as lake, lake.reading():
        named = [
            Path(file)
            for schema, table in (name.split(".") for name in lake.tables())
            for row in lake.rows(
                f"select data_file, delete_file from ducklake_list_files('{LAKE}', $table, schema => $schema)",
                {"table": table, "schema": schema},
            )
            for file in row
            if file
        ]
        chunks = lake.rows(
            "select distinct stored_path from ops.landing_chunks where stored_path is not null and deleted_at is null "
            "union select stored_path from ops.text_chunks"
        )
        snapshot = int(lake.value(f"select max(snapshot_id) from ducklake_snapshots('{LAKE}')"))
    missing = [path for path in (*named, *(landing / path for (path,) in chunks)) if not path.exists()]
    if missing:
        raise WarehouseError(
            f"{location.home}: {len(missing)} files are missing that the catalog names, such as {missing[0]}; "
            "back up again when no maintenance is running"
        )
    sizes = list(_sizes(location.catalog_file, _folder(location), landing))
    return Backup(snapshot, len(sizes), sum(sizes))


def _sizes(*paths: Path) -> Iterator[int]:
    for path in paths:
        for file in path.rglob("*") if path.is_dir() else [path]:
            if file.is_file():
                yield file.stat().st_size
