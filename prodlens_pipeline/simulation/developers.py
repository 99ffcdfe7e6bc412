"""Days of developers whose truth is known: AI use and delivery, with and without an effect or an intervention.

Belongs here: generators of one row per developer and day, and their truth. Does not: whole teams with their sources
(`team`), series of a team (`series`), the statistics that are measured on them (`calibrate`).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta

import numpy as np
import polars as pl
from numpy.typing import NDArray

from prodlens_pipeline.simulation.series import MONDAY, recursive
from prodlens_pipeline.simulation.team import Team, simulate

Reals = NDArray[np.float64]

KNOWN_DAYS = 20
"""Working days with AI use from which on a developer's typical step is told."""


@dataclass(frozen=True, slots=True)
class Developers:
    """`frame` has one row per `developer_id` and `day` with `used` and `made`; `pct` is the truth.

    It is the change of `made` in %, of a typical step of `used` one working day before or after the intervention.
    """

    frame: pl.DataFrame
    pct: float
    starts: Mapping[str, date] = field(default_factory=dict)
    """When the intervention reached whom."""


Make = Callable[[np.random.Generator], Developers]


def panel(
    developers: int,
    days: int,
    *,
    elasticity: float = 0.0,
    level: float = 4.0,
    dominant: float = 1.0,
    missing: float = 0.0,
    shifts: bool = False,
) -> Make:
    """Developers with habits, absences, part time and drifts of their own, in a team that doubles at half-time.

    `made` is proportional to (used + 1) ** `elasticity` of the working day before. `dominant` multiplies what the
    first developer does. `missing` is the share of rows of which either side is not known. With `shifts` the level
    of each side of each developer moves once, at a day of its own.
    """

    def make(rng: np.random.Generator) -> Developers:
        dates = [day for day in (MONDAY + timedelta(days=n) for n in range(days)) if day.weekday() < 5]
        length = len(dates)
        weekday = np.array([day.weekday() for day in dates])
        time = np.arange(length)
        growth = 1.0 + (time > length // 2)
        frames = []
        for number in range(developers):
            here = (rng.random(5) > 0.1)[weekday] & (rng.random(length) > 0.02)
            for away in rng.integers(0, length, max(1, length // 45)):
                here[away : away + rng.integers(3, 10)] = False
            own = (dominant if number == 0 else 1.0) * np.exp(0.4 * rng.standard_normal())
            drift = np.exp(rng.uniform(-0.7, 0.7) * time / length)
            moved = np.exp(rng.uniform(-1, 1, (2, 1)) * (time > rng.integers(0, length, (2, 1)))) if shifts else 1.0
            mood = np.exp(0.4 * np.stack([recursive(noise, 0.5) for noise in rng.standard_normal((2, length))])) * moved
            usual = 8 * own
            used = rng.poisson(usual * growth * mood[0] * here)
            response = np.ones(length)
            response[1:] = ((used[:-1] + 1) / (usual + 1)) ** elasticity
            made = rng.poisson(level * own * growth * drift * mood[1] * response * here)
            frames.append(
                pl.DataFrame({"day": dates, "used": used, "made": made}).with_columns(developer_id=pl.lit(f"d{number}"))
            )
        frame = pl.concat(frames).filter((pl.col("used") > 0) | (pl.col("made") > 0))
        for name in ("used", "made"):
            known = pl.Series(rng.random(len(frame)) >= missing)
            frame = frame.with_columns(pl.when(known).then(pl.col(name)))
        return Developers(frame, _typical_change(frame, elasticity))

    return make


def simulated_team(developers: int, days: int) -> Make:
    """`simulation.team` without an effect: public holidays, vacations, an adoption ramp, work that others pick up."""

    def make(rng: np.random.Generator) -> Developers:
        plan = simulate(Team(developers=developers, days=days, effect=0.0, seed=int(rng.integers(2**32))))
        frame = pl.concat(
            pl.DataFrame(
                {"day": plan.team.dates, "used": plan.sessions[:, k], "made": plan.commits[:, k]}
            ).with_columns(developer_id=pl.lit(name))
            for k, name in enumerate(plan.team.developer_names)
        )
        return Developers(frame.filter((pl.col("used") > 0) | (pl.col("made") > 0)), 0.0)

    return make


def intervention(
    developers: int,
    reached: int,
    days: int,
    *,
    change: float = 0.0,
    level: float = 2.0,
    doubles: bool = False,
    dominant: float = 1.0,
) -> Make:
    """Commits whose common level wanders; those of the first `reached` developers change by `change`.

    It reaches them one by one in the middle third of the days, or all on one day where it reaches everybody. With
    `doubles` the whole team doubles at a day of its own. `dominant` multiplies what the first developer does.
    """

    def make(rng: np.random.Generator) -> Developers:
        dates = [MONDAY + timedelta(days=n) for n in range(days)]
        week = np.array([1.0 if day.weekday() < 5 else 0.02 for day in dates])
        common = np.exp(np.cumsum(0.03 * rng.standard_normal(days)))
        if doubles:
            common *= 1.0 + (np.arange(days) >= rng.integers(days))
        middle = rng.integers(days // 3, 2 * days // 3, reached)
        if reached == developers:
            middle[:] = middle[0]
        starts = {f"d{n}": dates[day] for n, day in enumerate(middle)}
        frames = []
        for number in range(developers):
            after = np.arange(days) >= (middle[number] if number < reached else days)
            own = (dominant if number == 0 else 1.0) * np.exp(0.5 * rng.standard_normal())
            made = rng.poisson(
                level * own * np.exp(0.3 * rng.standard_normal(days)) * week * common * (1 + change * after)
            )
            frames.append(pl.DataFrame({"day": dates, "made": made}).with_columns(developer_id=pl.lit(f"d{number}")))
        return Developers(pl.concat(frames).filter(pl.col("made") > 0), 100 * change, starts)

    return make


def _typical_change(frame: pl.DataFrame, elasticity: float) -> float:
    """What `elasticity` comes to in %, for a typical step: the interquartile range within the median developer."""
    steps = [
        float(np.subtract(*np.log1p(np.quantile(days, [0.75, 0.25]))))
        for (_,), own in frame.filter(pl.col("used") > 0).group_by("developer_id", maintain_order=True)
        if len(days := own["used"].to_numpy()) >= KNOWN_DAYS
    ]
    step = float(np.median(steps)) if steps else 0.0
    return 200 * float(np.sinh(elasticity * step / 2))


PANELS: dict[str, Make] = {
    "5 developers, 60 days": panel(5, 60),
    "5 developers, 90 days": panel(5, 90),
    "8 developers, 90 days": panel(8, 90),
    "20 developers, 60 days": panel(20, 60),
    "20 developers, 180 days": panel(20, 180),
    "8 developers, 365 days": panel(8, 365),
    "8 developers, counts of 0 to 3": panel(8, 90, level=0.7),
    "8 developers, one dominant": panel(8, 90, dominant=10),
    "8 developers, a tenth of the days missing": panel(8, 90, missing=0.1),
    "8 developers, level shifts of their own": panel(8, 120, shifts=True),
    "8 developers, simulated team": simulated_team(8, 120),
    "20 developers, simulated team": simulated_team(20, 120),
}
"""Panels without an effect."""
PANEL_EFFECTS: dict[str, Make] = {
    "5 developers, 90 days": panel(5, 90, elasticity=0.5),
    "8 developers, 90 days": panel(8, 90, elasticity=0.5),
    "8 developers, 90 days, one dominant": panel(8, 90, elasticity=0.5, dominant=10),
    "8 developers, 90 days, counts of 0 to 3": panel(8, 90, elasticity=0.5, level=0.7),
    "20 developers, 60 days": panel(20, 60, elasticity=0.5),
    "20 developers, 180 days": panel(20, 180, elasticity=0.5),
}
"""Panels in which delivery has an elasticity of 0.5 in the use of the working day before."""
EVENTS: dict[str, Make] = {
    "6 of 10 developers, 120 days": intervention(10, 6, 120),
    "6 of 10 developers, 180 days": intervention(10, 6, 180),
    "6 of 10, counts of 0 to 3": intervention(10, 6, 180, level=0.5),
    "6 of 10, the team doubles at some day": intervention(10, 6, 180, doubles=True),
    "6 of 10, one dominant": intervention(10, 6, 180, dominant=10),
    "16 of 24 developers, 365 days": intervention(24, 16, 365),
    "12 of 12 at once, 120 days": intervention(12, 12, 120),
    "12 of 12 at once, 180 days": intervention(12, 12, 180),
    "12 of 12 at once, 365 days": intervention(12, 12, 365),
    "12 of 12 at once, counts of 0 to 3": intervention(12, 12, 180, level=0.1),
    "12 of 12 at once, the team doubles at some day": intervention(12, 12, 180, doubles=True),
    "1 of 1 developer, 180 days": intervention(1, 1, 180),
}
"""Interventions that change nothing. Where they reach everybody, an interrupted time series judges them."""
EVENT_EFFECTS: dict[str, Make] = {
    "6 of 10 developers, 180 days": intervention(10, 6, 180, change=0.5),
    "6 of 10, the team doubles at some day": intervention(10, 6, 180, change=0.5, doubles=True),
    "16 of 24 developers, 180 days": intervention(24, 16, 180, change=0.5),
    "12 of 12 at once, 180 days": intervention(12, 12, 180, change=0.5),
    "12 of 12 at once, 365 days": intervention(12, 12, 365, change=0.5),
}
"""Interventions that raise delivery by half."""
