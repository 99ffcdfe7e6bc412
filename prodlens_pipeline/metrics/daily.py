"""The values of metrics day by day: what two windows are compared by, and what a data team plots.

Belongs here: evaluating registry entries for each day of a window. Does not: the whole window (`evaluate.py`).
"""

from collections.abc import Iterable

import polars as pl

from prodlens_pipeline.metrics.evaluate import Scope, Selection, alike, figures
from prodlens_pipeline.metrics.registry import Metric
from prodlens_pipeline.warehouse.contracts import Column, Contract
from prodlens_pipeline.warehouse.lake import Lake

DAILY_METRICS = Contract(
    schema="analysis",
    name="daily_metrics",
    description="One row per metric, whom it is about, and UTC day on which it has a value. Surveys have none by day.",
    key=("metric", "scope", "subject", "day"),
    partitioned=False,
    owner="team:metrics",
    columns=(
        Column("metric", "VARCHAR", "name in the registry"),
        Column("scope", "VARCHAR", "team, developer or repo"),
        Column("subject", "VARCHAR", "which team, developer or repository"),
        Column("day", "DATE", "UTC day"),
        Column("value", "DOUBLE", "the figure of this day alone, however small its sample", "as in the registry"),
        Column("n", "BIGINT", "sample size", "as in the registry"),
    ),
)
_PER_TIME = "$window_days"
"""A metric that names the length of the window is a rate per time: a day without rows is a day of 0."""
_OF_PEOPLE = "survey."
"""Few answer on one day: a value of that day would tell who said what, and outlive what was said."""


def daily_values(
    lake: Lake, metrics: Iterable[Metric], selection: Selection, team: str, scopes: Iterable[Scope]
) -> pl.DataFrame:
    """Rows of `DAILY_METRICS`, by day; days without a value are left out."""
    wanted = [metric for metric in metrics if not metric.table.startswith(_OF_PEOPLE)]
    chosen = list(scopes)
    empty = pl.DataFrame(schema={"metric": pl.String, "scope": pl.String, "subject": pl.String, "day": pl.Date})
    found = [empty.with_columns(value=pl.lit(None, pl.Float64), n=pl.lit(None, pl.Int64))]
    for group in alike(wanted):
        rows = figures(lake, group, selection, team, chosen, by_day=True)
        found += [_of_metric(rows, place, metric, selection) for place, metric in enumerate(group)]
    return pl.concat(found).sort("metric", "scope", "subject", "day")


def _of_metric(rows: pl.DataFrame, place: int, metric: Metric, selection: Selection) -> pl.DataFrame:
    values = rows.select("scope", "subject", "day", value=f"value_{place}", n=f"sample_{place}")
    if _PER_TIME in metric.value:
        days = pl.DataFrame({"day": selection.window.days}, schema={"day": pl.Date})
        every_day = values.select("scope", "subject").unique().join(days, how="cross")
        values = every_day.join(values, on=["scope", "subject", "day"], how="left").fill_null(0.0)
    known = values.drop_nulls("value")
    return known.select(
        pl.lit(metric.name).alias("metric"), "scope", "subject", "day", "value", pl.col("n").cast(pl.Int64)
    )
