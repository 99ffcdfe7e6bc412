"""The report as JSON: a versioned schema that programs may rely on.

Belongs here: the shape of the document and filling it. Does not: any figure or wording of its own.

The major version changes where a field is removed or changes its meaning, the minor one where a field is added.
NULL is "not known" or "not enough data", never 0. Times and days are UTC, windows include their last day.
"""

from collections.abc import Iterable
from datetime import UTC, date, datetime
from typing import Annotated, Any, Literal, TypeVar

import orjson
import polars as pl
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from prodlens_pipeline.reporting.comparison import Comparison
from prodlens_pipeline.reporting.data import Figures, Report
from prodlens_pipeline.reporting.experience import Experience
from prodlens_pipeline.reporting.headline import caveats, comparison_method, family, headline
from prodlens_pipeline.reporting.tables import result
from prodlens_pipeline.warehouse.windows import Window

SCHEMA_VERSION: Literal["1.1"] = "1.1"

Moment = Annotated[datetime, AfterValidator(lambda value: value.replace(tzinfo=UTC))]
"""The lake holds UTC without an offset; the document says it."""
Usd = Annotated[float | None, Field(description="US dollars; null where no price is known")]
Hours = Annotated[float | None, Field(description="Hours; null where n is 0")]


class _Part(BaseModel):
    """Made of rows whose further columns are left out."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Days(_Part):
    """A range of UTC days."""

    first_day: date
    last_day: date

    @classmethod
    def of(cls, window: Window) -> "Days":
        """The days of `window`."""
        return cls(first_day=window.start, last_day=window.days[-1])


class RunEntry(_Part):
    """A run that wrote tables."""

    run_id: str
    finished_at: Moment
    config_hash: str


class Metadata(_Part):
    """Where the report comes from: the same version, configuration, snapshot and options give the same bytes."""

    analyzer_version: str
    git_commit: str | None = Field(description="Commit of the analyzer; ends in -dirty where files were changed since")
    config_hash: str
    snapshot: int = Field(description="For --as-of")
    snapshot_at: Moment
    newest_runs: list[RunEntry]
    team: str
    repository: str | None = Field(description="Whose delivery is shown; null for all repositories")
    window: Days | None = Field(description="Null where there are no figures")


class ScorecardEntry(_Part):
    """A metric of a team or a developer over the window."""

    metric: str = Field(description="Name in the registry")
    title: str = Field(description="Name for people")
    scope: Literal["team", "developer", "repo"] = Field(description="team, developer or repo")
    subject: str = Field(description="Which team, developer or repository")
    value: float | None = Field(description="In `unit`; null where the sample is too small")
    unit: str = Field(description="Unit of value and threshold")
    n: int = Field(description="Sample size in `sample_unit`")
    sample_unit: str = Field(description="What n counts")
    minimum_sample: int = Field(description="Below this n there is no value")
    threshold: float | None = Field(description="What a pass lies above or below; null where there is none")
    direction: Literal["above", "below", "show"] = Field(
        description="On which side of the threshold a pass lies; show: there is none"
    )
    verdict: Literal["pass", "fail", "shown", "not enough data"] = Field(
        description="pass, fail, shown or not enough data"
    )
    formula: str = Field(description="How it is computed")


class Day(_Part):
    """What the team did with AI and delivered on a day, without bots."""

    day: date = Field(description="UTC day")
    sessions: float = Field(description="AI sessions that started")
    calls: float = Field(description="Calls to models")
    active_hours: float = Field(description="Clock hours with a call, summed over developers")
    output_tokens: float | None = Field(description="Output tokens")
    cost_usd: Usd
    accepted_lines: float | None = Field(description="Lines that applied edits added")
    commits: float = Field(description="Commits without merges")
    prs_merged: float = Field(description="Merged pull requests")
    additions: float | None = Field(description="Lines added by the commits")


class Association(_Part):
    """A driver and an outcome at a lag. Only a `result` that begins with "significant" is claimed to be one."""

    driver: str = Field(description="AI use")
    outcome: str = Field(description="Delivery")
    lag: int = Field(description="Working days from AI use to delivery; below 0 it is a placebo")
    is_placebo: bool = Field(description="Delivery came before the AI use")
    n: int = Field(description="Pairs of days")
    raw_pearson_r: float | None = Field(description="Of the untreated days: descriptive only")
    raw_spearman_rho: float | None = Field(description="Of the untreated days: descriptive only")
    pearson_r: float | None = Field(description="Correlation beyond weekday, trend and the days before")
    spearman_rho: float | None = Field(description="The same of ranks")
    ci_low: float | None = Field(description="95% interval of pearson_r")
    ci_high: float | None = Field(description="95% interval of pearson_r")
    p_value: float | None = Field(description="p of pearson_r")
    q_value: float | None = Field(description="Over all comparisons of the report")
    effect: float | None = Field(description="Change of the outcome for one interquartile range of the driver")
    effect_low: float | None = Field(description="95% interval of effect")
    effect_high: float | None = Field(description="95% interval of effect")
    effect_pct: float | None = Field(description="The effect in percent of the outcome's mean")
    effect_pct_low: float | None = Field(description="95% interval of effect_pct")
    effect_pct_high: float | None = Field(description="95% interval of effect_pct")
    min_detectable_r: float | None = Field(description="Found in four samples of five if it were true")
    status: str = Field(description="What the figures are worth")
    result: str = Field(description="What may be said, in a word or two")
    reading: str = Field(description="The same as a sentence")


class PanelAssociation(_Part):
    """The same, each developer compared with themselves and with colleagues on the same day."""

    driver: str = Field(description="AI use of a developer")
    outcome: str = Field(description="Delivery of that developer")
    lag: int = Field(description="Working days from AI use to delivery; below 0 it is a placebo")
    is_placebo: bool = Field(description="Delivery came before the AI use")
    developers: int = Field(description="Developers with enough days with AI use")
    developer_days: int = Field(description="Their days with AI use whose delivery is known")
    p_value: float | None = Field(description="p of the slope, clustered by developer")
    q_value: float | None = Field(description="Over all comparisons of this kind")
    effect: float | None = Field(description="Change of the outcome for a typical step of the driver, per day")
    effect_low: float | None = Field(description="95% interval of effect")
    effect_high: float | None = Field(description="95% interval of effect")
    effect_pct: float | None = Field(description="The effect in percent of the outcome's mean")
    effect_pct_low: float | None = Field(description="95% interval of effect_pct")
    effect_pct_high: float | None = Field(description="95% interval of effect_pct")
    min_detectable_pct: float | None = Field(description="Found in four samples of five if it were true")
    exchanged_p_value: float | None = Field(description="How often other developers' use does as well")
    status: str = Field(description="What the figures are worth")
    result: str = Field(description="What may be said, in a word or two")
    reading: str = Field(description="The same as a sentence")


class ModelEntry(_Part):
    """What one model was used for."""

    provider: str | None
    model: str
    calls: int
    failed_calls: int
    unpriced_calls: int
    cost_usd: Usd
    prompt_tokens: int | None
    output_tokens: int | None


class RepositoryEntry(_Part):
    """Delivery and AI sessions of one repository; `unknown` are sessions that tell none."""

    repo: str
    sessions: int
    cost_usd: Usd
    commits: int
    ai_commits: int
    prs_merged: int
    reverts: int
    additions: int | None


class CoverageEntry(_Part):
    """How many of `total` things are known well enough to count."""

    title: str
    known: int
    total: int
    unit: str
    meaning: str


class QualityEntry(_Part):
    """What is doubtful about the calls that a type of source saw; counts of calls."""

    source: str
    observer: str
    calls: int
    coverage: float | None = Field(description="Share of the calls of its own sessions that it saw")
    calls_without_tokens: int
    unpriced_calls: int
    unknown_model_calls: int
    underreported_calls: int
    unmapped_calls: int
    impossible_latency_calls: int
    skewed_calls: int


class OverlapEntry(_Part):
    """Calls that the same sources saw, each counted once."""

    seen_in: list[str]
    calls: int
    output_tokens: int | None
    cost_usd: Usd


class FunnelEntry(_Part):
    """How many of the pull requests that were opened in the window reached a stage."""

    stage: Literal["opened", "reviewed", "approved", "merged", "closed", "open"]
    pull_requests: int


class LeadTimeEntry(_Part):
    """A part of the way of the pull requests that were merged in the window."""

    part: Literal["coding", "pickup", "review", "merge", "total"]
    n: int
    median_h: Hours
    p75_h: Hours
    p90_h: Hours


class SourceEntry(_Part):
    """What was read from one source."""

    source: str
    source_name: str
    files: int
    lines: int
    accepted: int
    rejected: int
    first_event_at: Moment | None
    last_event_at: Moment | None


class DeadLetterEntry(_Part):
    """Records that could not be read, by reason."""

    source: str
    source_name: str
    status: str
    reason: str
    records: int


class ComparedEntry(_Part):
    """One metric in both windows. `interval_*` is of `daily_difference`, the difference of daily means."""

    metric: str = Field(description="Name in the registry")
    title: str = Field(description="Name for people")
    unit: str = Field(description="Unit of the values and differences")
    sample_unit: str = Field(description="What n counts")
    before: float | None = Field(description="Value of the earlier window; null where the sample is too small")
    after: float | None = Field(description="Value of the later window; null where the sample is too small")
    difference: float | None = Field(description="After minus before")
    n_before: int = Field(description="Sample of the earlier window")
    n_after: int = Field(description="Sample of the later window")
    days_before: int = Field(description="Days with a value in the earlier window")
    days_after: int = Field(description="Days with a value in the later window")
    daily_difference: float | None = Field(description="Difference of daily means; null with too few days")
    interval_low: float | None = Field(description="95% interval of daily_difference")
    interval_high: float | None = Field(description="95% interval of daily_difference")
    p_value: float | None = Field(description="p of daily_difference")
    q_value: float | None = Field(description="Over all metrics compared")
    verdict: Literal["changed", "no clear change", "not enough data"] = Field(
        description="changed, no clear change or not enough data"
    )


class ComparisonPart(_Part):
    """Two windows side by side."""

    before: Days
    after: Days
    method: str
    metrics: list[ComparedEntry]


class SurveyScore(_Part):
    """What was answered in all surveys or in one. Null where too few people answered to show anything."""

    scope: Literal["all surveys", "survey"] = Field(description="all surveys, or survey")
    survey: str = Field(description="Which survey")
    status: str = Field(description="ok, or too few respondents")
    nps_respondents: int | None = Field(description="Who answered whether they would recommend the assistants")
    promoters: int | None = Field(description="Of these answered 9 or 10")
    passives: int | None = Field(description="Of these answered 7 or 8")
    detractors: int | None = Field(description="Of these answered 0 to 6")
    nps: float | None = Field(description="Promoters minus detractors, in points")
    nps_low: float | None = Field(description="95% interval of nps")
    nps_high: float | None = Field(description="95% interval of nps")
    satisfaction_respondents: int | None = Field(description="Who answered how satisfied they are")
    satisfied: int | None = Field(description="Of these answered 4 or 5")
    satisfaction: float | None = Field(description="Satisfied of those who answered")
    satisfaction_low: float | None = Field(description="95% interval of satisfaction")
    satisfaction_high: float | None = Field(description="95% interval of satisfaction")
    first_day: date = Field(description="UTC day of the first answer")
    last_day: date = Field(description="UTC day of the last answer")
    reading: str = Field(description="The same in a sentence or two")


class SurveyAssociation(_Part):
    """AI use of seven days and an answer, each developer compared with themselves and with colleagues."""

    driver: str = Field(description="AI use")
    outcome: Literal["nps", "satisfaction"] = Field(description="Which question: nps or satisfaction")
    is_placebo: bool = Field(description="The seven days came after the answer")
    developers: int = Field(description="Developers who answered in two or more weeks")
    answers: int = Field(description="Their answers, one a week")
    slope: float | None = Field(description="Points of the answer per unit of AI use, on its scale of comparison")
    p_value: float | None = Field(description="p of slope, clustered by developer")
    q_value: float | None = Field(description="Over all claims, or all placebos, of this kind")
    effect: float | None = Field(description="Change of the answer for a typical step of AI use, in points")
    effect_low: float | None = Field(description="95% interval of effect")
    effect_high: float | None = Field(description="95% interval of effect")
    min_detectable: float | None = Field(description="Found in four samples of five if it were true, in points")
    status: str = Field(description="What the figures are worth")
    reading: str = Field(description="The same as a sentence")


class ExperiencePart(_Part):
    """What developers say in surveys."""

    scores: list[SurveyScore]
    associations: list[SurveyAssociation]


class ReportDocument(_Part):
    """A report. Lists are empty where there are no figures; what is null was not asked for or is not in the lake."""

    model_config = ConfigDict(frozen=True, title="ProdLens report")

    schema_version: Literal["1.1"] = SCHEMA_VERSION
    metadata: Metadata
    headline: list[str]
    notes: list[str] = Field(description="What limits the figures")
    scorecard: list[ScorecardEntry] = []
    scorecard_by_developer: list[ScorecardEntry] = []
    trends: list[Day] = []
    associations: list[Association] = []
    associations_note: str | None = None
    panel_associations: list[PanelAssociation] | None = Field(
        default=None, description="Null where too few developers can be compared, or the window was not analysed so"
    )
    models: list[ModelEntry] = []
    repositories: list[RepositoryEntry] = []
    coverage: list[CoverageEntry] = []
    source_quality: list[QualityEntry] | None = None
    source_overlap: list[OverlapEntry] | None = None
    pull_request_funnel: list[FunnelEntry] | None = None
    lead_time: list[LeadTimeEntry] | None = None
    experience: ExperiencePart | None = None
    comparison: ComparisonPart | None = None
    sources: list[SourceEntry]
    dead_letters: list[DeadLetterEntry]


def render_json(report: Report) -> str:
    """The document, indented, with a newline at its end."""
    return orjson.dumps(document(report).model_dump(mode="json"), option=orjson.OPT_INDENT_2).decode() + "\n"


def json_schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of the document."""
    return ReportDocument.model_json_schema(mode="serialization")


