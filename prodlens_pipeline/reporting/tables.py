"""The tables of a report as text, the same for the console and for HTML.

Belongs here: which columns a reader sees, in which words. Does not: layout.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import polars as pl

from prodlens_pipeline.analysis.changes import Verdict
from prodlens_pipeline.analysis.coverage import NO_REPOSITORY, Coverage
from prodlens_pipeline.analysis.readings import SIGNIFICANT, Status
from prodlens_pipeline.metrics.registry import METRICS
from prodlens_pipeline.reporting.comparison import ComparedMetric, Comparison
from prodlens_pipeline.reporting.data import Figures, Report
from prodlens_pipeline.reporting.flow import Flow
from prodlens_pipeline.reporting.panel import Panel
from prodlens_pipeline.reporting.periods import Series
from prodlens_pipeline.reporting.scores import PARTS, Scores
from prodlens_pipeline.reporting.words import (
    NONE,
    UNKNOWN,
    bare,
    correlation,
    days,
    difference,
    estimate,
    hours,
    label,
    measured,
    moment,
    money,
    percent,
    plain,
    probability,
    quantity,
    span,
    threshold,
    titled,
    whole,
)

OF_DEVELOPERS = ("session_rate", "acceptance_rate", "error_rate", "cost_per_merged_pr", "commit_frequency")
"""The metrics that say something about one person's days; a description, no ranking."""
_DOUBTS = {
    "calls_without_tokens": "No tokens",
    "unpriced_calls": "No price",
    "unmapped_calls": "No developer",
    "unknown_model_calls": "No model",
    "underreported_calls": "Output under-reported",
    "impossible_latency_calls": "Impossible latency",
    "skewed_calls": "Clock skew",
}
RARE_DOUBTS = tuple(_DOUBTS.values())[3:]
_TEAM_WIDE = frozenset(metric.name for metric in METRICS if metric.repo is None)
_WORDS = {
    Status.OK: "none seen",
    Status.LOW_SAMPLE: "none seen (low sample)",
    Status.NOT_ENOUGH_DATA: "not enough data",
    Status.NO_DATA: "no data",
    Status.NO_VARIATION: "nothing to compare",
    Status.WITHHELD: "withheld",
}


@dataclass(frozen=True)
class Row:
    """The cells of one row, and the entry of the glossary that explains it, if there is one."""

    cells: tuple[str, ...]
    term: str | None = None


