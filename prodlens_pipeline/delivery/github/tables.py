"""The raw tables of GitHub: the latest state of every pull request and of what belongs to it.

Belongs here: their contracts and how landed snapshots become their rows; and the list of all tables of this source.
Does not: joining developers or clones (`dbt_like_sql/core`).
"""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import polars as pl

from prodlens_pipeline.delivery.commit_messages import CommitFacts, Identity, classify
from prodlens_pipeline.delivery.github.feed_tables import FEED_TABLES, github_contract
from prodlens_pipeline.delivery.github.journal import SOURCE, read_until
from prodlens_pipeline.delivery.github.records import PARTS, PullRequest
from prodlens_pipeline.landing.manifest import chunk_paths
from prodlens_pipeline.landing.records import read_chunks
from prodlens_pipeline.warehouse.contracts import Column, Contract
from prodlens_pipeline.warehouse.lake import Lake

_NUMBER = Column("number", "BIGINT", "number of the pull request")


def _contract(name: str, description: str, key: tuple[str, ...], *columns: Column) -> Contract:
    return github_contract(name, description, key, _NUMBER, *columns)


PULL_REQUESTS = _contract(
    "pull_requests",
    "One row per pull request of a GitHub repository, latest state.",
    ("repo", "number"),
    Column("state", "VARCHAR", "open or closed"),
    Column("is_draft", "BOOLEAN", "is a draft"),
    Column("title", "VARCHAR", "title"),
    Column("author_login", "VARCHAR", "account that opened it; NULL where it was deleted"),
    Column("author_is_bot", "BOOLEAN", "the account is a GitHub App; NULL where it was deleted"),
    Column("author_emails", "VARCHAR[]", "e-mails that GitHub knows to belong to that account, lower case"),
    Column("created_at", "TIMESTAMP", "when it was opened", "UTC"),
    Column("updated_at", "TIMESTAMP", "when GitHub last saw a change", "UTC"),
    Column("closed_at", "TIMESTAMP", "when it was merged or closed", "UTC"),
    Column("merged_at", "TIMESTAMP", "when it was merged; NULL where it is not", "UTC"),
    Column("merge_commit_sha", "VARCHAR", "commit that merged it"),
    Column("head_sha", "VARCHAR", "last commit of its branch"),
    Column("head_ref", "VARCHAR", "name of its branch"),
    Column("base_ref", "VARCHAR", "name of the branch it is for"),
    Column("additions", "BIGINT", "lines added", "lines"),
    Column("deletions", "BIGINT", "lines removed", "lines"),
    Column("changed_files", "BIGINT", "files changed", "files"),
    Column("commits", "BIGINT", "commits of its branch", "commits"),
    Column("commit_shas", "VARCHAR[]", "these commits, oldest first; GitHub tells at most 250"),
    Column("first_commit_at", "TIMESTAMP", "when the earliest of them was written", "UTC"),
    Column("unseen", "VARCHAR[]", f"of {', '.join(PARTS)} those that GitHub does not let us see"),
    Column("ai_assisted", "BOOLEAN", "its author or a commit names an assistant"),
    Column("ai_tool", "VARCHAR", "the assistant"),
    Column("is_revert", "BOOLEAN", "its title or body says that it undoes something"),
    Column("reverts_number", "BIGINT", "pull request that it undoes"),
    Column("reverts_sha", "VARCHAR", "commit that it undoes"),
    Column("read_until", "TIMESTAMP", "all of the repository is read up to here; NULL until it was once", "UTC"),
)
REVIEWS = _contract(
    "reviews",
    "One row per submitted review of a pull request.",
    ("repo", "number", "review_id"),
    Column("review_id", "BIGINT", "GitHub's id"),
    Column("author_login", "VARCHAR", "reviewer; NULL where the account was deleted"),
    Column("author_is_bot", "BOOLEAN", "the reviewer is a GitHub App"),
    Column("state", "VARCHAR", "approved, changes_requested, commented or dismissed"),
    Column("submitted_at", "TIMESTAMP", "when it was submitted", "UTC"),
    Column("comments", "BIGINT", "comments on code that belong to it", "comments"),
)
EVENTS = _contract(
    "events",
    "One row per event of a pull request that matters for its course, and per comment.",
    ("repo", "number", "position"),
    Column("position", "BIGINT", "place in the order of time, from 1"),
    Column(
        "event",
        "VARCHAR",
        "closed, reopened, merged, ready_for_review, convert_to_draft, head_ref_force_pushed, review_requested; "
        "commented (on the pull request), line_commented (on its code)",
    ),
    Column("actor_login", "VARCHAR", "who did it; NULL where the account was deleted"),
    Column("actor_is_bot", "BOOLEAN", "the account is a GitHub App"),
    Column("created_at", "TIMESTAMP", "when it happened", "UTC"),
)
CHECKS = _contract(
    "checks",
    "One row per check run that was seen on a head commit of a pull request, in its latest state.",
    ("repo", "number", "check_id"),
    Column("check_id", "BIGINT", "GitHub's id"),
    Column("head_sha", "VARCHAR", "commit that was checked"),
    Column("name", "VARCHAR", "name of the check"),
    Column("status", "VARCHAR", "queued, in_progress, completed..."),
    Column("conclusion", "VARCHAR", "success, failure, timed_out, cancelled...; NULL until it is completed"),
    Column("started_at", "TIMESTAMP", "when it started", "UTC"),
    Column("completed_at", "TIMESTAMP", "when it ended", "UTC"),
)
STATUSES = _contract(
    "statuses",
    "One row per commit status that was seen on a head commit of a pull request, in its latest state.",
    ("repo", "number", "head_sha", "context"),
    Column("head_sha", "VARCHAR", "commit that it is about"),
    Column("context", "VARCHAR", "what reports it"),
    Column("state", "VARCHAR", "pending, success, failure or error"),
    Column("created_at", "TIMESTAMP", "when it was reported", "UTC"),
)
_UNSEEN_OR_NULL = ", ".join(f"if({part} is null, '{part}', null)" for part in PARTS)
_UNSEEN = f"[part for part in [{_UNSEEN_OR_NULL}] if part is not null]"


