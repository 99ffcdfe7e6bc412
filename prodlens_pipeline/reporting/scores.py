"""What scores are made of: the parts of complexity, where costs are known from, configurations side by side.

Belongs here: reading them over a window. Does not: computing a score (`dbt_like_sql/marts`, `analysis`), its wording.
"""

from collections.abc import Container
from dataclasses import dataclass

import polars as pl

from prodlens_pipeline.warehouse.lake import Lake
from prodlens_pipeline.warehouse.windows import Window

PARTS = ("retry_part", "pipeline_part", "debugging_part", "code_part")


@dataclass(frozen=True)
class Scores:
    """`complexity`: one row per `subject` with `n` and the means of `PARTS` and `complexity`, NULL where not known.

    `costs`: one row per `cost_source` with `calls` and `cost_usd`. `configurations`: rows of
    `analysis.model_comparison` of exactly the window.
    """

    complexity: pl.DataFrame
    costs: pl.DataFrame
    configurations: pl.DataFrame


_MEANS = ", ".join(f"avg({name}) as {name}" for name in (*PARTS, "complexity"))
_COMPLEXITY = {
    "marts.session_scores": f"""
        select 'a session' as subject, count(*) as n, {_MEANS} from marts.session_scores
        where day >= $window_start and day < $window_end
    """,
    "marts.pull_request_scores": f"""
        select 'a merged pull request' as subject, count(complexity) as n, {_MEANS} from marts.pull_request_scores
        where not is_bot and merged_day >= $window_start and merged_day < $window_end
    """,
}
_COSTS = """
    select cost_source, count(*) as calls, sum(cost_usd)::double as cost_usd from core.llm_calls
    where day >= $window_start and day < $window_end group by cost_source order by calls desc, cost_source
"""
_CONFIGURATIONS = """
    select * from analysis.model_comparison where window_start = $first and window_end = $last
    order by setting desc, sessions desc, configuration
"""


def scores(lake: Lake, window: Window, tables: Container[str]) -> Scores:
    """The details of the scores of all repositories; empty frames where the lake has no such table."""
    complexity = [lake.frame(sql, window.parameters) for table, sql in _COMPLEXITY.items() if table in tables]
    known = "analysis.model_comparison" in tables
    return Scores(
        complexity=pl.concat(complexity).filter(pl.col("n") > 0) if complexity else pl.DataFrame(),
        costs=lake.frame(_COSTS, window.parameters),
        configurations=lake.frame(_CONFIGURATIONS, {"first": window.days[0], "last": window.days[-1]})
        if known
        else pl.DataFrame(),
    )
