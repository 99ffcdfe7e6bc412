"""Releases, deployments and workflow runs: read once, followed until they ended, and counted.

Belongs here: `github/feeds.py` and the tables that come of it. Does not: that both APIs say the same (`test_sync.py`).
"""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from prodlens_pipeline.metrics.evaluate import Selection, scorecard
from prodlens_pipeline.metrics.registry import METRICS
from prodlens_pipeline.warehouse.lake import Lake
from prodlens_pipeline_tests.delivery.github.fake import START, Hub, stamp
from prodlens_pipeline_tests.delivery.github.project import NAME, collected, modelled, raw_rows, settings_of
from prodlens_pipeline_tests.pipeline import landed_window

PULLS = ("core.commits", "core.github_accounts", "core.pull_requests")
MINUTE = timedelta(minutes=1)
NOW = datetime.now(UTC).replace(microsecond=0)


def outcomes(lake: Lake) -> dict[int, tuple[str, bool]]:
    return dict(lake.rows("select deployment_id, (outcome, is_production) from core.deployments"))


def test_what_became_of_deployments_and_releases(hub: Hub, lake: Lake, root: Path) -> None:
    repo = hub.repo(NAME)
    repo.open(1, START)
    repo.deploy(1, START, "queued", "in_progress", "success", "inactive")
    repo.deploy(2, START + MINUTE, "failure", environment="prod-eu")
    repo.deploy(3, START + 2 * MINUTE, "error", "success")
    repo.deploy(4, START + 3 * MINUTE, "failure", environment="staging")
    repo.deploy(5, START + 4 * MINUTE)
    for number in range(6, 12):
        repo.deploy(number, START + number * MINUTE, "success")
    repo.release(1, START)
    repo.release(2, START + MINUTE, draft=True, published_at=None)
    repo.release(3, START + 2 * MINUTE, prerelease=True, author=None)
    settings = settings_of(root, hub, identities={"Ana": ["github:ana"]})
    collected(lake, settings)
    modelled(lake, settings, "core.github_accounts", "core.deployments", "core.releases")
    assert outcomes(lake) == {
        1: ("success", True),
        2: ("failure", True),
        3: ("success", True),
        4: ("failure", False),
        5: ("pending", True),
        **dict.fromkeys(range(6, 12), ("success", True)),
    }
    assert lake.rows("select creator_id, ended_at from core.deployments where deployment_id = 3") == [
        ("bot:deployer[bot]", (START + 4 * MINUTE).replace(tzinfo=None))
    ]
    assert lake.rows("select tag, author_id, is_prerelease from core.releases order by tag") == [
        ("v1", "Ana", False),
        ("v3", "unknown", True),
    ]
    metrics = [metric for metric in METRICS if metric.name.startswith("deployment_")]
    selection = Selection(landed_window(lake))
    found = scorecard(lake, metrics, selection, "team", ["team"]).select("metric", "value", "n").rows()
    weeks = len(selection.window.days) / 7
    assert found == [("deployment_frequency", 8 / weeks, 8), ("deployment_failure_rate", 1 / 9, 9)]


def test_what_goes_on_is_followed_until_it_ended_and_then_costs_nothing(hub: Hub, lake: Lake, root: Path) -> None:
    repo = hub.repo(NAME)
    repo.push(1)
    repo.open(1, NOW)
    repo.deploy(1, NOW - timedelta(hours=3), "success")
    repo.deploy(2, NOW - timedelta(hours=2), "in_progress")
    repo.deploy(3, NOW - timedelta(hours=1), "success")
    going_on = repo.run(1, 1, None, NOW - timedelta(hours=2))
    repo.run(2, 1, "success", NOW - timedelta(hours=1))
    draft = repo.release(1, NOW - timedelta(hours=1), draft=True, published_at=None)
    settings = settings_of(root, hub)
    collected(lake, settings)
    landed = lake.value("select count(*) from ops.landing_chunks")
    hub.forget()
    collected(lake, settings)
    assert hub.billed() == 1  # the statuses of the deployment that goes on, which had come by GraphQL
    hub.forget()
    collected(lake, settings)
    assert hub.billed() == 0
    assert lake.value("select count(*) from ops.landing_chunks") == landed
    repo.become(2, "failure", NOW)
    going_on |= {"status": "completed", "conclusion": "failure", "updated_at": stamp(NOW)}
    draft |= {"draft": False, "published_at": stamp(NOW)}
    collected(lake, settings)
    modelled(lake, settings, "core.github_accounts", "core.deployments", "core.releases")
    assert {key: outcome for key, (outcome, _) in outcomes(lake).items()} == {1: "success", 2: "failure", 3: "success"}
    assert lake.rows("select run_id, conclusion from raw.github_workflow_runs order by all") == [
        (1, "failure"),
        (2, "success"),
    ]
    assert lake.value("select count(*) from core.releases") == 1
    hub.forget()
    collected(lake, settings)
    assert hub.billed() == 0


def test_one_that_breaks_the_contract_is_refused_until_it_is_mended(hub: Hub, lake: Lake, root: Path) -> None:
    repo = hub.repo(NAME)
    repo.open(1, START)
    broken = repo.run(1, 1, "success", START)
    broken["run_attempt"] = -1
    repo.run(2, 1, "success", START + MINUTE)
    settings = settings_of(root, hub)
    for _ in range(2):
        collected(lake, settings)
        assert lake.rows("select source, line, status, reason from ops.dead_letters") == [
            ("github_workflow_runs", 1, "pending", "attempt: Input should be greater than or equal to 0")
        ]
    broken["run_attempt"] = 1
    collected(lake, settings)
    assert not lake.rows("select * from ops.dead_letters")
    assert len(raw_rows(lake, settings)["github_workflow_runs"]) == 2


def test_failures_of_pipelines_are_counted_by_whatever_reports_them(hub: Hub, lake: Lake, root: Path) -> None:
    repo = hub.repo(NAME)
    for number in range(1, 6):
        repo.open(number, START)
    repo.check(1, "failure", START)
    repo.run(1, 1, "failure", START)  # of which the check is a job
    repo.status(2, "failure", START, "ci/a")
    repo.status(2, "error", START, "ci/b")
    repo.status(2, "failure", START, "ci/c")
    repo.status(2, "success", START + MINUTE, "ci/c")
    repo.run(3, 3, "failure", START)
    repo.run(4, 3, "startup_failure", START)
    repo.run(5, 3, "cancelled", START)
    repo.run(6, 4, "success", START)["head_branch"] = "main"
    settings = settings_of(root, hub)
    collected(lake, settings)
    modelled(lake, settings, *PULLS)
    assert dict(lake.rows("select number, failing_checks from core.pull_requests")) == {1: 1, 2: 2, 3: 2, 4: 0, 5: 0}


def test_hidden_checks_leave_failures_unknown_where_nothing_else_reports_them(hub: Hub, lake: Lake, root: Path) -> None:
    hub.has_graphql = False
    repo = hub.repo(NAME)
    for number in (1, 2, 3):
        repo.open(number, START)
    repo.run(1, 1, "failure", START)
    repo.status(2, "failure", START)
    hub.fault = lambda request: 403 if request.path.endswith("/check-runs") else None
    settings = settings_of(root, hub)
    collected(lake, settings)
    modelled(lake, settings, *PULLS)
    found = lake.rows("select number, failing_checks from core.pull_requests order by number")
    assert found == [(1, 1), (2, 1), (3, None)]