def document(report: Report) -> ReportDocument:
    """All that the HTML page shows."""
    about, figures = report.about, report.figures
    metadata = Metadata(
        analyzer_version=about.version,
        git_commit=about.git_commit,
        config_hash=about.config_hash,
        snapshot=about.snapshot,
        snapshot_at=about.snapshot_at,
        newest_runs=[RunEntry(**vars(run)) for run in about.runs],
        team=report.team,
        repository=report.repo,
        window=Days.of(figures.window) if figures else None,
    )
    return ReportDocument(
        metadata=metadata,
        headline=list(headline(report)),
        notes=list(caveats(report)),
        sources=_entries(SourceEntry, report.sources),
        dead_letters=_entries(DeadLetterEntry, report.dead_letters),
        **(_parts(figures) if figures else {}),
    )


def _parts(figures: Figures) -> dict[str, Any]:
    flow, compared = figures.flow, figures.comparison
    return {
        "scorecard": _entries(ScorecardEntry, figures.scorecard),
        "scorecard_by_developer": _entries(ScorecardEntry, figures.by_developer),
        "trends": _entries(Day, figures.days),
        "associations": _made(
            Association, ({**row, "result": result(row)} for row in figures.associations.iter_rows(named=True))
        ),
        "associations_note": family(figures),
        "panel_associations": None
        if figures.panel is None
        else _made(
            PanelAssociation, ({**row, "result": result(row)} for row in figures.panel.rows.iter_rows(named=True))
        ),
        "models": _entries(ModelEntry, figures.models),
        "repositories": _entries(RepositoryEntry, figures.repositories),
        "coverage": _made(CoverageEntry, map(vars, figures.coverage)),
        "source_quality": None if figures.quality is None else _entries(QualityEntry, figures.quality),
        "source_overlap": None if figures.overlap is None else _entries(OverlapEntry, figures.overlap),
        "pull_request_funnel": None if flow is None else _entries(FunnelEntry, flow.funnel),
        "lead_time": None if flow is None else _entries(LeadTimeEntry, flow.lead_time),
        "experience": None if figures.experience is None else _experience(figures.experience),
        "comparison": None if compared is None else _comparison(compared),
    }


