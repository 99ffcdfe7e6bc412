"""Gathering what a report shows, as figures.

Belongs here: `Report` and reading it from the lake. Does not: the wording of a figure, nor layout.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

import polars as pl

from prodlens_pipeline.analysis.coverage import NO_REPOSITORY, Coverage, coverage
from prodlens_pipeline.analysis.daily import DRIVERS, OUTCOMES, delivery_window, team_days, told_window, use_window
from prodlens_pipeline.analysis.family import associations
from prodlens_pipeline.analysis.readings import SIGNIFICANT, Status
from prodlens_pipeline.metrics.evaluate import Selection, effective_metrics, scorecard
from prodlens_pipeline.reporting.comparison import Comparison, compare, other_window
from prodlens_pipeline.reporting.errors import ReportError
from prodlens_pipeline.reporting.experience import Experience, experience
from prodlens_pipeline.reporting.flow import Flow, flow
from prodlens_pipeline.reporting.further import Further, further
from prodlens_pipeline.reporting.origin import About, about
from prodlens_pipeline.reporting.panel import Panel, panel
from prodlens_pipeline.reporting.quality import source_overlap, source_quality
from prodlens_pipeline.reporting.scores import Scores, scores
from prodlens_pipeline.reporting.words import days
from prodlens_pipeline.settings import Settings
from prodlens_pipeline.warehouse.lake import Lake
from prodlens_pipeline.warehouse.windows import Window

FIGURES = (
    *("core.llm_calls", "core.sessions", "core.commits", "core.pull_requests", "core.rework", "core.code_survival"),
    *("marts.daily_developer", "marts.daily_repo", "marts.daily_model"),
)
"""The tables without which there is no report."""


@dataclass(frozen=True)
class Figures:
    """What was found in a window. Where a repository is selected, delivery is its own and AI use the whole team's.

    `scorecard` (team) and `by_developer` have the columns of `metrics.evaluate.SCORECARD`, `associations` those of
    `analysis.family`, `days` those of `analysis.daily.team_days`. `models` has one row per provider and model,
    `repositories` one per repository. `quality` and `overlap` are None in a lake that has no such mart, `flow` where
    no pull request has a time of opening, `panel` where too few developers can be compared, `experience` where nobody
    answered a survey, `comparison` where none was asked for. `absent` maps tables that the lake lacks to the metrics
    that need them.
    """

    window: Window
    scorecard: pl.DataFrame
    by_developer: pl.DataFrame
    associations: pl.DataFrame
    days: pl.DataFrame
    models: pl.DataFrame
    repositories: pl.DataFrame
    coverage: tuple[Coverage, ...]
    flow: Flow | None
    quality: pl.DataFrame | None
    overlap: pl.DataFrame | None
    further: Further
    panel: Panel | None
    scores: Scores
    experience: Experience | None
    comparison: Comparison | None
    absent: Mapping[str, list[str]]
    claims: pl.DataFrame = field(init=False)
    """The associations that may be claimed: significant, no placebo, not withheld."""
    pairs: pl.DataFrame = field(init=False)
    """One row per driver and outcome: its claim with the smallest p.

    In the order of `DRIVERS` and `OUTCOMES`, which was fixed beforehand: what leads is not what chance made largest.
    """

    def __post_init__(self) -> None:
        possible = self.associations.filter(~pl.col("is_placebo"))
        allowed = (pl.col("q_value") < SIGNIFICANT) & (pl.col("status") != Status.WITHHELD)
        smallest = possible.sort("p_value", nulls_last=True, maintain_order=True)
        order = [pl.col("driver").cast(pl.Enum(DRIVERS)), pl.col("outcome").cast(pl.Enum(OUTCOMES))]
        object.__setattr__(self, "claims", possible.filter(allowed))
        object.__setattr__(self, "pairs", smallest.unique(["driver", "outcome"], keep="first").sort(order))


@dataclass(frozen=True)
class Report:
    """Everything that is shown: `figures`, or why there are none in `nothing`.

    `sources` has one row per landed source, `dead_letters` one per source and reason.
    """

    team: str
    repo: str | None
    figures: Figures | None
    nothing: str
    sources: pl.DataFrame
    dead_letters: pl.DataFrame
    about: About


def read_report(
    lake: Lake, settings: Settings, *, repo: str | None = None, since: date | None = None, compared: str | None = None
) -> Report:
    """The report on all repositories or on `repo`, from `since` or from the first day with data.

    `compared` is the earlier window beside it: `previous`, or its first and last day as `FROM..TO`.
    Call it within `lake.reading()`: all of its figures are of one snapshot then, and it takes a fraction of the time.
    From then on `lake` computes with one thread.

    Raises:
        ReportError: `repo` is not in the warehouse, or there is no such window as `compared`.
    """
    # Threads sum in whatever order they come: the last digits of a mean would be others each time. And the catalog is
    # asked many small questions, in which threads wait for each other for half of the CPU time.
    lake.execute("set threads = 1")
    tables = lake.tables()
    filled = tables.issuperset(FIGURES)
    covered = told_window(lake) if filled else None
    if repo and filled:
        _refuse_unknown_repository(lake, settings, repo)
    window = _clipped(covered, since)
    before = other_window(compared, window, covered) if compared and window and covered else None
    return Report(
        team=settings.team.name,
        repo=repo,
        figures=_figures(lake, settings, Selection(window, repo), tables, before) if window else None,
        nothing="" if window else _why_nothing(lake, filled, covered, since),
        sources=_sources(lake) if "ops.landing_chunks" in tables else pl.DataFrame(),
        dead_letters=_dead_letters(lake) if "ops.dead_letters" in tables else pl.DataFrame(),
        about=about(lake, settings.config_hash, with_runs="ops.etl_runs" in tables),
    )


def _refuse_unknown_repository(lake: Lake, settings: Settings, repo: str) -> None:
    seen = {name for (name,) in lake.rows("select distinct repo from marts.daily_repo")} - {NO_REPOSITORY}
    known = seen | {repository.name for repository in settings.repositories}
    if repo not in known:
        raise ReportError(f"--repo {repo}: no such repository; known are {', '.join(sorted(known)) or 'none'}")


def _clipped(covered: Window | None, since: date | None) -> Window | None:
    """The part of `covered` from `since` on; None where there is none."""
    if covered is None or since is None or since <= covered.start:
        return covered
    return Window(since, covered.end) if since < covered.end else None


def _why_nothing(lake: Lake, filled: bool, covered: Window | None, since: date | None) -> str:
    if not filled:
        return "Nothing was read yet: the warehouse has no figures. Run 'prod-lens run' first."
    if covered is not None:
        last = covered.days[-1]
        return f"Nothing was read since {since}: the figures end on {last}. Ask for an earlier --since."
    used, delivered = use_window(lake), delivery_window(lake)
    if used is None or delivered is None:
        return (
            "Neither AI use nor delivery was read. Configure a source and a repository in prodlens.yaml, then run "
            "'prod-lens run'; 'prod-lens doctor' tells what is found."
        )
    return (
        f"There is no day for which both AI use and delivery were read, so nothing can be compared. "
        f"AI use: {days(used)}. Commits: {days(delivered)}. Configure both a source and a repository in "
        "prodlens.yaml that cover the same days, then run 'prod-lens run'."
    )


def _figures(lake: Lake, settings: Settings, selection: Selection, tables: set[str], before: Window | None) -> Figures:
    window = selection.window
    registry = effective_metrics(settings.thresholds)
    metrics = [metric for metric in registry if metric.table in tables]
    absent: dict[str, list[str]] = {}
    for metric in registry:
        if metric.table not in tables:
            absent.setdefault(metric.table, []).append(metric.title)
    card = scorecard(lake, metrics, selection, settings.team.name, ("team", "developer"))
    of_team = card.filter(pl.col("scope") == "team")
    return Figures(
        window=window,
        scorecard=of_team,
        by_developer=card.filter(pl.col("scope") == "developer"),
        associations=associations(lake, window, selection.repo),
        days=team_days(lake, window, selection.repo),
        models=_models(lake, window),
        repositories=_repositories(lake, window),
        coverage=coverage(lake, window),
        flow=flow(lake, window, selection.repo),
        quality=source_quality(lake, window, tables),
        overlap=source_overlap(lake, window, tables),
        further=Further((), ()) if selection.repo else further(lake, window, tables),
        panel=None if selection.repo else panel(lake, window, tables),
        scores=scores(lake, window, tables),
        experience=experience(lake, window, tables),
        comparison=compare(lake, metrics, of_team, selection, before, settings.team.name) if before else None,
        absent=absent,
    )


def _models(lake: Lake, window: Window) -> pl.DataFrame:
    """Dearest first; those without any known price last."""
    return lake.frame(
        """
        select
            provider, model, sum(calls)::bigint as calls, sum(failed_calls)::bigint as failed_calls,
            sum(unpriced_calls)::bigint as unpriced_calls, sum(cost_usd)::double as cost_usd,
            (sum(input_tokens) + sum(cache_read_tokens) + sum(cache_write_tokens))::bigint as prompt_tokens,
            sum(output_tokens)::bigint as output_tokens
        from marts.daily_model
        where day >= $window_start and day < $window_end
        group by provider, model
        order by cost_usd desc nulls last, calls desc, provider, model
        """,
        window.parameters,
    )


def _repositories(lake: Lake, window: Window) -> pl.DataFrame:
    """By name; the sessions that tell no repository last. Of a side that was never read nothing is known."""
    return lake.frame(
        """
        with read as (
            select
                exists(select 1 from core.llm_calls) as use,
                exists(select 1 from core.commits) as delivery
        )
        select
            repo,
            case when any_value(read.use) then sum(sessions) end::bigint as sessions,
            case when any_value(read.use) then sum(cost_usd) end::double as cost_usd,
            case when any_value(read.delivery) then sum(commits) end::bigint as commits,
            case when any_value(read.delivery) then sum(ai_commits) end::bigint as ai_commits,
            case when any_value(read.delivery) then sum(prs_merged) end::bigint as prs_merged,
            case when any_value(read.delivery) then sum(reverts) end::bigint as reverts,
            case when any_value(read.delivery) then sum(additions) end::bigint as additions
        from marts.daily_repo, read
        where day >= $window_start and day < $window_end
        group by repo
        order by repo = $no_repository, repo
        """,
        {**window.parameters, "no_repository": NO_REPOSITORY},
    )


def _sources(lake: Lake) -> pl.DataFrame:
    return lake.frame(
        """
        select
            source, source_name, count(distinct source_file) as files, sum(lines)::bigint as lines,
            sum(accepted)::bigint as accepted, sum(rejected)::bigint as rejected,
            min(first_event_at) as first_event_at, max(last_event_at) as last_event_at,
            max(collected_at) as collected_at
        from ops.landing_chunks
        group by source, source_name
        order by source, source_name
        """
    )


def _dead_letters(lake: Lake) -> pl.DataFrame:
    return lake.frame(
        "select source, source_name, status, reason, count(*) as records from ops.dead_letters "
        "group by all order by records desc, source_name, status, reason"
    )
