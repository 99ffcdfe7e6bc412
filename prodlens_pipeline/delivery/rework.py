"""`raw.git_rework`: what became of merged pull requests, by git alone.

Belongs here: which pull requests were reverted, and whose lines were changed again, within 21 days of the merge.
Does not: following lines (`line_history.py`), finding reverts (`graph.py`), reviews and reopening (`github/`).

Only what reached the default branch counts, at the time it got there: a revert on a branch that was never merged
has reverted nothing.
"""

from prodlens_pipeline.delivery.line_history import WINDOW
from prodlens_pipeline.warehouse.contracts import Column, Contract
from prodlens_pipeline.warehouse.lake import Query

REWORK = Contract(
    schema="raw",
    name="git_rework",
    description="One row per pull request merged into the default branch, and what became of it within 21 days.",
    key=("repo", "pr_number"),
    not_null=("merge_sha", "merged_at", "window_elapsed"),
    partitioned=False,
    owner="team:delivery",
    columns=(
        Column("repo", "VARCHAR", "repository"),
        Column("pr_number", "BIGINT", "number of the pull request"),
        Column("merge_sha", "VARCHAR", "first commit of the default branch that merged or squashed it"),
        Column("merged_at", "TIMESTAMP", "when that was committed", "UTC"),
        Column("window_elapsed", "BOOLEAN", "the history goes on for 21 days after the merge"),
        Column(
            "lines_added",
            "BIGINT",
            "lines it brought to the default branch, moves and changes in white space aside; NULL where unknown",
            "lines",
        ),
        Column(
            "lines_changed_again_21d",
            "BIGINT",
            "of these, changed or removed within 21 days by others than itself and what reverts it; NULL where the "
            "window has not elapsed or the lines are unknown",
            "lines",
        ),
        Column("fixed_up_at", "TIMESTAMP", "the first such change; NULL where there is none yet", "UTC"),
        Column("fixed_up_by", "VARCHAR", "commit of the default branch that made it"),
        Column("fixed_up_by_pr", "BIGINT", "its pull request; NULL for a direct commit"),
        Column("reverted_at", "TIMESTAMP", "when its revert reached the default branch, however late", "UTC"),
        Column("reverted_by", "VARCHAR", "commit that reverts it"),
        Column("revert_basis", "VARCHAR[]", "how that is known: message, patch"),
    ),
)


def rework_query() -> Query:
    """The rows of `REWORK`, from the history of commits and of lines."""
    return Query(_SQL, {"window": WINDOW})


_SQL = """
with newest as (
    select repo, max(committed_at) as newest_at from raw.git_graph where is_reachable group by repo
),
merges as (
    select repo, landed_pr as pr_number, arg_min(sha, (landed_at, sha)) as merge_sha, min(landed_at) as merged_at,
        bool_or(is_cut_off) as is_cut_off
    from raw.git_graph
    where sha = landed_by and landed_pr is not null
    group by repo, landed_pr
),
undoing as (
    select * from raw.git_graph where on_default_branch and len(revert_basis) > 0
),
reverts as (
    select merges.repo, merges.pr_number, undo.landed_by, undo.landed_at, undo.sha, undo.revert_basis
    from undoing as undo
    inner join merges on undo.repo = merges.repo and undo.reverts_pr = merges.pr_number
    where undo.landed_at >= merges.merged_at
    union
    select merges.repo, merges.pr_number, undo.landed_by, undo.landed_at, undo.sha, undo.revert_basis
    from undoing as undo
    inner join merges on undo.repo = merges.repo and undo.reverts_sha = merges.merge_sha
    where undo.landed_at >= merges.merged_at
),
reverted as (
    select
        repo,
        pr_number,
        min(landed_at) as reverted_at,
        arg_min(sha, (landed_at, sha = landed_by, sha)) as reverted_by,
        arg_min(revert_basis, (landed_at, sha = landed_by, sha)) as revert_basis
    from reverts
    group by repo, pr_number
),
own as (
    select lines.repo, origin.landed_pr as pr_number, sum(lines.lines_added) as lines_added
    from raw.git_line_history as lines
    inner join raw.git_graph as origin on lines.repo = origin.repo and lines.sha = origin.sha
    where lines.changed_by = lines.landed_by
    group by lines.repo, origin.landed_pr
),
-- by itself, or DuckDB pairs the lines of a repository with all its merges
removed as materialized (
    select
        lines.repo, lines.lines_removed, lines.changed_at, lines.changed_by, origin.landed_pr,
        later.landed_pr as changed_by_pr
    from raw.git_line_history as lines
    inner join raw.git_graph as origin on lines.repo = origin.repo and lines.sha = origin.sha
    inner join raw.git_graph as later on lines.repo = later.repo and lines.changed_by = later.sha
    where lines.lines_removed > 0 and later.landed_pr is distinct from origin.landed_pr
),
changed as (
    select
        merges.repo,
        merges.pr_number,
        sum(removed.lines_removed) as lines_changed,
        min(removed.changed_at) as fixed_up_at,
        arg_min(removed.changed_by, (removed.changed_at, removed.changed_by)) as fixed_up_by,
        arg_min(removed.changed_by_pr, (removed.changed_at, removed.changed_by)) as fixed_up_by_pr
    from removed
    inner join merges on removed.repo = merges.repo and removed.landed_pr = merges.pr_number
    anti join reverts
        on removed.repo = reverts.repo and removed.landed_pr = reverts.pr_number
        and removed.changed_by = reverts.landed_by
    where removed.changed_at <= merges.merged_at + $window
    group by merges.repo, merges.pr_number
)
select
    merges.repo,
    merges.pr_number,
    merges.merge_sha,
    merges.merged_at,
    merges.merged_at + $window <= newest.newest_at as window_elapsed,
    if(merges.is_cut_off, null, coalesce(own.lines_added, 0)) as lines_added,
    if(merges.is_cut_off or not window_elapsed, null, coalesce(changed.lines_changed, 0)) as lines_changed_again_21d,
    changed.fixed_up_at,
    changed.fixed_up_by,
    changed.fixed_up_by_pr,
    reverted.reverted_at,
    reverted.reverted_by,
    reverted.revert_basis
from merges
inner join newest on merges.repo = newest.repo
left join own on merges.repo = own.repo and merges.pr_number = own.pr_number
left join changed on merges.repo = changed.repo and merges.pr_number = changed.pr_number
left join reverted on merges.repo = reverted.repo and merges.pr_number = reverted.pr_number
"""
