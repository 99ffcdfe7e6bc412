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
    alike: dict[tuple[str | None, ...], list[Metric]] = {}
    for metric in wanted:
        alike.setdefault((metric.table, metric.where, metric.day, metric.developer, metric.repo), []).append(metric)
    found = {name: rows for group in alike.values() for name, rows in _found(lake, group, selection, team, chosen)}
    schema = {column.name: _POLARS[column.type] for column in SCORECARD.columns}
    return pl.DataFrame([row for metric in wanted for row in found[metric.name]], schema=schema, orient="row")


def _found(
    lake: Lake, metrics: Sequence[Metric], selection: Selection, team: str, scopes: Sequence[Scope]
) -> Iterator[tuple[str, list[tuple[object, ...]]]]:
    """Name and rows of metrics that look at the same rows of one table: all of them and all scopes in one pass."""
    first = metrics[0]
    subjects = {"team": "$team::varchar", "developer": first.developer, "repo": first.repo}
    present: list[Scope] = [scope for scope in scopes if subjects[scope]]
    about = ", ".join(f"{subjects[scope]} as about_{scope}" for scope in present)
    sets = ", ".join(f"(about_{scope})" for scope in present)
    named = [text for scope in present for text in (f"about_{scope}", f"grouping(about_{scope})")]
    figures = [figure for metric in metrics for figure in (metric.value, metric.sample)]
    chosen = f" and {first.repo} = $repo" if selection.repo and first.repo else ""
    rows = lake.rows(
        f"select {', '.join((*named, *figures))} from (select *, {about} from {first.table}) "
        f"where {first.day} >= $window_start and {first.day} < $window_end and {first.where}{chosen} "
        f"group by grouping sets ({sets})",
        {
            **selection.window.parameters,
            "window_days": len(selection.window.days),
            "team": team,
            "repo": selection.repo,
        },
    )
    of_scope: dict[Scope, list[tuple[str, tuple[float | None, ...]]]] = {scope: [] for scope in present}
    for row in rows:
        groups = row[: 2 * len(present)]
        place = groups[1::2].index(0)  # the one column that this row is grouped by
        of_scope[present[place]].append((groups[2 * place], row[2 * len(present) :]))
    if "team" in of_scope and not of_scope["team"]:
        of_scope["team"] = [(team, (None, 0) * len(metrics))]
    days = (selection.window.start, selection.window.days[-1])
    for place, metric in enumerate(metrics):
        yield (
            metric.name,
            [
                _row(metric, scope, days, subject, *found[2 * place : 2 * place + 2])
                for scope, group in of_scope.items()
                for subject, found in sorted(group, key=lambda one: str(one[0]))
            ],
        )


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
