"""Daemons on a laptop: started twice, killed with their runs; then what they left is healed with no hand.

The rows are those of one process that nobody disturbed.
"""

import os
import signal
import sys
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import combinations
from pathlib import Path

import dagster as dg
import pytest
import yaml

from prodlens_pipeline import pipeline
from prodlens_pipeline.automation.claims import days_of
from prodlens_pipeline.settings import load_settings
from prodlens_pipeline.simulation.team import Team, simulate
from prodlens_pipeline.simulation.write import write
from prodlens_pipeline_tests.integration.processes import IMPATIENT, Processes, Watched, descendants
from prodlens_pipeline_tests.servers import wait_until

pytestmark = pytest.mark.integration
DAYS = 14


@pytest.fixture
def team(tmp_path: Path) -> Path:
    """The folder of a small team whose last day was yesterday."""
    start = (datetime.now(UTC) - timedelta(days=DAYS)).date()
    folder = tmp_path / "team"
    write(simulate(Team(developers=2, days=DAYS, start=start)), folder)
    return folder


@pytest.fixture
def laptop(team: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Processes, Watched]]:
    """The project of the team as `prod-lens dev` runs it, but for the UI."""
    monkeypatch.setenv("PRODLENS_HOME", str(tmp_path / "home"))
    settings = load_settings(team / "prodlens.yaml")
    environment = pipeline.dagster_environment(settings)
    home = Path(environment["DAGSTER_HOME"])
    monkeypatch.setenv("DAGSTER_HOME", str(home))
    config = yaml.safe_load((home / "dagster.yaml").read_text())
    config["run_monitoring"] |= {"poll_interval_seconds": 5, "free_slots_after_run_end_seconds": 5}
    (home / "dagster.yaml").write_text(yaml.safe_dump(config))
    environment |= {"PRODLENS_HOME": str(settings.home), "PRODLENS_CONFIG": str(team / "prodlens.yaml")}
    processes = Processes(tmp_path, environment)
    try:
        yield processes, Watched(settings, home)
    finally:
        processes.kill_all()


def start_daemon(processes: Processes, name: str) -> None:
    processes.start(name, "dagster-daemon", "run", "--module-name", IMPATIENT)


def run_in_the_middle(watched: Watched) -> dg.DagsterRun | None:
    """A run of all tables that has made some of them."""
    with watched.instance() as instance:
        started = dg.RunsFilter(job_name="tables", statuses=[dg.DagsterRunStatus.STARTED])
        for run in instance.get_runs(filters=started):
            if len([one for one in instance.get_run_step_stats(run.run_id) if one.end_time]) > 8:
                return run
    return None


def process_of(processes: Processes, run: dg.DagsterRun) -> int:
    """The process that holds the lock of a run."""
    for daemon in processes.running.values():
        for pid in descendants(daemon.pid):
            for link in Path(f"/proc/{pid}/fd").glob("*"):
                if link.exists() and run.run_id in link.resolve().name and link.resolve().suffix == ".lock":
                    return pid
    raise AssertionError(f"no process has run {run.run_id}")


def test_two_daemons_and_three_kills(laptop: tuple[Processes, Watched], team: Path, tmp_path: Path) -> None:
    processes, watched = laptop
    start_daemon(processes, "daemon")
    start_daemon(processes, "daemon-too")
    wait_until(lambda: run_in_the_middle(watched) is not None, "a run of all tables", seconds=300)

    run = run_in_the_middle(watched)
    assert run

    os.kill(process_of(processes, run), signal.SIGKILL)

    def is_given_up() -> bool:
        with watched.instance() as instance:
            found = instance.get_run_by_id(run.run_id)
            return bool(found and found.is_failure)

    wait_until(is_given_up, "the killed run is given up", seconds=60, pause=0.5)
    wait_until(lambda: run_in_the_middle(watched) is not None, "it is asked for again", seconds=300)
    # A power cut: both daemons, their code locations and their runs.
    processes.kill_all()
    killed = run_in_the_middle(watched)
    start_daemon(processes, "daemon")
    start_daemon(processes, "daemon-too")
    wait_until(watched.is_healed, "healed", seconds=600, pause=5)

    with watched.instance() as instance:
        records = [one for one in instance.get_run_records() if one.dagster_run.job_name == "tables"]
    processes.kill_all()
    ended = {one.dagster_run.run_id: one.dagster_run.status for one in records}
    assert ended.pop(run.run_id) == dg.DagsterRunStatus.FAILURE
    if killed:
        assert ended.pop(killed.run_id) == dg.DagsterRunStatus.FAILURE
    # Both daemons may launch the same queued run, for Dagster does not support two: the second process leaves, the
    # server that started it reports the run as failed, and its days are asked for again.
    assert set(ended.values()) <= {dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE}
    done = [one for one in records if one.dagster_run.is_success]
    for one, other in combinations(done, 2):
        shared = set(days_of(one.dagster_run.tags)) & set(days_of(other.dagster_run.tags))
        assert (
            not shared
            or (one.end_time or 0) <= (other.start_time or 0)
            or (other.end_time or 0) <= (one.start_time or 0)
        )
    keys = Counter(one.dagster_run.tags.get("dagster/run_key") for one in records)
    assert keys.most_common(1)[0][1] == 1

    expected = undisturbed(team, tmp_path)
    here = watched.contents()
    assert {name for name in here if here[name] != expected[name]} == set()


def undisturbed(team: Path, tmp_path: Path) -> dict[str, list[tuple[object, ...]]]:
    """The rows of one `prod-lens run`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PRODLENS_HOME", str(tmp_path / "alone"))
        settings = load_settings(team / "prodlens.yaml")
    outcome = pipeline.run(settings, None, None, lambda *_: None)
    assert not outcome.failures
    return Watched(settings, tmp_path).contents()


def test_a_killed_run_of_the_terminal_does_not_stand_in_the_way_of_the_next(
    laptop: tuple[Processes, Watched],
) -> None:
    processes, watched = laptop
    processes.start("terminal", sys.executable, "-m", "prodlens_pipeline.cli", "run")

    def is_in_the_middle() -> bool:
        with watched.instance() as instance:
            running = instance.get_runs(filters=dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED]))
            return any(instance.event_log_storage.get_concurrency_run_ids()) and any(
                days_of(run.tags) for run in running
            )

    wait_until(is_in_the_middle, "a step that holds its place in a pool", seconds=180)
    processes.kill("terminal")
    processes.start("again", sys.executable, "-m", "prodlens_pipeline.cli", "run")

    assert processes.running["again"].wait(400) == 0
    with watched.instance() as instance:
        statuses = Counter(run.status for run in instance.get_runs())
    assert statuses.pop(dg.DagsterRunStatus.FAILURE) == 1
    assert set(statuses) == {dg.DagsterRunStatus.SUCCESS}
