"""The raw tables of what a GitHub repository released, deployed and ran.

Belongs here: their contracts and how landed snapshots become their rows. Does not: judging them (`dbt_like_sql/core`).
"""

from pathlib import Path

import polars as pl

from prodlens_pipeline.delivery.github.feeds import DEPLOYMENT_FEED, RELEASE_FEED, RUN_FEED, landed
from prodlens_pipeline.warehouse.contracts import Column, Contract
from prodlens_pipeline.warehouse.lake import Lake

_REPO = Column("repo", "VARCHAR", "repository, by its configured name")


def github_contract(name: str, description: str, key: tuple[str, ...], *columns: Column) -> Contract:
    """A raw table of GitHub: the repository, then `columns`."""
    return Contract("raw", f"github_{name}", description, (_REPO, *columns), key, False, owner="team:delivery")


RELEASES = github_contract(
    "releases",
    "One row per release of a GitHub repository, latest state; drafts too, where they are shown.",
    ("repo", "release_id"),
    Column("release_id", "BIGINT", "GitHub's id"),
    Column("tag", "VARCHAR", "tag that it releases"),
    Column("name", "VARCHAR", "title"),
    Column("author_login", "VARCHAR", "account that made it; NULL where it was deleted"),
    Column("is_prerelease", "BOOLEAN", "not meant for production"),
    Column("created_at", "TIMESTAMP", "when it was made: the time of its commit", "UTC"),
    Column("published_at", "TIMESTAMP", "when it was published; NULL for a draft", "UTC"),
)
DEPLOYMENTS = github_contract(
    "deployments",
    "One row per deployment of a GitHub repository.",
    ("repo", "deployment_id"),
    Column("deployment_id", "BIGINT", "GitHub's id"),
    Column("sha", "VARCHAR", "commit that was deployed"),
    Column("ref", "VARCHAR", "branch, tag or commit that was asked for"),
    Column("environment", "VARCHAR", "where to"),
    Column("is_production", "BOOLEAN", "GitHub says that the environment is production, or its name begins so"),
    Column("creator_login", "VARCHAR", "account that asked for it; NULL where it was deleted"),
    Column("created_at", "TIMESTAMP", "when it was asked for", "UTC"),
    Column("has_statuses", "BOOLEAN", "whether GitHub let us see what became of it"),
)
DEPLOYMENT_STATUSES = github_contract(
    "deployment_statuses",
    "One row per status of a deployment.",
    ("repo", "deployment_id", "position"),
    Column("deployment_id", "BIGINT", "GitHub's id of the deployment"),
    Column("position", "BIGINT", "place in the order of time, from 1"),
    Column("state", "VARCHAR", "pending, queued, in_progress, success, failure, error, inactive"),
    Column("created_at", "TIMESTAMP", "when it became so", "UTC"),
)
WORKFLOW_RUNS = github_contract(
    "workflow_runs",
    "One row per run of a GitHub Actions workflow, by its last attempt.",
    ("repo", "run_id"),
    Column("run_id", "BIGINT", "GitHub's id"),
    Column("workflow", "VARCHAR", "name of the workflow"),
    Column("event", "VARCHAR", "what started it: push, pull_request..."),
    Column("head_sha", "VARCHAR", "commit that it ran on"),
    Column("head_branch", "VARCHAR", "branch of this commit"),
    Column("pull_numbers", "BIGINT[]", "pull requests that GitHub says it is about; not those of forks"),
    Column("status", "VARCHAR", "queued, in_progress, completed..."),
    Column("conclusion", "VARCHAR", "success, failure, cancelled...; NULL until it is completed"),
    Column("attempt", "BIGINT", "how often it was run, this time included", "attempts"),
    Column("created_at", "TIMESTAMP", "when it was asked for", "UTC"),
    Column("started_at", "TIMESTAMP", "when its last attempt started", "UTC"),
    Column("updated_at", "TIMESTAMP", "when it last changed: its end, where it is completed", "UTC"),
)


def release_rows(lake: Lake, landing: Path) -> pl.DataFrame:
    """The rows of `RELEASES`."""
    return lake.frame(
        f"""
        select
            _source as repo,
            id as release_id,
            tag_name as tag,
            name,
            author.login as author_login,
            is_prerelease,
            timezone('UTC', created_at) as created_at,
            timezone('UTC', published_at) as published_at
        from {landed(lake, landing, RELEASE_FEED)}
        """
    )


def deployment_rows(lake: Lake, landing: Path) -> pl.DataFrame:
    """The rows of `DEPLOYMENTS`."""
    return lake.frame(
        f"""
        select
            _source as repo,
            id as deployment_id,
            sha,
            ref,
            environment,
            is_production,
            creator.login as creator_login,
            timezone('UTC', created_at) as created_at,
            statuses is not null as has_statuses
        from {landed(lake, landing, DEPLOYMENT_FEED)}
        """
    )


def deployment_status_rows(lake: Lake, landing: Path) -> pl.DataFrame:
    """The rows of `DEPLOYMENT_STATUSES`: they are landed in the order of time."""
    return lake.frame(
        f"""
        select
            repo,
            deployment_id,
            generate_subscripts(statuses, 1) as position,
            unnest(statuses).state as state,
            timezone('UTC', unnest(statuses).created_at) as created_at
        from (select _source as repo, id as deployment_id, statuses from {landed(lake, landing, DEPLOYMENT_FEED)})
        """
    )


def workflow_run_rows(lake: Lake, landing: Path) -> pl.DataFrame:
    """The rows of `WORKFLOW_RUNS`."""
    return lake.frame(
        f"""
        select
            _source as repo,
            id as run_id,
            name as workflow,
            event,
            head_sha,
            head_branch,
            pull_numbers,
            status,
            conclusion,
            attempt,
            timezone('UTC', created_at) as created_at,
            timezone('UTC', started_at) as started_at,
            timezone('UTC', updated_at) as updated_at
        from {landed(lake, landing, RUN_FEED)}
        """
    )


FEED_TABLES = (
    (RELEASES, release_rows),
    (DEPLOYMENTS, deployment_rows),
    (DEPLOYMENT_STATUSES, deployment_status_rows),
    (WORKFLOW_RUNS, workflow_run_rows),
)
"""Every table of this kind and what makes its rows."""
