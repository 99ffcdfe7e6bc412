/*
description: >-
  One row per call to a model, counted once however many sources saw it, with what the provider billed. Each field
  comes from the source that knows it best.
grain: [day, call_id]
lookback_days: 1
lookahead_days: 1
owner: team:traces
tags: {layer: core}
plotted: sum(cost_usd)
columns:
  call_id: {type: VARCHAR, description: The client's call; retries and fallbacks of one call share it}
  source: {type: VARCHAR, description: Type of the source that knows best what was billed}
  source_name: {type: VARCHAR, description: The configured source}
  session_id: {type: VARCHAR, description: 'The conversation it belongs to; where the source names none, the one its caller was in, else calls-of:<developer>'}
  developer_id: {type: VARCHAR, description: Who called; 'unknown:<hash>' where no identity is mapped}
  trace_id: {type: VARCHAR, description: Trace of the source}
  span_id: {type: VARCHAR, description: Span of the source}
  started_at: {type: TIMESTAMP, description: Start of the first attempt, unit: UTC}
  ended_at: {type: TIMESTAMP, description: Last byte of the final attempt, unit: UTC}
  day: {type: DATE, description: UTC day of the start}
  provider: {type: VARCHAR, description: Provider that was called}
  model_requested: {type: VARCHAR, description: Model the client asked for}
  model: {type: VARCHAR, description: Model that answered}
  input_tokens: {type: BIGINT, description: Uncached input, unit: tokens}
  cache_read_tokens: {type: BIGINT, description: Input read from the provider's cache, unit: tokens}
  cache_write_tokens: {type: BIGINT, description: Input written to the provider's cache with any lifetime, unit: tokens}
  cache_write_1h_tokens: {type: BIGINT, description: Of the cache writes those kept for an hour; NULL where the source does not say, unit: tokens}
  output_tokens: {type: BIGINT, description: Output, unit: tokens}
  cost_usd: {type: "DECIMAL(18,8)", description: Cost of the call; NULL where the model has no known price, unit: USD}
  cost_source: {type: VARCHAR, description: 'gateway, trace, application or transcript: as logged there; list_price: tokens times list price; gateway_cache: no provider was called; unpriced: no price is known'}
  latency_ms: {type: DOUBLE, description: Start of the call to its last byte; NULL where the source does not measure it, unit: ms}
  ttft_ms: {type: DOUBLE, description: Start of the call to its first byte; streamed calls only, unit: ms}
  attempts: {type: INTEGER, description: Attempts that were logged for the call}
  fallback_from: {type: VARCHAR, description: Model that failed before another one answered}
  status_code: {type: INTEGER, description: HTTP status of the final attempt; NULL where the source gives none}
  error_type: {type: VARCHAR, description: Class of the error where the final attempt failed}
  is_sidechain: {type: BOOLEAN, description: Made by a subagent}
  stream: {type: BOOLEAN, description: Whether the answer was streamed; NULL where the source does not say}
  gateway_cache_hit: {type: BOOLEAN, description: Answered from the gateway's own cache and not billed}
  team_alias: {type: VARCHAR, description: Team that the gateway names}
  repo_path: {type: VARCHAR, description: Working directory of the call}
  branch: {type: VARCHAR, description: Branch that was checked out}
  client_version: {type: VARCHAR, description: Version of the client}
  retry_reason: {type: VARCHAR, description: Class of the error of an attempt before the final one}
  output_underreported: {type: BOOLEAN, description: 'The client version is known to log too few output tokens (Claude Code 2.1.12 to 2.1.42)'}
  seen_in: {type: "VARCHAR[]", description: Types of all sources that saw the call}
tests:
  not_null: [source, session_id, developer_id, started_at, day, model, cost_source, attempts, gateway_cache_hit]
  accepted_values:
    - {column: cost_source, values: [gateway, trace, application, transcript, list_price, gateway_cache, unpriced]}
  expression:
    - {name: tokens_not_negative, sql: "least(input_tokens, cache_read_tokens, cache_write_tokens, output_tokens) >= 0", description: No kind of token is negative}
    - {name: ends_after_start, sql: "ended_at >= started_at", description: A call ends after it starts}
    - {name: cost_known_or_said, sql: "(cost_usd is null) = (cost_source = 'unpriced')", description: An unknown cost is NULL and said to be unpriced}
*/
with observed as (
    select
        *,
        source || '|' || observation_id as observation,
        -- who knows best what was billed, and who knows best where and by whom it was called
        case observer when 'gateway' then 1 when 'trace' then 2 when 'application' then 3 else 4 end as billing,
        case observer when 'transcript' then 1 when 'application' then 2 when 'gateway' then 3 else 4 end as context
    from core.observed_calls
    where day >= $window_start - interval 1 day and day < $window_end + interval 1 day
),
keys as (
    -- what one source saw twice, such as an answer from a cache with the id of the first one, tells two calls apart
    select key, source, arg_min(observation, (started_at, observation)) as observation
    from (select unnest(match_keys) as key, source, observation, started_at from observed)
    group by key, source
),
shared as (
    select key, min(observation) as nearest from keys group by key having count(*) > 1
),
neighbours as (
    select keys.observation, min(shared.nearest) as nearest
    from keys
    inner join shared on keys.key = shared.key
    group by keys.observation
),
-- two steps reach everybody: whoever saw a call shares a key with its best witness
reached as (
    select keys.key, min(neighbours.nearest) as nearest
    from keys
    inner join neighbours on keys.observation = neighbours.observation
    group by keys.key
),
groups as (
    select keys.observation, min(reached.nearest) as call_group
    from keys
    inner join reached on keys.key = reached.key
    group by keys.observation
),
witnesses as (
    select observed.*, groups.call_group
    from observed
    inner join groups on observed.observation = groups.observation
),
merged as (
    select
        arg_min(witnesses, (billing, observation)) as best,
        arg_min(session_id, (context, observation)) as session_id,
        arg_min(repo_path, (context, observation)) as repo_path,
        arg_min(branch, (context, observation)) as branch,
        arg_min(client_version, (context, observation)) as client_version,
        arg_min(trace_id, (if(observer = 'trace', 0, 1), billing, observation)) as trace_id,
        arg_min(span_id, (billing, observation)) as span_id,
        arg_min(provider, (billing, observation)) as provider,
        arg_min(input_tokens, (billing, observation)) as input_tokens,
        arg_min(cache_read_tokens, (billing, observation)) as cache_read_tokens,
        arg_min(cache_write_tokens, (billing, observation)) as cache_write_tokens,
        max(cache_write_1h_tokens) as cache_write_1h_tokens,
        arg_min(output_tokens, (billing, observation)) as output_tokens,
        -- a cost of 0 may mean that a source knows no price
        coalesce(
            arg_min(logged_cost_usd, (billing, observation)) filter (where logged_cost_usd > 0),
            arg_min(logged_cost_usd, (billing, observation))
        ) as logged_cost_usd,
        arg_min(observer, (billing, observation)) filter (where logged_cost_usd > 0) as cost_observer,
        bool_or(coalesce(unbilled, false)) as unbilled,
        arg_min(latency_ms, (billing, observation)) as latency_ms,
        arg_min(ttft_ms, (billing, observation)) as ttft_ms,
        arg_min(fallback_from, (billing, observation)) as fallback_from,
        arg_min(retry_reason, (billing, observation)) as retry_reason,
        bool_and(is_sidechain) filter (where context = 1) as is_sidechain,
        arg_min(stream, (billing, observation)) as stream,
        arg_min(team_alias, (billing, observation)) as team_alias,
        arg_min(output_underreported, (billing, observation)) filter (where output_tokens is not null) as output_underreported,
        list_sort(list(distinct source)) as seen_in,
        list(distinct source_name) as source_names,
        flatten(list(identities order by billing, observation)) as identities
    from witnesses
    group by call_group
),
calls as (
    select
        best.observation_id as call_id,
        best.source as source,
        best.source_name as source_name,
        best.identity as identity,
        best.started_at as started_at,
        best.ended_at as ended_at,
        coalesce(best.model_requested, best.model) as model_requested,
        best.model as model,
        best.attempts as attempts,
        best.status_code as status_code,
        best.error_type as error_type,
        best.gateway_cache_hit as gateway_cache_hit,
        best.observer as observer,
        merged.* exclude (best)
    from merged
    union all by name
    -- most calls have one witness: merging them too would take several times as long
    select
        observation_id as call_id,
        coalesce(model_requested, model) as model_requested,
        case when logged_cost_usd > 0 then observer end as cost_observer,
        coalesce(unbilled, false) as unbilled,
        case when context = 1 then is_sidechain end as is_sidechain,
        case when output_tokens is not null then output_underreported end as output_underreported,
        [source] as seen_in,
        [source_name] as source_names,
        observed.* exclude (
            day, observation_id, match_keys, model_requested, unbilled, is_sidechain, output_underreported, observation,
            billing, context
        )
    from observed
    anti join groups on observed.observation = groups.observation
),
nearby as (
    -- a call that names no session belongs to the one its caller was in, a pause's length before or after
    select lone.call_id, named.session_id, lone.started_at - named.started_at as distance
    from (select * from calls where session_id is null) as lone
    asof join (select * from calls where session_id is not null) as named
        on lone.identity = named.identity and lone.started_at >= named.started_at
    union all
    select lone.call_id, named.session_id, named.started_at - lone.started_at as distance
    from (select * from calls where session_id is null) as lone
    asof join (select * from calls where session_id is not null) as named
        on lone.identity = named.identity and lone.started_at <= named.started_at
),
adopted as (
    select nearby.call_id, arg_min(nearby.session_id, (nearby.distance, nearby.session_id)) as session_id
    from nearby
    inner join raw.config_values as idle on idle.name = 'session_idle_minutes'
    where nearby.distance <= to_minutes(idle.number::integer)
    group by nearby.call_id
),
owners as (
    -- the first of a call's identities that the configuration maps
    select named.call_id, named.started_at, arg_min(mapped.developer_id, named.place) as developer_id
    from (
        select call_id, started_at, unnest(identities) as identity, generate_subscripts(identities, 1) as place from calls
    ) as named
    inner join raw.config_identities as mapped on named.identity = mapped.identity
    group by named.call_id, named.started_at
),
declared as (
    -- whose traces a source holds, where the configuration says
    select calls.call_id, calls.started_at, min(sources.developer) as developer
    from calls
    inner join raw.config_sources as sources on list_contains(calls.source_names, sources.source_name)
    group by calls.call_id, calls.started_at
),
priced as (
    select
        calls.* replace (coalesce(calls.session_id, adopted.session_id) as session_id),
        coalesce(declared.developer, owners.developer_id, 'unknown:' || left(sha256(lower(calls.identity)), 12)) as developer_id,
        -- a kind of cached token that a record does not mention was not billed
        (calls.input_tokens * price.input_usd_per_mtok
            + coalesce(calls.cache_read_tokens, 0) * price.cache_read_usd_per_mtok
            + (coalesce(calls.cache_write_tokens, 0) - coalesce(calls.cache_write_1h_tokens, 0)) * price.cache_write_usd_per_mtok
            + coalesce(calls.cache_write_1h_tokens, 0) * price.cache_write_1h_usd_per_mtok
            + calls.output_tokens * price.output_usd_per_mtok) / 1e6 as list_cost_usd
    from (
        select *, input_tokens + coalesce(cache_read_tokens, 0) + coalesce(cache_write_tokens, 0) as prompt_tokens from calls
    ) as calls
    left join adopted on calls.call_id = adopted.call_id
    left join owners on calls.call_id = owners.call_id and calls.started_at = owners.started_at
    left join declared on calls.call_id = declared.call_id and calls.started_at = declared.started_at
    left join core.model_prices as price
        on calls.provider = price.provider and calls.model = price.model
        and calls.started_at::date >= price.valid_from and calls.started_at::date < price.valid_until
        and calls.prompt_tokens > price.above_input_tokens and calls.prompt_tokens <= price.up_to_input_tokens
)
select
    call_id,
    source,
    source_name,
    coalesce(session_id, 'calls-of:' || developer_id) as session_id,
    developer_id,
    trace_id,
    span_id,
    started_at,
    ended_at,
    started_at::date as day,
    provider,
    model_requested,
    model,
    input_tokens,
    cache_read_tokens,
    cache_write_tokens,
    cache_write_1h_tokens,
    output_tokens,
    case
        when unbilled then 0
        when logged_cost_usd > 0 then logged_cost_usd
        when prompt_tokens + output_tokens = 0 then coalesce(logged_cost_usd, 0)
        else list_cost_usd
    end as cost_usd,
    case
        when gateway_cache_hit then 'gateway_cache'
        when unbilled then observer
        when logged_cost_usd > 0 then cost_observer
        when prompt_tokens + output_tokens = 0
            then if(logged_cost_usd is null, 'list_price', 'gateway')
        when list_cost_usd is not null then 'list_price'
        else 'unpriced'
    end as cost_source,
    latency_ms,
    ttft_ms,
    attempts,
    fallback_from,
    status_code,
    error_type,
    coalesce(is_sidechain, false) as is_sidechain,
    stream,
    gateway_cache_hit,
    team_alias,
    repo_path,
    branch,
    client_version,
    retry_reason,
    coalesce(output_underreported, false) as output_underreported,
    seen_in
from priced
where started_at >= $window_start and started_at < $window_end
