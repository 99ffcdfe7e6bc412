"""Daily series of teams whose truth is known: a driver and an outcome, with and without an effect between them.

Belongs here: generators of pairs of series and their truth. Does not: developers (`developers`), source files, the
statistics that are measured on them (`calibrate`).
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from prodlens_pipeline.simulation.team import Team, effect_pct, simulate

Reals = NDArray[np.float64]
Pair = tuple[Reals, Reals]
Shape = Callable[[np.random.Generator, int], Pair]

MONDAY = date(2026, 1, 5)
WEEK = np.array([0.95, 1.06, 1.10, 1.04, 0.85, 0.03, 0.02])
"""Counts by weekday: weekends are nearly empty."""
RHYTHMS = np.array([[0.0, 0.3, 0.5, 0.2, -0.4, -3.0, -3.3], [0.2, 0.4, 0.3, 0.1, -0.5, -2.5, -3.0]])
"""Weekly rhythms of a Gaussian driver and outcome, for noise of standard deviation 0.5."""


def calendar(days: int) -> list[date]:
    """So many days from a Monday on."""
    return [MONDAY + timedelta(days=day) for day in range(days)]


def autoregressive(rng: np.random.Generator, days: int, persistence: float) -> Reals:
    """Stationary AR(1) with variance 1."""
    return recursive(rng.standard_normal(days), persistence)


def recursive(innovations: Reals, persistence: float) -> Reals:
    """Stationary AR(1) with variance 1, from white innovations of variance 1."""
    series = innovations * np.sqrt(1 - persistence**2)
    series[0] = innovations[0]
    for day in range(1, len(series)):
        series[day] += persistence * series[day - 1]
    return np.asarray(series, dtype=np.float64)


def both(make: Callable[[np.random.Generator, int], Reals]) -> Shape:
    """A driver and an outcome from the same process, independent of each other."""
    return lambda rng, days: (make(rng, days), make(rng, days))


def weekly(persistence: float) -> Shape:
    """Gaussian series with a strong weekly rhythm."""

    def make(rng: np.random.Generator, days: int) -> Pair:
        driver, outcome = (
            rhythm[np.arange(days) % 7] + 0.5 * autoregressive(rng, days, persistence) for rhythm in RHYTHMS
        )
        return driver, outcome

    return make


def counts(
    level: float = 8.0,
    deviation: float = 0.4,
    persistence: float = 0.5,
    common: Callable[[np.random.Generator, Reals], NDArray[Any]] | None = None,
) -> Shape:
    """Poisson counts around a latent log-normal AR(1), weekends nearly empty; `common` scales both series.

    `common` gets the days as shares of the window in [0, 1).
    """

    def make(rng: np.random.Generator, days: int) -> Pair:
        factor = np.ones(days) if common is None else common(rng, np.arange(days) / days)
        rhythm = level * WEEK[np.arange(days) % 7] * factor

        def one() -> Reals:
            mood = np.exp(deviation * autoregressive(rng, days, persistence) - deviation**2 / 2)
            return rng.poisson(rhythm * mood).astype(np.float64)

        return one(), one()

    return make


def second_order(rng: np.random.Generator, days: int) -> Reals:
    """AR(2) with a pseudo-cycle of nine days, which an AR(1) cannot follow."""
    noise = rng.standard_normal(days + 100)
    for day in range(2, len(noise)):
        noise[day] += 1.2 * noise[day - 1] - 0.6 * noise[day - 2]
    return noise[100:]


def dip(rng: np.random.Generator, time: Reals) -> Reals:
    """Two weeks at 40 %, somewhere in the window."""
    start = rng.uniform(0, max(1 - 14 / len(time), 0.01))
    return np.where((time >= start) & (time < start + 14 / len(time)), 0.4, 1.0)


def dominant(rng: np.random.Generator, time: Reals) -> Reals:
    """One developer does two thirds of everything, and is away twice for a week."""
    factor = np.ones(len(time))
    for start in rng.integers(0, max(len(time) - 7, 1), 2):
        factor[start : start + 7] = 1 / 3
    return factor


def with_gaps(shape: Shape, share: float) -> Shape:
    """`shape` with days on which nothing is known: single ones of either series, and a week of both."""

    def make(rng: np.random.Generator, days: int) -> Pair:
        driver, outcome = shape(rng, days)
        gap = slice(start := int(rng.integers(days)), start + 7)
        for series in (driver, outcome):
            series[rng.random(days) < share] = np.nan
            series[gap] = np.nan
        return driver, outcome

    return make


SHAPES: dict[str, Shape] = {
    "white noise": both(lambda rng, days: rng.standard_normal(days)),
    "AR 0.8": both(lambda rng, days: autoregressive(rng, days, 0.8)),
    "weekly rhythm": weekly(0.0),
    "weekly rhythm, AR 0.8": weekly(0.8),
    "random walk": both(lambda rng, days: np.cumsum(rng.standard_normal(days))),
    "AR(2), 9-day cycle": both(second_order),
    "AR 0.9 under white noise": both(
        lambda rng, days: autoregressive(rng, days, 0.9) + 0.7 * rng.standard_normal(days)
    ),
    "t with 3 degrees": both(lambda rng, days: rng.standard_t(3, days)),
    "noise grows 4x": both(lambda rng, days: np.linspace(1, 4, days) * rng.standard_normal(days)),
    "counts": counts(),
    "counts, level 1.5": counts(level=1.5),
    "counts, AR 0.8": counts(deviation=0.6, persistence=0.8),
    "ramp-up 3x": counts(common=lambda _, time: 1 + 2 * time),
    "S-curve 0.05x to 4x": counts(common=lambda _, time: 0.05 + 4 / (1 + np.exp((1 / 3 - time) * 15))),
    "doubling at mid-window": counts(common=lambda _, time: 1.0 + (time >= 0.5)),
    "doubling, calm and large": counts(level=60, deviation=0.2, common=lambda _, time: 1.0 + (time >= 0.5)),
    "tripling at a random day": counts(common=lambda rng, time: 1.0 + 2 * (time >= rng.uniform(0.2, 0.8))),
    "two weeks' dip to 40 %": counts(common=dip),
    "public holidays": counts(
        level=20, deviation=0.3, common=lambda rng, time: np.where(rng.random(len(time)) < 1 / 40, 0.03, 1.0)
    ),
    "public holidays, level 4": counts(
        level=4, deviation=0.3, common=lambda rng, time: np.where(rng.random(len(time)) < 1 / 40, 0.03, 1.0)
    ),
    "common two-week cycle": counts(
        level=20,
        deviation=0.3,
        common=lambda _, time: np.exp(0.3 * np.cos(2 * np.pi * time * len(time) / 14)),
    ),
    "common monthly cycle": counts(
        level=20,
        deviation=0.3,
        common=lambda _, time: np.exp(0.3 * np.cos(2 * np.pi * time * len(time) / 30)),
    ),
    "counts of 0 to 3": counts(level=0.8),
    "counts of 0 to 3, doubling": counts(level=0.8, common=lambda _, time: 1.0 + (time >= 0.5)),
    "one dominant developer": counts(level=12, common=dominant),
    "a tenth of the days missing": with_gaps(counts(), 0.1),
    "AR 0.8, a tenth missing": with_gaps(both(lambda rng, days: autoregressive(rng, days, 0.8)), 0.1),
}
"""Pairs of independent series; what they share, they share by calendar, trend or accident."""


@dataclass(frozen=True, slots=True)
class Simulated:
    """One team with an effect at lag 1, and the truth about it."""

    frame: pl.DataFrame
    """`day`, `driver`, `outcome`"""
    r: float | None
    """True correlation of the innovations."""
    pct: float | None
    """True change of the outcome in % for one interquartile range of the driver."""


def on_calendar(working: Pair, weekend: float) -> pl.DataFrame:
    """Put values of working days on a calendar whose weekends hold `weekend`; it ends with the last value."""
    weeks, rest = divmod(len(working[0]), 5)
    days = calendar(7 * weeks + rest)
    columns = np.full((2, len(days)), weekend)
    columns[:, np.arange(len(days)) % 7 < 5] = working
    return pl.DataFrame({"day": days, "driver": columns[0], "outcome": columns[1]})


def gaussian_effect(r: float, persistence: float, pairs: int) -> Callable[[np.random.Generator], Simulated]:
    """Innovations of two AR(1) series correlate with `r`, the outcome's one working day later."""

    def make(rng: np.random.Generator) -> Simulated:
        first = rng.standard_normal(pairs + 202)
        second = r * first + np.sqrt(1 - r**2) * rng.standard_normal(len(first))
        driver = recursive(first, persistence)[201:]
        outcome = recursive(second, persistence)[200:-1]
        return Simulated(on_calendar((driver - 50, outcome - 50), 0.0), r, None)

    return make


