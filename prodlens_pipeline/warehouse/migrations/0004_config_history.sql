-- up
create table ops.config_history (
    config_hash varchar not null,
    first_seen_at timestamp not null,
    run_id varchar,
    changed varchar[],
    digests varchar
);
insert into ops.config_history by name
select config_hash, started_at as first_seen_at, run_id
from (
    select config_hash, started_at, run_id, lag(config_hash) over (order by started_at, run_id) as earlier
    from ops.etl_runs
)
where earlier is distinct from config_hash;

-- down
drop table ops.config_history;
