import os
import time

import pytest

from prodlens_pipeline.automation.claims import days_of
from prodlens_pipeline.automation.upkeep import DETAILS, landed_tables, maintain
from prodlens_pipeline.landing.retention import delete_strays, drop_chunks
from prodlens_pipeline.settings import Retention
from prodlens_pipeline.warehouse.maintenance import retire_rows
from prodlens_pipeline.warehouse.migrations import migrate
from prodlens_pipeline.warehouse.opening import Location, open_lake
from prodlens_pipeline_tests.automation.small import ago, span
from prodlens_pipeline_tests.automation.test_sensors import collected, tick
from prodlens_pipeline_tests.pipeline import (
    append_lines,
    collect_all,
    gateway_line,
    models,
    settings_for,
    write_lines,
)

KEPT = ("core.llm_calls", "core.sessions", "marts.daily_developer")


def chunk_files(project) -> list[str]:
    return sorted(path.name for path in project.settings.landing.rglob("*.zst"))


def test_chunks_past_their_time_go_and_their_lines_in_the_manifest_stay(project, instance):
    collected(project, instance, old=50)
    collected(project, instance, new=5, middle=40)
    with project.lake() as lake:
        assert drop_chunks(lake, project.settings.landing, "notes", ago(45)) == 1
        assert drop_chunks(lake, project.settings.landing, "notes", ago(45)) == 0
        deleted = lake.rows("select lines, deleted_at is not null from ops.landing_chunks order by line_start")
        assert deleted == [(1, True), (2, False)]
        assert lake.rows("select asset, day from ops.retired_days") == [("landing.notes", ago(50))]
    assert len(chunk_files(project)) == 1
    # the numbers still add up, and nothing is read twice
    assert project.execute(instance, "collect")
    assert len(chunk_files(project)) == 1


def test_a_day_whose_records_were_deleted_is_kept_when_it_is_made_again(project, instance):
    collected(project, instance, old=50, older=51)
    collected(project, instance, new=5)
    assert project.execute(instance, "tables", span(55, 0))
    counts = project.counts()
    with project.lake() as lake:
        retire_rows(lake, "raw.names", ago(45))
        drop_chunks(lake, project.settings.landing, "notes", ago(45))

    assert project.execute(instance, "tables", span(55, 0))

    assert project.counts() == counts
    with project.lake() as lake:
        assert lake.rows("select name from raw.names") == [("new",)]


def test_late_records_of_a_deleted_day_do_not_replace_it_and_are_not_asked_for(project, instance):
    collected(project, instance, old=50)
    assert project.execute(instance, "tables", span(55, 0))
    with project.lake() as lake:
        retire_rows(lake, "raw.names", ago(45))
        drop_chunks(lake, project.settings.landing, "notes", ago(45))
    collected(project, instance, late=50, new=5)

    data = tick(project, instance, "new_records")
    assert all(project.answer(instance, request) for request in data.run_requests)

    asked = {day for request in data.run_requests for day in days_of(request.tags)}
    assert ago(5) in asked and ago(50) not in asked
    assert project.counts() == {ago(50): 1, ago(5): 1}


def test_details_that_were_deleted_alone_are_made_again_with_all_that_reads_them(project, instance):
    collected(project, instance, old=50, other=50, new=5)
    assert project.execute(instance, "tables", span(55, 0))
    with project.lake() as lake:
        retire_rows(lake, "raw.names", ago(45))
    collected(project, instance, late=50)

    assert project.execute(instance, "tables", span(50, 50))

    assert project.counts()[ago(50)] == 3


def test_stray_files_go_after_a_day(project, instance):
    collected(project, instance, new=5)
    kept = chunk_files(project)
    young, old = project.settings.landing / "notes" / "young.zst", project.settings.landing / "notes" / ".writing-old"
    for path in (young, old):
        path.write_bytes(b"x")
    os.utime(old, (time.time() - 2 * 86400,) * 2)
    with project.lake() as lake:
        assert delete_strays(lake, project.settings.landing) == 1
    assert young.exists() and not old.exists()
    assert set(kept) <= set(chunk_files(project))


def test_every_table_that_is_deleted_from_is_made_by_day():
    partitioned = {model.contract.full_name for model in models() if model.contract.partitioned}
    assert set(DETAILS) <= partitioned
    assert "core.llm_calls" not in {*DETAILS, *landed_tables()}
    assert not any(table.startswith("marts.") for table in (*DETAILS, *landed_tables()))


@pytest.fixture
def lived_in(tmp_path, extensions):
    """A project with one call of long ago and one of yesterday; every daily table has a row of each day."""
    (tmp_path / ".prod-lens").mkdir()
    (tmp_path / ".prod-lens" / "extensions").symlink_to(extensions)
    settings = settings_for(
        tmp_path,
        sources=[{"type": "litellm", "path": "gateway.jsonl"}],
        survey={"path": "answers.jsonl"},
        retention=Retention(detail_days=10, landing_days=60),
    )
    answered = [{"answered_at": f"{ago(days)}T10:00:00Z", "nps": 9} for days in (400, 100)]
    write_lines(tmp_path / "answers.jsonl", answered)
    log = tmp_path / "gateway.jsonl"
    with open_lake(Location.of(settings)) as lake:
        migrate(lake)
        write_lines(log, [gateway_line(f"{ago(100)} 10:00", call="old")])
        collect_all(lake, settings)
        append_lines(log, [gateway_line(f"{ago(20)} 10:00", call="older"), gateway_line(f"{ago(1)} 10:00", call="new")])
        collect_all(lake, settings)
        days = [ago(100), ago(20), ago(1)]
        with lake.transaction():
            for table in (*DETAILS, *landed_tables(), *KEPT):
                lake.execute(f"create table {table} as select unnest($days::date[]) as day", {"days": days})
    return settings


def test_a_project_is_kept_small_and_its_figures_stay(lived_in, instance):
    done = maintain(lived_in, instance)

    assert done.rows == dict.fromkeys(DETAILS, 2) | dict.fromkeys(landed_tables(), 1)
    assert done.chunks == {"litellm": 1}
    assert any("landing/litellm: 1 chunks" in line for line in done.summary())
    assert done.answers == 1 and any("landing/survey: 1 answers" in line for line in done.summary())
    assert list(done.disk())[-1][0] == "in all"
    with open_lake(Location.of(lived_in), read_only=True) as lake:
        for table in KEPT:
            assert lake.value(f"select count(*) from {table}") == 3
    again = maintain(lived_in, instance)
    assert not again.rows and not again.chunks and not again.answers
