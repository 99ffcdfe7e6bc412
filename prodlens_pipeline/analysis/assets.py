"""Analysis as assets: the scorecard and the analyses of `family`, over everything that was read."""

from collections.abc import Callable, Iterable, Mapping

import dagster as dg
import polars as pl

from prodlens_pipeline.analysis.daily import covered_window, delivery_window, session_window, told_window
from prodlens_pipeline.analysis.family import associations, configurations, event_study_table, panel_associations
from prodlens_pipeline.metrics.daily import DAILY_METRICS, daily_values
from prodlens_pipeline.metrics.evaluate import SCORECARD, Selection, effective_metrics, scorecard
from prodlens_pipeline.settings import Settings
from prodlens_pipeline.warehouse.assets import asset_key, table_asset
from prodlens_pipeline.warehouse.contracts import Column, Contract
from prodlens_pipeline.warehouse.lake import Lake
from prodlens_pipeline.warehouse.windows import Window

ASSOCIATIONS = Contract(
    schema="analysis",
    name="associations",
    description="One row per driver, outcome and lag: is more of the one followed by more of the other?",
    key=("driver", "outcome", "lag"),
    partitioned=False,
    owner="team:metrics",
    columns=(
        Column("driver", "VARCHAR", "what the team did with AI that day"),
        Column("outcome", "VARCHAR", "what it delivered"),
        Column("lag", "BIGINT", "working days from driver to outcome; negative ones are placebos", "working days"),
        Column("is_placebo", "BOOLEAN", "the outcome lies before the driver: nothing can show here"),
        Column("n", "BIGINT", "pairs of days", "pairs"),
        Column("raw_pearson_r", "DOUBLE", "Pearson r of the untreated pairs: descriptive only"),
        Column("raw_spearman_rho", "DOUBLE", "Spearman rho of the untreated pairs: descriptive only"),
        Column("pearson_r", "DOUBLE", "Pearson r after weekday, trend and memory are removed"),
        Column("spearman_rho", "DOUBLE", "Spearman rho after weekday, trend and memory are removed"),
        Column("p_value", "DOUBLE", "probability of such an r without any association"),
        Column("q_value", "DOUBLE", "p adjusted for everything that was looked at (Benjamini-Hochberg)"),
        Column("ci_low", "DOUBLE", "95% interval of pearson_r"),
        Column("ci_high", "DOUBLE", "95% interval of pearson_r"),
        Column("driver_q1", "DOUBLE", "the driver on a quiet day: its lower quartile", "driver"),
        Column("driver_q3", "DOUBLE", "the driver on a busy day: its upper quartile", "driver"),
        Column("effect", "DOUBLE", "change of the outcome for one interquartile range of the driver", "outcome"),
        Column("effect_low", "DOUBLE", "95% interval of effect", "outcome"),
        Column("effect_high", "DOUBLE", "95% interval of effect", "outcome"),
        Column("effect_pct", "DOUBLE", "the same in percent of the outcome's mean", "%"),
        Column("effect_pct_low", "DOUBLE", "95% interval of effect_pct", "%"),
        Column("effect_pct_high", "DOUBLE", "95% interval of effect_pct", "%"),
        Column("min_detectable_r", "DOUBLE", "smallest |r| that this sample shows with 80% power"),
        Column("status", "VARCHAR", "what the row supports"),
        Column("reading", "VARCHAR", "the row in one sentence"),
        Column("window_start", "DATE", "first UTC day"),
        Column("window_end", "DATE", "last UTC day"),
    ),
)


