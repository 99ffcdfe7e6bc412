"""A report can be made again, to the byte."""

import re
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from prodlens_pipeline.reporting.data import Report
from prodlens_pipeline.reporting.errors import ReportError
from prodlens_pipeline.reporting.headline import caveats
from prodlens_pipeline.reporting.origin import git_commit, resolve_snapshot
from prodlens_pipeline.reporting.output import render, write_csv
from prodlens_pipeline.warehouse.lake import Lake
from prodlens_pipeline.warehouse.models import SqlModel
from prodlens_pipeline.warehouse.opening import Location, open_lake
from prodlens_pipeline_tests.reporting.projects import Project, Work, fill, insert, opened, refuse, sessions, working


def files(lake: Lake, report: Report, folder: Path) -> dict[str, bytes]:
    with lake.reading():
        write_csv(lake, report, folder)
    rendered = {form: render(report, form).encode() for form in ("html", "json", "markdown")}
    return rendered | {path.name: path.read_bytes() for path in folder.iterdir()}


def test_an_older_snapshot_gives_the_older_report_to_the_byte(models: dict[str, SqlModel], tmp_path: Path) -> None:
    with opened(tmp_path) as project:
        fill(project.lake, models, replace(working(effect=True, days=42), pull_requests=20))
        report = project.report()
        before = files(project.lake, report, tmp_path / "before")
        refuse(project.lake, 3)
        insert(project.lake, "core.sessions", [row | {"session_id": "late"} for row in sessions(Work([1], []))])
        project.lake.execute("insert into ops.etl_runs select * replace ('run-2' as run_id) from ops.etl_runs")
        after = project.report()
        assert set(caveats(after)) - set(caveats(report)) == {"3 records could not be read and are in no figure."}
        assert render(after, "json").encode() != before["json"]
        with open_lake(Location.of(project.settings), read_only=True, snapshot=report.about.snapshot) as lake:
            again = replace(project, lake=lake, known={}).report()
            assert files(lake, again, tmp_path / "again") == before


def test_a_report_says_where_it_comes_from(rich: Project) -> None:
    about = rich.report().about
    assert [run.run_id for run in about.runs] == ["run-1"]
    assert about.config_hash == rich.settings.config_hash
    assert about.git_commit == git_commit()
    assert about.git_commit is None or re.fullmatch(r"[0-9a-f]{40}(-dirty)?", about.git_commit)


def test_a_snapshot_is_named_by_number_day_or_time(rich: Project) -> None:
    lake = rich.lake
    newest = rich.report().about
    moment = newest.snapshot_at
    assert resolve_snapshot(lake, str(newest.snapshot)) == newest.snapshot
    assert resolve_snapshot(lake, f"{moment:%Y-%m-%d}") == newest.snapshot
    assert resolve_snapshot(lake, moment.isoformat()) == newest.snapshot
    assert resolve_snapshot(lake, f"{(moment + timedelta(hours=2)).isoformat()}+02:00") == newest.snapshot
    assert resolve_snapshot(lake, (moment - timedelta(microseconds=1)).isoformat()) == newest.snapshot - 1


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        ("999999", "no such snapshot; it keeps 0 to"),
        ("99999999999999999999999", "no such snapshot"),
        ("2001-01-01", "no snapshot that old; the first is of"),
        ("soon", "must be the number of a snapshot, a date"),
        ("-1", "must be the number"),
    ],
)
def test_a_snapshot_that_is_not_there_says_what_is(rich: Project, wanted: str, words: str) -> None:
    with pytest.raises(ReportError, match=words):
        resolve_snapshot(rich.lake, wanted)
