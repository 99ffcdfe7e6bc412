"""What Dagster still knows of old runs, and what a run whose process died leaves behind."""

import os
import signal
from datetime import UTC, datetime, timedelta
from multiprocessing import get_context
from pathlib import Path

import dagster as dg
import pytest

from prodlens_pipeline.automation.claims import UNFINISHED, claims, give_up_abandoned
from prodlens_pipeline.automation.run_history import prune_runs
from prodlens_pipeline.partitions import range_tags
from prodlens_pipeline.pipeline import dagster_instance
from prodlens_pipeline.warehouse.assets import POOL, asset_key
from prodlens_pipeline.warehouse.run_locks import held
from prodlens_pipeline_tests.automation.small import ago, span
from prodlens_pipeline_tests.automation.test_sensors import collected, tick

NOW = datetime.now(UTC)
WEEK_LATER, LONG_AFTER = NOW + timedelta(days=8), NOW + timedelta(days=100)


@pytest.fixture
def on_disk(project, monkeypatch):
    """The instance that a project has."""
    monkeypatch.setenv("DAGSTER_HOME", "")
    monkeypatch.setenv("DAGSTER_EVENT_BATCH_SIZE", "")
    with dagster_instance(project.settings) as opened:
        yield opened


def runs(instance: dg.DagsterInstance) -> list[str]:
    return [run.job_name for run in instance.get_runs()]


def test_old_runs_are_forgotten_and_what_was_made_is_not(project, on_disk):
    collected(project, on_disk, a=2)
    for _ in range(2):
        assert project.execute(on_disk, "tables", span(20, 0))
    key, home = asset_key("marts.counts"), Path(on_disk.root_directory)
    made = on_disk.get_latest_materialization_event(key)

    failed = on_disk.create_run_for_job(project.defs.resolve_job_def("collect"))
    on_disk.report_run_failed(failed)

    assert prune_runs(on_disk, NOW, 90) == 0
    assert prune_runs(on_disk, NOW + timedelta(days=2), 90) == 2
    assert runs(on_disk) == ["collect", "tables"], "what failed stays for a week"
    assert prune_runs(on_disk, WEEK_LATER, 90) == 1

    assert runs(on_disk) == ["tables"], "the one that made the days last"
    assert ago(2).isoformat() in on_disk.get_materialized_partitions(key)
    assert len(list(home.glob("*-*-*-*-*.db"))) == 1
    assert prune_runs(on_disk, LONG_AFTER, 90) == 1
    assert not runs(on_disk) and not list(home.glob("*-*-*-*-*.db"))
    assert on_disk.get_latest_materialization_event(key).timestamp == made.timestamp
    assert project.counts() == {ago(2): 1}
    assert tick(project, on_disk, "new_records").skip_message == "no new records"


def _die_while_running(home: str, run_id: str, ready) -> None:
    with held(Path(home), run_id):
        ready.set()
        os.kill(os.getpid(), signal.SIGSTOP)


def _end_without_a_record(home: str, run_id: str, ready) -> None:
    """As on a full disk, where Dagster cannot write that the run failed."""
    with held(Path(home), run_id):
        pass
    ready.set()
    os.kill(os.getpid(), signal.SIGSTOP)


@pytest.mark.parametrize("end", [_die_while_running, _end_without_a_record])
def test_a_run_whose_process_died_gives_back_its_days_and_its_place(project, on_disk, end):
    run = on_disk.create_run_for_job(
        project.defs.resolve_job_def("tables"), tags=range_tags(span(3, 1)), status=dg.DagsterRunStatus.STARTED
    )
    on_disk.event_log_storage.claim_concurrency_slot(POOL, run.run_id, "raw__names")
    processes = get_context("fork")
    ready = processes.Event()
    process = processes.Process(target=end, args=(on_disk.root_directory, run.run_id, ready))
    process.start()
    assert ready.wait(30)

    give_up_abandoned(on_disk)
    assert claims(on_disk).days, "its process is only slow"
    process.kill()
    process.join()
    give_up_abandoned(on_disk)

    assert not claims(on_disk).days
    assert on_disk.get_run_by_id(run.run_id).status not in UNFINISHED
    assert not on_disk.event_log_storage.get_concurrency_run_ids()
    assert not list((Path(on_disk.root_directory) / "running").iterdir())