PANEL_ASSOCIATIONS = Contract(
    schema="analysis",
    name="panel_associations",
    description="One row per driver, outcome and lag: do developers deliver more after they used more AI than usual?",
    key=("driver", "outcome", "lag"),
    partitioned=False,
    owner="team:metrics",
    columns=(
        Column("driver", "VARCHAR", "what a developer did with AI that day"),
        Column("outcome", "VARCHAR", "what the developer delivered"),
        Column("lag", "BIGINT", "working days from driver to outcome; negative ones are placebos", "working days"),
        Column("is_placebo", "BOOLEAN", "the outcome lies before the driver: nothing can show here"),
        Column("developers", "BIGINT", "developers with enough days with AI", "developers"),
        Column("developer_days", "BIGINT", "their days with AI whose outcome is known", "developer-days"),
        Column("slope", "DOUBLE", "change of the outcome per unit of the driver, on the scales of comparison"),
        Column("p_value", "DOUBLE", "probability of such a slope without any association, clustered by developer"),
        Column("q_value", "DOUBLE", "p adjusted for everything that the panel looked at (Benjamini-Hochberg)"),
        Column("driver_q1", "DOUBLE", "the driver on a quiet day of a typical developer: the lower quartile", "driver"),
        Column("driver_q3", "DOUBLE", "the same on a busy day: the upper quartile", "driver"),
        Column("effect", "DOUBLE", "change of the outcome for a typical step of the driver", "outcome"),
        Column("effect_low", "DOUBLE", "95% interval of effect", "outcome"),
        Column("effect_high", "DOUBLE", "95% interval of effect", "outcome"),
        Column("effect_pct", "DOUBLE", "the same in percent of the outcome's mean", "%"),
        Column("effect_pct_low", "DOUBLE", "95% interval of effect_pct", "%"),
        Column("effect_pct_high", "DOUBLE", "95% interval of effect_pct", "%"),
        Column("min_detectable_pct", "DOUBLE", "smallest effect_pct that this panel shows with 80% power", "%"),
        Column("exchanged_p_value", "DOUBLE", "how often other developers' use does as well; significant claims only"),
        Column("status", "VARCHAR", "what the row supports"),
        Column("reading", "VARCHAR", "the row in one sentence"),
        Column("window_start", "DATE", "first UTC day"),
        Column("window_end", "DATE", "last UTC day"),
    ),
)

EVENT_STUDIES = Contract(
    schema="analysis",
    name="event_studies",
    description="One row per intervention and outcome: did delivery change after it?",
    key=("intervention", "kind", "outcome"),
    partitioned=False,
    owner="team:metrics",
    columns=(
        Column("intervention", "VARCHAR", "what changed"),
        Column("kind", "VARCHAR", "adoption, model switch, configured, or configuration change"),
        Column("outcome", "VARCHAR", "what was delivered"),
        Column("design", "VARCHAR", "difference-in-differences or interrupted time series; NULL where neither fits"),
        Column("first_date", "DATE", "earliest UTC day on which it reached a developer"),
        Column("last_date", "DATE", "latest UTC day on which it reached a developer"),
        Column("developers", "BIGINT", "developers it reached who are compared", "developers"),
        Column("comparisons", "BIGINT", "developers not yet reached they are compared with; 0: none", "developers"),
        Column("n", "BIGINT", "weeks of developers after it, or working days of the team around it"),
        Column("effect", "DOUBLE", "change of a developer's week, or of the team's day", "outcome"),
        Column("effect_low", "DOUBLE", "95% interval of effect", "outcome"),
        Column("effect_high", "DOUBLE", "95% interval of effect", "outcome"),
        Column("effect_pct", "DOUBLE", "the same in percent of the mean before", "%"),
        Column("effect_pct_low", "DOUBLE", "95% interval of effect_pct", "%"),
        Column("effect_pct_high", "DOUBLE", "95% interval of effect_pct", "%"),
        Column("p_value", "DOUBLE", "probability of such a change without any effect"),
        Column("q_value", "DOUBLE", "p adjusted for all rows (Benjamini-Hochberg)"),
        Column("pre_trend_p_value", "DOUBLE", "of a drift between reached and not yet reached developers before it"),
        Column("placebo_p_value", "DOUBLE", "of a change at a date before it, when nothing happened"),
        Column("status", "VARCHAR", "what the row supports"),
        Column("reading", "VARCHAR", "the row in one sentence"),
        Column("window_start", "DATE", "first UTC day"),
        Column("window_end", "DATE", "last UTC day"),
    ),
)

