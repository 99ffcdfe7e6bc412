from datetime import timedelta

import dagster as dg
import polars as pl
import pytest

from prodlens_pipeline.warehouse.maintenance import compact, disk_use, note_retired, retire_rows
from prodlens_pipeline.warehouse.opening import open_lake
from prodlens_pipeline.warehouse.retired import Input, RetiredDays
from prodlens_pipeline_tests.warehouse.conftest import EVENTS, STAMP, data_files, on, window

NOW = timedelta()


def write(lake, first: int, last: int, label: str = "x", rows: int = 50) -> None:
    days = [on(n) for n in range(first, last + 1) for _ in range(rows)]
    frame = pl.DataFrame({"day": days, "id": list(range(len(days))), "label": [label] * len(days)})
    assert lake.overwrite(EVENTS, window(first, last), frame, STAMP).committed


def days(lake) -> list:
    return [day for (day,) in lake.rows("select distinct day from core.events order by day")]


def test_rows_before_a_day_go_and_the_days_are_noted(lake):
    write(lake, 0, 4)

    assert retire_rows(lake, "core.events", on(3)) == 150
    assert retire_rows(lake, "core.events", on(3)) == 0

    assert days(lake) == [on(3), on(4)]
    assert lake.rows("select asset, day from ops.retired_days order by day") == [
        ("core.events", on(n)) for n in range(3)
    ]


def test_a_table_that_was_never_written_has_nothing_to_delete(lake):
    assert retire_rows(lake, "core.events", on(3)) == 0


def test_old_snapshots_and_their_files_go_and_the_rows_stay(lake, location):
    for n in range(6):
        write(lake, n, n, rows=5000)
    for label in ("a", "b", "c"):
        write(lake, 0, 5, label, rows=5000)
    before, files = disk_use(location, location.home / "landing"), data_files(lake, location)
    content = lake.rows("select count(*), count(distinct day), min(label), max(label) from core.events")

    done = compact(lake, keep_snapshots=NOW, longest_read=NOW)

    assert done.snapshots_expired > 5 and done.files_deleted > 5
    assert lake.rows("select count(*), count(distinct day), min(label), max(label) from core.events") == content
    assert len(data_files(lake, location)) < len(files)
    if location.folder:
        assert disk_use(location, location.home / "landing")["lake"] < before["lake"] / 2
    assert compact(lake, keep_snapshots=NOW, longest_read=NOW).files_deleted == 0


def test_recent_snapshots_can_still_be_read(lake, location):
    write(lake, 0, 0, "old")
    snapshot = lake.value("select max(snapshot_id) from ducklake_snapshots('prodlens')")
    write(lake, 0, 0, "new")

    compact(lake, keep_snapshots=timedelta(days=7))

    with open_lake(location, read_only=True, snapshot=snapshot) as then:
        assert then.value("select any_value(label) from core.events") == "old"


def test_what_a_reader_may_still_need_is_not_deleted(lake):
    write(lake, 0, 0, rows=5000)
    write(lake, 0, 0, rows=5000)
    assert compact(lake, keep_snapshots=NOW).files_deleted == 0


def test_a_day_is_not_made_without_its_inputs(lake):
    with lake.transaction():
        note_retired(lake, "raw.notes", [on(1), on(2)])
    retired = RetiredDays(lake)
    alone, around = Input("raw.notes", 0, 0), Input("raw.notes", 1, 1)

    assert retired.makeable(window(0, 5), [alone]) == [window(0), window(3, 5)]
    assert retired.makeable(window(0, 5), [around]) == [window(4, 5)]
    assert retired.makeable(window(0, 5), [Input("raw.others", 1, 1)]) == [window(0, 5)]
    assert retired.makeable(window(1, 2), [alone]) == []


def test_an_input_that_was_made_again_is_there_again(lake):
    with lake.transaction():
        note_retired(lake, "raw.notes", [on(1), on(2)])
    retired = RetiredDays(lake)

    retired.made("raw.notes", [window(2, 9)])

    for known in (retired, RetiredDays(lake)):
        assert known.makeable(window(0, 5), [Input("raw.notes", 0, 0)]) == [window(0), window(2, 5)]


@pytest.mark.parametrize(("start", "end"), [(-2, 1), (0, 0)])
def test_how_far_a_table_reads_is_what_its_dependency_says(start, end):
    mapping = dg.TimeWindowPartitionMapping(start_offset=start, end_offset=end)
    dep = dg.AssetDep(dg.AssetKey(["raw", "notes"]), partition_mapping=mapping)
    assert Input.of(dep) == Input("raw.notes", -start, end)
    assert Input.of(dg.AssetKey(["landing", "notes"])) == Input("landing.notes", 0, 0)


@pytest.mark.embedded("servers know how much they hold")
def test_disk_use_counts_every_area(lake, location):
    write(lake, 0, 0, rows=5000)
    used = disk_use(location, location.home / "landing")
    assert used["catalog"] > 0 and used["lake"] > 0 and used["landing"] == 0
