"""The days of a team and of its developers: what was done with AI and what was delivered.

Belongs here: reading marts into the series that associations are computed from. Does not: the statistics.
"""

from datetime import timedelta

import polars as pl

from prodlens_pipeline.warehouse.lake import Lake
from prodlens_pipeline.warehouse.windows import Window

DRIVERS = ("sessions", "calls", "active_hours", "output_tokens", "cost_usd", "accepted_lines")
"""What a team does with AI."""
OUTCOMES = ("commits", "prs_merged", "additions")
"""What it delivers."""


def covered_window(lake: Lake) -> Window | None:
    """From the first to the last day on which both AI use and delivery were read; None where there is no such day.

    Outside of it a day without rows means that nothing was read, inside that nothing happened.
    """
    return _common(use_window(lake), delivery_window(lake))


def told_window(lake: Lake) -> Window | None:
    """The days that metrics are told of: `covered_window`, or all of the one side where the other was never read."""
    used, delivered = use_window(lake), delivery_window(lake)
    return _common(used, delivered) if used and delivered else used or delivered


def team_days(lake: Lake, window: Window, repo: str | None = None) -> pl.DataFrame:
    """One row per day of `window`: `day`, `DRIVERS` of the whole team, `OUTCOMES` of `repo` or of all repositories.

    Bots are left out. A day without rows is 0, unless nothing was ever read of it; a cost that is not known is NULL.
    """
    parameters = {**window.parameters, "repo": repo}
    drivers = ", ".join(
        f"case when count(*) = 0 then 0 else sum({name}) end::double as {name}"
        for name in DRIVERS
        if name != "cost_usd"
    )
    used = lake.frame(
        f"select day, {drivers}, case when sum(calls) = 0 then 0 else sum(cost_usd) end::double as cost_usd "
        "from marts.daily_developer where not is_bot and day >= $window_start and day < $window_end group by day",
        parameters,
    )
    chosen = "and repo = $repo" if repo else ""
    delivered = lake.frame(
        f"select day, {', '.join(f'sum({name})::double as {name}' for name in OUTCOMES)} "
        f"from marts.daily_repo where day >= $window_start and day < $window_end {chosen} group by day",
        parameters,
    )
    days = pl.DataFrame({"day": window.days}, schema={"day": pl.Date})
    filled = days.join(used, on="day", how="left", coalesce=True)
    unknown_cost = pl.col("calls").is_not_null() & (pl.col("calls") > 0) & pl.col("cost_usd").is_null()
    filled = filled.with_columns(
        pl.when(unknown_cost).then(None).otherwise(pl.col("cost_usd").fill_null(0.0)).alias("cost_usd"),
        *(pl.col(name).fill_null(0.0) for name in DRIVERS if name != "cost_usd"),
    )
    outcomes = days.join(delivered, on="day", how="left", coalesce=True).with_columns(
        pl.col(name).fill_null(0.0) for name in OUTCOMES
    )
    never_read = (
        *(DRIVERS if use_window(lake) is None else ()),
        *(OUTCOMES if delivery_window(lake) is None else ()),
    )
    return (
        filled.join(outcomes, on="day", how="left", coalesce=True)
        .sort("day")
        .with_columns(pl.lit(None, pl.Float64).alias(name) for name in never_read)
    )


def developer_days(lake: Lake, window: Window) -> pl.DataFrame:
    """One row per developer and day of `window` with any activity: `developer_id`, `day`, `DRIVERS`, `OUTCOMES`.

    Bots are left out, and so are identities that the configuration maps to nobody: their use and their delivery
    stand under different names.
    """
    columns = ", ".join(f"{name}::double as {name}" for name in (*DRIVERS, *OUTCOMES))
    return lake.frame(
        f"select developer_id, day, {columns} from marts.daily_developer "
        "where not is_bot and not starts_with(developer_id, 'unknown') "
        "and day >= $window_start and day < $window_end order by developer_id, day",
        window.parameters,
    )


def use_window(lake: Lake) -> Window | None:
    """From the first to the last day on which AI use was read; None where there is none."""
    return span(lake, "core.llm_calls")


def delivery_window(lake: Lake) -> Window | None:
    """From the first to the last day on which delivery was read; None where there is none."""
    return span(lake, "core.commits")


def session_window(lake: Lake) -> Window | None:
    """From the first to the last day on which a session began; None where there is none."""
    return span(lake, "core.sessions")


def span(lake: Lake, table: str) -> Window | None:
    """From the first to the last day of a table; None where it is empty."""
    first, last = lake.rows(f"select min(day), max(day) from {table}")[0]
    return Window(first, last + timedelta(days=1)) if first and last else None


def _common(used: Window | None, delivered: Window | None) -> Window | None:
    if used is None or delivered is None:
        return None
    first, end = max(used.start, delivered.start), min(used.end, delivered.end)
    return Window(first, end) if first < end else None


def session_results(lake: Lake, window: Window) -> pl.DataFrame:
    """One row per session that began in `window`: its settings, whose it is, how it ended, cost and duration.

    A session counts as a success if it did not end in an error. The version is that of its first call.
    """
    return lake.frame(
        """
        select
            sessions.session_id,
            sessions.started_at,
            sessions.model,
            sessions.source,
            arg_min(calls.client_version, calls.started_at) as client_version,
            sessions.developer_id,
            sessions.day,
            not sessions.error_flag as success,
            sessions.cost_usd::double as cost_usd,
            sessions.wall_ms
        from core.sessions as sessions
        left join core.llm_calls as calls
            on sessions.session_id = calls.session_id
            and calls.started_at between sessions.started_at and sessions.ended_at
        where sessions.day >= $window_start and sessions.day < $window_end
        group by all
        order by sessions.session_id, sessions.started_at
        """,
        window.parameters,
    )
