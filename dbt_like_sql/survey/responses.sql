/*
description: One row per answer to a survey, and the developer who gave it.
grain: [response_id]
partitioned: none
owner: team:experience
tags: {layer: core}
columns:
  response_id: {type: VARCHAR, description: 'The id it came with, or a hash of who answered what and when'}
  survey: {type: VARCHAR, description: 'Survey, or round of one; unknown where the source says none'}
  respondent: {type: VARCHAR, description: 'The developer, or the answer itself where it was anonymous'}
  developer_id: {type: VARCHAR, description: 'Developer; unknown where it was anonymous, unknown:<hash> where the configuration maps the name to nobody'}
  session_id: {type: VARCHAR, description: 'The AI session it is about; NULL where none is named'}
  answered_at: {type: TIMESTAMP, description: When, unit: UTC}
  day: {type: DATE, description: UTC day it was given}
  nps: {type: BIGINT, description: 'Would recommend, 0 to 10; NULL where not answered'}
  nps_score: {type: BIGINT, description: '1 for a promoter (9 or 10), -1 for a detractor (0 to 6), 0 between'}
  satisfaction: {type: BIGINT, description: 'Satisfied, 1 to 5; NULL where not answered'}
  comment: {type: VARCHAR, description: 'Free text, redacted; NULL where there is none or the configuration keeps none'}
tests:
  not_null: [survey, respondent, developer_id, answered_at, day]
  expression:
    - {name: answers_in_range, sql: 'coalesce(nps between 0 and 10, true) and coalesce(satisfaction between 1 and 5, true)', description: Answers lie on their scales}
*/
select
    answer.response_id,
    coalesce(answer.survey, 'unknown') as survey,
    case
        when answer.developer is null then 'anonymous:' || answer.response_id
        else coalesce(by_identity.developer_id, by_name.developer_id, 'unknown:' || left(sha256(lower(answer.developer)), 12))
    end as respondent,
    case
        when answer.developer is null then 'unknown'
        else coalesce(by_identity.developer_id, by_name.developer_id, 'unknown:' || left(sha256(lower(answer.developer)), 12))
    end as developer_id,
    answer.session_id,
    answer.answered_at,
    answer.answered_at::date as day,
    answer.nps,
    case when answer.nps >= 9 then 1 when answer.nps <= 6 then -1 when answer.nps is not null then 0 end as nps_score,
    answer.satisfaction,
    answer.comment
from survey.answers as answer
left join raw.config_identities as by_identity on lower(answer.developer) = by_identity.identity
left join (
    select lower(developer_id) as name, min(developer_id) as developer_id from raw.config_identities group by all
) as by_name on lower(answer.developer) = by_name.name