MODEL_COMPARISON = Contract(
    schema="analysis",
    name="model_comparison",
    description="One row per setting and its value: how sessions with it ended, what they cost and how long they took.",
    key=("setting", "configuration"),
    partitioned=False,
    owner="team:metrics",
    columns=(
        Column("setting", "VARCHAR", "model or client_version"),
        Column("configuration", "VARCHAR", "its value"),
        Column("sessions", "BIGINT", "sessions with it", "sessions"),
        Column("developers", "BIGINT", "who had them", "developers"),
        Column("successes", "BIGINT", "of these ended without an error", "sessions"),
        Column("success_rate", "DOUBLE", "successes / sessions", "share"),
        Column("success_low", "DOUBLE", "95% interval (Wilson, with a design effect)", "share"),
        Column("success_high", "DOUBLE", "95% interval (Wilson, with a design effect)", "share"),
        Column("cost_usd", "DOUBLE", "mean cost of a session whose cost is known", "USD"),
        Column("cost_low", "DOUBLE", "95% interval of cost_usd (bootstrap)", "USD"),
        Column("cost_high", "DOUBLE", "95% interval of cost_usd (bootstrap)", "USD"),
        Column("cost_n", "BIGINT", "sessions whose cost is known", "sessions"),
        Column("duration_minutes", "DOUBLE", "mean time from first to last activity", "min"),
        Column("duration_low", "DOUBLE", "95% interval of duration_minutes (bootstrap)", "min"),
        Column("duration_high", "DOUBLE", "95% interval of duration_minutes (bootstrap)", "min"),
        Column("duration_n", "BIGINT", "sessions whose duration is known", "sessions"),
        Column("trend", "DOUBLE", "change of the weekly success rate (Theil-Sen), last 12 weeks", "points per week"),
        Column("trend_low", "DOUBLE", "95% interval of trend", "points per week"),
        Column("trend_high", "DOUBLE", "95% interval of trend", "points per week"),
        Column("trend_weeks", "BIGINT", "weeks with enough sessions", "weeks"),
        Column("standing", "VARCHAR", "best, no clear difference, behind, nothing to compare, or not enough data"),
        Column("reading", "VARCHAR", "the row in one sentence"),
        Column("window_start", "DATE", "first UTC day"),
        Column("window_end", "DATE", "last UTC day"),
    ),
)


def analysis_assets(settings: Settings) -> list[dg.AssetsDefinition]:
    """All assets of this room."""
    metrics = effective_metrics(settings.thresholds)

    def compute_scorecard(lake: Lake, window: Window) -> pl.DataFrame:
        return scorecard(lake, metrics, Selection(window), settings.team.name, ("team", "developer", "repo"))

    def compute_daily_metrics(lake: Lake, window: Window) -> pl.DataFrame:
        return daily_values(lake, metrics, Selection(window), settings.team.name, ("team", "developer", "repo"))

    def compute_event_studies(lake: Lake, window: Window) -> pl.DataFrame:
        return event_study_table(lake, window, settings.interventions)

    marts = ("marts.daily_developer", "marts.daily_repo")
    measured = (*marts, *sorted({metric.table for metric in metrics} - set(marts)))
    of_developers = ("marts.daily_developer", "core.llm_calls", "core.commits")
    of_team = (*marts, "core.llm_calls", "core.commits")
    return [
        analysis_asset(SCORECARD, told_window, compute_scorecard, measured, library="polars", figures=_team_values),
        analysis_asset(DAILY_METRICS, told_window, compute_daily_metrics, measured, library="polars"),
        analysis_asset(ASSOCIATIONS, covered_window, associations, of_team),
        analysis_asset(PANEL_ASSOCIATIONS, covered_window, panel_associations, of_developers),
        analysis_asset(EVENT_STUDIES, delivery_window, compute_event_studies, of_developers),
        analysis_asset(MODEL_COMPARISON, session_window, configurations, ("core.sessions", "core.llm_calls")),
    ]


def analysis_asset(
    contract: Contract,
    span: Callable[[Lake], Window | None],
    analysis: Callable[[Lake, Window], pl.DataFrame],
    reads: Iterable[str],
    *,
    library: str = "scipy",
    figures: Callable[[Lake], Mapping[str, float]] | None = None,
) -> dg.AssetsDefinition:
    """An analysis of all days that its data span, of one snapshot; without data the table is empty.

    `reads` names the tables that it reads, `library` what it is computed with; `figures` as in `table_asset`.
    """

    def compute(lake: Lake, window: Window | None) -> pl.DataFrame:
        del window
        with lake.reading():
            days = span(lake)
            return pl.DataFrame(schema=list(contract.column_types)) if days is None else analysis(lake, days)

    return table_asset(
        contract,
        compute,
        group="analysis",
        kinds={"ducklake", "python", library},
        partitions=None,
        deps=[asset_key(name) for name in reads],
        code_version="1",
        tags={"layer": "analysis"},
        figures=figures,
    )


def _team_values(lake: Lake) -> dict[str, float]:
    """The team's value of each metric, where there is one."""
    rows = lake.rows(f"select metric, value from {SCORECARD.table} where scope = 'team' and value is not null")
    return dict(rows)