def _experience(experience: Experience) -> ExperiencePart:
    return ExperiencePart(
        scores=_entries(SurveyScore, experience.scores),
        associations=_entries(SurveyAssociation, experience.associations),
    )


def _comparison(comparison: Comparison) -> ComparisonPart:
    return ComparisonPart(
        before=Days.of(comparison.before),
        after=Days.of(comparison.after),
        method=comparison_method(),
        metrics=_made(ComparedEntry, compared_rows(comparison)),
    )


def compared_rows(comparison: Comparison) -> list[dict[str, Any]]:
    """One row of plain values per metric, by the names of `ComparedEntry`."""
    return [
        {
            **vars(one),
            "difference": one.difference,
            "days_before": one.change.days_before,
            "days_after": one.change.days_after,
            "daily_difference": one.change.difference,
            "interval_low": one.change.low,
            "interval_high": one.change.high,
            "p_value": one.change.p_value,
            "q_value": one.change.q_value,
            "verdict": one.verdict.value,
        }
        for one in comparison.metrics
    ]


Entry = TypeVar("Entry", bound=_Part)


def _entries(entry: type[Entry], frame: pl.DataFrame) -> list[Entry]:
    return _made(entry, frame.iter_rows(named=True))


def _made(entry: type[Entry], rows: Iterable[dict[str, Any]]) -> list[Entry]:
    return [entry.model_validate(row) for row in rows]
