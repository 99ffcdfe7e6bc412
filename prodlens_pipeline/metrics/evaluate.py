"""Evaluating metrics over a window: value, sample, threshold and verdict.

Belongs here: running the registry's SQL and judging the result.
Does not: the entries (`registry.py`), showing them (`reporting/`).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Literal

import polars as pl

from prodlens_pipeline.metrics.registry import METRICS, Metric
from prodlens_pipeline.warehouse.contracts import Column, Contract
from prodlens_pipeline.warehouse.lake import Lake
from prodlens_pipeline.warehouse.windows import Window

Scope = Literal["team", "developer", "repo"]

SCORECARD = Contract(
    schema="analysis",
    name="scorecard",
    description="One row per metric and whom it is about, over the whole window of the data.",
    key=("metric", "scope", "subject"),
    partitioned=False,
    owner="team:metrics",
    columns=(
        Column("metric", "VARCHAR", "name in the registry"),
        Column("title", "VARCHAR", "name for people"),
        Column("scope", "VARCHAR", "team, developer or repo"),
        Column("subject", "VARCHAR", "which team, developer or repository"),
        Column("window_start", "DATE", "first UTC day"),
        Column("window_end", "DATE", "last UTC day"),
        Column("value", "DOUBLE", "the figure; NULL where the sample is too small", "as in unit"),
        Column("unit", "VARCHAR", "unit of value and threshold"),
        Column("n", "BIGINT", "sample size", "as in sample_unit"),
        Column("sample_unit", "VARCHAR", "what the sample counts"),
        Column("minimum_sample", "BIGINT", "below this there is no value"),
        Column("threshold", "DOUBLE", "what a pass lies above or below; NULL where there is none"),
        Column("direction", "VARCHAR", "above, below or show"),
        Column("verdict", "VARCHAR", "pass, fail, shown or not enough data"),
        Column("formula", "VARCHAR", "how it is computed"),
        Column("source", "VARCHAR", "where it is required"),
    ),
)


@dataclass(frozen=True)
class Selection:
    """What is looked at: the days, and one repository or all."""

    window: Window
    repo: str | None = None


def effective_metrics(thresholds: Mapping[str, float]) -> list[Metric]:
    """The registry with the thresholds of the configuration.

    Raises:
        ValueError: a threshold names no metric, or one that has none.
    """
    known = {metric.name for metric in METRICS if metric.direction != "show"}
    unknown = sorted(thresholds.keys() - known)
    if unknown:
        raise ValueError(
            f"thresholds.{unknown[0]}: no metric of this name has a threshold; known are {', '.join(sorted(known))}"
        )
    return [replace(metric, threshold=thresholds.get(metric.name, metric.threshold)) for metric in METRICS]


def scorecard(
    lake: Lake, metrics: Iterable[Metric], selection: Selection, team: str, scopes: Iterable[Scope]
) -> pl.DataFrame:
    """Rows of `SCORECARD` for every metric and scope.

    Where a repository is selected, metrics of tables that know no repository are over all of them.
    """
    wanted, chosen = list(metrics), list(scopes)
    found = {
        metric.name: rows
        for group in alike(wanted)
        for metric, rows in zip(group, _of_window(lake, group, selection, team, chosen), strict=True)
    }
    schema = {column.name: _POLARS[column.type] for column in SCORECARD.columns}
    return pl.DataFrame([row for metric in wanted for row in found[metric.name]], schema=schema, orient="row")


def alike(metrics: Iterable[Metric]) -> list[list[Metric]]:
    """The metrics in groups that look at the same rows of one table, and so are read in one pass."""
    groups: dict[tuple[str | None, ...], list[Metric]] = {}
    for metric in metrics:
        groups.setdefault((metric.table, metric.where, metric.day, metric.developer, metric.repo), []).append(metric)
    return list(groups.values())


def figures(
    lake: Lake,
    metrics: Sequence[Metric],
    selection: Selection,
    team: str,
    scopes: Iterable[Scope],
    *,
    by_day: bool = False,
) -> pl.DataFrame:
    """What metrics that are `alike` come to, whatever the sample: one row per subject, or per subject and day.

    `scope`, `subject`, `day` (NULL unless `by_day`), and of the first metric `value_0` and `sample_0`, and so on. A
    subject without rows in the table has none here.
    """
    first = metrics[0]
    subjects = {"team": "$team::varchar", "developer": first.developer, "repo": first.repo}
    present = [scope for scope in scopes if subjects[scope]]
    # of the columns that scopes are about, one is grouped by in each row
    scope_of_row = " ".join(f"when grouping(about_{scope}) = 0 then '{scope}'" for scope in present)
    subject_of_row = " ".join(f"when grouping(about_{scope}) = 0 then about_{scope}" for scope in present)
    columns = [
        f"case {scope_of_row} end as scope",
        f"case {subject_of_row} end as subject",
        "about_day as day",
        *(f"({metric.value})::double as value_{place}" for place, metric in enumerate(metrics)),
        *(f"({metric.sample})::double as sample_{place}" for place, metric in enumerate(metrics)),
    ]
    about = ", ".join(f"{subjects[scope]} as about_{scope}" for scope in present)
    day = f"{first.day}::date" if by_day else "null::date"
    chosen = f" and {first.repo} = $repo" if selection.repo and first.repo else ""
    return lake.frame(
        f"select {', '.join(columns)} from (select *, {about}, {day} as about_day from {first.table}) "
        f"where {first.day} >= $window_start and {first.day} < $window_end and {first.where}{chosen} "
        f"group by grouping sets ({', '.join(f'(about_{scope}, about_day)' for scope in present)})",
        {
            **selection.window.parameters,
            "window_days": 1 if by_day else len(selection.window.days),
            "team": team,
            "repo": selection.repo,
        },
    )


def _of_window(
    lake: Lake, metrics: Sequence[Metric], selection: Selection, team: str, scopes: Sequence[Scope]
) -> Iterator[list[tuple[object, ...]]]:
    """The rows of each of the metrics, which are alike; a team without any row of the table has one all the same."""
    found = figures(lake, metrics, selection, team, scopes)
    days = (selection.window.start, selection.window.days[-1])
    for place, metric in enumerate(metrics):
        rows = found.select("scope", "subject", f"value_{place}", f"sample_{place}").rows()
        if "team" in scopes and not any(scope == "team" for scope, *_ in rows):
            rows.append(("team", team, None, 0.0))
        yield [
            _row(metric, scope, days, subject, value, sample)
            for scope, subject, value, sample in sorted(rows, key=lambda row: (scopes.index(row[0]), str(row[1])))
        ]


def _row(
    metric: Metric, scope: Scope, days: tuple[date, date], subject: str, value: float | None, sample: float | None
) -> tuple[object, ...]:
    n = int(sample or 0)
    supported = float(value) if value is not None and n >= metric.minimum_sample else None
    return (
        *(metric.name, metric.title, scope, subject, *days),
        *(supported, metric.unit, n, metric.sample_unit, metric.minimum_sample),
        *(metric.threshold, metric.direction, _verdict(metric, supported), metric.formula, metric.source),
    )


def _verdict(metric: Metric, value: float | None) -> str:
    if value is None:
        return "not enough data"
    if metric.threshold is None or metric.direction == "show":
        return "shown"
    passed = value > metric.threshold if metric.direction == "above" else value < metric.threshold
    return "pass" if passed else "fail"


_POLARS = {"VARCHAR": pl.String, "DATE": pl.Date, "DOUBLE": pl.Float64, "BIGINT": pl.Int64}