def count_effect(elasticity: float, level: float, working_days: int) -> Callable[[np.random.Generator], Simulated]:
    """The outcome's rate is proportional to (driver + 1) ** elasticity of one working day before."""

    def make(rng: np.random.Generator) -> Simulated:
        def mood() -> Reals:
            return np.asarray(np.exp(0.3 * autoregressive(rng, working_days + 1, 0.5)), dtype=np.float64)

        rhythm = level * np.resize(WEEK[:5], working_days + 1)
        driver = rng.poisson(rhythm * mood()).astype(np.float64)
        response = ((driver[:-1] + 1) / (level + 1)) ** elasticity
        outcome = rng.poisson(rhythm[1:] * mood()[1:] * response).astype(np.float64)
        lower, upper = (np.quantile(driver[1:], [0.25, 0.75]) + 1) ** elasticity
        truth = 100 * (upper - lower) / ((driver[1:] + 1) ** elasticity).mean()
        return Simulated(on_calendar((driver[1:], outcome), 0.0), None, float(truth))

    return make


def team_effect(effect: float, days: int) -> Callable[[np.random.Generator], Simulated]:
    """Eight developers of `simulation.team`, who have holidays, vacations and an adoption ramp."""

    def make(rng: np.random.Generator) -> Simulated:
        plan = simulate(Team(effect=effect, days=days, seed=int(rng.integers(2**32))))
        frame = pl.DataFrame(
            {
                "day": plan.team.dates,
                "driver": plan.sessions.sum(axis=1),
                "outcome": plan.commits.sum(axis=1),
            }
        )
        return Simulated(frame, None, effect_pct(plan))

    return make


EFFECTS: dict[str, Callable[[np.random.Generator], Simulated]] = {
    "r 0.4, AR 0.8, 60 pairs": gaussian_effect(0.4, 0.8, 60),
    "r 0.4, white noise, 60 pairs": gaussian_effect(0.4, 0.0, 60),
    "r 0.4, AR 0.8, 20 pairs": gaussian_effect(0.4, 0.8, 20),
    "r 0.4, AR 0.8, 128 pairs": gaussian_effect(0.4, 0.8, 128),
    "r 0.7, AR 0.8, 60 pairs": gaussian_effect(0.7, 0.8, 60),
    "r 0, AR 0.8, 60 pairs": gaussian_effect(0.0, 0.8, 60),
    "counts of 20, elasticity 0.5, 60 working days": count_effect(0.5, 20, 60),
    "counts of 20, elasticity 0.5, 128 working days": count_effect(0.5, 20, 128),
    "counts of 3, elasticity 0.5, 128 working days": count_effect(0.5, 3, 128),
    "simulated team, no effect, 180 days": team_effect(0.0, 180),
    "simulated team, effect 0.6, 90 days": team_effect(0.6, 90),
    "simulated team, effect 0.6, 180 days": team_effect(0.6, 180),
}