def _latest(lake: Lake, landing: Path) -> str:
    """The SQL relation of the last snapshot of every pull request."""
    return (
        f"(select * from {_snapshots(lake, landing)} "
        "qualify row_number() over (partition by _source, number order by read_at desc, _chunk) = 1)"
    )


def _snapshots(lake: Lake, landing: Path) -> str:
    return read_chunks(PullRequest, chunk_paths(lake, landing, SOURCE, None))


def pull_request_rows(lake: Lake, landing: Path) -> pl.DataFrame:
    """The rows of `PULL_REQUESTS`."""
    landed = lake.frame(
        f"""
        select
            _source as repo,
            number,
            state,
            is_draft,
            title,
            revert_reference,
            author.login as author_login,
            author.is_bot as author_is_bot,
            list_sort(list_distinct([
                lower(made.author_email) for made in coalesce(commits, [])
                if made.login = author.login and made.author_email is not null
            ])) as author_emails,
            timezone('UTC', created_at) as created_at,
            timezone('UTC', updated_at) as updated_at,
            timezone('UTC', closed_at) as closed_at,
            timezone('UTC', merged_at) as merged_at,
            merge_commit_sha,
            head_sha,
            head_ref,
            base_ref,
            additions,
            deletions,
            changed_files,
            coalesce(commit_count, len(commits)) as commits,
            [made.sha for made in commits] as commit_shas,
            timezone('UTC', list_min([made.authored_at for made in commits])) as first_commit_at,
            {_UNSEEN} as unseen,
            [struct_pack(message := m.message, name := m.author_name, email := m.author_email)
             for m in coalesce(commits, [])] as made
        from {_latest(lake, landing)}
        """
    )
    facts = [_facts(row) for row in landed.iter_rows(named=True)]
    schema: dict[str, Any] = {
        "ai_assisted": pl.Boolean,
        "ai_tool": pl.String,
        "is_revert": pl.Boolean,
        "reverts_number": pl.Int64,
        "reverts_sha": pl.String,
    }
    until = read_until(lake)
    return (
        landed.drop("revert_reference", "made")
        .hstack(pl.DataFrame(facts, schema=schema))
        .with_columns(read_until=pl.col("repo").replace_strict(until, default=None, return_dtype=pl.Datetime()))
    )


