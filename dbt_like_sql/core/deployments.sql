/*
description: One row per deployment of a GitHub repository and what became of it.
grain: [repo, deployment_id]
partitioned: none
owner: team:delivery
tags: {layer: core}
columns:
  repo: {type: VARCHAR, description: Repository}
  deployment_id: {type: BIGINT, description: Id of the deployment}
  environment: {type: VARCHAR, description: Where to}
  is_production: {type: BOOLEAN, description: 'GitHub says that the environment is production, or its name begins so'}
  sha: {type: VARCHAR, description: Commit that was deployed}
  creator_id: {type: VARCHAR, description: 'Developer who asked for it; unknown where the account was deleted'}
  created_at: {type: TIMESTAMP, description: When it was asked for, unit: UTC}
  day: {type: DATE, description: UTC day it was asked for}
  outcome: {type: VARCHAR, description: 'success: it was in place once; failure: it never was, and failed; pending: neither yet; unknown where GitHub does not show it'}
  ended_at: {type: TIMESTAMP, description: When it was in place or failed for the first time, unit: UTC}
tests:
  not_null: [environment, is_production, creator_id, created_at, day, outcome]
  accepted_values:
    - {column: outcome, values: [success, failure, pending, unknown]}
*/
with ends as (
    select
        repo,
        deployment_id,
        min(created_at) filter (where state = 'success') as succeeded_at,
        min(created_at) filter (where state in ('failure', 'error')) as failed_at
    from raw.github_deployment_statuses
    group by repo, deployment_id
)
select
    made.repo,
    made.deployment_id,
    made.environment,
    made.is_production,
    made.sha,
    coalesce(account.developer_id, 'unknown') as creator_id,
    made.created_at,
    made.created_at::date as day,
    case
        when not made.has_statuses then 'unknown'
        when ends.succeeded_at is not null then 'success'
        when ends.failed_at is not null then 'failure'
        else 'pending'
    end as outcome,
    coalesce(ends.succeeded_at, ends.failed_at) as ended_at
from raw.github_deployments as made
left join ends on made.repo = ends.repo and made.deployment_id = ends.deployment_id
left join core.github_accounts as account on lower(made.creator_login) = account.login
