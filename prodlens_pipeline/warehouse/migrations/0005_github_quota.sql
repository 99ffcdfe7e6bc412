-- up
create table ops.github_quota (
    api_url varchar not null,
    resource varchar not null,
    quota bigint not null,
    remaining bigint not null,
    resets_at timestamp not null,
    told_at timestamp not null
);

-- down
drop table ops.github_quota;
