"""The sentences a busy person may quote, and what to keep in mind while reading them.

Belongs here: choosing and wording results. Does not: any figure; a sentence repeats what the report holds.
"""

from collections import Counter
from typing import Any

import polars as pl

from prodlens_pipeline.analysis.associations import LOW_SAMPLE_PAIRS, MINIMUM_PAIRS
from prodlens_pipeline.analysis.changes import MINIMUM_DAYS, Verdict
from prodlens_pipeline.analysis.coverage import WEIGHTY, WELL_COVERED
from prodlens_pipeline.analysis.readings import WEAK_SIGHT, Status, read
from prodlens_pipeline.reporting.comparison import Comparison
from prodlens_pipeline.reporting.data import Figures, Report
from prodlens_pipeline.reporting.panel import Panel
from prodlens_pipeline.reporting.tables import claimed_pairs
from prodlens_pipeline.reporting.words import (
    counted,
    days,
    measured,
    money,
    percent,
    probability,
    quantity,
    whole,
)

_REMARK = "; an association, not a proof"


def headline(report: Report) -> tuple[str, ...]:
    """Three sentences: AI and delivery, cost, targets. Without figures, why there are none."""
    if report.figures is None:
        return (report.nothing,)
    whose = "The whole team's " if report.repo and report.figures.models.height else ""
    return (_association(report.figures), whose + _cost(report.figures), _targets(report.figures))


def caveats(report: Report) -> tuple[str, ...]:
    """What limits the figures; empty where nothing does."""
    figures = report.figures
    found = []
    if figures:
        found += [
            f"{one.title} for {percent(one.share)} of {one.total:,} {one.unit} only."
            for one in figures.coverage
            if one.title in WEIGHTY and one.share is not None and one.share < WELL_COVERED
        ]
        low = figures.pairs.filter(pl.col("status") == Status.LOW_SAMPLE)
        if low.height:
            fewest = low.select(pl.col("n").min()).item()
            found.append(f"Low sample: {fewest} pairs of days; {LOW_SAMPLE_PAIRS} or more make a sound comparison.")
        found += [
            f"{counted(len(titles), 'metric')} left out: the warehouse has no table {table} yet. "
            "Run 'prod-lens run' to make it."
            for table, titles in figures.absent.items()
        ]
    if report.dead_letters.height:
        lost = int(report.dead_letters["records"].sum())
        found.append(f"{counted(lost, 'record')} could not be read and {'is' if lost == 1 else 'are'} in no figure.")
    run = report.about.last_run
    if run and run.config_hash != report.about.config_hash:
        found.append(
            "The configuration changed after the last run: run 'prod-lens run' to bring the figures up to date."
        )
    return tuple(found)


def cited(row: dict[str, Any], *, remark: str = "") -> str:
    """One row of the associations as a sentence, with n and q."""
    evidence = f"n = {counted(row['n'], 'pair')} of days, q {_q(row['q_value'])}"
    return f"{read(row).rstrip('.')} ({evidence}{remark})."


def cited_panel(row: dict[str, Any], *, remark: str = "") -> str:
    """One row of the panel as a sentence, with the number of developers and days, and q."""
    days_compared = f"{row['developers']} developers, {counted(row['developer_days'], 'day')} of theirs"
    return f"{row['reading'].rstrip('.')} ({days_compared}, q {_q(row['q_value'])}{remark})."


def changed(comparison: Comparison) -> tuple[str, ...]:
    """One sentence for each metric that changed, with both values and the interval it rests on."""
    return tuple(
        f"{one.title}: {quantity(one.before, one.unit)} before, {quantity(one.after, one.unit)} after "
        f"(n = {whole(one.n_before)} and {whole(one.n_after)}; daily means differ by "
        f"{measured(one.change.difference, one.change.low, one.change.high, one.unit)} (95% interval), "
        f"q {_q(one.change.q_value)})."
        for one in comparison.metrics
        if one.verdict == Verdict.CHANGED
    )


def comparison_summary(comparison: Comparison) -> str:
    """How many metrics changed between which windows."""
    verdicts = Counter(one.verdict for one in comparison.metrics)
    return (
        f"Of {counted(len(comparison.metrics), 'metric')}, {verdicts[Verdict.CHANGED]} changed between "
        f"{days(comparison.before)} and {days(comparison.after)}; {verdicts[Verdict.NO_CLEAR_CHANGE]} show no clear "
        f"change, and for {verdicts[Verdict.NOT_ENOUGH_DATA]} there is not enough data."
    )


def comparison_method() -> str:
    """How the verdicts of a comparison come about."""
    return (
        "A metric is called changed where its daily values differ: the 95% interval is Welch's t interval of the "
        "difference of daily means, with weekday effects taken out and days that resemble the day before counted for "
        f"less. q accounts for all metrics compared (Benjamini-Hochberg). Each window needs {MINIMUM_DAYS} days with a "
        "value. A change does not tell what brought it about."
    )


def _q(value: float | None) -> str:
    q = probability(value)
    return f"< {q[1:]}" if q.startswith("<") else f"= {q}"


def unseen(figures: Figures) -> str:
    """What could have been found, for a report that found nothing."""
    tested = figures.associations.filter(~pl.col("is_placebo") & pl.col("q_value").is_not_null())
    if tested.is_empty():
        return _untestable(figures)
    fewest, most, smallest = tested.select(
        fewest=pl.col("n").min(), most=pl.col("n").max(), smallest=pl.col("min_detectable_r").max()
    ).row(0)
    found = f"No association between AI use and delivery was found in {counted(tested.height, 'comparison')}."
    if smallest is None:
        return found
    n = f"{fewest}" if fewest == most else f"{fewest} to {most}"
    blind = ", a weaker one might well not" if smallest > WEAK_SIGHT else ""
    return (
        f"{found} With n = {n} pairs of days, a correlation of {smallest:.2f} or more would have shown "
        f"in four samples of five{blind}."
    )


