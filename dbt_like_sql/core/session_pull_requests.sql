/*
description: >-
  One row per session and pull request that it worked for, by the best evidence there is. A session with several pull
  requests of the same evidence is shared among them in equal parts.
grain: [session_id, started_at, repo, number]
partitioned: none
owner: team:metrics
tags: {layer: core}
columns:
  session_id: {type: VARCHAR, description: The conversation}
  started_at: {type: TIMESTAMP, description: First activity of the session, unit: UTC}
  day: {type: DATE, description: UTC day of the session}
  developer_id: {type: VARCHAR, description: Whose session it is}
  repo: {type: VARCHAR, description: Repository of the pull request}
  number: {type: BIGINT, description: The pull request}
  merged_day: {type: DATE, description: UTC day it was merged; NULL where it is not}
  basis: {type: VARCHAR, description: 'link: the transcript names the pull request; branch: the session worked on its branch; commit: a commit of it was written during the session or within 30 minutes after it; time: the same developer was at work on no other pull request of that repository'}
  confidence: {type: DOUBLE, description: 'How far such evidence is to be trusted: 1 link, 0.9 branch, 0.7 commit, 0.4 time', unit: share}
  share: {type: DOUBLE, description: Part of the session that counts for this pull request, unit: share}
  cost_usd: {type: "DECIMAL(18,8)", description: That part of the cost of the session; NULL where its price is unknown, unit: USD}
tests:
  not_null: [developer_id, basis, confidence, share]
  accepted_values:
    - {column: basis, values: [link, branch, commit, time]}
*/
with sessions as (
    select
        *,
        coalesce(lead(started_at) over (partition by session_id order by started_at), timestamp '9999-12-31') as next_at
    from core.sessions
),
pulls as (
    select
        repo,
        number,
        author_id,
        head_ref,
        merged_day,
        coalesce(first_commit_at, created_at, merged_at) as begun_at,
        coalesce(merged_at, closed_at, timestamp '9999-12-31') as ended_at
    from core.pull_requests
),
linked as (
    select sessions.session_id, sessions.started_at, pulls.repo, pulls.number, 'link' as basis, 1.0 as confidence
    from sessions
    inner join core.activity as happened
        on sessions.session_id = happened.session_id
        and happened.happened_at >= sessions.started_at and happened.happened_at < sessions.next_at
    inner join pulls on happened.pr_number = pulls.number and lower(happened.pr_repository) = lower(pulls.repo)
    where happened.kind = 'pull_request'
),
branched as (
    select sessions.session_id, sessions.started_at, pulls.repo, pulls.number, 'branch' as basis, 0.9 as confidence
    from sessions
    inner join pulls
        on sessions.repo = pulls.repo and sessions.branch = pulls.head_ref
        and sessions.started_at <= pulls.ended_at and sessions.ended_at >= pulls.begun_at - interval 14 day
),
-- by itself, or DuckDB pairs every session with every pull request of its repository
made as materialized (
    select made.repo, made.author_id, made.authored_at, pulls.number
    from core.commits as made
    inner join pulls on made.repo = pulls.repo and made.pr_number = pulls.number
),
committed as (
    select sessions.session_id, sessions.started_at, made.repo, made.number, 'commit' as basis, 0.7 as confidence
    from sessions
    inner join made
        on sessions.repo = made.repo and sessions.developer_id = made.author_id
        and made.authored_at >= sessions.started_at and made.authored_at <= sessions.ended_at + interval 30 minute
),
timed as (
    select
        sessions.session_id,
        sessions.started_at,
        any_value(pulls.repo) as repo,
        any_value(pulls.number) as number,
        'time' as basis,
        0.4 as confidence
    from sessions
    inner join pulls
        on sessions.repo = pulls.repo and sessions.developer_id = pulls.author_id
        and sessions.started_at <= pulls.ended_at and sessions.ended_at >= pulls.begun_at - interval 1 day
    group by sessions.session_id, sessions.started_at
    having count(*) = 1
),
evidence as (
    select distinct * from (
        select * from linked union all select * from branched union all select * from committed union all select * from timed
    )
    qualify confidence = max(confidence) over (partition by session_id, started_at)
)
select
    evidence.session_id,
    evidence.started_at,
    sessions.day,
    sessions.developer_id,
    evidence.repo,
    evidence.number,
    pulls.merged_day,
    evidence.basis,
    evidence.confidence,
    1.0 / count(*) over (partition by evidence.session_id, evidence.started_at) as share,
    (sessions.cost_usd / count(*) over (partition by evidence.session_id, evidence.started_at))::decimal(18, 8) as cost_usd
from evidence
inner join sessions on evidence.session_id = sessions.session_id and evidence.started_at = sessions.started_at
inner join pulls on evidence.repo = pulls.repo and evidence.number = pulls.number
