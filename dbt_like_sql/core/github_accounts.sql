/*
description: One row per GitHub account that did something to a pull request, released or deployed, and whose it is.
grain: [login]
partitioned: none
owner: team:delivery
tags: {layer: core}
columns:
  login: {type: VARCHAR, description: 'Login, lower case'}
  developer_id: {type: VARCHAR, description: 'The developer: of github:<login>, else of an e-mail that GitHub knows to be the account''s; bot:<login> for an App, unknown:<hash> where none is mapped'}
  is_mapped: {type: BOOLEAN, description: The configuration names the login or one of these e-mails}
  is_bot: {type: BOOLEAN, description: A GitHub App}
  records: {type: BIGINT, description: 'Pull requests, reviews, events, releases and deployments of it', unit: records}
  first_seen: {type: DATE, description: UTC day of the first of them}
  last_seen: {type: DATE, description: UTC day of the last of them}
tests:
  not_null: [developer_id, is_mapped, is_bot]
*/
with seen as (
    select lower(author_login) as login, author_is_bot as is_bot, created_at as seen_at, author_emails as emails
    from raw.github_pull_requests
    where author_login is not null
    union all
    select lower(author_login), author_is_bot, submitted_at, null::varchar[]
    from raw.github_reviews
    where author_login is not null
    union all
    select lower(actor_login), actor_is_bot, created_at, null::varchar[]
    from raw.github_events
    where actor_login is not null
    union all
    select lower(author_login), ends_with(author_login, '[bot]'), created_at, null::varchar[]
    from raw.github_releases
    where author_login is not null
    union all
    select lower(creator_login), ends_with(creator_login, '[bot]'), created_at, null::varchar[]
    from raw.github_deployments
    where creator_login is not null
),
by_email as (
    -- an account whose e-mails belong to two developers is nobody's
    select email.login, min(mapped.developer_id) as developer_id
    from (select login, unnest(emails) as address from seen) as email
    inner join raw.config_identities as mapped on email.address = mapped.identity
    group by email.login
    having count(distinct mapped.developer_id) = 1
),
accounts as (
    select login, bool_or(is_bot) as is_bot, count(*) as records, min(seen_at)::date as first_seen, max(seen_at)::date as last_seen
    from seen
    group by login
)
select
    account.login,
    case
        when account.is_bot then 'bot:' || account.login
        else coalesce(named.developer_id, by_email.developer_id, 'unknown:' || left(sha256('github:' || account.login), 12))
    end as developer_id,
    not account.is_bot and coalesce(named.developer_id, by_email.developer_id) is not null as is_mapped,
    account.is_bot,
    account.records,
    account.first_seen,
    account.last_seen
from accounts as account
left join raw.config_identities as named on 'github:' || account.login = named.identity
left join by_email on account.login = by_email.login
