"""Two windows side by side: every metric in both, and whether the days between them tell of a change.

Belongs here: choosing the earlier window and reading both. Does not: the statistics (`analysis.changes`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import polars as pl

from prodlens_pipeline.analysis.changes import Change, DailyValues, Verdict, changes
from prodlens_pipeline.metrics.daily import daily_values
from prodlens_pipeline.metrics.evaluate import Selection, scorecard
from prodlens_pipeline.metrics.registry import Metric
from prodlens_pipeline.reporting.errors import ReportError
from prodlens_pipeline.warehouse.lake import Lake
from prodlens_pipeline.warehouse.windows import Window

PREVIOUS = "previous"


@dataclass(frozen=True)
class ComparedMetric:
    """One metric in both windows: `before`, `after` and their difference are in `unit`, None with too small a sample.

    `change` is the evidence: the difference of daily means, which weigh each day alike, with its interval.
    """

    metric: str
    title: str
    unit: str
    sample_unit: str
    before: float | None
    after: float | None
    n_before: int
    n_after: int
    change: Change

    @property
    def difference(self) -> float | None:
        """After minus before."""
        return None if self.before is None or self.after is None else self.after - self.before

    @property
    def verdict(self) -> Verdict:
        """Changed only where the windows' own values differ in the direction in which the days do."""
        if self.difference is None:
            return Verdict.NOT_ENOUGH_DATA
        agrees = (self.change.difference or 0.0) * self.difference > 0
        if self.change.verdict == Verdict.CHANGED and not agrees:
            return Verdict.NO_CLEAR_CHANGE
        return self.change.verdict


@dataclass(frozen=True)
class Comparison:
    """The report's window beside the earlier one, one entry per metric in the order of the registry."""

    before: Window
    after: Window
    metrics: tuple[ComparedMetric, ...]


def other_window(wanted: str, window: Window, covered: Window) -> Window:
    """The window that `wanted` names, as far as there is data: `previous`, as long as `window`, or `FROM..TO`.

    Raises:
        ReportError: `wanted` is no such thing, overlaps `window`, or lies where nothing was read.
    """
    other = Window(window.start - (window.end - window.start), window.start) if wanted == PREVIOUS else _parsed(wanted)
    if other.start < window.end and window.start < other.end:
        raise ReportError(
            f"--compare {wanted}: overlaps the report's own days, {window}; give a later --since than {other}"
        )
    start, end = max(other.start, covered.start), min(other.end, covered.end)
    if start >= end:
        raise ReportError(
            f"--compare {wanted}: nothing was read in {other}; the figures are of {covered}. "
            "Give a later --since to compare its days with those before"
        )
    return Window(start, end)


def compare(
    lake: Lake, metrics: Sequence[Metric], scores: pl.DataFrame, after: Selection, before: Window, team: str
) -> Comparison:
    """Every metric of the team in both windows; `scores` is the team's scorecard of the window `after`."""
    earlier = scorecard(lake, metrics, Selection(before, after.repo), team, ("team",))
    rows = [{row["metric"]: row for row in one.iter_rows(named=True)} for one in (earlier, scores)]
    both = Window(min(before.start, after.window.start), max(before.end, after.window.end))
    values = daily_values(lake, metrics, Selection(both, after.repo), team, ("team",))
    of_metric = [values.filter(pl.col("metric") == metric.name) for metric in metrics]
    found = changes([(_within(one, before), _within(one, after.window)) for one in of_metric])
    return Comparison(
        before,
        after.window,
        tuple(
            ComparedMetric(
                metric=metric.name,
                title=metric.title,
                unit=metric.unit,
                sample_unit=metric.sample_unit,
                before=rows[0][metric.name]["value"],
                after=rows[1][metric.name]["value"],
                n_before=rows[0][metric.name]["n"],
                n_after=rows[1][metric.name]["n"],
                change=change,
            )
            for metric, change in zip(metrics, found, strict=True)
        ),
    )


def _within(values: pl.DataFrame, window: Window) -> DailyValues:
    chosen = values.filter((pl.col("day") >= window.start) & (pl.col("day") < window.end))
    return DailyValues(chosen["day"].to_list(), chosen["value"].to_list())


def _parsed(wanted: str) -> Window:
    first, _, last = wanted.partition("..")
    try:
        return Window(date.fromisoformat(first), date.fromisoformat(last) + timedelta(days=1))
    except ValueError:
        raise ReportError(
            f"--compare {wanted}: must be '{PREVIOUS}', or a first and a last day such as 2026-01-01..2026-01-31"
        ) from None