def family(figures: Figures) -> str:
    """How to read the table of pairs."""
    tested = figures.associations.filter(~pl.col("is_placebo") & pl.col("q_value").is_not_null()).height
    return (
        "How to read it: a typical step up is from a quiet day to a busy one; a quarter of the days lie below it, and "
        "a quarter above (the interquartile range). The 95% interval holds the values that fit the data. Of findings "
        "with a q below 0.05, at most one in twenty is expected to be a false alarm, with all "
        f"{counted(tested, 'comparison')} in mind: these are called significant, which says that they are more than "
        "chance, not that they are large. Lag is how many working days after the AI use; each row shows the one that "
        "stands out most. Days are compared beyond their weekday, the trend and the days before; n counts pairs of "
        "them. An association does not tell what brings what about."
    )


def _untestable(figures: Figures) -> str:
    if missing := _never_read(figures):
        return missing
    most = int(figures.associations.select(pl.col("n").max()).item() or 0)
    if most < MINIMUM_PAIRS:
        return (
            f"Not enough data to compare AI use with delivery: {counted(most, 'pair')} of working days, "
            f"and at least {MINIMUM_PAIRS} are needed."
        )
    return "AI use and delivery cannot be compared: one of them does not vary beyond its weekday and trend."


def _never_read(figures: Figures) -> str:
    """What to add where one of the two sides was never read; empty where both were."""
    used, delivered = figures.days["calls"].count(), figures.days["commits"].count()
    if used and delivered:
        return ""
    lack, add = ("AI use", "a source of traces") if delivered else ("delivery", "a repository")
    return (
        f"Nothing was read of {lack}, so AI use and delivery cannot be compared: add {add} to prodlens.yaml, then run "
        "'prod-lens run'."
    )


def _association(figures: Figures) -> str:
    """The panel leads where there is one: what happens to everybody at once cannot produce its associations."""
    if figures.panel is not None:
        return _panel(figures.panel, figures)
    leading = claimed_pairs(figures)
    if leading.is_empty():
        return unseen(figures) + _withheld(figures)
    return cited(leading.row(0, named=True), remark=_REMARK)


def _panel(panel: Panel, figures: Figures) -> str:
    claims = panel.claims
    if claims.height:
        return cited_panel(claims.row(0, named=True), remark=_REMARK)
    held = _held(panel.withheld, "delivery went with AI use of later days, or of other developers, as well")
    return unseen_panel(panel) + held + _only_in_the_team(figures)


def unseen_panel(panel: Panel) -> str:
    """What a panel that found nothing could have found."""
    tested = panel.tested
    developers, largest = tested.select(pl.col("developers").max(), pl.col("min_detectable_pct").max()).row(0)
    found = (
        f"Among {counted(developers, 'developer')}, no association between a developer's AI use and delivery was found "
        f"in {counted(tested.height, 'comparison')} with their own other days and with colleagues on the same day."
    )
    if largest is None:
        return found
    return f"{found} A difference of {largest:,.0f}% or more would have shown in four samples of five."


def _only_in_the_team(figures: Figures) -> str:
    if claimed_pairs(figures).is_empty():
        return ""
    return " The team's days as a whole show one, which something that happened to everybody at once may explain."


def _withheld(figures: Figures) -> str:
    held = figures.pairs.filter(pl.col("status") == Status.WITHHELD).height
    return _held(held, "delivery went with AI use of later days")


def _held(pairs: int, why: str) -> str:
    if not pairs:
        return ""
    return f" {counted(pairs, 'pair')} withheld: {why}, so something else seems to drive both."


def _cost(figures: Figures) -> str:
    calls, unpriced, cost = figures.models.select(
        pl.col("calls").sum(), pl.col("unpriced_calls").sum(), pl.col("cost_usd").sum()
    ).row(0)
    if not figures.days["calls"].count():
        return "What the assistants cost is unknown: none of their calls were read."
    made = f"{counted(calls, 'call')} to models in {counted(len(figures.window.days), 'day')}"
    if calls == unpriced:
        return f"{made}: what they cost is unknown."
    known = f" (without {counted(unpriced, 'call')} whose price is unknown)" if unpriced else ""
    return f"{made} cost {money(cost)}{known}{_per_merge(figures)}."


def _per_merge(figures: Figures) -> str:
    row = figures.scorecard.filter(pl.col("metric") == "cost_per_merged_pr").row(0, named=True)
    if row["value"] is None:
        return ""
    return f", which is {quantity(row['value'], row['unit'])} for each of {whole(row['n'])} merged pull requests"


def _targets(figures: Figures) -> str:
    verdicts = figures.scorecard.filter(pl.col("direction") != "show")
    titles = {verdict: verdicts.filter(pl.col("verdict") == verdict)["title"].to_list() for verdict in ("pass", "fail")}
    missing = verdicts.height - len(titles["pass"]) - len(titles["fail"])
    failed = f" ({'; '.join(titles['fail'])})" if titles["fail"] else ""
    passed = len(titles["pass"])
    met = (
        f"Of {counted(verdicts.height, 'target')}, {passed} {'is' if passed == 1 else 'are'} met, "
        f"{len(titles['fail'])} missed{failed}"
    )
    return f"{met}, and for {missing} there is not enough data." if missing else f"{met}."
