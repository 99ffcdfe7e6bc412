"""The demo: a simulated team, and its true effect beside what the pipeline estimates.

Belongs here: preparing the team and judging the estimate. Does not: simulating or running (`pipeline.py`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import orjson

from prodlens_pipeline.analysis.daily import covered_window
from prodlens_pipeline.analysis.family import associations
from prodlens_pipeline.reporting.panel import panel
from prodlens_pipeline.reporting.words import counted
from prodlens_pipeline.simulation.team import Team, simulate
from prodlens_pipeline.simulation.write import write
from prodlens_pipeline.warehouse.lake import Lake
from prodlens_pipeline.warehouse.windows import Window

TRUTH = "truth.json"


@dataclass(frozen=True)
class KnownEffect:
    """What the simulation put in.

    `effect_pct` is the change of the team's outcome for one interquartile range of its driver, `elasticity` that of a
    developer's outcome in the developer's own driver, whose mean on a working day is `mean_of_developer`.
    """

    start: date
    end: date
    driver: str
    outcome: str
    lag: int
    effect_pct: float | None
    elasticity: float
    mean_of_developer: float


def prepare(folder: Path, *, developers: int, days: int, effect: float, seed: int, end: date) -> KnownEffect:
    """Write a team whose last day is `end` into `folder`, or use the team that is there."""
    if not (folder / TRUTH).exists():
        start = end - timedelta(days=days - 1)
        write(simulate(Team(developers=developers, days=days, effect=effect, seed=seed, start=start)), folder)
    stored = orjson.loads((folder / TRUTH).read_bytes())
    return KnownEffect(
        start=date.fromisoformat(stored["start"]),
        end=date.fromisoformat(stored["end"]),
        driver=stored["driver"],
        outcome=stored["outcome"],
        lag=stored["lag"],
        effect_pct=stored["effect_pct"],
        elasticity=stored["effect"],
        mean_of_developer=stored["sessions_mean"] / len(stored["developers"]),
    )


def verdict(lake: Lake, truth: KnownEffect) -> str:
    """The true effect beside the estimate and its interval, in words."""
    window = covered_window(lake)
    if window is None or truth.effect_pct is None:
        return "There is nothing to compare: no day has both AI use and delivery."
    family = associations(lake, window)
    row = family.filter(driver=truth.driver, outcome=truth.outcome, lag=truth.lag).row(0, named=True)
    later = counted(truth.lag, "working day")
    question = f"A typical step up (one interquartile range) in {truth.driver} changes {truth.outcome} {later} later by"
    if row["effect_pct"] is None:
        return f"{question} {truth.effect_pct:+.1f}%; the sample was too small to estimate it."
    return (
        f"{question}\n{_beside(truth.effect_pct, row)}, n = {row['n']}\n{_of_developers(lake, window, truth)}"
        "What developers answer to surveys does not depend on their AI use: any such association is a false alarm."
    )


def _of_developers(lake: Lake, window: Window, truth: KnownEffect) -> str:
    """The same of a developer's days, whose steps are larger than the team's; empty where the panel has no estimate."""
    found = panel(lake, window, lake.tables())
    rows = found.rows.filter(driver=truth.driver, outcome=truth.outcome, lag=truth.lag).to_dicts() if found else []
    if not rows or not rows[0]["slope"] or rows[0]["effect_pct"] is None:
        return ""
    (row,) = rows
    step = row["effect"] / row["slope"]
    true_pct = 100 * truth.elasticity * step / truth.mean_of_developer
    return (
        f"A typical step of a single developer ({step:.1f} {truth.driver} a day) changes theirs, by the panel, by\n"
        f"{_beside(true_pct, row)}, {counted(row['developers'], 'developer')}\n"
    )


def _beside(true_pct: float, row: Mapping[str, float]) -> str:
    low, high = row["effect_pct_low"], row["effect_pct_high"]
    covered = "covers" if low <= true_pct <= high else "misses"
    return (
        f"  true effect  {true_pct:+.1f}%\n"
        f"  estimate     {row['effect_pct']:+.1f}%   95% interval {low:+.1f} to {high:+.1f}% ({covered} the truth), "
        f"q {_at_most(row['q_value'])}"
    )


def _at_most(q_value: float) -> str:
    return "< 0.001" if q_value < 0.001 else f"= {q_value:.3f}"
