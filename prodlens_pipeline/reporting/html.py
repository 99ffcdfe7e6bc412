"""The report as one HTML file that opens anywhere, without network or script.

Belongs here: putting tables, charts and words into the template. Does not: what they say.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import jinja2
import polars as pl
from markupsafe import Markup

from prodlens_pipeline.metrics.registry import METRICS
from prodlens_pipeline.reporting import tables
from prodlens_pipeline.reporting.comparison import Comparison
from prodlens_pipeline.reporting.data import Figures, Report
from prodlens_pipeline.reporting.experience import Experience
from prodlens_pipeline.reporting.experience_tables import association_table, score_table
from prodlens_pipeline.reporting.flow import Flow
from prodlens_pipeline.reporting.glossary import BY_HEADER, TERMS
from prodlens_pipeline.reporting.headline import (
    caveats,
    changed,
    cited,
    cited_panel,
    comparison_method,
    comparison_summary,
    family,
    headline,
    unseen,
    unseen_panel,
)
from prodlens_pipeline.reporting.periods import Series, by_period
from prodlens_pipeline.reporting.tables import Table
from prodlens_pipeline.reporting.words import label, span, titled

TEMPLATES = Path(__file__).parent / "templates"
MOST_BARS = 130
TRENDS = ("sessions", "commits", "cost_usd", "prs_merged")
LAG_PLOTS = 2
FINDINGS = 3


@dataclass(frozen=True)
class Figure:
    """A chart, its name, what it shows to who cannot see it, and the table behind it."""

    svg: Markup
    caption: str
    description: str
    table: Table


def render_html(report: Report) -> str:
    """One self-contained page. Every text of the report is escaped; only the drawings are not, which escape theirs."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    shown = _sections(report, report.figures) if report.figures else {}
    return environment.get_template("report.html.jinja").render(
        report=report,
        window=span(report.figures.window) if report.figures else None,
        headline=headline(report),
        caveats=caveats(report),
        sources=tables.source_table(report) if report.sources.height else None,
        dead_letters=tables.dead_letter_table(report) if report.dead_letters.height else None,
        about=tables.about_table(report),
        explained=BY_HEADER,
        formulas={metric.name: metric.formula for metric in METRICS},
        shown=shown,
    )


def _sections(report: Report, figures: Figures) -> dict[str, object]:
    series = by_period(figures.days, most=MOST_BARS)
    return {
        "scorecard": tables.scorecard_table(report, figures.scorecard),
        "trends": list(_trends(figures, series)),
        "trend_legend": _trend_legend(series),
        "findings": _findings(figures),
        "family": family(figures),
        "lags": list(_lags(figures)),
        "pairs": tables.pair_table(figures),
        "further": figures.further,
        "complexity": tables.complexity_table(figures.scores),
        "cost_sources": tables.cost_source_table(figures.scores),
        "configurations": tables.configuration_table(figures.scores),
        "panel": None if figures.panel is None else tables.panel_table(figures.panel),
        "cost": _cost(figures),
        "models": tables.model_table(figures),
        "repositories": tables.repository_table(figures),
        "developers": tables.developer_table(figures),
        "coverage": tables.coverage_table(figures),
        "quality": None if figures.quality is None else tables.quality_table(figures.quality),
        "overlap": None if figures.overlap is None else tables.overlap_table(figures.overlap),
        "funnel": None if figures.flow is None else _funnel(figures.flow),
        "lead_time": None if figures.flow is None else tables.lead_time_table(figures.flow),
        "comparison": None if figures.comparison is None else _comparison(figures.comparison),
        "experience": None if figures.experience is None else _experience(figures.experience),
        "terms": TERMS,
        "metrics": METRICS,
    }


def _experience(experience: Experience) -> dict[str, object]:
    return {
        "sentences": experience.sentences,
        "scores": score_table(experience),
        "associations": association_table(experience),
    }


def _comparison(comparison: Comparison) -> dict[str, object]:
    return {
        "summary": comparison_summary(comparison),
        "changed": changed(comparison),
        "table": tables.comparison_table(comparison),
        "method": comparison_method(),
    }


def _findings(figures: Figures) -> list[str]:
    """What the panel found, for it leads where there is one; else what the team's days did."""
    if figures.panel is not None:
        within = figures.panel.claims.head(FINDINGS).iter_rows(named=True)
        return [cited_panel(row) for row in within] or [unseen_panel(figures.panel)]
    claims = tables.claimed_pairs(figures)
    return [cited(row) for row in claims.head(FINDINGS).iter_rows(named=True)] or [unseen(figures)]


def _trends(figures: Figures, series: Series) -> Iterator[Figure]:
    from prodlens_pipeline.reporting.charts import trend_chart

    for name in TRENDS:
        # Only zeros and unknown days are no trend: an empty chart would read as "nothing".
        if not series.rows[name].null_count() or (series.rows[name].drop_nulls() != 0).any():
            svg = Markup(trend_chart(series, name, _target(figures, series, name)))  # noqa: S704 - vega escapes its texts
            description = f"{titled(name)} by {series.period}, {span(figures.window)}"
            yield Figure(svg, titled(name), description, tables.trend_table(series, (name,)))


def _target(figures: Figures, series: Series, name: str) -> float | None:
    """That of merged pull requests, which is one per week."""
    if name != "prs_merged" or series.period != "week":
        return None
    found = figures.scorecard.filter(pl.col("metric") == "pr_throughput")["threshold"]
    return found[0] if len(found) else None


def _trend_legend(series: Series) -> str:
    if series.period == "day":
        return "Bars are days, the line is the mean of the last seven days. A day whose value is unknown is left blank."
    return (
        f"Bars are {series.period}s. One that lies only partly in the window, or whose value is unknown, is left out."
    )


def _lags(figures: Figures) -> Iterator[Figure]:
    """The leading pairs: those that may be claimed, else the first that were looked at."""
    from prodlens_pipeline.reporting.charts import lag_chart

    claimed = tables.claimed_pairs(figures)
    leading = claimed if claimed.height else figures.pairs
    for driver, outcome in leading.select("driver", "outcome").head(LAG_PLOTS).iter_rows():
        svg = lag_chart(figures.associations, driver, outcome)
        if svg is None:
            continue
        caption = f"{titled(driver)} and {label(outcome)}"
        description = f"{caption}: correlation with its 95% interval by lag in working days"
        yield Figure(Markup(svg), caption, description, tables.lag_table(figures, driver, outcome))  # noqa: S704 - see above


def _funnel(flow: Flow) -> Figure:
    from prodlens_pipeline.reporting.charts import funnel_chart

    caption = "Pull requests opened in the window"
    stages = ", ".join(f"{stage} {count}" for stage, count in flow.funnel.iter_rows())
    svg = Markup(funnel_chart(flow.funnel))  # noqa: S704 - vega escapes its texts
    return Figure(svg, caption, f"{caption}: {stages}", tables.funnel_table(flow))


def _cost(figures: Figures) -> Figure | None:
    from prodlens_pipeline.reporting.charts import cost_chart

    svg = cost_chart(figures.models)
    if svg is None:
        return None
    caption = "Cost by model, as far as prices are known"
    return Figure(Markup(svg), caption, caption, tables.model_table(figures))  # noqa: S704 - see above
