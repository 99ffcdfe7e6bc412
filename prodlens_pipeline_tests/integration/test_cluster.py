"""The processes of the Compose profile `cluster`, by its own commands and configuration, but without containers.

PostgreSQL, an S3 store, Redis, a code location, a daemon and two workers make a team's days by themselves; a worker
is killed in the middle. The rows are those of one process with SQLite and a folder.
"""

import json
import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import dagster as dg
import pytest
import yaml
from dagster_celery.tags import DAGSTER_CELERY_TASK_ID_TAG

from prodlens_pipeline import pipeline
from prodlens_pipeline.settings import load_settings
from prodlens_pipeline.simulation.team import Team, simulate
from prodlens_pipeline.simulation.write import write
from prodlens_pipeline.warehouse.opening import Location, open_lake
from prodlens_pipeline_tests.delivery.github.conftest import served
from prodlens_pipeline_tests.delivery.github.fake import Hub
from prodlens_pipeline_tests.delivery.github.test_models import course
from prodlens_pipeline_tests.integration.processes import IMPATIENT, Processes, Watched, compose
from prodlens_pipeline_tests.pipeline import append_lines, gateway_line
from prodlens_pipeline_tests.places import BUCKET, hand_over_keys
from prodlens_pipeline_tests.servers import (
    PostgreSQL,
    free_port,
    postgresql_server,
    redis_server,
    s3_server,
    wait_until,
)

pytestmark = pytest.mark.integration
DAYS = 21


@dataclass
class Cluster(Processes):
    """The services of the profile that are ours."""

    replaced: dict[str, str] | None = None

    def serve(self, service: str, name: str | None = None) -> None:
        """Start a service as Compose would."""
        words = [(self.replaced or {}).get(word, word) for word in compose()["services"][service]["command"]]
        self.start(name or service, *words)


@pytest.fixture
def server() -> Iterator[PostgreSQL]:
    with postgresql_server() as running:
        yield running


@pytest.fixture
def team(tmp_path: Path) -> Path:
    """The folder of a small team whose last day was yesterday."""
    start = (datetime.now(UTC) - timedelta(days=DAYS)).date()
    folder = tmp_path / "team"
    write(simulate(Team(developers=3, days=DAYS, start=start)), folder)
    return folder


@pytest.fixture
def cluster(
    team: Path, tmp_path: Path, server: PostgreSQL, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Cluster, Watched]]:
    with s3_server("prodlens") as store, redis_server(tmp_path) as broker:
        home = tmp_path / "dagster"
        home.mkdir()
        port = free_port()
        configuration = yaml.safe_load((team / "prodlens.yaml").read_text())
        configuration["warehouse"] = {"catalog": server.create(), "data": "s3://prodlens/lake"}
        config = team / "cluster.yaml"
        config.write_text(yaml.safe_dump(configuration))
        database = server.create().replace("postgresql://", "postgresql+psycopg2://")
        _write_configs(home, database, broker, port)
        environment = {
            "DAGSTER_HOME": str(home),
            "DAGSTER_EVENT_BATCH_SIZE": "1000",
            "PRODLENS_CONFIG": str(config),
            "PRODLENS_HOME": str(tmp_path / "shared"),
            "AWS_ACCESS_KEY_ID": "lens",
            "AWS_SECRET_ACCESS_KEY": "it's/a+secret",
            "AWS_ENDPOINT_URL_S3": store,
        }
        for key, value in environment.items():
            monkeypatch.setenv(key, value)
        here = {
            "prodlens_pipeline.definitions": IMPATIENT,
            "0.0.0.0": "127.0.0.1",  # noqa: S104 - what Compose says
            "4000": str(port),
            "/opt/dagster/workspace.yaml": str(home / "workspace.yaml"),
            "/opt/dagster/celery.yaml": str(home / "celery.yaml"),
        }
        processes = Cluster(tmp_path, environment, replaced=here)
        try:
            yield processes, Watched(load_settings(config), home)
        finally:
            processes.kill_all()


def _write_configs(home: Path, database: str, broker: str, port: int) -> None:
    """Those of Compose, for the servers of this test."""
    configs = compose()["configs"]
    dagster = yaml.safe_load(configs["dagster"]["content"])
    for part in ("run_storage", "schedule_storage", "event_log_storage"):
        dagster[part]["config"] = {"postgres_url": database}
    dagster["run_monitoring"] |= {"poll_interval_seconds": 5, "free_slots_after_run_end_seconds": 5}
    celery = yaml.safe_load(configs["celery"]["content"])
    for config in (dagster["run_launcher"]["config"], celery["execution"]["config"]):
        for key, value in config.items():
            config[key] = f"{broker.removesuffix('/0')}{urlsplit(value).path}"
    workspace = yaml.safe_load(configs["workspace"]["content"])
    workspace["load_from"][0]["grpc_server"].update(host="127.0.0.1", port=port)
    for name, content in (("dagster", dagster), ("celery", celery), ("workspace", workspace)):
        (home / f"{name}.yaml").write_text(yaml.safe_dump(content))


