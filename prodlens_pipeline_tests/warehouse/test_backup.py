import multiprocessing
import time

import duckdb
import polars as pl
import pytest

from prodlens_pipeline.landing.manifest import chunk_paths
from prodlens_pipeline.warehouse.backup import backup, restore
from prodlens_pipeline.warehouse.errors import WarehouseError
from prodlens_pipeline.warehouse.export import export
from prodlens_pipeline.warehouse.migrations import migrate
from prodlens_pipeline.warehouse.opening import Location, open_lake
from prodlens_pipeline_tests.landing.notes import land, names, note, text_of
from prodlens_pipeline_tests.warehouse.conftest import EVENTS, STAMP, on, window

ROWS = 2000
of_files = pytest.mark.embedded("a catalog on PostgreSQL is backed up by pg_dump")


def write(lake, label: str, days: int = 3) -> None:
    """The same label in every row of every day: a mixture would be seen."""
    frame = pl.DataFrame(
        {"day": [on(n) for n in range(days)] * ROWS, "id": list(range(days * ROWS)), "label": [label] * days * ROWS}
    )
    assert lake.overwrite(EVENTS, window(0, days - 1), frame, STAMP).committed


def labels(lake) -> list:
    return lake.rows("select label, count(*) from core.events group by label")


def keep_writing(location: Location, stop) -> None:
    with open_lake(location) as lake:
        number = 0
        while not stop.is_set():
            number += 1
            write(lake, f"label {number}")


def elsewhere(tmp_path, extensions) -> Location:
    home = tmp_path / "elsewhere"
    home.mkdir()
    (home / "extensions").symlink_to(extensions)
    return Location(home, "sqlite", home / "lake")


@of_files
def test_a_backup_comes_back_whole_and_what_was_written_since_is_not_in_it(lake, location, tmp_path, extensions):
    write(lake, "before")
    (tmp_path / "a.jsonl").write_bytes(text_of([note("ana")]))
    land(lake, location.home, tmp_path / "a.jsonl")

    done = backup(location, location.home / "landing", tmp_path / "saved")
    write(lake, "after")

    there = elsewhere(tmp_path, extensions)
    assert restore(tmp_path / "saved", there, there.home / "landing").snapshot == done.snapshot
    with open_lake(there) as restored:
        assert labels(restored) == [("before", 3 * ROWS)]
        assert names(restored, there.home) == ["ana"]
        # the project goes on there: what was collected is not collected again
        assert land(restored, there.home, tmp_path / "a.jsonl").accepted == 0
        write(restored, "later")
        assert labels(restored) == [("later", 3 * ROWS)]
    assert labels(lake) == [("after", 3 * ROWS)]
    assert done.files >= 3 and done.bytes > 1000


@of_files
def test_a_backup_while_others_write_holds_one_moment(lake, location, tmp_path, extensions):
    write(lake, "label 0")
    context = multiprocessing.get_context("spawn")
    stop = context.Event()
    writer = context.Process(target=keep_writing, args=(location, stop))
    writer.start()
    try:
        while labels(lake) == [("label 0", 3 * ROWS)]:
            time.sleep(0.05)
        backup(location, location.home / "landing", tmp_path / "saved")
        at_the_time = labels(lake)
    finally:
        stop.set()
        writer.join()

    there = elsewhere(tmp_path, extensions)
    restore(tmp_path / "saved", there, there.home / "landing")
    with open_lake(there, read_only=True) as restored:
        ((label, count),) = labels(restored)
    assert count == 3 * ROWS and label != "label 0"
    assert int(label.split()[1]) <= int(at_the_time[0][0].split()[1])


@of_files
def test_nothing_is_overwritten(lake, location, tmp_path):
    write(lake, "x")
    (tmp_path / "saved").mkdir()
    backup(location, location.home / "landing", tmp_path / "saved")  # an empty folder is fine
    with pytest.raises(WarehouseError, match="already"):
        backup(location, location.home / "landing", tmp_path / "saved")
    with pytest.raises(WarehouseError, match="already"):
        restore(tmp_path / "saved", location, location.home / "landing")
    assert labels(lake) == [("x", 3 * ROWS)]


@of_files
def test_a_backup_that_lacks_a_file_is_refused(lake, location, tmp_path):
    (tmp_path / "a.jsonl").write_bytes(text_of([note("ana")]))
    land(lake, location.home, tmp_path / "a.jsonl")
    (path,) = chunk_paths(lake, location.home / "landing", "notes", None)
    path.unlink()
    with pytest.raises(WarehouseError, match="missing"):
        backup(location, location.home / "landing", tmp_path / "saved")
    assert not (tmp_path / "saved").exists()


@of_files
def test_what_cannot_be_backed_up_or_restored_says_what_to_do(location, tmp_path):
    with pytest.raises(WarehouseError, match="prod-lens run"):
        backup(location, location.home / "landing", tmp_path / "saved")
    with pytest.raises(WarehouseError, match="pg_dump"):
        backup(Location(location.home, "postgresql://db", location.data), location.home / "landing", tmp_path / "s")
    with pytest.raises(WarehouseError, match="no backup"):
        restore(tmp_path, location, location.home / "landing")


@pytest.mark.parametrize("form", ["file.duckdb", "folder"])
def test_an_export_is_read_by_plain_duckdb(lake, tmp_path, form):
    write(lake, "x")
    target = tmp_path / "it's" / form
    with lake.reading():
        assert export(lake, target) == {"core.events": 3 * ROWS}
        with pytest.raises(WarehouseError, match="already"):
            export(lake, target)

    with duckdb.connect(str(target) if form.endswith("duckdb") else ":memory:") as plain:
        source = "core.events" if form.endswith("duckdb") else f"read_parquet($${target}/core/events.parquet$$)"
        assert plain.execute(f"select count(*), min(day), any_value(label) from {source}").fetchone() == (
            3 * ROWS,
            on(0),
            "x",
        )


def test_an_export_of_nothing_says_what_to_do(location, tmp_path):
    with open_lake(location) as empty:
        migrate(empty)
        with empty.reading(), pytest.raises(WarehouseError, match="prod-lens run"):
            export(empty, tmp_path / "x.duckdb")
