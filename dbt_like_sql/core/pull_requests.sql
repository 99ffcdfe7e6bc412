/*
description: >-
  One row per pull request, latest state. What GitHub says holds, where the repository is read from there; a git history
  fills in the rest. A history alone knows merged ones only, and of these neither when they were opened nor reviewed:
  those columns are NULL.
grain: [repo, number]
partitioned: none
owner: team:delivery
tags: {layer: core}
columns:
  repo: {type: VARCHAR, description: Repository}
  number: {type: BIGINT, description: Number of the pull request}
  state: {type: VARCHAR, description: 'open, merged, or closed: without being merged'}
  is_draft: {type: BOOLEAN, description: Is a draft; unknown to git}
  title: {type: VARCHAR, description: Title}
  author_id: {type: VARCHAR, description: 'Developer who opened it, else who wrote its last commit; unknown where the account was deleted'}
  head_ref: {type: VARCHAR, description: Name of its branch; unknown to git}
  created_at: {type: TIMESTAMP, description: When it was opened; unknown to git, unit: UTC}
  ready_at: {type: TIMESTAMP, description: 'When it was last no longer a draft: its opening for one that never was; NULL for a draft; unknown to git', unit: UTC}
  first_commit_at: {type: TIMESTAMP, description: When its first commit was written; unknown to git for squashed ones, unit: UTC}
  first_review_at: {type: TIMESTAMP, description: 'First review, or comment on its code, that is neither the author''s nor a bot''s; unknown to git', unit: UTC}
  approved_at: {type: TIMESTAMP, description: First approval that is not a bot's and still in force; unknown to git, unit: UTC}
  merged_at: {type: TIMESTAMP, description: When it was merged; NULL where it is not, unit: UTC}
  merged_day: {type: DATE, description: UTC day it was merged}
  closed_at: {type: TIMESTAMP, description: When it was merged or closed; NULL where it is open, unit: UTC}
  reopened_at: {type: TIMESTAMP, description: 'Last reopening, which can only be before it was merged; unknown to git', unit: UTC}
  reopenings: {type: BIGINT, description: How often it was reopened; unknown to git, unit: events}
  additions: {type: BIGINT, description: Lines added, unit: lines}
  deletions: {type: BIGINT, description: Lines removed, unit: lines}
  changed_files: {type: BIGINT, description: Files changed, unit: files}
  commits: {type: BIGINT, description: Commits it brought in; unknown to git for squashed ones, unit: commits}
  reviews: {type: BIGINT, description: 'Reviews that are neither the author''s nor a bot''s; unknown to git', unit: reviews}
  review_comments: {type: BIGINT, description: Comments on its code; unknown to git, unit: comments}
  changes_requested: {type: BIGINT, description: 'Reviews that asked for changes, dismissed ones aside; unknown to git', unit: reviews}
  force_pushes: {type: BIGINT, description: How often its branch was rewritten; unknown to git, unit: events}
  failing_checks: {type: BIGINT, description: 'Failures of its pipelines: check runs and commit statuses on its head commits that failed, timed out or could not start, and workflow runs on commits of it whose checks were not seen; NULL where GitHub shows none of these', unit: checks}
  merge_commit_sha: {type: VARCHAR, description: Commit that merged it}
  merge_basis: {type: VARCHAR, description: 'How the history shows it. squash: a commit whose subject ends in (#N); merge: a merge commit; NULL where it does not'}
  ai_assisted: {type: BOOLEAN, description: 'A commit of it was, or an assistant opened it'}
  is_bot: {type: BOOLEAN, description: Written by a bot}
  is_revert: {type: BOOLEAN, description: Undoes an earlier pull request or commit}
  reverts_number: {type: BIGINT, description: Pull request that it undoes}
  reverted_at: {type: TIMESTAMP, description: When it was undone itself, unit: UTC}
tests:
  not_null: [author_id, state, ai_assisted, is_bot, is_revert]
  accepted_values:
    - {column: state, values: [open, merged, closed]}
    - {column: merge_basis, values: [squash, merge]}
  expression:
    - name: merged_is_dated
      sql: (state = 'merged') = (merged_at is not null) and (merged_at is null) = (merged_day is null)
      description: what is merged, and only that, has a time and a day of it
*/
with merges as (
    select *
    from raw.git_commits
    where pr_number is not null
    -- a cherry-picked squash commit carries the number again
    qualify row_number() over (partition by repo, pr_number order by committed_at, sha) = 1
),
branch_commits as (
    select
        brought.repo,
        brought.pr_number,
        min(made.authored_at) as first_commit_at,
        count(*) as commits,
        arg_max(made.author_id, (made.authored_at, made.sha)) as author_id,
        bool_or(made.ai_assisted) as ai_assisted,
        bool_and(made.is_bot) as is_bot
    from (select repo, pr_number, unnest(pr_commits) as sha from merges) as brought
    inner join core.commits as made on brought.repo = made.repo and brought.sha = made.sha
    group by brought.repo, brought.pr_number
),
git_pulls as (
    select
        merges.repo,
        merges.pr_number as number,
        merges.subject as title,
        coalesce(branch.author_id, made.author_id) as author_id,
        branch.first_commit_at,
        merges.committed_at as merged_at,
        merges.additions,
        merges.deletions,
        merges.files as changed_files,
        branch.commits,
        merges.sha as merge_commit_sha,
        merges.pr_basis as merge_basis,
        merges.ai_assisted or coalesce(branch.ai_assisted, false) as ai_assisted,
        coalesce(branch.is_bot, made.is_bot) as is_bot,
        merges.is_revert
    from merges
    inner join core.commits as made on merges.repo = made.repo and merges.sha = made.sha
    left join branch_commits as branch on merges.repo = branch.repo and merges.pr_number = branch.pr_number
),
looks as (
    -- what others did to the code of a pull request
    select repo, number, author_login as login, author_is_bot as is_bot, submitted_at as looked_at, state
    from raw.github_reviews
    union all
    select repo, number, actor_login, actor_is_bot, created_at, 'line_commented'
    from raw.github_events
    where event = 'line_commented'
),
reviewed as (
    select
        pull.repo,
        pull.number,
        min(look.looked_at) as first_review_at,
        min(look.looked_at) filter (where look.state = 'approved') as approved_at,
        count(*) filter (where look.state <> 'line_commented') as reviews,
        count(*) filter (where look.state = 'changes_requested') as changes_requested
    from raw.github_pull_requests as pull
    inner join looks as look on pull.repo = look.repo and pull.number = look.number
    -- a deleted account is somebody else
    where not coalesce(look.is_bot, false) and coalesce(look.login <> pull.author_login, true)
    group by pull.repo, pull.number
),
courses as (
    select
        repo,
        number,
        max(created_at) filter (where event = 'ready_for_review') as ready_at,
        max(created_at) filter (where event = 'reopened') as reopened_at,
        count(*) filter (where event = 'reopened') as reopenings,
        count(*) filter (where event = 'head_ref_force_pushed') as force_pushes,
        count(*) filter (where event = 'line_commented') as review_comments
    from raw.github_events
    group by repo, number
),
branches as (
    select repo, number, head_ref, unnest(list_distinct(list_append(commit_shas, head_sha))) as sha
    from raw.github_pull_requests
),
runs as (
    -- the jobs of a workflow are checks, too: a run tells more only where those were not seen
    select distinct branch.repo, branch.number, run.run_id, run.conclusion in ('failure', 'timed_out', 'startup_failure') as failed
    from raw.github_workflow_runs as run
    inner join branches as branch
        on run.repo = branch.repo and run.head_sha = branch.sha
        and (run.head_branch = branch.head_ref or list_contains(run.pull_numbers, branch.number))
    left join raw.github_checks as seen
        on branch.repo = seen.repo and branch.number = seen.number and branch.sha = seen.head_sha
    where seen.repo is null
),
checked as (
    select repo, number, count(*) filter (where failed) as failing_checks
    from (
        select repo, number, conclusion in ('failure', 'timed_out', 'startup_failure') as failed
        from raw.github_checks
        union all
        select repo, number, state in ('failure', 'error')
        from raw.github_statuses
        union all
        select repo, number, failed
        from runs
    ) as judged
    group by repo, number
),
github_pulls as (
    select
        pull.*,
        case when pull.merged_at is not null then 'merged' else pull.state end as end_state,
        coalesce(account.developer_id, 'unknown') as author_id,
        case when not pull.is_draft and not list_contains(pull.unseen, 'events')
            then coalesce(course.ready_at, pull.created_at) end as ready_at,
        -- the first that is seen is not the first where a part is hidden
        case when not list_has_any(pull.unseen, ['reviews', 'comments']) then reviewed.first_review_at end
            as first_review_at,
        case when not list_contains(pull.unseen, 'reviews') then reviewed.approved_at end as approved_at,
        case when not list_contains(pull.unseen, 'reviews') then coalesce(reviewed.reviews, 0) end as reviews,
        case when not list_contains(pull.unseen, 'reviews') then coalesce(reviewed.changes_requested, 0) end
            as changes_requested,
        course.reopened_at,
        case when not list_contains(pull.unseen, 'events') then coalesce(course.reopenings, 0) end as reopenings,
        case when not list_contains(pull.unseen, 'events') then coalesce(course.force_pushes, 0) end as force_pushes,
        case when not list_contains(pull.unseen, 'comments') then coalesce(course.review_comments, 0) end
            as review_comments,
        -- where checks are hidden, the other two tell of failures only if there are any of them
        case
            when list_contains(pull.unseen, 'checks') then checked.failing_checks
            else coalesce(checked.failing_checks, 0)
        end as failing_checks
    from raw.github_pull_requests as pull
    left join core.github_accounts as account on lower(pull.author_login) = account.login
    left join reviewed on pull.repo = reviewed.repo and pull.number = reviewed.number
    left join courses as course on pull.repo = course.repo and pull.number = course.number
    left join checked on pull.repo = checked.repo and pull.number = checked.number
),
pulls as (
    select
        repo,
        number,
        coalesce(hub.end_state, 'merged') as state,
        hub.is_draft,
        coalesce(hub.title, git.title) as title,
        coalesce(hub.author_id, git.author_id) as author_id,
        hub.head_ref,
        hub.created_at,
        hub.ready_at,
        coalesce(hub.first_commit_at, git.first_commit_at) as first_commit_at,
        hub.first_review_at,
        hub.approved_at,
        if(hub.end_state is null, git.merged_at, hub.merged_at) as merged_at,
        if(hub.end_state is null, git.merged_at, hub.closed_at) as closed_at,
        hub.reopened_at,
        hub.reopenings,
        coalesce(hub.additions, git.additions) as additions,
        coalesce(hub.deletions, git.deletions) as deletions,
        coalesce(hub.changed_files, git.changed_files) as changed_files,
        coalesce(hub.commits, git.commits) as commits,
        hub.reviews,
        hub.review_comments,
        hub.changes_requested,
        hub.force_pushes,
        hub.failing_checks,
        if(hub.end_state is null, git.merge_commit_sha, hub.merge_commit_sha) as merge_commit_sha,
        git.merge_basis,
        coalesce(git.ai_assisted, false) or coalesce(hub.ai_assisted, false) as ai_assisted,
        coalesce(hub.author_is_bot, git.is_bot, false) as is_bot,
        coalesce(git.is_revert, false) or coalesce(hub.is_revert, false) as is_revert,
        hub.reverts_number,
        hub.reverts_sha
    from git_pulls as git
    full join github_pulls as hub using (repo, number)
    -- GitHub knows all that happened until it was read: another number in a message is that of an issue
    left join (select repo, max(read_until) as read_until from raw.github_pull_requests group by repo) as known
        using (repo)
    where hub.end_state is not null or known.read_until is null or git.merged_at > known.read_until
),
reverting_commits as (
    select
        undo.repo,
        undo.sha,
        coalesce(place.landed_at, undo.committed_at) as committed_at,
        coalesce(undo.reverts_pr, min(undone.pr_number)) as number
    from raw.git_commits as undo
    left join raw.git_graph as place on undo.repo = place.repo and undo.sha = place.sha
    -- a message may abbreviate the id
    left join raw.git_commits as undone on undo.repo = undone.repo and starts_with(undone.sha, undo.reverts_sha)
    -- on a branch that was not merged it has undone nothing yet
    where undo.is_revert and coalesce(place.on_default_branch, true)
    group by undo.repo, undo.sha, undo.committed_at, undo.reverts_pr, place.landed_at
),
reverting_pulls as (
    select
        undo.repo,
        undo.number,
        coalesce(undo.reverts_number, min(undone.number), min(by_commit.number)) as reverts_number
    from pulls as undo
    left join pulls as undone
        on undo.repo = undone.repo and starts_with(undone.merge_commit_sha, undo.reverts_sha)
    left join reverting_commits as by_commit on undo.repo = by_commit.repo and undo.merge_commit_sha = by_commit.sha
    where undo.is_revert
    group by undo.repo, undo.number, undo.reverts_number
),
undone as (
    select repo, number, min(undone_at) as reverted_at
    from (
        select repo, number, committed_at as undone_at from reverting_commits
        union all
        select undo.repo, undo.reverts_number, pull.merged_at
        from reverting_pulls as undo
        inner join pulls as pull on undo.repo = pull.repo and undo.number = pull.number
        where pull.merged_at is not null
    ) as undoing
    where number is not null
    group by repo, number
)
select
    pull.repo,
    pull.number,
    pull.state,
    pull.is_draft,
    pull.title,
    pull.author_id,
    pull.head_ref,
    pull.created_at,
    pull.ready_at,
    pull.first_commit_at,
    pull.first_review_at,
    pull.approved_at,
    pull.merged_at,
    pull.merged_at::date as merged_day,
    pull.closed_at,
    pull.reopened_at,
    pull.reopenings,
    pull.additions,
    pull.deletions,
    pull.changed_files,
    pull.commits,
    pull.reviews,
    pull.review_comments,
    pull.changes_requested,
    pull.force_pushes,
    pull.failing_checks,
    pull.merge_commit_sha,
    pull.merge_basis,
    pull.ai_assisted,
    pull.is_bot,
    pull.is_revert,
    undo.reverts_number,
    undone.reverted_at
from pulls as pull
left join reverting_pulls as undo on pull.repo = undo.repo and pull.number = undo.number
left join undone on pull.repo = undone.repo and pull.number = undone.number