def _run_in_the_middle(watched: Watched) -> dg.DagsterRun | None:
    """A run over many days that has made some of its tables."""
    with watched.instance() as instance:
        for run in instance.get_runs(filters=dg.RunsFilter(job_name="tables", statuses=[dg.DagsterRunStatus.STARTED])):
            if len([one for one in instance.get_run_step_stats(run.run_id) if one.status]) > 8:
                return run
    return None


def _worker_of(watched: Watched, run: dg.DagsterRun) -> int:
    with watched.instance() as instance:
        task = instance.run_launcher.celery.AsyncResult(run.tags[DAGSTER_CELERY_TASK_ID_TAG])  # type: ignore[attr-defined]
        return int(task.info["pid"])


def test_a_team_is_made_by_workers_one_of_which_dies(
    cluster: tuple[Cluster, Watched], team: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    processes, watched = cluster
    processes.serve("pools")
    assert processes.running.pop("pools").wait(60) == 0
    for service in ("code", "daemon"):
        processes.serve(service)
    for number in (1, 2):
        processes.serve("worker", f"worker-{number}")

    found: list[dg.DagsterRun] = []

    def is_in_the_middle() -> bool:
        run = _run_in_the_middle(watched)
        found.extend([run] if run else [])
        return bool(run)

    wait_until(is_in_the_middle, "a run of all tables on a worker", seconds=240)
    group = os.getpgid(_worker_of(watched, found[0]))
    os.killpg(group, signal.SIGKILL)
    wait_until(watched.is_healed, "healed", seconds=400, pause=5)

    with watched.instance() as instance:
        ended = {run.run_id: run.status for run in instance.get_runs()}
        killed = ended.pop(found[0].run_id)
        assert killed == dg.DagsterRunStatus.FAILURE
        assert set(ended.values()) == {dg.DagsterRunStatus.SUCCESS}
    monkeypatch.setenv("PRODLENS_HOME", str(tmp_path / "alone"))
    alone = Watched(load_settings(team / "prodlens.yaml"), tmp_path)
    outcome = pipeline.run(alone.settings, None, None, lambda *_: None)
    assert not outcome.failures
    here, there = alone.contents(), watched.contents()
    assert here.keys() == there.keys()
    assert {name for name in here if here[name] != there[name]} == set()
    assert sum(map(len, here.values())) > 1_000


OPS = (
    "select asset, window_start, window_end, rows, config_hash, code_version from ops.etl_runs order by all",
    "select source_name, source_file, lines, accepted, rejected, touched_days from ops.landing_chunks order by all",
    "select source_name, source_file, line, reason, status, raw_text from ops.dead_letters order by all",
)
"""What `ops` holds but for times and ids, which differ from run to run."""


def test_rows_are_the_same_wherever_the_lake_lives(
    team: Path, tmp_path: Path, server: PostgreSQL, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every source that needs no account: gateway, transcripts, clones, a GitHub, a survey, and what is refused."""
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    log = min((team / "logs" / "litellm").glob("*.jsonl"))
    named = gateway_line("2026-03-02 10:00", alias="a\0b", model="m\0n")
    append_lines(log, [named, "{broken", json.loads(log.read_text().splitlines()[0]) | {"prompt_tokens": "many"}])
    hub = Hub()
    repo = hub.repo("org/app")
    repo.push(1)
    course(repo)
    config = yaml.safe_load((team / "prodlens.yaml").read_text())
    config["start_date"] = "2026-01-01"
    with served(hub), s3_server(BUCKET) as store:
        hand_over_keys(monkeypatch, store)
        config["repositories"].append({"type": "github", "name": "org/app", "api_url": hub.url})
        places = ({}, {"catalog": server.create(), "data": f"s3://{BUCKET}/lake"})
        contents, ops = [], []
        for number, place in enumerate(places):
            path = team / f"place-{number}.yaml"
            path.write_text(yaml.safe_dump(config | {"warehouse": place}))
            monkeypatch.setenv("PRODLENS_HOME", str(tmp_path / f"home-{number}"))
            settings = load_settings(path)
            outcome = pipeline.run(settings, None, None, lambda *_: None)
            assert not outcome.failures
            contents.append(Watched(settings, tmp_path).contents())
            with open_lake(Location.of(settings), read_only=True) as lake:
                ops.append([lake.rows(query) for query in OPS])
    here, there = contents
    assert here.keys() == there.keys()
    assert {name for name in here if here[name] != there[name]} == set()
    assert here["core.pull_requests"] and here["survey.responses"] and here["core.llm_calls"]
    assert ops[0] == ops[1]
    assert [len(letters) for _, _, letters in ops] == [2, 2]
