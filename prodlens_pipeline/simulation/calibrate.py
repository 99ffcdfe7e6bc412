"""How often the statistics are wrong: measured on simulated teams whose truth is known.

Belongs here: the tables that `python -m prodlens_pipeline.simulation.calibrate` prints, one function a line. It is the
one module of this room that looks at `analysis/`: the instrument is calibrated where the truth is made.
Does not: the generators (`series`, `developers`), or any tuning of the statistics to them.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from typing import Annotated, Any

import numpy as np
import polars as pl
import scipy
import typer
from rich import box
from rich.console import Console
from rich.progress import track
from rich.table import Table

from prodlens_pipeline.analysis.associations import association_family
from prodlens_pipeline.analysis.event_studies import event_studies
from prodlens_pipeline.analysis.interventions import Intervention, Kind
from prodlens_pipeline.analysis.panel_associations import panel_family
from prodlens_pipeline.analysis.readings import EventStatus, Status
from prodlens_pipeline.simulation.developers import EVENT_EFFECTS, EVENTS, PANEL_EFFECTS, PANELS
from prodlens_pipeline.simulation.series import EFFECTS, SHAPES, calendar

LENGTHS = (14, 30, 60, 90, 180, 365)
MAX_LAG = 7
WIDE = 10
WIDE_DAYS = 180
LEVEL = 0.05
MORE = 4
"""Times as many teams of developers as series of teams: they are quicker to measure."""


@dataclass(frozen=True, slots=True)
class FalseClaims:
    """Share of teams without any effect for which something is called significant."""

    shape: str
    days: int
    plain: float
    """Pearson of the raw days at lag 1: p < 0.05."""
    ours: float
    """The adjusted correlation at lag 1: p < 0.05."""
    family: float
    """Any q < 0.05 in lags 0..7."""
    reported: float
    """The same, unless a placebo fails and the claims are withheld."""


def false_claims(shape: str, days: int, teams: int, seed: int) -> FalseClaims:
    """Measure one shape and length."""
    hits = np.zeros(4)
    for team in range(teams):
        rng = np.random.default_rng([seed, list(SHAPES).index(shape), days, team])
        driver, outcome = SHAPES[shape](rng, days)
        frame = pl.DataFrame({"day": calendar(days), "driver": driver, "outcome": outcome}).fill_nan(None)
        table = association_family(frame, drivers=["driver"], outcomes=["outcome"], max_lag=MAX_LAG)
        claims = table.filter(~pl.col("is_placebo"))
        claimed = claims.filter(pl.col("q_value") < LEVEL)
        hits += (
            _plainly_significant(driver[:-1], outcome[1:]),
            claims.filter((pl.col("lag") == 1) & (pl.col("p_value") < LEVEL)).height,
            claimed.height > 0,
            claimed.filter(pl.col("status") != Status.WITHHELD).height > 0,
        )
    plain, ours, family, reported = (hits / teams).tolist()
    return FalseClaims(shape, days, plain, ours, family, reported)


def _plainly_significant(driver: Any, outcome: Any) -> bool:
    known = ~(np.isnan(driver) | np.isnan(outcome))
    # Pearson is undefined where a short window of a low count is constant: no claim.
    varies = known.sum() > 2 and np.ptp(driver[known]) > 0 and np.ptp(outcome[known]) > 0
    return bool(varies and scipy.stats.pearsonr(driver[known], outcome[known]).pvalue < LEVEL)


@dataclass(frozen=True, slots=True)
class Recovery:
    """How well a known effect at lag 1 is recovered."""

    case: str
    power: float
    """p < 0.05 at lag 1."""
    power_family: float
    """q < 0.05 at lag 1, among lags 0..7."""
    withheld: float
    """Claims withheld because a placebo was significant."""
    r_coverage: float | None
    """Share of 95 % intervals that hold the true correlation."""
    pct_coverage: float | None
    """Share of 95 % intervals that hold the true effect in %."""
    bias: float | None
    """Median of the estimate minus the truth: of r where that is known, else of the effect in %."""


def recovery(case: str, teams: int, seed: int) -> Recovery:
    """Measure one case with an effect."""
    hits = np.zeros(3)
    inside_r, inside_pct, errors = [], [], []
    for team in range(teams):
        truth = EFFECTS[case](np.random.default_rng([seed, 1000 + list(EFFECTS).index(case), team]))
        table = association_family(truth.frame, drivers=["driver"], outcomes=["outcome"], max_lag=MAX_LAG)
        row = table.row(by_predicate=pl.col("lag") == 1, named=True)
        hits += [row["p_value"] < LEVEL, row["q_value"] < LEVEL, row["status"] == Status.WITHHELD]
        if truth.r is not None:
            inside_r.append(row["ci_low"] <= truth.r <= row["ci_high"])
            errors.append(row["pearson_r"] - truth.r)
        if truth.pct is not None:
            inside_pct.append(row["effect_pct_low"] <= truth.pct <= row["effect_pct_high"])
            errors.append(row["effect_pct"] - truth.pct)
    power, power_family, withheld = (hits / teams).tolist()
    return Recovery(
        case,
        power,
        power_family,
        withheld,
        float(np.mean(inside_r)) if inside_r else None,
        float(np.mean(inside_pct)) if inside_pct else None,
        float(np.median(errors)) if errors else None,
    )


def wide_family(teams: int, seed: int) -> float:
    """Share of teams with any significant claim among `WIDE` x `WIDE` unrelated counts, at lags 0..7."""
    hits = 0
    size, days = WIDE, WIDE_DAYS
    for team in range(teams):
        rng = np.random.default_rng([seed, 2000, team])
        pairs = [SHAPES["counts, AR 0.8"](rng, days) for _ in range(size)]
        frame = pl.DataFrame(
            {"day": calendar(days)}
            | {f"driver{k}": pair[0] for k, pair in enumerate(pairs)}
            | {f"outcome{k}": pair[1] for k, pair in enumerate(pairs)}
        )
        table = association_family(
            frame,
            drivers=[f"driver{k}" for k in range(size)],
            outcomes=[f"outcome{k}" for k in range(size)],
            max_lag=MAX_LAG,
        )
        hits += bool((table.filter(~pl.col("is_placebo"))["q_value"] < LEVEL).any())
    return hits / teams


@dataclass(frozen=True, slots=True)
class FromDevelopers:
    """What is said of teams of developers: a panel of their days, or an intervention."""

    case: str
    significant: float
    """p < 0.05, of a panel at lag 1."""
    claimed: float
    """Any q < 0.05: of a panel in lags 0..7."""
    reported: float
    """The same, unless a check refutes and the claim is withheld."""
    refused: float
    """Share of teams of whom nothing is said because a check refutes it."""
    coverage: float
    """Share of the 95 % intervals that hold the truth in %."""
    bias: float
    """Median of the estimate minus the truth, in %."""


def panel_claims(case: str, teams: int, seed: int) -> FromDevelopers:
    """Measure a panel: one of `PANELS`, or of `PANEL_EFFECTS` by the name `effect: ...`."""
    makes = {**PANELS, **{_with_effect(name): make for name, make in PANEL_EFFECTS.items()}}
    hits, errors = [], []
    for team in range(teams):
        truth = makes[case](np.random.default_rng([seed, 3000 + list(makes).index(case), team]))
        table = panel_family(truth.frame, drivers=["used"], outcomes=["made"], max_lag=MAX_LAG)
        claimed = table.filter(~pl.col("is_placebo") & (pl.col("q_value") < LEVEL))
        row = table.row(by_predicate=pl.col("lag") == 1, named=True)
        kept = claimed.filter(pl.col("status") != Status.WITHHELD)
        hits.append(
            (
                _below(row["p_value"]),
                claimed.height > 0,
                kept.height > 0,
                row["status"] == Status.WITHHELD,
                _holds(row, truth.pct),
            )
        )
        errors.append(_error(row, truth.pct))
    return _summed(case, hits, errors)


def event_claims(case: str, teams: int, seed: int) -> FromDevelopers:
    """Measure an intervention: one of `EVENTS`, or of `EVENT_EFFECTS` by the name `effect: ...`."""
    makes = {**EVENTS, **{_with_effect(name): make for name, make in EVENT_EFFECTS.items()}}
    hits, errors = [], []
    for team in range(teams):
        truth = makes[case](np.random.default_rng([seed, 4000 + list(makes).index(case), team]))
        found = Intervention("it", Kind.CONFIGURED, truth.starts)
        row = event_studies(truth.frame, [found], ["made"]).row(0, named=True)
        claimed, ok = _below(row["q_value"]), row["status"] == EventStatus.OK
        refused = row["status"] in (EventStatus.PRE_TREND, EventStatus.PLACEBO)
        hits.append((_below(row["p_value"]), claimed, claimed and ok, refused, _holds(row, truth.pct)))
        errors.append(_error(row, truth.pct))
    return _summed(case, hits, errors)


def _with_effect(case: str) -> str:
    return f"effect: {case}"


def _below(value: float | None) -> bool:
    return value is not None and value < LEVEL


def _holds(row: dict[str, Any], truth: float) -> float:
    """Whether the interval holds the truth; NaN where there is none."""
    if row["effect_pct_low"] is None or row["effect_pct_high"] is None:
        return float("nan")
    return float(row["effect_pct_low"] <= truth <= row["effect_pct_high"])


def _error(row: dict[str, Any], truth: float) -> float:
    return float("nan") if row["effect_pct"] is None else float(row["effect_pct"] - truth)


def _summed(case: str, hits: Sequence[Sequence[float]], errors: Sequence[float]) -> FromDevelopers:
    figures = np.array(hits, dtype=np.float64)
    significant, claimed, reported, refused = figures[:, :-1].mean(axis=0).tolist()
    coverage = float(np.nanmean(figures[:, -1]))
    return FromDevelopers(case, significant, claimed, reported, refused, coverage, float(np.nanmedian(errors)))


Line = tuple[Callable[..., Any], tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class _Plan:
    """One table: what is measured for its lines, and how a result becomes cells."""

    title: str
    head: tuple[str, ...]
    lines: Sequence[Line]
    row: Callable[[Any], tuple[str, ...]]


_SERIES = ("shape", "days", "plain Pearson, lag 1", "ours, lag 1", "any q < 0.05, lags 0..7", "not withheld")
_EFFECTS = ("case", "p < 0.05", "q < 0.05", "withheld", "r in interval", "% in interval", "median error")
_DEVELOPERS = ("case", "p < 0.05", "q < 0.05", "not withheld", "refused", "% in interval", "median error, %")


def _plans(teams: int, seed: int) -> list[_Plan]:
    def lines(measure: Callable[..., Any], cases: Iterable[str], times: int = 1) -> list[Line]:
        return [(measure, (case, times * teams, seed)) for case in cases]

    shapes: list[Line] = [(false_claims, (shape, days, teams, seed)) for shape in SHAPES for days in LENGTHS]
    some = max(teams // 5, 10)
    return [
        _Plan("The team's days, no effect", _SERIES, shapes, _false_claims_row),
        _Plan(
            f"{WIDE} x {WIDE} unrelated counts of {WIDE_DAYS} days, {some} teams",
            ("any q < 0.05, lags 0..7",),
            [(wide_family, (some, seed))],
            lambda share: tuple(cells(share)),
        ),
        _Plan("The team's days, an effect at lag 1", _EFFECTS, lines(recovery, EFFECTS), _recovery_row),
        _Plan("Developers' days, no effect", _DEVELOPERS, lines(panel_claims, PANELS, MORE), _developers_row),
        _Plan(
            "Developers' days, an effect at lag 1",
            _DEVELOPERS,
            lines(panel_claims, map(_with_effect, PANEL_EFFECTS), MORE),
            _developers_row,
        ),
        _Plan("Interventions that change nothing", _DEVELOPERS, lines(event_claims, EVENTS, MORE), _developers_row),
        _Plan(
            "Interventions that raise delivery by half",
            _DEVELOPERS,
            lines(event_claims, map(_with_effect, EVENT_EFFECTS), MORE),
            _developers_row,
        ),
    ]


def _false_claims_row(one: FalseClaims) -> tuple[str, ...]:
    return (one.shape, str(one.days), *cells(one.plain, one.ours, one.family, one.reported))


def _recovery_row(one: Recovery) -> tuple[str, ...]:
    return (
        one.case,
        *cells(one.power, one.power_family, one.withheld, one.r_coverage, one.pct_coverage, one.bias),
    )


def _developers_row(one: FromDevelopers) -> tuple[str, ...]:
    case = one.case.removeprefix(_with_effect(""))
    return (case, *cells(one.significant, one.claimed, one.reported, one.refused, one.coverage, one.bias))


def cells(*figures: float | None) -> Iterator[str]:
    """Shares with three digits; a dash where there is none."""
    return ("–" if figure is None else f"{figure:.3f}" for figure in figures)


def _measured(line: Line) -> Any:
    measure, arguments = line
    return measure(*arguments)


def measured(lines: Sequence[Line], jobs: int) -> Iterator[Any]:
    """The result of every line, in order; `jobs` processes share the work."""
    progress = Console(stderr=True)
    if jobs == 1:
        yield from track(map(_measured, lines), total=len(lines), console=progress)
        return
    # A forked process would inherit locks that threads of the parent hold.
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        yield from track(pool.map(_measured, lines), total=len(lines), console=progress)


def main(
    teams: Annotated[int, typer.Option(min=10, help="Simulated teams per line of the tables.")] = 200,
    seed: Annotated[int, typer.Option(min=0, help="The same seed prints the same tables.")] = 1,
    jobs: Annotated[int, typer.Option(min=1, help="Processes that share the work.")] = os.cpu_count() or 1,
) -> None:
    """Print as Markdown how often the statistics err, and how often they see what is there."""
    plans = _plans(teams, seed)
    results = measured([line for plan in plans for line in plan.lines], jobs)
    console = Console(width=160)
    for plan in plans:
        table = Table(*plan.head, box=box.MARKDOWN)
        for _ in plan.lines:
            table.add_row(*plan.row(next(results)))
        console.print(f"\n## {plan.title}\n", table, markup=False, highlight=False)
    console.print(
        f"\n{teams} teams a line, {MORE * teams} in the tables of developers and interventions; seed {seed}. "
        f"Monte-Carlo standard error of a share of 0.05 or 0.95: {_error_of_share(0.05, teams):.3f} and "
        f"{_error_of_share(0.05, MORE * teams):.3f}, of 0.84: {_error_of_share(0.84, teams):.3f}.",
        highlight=False,
        soft_wrap=True,
    )


def _error_of_share(share: float, teams: int) -> float:
    return float(np.sqrt(share * (1 - share) / teams))


if __name__ == "__main__":
    typer.run(main)
