/*
description: One row per published release of a GitHub repository.
grain: [repo, release_id]
partitioned: none
owner: team:delivery
tags: {layer: core}
columns:
  repo: {type: VARCHAR, description: Repository}
  release_id: {type: BIGINT, description: Id of the release}
  tag: {type: VARCHAR, description: Tag that it releases}
  name: {type: VARCHAR, description: Title}
  author_id: {type: VARCHAR, description: 'Developer who made it; unknown where the account was deleted'}
  is_prerelease: {type: BOOLEAN, description: Not meant for production}
  published_at: {type: TIMESTAMP, description: When it was published, unit: UTC}
  day: {type: DATE, description: UTC day it was published}
tests:
  not_null: [author_id, is_prerelease, published_at, day]
*/
select
    release.repo,
    release.release_id,
    release.tag,
    release.name,
    coalesce(account.developer_id, 'unknown') as author_id,
    release.is_prerelease,
    release.published_at,
    release.published_at::date as day
from raw.github_releases as release
left join core.github_accounts as account on lower(release.author_login) = account.login
where release.published_at is not null