def review_rows(lake: Lake, landing: Path) -> pl.DataFrame:
    """The rows of `REVIEWS`."""
    return lake.frame(
        f"""
        select
            repo,
            number,
            review.id as review_id,
            review.author.login as author_login,
            review.author.is_bot as author_is_bot,
            lower(review.state) as state,
            timezone('UTC', review.submitted_at) as submitted_at,
            len([one for one in coalesce(comments, []) if one.review_id = review.id]) as comments
        from (select _source as repo, number, comments, unnest(reviews) as review from {_latest(lake, landing)})
        """
    )


def event_rows(lake: Lake, landing: Path) -> pl.DataFrame:
    """The rows of `EVENTS`."""
    return lake.frame(
        f"""
        with happened as (
            select
                _source as repo,
                number,
                unnest(list_concat(
                    [struct_pack(event := e.event, login := e.actor.login, bot := e.actor.is_bot, at := e.created_at)
                     for e in coalesce(events, [])],
                    [struct_pack(
                        event := if(c.on_code, 'line_commented', 'commented'),
                        login := c.author.login, bot := c.author.is_bot, at := c.created_at
                     ) for c in coalesce(comments, [])]
                )) as one
            from {_latest(lake, landing)}
        )
        select
            repo,
            number,
            row_number() over (partition by repo, number order by one.at, one.event, one.login) as position,
            one.event,
            one.login as actor_login,
            one.bot as actor_is_bot,
            timezone('UTC', one.at) as created_at
        from happened
        """
    )


def check_rows(lake: Lake, landing: Path) -> pl.DataFrame:
    """The rows of `CHECKS`: of all snapshots, since a later one tells the checks of its own head only."""
    return lake.frame(
        f"""
        select
            repo,
            number,
            run.id as check_id,
            run.head_sha,
            run.name,
            run.status,
            run.conclusion,
            timezone('UTC', run.started_at) as started_at,
            timezone('UTC', run.completed_at) as completed_at
        from (
            select _source as repo, number, read_at, _chunk, unnest(checks) as run from {_snapshots(lake, landing)}
        )
        qualify row_number() over (partition by repo, number, check_id order by read_at desc, _chunk) = 1
        """
    )


def status_rows(lake: Lake, landing: Path) -> pl.DataFrame:
    """The rows of `STATUSES`: of all snapshots, as of checks."""
    return lake.frame(
        f"""
        select
            repo,
            number,
            one.head_sha,
            one.context,
            one.state,
            timezone('UTC', one.created_at) as created_at
        from (
            select _source as repo, number, read_at, _chunk, unnest(statuses) as one from {_snapshots(lake, landing)}
        )
        qualify 1 = row_number() over (
            partition by repo, number, one.head_sha, one.context order by read_at desc, _chunk
        )
        """
    )


TABLES: tuple[tuple[Contract, Callable[[Lake, Path], pl.DataFrame]], ...] = (
    (PULL_REQUESTS, pull_request_rows),
    (REVIEWS, review_rows),
    (EVENTS, event_rows),
    (CHECKS, check_rows),
    (STATUSES, status_rows),
    *FEED_TABLES,
)
"""Every table of this source and what makes its rows."""


def _facts(row: dict[str, Any]) -> dict[str, Any]:
    """What the texts of a pull request say: its title, what its body reverts, the messages of its commits."""
    own = classify(f"{row['title']}\n\n{row['revert_reference'] or ''}", ())
    by_commit = (
        classify(made["message"] or "", (), Identity(made["name"] or "", made["email"] or "")) for made in row["made"]
    )
    agent = classify("", (), Identity(row["author_login"] or "", ""))
    tool = _first_tool([agent, *by_commit])
    return {
        "ai_assisted": tool is not None,
        "ai_tool": tool,
        "is_revert": own.is_revert,
        "reverts_number": own.reverts_pr,
        "reverts_sha": own.reverts_sha,
    }


def _first_tool(facts: Iterable[CommitFacts]) -> str | None:
    return next((one.ai_tool for one in facts if one.ai_assisted), None)