@dataclass(frozen=True)
class Table:
    """`numbers` are the columns that are aligned to the right."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    numbers: frozenset[str] = frozenset()


def scorecard_table(report: Report, scorecard: pl.DataFrame) -> Table:
    """One row per metric of `scorecard`."""

    def row(one: dict[str, Any]) -> Row:
        everywhere = " (all repositories)" if report.repo and one["metric"] in _TEAM_WIDE else ""
        return Row(
            (
                one["title"] + everywhere,
                one["verdict"],
                NONE if one["value"] is None else quantity(one["value"], one["unit"]),
                threshold(one["threshold"], one["unit"], one["direction"]),
                f"{one['n']:,} {one['sample_unit']}",
            ),
            term=one["metric"],
        )

    return _table(
        "Scorecard",
        ("Metric", "Verdict", "Value", "Target", "Sample (n)"),
        map(row, _named(scorecard)),
        "Value",
        "Target",
        "Sample (n)",
    )


def developer_table(figures: Figures) -> Table:
    """One row per developer, by name."""
    shown = figures.by_developer.filter(pl.col("metric").is_in(OF_DEVELOPERS))
    titles = {metric.name: metric.title for metric in METRICS if metric.name in OF_DEVELOPERS}
    cells = {
        (one["subject"], one["metric"]): f"{quantity(one['value'], one['unit'])} (n = {one['n']:,})"
        for one in _named(shown)
    }
    subjects = sorted({subject for subject, _ in cells}, key=lambda name: (name.startswith(("unknown:", "bot:")), name))
    rows = [Row((subject, *(cells.get((subject, name), NONE) for name in titles))) for subject in subjects]
    return _table("By developer", ("Developer", *titles.values()), rows, *titles.values())


def claimed_pairs(figures: Figures) -> pl.DataFrame:
    """The rows of `pairs` that may be claimed."""
    key = ["driver", "outcome", "lag"]
    return figures.pairs.join(figures.claims.select(key), on=key, how="semi", maintain_order="left")


def results(figures: Figures) -> dict[str, int]:
    """How many pairs have which result, the claimed ones first."""
    return dict(Counter(row.cells[-1] for row in pair_table(figures).rows))


def pair_table(figures: Figures) -> Table:
    """One row per driver and outcome, at its lag with the smallest p; those that may be claimed first."""
    claimed = claimed_pairs(figures)
    others = figures.pairs.join(claimed, on=["driver", "outcome"], how="anti", maintain_order="left")
    return _table(
        "Associations",
        ("AI use", "Delivery", "Lag", "r [95%]", "Step up goes with [95%]", "q", "n", "Result"),
        (Row(_pair(one)) for one in _named(pl.concat([claimed, others]))),
        "Lag", "r [95%]", "Step up goes with [95%]", "q", "n",
    )  # fmt: skip


def _pair(one: dict[str, Any]) -> tuple[str, ...]:
    return (
        titled(one["driver"]),
        label(one["outcome"]),
        str(one["lag"]),
        estimate(one["pearson_r"], one["ci_low"], one["ci_high"]),
        estimate(one["effect_pct"], one["effect_pct_low"], one["effect_pct_high"], digits=0, unit="%"),
        probability(one["q_value"]),
        str(one["n"]),
        result(one),
    )


def result(one: dict[str, Any]) -> str:
    """The status of an association in a word or two."""
    status = Status(one["status"])
    found = one["q_value"] is not None and one["q_value"] < SIGNIFICANT
    if not found or status == Status.WITHHELD:
        return _WORDS[status] if not one["is_placebo"] else "placebo passed"
    if one["is_placebo"]:
        return "placebo failed"
    return "significant (low sample)" if status == Status.LOW_SAMPLE else "significant"


def panel_table(panel: Panel) -> Table:
    """One row per driver and outcome compared within developers, at its lag with the smallest p."""
    numbers = ("Lag", "Step up goes with [95%]", "q", "Developers", "Days of developers")
    head = ("AI use", "Delivery", *numbers, "Result")
    return _table("Within developers", head, map(_within, _named(panel.pairs)), *numbers)


def _within(one: dict[str, Any]) -> Row:
    return Row(
        (
            titled(one["driver"]),
            label(one["outcome"]),
            str(one["lag"]),
            estimate(one["effect_pct"], one["effect_pct_low"], one["effect_pct_high"], digits=0, unit="%"),
            probability(one["q_value"]),
            whole(one["developers"]),
            whole(one["developer_days"]),
            result(one),
        )
    )


def lag_table(figures: Figures, driver: str, outcome: str) -> Table:
    """One row per lag of one pair, with the descriptive correlation of the untreated days."""
    rows = figures.associations.filter((pl.col("driver") == driver) & (pl.col("outcome") == outcome))
    numbers = ("Lag", "r [95%]", "Step up goes with [95%]", "q", "n", "Smallest r this sample shows")
    head = (*numbers, "Result", "Raw r (descriptive only)")
    return _table(f"{titled(driver)} and {label(outcome)} by lag", head, map(_lag, _named(rows)), *numbers, head[-1])


def _lag(one: dict[str, Any]) -> Row:
    lag, r, step_up, q, n, verdict = _pair(one)[2:]
    smallest = NONE if one["min_detectable_r"] is None else f"{one['min_detectable_r']:.2f}"
    return Row((lag, r, step_up, q, n, smallest, verdict, correlation(one["raw_pearson_r"])))


def trend_table(series: Series, names: Iterable[str]) -> Table:
    """One row per period."""
    chosen = list(names)
    head = (
        f"{series.period.capitalize()} from" if series.period != "day" else "Day",
        *(titled(name) for name in chosen),
    )
    show = {name: money if name == "cost_usd" else whole for name in chosen}
    rows = (Row((str(one["day"]), *(show[name](one[name]) for name in chosen))) for one in _named(series.rows))
    return _table(f"By {series.period}", head, rows, *head[1:])


def model_table(figures: Figures) -> Table:
    """One row per provider and model, dearest first."""
    spent = figures.models["cost_usd"].sum() if figures.models["cost_usd"].count() else 0
    head = (
        "Model",
        "Provider",
        "Cost",
        "Share of cost",
        "Calls",
        "Failed",
        "Price unknown",
        "Prompt tokens",
        "Output tokens",
        "Cost per 1,000 tokens",
    )

    def row(one: dict[str, Any]) -> Row:
        share = one["cost_usd"] / spent if one["cost_usd"] is not None and spent else None
        tokens = (one["prompt_tokens"] or 0) + (one["output_tokens"] or 0)
        priced = one["cost_usd"] is not None and tokens and not one["unpriced_calls"]
        counts = ("calls", "failed_calls", "unpriced_calls", "prompt_tokens", "output_tokens")
        return Row(
            (
                one["model"],
                one["provider"] or "unknown",
                money(one["cost_usd"]),
                percent(share),
                *(whole(one[name]) for name in counts),
                money(1000 * one["cost_usd"] / tokens if priced else None),
            )
        )

    return _table("Cost and models", head, map(row, _named(figures.models)), *head[2:])


def complexity_table(scores: Scores) -> Table:
    """One row for sessions and one for merged pull requests: the mean of each part of the complexity."""
    head = ("Complexity of", "Mean, of 100", "Retries", "Failing checks", "Debugging", "Code changes", "n")

    def row(one: dict[str, Any]) -> Row:
        return Row((one["subject"], *(plain(one[name]) for name in ("complexity", *PARTS)), whole(one["n"])))

    return _table("Parts of the complexity", head, map(row, _named(scores.complexity)), *head[1:])


def cost_source_table(scores: Scores) -> Table:
    """One row per way to know the cost of a call."""
    head = ("Cost known from", "Calls", "Cost")
    rows = (
        Row((titled(one["cost_source"]), whole(one["calls"]), money(one["cost_usd"]))) for one in _named(scores.costs)
    )
    return _table("Where costs are known from", head, rows, *head[1:])


def configuration_table(scores: Scores) -> Table:
    """One row per model and client version."""
    head = ("Configuration", "Standing", "Success [95%]", "Cost of a session [95%]", "Minutes [95%]", "Sessions")

    def row(one: dict[str, Any]) -> Row:
        shares = [one[name] for name in ("success_rate", "success_low", "success_high")]
        success = NONE if None in shares else f"{percent(shares[0])} [{percent(shares[1])}, {percent(shares[2])}]"
        return Row(
            (
                f"{titled(one['setting'])}: {one['configuration']}",
                one["standing"],
                success,
                _with_interval(money, one["cost_usd"], one["cost_low"], one["cost_high"]),
                _with_interval(plain, one["duration_minutes"], one["duration_low"], one["duration_high"]),
                whole(one["sessions"]),
            )
        )

    return _table("Configurations side by side", head, map(row, _named(scores.configurations)), *head[2:])


def _with_interval(
    show: Callable[[float | None], str], value: float | None, low: float | None, high: float | None
) -> str:
    if value is None:
        return UNKNOWN
    return show(value) if low is None or high is None else f"{show(value)} [{show(low)}, {show(high)}]"


def repository_table(figures: Figures) -> Table:
    """One row per repository; sessions that tell none come last."""
    head = (
        "Repository",
        "Commits",
        "Of these naming AI",
        "Added lines",
        "Merged pull requests",
        "Reverts",
        "AI sessions",
        "AI cost",
    )

    def row(one: dict[str, Any]) -> Row:
        homeless = one["repo"] == NO_REPOSITORY
        delivery = (
            whole(one["commits"]),
            percent(one["ai_commits"] / one["commits"]) if one["commits"] else NONE,
            whole(one["additions"]),
            whole(one["prs_merged"]),
            whole(one["reverts"]),
        )
        return Row(
            (
                "(repository not known)" if homeless else one["repo"],
                *((NONE,) * 5 if homeless else delivery),
                whole(one["sessions"]),
                money(one["cost_usd"]),
            )
        )

    return _table("Delivery by repository", head, map(row, _named(figures.repositories)), *head[1:])


def coverage_table(figures: Figures) -> Table:
    """One row per thing that may be unknown."""

    def row(one: Coverage) -> Row:
        return Row((one.title, percent(one.share), f"{one.known:,} of {one.total:,} {one.unit}", one.meaning))

    return _table("Coverage", ("What", "Share", "Known", "Known means"), map(row, figures.coverage), "Share")


def source_table(report: Report) -> Table:
    """One row per source that was read."""
    head = ("Source", "Where", "Files", "Records read", "Rejected", "First record", "Last record")

    def row(one: dict[str, Any]) -> Row:
        counts = (whole(one["files"]), whole(one["accepted"]), whole(one["rejected"]))
        return Row(
            (
                titled(one["source"]),
                one["source_name"].removeprefix(f"{one['source']}:"),
                *counts,
                moment(one["first_event_at"]),
                moment(one["last_event_at"]),
            )
        )

    return _table("Sources", head, map(row, _named(report.sources)), *head[2:5])


def dead_letter_table(report: Report) -> Table:
    """One row per source and reason why records could not be read."""
    head = ("Source", "Status", "Reason", "Records")
    rows = (
        Row((one["source_name"], one["status"], one["reason"], whole(one["records"])))
        for one in _named(report.dead_letters)
    )
    return _table("Records that could not be read", head, rows, "Records")


def comparison_table(comparison: Comparison) -> Table:
    """One row per metric in both windows: those that changed first, those without enough data last."""
    head = ("Metric", "Verdict", "Before", "After", "Difference", "Daily means differ by [95%]", "q", "n")
    order = list(Verdict)
    metrics = sorted(comparison.metrics, key=lambda one: order.index(one.verdict))
    return _table(f"{days(comparison.before)} and {days(comparison.after)}", head, map(_compared, metrics), *head[2:])


def _compared(one: ComparedMetric) -> Row:
    change = one.change
    return Row(
        (
            one.title if one.unit == "share" or "/" in one.unit else f"{one.title}, {one.unit}",
            one.verdict.value,
            bare(one.before, one.unit),
            bare(one.after, one.unit),
            difference(one.difference, one.unit),
            measured(change.difference, change.low, change.high, one.unit),
            probability(change.q_value),
            f"{whole(one.n_before)} | {whole(one.n_after)}",
        ),
        term=one.metric,
    )


def funnel_table(flow: Flow) -> Table:
    """One row per stage that pull requests opened in the window have reached."""
    opened = flow.funnel.filter(pl.col("stage") == "opened")["pull_requests"].item()
    rows = (
        Row((titled(stage), whole(count), percent(count / opened) if opened else NONE))
        for stage, count in flow.funnel.iter_rows()
    )
    return _table("Pull requests opened in the window", ("Stage", "n", "Of opened"), rows, "n", "Of opened")


def lead_time_table(flow: Flow) -> Table:
    """One row per part of the way of pull requests merged in the window."""
    head = ("Part", "Median", "Three of four within", "Nine of ten within", "n")
    rows = (
        Row((titled(part), *(hours(value) for value in values), whole(n)))
        for part, n, *values in flow.lead_time.iter_rows()
    )
    return _table("Parts of the lead time", head, rows, *head[1:])


def quality_table(quality: pl.DataFrame) -> Table:
    """One row per kind of source that saw calls."""
    head = ("Source", "Kind", "Calls", "Coverage", *_DOUBTS.values())

    def row(one: dict[str, Any]) -> Row:
        counts = (whole(one[name]) for name in _DOUBTS)
        return Row((titled(one["source"]), one["observer"], whole(one["calls"]), percent(one["coverage"]), *counts))

    return _table("Quality of the sources", head, map(row, _named(quality)), *head[2:])


def overlap_table(overlap: pl.DataFrame) -> Table:
    """One row per set of sources that saw the same calls, each call counted once."""
    head = ("Seen in", "Calls", "Output tokens", "Cost")
    rows = (
        Row(
            (
                " and ".join(map(titled, one["seen_in"])),
                whole(one["calls"]),
                whole(one["output_tokens"]),
                money(one["cost_usd"]),
            )
        )
        for one in _named(overlap)
    )
    return _table("Calls by the sources that saw them", head, rows, *head[1:])


def about_table(report: Report) -> Table:
    """Where the report comes from."""
    about = report.about
    rows = [
        ("ProdLens version", about.version),
        ("ProdLens commit", about.git_commit or UNKNOWN),
        ("Warehouse snapshot", f"{about.snapshot}, {moment(about.snapshot_at)}"),
        ("Configuration", about.config_hash),
        ("Newest runs", "; ".join(f"{moment(run.finished_at)}, {run.run_id}" for run in about.runs) or "none yet"),
        ("The same report again", f"prod-lens report --as-of {about.snapshot}, with the same options"),
    ]
    if report.figures:
        rows.insert(0, ("Window", span(report.figures.window)))
        if report.figures.comparison:
            rows.insert(1, ("Compared with", span(report.figures.comparison.before)))
    return _table("About this report", ("What", "Value"), (Row(row) for row in rows))


def _named(frame: pl.DataFrame) -> Iterable[dict[str, Any]]:
    return frame.iter_rows(named=True)


def _table(title: str, columns: tuple[str, ...], rows: Iterable[Row], *numbers: str) -> Table:
    return Table(title, columns, tuple(rows), frozenset(numbers))
