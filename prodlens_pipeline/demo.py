"""The demo: a simulated team, and its true effect beside what the pipeline estimates.

Belongs here: preparing the team and judging the estimate. Does not: simulating or running (`pipeline.py`).
"""

from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import orjson

from prodlens_pipeline.analysis.daily import covered_window
from prodlens_pipeline.analysis.family import associations
from prodlens_pipeline.simulation.team import Team, simulate
from prodlens_pipeline.simulation.write import write
from prodlens_pipeline.warehouse.lake import Lake

TRUTH = "truth.json"


@dataclass(frozen=True)
class KnownEffect:
    """What the simulation put in; `effect_pct`: change of the outcome for one interquartile range of the driver."""

    start: date
    end: date
    driver: str
    outcome: str
    lag: int
    effect_pct: float | None


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
    )


def verdict(lake: Lake, truth: KnownEffect) -> str:
    """The true effect beside the estimate and its interval, in words."""
    window = covered_window(lake)
    if window is None or truth.effect_pct is None:
        return "There is nothing to compare: no day has both AI use and delivery."
    family = associations(lake, window)
    row = family.filter(driver=truth.driver, outcome=truth.outcome, lag=truth.lag).row(0, named=True)
    question = (
        f"A typical step up (one interquartile range) in {truth.driver} changes {truth.outcome} "
        f"{truth.lag} working day(s) later by"
    )
    if row["effect_pct"] is None:
        return f"{question} {truth.effect_pct:+.1f} %; the sample was too small to estimate it."
    low, high = row["effect_pct_low"], row["effect_pct_high"]
    covered = "covers" if low <= truth.effect_pct <= high else "misses"
    return (
        f"{question}\n  true effect  {truth.effect_pct:+.1f} %\n"
        f"  estimate     {row['effect_pct']:+.1f} %   95 % interval {low:+.1f} to {high:+.1f} % ({covered} the truth), "
        f"q {_at_most(row['q_value'])}, n = {row['n']}\n"
        "What developers answer to surveys does not depend on their AI use: any such association is a false alarm."
    )


def _at_most(q_value: float) -> str:
    return "< 0.001" if q_value < 0.001 else f"= {q_value:.3f}"
